"""The command line: one module per subcommand, each with SUMMARY, add_arguments(parser) and run(args) -> exit code.

Modules import what is heavy inside run(), so that `host --help` answers at once. Exit codes: 0 done, 1 failed or a run
is invalid, 2 the request makes no sense, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from host import __version__
from host.errors import HostError, UsageError

COMMANDS = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


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
        module = importlib.import_module(f"host.cli.{name}")
        subparser = subparsers.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def _terminate(signum: int, _frame: FrameType | None) -> None:
    # As an exception, so that every context manager on the way out reaps what it started.
    raise SystemExit(128 + signum)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        args = build_parser().parse_args(argv)
        code: int = args.run(args)
        sys.stdout.flush()
    except UsageError as error:
        print(f"host: {error}", file=sys.stderr)
        return 2
    except HostError as error:
        print(f"host: {type(error).__name__}: {error}", *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("host: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error, but nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
