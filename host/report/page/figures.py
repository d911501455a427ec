# SPDX-License-Identifier: Apache-2.0
"""The static pictures of a report: one function each. They are drawn in the ink that is set, which is the page's own.

unit: "emulated " where that has to stand before a unit, else "". Colours have a contrast of 3:1 at least on white and
on the page's dark ground.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from host.report.page.pyramid import Bins, Mark, coarser

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY = "#2f7fc4", "#c9701a", "#2e9150", "#d9483b", "#7d8590"
WIDTH_IN: Final = 8.6
BESIDE_IN: Final = 5.4
"""Of a figure that stands beside its table."""
_OVERVIEW = 450  # bins: about one to a pixel and a half
_BARS = 40  # of operators; more cannot be read
_WINDOWS = 60
_NAME = 28
_MOST = 1e30


def ascii_name(text: str, length: int = _NAME) -> str:
    """A text as any font has it, and not longer than a picture has room: names of inputs differ at their ends."""
    plain = "".join(char if char.isprintable() else "?" for char in text)
    plain = plain.encode("ascii", "replace").decode()
    head = (length - 2) // 2
    return plain if len(plain) <= length else f"{plain[:head]}..{plain[head + 2 - length :]}"


def drawable(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Values that matplotlib can lay an axis along. A record may hold any number; no board takes 1e30 of anything."""
    found = np.clip(np.asarray(values, np.float64), -_MOST, _MOST)
    found[np.abs(found) < 1 / _MOST] = 0.0
    return found


