# SPDX-License-Identifier: Apache-2.0
"""Whether the chunks of a capture follow each other, and what the power does around an edge of the timing pin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy.instrument import SampleChunk

NEAR = 4
"""Samples on each side of an edge that are looked at."""

_STEP_OVER_SCATTER = 10.0
_STEP_OVER_POWER = 0.2
_U_STEP = 0.1
"""A step of the power that coincides with an edge tells where it is, within this part of a sample at the best: nobody
knows that they are the same event."""

U_MIDDLE = 12**-0.5
"""An edge somewhere in a sample, taken to be in its middle."""


class Stream:
    """Checks the times of chunk after chunk."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.rate_hz = 0.0
        self.begin_s = 0.0
        self.end_s = 0.0
        self.backwards = False
        self.rate_changed = False
        self._begun = False

    def follow(self, chunk: SampleChunk) -> int:
        """How many samples are missing between this chunk and the one before, by its own word or by its time."""
        lost = chunk.lost
        if self._begun:
            ahead = (chunk.t0_s - self.end_s) * chunk.rate_hz - lost
            self.backwards |= ahead < -0.75
            lost += round(ahead) if ahead > 0.75 else 0
            self.rate_changed |= abs(chunk.rate_hz / self.rate_hz - 1) > 1e-9
        else:
            self._begun, self.rate_hz, self.begin_s = True, chunk.rate_hz, chunk.t0_s
        self.end_s = chunk.t0_s + len(chunk.current_a) / chunk.rate_hz
        return lost

    def reasons(self) -> list[str]:
        """What is wrong with the stream as such."""
        found = []
        if self.backwards:
            found.append("the samples' times run backwards: the instrument's stream is damaged")
        if self.rate_changed:
            found.append("the sample rate changed in the middle of the capture")
        return found


def row(chunk: SampleChunk, begin: int, end: int, assumed_v: float) -> NDArray[np.float64]:
    """Samples as float64 (n, 3): power in W, current in A, voltage in V. Only for a few of them."""
    amperes = chunk.current_a[begin:end].astype(np.float64)
    if chunk.voltage_v is None:
        volts = np.full(len(amperes), assumed_v)
    else:
        volts = chunk.voltage_v[begin:end].astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.stack((amperes * volts, amperes, volts), axis=1)


@dataclass(slots=True)
class Edge:
    """A fall of the timing pin somewhere in one sample. time_s: when that sample begins. before: the samples before it,
    at: it, after: those after it, rows of (W, A, V), at most NEAR on each side."""

    time_s: float
    before: NDArray[np.float64]
    at: NDArray[np.float64]
    after: NDArray[np.float64]

    closed: bool = False
    """What comes does not follow: samples are missing."""

    def extend(self, rows: NDArray[np.float64]) -> None:
        """Samples that came after."""
        if not self.closed:
            self.after = np.concatenate((self.after, rows))[:NEAR]

    @property
    def power_w(self) -> float:
        """The highest power right around the edge, of a sample before, its own, one after: nobody knows on which side
        of a step an edge is that no step tells."""
        return float(np.max(np.abs(np.concatenate((self.before[-1:], self.at[None, :], self.after[:1]))[:, 0])))

    def locate(self) -> tuple[float, float, bool]:
        """Where in its sample the edge is, 0 to 1; its standard uncertainty, in samples; whether a step of the power
        told it. Without a clear step in that very sample it is taken to be in the middle."""
        if len(self.before) < NEAR or len(self.after) < NEAR:
            return 0.5, U_MIDDLE, False
        before, at, after = self.before[:, 0], float(self.at[0]), self.after[:, 0]
        if not np.isfinite(before).all() or not np.isfinite(after).all():  # overloaded: no step tells anything
            return 0.5, U_MIDDLE, False
        low, high = float(np.mean(before)), float(np.mean(after))
        scatter = float(max(np.std(before, ddof=1), np.std(after, ddof=1)))
        step = abs(high - low)
        clear = step > _STEP_OVER_SCATTER * scatter and step > _STEP_OVER_POWER * max(abs(low), abs(high))
        inside = min(low, high) + 2 * scatter < at < max(low, high) - 2 * scatter
        if not clear or not inside:  # on a border the step may as well be another one, in the sample beside
            return 0.5, U_MIDDLE, False
        return (high - at) / (high - low), max(scatter / step, _U_STEP), True

    def part_before(self, part: float, *, stepped: bool) -> NDArray[np.float64]:
        """What of the sample's (W, A, V) belongs to the time before the edge, in samples."""
        return part * (np.mean(self.before, axis=0) if stepped else self.at)

    def part_after(self, part: float, *, stepped: bool) -> NDArray[np.float64]:
        """What of it belongs to the time after the edge."""
        return (1 - part) * (np.mean(self.after, axis=0) if stepped else self.at)
