"""Samples and records for the tests of traces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from energy.instrument import SampleChunk
from energy.trace import TraceInfo
from energy.window import Reading

RATE_HZ = 4882.8125
"""The N6705's with two parameters: no whole number."""


def info(**changes: Any) -> TraceInfo:
    fields: dict[str, Any] = {
        "task": "kws01",
        "provenance": "emulated",
        "monitor": "simulated",
        "idn": "tinyjoule,VA1,1,1",
        "model": "VA1",
        "rate_hz": RATE_HZ,
        "range_a": 0.05,
        "voltage_v": 1.8,
        "voltage_measured": True,
        "windows": "marker",
    }
    return TraceInfo(**(fields | changes))


def chunks_of(
    count: int,
    seed: int,
    sizes: tuple[int, int],
    *,
    voltage: bool = True,
    pin: bool = True,
    t0_s: float = 0.0,
    losses: bool = True,
    rate_hz: float = RATE_HZ,
) -> Iterator[SampleChunk]:
    """`count` random samples, bad ones among them, in chunks of at least sizes[0] and less than sizes[1]."""
    rng = np.random.default_rng(seed)
    while count > 0:
        size = min(count, int(rng.integers(*sizes)))
        lost = int(rng.integers(1, 50)) if losses and rng.random() < 0.3 else 0
        t0_s += lost / rate_hz
        current = rng.random(size, dtype=np.float32)
        if losses:
            current[rng.integers(0, size)] = rng.choice([np.nan, np.inf, -np.inf])
        yield SampleChunk(
            current,
            rng.random(size, dtype=np.float32) if voltage else None,
            rng.random(size) < 0.5 if pin else None,
            t0_s,
            rate_hz,
            lost,
        )
        t0_s += size / rate_hz
        count -= size


def reading(**changes: Any) -> Reading:
    fields: dict[str, Any] = {
        "complete": True,
        "start_s": 0.1,
        "end_s": 0.5,
        "energy_j": 1e-3,
        "charge_c": 1e-3,
        "flux_vs": 1.0,
        "start_w": 0.1,
        "end_w": 0.1,
        "u_start_s": 1e-6,
        "u_end_s": 1e-6,
        "rate_hz": RATE_HZ,
        "samples": 2000,
        "lost": 0,
        "nans": 0,
        "overloads": 0,
        "range_switches": 0,
        "device_s": None,
        "voltage_measured": True,
        "reasons": (),
    }
    return Reading(**(fields | changes))
