# SPDX-License-Identifier: Apache-2.0
"""`host compare`: whether one result differs from another, and gates for continuous integration."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from host.cli._json import add_json_argument, print_record

if TYPE_CHECKING:
    from host.results.compare import Side

SUMMARY = "say per task whether one result differs from another, and how sure that is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host compare`."""
    parser.add_argument("a", type=Path, metavar="A", help="the result to hold the other against: its folder")
    parser.add_argument("b", type=Path, metavar="B", help="the result that may differ")
    # `first/* again/*` is more than two when a session was tried again.
    parser.add_argument("more", type=Path, nargs="*", help=argparse.SUPPRESS)
    parser.add_argument(
        "--fail-if",
        action="append",
        default=[],
        metavar="GATE",
        help='exit 1 when B is so much worse: "energy>2%%", "accuracy<-0.5%%" (points); also latency, instructions, '
        "arena, size; may be given again",
    )
    parser.add_argument("--markdown", action="store_true", help="print Markdown for a pull request")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the comparison; 1 when a gate fails."""
    from host.errors import UsageError
    from host.report.compare import gate_lines, markdown, print_comparison
    from host.report.terminal import say, stderr_console, stdout_console
    from host.results import compare
    from host.results.gate import parse_gate

    if args.json and args.markdown:
        raise UsageError("--json and --markdown do not go together: ask for one of them.")
    if args.more:
        named = ", ".join(str(path) for path in (args.a, args.b, *args.more))
        raise UsageError(f"two results are compared, and these are {2 + len(args.more)}: {named}. Name two of them.")
    gates = [parse_gate(text) for text in args.fail_if]
    a, b = _side(args.a), _side(args.b)
    comparison = compare.compare(a, b, gates)
    if args.json:
        print_record(compare.encode(comparison))
    elif args.markdown:
        sys.stdout.write(markdown(comparison, (a.result, b.result)))
    else:
        print_comparison(comparison, (a.result, b.result), stdout_console())
    if args.json or args.markdown:  # whoever reads a log shall see why it stops
        say(stderr_console(), *gate_lines(comparison.gates, passed=False))
    return 0 if comparison.passed else 1


def _side(path: Path) -> Side:
    from host.results.compare import Side
    from host.results.record import read_result

    folder = path if path.is_dir() else path.parent
    name = str(path).encode("utf-8", "backslashreplace").decode()
    return Side(name, folder, read_result(path))
