# SPDX-License-Identifier: Apache-2.0
"""A made-up board whose energy is known exactly, its samples, and an instrument that plays chunks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from energy.instrument import SampleChunk, Settings, WindowKind

PULSE_S = 25.7e-6
"""The pin is low for so long."""
LEAD_S = PULSE_S + 0.2e-6
"""From the falling edge to the first read of the board's clock."""


@dataclass(frozen=True)
class Board:
    """Current of a board at a constant voltage behind a resistance: idle, awake, the window, what it does after it,
    asleep. Times in seconds; the edges are the window's."""

    ends_s: NDArray[np.float64]
    current_a: NDArray[np.float64]
    start_s: float
    end_s: float
    volts: float = 1.8
    ohms: float = 0.0

    @property
    def device_s(self) -> float:
        return self.end_s - self.start_s - LEAD_S - 0.3e-6

    def energy_j(self, begin_s: float | None = None, end_s: float | None = None) -> float:
        begin_s, end_s = (
            (begin_s if begin_s is not None else self.start_s),
            (end_s if end_s is not None else self.end_s),
        )
        return float(np.diff(self._at(np.array([begin_s, end_s]), self._power))[0])

    @property
    def _power(self) -> NDArray[np.float64]:
        return self.current_a * (self.volts - self.ohms * self.current_a)

    def _at(self, times_s: NDArray[np.float64], rate: NDArray[np.float64]) -> NDArray[np.float64]:
        """Integral of something from 0 to some times."""
        knots = np.concatenate(([0.0], self.ends_s))
        return np.interp(times_s, knots, np.concatenate(([0.0], np.cumsum(rate * np.diff(knots)))))

    def samples(
        self, rate_hz: float, begin_s: float = 0.0, end_s: float | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Mean current, mean voltage and the pin's level at the end of each sample."""
        end_s = float(self.ends_s[-1]) if end_s is None else end_s
        times_s = begin_s + np.arange(int((end_s - begin_s) * rate_hz) + 1) / rate_hz
        amperes = np.diff(self._at(times_s, self.current_a)) * rate_hz
        level = np.ones(len(times_s) - 1, dtype=np.bool_)
        for fall_s in (self.start_s, self.end_s):
            level &= ~((times_s[1:] > fall_s) & (times_s[1:] <= fall_s + max(PULSE_S, 1 / rate_hz)))
        return amperes, self.volts - self.ohms * amperes, level


def make_board(seed: int, inference_s: float = 0.004, inferences: int = 50, **more: float) -> Board:
    """Idle 30 ms, warm-up, the window of steps that repeat with every inference, 300 us of answering, sleep."""
    rng = np.random.default_rng(seed)
    idle_a, active_a = rng.uniform(0.5e-3, 3e-3), rng.uniform(8e-3, 40e-3)
    steps = rng.integers(3, 12)
    shape_a = active_a * rng.uniform(0.8, 1.2, steps)
    shape_s = rng.dirichlet(np.ones(steps)) * inference_s
    warm_up = rng.integers(1, 4)
    lengths = [0.03 + rng.uniform(0, 1e-3), *np.tile(shape_s, warm_up), LEAD_S]
    start_s = float(np.sum(lengths[:-1]))
    lengths += [*np.tile(shape_s, inferences), 0.5e-6, 300e-6, 0.08]
    currents = [idle_a, *np.tile(shape_a, warm_up), active_a, *np.tile(shape_a, inferences), active_a, active_a, idle_a]
    end_s = float(np.sum(lengths[:-2]))
    return Board(np.cumsum(lengths), np.array(currents), start_s, end_s, **more)


def cut(
    amperes: NDArray[np.float64],
    volts: NDArray[np.float64] | None,
    marker: NDArray[np.bool_] | None,
    rate_hz: float,
    sizes: Sequence[int],
    t0_s: float = 0.0,
) -> Iterator[SampleChunk]:
    """Chunks of these sizes, again and again."""
    at = turn = 0
    while at < len(amperes):
        to = min(at + sizes[turn % len(sizes)], len(amperes))
        yield SampleChunk(
            current_a=amperes[at:to].astype(np.float32),
            voltage_v=None if volts is None else volts[at:to].astype(np.float32),
            marker=None if marker is None else marker[at:to],
            t0_s=t0_s + at / rate_hz,
            rate_hz=rate_hz,
        )
        at, turn = to, turn + 1


@dataclass
class Player:
    """An instrument that plays chunks, an exception among them is raised; `calls` tells what was asked of it."""

    chunks: list[SampleChunk | Exception]
    windows: WindowKind = "marker"
    name: str = "player"
    idn: str = "tests,player"
    model: str = "none"
    measures_voltage: bool = True
    is_supply: bool = False
    default_rate_hz: float = 1e5
    default_range_a: float | None = 0.1
    range_switches: int = 0
    pace_s: float = 0.0
    calls: list[str] = field(default_factory=list)
    empty: threading.Event = field(default_factory=threading.Event)
    """Set when everything was played."""

    def configure(self, wanted: Settings) -> Settings:
        return wanted

    def start(self, *, triggered: bool, duration_s: float) -> None:
        self.calls.append(f"start triggered={triggered} {duration_s:g}")

    def read(self, timeout_s: float) -> SampleChunk | None:
        if not self.chunks:
            self.empty.set()
            self.empty.wait(timeout_s / 10)
            return None
        chunk = self.chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        time.sleep(self.pace_s)
        return chunk

    def stop(self) -> None:
        self.calls.append("stop")

    def set_supply(self, on: bool) -> None:
        raise NotImplementedError(on)

    def errors(self) -> list[str]:
        return []

    def close(self) -> None:
        self.calls.append("close")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
