# SPDX-License-Identifier: Apache-2.0
"""Many results for people and programs: trends on the terminal, every run as CSV, all of it as JSON.

What was measured, emulated and replayed is never in one table, and nothing is ranked.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import TextIO

import msgspec
from rich.console import Console

from energy.uncertainty import rounded
from host.report.energy import KIND
from host.report.table import milliseconds
from host.report.terminal import listing, printable, say, show
from host.results.history import History, Row
from host.results.schema import Provenance
from host.results.trend import MAIN, UNITS, Point, Series

SCHEMA = "tinyjoule.history/1"
HEADINGS: dict[Provenance, str] = {
    "measured": "measured on boards",
    "emulated": "EMULATED: time is instructions at one per cycle, not silicon",
    "replayed": "REPLAYED from recordings",
}
_HOSTED = "a process on a machine like this, its times say nothing of a microcontroller"
_LEVELS = "_.-'^"
_TREND_WIDTH = 10
_REASON_WIDTH = 200
_TOLD = 5
_TITLES = {"instructions": "instructions", "arena": "arena, bytes", "code": "code, bytes"}


def shown(series: Sequence[Series]) -> list[Series]:
    """What a person wants to see: what a mode is run for, and of the rest what ever changed."""
    return [one for one in series if one.quantity == MAIN[one.group.mode] or not one.is_flat]


def print_history(history: History, rows: Sequence[Row], series: Sequence[Series], console: Console) -> None:
    """Print the trends of what is selected, a table for each provenance, and what could not be read."""
    told = shown(series)
    for provenance, heading in HEADINGS.items():
        some = [one for one in told if one.group.provenance == provenance]
        if some:
            hosted = [not one.group.clock_hz for one in some]
            alone = provenance == "emulated" and all(hosted)
            say(console, f"EMULATED: {_HOSTED}" if alone else heading, style="bold")
            if any(hosted) and not all(hosted):
                say(console, f"without a clock: {_HOSTED}")
            for _, kind in groupby(sorted(some, key=_kind), key=_kind):
                _print_trends(list(kind), console)
    _print_invalid(rows, console)
    sessions = len({row.folder for row in rows})
    dates = f", {_day(rows[0])} to {_day(rows[-1])}" if rows else ""
    say(
        console,
        f"{_count(len(rows), 'run')} of {_count(sessions, 'result')}{dates}; trend: from _ (least) to ^ (most), in the "
        "order of time; change: the last against the first. `host compare A B` tells whether two results differ",
    )
    for line in remarks(history):
        say(console, line)


def _kind(series: Series) -> tuple[str, str, int, str, str]:
    """What is in one table."""
    group = series.group
    return (group.board, group.core, group.clock_hz, group.mode, group.rules)


def _print_trends(series: Sequence[Series], console: Console) -> None:
    rules = "quick look" if series[0].group.rules == "quick" else series[0].group.rules
    say(console, f"{board_text(series[0])}, {series[0].group.mode}, {rules}")
    table = listing(
        "task", "what", "runs", "first", "last", "best", "change", "trend",
        numbers=("runs", "first", "last", "best", "change"), whole=("trend",),
    )  # fmt: skip
    for one in series:
        table.add_row(
            one.group.task,
            title(one),
            f"{len(one.rows)}" + (f",\n{one.invalid} INVALID" if one.invalid else ""),
            _value(one, one.first),
            point_text(one, one.last),
            _value(one, one.best),
            change_text(one),
            trend_text(one),
        )
    show(console, table)
    for task in dict.fromkeys(one.group.task for one in series if any(map(_is_synthetic, one.rows))):
        say(console, f"{task}: SYNTHETIC inputs, in some of the runs or in all", indent=2)
    for one in series:
        differing = ", ".join(f"{count} {what}" for what, count in one.differing().items())
        if differing and one.quantity == MAIN[one.group.mode]:
            days = f"{one.rows[0].created[:10]} to {one.rows[-1].created[:10]}"
            say(console, f"{one.group.task}, {days}: not all of the same, but of {differing}", indent=2)


def _is_synthetic(row: Row) -> bool:
    """Whether its inputs were made here: their name says so."""
    return "synthetic" in row.dataset.lower()


def _value(series: Series, point: Point) -> str:
    """Without its uncertainty, which the latest has beside it: it needs the room."""
    return point_text(series, point).partition(" ")[0]


def _print_invalid(rows: Sequence[Row], console: Console) -> None:
    """Runs that are no points of a trend, the latest first: they are counted beside it, and gone where all are."""
    wrong = [row for row in reversed(rows) if not row.valid]
    for row in wrong[:_TOLD]:
        reason = "; ".join(row.reasons) or "no reason given"
        where = f"{row.task} on {row.board} in {row.folder}, {KIND[row.provenance]}"
        say(console, f"INVALID: {_short(where)}: {_short(reason)}")
    if len(wrong) > _TOLD:
        say(console, f"INVALID: {len(wrong) - _TOLD} more runs; --json has all of them")


def remarks(history: History) -> Iterator[str]:
    """What is left out, one line each."""
    if history.copies:
        yield f"{_count(history.copies, 'result')} left out: copies of others"
    for refused in history.refused[:_TOLD]:
        yield f"REFUSED: {_short(refused.path)}: {_short(refused.reason)}"
    if len(history.refused) > _TOLD:
        yield f"REFUSED: {len(history.refused) - _TOLD} more; --json names all of them"


def board_text(series: Series) -> str:
    """The board with its clock."""
    clock = f" {series.group.clock_hz / 1e6:g} MHz" if series.group.clock_hz else ""
    return f"{series.group.board}{clock}"


def title(series: Series) -> str:
    """What a series is of, with its unit."""
    emulated = "emulated " if series.group.provenance == "emulated" else ""
    if series.quantity == "latency":
        return f"latency, {emulated}ms"
    if series.quantity == "energy":
        return f"{'net ' if series.kind else ''}energy, {emulated}uJ"
    return f"accuracy, {series.kind}" if series.quantity == "accuracy" else _TITLES[series.quantity]


def point_text(series: Series, point: Point) -> str:
    """A value with the digits that it is worth."""
    if series.quantity == "energy":
        return rounded(point.value, point.u)
    if series.quantity == "latency":
        return milliseconds(point.value)
    if series.quantity == "accuracy":
        return f"{point.value:.4f}" if point.row.metric == "auc" else f"{point.value:.2%}"
    return f"{point.value:,}"


def change_text(series: Series) -> str:
    """Last against first; of an accuracy, in its own unit."""
    change = series.change
    if change is None:
        return "-"
    if series.quantity == "accuracy":
        if series.rows[0].metric == "auc":
            return f"{change.value:+.4f}"
        return f"{change.value * 100:+.2f} points"
    if change.u is not None and change.u > 0 and math.isfinite(change.u):
        value, _, rest = rounded(change.value * 100, change.u * 100).partition(" ")
        sign = "+" if float(value) > 0 else ""
        return f"{sign}{value if float(value) else value.lstrip('-')} {rest} %"
    text = f"{change.value * 100:+.2f}"
    return f"{text if float(text) else text[1:]} %" if change.value else "0 %"


def trend_text(series: Series) -> str:
    """The order of time from left to right, least and most as the lowest and highest character."""
    largest = max(map(abs, series.values)) or 1.0
    values = [value / largest for value in series.values]  # sums of the largest numbers there are would be none
    bins = min(len(values), _TREND_WIDTH)
    edges = [len(values) * place // bins for place in range(bins + 1)]
    means = [math.fsum(values[left:right]) / (right - left) for left, right in pairwise(edges)]
    low, high = min(means), max(means)
    if bins < 2:
        return ""
    if not high > low:
        return "-" * bins
    return "".join(_LEVELS[round((mean - low) / (high - low) * (len(_LEVELS) - 1))] for mean in means)


def _day(row: Row) -> str:
    return row.created[:10]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _short(text: str) -> str:
    return text if len(text) <= _REASON_WIDTH else f"{text[: _REASON_WIDTH - 3]}..."


def write_csv(rows: Sequence[Row], out: TextIO) -> None:
    """A line for each run, times in microseconds and energies in microjoules; what there is none of is empty.

    Nothing in it moves a terminal's cursor, nor ends a line but the line's end.
    """
    writer = csv.writer(out, lineterminator="\n")
    names = Row.__struct_fields__
    writer.writerow(names)
    writer.writerows([_csv_cell(getattr(row, name)) for name in names] for row in rows)


def _csv_cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        value = "; ".join(map(str, value))
    return printable(value).replace("\n", "\\n") if isinstance(value, str) else value


def history_json(history: History, rows: Sequence[Row], series: Sequence[Series], plot: Path | None) -> bytes:
    """One document: every run, every series, and what is left out. Energies in microjoules, latencies in
    microseconds, change as a part of the first value (of an accuracy: the difference)."""
    document = {
        "schema": SCHEMA,
        "results": history.results,
        "copies": history.copies,
        "refused": [{"path": one.path, "reason": one.reason} for one in history.refused],
        "plot": None if plot is None else os.fsencode(plot).decode("utf-8", "backslashreplace"),
        "series": [_series_json(one) for one in series],
        "runs": rows,
    }
    return msgspec.json.encode(document) + b"\n"


def _series_json(series: Series) -> dict[str, object]:
    group, change = series.group, series.change
    return {
        "provenance": group.provenance,
        "board": group.board,
        "core": group.core,
        "clock_hz": group.clock_hz or None,
        "task": group.task,
        "mode": group.mode,
        "rules": group.rules,
        "quantity": series.quantity,
        "kind": series.kind,
        "unit": UNITS[series.quantity],
        "valid": len(series.rows),
        "invalid": series.invalid,
        "first": _point_json(series.first),
        "last": _point_json(series.last),
        "best": _point_json(series.best),
        "change": None if change is None else {"value": change.value, "u": change.u},
        "differing": series.differing(),
    }


def _point_json(point: Point) -> dict[str, object]:
    return {"value": point.value, "u": point.u, "created": point.row.created, "folder": point.row.folder}
