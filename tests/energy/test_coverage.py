# SPDX-License-Identifier: Apache-2.0
"""The measure of the whole energy side: does E +- U hold the true energy, and is U no wider than it has to be?

Fifty made-up boards, each at an instrument of its own with errors drawn inside its stated accuracy, in every dialect,
through the real adapters and sockets. The truth is the simulator's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from energy.accuracy import Accuracy, lookup, simulated
from energy.capture import measure_reference, measure_window
from energy.instrument import Instrument, Settings
from energy.instruments import open_monitor
from energy.simulator.pacing import GatedLoad
from energy.simulator.recording import RandomLoad, random_load
from energy.simulator.server import Simulator
from energy.uncertainty import budget
from energy.window import Reading

LOADS = 50
VOLTS = 1.8


@dataclass(frozen=True)
class Setup:
    """An instrument as it is set up. speed: idle seconds of the board per second."""

    dialect: str
    name: str
    rate_hz: float
    range_a: float | None
    windows: str
    speed: float = 8.0


SETUPS = [
    Setup("virtual", "simulated", 100e3, 0.1, "marker"),
    Setup("keysight_n6705", "keysight_n6705", 4882.8125, 0.1, "trigger"),
    Setup("rs_ngu", "rs_ngu", 50e3, 0.1, "trigger"),
    Setup("keithley_dmm7510", "keithley_dmm7510", 100e3, 0.1, "trigger"),
    Setup("lpm01a", "lpm01a", 1e3, 0.05, "marker", speed=50.0),
    Setup("lpm01a", "lpm01a", 100e3, 0.05, "trigger"),
]


class Board:
    """A made-up board: one inference for the reference, then a window."""

    def __init__(self, seed: int, speed: float) -> None:
        draw = np.random.default_rng(1000 + seed)
        self.made: RandomLoad = random_load(seed, 2, inferences=(1, int(draw.integers(8, 40))))
        self.load = GatedLoad(self.made, speed=speed)
        self._window = 0

    def work(self) -> float:
        self.load.play()
        self._window += 1
        return self.made.windows[self._window - 1].device_s


def measure(setup: Setup, seed: int, truth: Path) -> tuple[Reading, float, Accuracy]:
    """One window, its true energy in joules, and how accurate the instrument says it is."""
    board = Board(seed, setup.speed)
    with (
        Simulator(setup.dialect, board.load, seed=seed, errors="drawn", truth=truth) as simulator,
        open_monitor(f"{setup.name}@{simulator.address}") as instrument,
    ):
        settings = instrument.configure(Settings(setup.rate_hz, setup.range_a, VOLTS))
        assert instrument.windows == setup.windows
        if instrument.is_supply:
            instrument.set_supply(True)
        reading, accuracy = _window(instrument, settings, simulator, board)
        simulator.check()
    entries = json.loads(truth.read_text())
    assert [entry["task"] for entry in entries] == ["window"]
    return reading, entries[0]["energy_uj"] * 1e-6, accuracy


def _window(instrument: Instrument, settings: Settings, simulator: Simulator, board: Board) -> tuple[Reading, Accuracy]:
    accuracy = lookup(
        simulated(instrument.model), settings.range_a, settings.voltage_v, voltage_measured=instrument.measures_voltage
    )
    assert accuracy is not None, f"energy/accuracy.toml does not tell about {instrument.model}"
    reference = None
    if instrument.windows == "trigger":
        reference = measure_reference(instrument, settings, board.work, 0.01, trigger_s=accuracy.trigger_s)
    else:
        board.work()  # nobody looks
    simulator.analyser.label("window", 0, board.made.windows[1].inferences)
    reading = measure_window(instrument, settings, board.work, 0.1, reference=reference, trigger_s=accuracy.trigger_s)
    return reading, accuracy


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: f"{setup.dialect} {setup.rate_hz:g}")
def test_the_true_energy_lies_within_e_and_u(setup: Setup, tmp_path: Path) -> None:
    scores = []
    for seed in range(LOADS):
        reading, truth_j, accuracy = measure(setup, seed, tmp_path / f"{seed}.json")
        assert reading.valid, f"load {seed}: {reading.reasons}"
        scores.append((reading.energy_j - truth_j) / budget(reading, accuracy).expanded_j)
    inside = np.mean(np.abs(scores) <= 1)
    assert inside >= 0.95, f"error / U: {np.round(scores, 2)}"
    assert np.median(np.abs(scores)) > 1 / 20, f"U is padded: error / U: {np.round(scores, 3)}"
