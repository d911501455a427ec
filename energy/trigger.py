# SPDX-License-Identifier: Apache-2.0
"""Windows of an instrument that sees the first falling edge only, as its trigger: t = 0.

The end comes from the board's own time and from the power edge: after a window the board says what it found and goes to
sleep. What it does in between takes the same time after one inference as after many, so a short capture made before
tells how far the window's end lies before the power edge, and both together how the two clocks run:

    ratio = (T_n - T_1) / (edge_n - edge_1)          T: the board's time; edge: the fall of the power
    end = PULSE_S + T_n / ratio
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy.errors import InstrumentError
from energy.instrument import SampleChunk
from energy.integrate import Sums, sum_samples
from energy.stream import NEAR, Stream, row
from energy.window import CLOCK_LIMIT, PULSE_S, U_PULSE_S, Reading, bad_samples, clock_reasons, incomplete

_BLOCK = 1 << 16
_BLOCKS = 64
"""Raw samples that are kept: 4 million, 34 MB. The window's end has to be among them."""

_GAPS = 1000
"""Gaps that are remembered; one is enough to make a window invalid."""

_SLEEP_SAMPLES = 20
_SLEEP_S = 0.01
"""The board has to sleep for so long, both, after the power edge."""

_STEP = 0.2
"""The power has to fall by this part of what it was."""

_U_EDGE = 0.1
"""Standard uncertainty of the power edge in samples, at the best: nobody knows how the step lies to the event."""


@dataclass(frozen=True, slots=True)
class TriggerReference:
    """A short capture: its window by the board's own clock, its power edge by the instrument's, and how well that is
    known (standard uncertainty), all in seconds. u_tail_s: by how much what the board does after a window may differ
    from one window to another, such as a digit more to send."""

    device_s: float
    edge_s: float
    u_edge_s: float
    u_tail_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _PowerEdge:
    time_s: float
    u_s: float


@dataclass(slots=True)
class _Block:
    """Raw samples in a row, without a gap inside. first: the number of its first one, lost ones counted too."""

    first: int
    current_a: NDArray[np.float32]
    voltage_v: NDArray[np.float32] | None
    filled: int = 0

    @property
    def end(self) -> int:
        return self.first + self.filled


