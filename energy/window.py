# SPDX-License-Identifier: Apache-2.0
"""Where a window begins and ends, and what lies in between: fed chunk by chunk, in constant memory.

A window lies between two falling edges of the timing pin. MarkerMeter finds them in the samples' marker;
energy/trigger.py is for instruments that see the first one only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from energy.instrument import SampleChunk
from energy.integrate import Sums, sum_samples
from energy.stream import NEAR, Edge, Stream, row

CLOCK_LIMIT: Final = 0.01
"""The board's clock and the instrument's may differ by so much, as a fraction."""

PULSE_S: Final = 26.2e-6
"""From the falling edge to where our firmware's own time begins, and from its end to the second edge, together: it
keeps the pin low until its clock of microseconds has moved on 26 times (25.5 us on the average), and its time is cut
to whole microseconds."""

U_PULSE_S: Final = 0.5e-6

_CONSISTENT = 200e-6
_CONSISTENT_TIME = 0.01


@dataclass(frozen=True, slots=True)
class Reading:
    """One window as an instrument saw it; all of it is in the instrument's clock, nothing per inference.

    energy_j, charge_c (the integral of i), flux_vs (the integral of v), start_s, end_s: float64; they mean nothing
    when `complete` is False. start_w, end_w: power right around each edge (a sample before and after).
    u_start_s, u_end_s: standard uncertainty of where the edges are. samples: in the window. lost: missing in it.
    nans, overloads: bad ones in it. range_switches: in the capture. device_s: the board's own time of the window; None
    where it does not tell.
    voltage_measured: else energy_j was made with the assumed one. reasons: why the window is not valid, for a person.
    """

    complete: bool
    start_s: float
    end_s: float
    energy_j: float
    charge_c: float
    flux_vs: float
    start_w: float
    end_w: float
    u_start_s: float
    u_end_s: float
    rate_hz: float
    samples: int
    lost: int
    nans: int
    overloads: int
    range_switches: int
    device_s: float | None
    voltage_measured: bool
    reasons: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether its energy may be used."""
        return self.complete and not self.reasons

    @property
    def duration_s(self) -> float:
        """By the instrument's clock."""
        return self.end_s - self.start_s

    @property
    def clock_ratio(self) -> float | None:
        """The board's time over the instrument's. The board's is PULSE_S shorter, which is not taken off here."""
        return self.device_s / self.duration_s if self.device_s is not None and self.duration_s > 0 else None


@dataclass(frozen=True, slots=True)
class Idle:
    """The board doing nothing, as an instrument saw it. Means over duration_s; u_w: standard uncertainty of mean_w by
    the scatter of stretches of it. The rest is as in Reading; the means mean nothing when it is not valid."""

    mean_w: float
    mean_a: float
    mean_v: float
    u_w: float
    duration_s: float
    rate_hz: float
    samples: int
    lost: int
    nans: int
    overloads: int
    range_switches: int
    voltage_measured: bool
    reasons: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether its power may be used."""
        return not self.reasons


def bad_samples(what: str, lost: int, sums: Sums) -> list[str]:
    """Why samples make a window or an idle stretch useless."""
    found = []
    if lost:
        found.append(f"{lost} samples were lost in the {what}")
    if sums.nans:
        found.append(f"{sums.nans} samples of the {what} are no number")
    if sums.overloads:
        found.append(f"{sums.overloads} samples of the {what} were overloaded: choose a larger range")
    return found


CLOCKS_DISAGREE: Final = "the board's clock is"
"""How a window's reason begins that says so."""


def clock_reasons(device_s: float | None, duration_s: float, u_s: float) -> list[str]:
    """Why the board's own time speaks against a window, whose duration is known to u_s (standard uncertainty): two
    edges, each anywhere in its sample, are never off by more than the root of 6 of it."""
    if device_s is None:
        return []
    if not (device_s > 0 and duration_s > 0):
        return [f"the board gave {device_s:g} s as its own time of a window of {duration_s:g} s"]
    off = (device_s + PULSE_S) / duration_s - 1
    if abs(off) > CLOCK_LIMIT + math.sqrt(6) * u_s / duration_s:
        return [f"{CLOCKS_DISAGREE} {off:+.2%} off the instrument's (limit {CLOCK_LIMIT:.0%})"]
    return []


