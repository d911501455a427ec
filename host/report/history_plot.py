# SPDX-License-Identifier: Apache-2.0
"""Trends as a picture: a panel for each task, provenance and quantity, a line for each board and rules.

What was measured, emulated and replayed is in panels of its own, with the word above it and markers of its own.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host.errors import UsageError
from host.report.energy import KIND
from host.report.history import board_text, title
from host.results.record import write_file
from host.results.trend import MAIN, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = 24
"""More of them are left out, and it is said: nobody looks at them."""
_LINES = 8
_NAME = 60
_MARKERS = {"measured": "o", "emulated": "s", "replayed": "^"}
_COLOURS = ("#1b6ca8", "#d9822b", "#2e8b57", "#8e44ad", "#c0392b", "#566573", "#b7950b", "#117a65")
_LARGEST = 1e30
_DRAWN = 200  # points of a line: with more of them, markers and bars would be a blot


def plot_kind(path: Path) -> str:
    """What kind of picture a file's name asks for. Raises UsageError."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise UsageError(f"{path} has to end in .png or .svg")
    return kind


def write_plot(series: Sequence[Series], path: Path) -> None:
    """A PNG or an SVG, by the file's name. Raises UsageError where there is nothing to draw."""
    write_file(path, plot(series, plot_kind(path)), "--plot")


def plot(series: Sequence[Series], kind: str) -> bytes:
    """The picture; the same series give the same bytes. Raises UsageError without any valid run."""
    # Half a second to load, and nothing else needs it.
    from matplotlib import rc_context  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    panels = _panels(series)
    if not panels:
        raise UsageError("there is no valid run to draw.")
    left_out = max(len(panels) - PANELS, 0)
    names = list(panels)[:PANELS]
    columns = min(len(names), 2)
    rows = -(-len(names) // columns)
    # Names are anybody's: nothing in them is a formula.
    with rc_context({"text.parse_math": False, "svg.hashsalt": "tinyjoule", "svg.fonttype": "none"}):
        width, height = 7.0 * columns, 3.2 * rows + 0.4
        figure = Figure(figsize=(width, height))  # laid out by hand: a layout engine takes longer than the drawing
        figure.subplots_adjust(
            left=1.0 / width, right=1 - 0.2 / width, top=1 - 0.3 / height, bottom=0.9 / height, wspace=0.19, hspace=0.42
        )
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, name in zip(grid, names, strict=False):
            _draw(panel, panels[name])
        for panel in grid[len(names) :]:
            panel.set_visible(False)
        if left_out:
            figure.text(
                0.01, 0.1 / height, f"{left_out} more panels left out: choose with --task or --board", fontsize=9
            )
        out = io.BytesIO()
        # No date: the same trends are the same file.
        figure.savefig(out, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else {})
    return out.getvalue()


def _panels(series: Sequence[Series]) -> dict[tuple[str, ...], list[Series]]:
    """What each mode is run for, together what may be seen on one axis."""
    panels: dict[tuple[str, ...], list[Series]] = {}
    for one in map(_drawable, series):
        group = one.group
        if one.quantity == MAIN[group.mode] and one.values:
            # A microsecond that is emulated at one clock is not worth one at another.
            clock = str(group.clock_hz) if group.provenance == "emulated" and one.quantity == "latency" else ""
            panels.setdefault((group.provenance, group.task, one.quantity, one.kind, clock), []).append(one)
    return panels


def _drawable(series: Series) -> Series:
    """Without what is on no axis: a figure that large was never measured, and drawing overflows on it."""
    places = [
        place for place, value in enumerate(series.values)
        if abs(value) < _LARGEST and (series.rows[place].u_uj or 0.0) < _LARGEST
    ]  # fmt: skip
    if len(places) == len(series.values):
        return series
    rows, values = [series.rows[place] for place in places], [series.values[place] for place in places]
    return replace(series, rows=rows, values=values)


def _draw(panel: Axes, lines: list[Series]) -> None:
    first = lines[0]
    scale = {"latency": 1e-3, "accuracy": 100.0 if first.kind.startswith("top1") else 1.0}.get(first.quantity, 1.0)
    for one, colour in zip(lines[:_LINES], _COLOURS, strict=False):
        times: Any = [datetime.fromisoformat(row.created) for row in one.rows]
        values = [value * scale for value in one.values]
        few = len(values) <= _DRAWN
        marker = _MARKERS[one.group.provenance] if few else ""
        label = _safe(f"{board_text(one)}, {one.group.rules}")
        if few and one.quantity == "energy" and any(row.u_uj is not None for row in one.rows):
            bars = [math.nan if row.u_uj is None else row.u_uj for row in one.rows]  # without one: no bar, but a marker
            panel.errorbar(
                times, values, bars, color=colour, marker=marker, markersize=4, linewidth=1, capsize=2, label=label
            )
        else:
            panel.plot(times, values, color=colour, marker=marker, markersize=4, linewidth=1, label=label)
    panel.set_title(_safe(f"{first.group.task}, {KIND[first.group.provenance]}"), fontsize=11, loc="left")
    panel.set_ylabel(_safe(title(first)) + (", %" if scale == 100.0 else ""), fontsize=9)
    panel.tick_params(labelsize=8)
    panel.tick_params(axis="x", rotation=20)
    panel.ticklabel_format(axis="y", useOffset=False)
    panel.grid(visible=True, alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.margins(y=0.15)
    note = [f"{len(lines) - _LINES} more left out"] if len(lines) > _LINES else []
    panel.legend(loc="best", fontsize=8, frameon=False, title=", ".join(note) or None, title_fontsize=8)


def _safe(text: str) -> str:
    """What any font has, and no more than fits."""
    plain = text.encode("unicode_escape").decode("ascii")
    return plain if len(plain) <= _NAME else f"{plain[: _NAME - 3]}..."
