# SPDX-License-Identifier: Apache-2.0
"""A small electric machine that numpy makes up: how it sounds when it is well, and with each of three faults."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16000
SAMPLES = 1 << 17  # 8.2 s
NORMAL, FAULTY = 12, 12
COUNT = NORMAL + FAULTY
SEED = 2020

Sound = NDArray[np.float64]


def _noise(rng: np.random.Generator, exponent: float) -> Sound:
    """Noise whose power falls with frequency to the power of `exponent`; standard deviation 1."""
    spectrum = np.fft.rfft(rng.standard_normal(SAMPLES))
    spectrum[0] = 0.0
    spectrum[1:] *= np.arange(1, spectrum.size) ** (-exponent / 2.0)
    sound = np.fft.irfft(spectrum, SAMPLES)
    return np.asarray(sound / sound.std(), dtype=np.float64)


def _turns(rng: np.random.Generator) -> Sound:
    """How often the shaft has turned at each sample: about 30 a second, with some wow."""
    time_s = np.arange(SAMPLES) / RATE_HZ
    speed_hz = 30.0 * rng.uniform(0.98, 1.02) * (1.0 + 0.01 * np.sin(2.0 * np.pi * (0.7 * time_s + rng.random())))
    return np.asarray(np.cumsum(speed_hz) / RATE_HZ, dtype=np.float64)


def _motor(turns: Sound) -> Sound:
    """Harmonics of the commutator, and the mesh of a gear of 41 teeth."""
    sound = 0.4 * np.sin(2.0 * np.pi * 41.0 * turns) + 0.2 * np.sin(2.0 * np.pi * 82.0 * turns)
    for harmonic in range(1, 25):
        sound += np.sin(2.0 * np.pi * 6.0 * harmonic * turns + harmonic**2) / harmonic**0.9
    return sound


def _bearing(rng: np.random.Generator, turns: Sound) -> Sound:
    """A ball runs over a dent 3.6 times a turn: each time something rings at 3 kHz and at 5.1 kHz."""
    hits = np.flatnonzero(np.diff(np.floor(3.6 * turns)))
    strikes = np.zeros(SAMPLES)
    strikes[hits] = rng.uniform(0.6, 1.4, hits.size)
    ring_s = np.arange(256) / RATE_HZ
    ring = np.sin(2.0 * np.pi * 3000.0 * ring_s) + np.sin(2.0 * np.pi * 5100.0 * ring_s)
    sound = np.convolve(strikes, ring * np.exp(-ring_s / 0.002))[:SAMPLES]
    return np.asarray(2.0 * sound, dtype=np.float64)


def _gear(rng: np.random.Generator, turns: Sound) -> Sound:
    """A worn gear grinds: noise that every tooth lets through, and side bands of the mesh."""
    grind = _noise(rng, 0.5) * np.maximum(0.0, np.sin(2.0 * np.pi * 41.0 * turns)) ** 2
    return np.asarray(grind + np.sin(2.0 * np.pi * 41.0 * turns) * np.sin(2.0 * np.pi * turns), dtype=np.float64)


def _rattle(rng: np.random.Generator, turns: Sound) -> Sound:
    """Something loose: a burst of noise in a part of every turn."""
    return _noise(rng, 0.0) * (np.mod(turns, 1.0) < 0.15)


FAULTS = (_bearing, _gear, _rattle)


def recording(rng: np.random.Generator, fault: int | None) -> Sound:
    """Eight seconds, full scale 1.0, with a fault (an index into FAULTS) that is anything from faint to plain."""
    turns = _turns(rng)
    sound = _motor(turns) + 0.3 * _noise(rng, 1.0)
    if fault is not None:
        sound += rng.uniform(0.1, 1.0) * FAULTS[fault](rng, turns)
    level = 0.02 * 10.0 ** (rng.uniform(-1.0, 1.0) / 20.0)
    return np.asarray(level * sound, dtype=np.float64)


def recordings() -> Iterator[tuple[Sound, bool]]:
    """All recordings, and whether the machine is faulty: normal ones first. Always the same."""
    for index in range(COUNT):
        faulty = index >= NORMAL
        yield recording(np.random.default_rng([SEED, index]), index % len(FAULTS) if faulty else None), faulty
