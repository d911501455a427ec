# SPDX-License-Identifier: Apache-2.0
"""`host trace`: what is in a trace; a part of it as CSV or as a plot."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from host.cli._arguments import seconds
from host.cli._json import add_json_argument, print_json

if TYPE_CHECKING:
    from energy.trace import Capture, TraceReader
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
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the content, unless something else is asked for."""
    from energy.trace import TraceReader
    from host.cli._traces import recover_traces
    from host.report.terminal import point, stdout_console
    from host.report.trace import print_trace, stretch, write_plot

    _check_outputs(args)
    recover_traces([args.trace])
    console = stdout_console()
    with TraceReader(args.trace) as trace:
        part = stretch(trace, args.from_s, args.to_s)
        made: dict[str, object] = {} if args.csv is None else _export(trace, part, args.csv)
        if args.plot is not None:
            write_plot(trace, part, args.plot)
            made["plot"] = args.plot
        if args.json:
            print_json({**_document(trace), **made})
            return 0
        if "csv" in made:
            point(console, f"{made['samples_written']} samples", args.csv)
        if "plot" in made:
            point(console, "plot", args.plot)
        if args.csv is None and args.plot is None:
            print_trace(trace, console)
    return 0


def _check_outputs(args: argparse.Namespace) -> None:
    """A trace that is written over while it is read is gone. Raises UsageError."""
    from host.errors import UsageError

    if args.json and args.csv == Path("-"):
        raise UsageError("--json and --csv - both want standard output: name a file for --csv.")
    outputs = [path for path in (args.csv, args.plot) if path is not None and path != Path("-")]
    for path in outputs:
        if path.exists() and args.trace.exists() and path.samefile(args.trace):
            raise UsageError(f"{path} is the trace itself: name another file to write to.")
    if len(outputs) == 2 and outputs[0].absolute() == outputs[1].absolute():
        raise UsageError(f"{outputs[0]} cannot be both: name one file for --csv and another for --plot.")


def _export(trace: TraceReader, part: Stretch, path: Path) -> dict[str, object]:
    """Write a stretch; what was written, where that is not stdout itself."""
    from host.report.trace import write_csv

    if path == Path("-"):
        write_csv(trace, part, sys.stdout)
        return {}
    with path.open("w", encoding="utf-8") as file:
        rows = write_csv(trace, part, file)
    return {"csv": path, "samples_written": rows}


def _document(trace: TraceReader) -> dict[str, object]:
    """What `host trace` shows, as JSON. Times are seconds of the file."""
    info = trace.info
    return {
        "trace": trace.path,
        "provenance": info.provenance if info else None,
        "task": info.task if info else None,
        "monitor": info.monitor if info else None,
        "idn": info.idn if info else None,
        "rate_hz": trace.rate_hz,
        "samples": trace.samples,
        "duration_s": trace.samples / trace.rate_hz,
        "voltage_measured": info.voltage_measured if info else trace.has_voltage,
        "assumed_voltage_v": info.voltage_v if info and not info.voltage_measured else None,
        "timing_pin": trace.has_pin,
        "captures": [_capture(trace, capture) for capture in trace.captures],
    }


def _capture(trace: TraceReader, capture: Capture) -> dict[str, object]:
    begin, end = capture.begin, capture.end
    edges = None if end is None or end.start_s is None or end.end_s is None else (end.start_s, end.end_s)
    return {
        "number": begin.number,
        "kind": begin.kind if trace.info else "whole file",
        "window": begin.window,
        "input": begin.input or None,
        "inferences": begin.inferences if trace.info else None,
        "from_s": capture.first / trace.rate_hz,
        "to_s": (capture.first + capture.samples) / trace.rate_hz,
        "samples": capture.samples,
        "lost": trace.lost(capture),
        "window_s": edges[1] - edges[0] if edges else None,
        "live_uj": end.energy_j * 1e6 if end and end.energy_j is not None else None,
        "reasons": list(end.reasons) if end else ["cut off"],
        "operators": len(trace.operators(capture)),
    }
