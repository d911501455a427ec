# SPDX-License-Identifier: Apache-2.0
"""Traces for people: what is in one, a stretch of it as CSV or as a plot, and what integrating it again gave.

The axis is the file's: captures follow each other on it, whatever time passed between them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from energy.replay import describe
from energy.trace import Capture, TraceReader
from host.errors import UsageError
from host.report.energy import print_lines, window_notes
from host.report.terminal import listing, say, show
from host.results.replay import Replay

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLOCK = 1 << 18
_BINS = 1600
_NAMES = 60  # operators that are narrower than such a part of the plot are not named
_LABELS = 40  # in a plot: more of them cannot be read
CURRENT, VOLTAGE, PIN, WINDOW, IDLE = "#1b6ca8", "#d9822b", "#566573", "#2e8b57", "#9aa5b1"
ORIGIN = {"measured": "measured", "emulated": "EMULATED", None: "of another program"}


def heading(trace: TraceReader) -> str:
    """What a trace is, in one line."""
    info = trace.info
    what = ORIGIN[info.provenance if info else None]
    who = f" {info.task}, {what}, by {info.monitor} ({info.idn})" if info else f" {what}"
    signals = ["current", *(["voltage"] if trace.has_voltage else []), *(["timing pin"] if trace.has_pin else [])]
    return (
        f"{trace.path.name}:{who}; {trace.rate_hz:,.10g} samples/s, {trace.samples / trace.rate_hz:.3f} s, "
        f"{', '.join(signals)}"
    )


def print_trace(trace: TraceReader, console: Console) -> None:
    """Print what a trace holds."""
    say(console, heading(trace), style="bold")
    numbers = ("from s", "to s", "samples", "lost", "window s", "live uJ")
    table = listing("capture", "what", *numbers, "remarks", numbers=numbers, optional=("live uJ", "samples"))
    for capture in trace.captures:
        table.add_row(*_row(trace, capture))
    show(console, table)
    if trace.info is not None and not trace.info.voltage_measured:
        say(console, f"voltage assumed {trace.info.voltage_v:.3f} V")


def _row(trace: TraceReader, capture: Capture) -> list[str]:
    begin, end = capture.begin, capture.end
    seen = end is not None and end.start_s is not None and end.end_s is not None
    remarks = list(end.reasons) if end else ["cut off"]
    spans = trace.operators(capture)
    if spans:
        remarks.append(f"{len(spans)} operators marked")
    inferences = f", {begin.inferences} inferences" if begin.kind == "window" and trace.info else ""
    return [
        str(begin.number),
        describe(capture) + inferences if trace.info else "the whole file",
        f"{capture.first / trace.rate_hz:.4f}",
        f"{(capture.first + capture.samples) / trace.rate_hz:.4f}",
        f"{capture.samples:,}",
        f"{trace.lost(capture):,}",
        f"{end.end_s - end.start_s:.6f}" if seen and end and end.end_s and end.start_s is not None else "-",
        f"{end.energy_j * 1e6:.6g}" if end and end.energy_j is not None else "-",
        "; ".join(remarks) or "-",
    ]


def print_replay(replay: Replay, console: Console) -> None:
    """Print what traces gave when they were integrated again."""
    monitor = replay.energy_uj.monitor
    origin = f"from a recording {ORIGIN[replay.of]}" if replay.of is None else f"from an {ORIGIN[replay.of]} recording"
    if replay.of == "measured":
        origin = "from a measured recording"
    title = f"{replay.task or ', '.join(replay.traces)}, energy of one inference, REPLAYED {origin}, by {monitor.name}"
    print_lines(f"{title} ({monitor.idn})", replay.energy_uj, console)
    say(console, *(f"note: {note}" for note in (*window_notes(replay.energy_uj), *replay.notes)))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples [first, first + samples) of a trace's axis, samples >= 1."""

    first: int
    samples: int


def stretch(trace: TraceReader, from_s: float | None, to_s: float | None) -> Stretch:
    """A part of a trace, in seconds of its axis; None: to its end. Raises UsageError where there is nothing."""
    last_s = trace.samples / trace.rate_hz
    begin_s, end_s = max(from_s or 0.0, 0.0), last_s if to_s is None else min(to_s, last_s)
    first = min(math.floor(begin_s * trace.rate_hz + 1e-6), trace.samples)
    end = min(math.ceil(end_s * trace.rate_hz - 1e-6), trace.samples)
    if end <= first:
        raise UsageError(f"{trace.path} holds nothing there: it goes from 0 to {last_s:.4f} s.")
    return Stretch(first, end - first)


