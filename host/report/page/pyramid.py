# SPDX-License-Identifier: Apache-2.0
"""The power of a trace in as many bytes as a page can bear: its smallest and largest value in bins of several widths,
and every sample around the windows' edges.

The payload is JSON, version 1; the axis is seconds of the file, as `host trace` has it:

    {"version": 1, "task": "kws01", "rate_hz": 100000.0, "duration_s": 3.6, "scale_mw": [lo, hi],
     "levels":  [{"bin_s": .., "t0_s": 0.0, "n": .., "low": B64, "high": B64}, ...]   coarse to fine
     "details": [{"t0_s": .., "dt_s": .., "n": .., "mw": B64}, ...]                   in the order of time, not touching
     "marks":   [{"kind": "window" | "idle" | "operator" | "gap", "name": "window 1", "from_s": .., "to_s": ..,
                  "valid": true, "note": ""}, ...]                                    in the order of time, by kind}

B64 is base64 of zlib of n codes, 16 bits each, little endian: the power in mW is lo + code (hi - lo) / 65534; the code
65535 says that nothing is there. Bin i of a level is from t0_s + i bin_s to one bin_s later, sample i of a detail from
t0_s + i dt_s to one dt_s later. The bins of a level are whole numbers of those of the next, finer one.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from energy.trace import Capture, TraceReader

BUDGET_BYTES: Final = 110_000
"""Of one payload, if a page does not give it less."""
LEVEL_STEP: Final = 4
NOTHING: Final = 65535
_CODES: Final = 65534
_BINS = 8192  # of the finest level, at most
_COARSEST = 512
_LEVELS_PART = 0.45  # of the budget; the details get what is left
_BLOCK = 1 << 18
_MAX_MARKS = 300  # of one kind
_FEWEST = 8  # samples on each side of an edge: fewer tell nothing

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of a trace. kind: window, idle, operator or gap. valid: whether it counted. note: why not."""

    kind: str
    name: str
    from_s: float
    to_s: float
    valid: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bins:
    """Smallest and largest power of each `size` samples, mW; NaN where there is none. size_s: the width of a bin."""

    size_s: float
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Pyramid:
    """What a page holds of a trace. overview: bins for a static plot. lost, overloads: samples inside of captures that
    are not there, and that were too large to be measured."""

    text: str
    overview: Bins
    marks: tuple[Mark, ...]
    lost: int
    overloads: int


