# SPDX-License-Identifier: Apache-2.0
"""`host energy`: integrate recorded traces again."""

from __future__ import annotations

import argparse
from pathlib import Path

from host.cli._arguments import positive, quantity
from host.cli._json import add_json_argument, print_record

SUMMARY = "integrate recorded traces again: energy per inference, replayed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host energy`."""
    parser.add_argument(
        "traces",
        nargs="+",
        type=Path,
        metavar="FILE.jls",
        help="a trace of `host bench --mode energy`, all of one run in order, or a recording of Joulescope",
    )
    parser.add_argument("--inferences", type=positive, metavar="N", help="in each window; default: as the trace tells")
    parser.add_argument("--net", action="store_true", help="without what the idle board takes meanwhile")
    parser.add_argument("--voltage", type=quantity, metavar="V", help="what it was, where nobody measured it")
    add_json_argument(parser, "the text")


def run(args: argparse.Namespace) -> int:
    """Print what the traces give: 1 when that is no valid window."""
    from host.cli._traces import recover_traces
    from host.report.terminal import stdout_console
    from host.report.trace import print_replay
    from host.results import replay as records
    from host.runner.replay import replay_traces

    recover_traces(args.traces)
    replay = replay_traces(args.traces, inferences=args.inferences, net=args.net, voltage_v=args.voltage)
    if args.json:
        print_record(records.encode(replay))
    else:
        print_replay(replay, stdout_console())
    return 0 if replay.valid else 1
