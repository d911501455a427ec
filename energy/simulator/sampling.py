# SPDX-License-Identifier: Apache-2.0
"""From a true current to what converters read: means over sample intervals, errors, ranges, noise, steps.

What comes out depends on the load, the settings and the seed alone, and not on how the load was cut into pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from energy.simulator.dialect import Hardware
from energy.simulator.errors_model import ErrorModel
from energy.simulator.load import LoadPiece
from energy.simulator.supply import Supply

OVERLOAD = 1.05  # of the range: where a converter ends
LOWER = 0.9  # of a range: below that, auto-range may take it
DWELL = 200  # samples below before auto-range goes down
NOISE_BLOCK = 4096
Array = NDArray[np.float64]
PIECE_SAMPLES = 1 << 17  # made at once at most, whatever length of time a piece has


@dataclass(frozen=True, slots=True)
class Block:
    """Converted samples. edges: changes of the pin in them, in samples since the capture began."""

    first: int
    current_a: NDArray[np.float32]
    voltage_v: NDArray[np.float32]
    pin: NDArray[np.bool_]
    edges: tuple[tuple[float, bool], ...] = ()
    lost: int = 0


class Sampler:
    """One capture's converters, from delay_s after origin_s of true time on. rate_hz: what it really is, in its clock.

    Times count from the origin, in whole picoseconds: how long a board slept before its edge changes no sample.
    """

    def __init__(
        self,
        origin_s: float,
        delay_s: float,
        rate_hz: float,
        range_a: float | None,
        level: bool,
        hardware: Hardware,
        errors: ErrorModel,
        noise_key: tuple[int, int],
        supply: Supply,
    ) -> None:
        """level: of the pin before the first piece that is fed. noise_key: the same one gives the same noise."""
        self.begin_s = origin_s + delay_s
        self.period_s = 1.0 / (rate_hz * (1.0 + errors.clock))
        self._origin_s = origin_s
        self._delay_s = delay_s
        self.range_switches = 0
        self._hardware = hardware
        self._errors = errors
        self._supply = supply
        self._fixed = None if range_a is None else hardware.ranges_a.index(range_a)
        self._range = len(hardware.ranges_a) - 1 if self._fixed is None else self._fixed
        self._below = 0
        self._silent = not any(each.noise for each in (*errors.current, errors.voltage))
        self._noise_scale = (rate_hz / hardware.max_rate_hz) ** 0.5
        self._noise_key = noise_key
        self._noise: tuple[int, NDArray[np.float32]] = (-1, np.empty((2, 0), dtype=np.float32))
        self._done = 0
        self._partial_c = 0.0
        self._level = level
        self._changes: list[tuple[float, bool]] = []

    def feed(self, piece: LoadPiece, changes: list[tuple[float, bool]]) -> list[Block]:
        """The samples that end in this piece. changes: of the pin, as the instrument sees it."""
        self._changes += [(round(when - self._origin_s, 12) - self._delay_s, high) for when, high in changes]
        knots = np.round(np.concatenate(([piece.begin_s], piece.ends_s)) - self._origin_s, 12) - self._delay_s
        charge = np.concatenate(([0.0], np.cumsum(np.diff(knots) * piece.current_a)))
        if knots[0] < 0:
            charge -= np.interp(0.0, knots, charge)  # what flowed before the capture began is not ours
        blocks = []
        taken = 0.0
        last = int(knots[-1] / self.period_s)
        while self._done < last:
            first, self._done = self._done, min(last, self._done + PIECE_SAMPLES)
            edges: Array = np.arange(first, self._done + 1, dtype=np.float64) * self.period_s
            flowed = np.interp(edges[1:], knots, charge)
            each = np.diff(flowed, prepend=taken)
            each[0] += self._partial_c
            self._partial_c, taken = 0.0, float(flowed[-1])
            blocks.append(self._block(first, edges, np.asarray(each / self.period_s, dtype=np.float64)))
        if knots[-1] > 0:
            self._partial_c += float(charge[-1]) - taken
        return blocks

    def _block(self, first: int, edges: Array, mean_a: Array) -> Block:
        count = len(mean_a)
        passed = [change for change in self._changes if change[0] <= edges[-1]]
        self._changes = self._changes[len(passed) :]
        levels = np.array([self._level, *(level for _, level in passed)])
        pin = levels[np.searchsorted([when for when, _ in passed], edges[1:], side="right")]
        self._level = bool(levels[-1])
        noise = self._normal(first, count)
        true_s = self.begin_s + edges
        voltage = self._supply.mean_voltage(true_s[:-1], true_s[1:], mean_a)
        return Block(
            first=first,
            current_a=self._convert_current(mean_a, noise[0]),
            voltage_v=self._convert_voltage(voltage, noise[1]),
            pin=pin,
            edges=tuple((when / self.period_s, level) for when, level in passed if when >= 0),
        )

    def _normal(self, first: int, count: int) -> Array:
        """Noise of samples first.. of this capture, (2, count), the same however they are asked for."""
        if self._silent:
            return np.zeros((2, count))
        rows = []
        at = first
        while at < first + count:
            number, offset = divmod(at, NOISE_BLOCK)
            if self._noise[0] != number:
                generator = np.random.Generator(np.random.Philox(key=list(self._noise_key), counter=[0, 0, 0, number]))
                self._noise = (number, generator.standard_normal((2, NOISE_BLOCK), dtype=np.float32))
            until = min(NOISE_BLOCK, offset + first + count - at)
            rows.append(self._noise[1][:, offset:until])
            at += until - offset
        return np.concatenate(rows, axis=1) * np.float64(self._noise_scale)

    def _convert_voltage(self, volts: Array, noise: Array) -> NDArray[np.float32]:
        errors = self._errors.voltage
        reading = volts * (1.0 + errors.gain) + errors.offset + noise * errors.noise
        return self._digitise(reading, np.full(1, self._hardware.range_v))

    def _convert_current(self, amps: Array, noise: Array) -> NDArray[np.float32]:
        if self._fixed is not None:
            errors = self._errors.current[self._fixed]
            reading = amps * (1.0 + errors.gain) + errors.offset + noise * errors.noise
            return self._digitise(reading, np.full(1, self._hardware.ranges_a[self._fixed]))
        index = self._auto_ranges(amps)
        table = self._errors.current
        gain, offset, sigma = np.array([(errors.gain, errors.offset, errors.noise) for errors in table]).T
        reading = amps * (1.0 + gain[index]) + offset[index] + noise * sigma[index]
        return self._digitise(reading, np.array(self._hardware.ranges_a)[index])

    def _digitise(self, reading: Array, full_scale: Array) -> NDArray[np.float32]:
        end = full_scale * OVERLOAD
        if self._errors.quantised:
            step = end / (1 << (self._hardware.bits - 1))
            reading = np.rint(reading / step) * step
        result = reading.astype(np.float32)
        over = np.abs(reading) > end
        if over.any():
            result[over] = np.copysign(np.float32(np.inf), result[over])
        return result

    def _auto_ranges(self, amps: Array) -> NDArray[np.intp]:
        """The range each sample is taken in: up at once, down after DWELL samples that would fit below."""
        ends = np.array(self._hardware.ranges_a) * LOWER
        wanted = np.minimum(np.searchsorted(ends, np.abs(amps)), len(ends) - 1)
        taken = np.empty(len(amps), dtype=np.intp)
        starts = np.concatenate(([0], np.flatnonzero(np.diff(wanted)) + 1, [len(wanted)]))
        for start, end in pairwise(starts.tolist()):
            want = int(wanted[start])
            if want >= self._range:
                self.range_switches += want > self._range
                self._range, self._below = want, 0
                taken[start:end] = want
                continue
            stay = min(end - start, DWELL - self._below)
            taken[start : start + stay] = self._range
            self._below += stay
            if self._below >= DWELL:
                self.range_switches += 1
                self._range, self._below = want, 0
                taken[start + stay : end] = want
        return taken