class MarkerMeter:
    """One window of an instrument that streams the timing pin. A capture has to hold exactly two falling edges."""

    def __init__(self, assumed_v: float) -> None:
        """assumed_v: taken where the voltage is not measured."""
        self._assumed_v = assumed_v
        self._stream = Stream()
        self._sums = Sums()
        self._edges: list[Edge] = []
        self._falls = 0
        self._lost = 0
        self._level: bool | None = None
        self._low_at_begin = False
        self._recent: NDArray[np.float64] = np.empty((0, 3))
        self._voltage_measured = True

    @property
    def stream_s(self) -> float:
        """How far the capture has come, by the instrument's clock."""
        return self._stream.end_s

    @property
    def settled(self) -> bool:
        """Both edges were seen, and enough after them."""
        return len(self._edges) == 2 and len(self._edges[1].after) == NEAR

    def feed(self, chunk: SampleChunk) -> None:
        """The next samples of the capture."""
        if chunk.marker is None:
            raise ValueError("these samples carry no timing pin: a TriggerMeter is for them")
        lost = self._stream.follow(chunk)
        falls = self._find_falls(chunk.marker)
        if lost:
            self._recent = self._recent[:0]
            if len(self._edges) == 1 or (len(self._edges) < 2 and len(falls) > 0 and falls[0] == 0):
                self._lost += lost
        self._voltage_measured &= chunk.voltage_v is not None
        for edge in self._edges:
            edge.closed |= lost > 0
            edge.extend(row(chunk, 0, NEAR, self._assumed_v))
        begin = 0
        for fall in map(int, falls[: 2 - len(self._edges)]):
            if len(self._edges) == 1:
                self._add(chunk, begin, fall + 1)
            self._edges.append(self._edge(chunk, fall))
            begin = fall
        if len(self._edges) == 1:
            self._add(chunk, begin, len(chunk.current_a))
        self._falls += len(falls)
        recent = row(chunk, max(0, len(chunk.current_a) - NEAR), len(chunk.current_a), self._assumed_v)
        self._recent = np.concatenate((self._recent, recent))[-NEAR:]

    def finish(self, device_s: float | None = None, range_switches: int = 0) -> Reading:
        """The window. device_s: how long it took by the board's own clock, None where it does not tell."""
        reasons = self._stream.reasons() + self._edge_reasons()
        if len(self._edges) < 2:
            return self._incomplete(device_s, range_switches, reasons)
        first, last = self._edges
        reasons += bad_samples("window", self._lost, self._sums)
        first_part, first_u, first_stepped = first.locate()
        last_part, last_u, last_stepped = last.locate()
        total = np.array((self._sums.power_w, self._sums.current_a, self._sums.voltage_v))
        with np.errstate(invalid="ignore", over="ignore"):
            total -= first.part_before(first_part, stepped=first_stepped)
            total -= last.part_after(last_part, stepped=last_stepped)
        rate_hz = self._stream.rate_hz
        start_s, end_s = first.time_s + first_part / rate_hz, last.time_s + last_part / rate_hz
        energy_j, charge_c, flux_vs = (float(value) for value in total / rate_hz)
        if self._falls == 2:  # else nobody knows which two are the window's
            reasons += clock_reasons(device_s, end_s - start_s, math.hypot(first_u, last_u) / rate_hz)
        return Reading(
            complete=math.isfinite(energy_j) and end_s > start_s,
            start_s=start_s,
            end_s=end_s,
            energy_j=energy_j,
            charge_c=charge_c,
            flux_vs=flux_vs,
            start_w=first.power_w,
            end_w=last.power_w,
            u_start_s=first_u / rate_hz,
            u_end_s=last_u / rate_hz,
            rate_hz=rate_hz,
            samples=self._sums.samples,
            lost=self._lost,
            nans=self._sums.nans,
            overloads=self._sums.overloads,
            range_switches=range_switches,
            device_s=device_s,
            voltage_measured=self._voltage_measured,
            reasons=tuple(reasons),
        )

    def _find_falls(self, marker: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Indices of the first low sample after a high one."""
        before = self._level
        self._level = bool(marker[-1])
        if before is None:
            self._low_at_begin = not marker[0]
        if before is not False and marker.all():  # nearly always
            return np.empty(0, dtype=np.intp)
        falls = np.flatnonzero(marker[:-1] & ~marker[1:]) + 1
        return np.concatenate((np.zeros(1, dtype=np.intp), falls)) if before is True and not marker[0] else falls

    def _edge(self, chunk: SampleChunk, at: int) -> Edge:
        before = np.concatenate((self._recent, row(chunk, max(0, at - NEAR), at, self._assumed_v)))[-NEAR:]
        return Edge(
            time_s=chunk.t0_s + at / chunk.rate_hz,
            before=before,
            at=row(chunk, at, at + 1, self._assumed_v)[0],
            after=row(chunk, at + 1, at + 1 + NEAR, self._assumed_v),
        )

    def _add(self, chunk: SampleChunk, begin: int, end: int) -> None:
        voltage_v = None if chunk.voltage_v is None else chunk.voltage_v[begin:end]
        self._sums.add(sum_samples(chunk.current_a[begin:end], voltage_v, self._assumed_v))

    def _edge_reasons(self) -> list[str]:
        found = []
        if self._low_at_begin:
            found.append("the timing pin was low when the capture began")
        if self._falls == 0:
            rate_hz = self._stream.rate_hz
            slow = f" At {rate_hz:,.10g} samples per second its pulses of {PULSE_S * 1e6:.0f} us may pass unseen."
            more = slow if 0 < rate_hz * PULSE_S < 1 else ""
            found.append(f"no falling edge of the timing pin was seen: is it wired?{more}")
        elif self._falls == 1:
            found.append("no second falling edge of the timing pin was seen")
        elif self._falls > 2:
            found.append(f"{self._falls} falling edges of the timing pin were seen instead of 2")
        if self._edges and not len(self._edges[0].before):
            found.append("the first edge of the timing pin is too close to the capture's begin or to a gap")
        if len(self._edges) == 2 and not len(self._edges[1].after):
            found.append("the second edge of the timing pin is too close to the capture's end")
        return found

    def _incomplete(self, device_s: float | None, range_switches: int, reasons: list[str]) -> Reading:
        return incomplete(
            self._stream.rate_hz,
            [*reasons, *bad_samples("window", self._lost, self._sums)],
            self._sums,
            self._lost,
            range_switches,
            device_s,
            voltage_measured=self._voltage_measured,
        )


def incomplete(
    rate_hz: float,
    reasons: Sequence[str],
    sums: Sums,
    lost: int,
    range_switches: int,
    device_s: float | None,
    *,
    voltage_measured: bool,
) -> Reading:
    """A window without an end: it has reasons and no figures."""
    return Reading(
        complete=False,
        start_s=0.0,
        end_s=0.0,
        energy_j=0.0,
        charge_c=0.0,
        flux_vs=0.0,
        start_w=0.0,
        end_w=0.0,
        u_start_s=0.0,
        u_end_s=0.0,
        rate_hz=rate_hz,
        samples=sums.samples,
        lost=lost,
        nans=sums.nans,
        overloads=sums.overloads,
        range_switches=range_switches,
        device_s=device_s,
        voltage_measured=voltage_measured,
        reasons=tuple(reasons),
    )


class IdleMeter:
    """The board doing nothing: everything that is fed counts."""

    _BLOCKS = 64

    def __init__(self, assumed_v: float) -> None:
        """assumed_v: taken where the voltage is not measured."""
        self._assumed_v = assumed_v
        self._stream = Stream()
        self._lost = 0
        self._voltage_measured = True
        self._blocks: list[Sums] = [Sums()]
        self._block = 1
        """Samples in a block, few at first: slow instruments scatter too. There are at most _BLOCKS blocks: two become
        one when there are more."""

    @property
    def stream_s(self) -> float:
        """How long it was idle so far, by the instrument's clock."""
        return self._stream.end_s - self._stream.begin_s

    def feed(self, chunk: SampleChunk) -> None:
        """The next samples of the capture."""
        self._lost += self._stream.follow(chunk)
        self._voltage_measured &= chunk.voltage_v is not None
        begin = 0
        while begin < len(chunk.current_a):
            last = self._blocks[-1]
            end = begin + self._block - last.samples
            voltage_v = None if chunk.voltage_v is None else chunk.voltage_v[begin:end]
            last.add(sum_samples(chunk.current_a[begin:end], voltage_v, self._assumed_v))
            begin = end
            if last.samples == self._block:
                self._next_block()

    def finish(self, range_switches: int = 0) -> Idle:
        """The means."""
        total = Sums()
        for block in self._blocks:
            total.add(block)
        reasons = self._stream.reasons() + bad_samples("idle stretch", self._lost, total)
        if total.samples < 2:
            reasons.append(f"the instrument sent {total.samples} samples, which tells no scatter: give a higher rate")
        count = max(total.samples, 1)
        means = [block.power_w / block.samples for block in self._blocks if block.samples == self._block]
        u_w = float(np.std(means, ddof=1)) / math.sqrt(len(means)) if len(means) > 1 and not reasons else 0.0
        return Idle(
            mean_w=total.power_w / count,
            mean_a=total.current_a / count,
            mean_v=total.voltage_v / count,
            u_w=u_w,
            duration_s=count / self._stream.rate_hz if self._stream.rate_hz else 0.0,
            rate_hz=self._stream.rate_hz,
            samples=total.samples,
            lost=self._lost,
            nans=total.nans,
            overloads=total.overloads,
            range_switches=range_switches,
            voltage_measured=self._voltage_measured,
            reasons=tuple(reasons),
        )

    def _next_block(self) -> None:
        if len(self._blocks) == self._BLOCKS:
            for first, second in zip(self._blocks[::2], self._blocks[1::2], strict=True):
                first.add(second)
            self._blocks = self._blocks[::2]
            self._block *= 2
        self._blocks.append(Sums())


def consistency(readings: Sequence[Reading], inferences: Sequence[int]) -> list[str | None]:
    """Why a window does not fit the others of its run, or None for each: samples that an instrument lost without a word
    make its window shorter by its clock. inferences: in each window.

    The board's time over the instrument's has to be the same in all within its resolution and 200 ppm; without the
    board's time, the instrument's time per inference within 1 %, as inputs may cost different times. A window whose
    edges or clocks are wrong anyhow tells nothing about the others.
    """
    told = all(reading.device_s is not None for reading in readings if reading.complete)
    tempos: list[float | None] = []
    resolutions: list[float] = []
    for reading, count in zip(readings, inferences, strict=True):
        usable = reading.complete and reading.duration_s > 0
        u_s = math.hypot(reading.u_start_s, reading.u_end_s, U_PULSE_S)
        time_s = (reading.device_s or 0.0) + PULSE_S if told else float(count)
        tempo = time_s / reading.duration_s if usable else None
        if tempo is not None and (abs(tempo - 1) > CLOCK_LIMIT if told else reading.reasons):
            tempo = None
        tempos.append(tempo)
        resolutions.append(3 * u_s / reading.duration_s if tempo is not None else 0.0)
    known = [tempo for tempo in tempos if tempo is not None]
    middle = median(known) if known else 1.0
    widest = max(resolutions, default=0.0)
    limit = (_CONSISTENT if told else _CONSISTENT_TIME) + 1.5 * widest
    reasons: list[str | None] = []
    for tempo in tempos:
        off = 0.0 if tempo is None else tempo / middle - 1
        reasons.append(
            f"its time is {off * 1e6:+.0f} ppm off the other windows' by the instrument's clock: samples seem missing"
            if abs(off) > limit
            else None
        )
    return reasons