def latency(values_ms: Sequence[float], median_ms: float, unit: str) -> Figure:
    """A point for each window, and a line at the median. The axis does not begin at 0."""
    figure, axes = _figure(2.2, BESIDE_IN)
    values, median_ms = drawable(values_ms[:_WINDOWS]), float(drawable([median_ms])[0])
    places = np.arange(len(values))
    axes.axhline(median_ms, color=ORANGE, linewidth=1.4, label="median")
    axes.plot(places, values, "o", color=BLUE, markersize=6, label="window")
    reach = max(float(np.abs(values - median_ms).max()), abs(median_ms) * 1e-3, 1e-9)
    axes.set_ylim(median_ms - 1.25 * reach, median_ms + 1.25 * reach)
    axes.set_xlim(-0.6, len(values) - 0.4)
    ticks = places[:: -(-len(places) // 12)]
    axes.set_xticks(ticks, [str(place + 1) for place in ticks])
    axes.set_xlabel("window")
    axes.set_ylabel(f"latency, {unit}ms")
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    axes.legend(loc="upper right", ncols=2, frameon=False, bbox_to_anchor=(1.0, 1.14))
    return _placed(figure, left_in=1.0, bottom_in=0.5, top_in=0.25)


def power(bins: Bins, marks: Sequence[Mark], duration_s: float, unit: str) -> Figure:
    """The range of the power over a whole trace; windows, idle stretches, marked operators and gaps are shaded."""
    figure, axes = _figure(2.9, WIDTH_IN)
    few = coarser(bins, max(-(-len(bins.low) // _OVERVIEW), 1))
    time_s = (np.arange(len(few.low)) + 0.5) * few.size_s
    for mark in marks:
        colour, alpha = {"window": (GREEN, 0.16), "idle": (GREY, 0.18), "gap": (RED, 0.4)}.get(mark.kind, (ORANGE, 0))
        if mark.kind == "window" and not mark.valid:
            colour = RED
        if alpha:
            axes.axvspan(mark.from_s, mark.to_s, color=colour, alpha=alpha, linewidth=0)
    for first_s, last_s in _inferences(marks):
        axes.axvspan(first_s, last_s, 0, 0.06, color=ORANGE, linewidth=0)
    _name(axes, marks, duration_s)
    # A line besides the area: where smallest and largest are the same, an area has none.
    axes.fill_between(time_s, drawable(few.low), drawable(few.high), color=BLUE, linewidth=0.8)
    axes.set_xlim(0, duration_s)
    low, high = axes.get_ylim()
    if 0 < low < high / 2:
        axes.set_ylim(bottom=0)
    axes.set_ylabel(f"power, {unit}mW")
    axes.set_xlabel("seconds of the trace")
    return _placed(figure, left_in=0.8, bottom_in=0.5, top_in=0.3)


def _inferences(marks: Sequence[Mark]) -> list[tuple[float, float]]:
    """Where operators are marked, joined."""
    joined: list[tuple[float, float]] = []
    for mark in sorted((mark for mark in marks if mark.kind == "operator"), key=lambda mark: mark.from_s):
        if joined and mark.from_s <= joined[-1][1] * (1 + 1e-9) + 1e-9:
            joined[-1] = (joined[-1][0], max(joined[-1][1], mark.to_s))
        else:
            joined.append((mark.from_s, mark.to_s))
    return joined


def _name(axes: Axes, marks: Sequence[Mark], duration_s: float) -> None:
    """Above the areas, where there is room."""
    reached = -math.inf
    for mark in sorted((mark for mark in marks if mark.kind in ("window", "idle")), key=lambda mark: mark.from_s):
        text = ascii_name(mark.name if mark.valid else f"{mark.name} NOT VALID")
        middle, half = (mark.from_s + mark.to_s) / 2, len(text) * 0.0045 * duration_s
        if middle - half < reached:
            continue
        reached = middle + half
        axes.annotate(
            text, (middle, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
            ha="center", va="bottom",
        )  # fmt: skip


def operators(
    names: Sequence[str], times_ms: Sequence[float], energies_uj: Sequence[float] | None, unit: str
) -> Figure:
    """Bars of each operator's time and, where it is known, energy, in the order in which they run."""
    shown = _largest(times_ms)
    labels = [ascii_name(names[place]) for place in shown]
    series = [(times_ms, f"time, {unit}ms", BLUE)]
    if energies_uj is not None:
        series.append((energies_uj, f"energy, {unit}µJ", ORANGE))
    chosen = [([values[place] for place in shown], title, colour) for values, title, colour in series]
    return _bars(labels, chosen, WIDTH_IN)


def _largest(values: Sequence[float]) -> list[int]:
    """Places of those that have room, in their own order."""
    return sorted(sorted(range(len(values)), key=lambda place: -values[place])[:_BARS])


def budget(names: Sequence[str], u_uj: Sequence[float], unit: str) -> Figure:
    """Bars of the terms' standard uncertainties, as they are given."""
    title = f"standard uncertainty (k = 1), {unit}µJ"
    return _bars([ascii_name(name) for name in names], [(list(u_uj), title, BLUE)], BESIDE_IN)


def _bars(labels: Sequence[str], series: Sequence[tuple[Sequence[float], str, str]], width_in: float) -> Figure:
    figure, _ = _figure(0.55 + 0.2 * len(labels), width_in, axes=False)
    panels = figure.subplots(1, len(series), sharey=True, squeeze=False)[0]
    places = np.arange(len(labels))
    for panel, (values, title, colour) in zip(panels, series, strict=True):
        panel.barh(places, drawable(values), height=0.7, color=colour)
        panel.set_xlabel(title)
        panel.spines[["top", "right"]].set_visible(False)
        panel.margins(x=0.02)
    panels[0].set_yticks(places, labels)
    panels[0].set_ylim(len(labels) - 0.4, -0.6)
    return _placed(figure, left_in=0.4 + 0.075 * max(map(len, labels), default=0), bottom_in=0.45, top_in=0.08)


def _figure(height_in: float, width_in: float, *, axes: bool = True) -> tuple[Figure, Axes]:
    # Half a second to load, and nothing else needs it.
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(width_in, height_in))
    panel = figure.subplots() if axes else None
    if panel is not None:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panel  # type: ignore[return-value]


def _placed(figure: Figure, *, left_in: float, bottom_in: float, top_in: float) -> Figure:
    """By hand: a layout engine takes as long as the drawing."""
    width_in, height_in = figure.get_size_inches()
    figure.subplots_adjust(
        left=left_in / width_in, right=1 - 0.15 / width_in, bottom=bottom_in / height_in, top=1 - top_in / height_in,
        wspace=0.06,
    )  # fmt: skip
    return figure
