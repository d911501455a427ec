# SPDX-License-Identifier: Apache-2.0
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


def board_chunks(
    seed: int,
    *,
    window_s: float = 0.3,
    rate_hz: float = 100e3,
    voltage: bool = True,
    triggered: bool = False,
    lost_at: int | None = None,
) -> Iterator[SampleChunk]:
    """What an instrument sees of a board: asleep, warming up, a window between two pulses of 30 us, sending, asleep.

    triggered: from the first edge on, without the pin. lost_at: the number of a chunk before which 3 samples are lost.
    """
    rng = np.random.default_rng(seed)
    window = round(window_s * rate_hz)
    stages = [(2000, 1.2e-3), (1500, 21e-3), (window, 22e-3), (300, 20e-3), (6000, 1.2e-3)]
    current = np.concatenate([np.full(count, level) for count, level in stages])
    current = (current * (1 + 1e-3 * rng.standard_normal(len(current)))).astype(np.float32)
    first = stages[0][0] + stages[1][0]
    pin = np.ones(len(current), np.bool_)
    for edge in (first, first + window):
        pin[edge : edge + 3] = False
    volts = (1.8 - 0.5 * current).astype(np.float32)
    at, number = first if triggered else 0, 0
    origin_s = at / rate_hz
    while at < len(current):
        lost = 3 if number == lost_at else 0
        at += lost
        part = slice(at, at + int(rng.integers(1, 4000)))
        yield SampleChunk(
            current[part],
            volts[part] if voltage else None,
            None if triggered else pin[part],
            at / rate_hz - origin_s,
            rate_hz,
            lost,
        )
        at, number = part.stop, number + 1
