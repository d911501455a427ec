# SPDX-License-Identifier: Apache-2.0
"""The virtual analyser with an emulated board behind it, read through its instrument as a real one is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from processes import gone, wait_for

from energy.capture import measure_idle, measure_window
from energy.errors import EnergyError, InstrumentLost, MonitorUnknown
from energy.instrument import Instrument, Settings
from energy.instruments import open_monitor
from energy.simulator.current import load_model
from energy.window import Reading
from host import emulator
from host.build import Image
from host.device import Device
from host.emulator import Emulator
from host.emulator.analyser import VirtualAnalyser
from host.errors import LinkError, SetupError
from host.link import open_link

BOARD = "mps2_an386"
VOLTS = 1.8
POLL_UJ = 0.04  # what a board takes in 1 us: the first pulse ends with a tick of a clock that does not begin with it
RUNS = 20


@pytest.fixture
def image(firmware_image) -> Image:
    built = firmware_image(BOARD)
    if not built.models:
        pytest.skip("no model could be had on this machine: the image is empty")
    return built


@contextmanager
def monitor(analyser: VirtualAnalyser) -> Iterator[tuple[Instrument, Settings]]:
    with open_monitor(f"simulated@{analyser.address}") as instrument:
        yield instrument, instrument.configure(Settings(100_000.0, 0.1, VOLTS))


@contextmanager
def running(image: Image, analyser: VirtualAnalyser) -> Iterator[tuple[Emulator, Device]]:
    """Its load, with its first model and an input, in mode both."""
    arguments = analyser.qemu_arguments(image)
    with (
        emulator.start(image, timed=True, qemu_arguments=arguments) as board,
        Device(open_link(board.url, 115200)) as device,
    ):
        device.wait_boot()
        device.select_model(image.models[0].id)
        info = device.info()
        assert info is not None
        device.load(bytes(info.input_bytes))
        device.set_mode("both")
        yield board, device


def window(instrument: Instrument, settings: Settings, device: Device) -> Reading:
    return measure_window(instrument, settings, lambda: (device.infer(RUNS, 1).duration_us or 0) * 1e-6, 0.1)


def entries(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())
    return found


def test_windows_are_read_as_they_truly_were_and_repeat(image, tmp_path):
    runs = []
    for run in range(2):
        truth = tmp_path / f"{run}.json"
        with VirtualAnalyser(truth=truth) as analyser, monitor(analyser) as (instrument, settings):
            with running(image, analyser) as (_, device):
                idle = measure_idle(instrument, settings, 0.1)
                readings = []
                for number in range(3):
                    device.infer(1, 0)  # has edges too, and no label
                    analyser.label("first", number, RUNS)
                    readings.append(window(instrument, settings, device))
            board_pid = analyser.pid
        assert gone(board_pid)
        assert idle.mean_a == pytest.approx(load_model().idle_a, rel=1e-3)
        found = entries(truth)
        assert [(entry["task"], entry["window"], entry["inferences"]) for entry in found] == [
            ("first", number, RUNS) for number in range(3)
        ]
        for reading, entry in zip(readings, found, strict=True):
            assert reading.reasons == ()
            # An edge lies somewhere between two samples.
            assert reading.energy_j * 1e6 == pytest.approx(entry["energy_uj"], rel=1e-4, abs=0.5)
            assert reading.clock_ratio == pytest.approx(1.0, abs=2e-3)
        runs.append([entry["energy_uj"] for entry in found])
    every = runs[0] + runs[1]
    assert max(every) - min(every) < POLL_UJ
    assert 20e-3 * VOLTS < every[0] * 1e-6 / readings[0].duration_s < 25e-3 * VOLTS


def test_another_board_may_follow_and_the_truth_goes_on(image, tmp_path):
    truth = tmp_path / "truth.json"
    truth.write_text('[{"task": "old", "window": 0, "inferences": 1, "energy_uj": 1.5}]')
    with VirtualAnalyser(truth=truth) as analyser, monitor(analyser) as (instrument, settings):
        for number in range(2):
            with running(image, analyser) as (board, device):
                device.infer(1, 0)
                if number:
                    board.reset()
                    device.wait_boot()
                    device.set_mode("both")
                    device.select_model(image.models[0].id)
                    info = device.info()
                    assert info is not None
                    device.load(bytes(info.input_bytes))
                analyser.label("new", number, RUNS)
                assert window(instrument, settings, device).reasons == ()
    found = entries(truth)
    assert [entry["task"] for entry in found] == ["old", "new", "new"]
    assert found[2]["energy_uj"] == pytest.approx(found[1]["energy_uj"], abs=POLL_UJ)


def test_a_dead_analyser_says_what_it_died_of_and_takes_the_board_with_it(image):
    def infer(analyser: VirtualAnalyser) -> None:
        with running(image, analyser) as (_, device):
            kill(analyser)
            with pytest.raises(InstrumentLost, match="killed by signal 9"):
                analyser.label("first", 0, 1)
            device.infer(1, 1)

    with VirtualAnalyser() as analyser, pytest.raises(LinkError) as caught:
        infer(analyser)
    assert any("the virtual analyser has gone" in note for note in caught.value.__notes__)


def test_whoever_loses_it_is_told_why():
    def lose() -> None:
        with VirtualAnalyser() as analyser:
            kill(analyser)
            raise InstrumentLost("the connection died")

    with pytest.raises(InstrumentLost, match="connection") as caught:
        lose()
    assert any("killed by signal 9" in note for note in caught.value.__notes__)


def kill(analyser: VirtualAnalyser) -> None:
    os.kill(analyser.pid, signal.SIGKILL)
    wait_for(analyser.diagnosis)


def test_what_makes_no_sense_is_refused(tmp_path):
    with pytest.raises(MonitorUnknown, match="ppk2"):
        VirtualAnalyser("ppk2")
    with pytest.raises(SetupError, match="ended with exit code"):
        VirtualAnalyser(faults="nonsense")
    bad = tmp_path / "truth.json"
    bad.write_text("{}")
    with pytest.raises(SetupError, match=r"truth\.json"):
        VirtualAnalyser(truth=bad)
    with VirtualAnalyser() as analyser:
        with pytest.raises(EnergyError, match="ended with exit code 1"):
            analyser.label("first", -1, 0)
        wait_for(analyser.diagnosis)
        assert "no label" in analyser.diagnosis()


def test_it_does_not_outlive_who_started_it():
    code = (
        "import sys, time\n"
        "from host.emulator.analyser import VirtualAnalyser\n"
        "with VirtualAnalyser() as analyser:\n"
        "    print(analyser.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            pid = int(process.stdout.readline())
            assert not gone(pid)
        finally:
            process.kill()
    wait_for(lambda: gone(pid))
