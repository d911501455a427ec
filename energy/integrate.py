# SPDX-License-Identifier: Apache-2.0
"""Sums over samples in float64: a running sum in float32 would be per cents wrong after ten million samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 15
"""Samples turned into float64 at a time: they stay in a processor's cache. Their product is not np.dot's, which starts
threads for so many, and waits for them on a busy machine: 9 MS/s instead of 140."""

_ABSURD = 1e9
"""Amperes or volts that no sample has: an adapter let a code for overload through."""


@dataclass(slots=True)
class Sums:
    """Of samples that follow each other, not yet times the length of a sample.

    power_w: of i * v; current_a: of i; voltage_v: of v; samples: how many. nans, overloads: how many of them are no
    number or overloaded, in current or voltage; their sums mean nothing then.
    """

    power_w: float = 0.0
    current_a: float = 0.0
    voltage_v: float = 0.0
    samples: int = 0
    nans: int = 0
    overloads: int = 0

    def add(self, other: Sums) -> None:
        """Samples of another stretch."""
        self.power_w += other.power_w
        self.current_a += other.current_a
        self.voltage_v += other.voltage_v
        self.samples += other.samples
        self.nans += other.nans
        self.overloads += other.overloads

    def add_part(self, other: Sums, part: float) -> None:
        """A part, 0 to 1, of every sample of another stretch; the samples and the bad ones count as whole."""
        self.power_w += other.power_w * part
        self.current_a += other.current_a * part
        self.voltage_v += other.voltage_v * part
        self.samples += other.samples if part > 0 else 0
        self.nans += other.nans
        self.overloads += other.overloads


def sum_samples(current_a: NDArray[np.float32], voltage_v: NDArray[np.float32] | None, assumed_v: float) -> Sums:
    """Of n >= 0 samples. voltage_v None: it was not measured, `assumed_v` is taken."""
    with np.errstate(invalid="ignore", over="ignore"):
        return _sum_samples(current_a, voltage_v, assumed_v)


def _sum_samples(current_a: NDArray[np.float32], voltage_v: NDArray[np.float32] | None, assumed_v: float) -> Sums:
    sums = Sums(samples=len(current_a))
    for start in range(0, len(current_a), _BLOCK):
        amperes = current_a[start : start + _BLOCK].astype(np.float64)
        total_a = float(np.add.reduce(amperes))
        if voltage_v is None:
            total_w, total_v = total_a * assumed_v, assumed_v * len(amperes)
            bad = not abs(total_a) < _ABSURD
        else:
            volts = voltage_v[start : start + _BLOCK].astype(np.float64)
            total_w, total_v = float(np.einsum("i,i->", amperes, volts)), float(np.add.reduce(volts))
            bad = not (abs(total_a) < _ABSURD and abs(total_v) < _ABSURD and math.isfinite(total_w))
        if bad:
            nans, overloads = _count_bad(current_a, voltage_v, start)
            sums.nans += nans
            sums.overloads += overloads
        sums.power_w += total_w
        sums.current_a += total_a
        sums.voltage_v += total_v
    return sums


def _count_bad(current_a: NDArray[np.float32], voltage_v: NDArray[np.float32] | None, start: int) -> tuple[int, int]:
    """Samples of one block that are no number, and others that are overloaded."""
    amperes = current_a[start : start + _BLOCK]
    volts = amperes if voltage_v is None else voltage_v[start : start + _BLOCK]
    nan = np.isnan(amperes) | np.isnan(volts)
    over = (np.abs(amperes) >= _ABSURD) | (np.abs(volts) >= _ABSURD)
    return int(np.count_nonzero(nan)), int(np.count_nonzero(over & ~nan))
