# SPDX-License-Identifier: Apache-2.0
"""Which operator of a model took which part of a window's energy: their times laid over the power."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from energy.errors import TraceError
from energy.instrument import SampleChunk
from energy.window import PULSE_S

_PIECE = 1 << 15


def operator_energy(
    chunks: Iterable[SampleChunk],
    start_s: float,
    end_s: float,
    inferences: int,
    shares: Sequence[float],
    *,
    assumed_v: float,
    lead_s: float = PULSE_S,
) -> list[float]:
    """Joules per inference of each operator, the mean over all inferences of a window.

    chunks: of the window's capture. start_s, end_s: the window, by the instrument's clock. shares: the operators' times
    in the order in which they run, in any unit, none negative: every inference is cut in their ratio. lead_s: from the
    window's first edge to where the first inference begins; its energy is nobody's. The power inside of a sample counts
    as constant. Their sum is the window's energy over `inferences`, but for the lead. Raises TraceError when the chunks
    do not cover the window without a gap, or hold bad samples in it; ValueError for shares that cut nothing.
    """
    total = math.fsum(shares)
    if not shares or min(shares) < 0 or not 0 < total < math.inf or inferences < 1:
        raise ValueError("operators need times, none of them negative, and at least one inference")
    begin_s = start_s + lead_s
    if not begin_s < end_s:
        raise ValueError("the window ends before its first inference begins")
    parts = np.concatenate(([0.0], np.cumsum(np.asarray(shares, dtype=np.float64)) / total))
    parts[-1] = 1.0
    cutter = _Cutter(begin_s, end_s, inferences, parts)
    for chunk in chunks:
        for at in range(0, len(chunk.current_a), _PIECE):
            if cutter.done:
                break
            cutter.feed(chunk, at, min(at + _PIECE, len(chunk.current_a)), assumed_v)
    if not cutter.done:
        raise TraceError("the trace ends before the window does: its operators cannot be told apart.")
    return [float(energy_j) / inferences for energy_j in cutter.energy_j]


class _Cutter:
    """Walks along the samples and gives each stretch between two boundaries to its operator. Boundary number n is the
    begin of operator n mod m of inference n div m; there is one more at the end of the window."""

    def __init__(self, begin_s: float, end_s: float, inferences: int, parts: NDArray[np.float64]) -> None:
        self._begin_s = begin_s
        self._end_s = end_s
        self._each_s = (end_s - begin_s) / inferences
        self._parts = parts
        self._count = len(parts) - 1
        self._last = inferences * self._count
        self._next = 0
        """The boundary that comes next."""
        self._open_j = 0.0
        """Energy since the boundary before it."""
        self._reached_s: float | None = None
        self.energy_j = np.zeros(self._count)

    @property
    def done(self) -> bool:
        """The window's end was reached."""
        return self._next > self._last

    def feed(self, chunk: SampleChunk, begin: int, end: int, assumed_v: float) -> None:
        """Some samples of a chunk."""
        low_s, high_s = chunk.t0_s + begin / chunk.rate_hz, chunk.t0_s + end / chunk.rate_hz
        if high_s <= self._begin_s:
            self._reached_s = high_s
            return
        if low_s > self._begin_s:
            self._check_follows(low_s, chunk.rate_hz)
        self._reached_s = high_s
        watts = chunk.current_a[begin:end].astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            watts *= assumed_v if chunk.voltage_v is None else chunk.voltage_v[begin:end]
        first = max(0, math.floor((self._begin_s - low_s) * chunk.rate_hz))
        last = min(len(watts), math.ceil((self._end_s - low_s) * chunk.rate_hz))
        if not np.all(np.isfinite(watts[first:last])):
            raise TraceError("the window holds samples that are no number or overloaded: its operators have no energy.")
        watts[:first] = watts[last:] = 0.0
        running = np.concatenate(([0.0], np.cumsum(watts))) / chunk.rate_hz
        numbers = np.arange(self._next, self._upto(high_s))
        at = np.interp(self._times(numbers), low_s + np.arange(len(running)) / chunk.rate_hz, running)
        self._share(numbers, at)
        self._open_j += float(running[-1] - (at[-1] if len(at) else 0.0))

    def _share(self, numbers: NDArray[np.intp], at: NDArray[np.float64]) -> None:
        """Give the stretches that end at these boundaries to their operators; `at`: the running energy there."""
        if not len(numbers):
            return
        stretches = np.diff(at, prepend=0.0)
        stretches[0] += self._open_j
        owners = (numbers - 1) % self._count
        if numbers[0] == 0:  # what lies before the first inference is nobody's
            stretches[0] = 0.0
        self.energy_j += np.bincount(owners, weights=stretches, minlength=self._count)
        self._open_j = 0.0
        self._next = int(numbers[-1]) + 1

    def _times(self, numbers: NDArray[np.intp]) -> NDArray[np.float64]:
        times = self._begin_s + (numbers // self._count + self._parts[numbers % self._count]) * self._each_s
        return np.minimum(times, self._end_s)

    def _upto(self, time_s: float) -> int:
        """The first boundary that lies after a time."""
        if time_s >= self._end_s:
            return self._last + 1
        guess = max(self._next, math.floor((time_s - self._begin_s) / self._each_s - 1) * self._count)
        numbers = np.arange(guess, min(self._last, guess + 3 * self._count) + 1)
        return guess + int(np.count_nonzero(self._times(numbers) <= time_s))

    def _check_follows(self, low_s: float, rate_hz: float) -> None:
        if self._reached_s is None or (low_s - self._reached_s) * rate_hz > 0.75:
            raise TraceError("the trace has a gap in the window: its operators have no energy.")
