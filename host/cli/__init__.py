"""The command line: one module per subcommand, each with SUMMARY, add_arguments(parser) and run(args) -> exit code.

A `_` in a module's name is a `-` in the command's.
Modules import what is heavy inside run(), so that `host --help` answers at once. Exit codes: 0 done, 1 failed or a run
is invalid, 2 the request makes no sense, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import pkgutil
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from energy.errors import EnergyError
from host import __version__
from host.errors import HostError, UsageError

COMMANDS = tuple(
    sorted(
        module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
    )
)


def build_parser() -> argparse.ArgumentParser:
    """The parser with every subcommand."""
    parser = argparse.ArgumentParser(
        prog="host",
        description="tinyjoule: how fast a microcontroller runs a neural network, and what one inference costs.",
        epilog="`host` is also the name of a DNS tool: `tinyjoule` and `python -m host` are the same command.",
    )
    parser.add_argument("--version", action="version", version=f"tinyjoule {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"host.cli.{name.replace('-', '_')}")
        subparser = subparsers.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def _terminate(signum: int, _frame: FrameType | None) -> None:
    # As an exception, so that every context manager on the way out reaps what it started.
    raise SystemExit(128 + signum)


def _open_closed_streams() -> None:
    """A caller may have closed stdin, stdout or stderr: else the next file of ours would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)
            if null != number:
                os.close(null)
            setattr(sys, name, open(number, "r+" if name == "stdin" else "w", closefd=False))  # noqa: SIM115


def _drop_stdout() -> None:
    """What is buffered cannot be written any more: Python shall not try it again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: object) -> None:
    """What went wrong, on stderr: it may name what a file or a device sent."""
    from host.report.terminal import printable

    print(printable(f"host: {text}", sys.stderr.encoding or "utf-8"), file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may hold what the stream's encoding does not
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it says where it keeps its fonts without a home
    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) == signal.SIG_DFL:  # not under nohup
            signal.signal(signum, _terminate)
    try:
        args = build_parser().parse_args(argv)
        code: int = args.run(args)
        sys.stdout.flush()
    except UsageError as error:
        _complain(error)
        return 2
    except (HostError, EnergyError) as error:
        _complain("\n".join((f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ()))))
        return 1
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    except BrokenPipeError:
        _drop_stdout()  # its reader went away (`| head`)
        return 1
    except OSError as error:
        _complain(f"{error}. Is a disk full, or a file or folder not ours to write?")
        _drop_stdout()
        return 1
    return code
