# SPDX-License-Identifier: Apache-2.0
"""What a look at a power monitor brings: means, bad samples, falls of the timing pin and how fast samples come."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from energy.instrument import SampleChunk
from host.runner.monitor import Monitor

CAPTURE_S = 1.0
PATIENCE_S = 5.0
"""Longest wait for samples beyond the time they cover: some instruments send a second's at once."""


@dataclass(slots=True)
class Seen:
    """What chunks brought. Sums are over good samples; falls: when the timing pin fell, in seconds of the capture;
    arrivals: (this machine's clock, seconds of samples until then)."""

    samples: int = 0
    good: int = 0
    sum_a: float = 0.0
    sum_v: float = 0.0
    sum_w: float = 0.0
    nans: int = 0
    overloads: int = 0
    lost: int = 0
    falls: list[float] = field(default_factory=list)
    arrivals: list[tuple[float, float]] = field(default_factory=list)
    level: bool = False

    def add(self, chunk: SampleChunk, assumed_v: float) -> None:
        """Take the next chunk of a capture."""
        current = chunk.current_a.astype(np.float64)
        voltage = np.full_like(current, assumed_v) if chunk.voltage_v is None else chunk.voltage_v.astype(np.float64)
        good = np.isfinite(current) & np.isfinite(voltage)
        bad_v = voltage[~good]
        self.nans += int(np.count_nonzero(np.isnan(current[~good]) | np.isnan(bad_v)))
        self.overloads += int(np.count_nonzero(np.isinf(current[~good]) | np.isinf(bad_v)))
        self.samples += len(current)
        self.good += int(np.count_nonzero(good))
        self.lost += chunk.lost
        self.sum_a += float(current[good].sum())
        self.sum_v += float(voltage[good].sum())
        self.sum_w += float((current[good] * voltage[good]).sum())
        if chunk.marker is not None:
            levels = np.concatenate(([self.level], chunk.marker))
            falls = np.flatnonzero(levels[:-1] & ~levels[1:])
            self.falls += [chunk.t0_s + float(index) / chunk.rate_hz for index in falls]
            self.level = bool(levels[-1])
        self.arrivals.append((time.monotonic(), chunk.t0_s + len(current) / chunk.rate_hz))

    @property
    def mean_a(self) -> float:
        """Mean current in amperes; NaN without a good sample."""
        return self.sum_a / self.good if self.good else math.nan

    @property
    def mean_v(self) -> float:
        """Mean voltage in volts."""
        return self.sum_v / self.good if self.good else math.nan

    @property
    def mean_w(self) -> float:
        """Mean power in watts."""
        return self.sum_w / self.good if self.good else math.nan

    @property
    def pace(self) -> float | None:
        """Seconds of samples for each second of this machine's clock; None where too little came to tell."""
        (first_s, from_s), (last_s, until_s) = (self.arrivals or [(0.0, 0.0)])[0], (self.arrivals or [(0.0, 0.0)])[-1]
        return (until_s - from_s) / (last_s - first_s) if last_s - first_s > CAPTURE_S / 2 else None


def capture(monitor: Monitor, seconds: float, done: Callable[[Seen], bool] | None = None) -> Seen:
    """So many seconds of samples, of a capture that begins at once."""
    monitor.instrument.start(triggered=False, duration_s=seconds + PATIENCE_S)
    try:
        return read_on(monitor, Seen(), seconds, done)
    finally:
        monitor.instrument.stop()


def read_on(monitor: Monitor, seen: Seen, seconds: float, done: Callable[[Seen], bool] | None = None) -> Seen:
    """Read on until `seconds` more are in, or `done` says that it is enough, or nothing comes any more."""
    rate_hz = monitor.settings.rate_hz
    wanted = seen.samples + seen.lost + seconds * rate_hz
    deadline = time.monotonic() + seconds + PATIENCE_S
    while seen.samples + seen.lost < wanted and time.monotonic() < deadline and not (done and done(seen)):
        chunk = monitor.instrument.read(0.05)
        if chunk is not None:
            seen.add(chunk, monitor.settings.voltage_v)
    return seen
