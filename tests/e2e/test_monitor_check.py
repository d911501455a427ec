# SPDX-License-Identifier: Apache-2.0
"""`host monitors check` with a board that moves the timing pin: emulated with the virtual analyser, and at a port."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from energy.simulator.pacing import PacedLoad
from energy.simulator.recording import random_load
from energy.simulator.server import Simulator
from host.build import Image
from host.cli import main
from host.emulator import start
from host.report.progress import Reporter
from host.results.journal import MonitorPlan
from host.results.monitor_check import Item, MonitorCheck
from host.runner.monitor_check import CheckPlan, check_monitor

BOARD = "mps2_an386"
MAY_BE_SLOW = {"rate"}  # a busy machine may not keep up with its own clock


def look(monitor: str, **options: str) -> MonitorCheck:
    with Reporter() as reporter:
        return check_monitor(CheckPlan(MonitorPlan(monitor=monitor, voltage_v=1.8), **options), reporter)


def item(check: MonitorCheck, name: str) -> Item:
    return next(item for item in check.items if item.item == name)


def test_the_virtual_analyser_and_an_emulated_board(
    firmware_image: Callable[[str], Image], capsys: pytest.CaptureFixture[str]
) -> None:
    firmware_image(BOARD)
    assert main(["monitors", "check", "simulated", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["schema"], record["provenance"]) == ("tinyjoule.monitor-check/1", "emulated")
    assert record["board"] == BOARD
    items = {one["item"]: one for one in record["items"]}
    assert {name for name, one in items.items() if one["verdict"] != "ok"} <= MAY_BE_SLOW
    assert abs(items["zero offset"]["value"]) < 1e-5
    assert items["idle power"]["value"] == pytest.approx(
        1.8 * 1.2e-3, rel=0.02
    )  # asleep: energy/simulator/current.toml
    assert items["voltage"]["value"] == pytest.approx(1.8, rel=0.01)
    assert items["timing pin"]["value"] == 3
    assert items["clock"]["value"] == pytest.approx(1, abs=0.002)


@pytest.mark.parametrize(
    ("monitor", "falls"),
    [
        ("simulated@simulated?faults=edge_lost@c2", 2),
        ("simulated@simulated?faults=edge_doubled@c2", 4),
        ("keysight_n6705@simulated?faults=edge_lost@0", 0),
    ],
)
def test_a_pin_that_is_not_seen_as_it_moves_is_not_sane(
    monitor: str, falls: int, firmware_image: Callable[[str], Image]
) -> None:
    firmware_image(BOARD)
    check = look(monitor)
    assert (item(check, "timing pin").verdict, item(check, "timing pin").value) == ("bad", falls)
    assert not check.sane


def test_an_instrument_that_is_triggered(firmware_image: Callable[[str], Image]) -> None:
    firmware_image(BOARD)
    check = look("keysight_n6705@simulated")
    assert check.windows == "trigger"
    assert item(check, "timing pin").verdict == item(check, "clock").verdict == "ok"
    assert {one.item for one in check.items if one.verdict != "ok"} <= MAY_BE_SLOW


@pytest.mark.parametrize("name", ["simulated", "keysight_n6705"])
def test_a_clock_that_lies_is_found_by_the_boards(name: str, firmware_image: Callable[[str], Image]) -> None:
    firmware_image(BOARD)
    check = look(f"{name}@simulated?faults=rate_lie")  # 3 % off, and the read-back does not say so
    assert item(check, "clock").verdict == "bad"
    assert item(check, "clock").value in (None, pytest.approx(1 / 0.97, abs=0.01))  # a trigger may see no sound end
    assert not check.sane


def test_a_board_at_a_port_whose_pin_is_connected_to_nothing(firmware_image: Callable[[str], Image]) -> None:
    """The analyser's load is another board, which sleeps."""
    quiet = PacedLoad(random_load(3, 1, idle_s=1000.0))
    with start(firmware_image("native"), timed=False) as board, Simulator("virtual", quiet) as running:
        check = look(f"simulated@{running.address}", port=board.url)
    assert check.board == "native"
    assert (item(check, "timing pin").verdict, item(check, "timing pin").value) == ("bad", 0)
    assert "wire" in item(check, "timing pin").text