def write_csv(trace: TraceReader, part: Stretch, out: TextIO) -> int:
    """Every sample of a stretch that belongs to a capture, as a row; how many. A lost sample is `nan`."""
    voltage, pin = trace.has_voltage, trace.has_pin
    out.write("time_s,capture,current_a" + ",voltage_v" * voltage + ",pin" * pin + "\n")
    row = "%.9f,%d,%.9g" + ",%.9g" * voltage + ",%d" * pin + "\n"
    written, end = 0, part.first + part.samples
    for capture in trace.captures:
        begin, stop = max(capture.first, part.first), min(capture.first + capture.samples, end)
        for first in range(begin, stop, _BLOCK):
            count = min(_BLOCK, stop - first)
            values = [column for column in trace.read(first, count) if column is not None]
            times = (first + np.arange(count)) / trace.rate_hz
            columns = [times.tolist(), [capture.begin.number] * count, *(column.tolist() for column in values)]
            out.write("".join(map(row.__mod__, zip(*columns, strict=True))))
            written += count
    return written


@dataclass(frozen=True, slots=True)
class Envelope:
    """Smallest and largest of each bin, n bins; NaN where a bin has no sample. time_s: of the bins' middles. over:
    whether a sample of the bin was overloaded."""

    time_s: NDArray[np.float64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    over: NDArray[np.bool_]


def envelopes(trace: TraceReader, part: Stretch, bins: int = _BINS) -> list[Envelope]:
    """Of current, voltage and pin, as far as they are there. One sample to a bin where there are not more."""
    size = max(-(-part.samples // bins), 1)
    count = -(-part.samples // size)
    time_s: NDArray[np.float64] = (part.first + (np.arange(count, dtype=np.float64) + 0.5) * size) / trace.rate_hz
    block = max(_BLOCK // size, 1) * size
    pieces: list[list[tuple[NDArray[np.float32], ...]]] = []
    for first in range(part.first, part.first + part.samples, block):
        values = trace.read(first, min(block, part.first + part.samples - first))
        pieces.append([_extremes(value, size) for value in values if value is not None])
    found = []
    for signal in zip(*pieces, strict=True):
        low, high = (np.concatenate(parts) for parts in zip(*signal, strict=True))
        over = np.isinf(low) | np.isinf(high)
        found.append(
            Envelope(time_s, np.where(np.isinf(low), np.nan, low), np.where(np.isinf(high), np.nan, high), over)
        )
    return found


def _extremes(values: NDArray[np.float32] | NDArray[np.bool_], size: int) -> tuple[NDArray[np.float32], ...]:
    """Of every `size` values, the last of them may be fewer; NaN counts only where there is nothing else."""
    whole = len(values) // size * size
    rows = values[:whole].reshape(-1, size)
    low = rows.all(axis=1) if values.dtype == np.bool_ else np.fmin.reduce(rows, axis=1)
    high = rows.any(axis=1) if values.dtype == np.bool_ else np.fmax.reduce(rows, axis=1)
    lows, highs = np.asarray(low, np.float32), np.asarray(high, np.float32)
    if whole < len(values):
        rest = np.asarray(values[whole:], np.float32)
        lows, highs = np.append(lows, np.fmin.reduce(rest)), np.append(highs, np.fmax.reduce(rest))
    return lows, highs


def plot(trace: TraceReader, part: Stretch, kind: str = "png") -> bytes:
    """A picture of a stretch: a panel for each signal, the range of every bin filled; windows and idle shaded."""
    # Half a second to load, and nothing else needs it.
    from matplotlib.figure import Figure  # noqa: PLC0415

    names = [("current, mA", CURRENT, 1e3)]
    if trace.has_voltage:
        names.append(("voltage, V", VOLTAGE, 1.0))
    if trace.has_pin:
        names.append(("timing pin", PIN, 1.0))
    heights = [3 if name != "timing pin" else 0.8 for name, *_ in names]
    height = 1.6 + sum(heights)
    figure = Figure(figsize=(13, height))  # laid out by hand: a layout engine takes as long as the drawing
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for panel, (name, color, scale), envelope in zip(panels, names, envelopes(trace, part), strict=True):
        _draw(panel, envelope, color, scale)
        panel.set_ylabel(name, fontsize=12)
        panel.tick_params(labelsize=11)
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xlim(part.first / trace.rate_hz, (part.first + part.samples) / trace.rate_hz)
        panel.ticklabel_format(useOffset=False)
        low, high = panel.get_ylim()
        if 0 < low < high / 2:
            panel.set_ylim(bottom=0)
    if trace.has_pin:
        panels[-1].set_yticks([0, 1], ["low", "high"])
        panels[-1].set_ylim(-0.2, 1.2)
    _shade(panels[0], list(panels), trace, part)
    _name_operators(panels[0], trace, part)
    panels[-1].set_xlabel("seconds of the file", fontsize=12)
    figure.subplots_adjust(left=0.075, right=0.99, top=1 - 0.65 / height, bottom=0.65 / height, hspace=0.08)
    figure.align_ylabels()
    title = heading(trace)
    figure.suptitle(
        title, fontsize=min(12, 1650 / len(title)), x=0.01, y=1 - 0.1 / height, ha="left", va="top", parse_math=False
    )
    out = io.BytesIO()
    if kind == "png":
        figure.savefig(out, format=kind, dpi=110, pil_kwargs={"compress_level": 3})
    else:
        figure.savefig(out, format=kind)
    return out.getvalue()


def _draw(panel: Axes, envelope: Envelope, color: str, scale: float) -> None:
    low, high = envelope.low * scale, envelope.high * scale
    if np.array_equal(low, high, equal_nan=True):
        panel.plot(envelope.time_s, low, color=color, linewidth=1.0, drawstyle="steps-mid")
    else:
        panel.fill_between(envelope.time_s, low, high, color=color, linewidth=0.8, step="mid")
    if envelope.over.any():
        top = np.full(int(envelope.over.sum()), np.nanmax(high) if np.isfinite(high).any() else 1.0)
        panel.plot(envelope.time_s[envelope.over], top, "v", color="#c0392b", label="overload")
        panel.legend(loc="upper right", frameon=False)


def _shade(top: Axes, panels: list[Axes], trace: TraceReader, part: Stretch) -> None:
    """Windows in green, idle in grey, each with its name where there is room for it."""
    begin_s, end_s = part.first / trace.rate_hz, (part.first + part.samples) / trace.rate_hz
    for left_s, right_s, name, color in list(_areas(trace, begin_s, end_s))[:_LABELS]:
        for panel in panels:
            panel.axvspan(max(left_s, begin_s), min(right_s, end_s), color=color, alpha=0.15, linewidth=0, zorder=0)
        top.annotate(
            name, ((max(left_s, begin_s) + min(right_s, end_s)) / 2, 1.0), xycoords=("data", "axes fraction"),
            ha="center", va="bottom", fontsize=10, color=color, parse_math=False,
        )  # fmt: skip


def _name_operators(panel: Axes, trace: TraceReader, part: Stretch) -> None:
    """Operators that are wide enough to be told apart: a line where each begins, its name along it."""
    begin_s, end_s = part.first / trace.rate_hz, (part.first + part.samples) / trace.rate_hz
    for capture in trace.captures:
        shift_s = capture.first / trace.rate_hz - capture.begin.t0_s
        for span in trace.operators(capture):
            left_s, right_s = max(span.start_s + shift_s, begin_s), min(span.end_s + shift_s, end_s)
            if right_s - left_s < (end_s - begin_s) / _NAMES:
                continue
            panel.axvline(left_s, color=PIN, linewidth=0.8, linestyle="dotted", zorder=3)
            panel.annotate(
                f"{span.index} {span.name}", (left_s, 0.03), xycoords=("data", "axes fraction"), xytext=(3, 0),
                textcoords="offset points", rotation=90, ha="left", va="bottom", fontsize=9, color=PIN,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1}, parse_math=False,
            )  # fmt: skip


def _areas(trace: TraceReader, begin_s: float, end_s: float) -> Iterator[tuple[float, float, str, str]]:
    for capture in trace.captures:
        begin, end = capture.begin, capture.end
        first_s = capture.first / trace.rate_hz
        if begin.kind == "idle":
            area = (first_s, first_s + capture.samples / trace.rate_hz, "idle", IDLE)
        elif end is not None and end.start_s is not None and end.end_s is not None:
            shift_s = first_s - begin.t0_s
            name = f"window {(begin.window or 0) + 1}"
            area = (end.start_s + shift_s, end.end_s + shift_s, name, WINDOW)
        else:
            continue
        if area[0] < end_s and area[1] > begin_s:
            yield area


def write_plot(trace: TraceReader, part: Stretch, path: Path) -> None:
    """A PNG or an SVG, by the file's name."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise UsageError(f"{path} has to end in .png or .svg")
    path.write_bytes(plot(trace, part, kind))
