# SPDX-License-Identifier: Apache-2.0
"""`host history`: many result folders as one table of trends, as CSV, JSON or a plot."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from host.cli._arguments import positive
from host.cli._json import add_json_argument, print_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from host.results.history import History, Row

SUMMARY = "gather many result folders into one table of trends, or a plot"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host history`."""
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("results"), metavar="DIR",
        help="the folder that holds result folders, at any of 8 levels (default: results)",
    )  # fmt: skip
    parser.add_argument("--task", metavar="T", help="only this task")
    parser.add_argument("--board", metavar="B", help="only this board")
    parser.add_argument("--provenance", choices=("measured", "emulated", "replayed"), help="only what is this")
    parser.add_argument("--last", type=positive, metavar="N", help="only the last N runs of each kind")
    form = parser.add_mutually_exclusive_group()
    add_json_argument(form)
    form.add_argument("--csv", action="store_true", help="print every run as a line of CSV")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the trends, a .png or a .svg")


def run(args: argparse.Namespace) -> int:
    """Print what there is: 0, with whatever could not be read named."""
    from host.report.history import history_json, print_history, remarks, write_csv
    from host.report.terminal import say, stderr_console, stdout_console
    from host.results.history import read_history
    from host.results.trend import selected, trends

    if args.plot is not None:
        from host.report.history_plot import plot_kind

        plot_kind(args.plot)  # before thousands of files are read
    history = read_history(args.folder)
    rows = selected(history, task=args.task, board=args.board, provenance=args.provenance, last=args.last)
    _check_found(args, history, rows)
    series = trends(rows)
    if args.plot is not None:
        from host.report.history_plot import write_plot

        write_plot(series, args.plot)
    if args.json:
        print_record(history_json(history, rows, series, args.plot))
        return 0
    if args.csv:
        write_csv(rows, sys.stdout)
        say(stderr_console(), *remarks(history))
    else:
        print_history(history, rows, series, stdout_console())
    if args.plot is not None:
        say(stderr_console() if args.csv else stdout_console(), f"plot: {args.plot}")
    return 0


def _check_found(args: argparse.Namespace, history: History, rows: Sequence[Row]) -> None:
    """Raises HostError where nothing could be read, UsageError where nothing is what was asked for."""
    from host.errors import HostError, UsageError

    if not history.results:
        first = history.refused[0]
        raise HostError(
            f"none of {len(history.refused)} files in {args.folder} is a result that can be read; the first is "
            f"{first.path!r}: {first.reason[:200]!r}. Name the folder that `host bench` writes to."
        )
    if history.rows and not rows:
        tasks = sorted({row.task for row in history.rows})
        boards = sorted({row.board for row in history.rows})
        kinds = sorted({row.provenance for row in history.rows})
        raise UsageError(
            f"no run in {args.folder} is that. There are the tasks {_names(tasks)}, the boards {_names(boards)}; "
            f"{_names(kinds)}."
        )


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(ascii(name)[1:-1][:60] for name in names[:20]) + more
