"""`host link-bench`: the stock protocol against the fast link, in modelled time."""

from __future__ import annotations

import argparse

from host.cli._json import add_json_argument, print_record

SUMMARY = "compare the stock protocol and the fast link on modelled lines, side by side"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host link-bench`."""
    parser.add_argument("--baud", type=int, action="append", metavar="N", help="default: 115200 and 921600")
    parser.add_argument("--inference-ms", type=float, metavar="MS", help="of one kws01 inference; default: 33")
    parser.add_argument(
        "--turnaround-ms", type=float, metavar="MS", help="what the line adds to each answer; default: 1"
    )
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Model, and print."""
    from host.errors import UsageError
    from host.report.link_bench import print_link_bench
    from host.report.terminal import stdout_console
    from host.results import link_bench as results
    from host.runner.link_bench import BAUDS, INFERENCE_S, TURNAROUND_S, run_link_bench

    bauds = tuple(dict.fromkeys(args.baud or BAUDS))
    inference_s = INFERENCE_S if args.inference_ms is None else args.inference_ms / 1000
    turnaround_s = TURNAROUND_S if args.turnaround_ms is None else args.turnaround_ms / 1000
    if min(bauds) < 300 or not 0 <= inference_s <= 10 or not 0 <= turnaround_s <= 1:
        raise UsageError("a baud rate is 300 at least, an inference takes 0 to 10000 ms, a turnaround 0 to 1000 ms")
    bench = run_link_bench(bauds, inference_s, turnaround_s)
    if args.json:
        print_record(results.encode(bench))
    else:
        print_link_bench(bench, stdout_console())
    return 0