class TriggerMeter:
    """One triggered capture: a window, or the short reference. Memory is bounded: 34 MB of samples and sums."""

    def __init__(self, assumed_v: float, trigger_s: float = 0.0) -> None:
        """assumed_v: taken where the voltage is not measured. trigger_s: from the edge to t = 0, +- limit."""
        self._assumed_v = assumed_v
        self._trigger_s = trigger_s
        self._stream = Stream()
        self._blocks: deque[_Block] = deque()
        self._before = Sums()
        """Of blocks that are no longer kept."""
        self._voltage_measured = True
        self._next = 0
        self._gaps: list[tuple[int, int]] = []
        """Sample numbers of gaps, and how many samples are missing in each."""
        self._start_w = 0.0

    @property
    def stream_s(self) -> float:
        """How far the capture has come, by the instrument's clock."""
        return self._stream.end_s

    def feed(self, chunk: SampleChunk) -> None:
        """The next samples of the capture."""
        first = not self._blocks and not self._next
        lost = self._stream.follow(chunk)
        if first and chunk.t0_s > 0.5 / chunk.rate_hz:
            lost = max(lost, round(chunk.t0_s * chunk.rate_hz))
        if lost:
            if len(self._gaps) < _GAPS:
                self._gaps.append((self._next, lost))
            self._next += lost
        if first:
            self._start_w = float(np.mean(row(chunk, 0, 2, self._assumed_v)[:, 0]))
        self._voltage_measured &= chunk.voltage_v is not None
        begin = 0
        while begin < len(chunk.current_a):
            block = self._open_block(with_voltage=chunk.voltage_v is not None, new=lost > 0 and begin == 0)
            count = min(len(chunk.current_a) - begin, _BLOCK - block.filled)
            into = slice(block.filled, block.filled + count)
            block.current_a[into] = chunk.current_a[begin : begin + count]
            if block.voltage_v is not None and chunk.voltage_v is not None:
                block.voltage_v[into] = chunk.voltage_v[begin : begin + count]
            block.filled += count
            self._next += count
            begin += count

    def settled(self, device_s: float) -> bool:
        """The board has gone to sleep after a window that took it device_s, and sleeps for a while."""
        return self._power_edge(device_s) is not None

    def reference(self, device_s: float) -> TriggerReference:
        """What a short capture tells. Raises InstrumentError when it is not sound."""
        edge = self._power_edge(device_s)
        if self._gaps or edge is None:
            why = "; ".join(self._bad_samples()) or self._no_edge(device_s)
            raise InstrumentError(f"the short capture before the windows is no use: {why}. Measure again.")
        return TriggerReference(device_s, edge.time_s, edge.u_s)

    def finish(self, device_s: float | None, reference: TriggerReference | None, range_switches: int = 0) -> Reading:
        """The window. device_s: how long it took by the board's own clock."""
        reasons = self._stream.reasons()
        edge = self._power_edge(device_s) if device_s is not None and 0 < device_s < math.inf else None
        if self._next == 0:
            reasons.append("the trigger never came: is the timing pin wired to the trigger input?")
        elif device_s is None:
            reasons.append("the board does not tell its own time, and a triggered window has no end without it")
        elif edge is None:
            reasons += clock_reasons(device_s, self._stream.end_s, 0.0) if device_s > self._stream.end_s else []
            reasons.append(self._no_edge(device_s))
        if device_s is None or edge is None:
            return self._incomplete(device_s, range_switches, reasons)
        if reference is None or device_s < 1.5 * reference.device_s:
            reasons.append("the window has to be longer than the short capture before it, which has to be there")
            return self._incomplete(device_s, range_switches, reasons)
        return self._reading(device_s, edge, reference, range_switches, reasons)

    def _reading(
        self, device_s: float, edge: _PowerEdge, reference: TriggerReference, range_switches: int, reasons: list[str]
    ) -> Reading:
        longer_s, later_s = device_s - reference.device_s, edge.time_s - reference.edge_s
        if later_s <= 0:
            reasons.append("the power fell earlier than after one inference, though the board took longer")
            return self._incomplete(device_s, range_switches, reasons)
        end_s = PULSE_S + device_s * later_s / longer_s
        u_edges_s = math.hypot(edge.u_s, reference.u_edge_s, reference.u_tail_s) * device_s / longer_s
        u_end_s = math.hypot(u_edges_s, U_PULSE_S)
        if end_s - edge.time_s > 3 * u_end_s + 1 / self._stream.rate_hz:
            reasons.append("the power fell before the window's end by the board's own time")
        end_s = min(end_s, edge.time_s)
        sums, lost = self._until(end_s), sum(count for at, count in self._gaps if at < self._index(edge.time_s))
        if sums is None:
            reasons.append(f"what the board does after a window lasts too long: {_BLOCK * _BLOCKS} samples are kept")
            return self._incomplete(device_s, range_switches, reasons)
        reasons += bad_samples("window", lost, sums)
        rate_hz = self._stream.rate_hz
        return Reading(
            complete=math.isfinite(sums.power_w) and end_s > 0,
            start_s=0.0,
            end_s=end_s,
            energy_j=sums.power_w / rate_hz,
            charge_c=sums.current_a / rate_hz,
            flux_vs=sums.voltage_v / rate_hz,
            start_w=self._start_w,
            end_w=self._power_near(self._index(end_s)),
            u_start_s=self._trigger_s / math.sqrt(3),
            u_end_s=u_end_s,
            rate_hz=rate_hz,
            samples=sums.samples,
            lost=lost,
            nans=sums.nans,
            overloads=sums.overloads,
            range_switches=range_switches,
            device_s=device_s,
            voltage_measured=self._voltage_measured,
            reasons=(*reasons, *clock_reasons(device_s, end_s, u_end_s)),
        )

    def _incomplete(self, device_s: float | None, range_switches: int, reasons: list[str]) -> Reading:
        return incomplete(
            self._stream.rate_hz,
            [*reasons, *self._bad_samples()],
            self._all(),
            sum(count for _, count in self._gaps),
            range_switches,
            device_s,
            voltage_measured=self._voltage_measured,
        )

    def _all(self) -> Sums:
        """Sums of the whole capture."""
        sums = Sums()
        sums.add(self._before)
        for block in self._blocks:
            sums.add(self._sum(block, block.filled))
        return sums

    def _bad_samples(self) -> list[str]:
        return bad_samples("capture", sum(count for _, count in self._gaps), self._all())

    def _no_edge(self, device_s: float) -> str:
        if device_s * self._stream.rate_hz < NEAR + 2:
            return f"{device_s * 1e3:.3g} ms are too short for {self._stream.rate_hz:g} samples a second: take more"
        return "the power shows no clear fall after the window: the board has to go to sleep when it has answered"

    def _index(self, time_s: float) -> int:
        """The sample that holds a time."""
        return math.floor(time_s * self._stream.rate_hz)

    def _open_block(self, *, with_voltage: bool, new: bool) -> _Block:
        """The block that the next samples go into."""
        if self._blocks and not new and self._blocks[-1].filled < _BLOCK:
            last = self._blocks[-1]
            if (last.voltage_v is not None) == with_voltage:
                return last
        if len(self._blocks) == _BLOCKS:
            oldest = self._blocks.popleft()
            self._before.add(self._sum(oldest, oldest.filled))
        voltage_v = np.empty(_BLOCK, dtype=np.float32) if with_voltage else None
        self._blocks.append(_Block(self._next, np.empty(_BLOCK, dtype=np.float32), voltage_v))
        return self._blocks[-1]

    def _sum(self, block: _Block, count: int, begin: int = 0) -> Sums:
        voltage_v = None if block.voltage_v is None else block.voltage_v[begin:count]
        return sum_samples(block.current_a[begin:count], voltage_v, self._assumed_v)

    def _until(self, time_s: float) -> Sums | None:
        """Sums from t = 0 to a time, the last sample in part; None when it lies before what is kept."""
        last, part = self._index(time_s), time_s * self._stream.rate_hz % 1.0
        if not self._blocks or (self._before.samples and last < self._blocks[0].first):
            return None
        total = Sums()
        total.add(self._before)
        for block in self._blocks:
            if block.first <= last:
                total.add(self._sum(block, min(block.filled, last - block.first)))
            if block.first <= last < block.end:
                total.add_part(self._sum(block, last - block.first + 1, last - block.first), part)
        return total

    def _powers(self, begin: int, end: int) -> NDArray[np.float64]:
        """Samples by their numbers, in watts; fewer where some are lost or no longer kept."""
        pieces = []
        for block in self._blocks:
            low, high = max(begin, block.first), min(end, block.end)
            if low < high:
                inside = slice(low - block.first, high - block.first)
                amperes = block.current_a[inside].astype(np.float64)
                with np.errstate(invalid="ignore", over="ignore"):
                    pieces.append(amperes * (self._assumed_v if block.voltage_v is None else block.voltage_v[inside]))
        return np.concatenate(pieces) if pieces else np.empty(0)

    def _power_near(self, at: int) -> float:
        """The highest right around a sample: a window's end may lie on either side of the fall into sleep."""
        powers = self._powers(max(at - 1, 0), min(at + 2, self._next))
        return float(np.max(np.abs(powers))) if len(powers) else 0.0

    def _power_edge(self, device_s: float) -> _PowerEdge | None:
        """The first lasting fall of the power near the end of a window or after it."""
        rate_hz = self._stream.rate_hz
        asleep = max(_SLEEP_SAMPLES, math.ceil(_SLEEP_S * rate_hz)) if rate_hz else 0
        earliest = max(NEAR + 1, self._index(device_s * (1 - 1.5 * CLOCK_LIMIT)))
        if not rate_hz or self._next < earliest + asleep + NEAR:
            return None
        oldest = self._blocks[0].first
        head = self._powers(max(oldest, earliest - _BLOCK), earliest)
        powers = self._powers(earliest - NEAR - 1, self._next)
        sound = np.isfinite(head)
        whole = len(powers) == self._next - earliest + NEAR + 1
        if not whole or not np.all(np.isfinite(powers)) or not np.any(sound):
            return None
        awake_w = float(np.mean(head[sound]))
        running = np.concatenate(([0.0], np.cumsum(powers)))
        ahead_w = (running[asleep:] - running[:-asleep]) / asleep  # mean of the `asleep` samples from each on
        low = float(np.min(ahead_w))
        middle = (awake_w + low) / 2
        if awake_w - low < _STEP * awake_w:
            return None
        count = len(ahead_w)
        falls = (powers[1:count] < middle) & (powers[: count - 1] >= middle) & (ahead_w[1:] < (middle + low) / 2)
        soon_w = (running[NEAR:] - running[:-NEAR]) / NEAR  # a dip right before the end has power behind it
        falls &= soon_w[2 : count + 1] < (middle + low) / 2
        falls[:NEAR] = False
        found = np.flatnonzero(falls)
        return self._place(powers, int(found[0]) + 1, earliest - NEAR - 1) if len(found) else None

    def _place(self, powers: NDArray[np.float64], at: int, first: int) -> _PowerEdge | None:
        """The edge inside of the samples at - 1 and `at`, the first low one, by their area."""
        before, after = powers[max(0, at - 1 - NEAR) : at - 1], powers[at + 1 : at + 1 + NEAR]
        if len(before) < 2 or len(after) < 2:
            return None
        high, low = float(np.mean(before)), float(np.mean(after))
        spread = math.hypot(float(np.std(before, ddof=1)), float(np.std(after, ddof=1)))
        step = high - low
        if step < _STEP * high or spread > step / 2:
            return None
        area = min(max((float(powers[at - 1]) + float(powers[at]) - 2 * low) / step, 0.0), 2.0)
        u_samples = min(max(spread / step, _U_EDGE), 1.0)
        return _PowerEdge((first + at - 1 + area) / self._stream.rate_hz, u_samples / self._stream.rate_hz)