def pyramid(
    trace: TraceReader, marks: Sequence[Mark], task: str, voltage_v: float, budget: int = BUDGET_BYTES
) -> Pyramid:
    """Read a trace, in blocks, and pack its power. voltage_v: where the voltage was not measured. marks: windows, idle
    stretches and operators; gaps are found here. budget: bytes of the text, which may be exceeded only by marks.

    Raises TraceError where the file is damaged.
    """
    size = max(-(-trace.samples // _BINS), 1)
    found = _scan(trace, size, voltage_v)
    everything = tuple(_limited([*marks, *_gaps(found, size / trace.rate_hz)]))
    lo, hi = _scale(found.low, found.high)
    head = {
        "version": 1,
        "task": task,
        "rate_hz": trace.rate_hz,
        "duration_s": trace.samples / trace.rate_hz,
        "scale_mw": [lo, hi],
    }
    tail = [
        {"kind": mark.kind, "name": mark.name, "from_s": _micro(mark.from_s), "to_s": _micro(mark.to_s),
         "valid": mark.valid, "note": mark.note}
        for mark in everything
    ]  # fmt: skip
    left = budget - len(_json(head)) - len(_json(tail)) - 64
    pack = Packer(lo, hi)
    bins = Bins(size / trace.rate_hz, found.low, found.high)
    levels = _levels(bins, pack, round(left * _LEVELS_PART))
    details = _details(trace, everything, voltage_v, pack, left - len(_json(levels)))
    text = _json(head | {"levels": levels, "details": details, "marks": tail})
    return Pyramid(text, bins, everything, int(found.lost.sum()), int(found.over.sum()))


@dataclass(frozen=True, slots=True)
class Packer:
    """Power in mW as codes, between lo and hi > lo."""

    lo: float
    hi: float

    def __call__(self, mw: Floats) -> str:
        """The codes, packed. NaN is nothing."""
        with np.errstate(invalid="ignore"):
            codes = np.rint((mw - self.lo) / (self.hi - self.lo) * _CODES).clip(0, _CODES)
        codes[np.isnan(mw)] = NOTHING
        return base64.b64encode(zlib.compress(codes.astype("<u2").tobytes(), 9)).decode()


@dataclass(frozen=True, slots=True)
class _Scan:
    """Per bin: power, mW; lost samples and overloaded ones inside of captures."""

    low: Floats
    high: Floats
    lost: NDArray[np.int64]
    over: NDArray[np.int64]


def _scan(trace: TraceReader, size: int, voltage_v: float) -> _Scan:
    parts: list[tuple[NDArray[Any], ...]] = []
    block = max(_BLOCK // size, 1) * size
    for first in range(0, trace.samples, block):
        count = min(block, trace.samples - first)
        power = _power(trace, first, count, voltage_v)
        nothing, over = np.isnan(power), np.isinf(power)
        power[over] = np.nan
        starts = np.arange(0, count, size)
        missing = nothing & _inside(trace.captures, first, count)
        parts.append(
            (
                np.fmin.reduceat(power, starts),
                np.fmax.reduceat(power, starts),
                np.add.reduceat(missing, starts, dtype=np.int64),
                np.add.reduceat(over, starts, dtype=np.int64),
            )
        )
    return _Scan(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _power(trace: TraceReader, first: int, count: int, voltage_v: float) -> Floats:
    """mW of every sample; NaN: nothing there, infinite: overloaded."""
    current, voltage, _ = trace.read(first, count)
    power = current.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        overloaded = np.isinf(power) if voltage is None else np.isinf(power) | np.isinf(voltage)
        power *= voltage_v if voltage is None else voltage
        power *= 1e3
    power[overloaded] = np.inf  # not what infinity times nothing gives
    return power


def _inside(captures: Iterable[Capture], first: int, count: int) -> NDArray[np.bool_]:
    """Which samples belong to a capture: between them the file is filled up."""
    inside = np.zeros(count, np.bool_)
    for capture in captures:
        inside[max(capture.first - first, 0) : max(capture.first + capture.samples - first, 0)] = True
    return inside


def _scale(low: Floats, high: Floats) -> tuple[float, float]:
    if not np.isfinite(low).any():
        return 0.0, 1.0
    lo, hi = float(np.nanmin(low)), float(np.nanmax(high))
    return lo, hi if hi > lo else lo + max(abs(lo), 1.0) * 1e-3


def coarser(bins: Bins, factor: int) -> Bins:
    """`factor` bins as one; the last may be of fewer."""
    starts = np.arange(0, len(bins.low), factor)
    return Bins(bins.size_s * factor, np.fmin.reduceat(bins.low, starts), np.fmax.reduceat(bins.high, starts))


def _levels(bins: Bins, pack: Packer, budget: int) -> list[dict[str, Any]]:
    """Coarse to fine, in at most so many bytes if that is possible."""
    while True:
        levels: list[dict[str, Any]] = []
        level = bins
        while True:
            levels.insert(0, _level(level, pack))
            if len(level.low) <= _COARSEST:
                break
            level = coarser(level, LEVEL_STEP)
        if len(_json(levels)) <= budget or len(bins.low) <= _COARSEST:
            return levels
        bins = coarser(bins, 2)


def _level(bins: Bins, pack: Packer) -> dict[str, Any]:
    return {"bin_s": bins.size_s, "t0_s": 0.0, "n": len(bins.low), "low": pack(bins.low), "high": pack(bins.high)}


def _details(
    trace: TraceReader, marks: Sequence[Mark], voltage_v: float, pack: Packer, budget: int
) -> list[dict[str, Any]]:
    """Every sample around the edges of the windows and where operators are marked, as far as the budget reaches."""

    def packed(first: int, count: int) -> dict[str, Any]:
        mw = _power(trace, first, count, voltage_v)
        mw[np.isinf(mw)] = np.nan
        return {"t0_s": first / trace.rate_hz, "dt_s": 1 / trace.rate_hz, "n": count, "mw": pack(mw)}

    radius = trace.samples
    spans = [mark for mark in marks if mark.kind == "operator"]
    room = budget  # samples: a first guess of a byte each, far above what fits
    while radius >= _FEWEST:
        stretches = _stretches(trace, marks, spans, radius)
        samples = sum(end - first for first, end in stretches)
        if samples <= room:
            details = [packed(first, end - first) for first, end in stretches]
            size = len(_json(details))
            if size <= budget:
                return details
            room = min(round(samples * 0.97 * budget / size), samples - 1)
        radius = _radius(trace, marks, spans, room, radius)
        if radius < _FEWEST and spans:  # an inference that takes too much room
            spans, radius = spans[: len(spans) // 2], trace.samples
    return []


def _radius(trace: TraceReader, marks: Sequence[Mark], spans: Sequence[Mark], room: int, below: int) -> int:
    """The largest below the last one with which the stretches take so many samples at most; 0: there is none."""
    low, high = 0, below - 1
    while low < high:
        middle = (low + high + 1) // 2
        if sum(end - first for first, end in _stretches(trace, marks, spans, middle)) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def _stretches(trace: TraceReader, marks: Sequence[Mark], spans: Sequence[Mark], radius: int) -> list[tuple[int, int]]:
    """[first, end) in samples, in order, joined where they touch."""
    wanted = []
    for mark in marks:
        if mark.kind == "window":
            for edge_s in (mark.from_s, mark.to_s):
                edge = round(edge_s * trace.rate_hz)
                wanted.append((edge - radius, edge + radius))
    for span in spans:
        wanted.append((round(span.from_s * trace.rate_hz) - _FEWEST, round(span.to_s * trace.rate_hz) + _FEWEST))
    joined: list[tuple[int, int]] = []
    for first, end in sorted((max(first, 0), min(end, trace.samples)) for first, end in wanted):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif end > first:
            joined.append((first, end))
    return joined


def _gaps(found: _Scan, size_s: float) -> list[Mark]:
    """Stretches of bins in which samples were lost or overloaded."""

    def runs(bad: NDArray[np.int64], note: Callable[[int], str]) -> list[Mark]:
        edges = np.flatnonzero(np.diff(np.concatenate(([False], bad > 0, [False])).astype(np.int8)))
        return [
            Mark("gap", "gap", first * size_s, end * size_s, valid=False, note=note(int(bad[first:end].sum())))
            for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        ]

    return [
        *runs(found.lost, lambda count: f"{count} samples are not there"),
        *runs(found.over, lambda count: f"{count} samples were overloaded"),
    ]


def _limited(marks: Iterable[Mark]) -> list[Mark]:
    """In the order of time within each kind, and no more of one than a plot can show."""
    chosen = []
    for kind in ("window", "idle", "operator", "gap"):
        of_kind = sorted((mark for mark in marks if mark.kind == kind), key=lambda mark: mark.from_s)
        chosen += of_kind[:_MAX_MARKS]
    return chosen


def _micro(time_s: float) -> float:
    return round(time_s, 9)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
