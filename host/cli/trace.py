# SPDX-License-Identifier: Apache-2.0
"""`host trace`: what is in a trace; a part of it as CSV or as a plot."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from host.cli._arguments import seconds

if TYPE_CHECKING:
    from energy.trace import TraceReader
    from host.report.trace import Stretch

SUMMARY = "show a recorded trace: its content, a part of it as CSV, or a plot"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host trace`."""
    parser.add_argument("trace", type=Path, metavar="FILE.jls", help="trace-TASK.jls in the folder of a result")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write the samples as CSV; - is standard output")
    parser.add_argument("--plot", type=Path, metavar="OUT", help="draw them, a .png or a .svg")
    parser.add_argument(
        "--from", dest="from_s", type=seconds, metavar="S", help="seconds of the file; default: its begin"
    )
    parser.add_argument("--to", dest="to_s", type=seconds, metavar="S", help="seconds of the file; default: its end")


def run(args: argparse.Namespace) -> int:
    """Print the content, unless something else is asked for."""
    from energy.trace import TraceReader
    from host.cli._traces import recover_traces
    from host.report.terminal import stdout_console
    from host.report.trace import print_trace, stretch, write_plot

    _check_outputs(args)
    recover_traces([args.trace])
    with TraceReader(args.trace) as trace:
        part = stretch(trace, args.from_s, args.to_s)
        if args.csv is not None:
            _export(trace, part, args.csv)
        if args.plot is not None:
            write_plot(trace, part, args.plot)
            print(f"plot: {args.plot}")
        if args.csv is None and args.plot is None:
            print_trace(trace, stdout_console())
    return 0


def _check_outputs(args: argparse.Namespace) -> None:
    """A trace that is written over while it is read is gone. Raises UsageError."""
    from host.errors import UsageError

    outputs = [path for path in (args.csv, args.plot) if path is not None and path != Path("-")]
    for path in outputs:
        if path.exists() and args.trace.exists() and path.samefile(args.trace):
            raise UsageError(f"{path} is the trace itself: name another file to write to.")
    if len(outputs) == 2 and outputs[0].absolute() == outputs[1].absolute():
        raise UsageError(f"{outputs[0]} cannot be both: name one file for --csv and another for --plot.")


def _export(trace: TraceReader, part: Stretch, path: Path) -> None:
    from host.report.trace import write_csv

    if path == Path("-"):
        write_csv(trace, part, sys.stdout)
        return
    with path.open("w", encoding="utf-8") as file:
        rows = write_csv(trace, part, file)
    print(f"{rows} samples: {path}")
