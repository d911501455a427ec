# SPDX-License-Identifier: Apache-2.0
"""`host monitors`: what is listed and found plugged in, and what `check` says of a sane monitor and of a broken one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from energy import connected
from energy.connected import find_connected
from energy.errors import EnergyError
from energy.instruments import NAMES, module_of
from energy.simulator.pacing import PacedLoad
from energy.simulator.recording import random_load
from energy.simulator.server import Simulator
from host.cli import main
from host.errors import UsageError
from host.report.progress import Reporter
from host.results.journal import MonitorPlan
from host.results.monitor_check import Item, MonitorCheck, encode
from host.runner.monitor import opened_monitor
from host.runner.monitor_check import CheckPlan, check_monitor

PPK2 = (0x1915, 0xC00A)
ST_SERIAL = (0x0483, 0x5740)


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two serial ports and an empty list of USB devices."""
    ports = []
    for name, ids in (("/dev/ttyACM7", PPK2), ("/dev/ttyACM3", ST_SERIAL), ("/dev/ttyS0", (None, None))):
        port = ListPortInfo(name, skip_link_detection=True)
        port.vid, port.pid = ids
        ports.append(port)
    monkeypatch.setattr(list_ports, "comports", lambda: ports)
    monkeypatch.setattr(connected, "USB_DEVICES", tmp_path)
    return tmp_path


def usb_device(folder: Path, place: str, vendor: str, product: str) -> None:
    (folder / place).mkdir()
    (folder / place / "idVendor").write_text(f"{vendor}\n")
    (folder / place / "idProduct").write_text(f"{product}\n")


def test_what_is_plugged_in_is_found_by_its_usb_numbers(plugged: Path) -> None:
    usb_device(plugged, "1-2", "2a8d", "0101")  # a Keysight 34465A
    usb_device(plugged, "1-3", "1915", "c00a")  # the PPK2, whose serial port it is
    usb_device(plugged, "1-4", "1d6b", "0002")
    usb_device(plugged, "1-6", "16d0", "10ba")  # a Joulescope JS220
    usb_device(plugged, "1-5", "zz", "0002")
    (plugged / "1-2:1.0").mkdir()
    found = {(one.name, one.address, one.where, one.sure) for one in find_connected(plugged)}
    assert found == {
        ("joulescope", "", "USB 1-6", True),
        ("keysight_34465a", "", "USB 1-2", True),
        ("lpm01a", "/dev/ttyACM3", "/dev/ttyACM3", False),
        ("ppk2", "/dev/ttyACM7", "/dev/ttyACM7", True),
    }


def test_the_list_has_every_monitor(plugged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitors"]) == 0
    said = capsys.readouterr().out
    for name in NAMES:
        assert [line.split()[0] for line in said.splitlines() if line.split()[:1] == [name]] == [name]
        assert {*module_of(name).SUMMARY.split(), *module_of(name).ADDRESS.split()} <= set(said.split())  # in lines
    assert "/dev/ttyACM7" in said
    assert "/dev/ttyACM3 (perhaps)" in said


@contextmanager
def simulator(dialect: str = "virtual", faults: str = "", errors: str = "none") -> Iterator[Simulator]:
    """An analyser at a made-up board whose mean current is that of an awake one."""
    load = PacedLoad(random_load(3, 5, idle_s=0.5, repeat=True))
    with Simulator(dialect, load, faults=faults, errors=errors) as running:
        yield running


def look(running: Simulator, name: str = "simulated", **options: float) -> MonitorCheck:
    plan = MonitorPlan(monitor=f"{name}@{running.address}", **{"voltage_v": 1.8, **options})
    with Reporter() as reporter:
        return check_monitor(CheckPlan(plan), reporter)


def item(check: MonitorCheck, name: str) -> Item:
    return next(item for item in check.items if item.item == name)


def test_a_sane_monitor(capsys: pytest.CaptureFixture[str]) -> None:
    with simulator(errors="drawn") as running:
        check = look(running, rate_hz=20_000)
        assert main(["monitors", "check", f"simulated@{running.address}", "--voltage", "1.8"]) == 0
    said = capsys.readouterr().out
    assert "EMULATED" in said
    assert "Nothing about it is wrong." in said
    assert check.sane
    assert (check.provenance, check.rate_hz, check.voltage_v) == ("emulated", 20_000, 1.8)
    assert check.idn.startswith("tinyjoule,VA1")
    zero, power, voltage = (item(check, name) for name in ("zero offset", "idle power", "voltage"))
    assert abs(zero.value or 1) < 1e-4
    assert 1e-3 < (power.value or 0) < 0.1
    assert voltage.value == pytest.approx(1.8, rel=0.02)
    assert item(check, "timing pin").verdict == "not seen"
    assert msgspec.json.decode(encode(check), type=MonitorCheck) == check


@pytest.mark.parametrize(
    ("faults", "bad"),
    [
        ("nan@c1:0.1", {"samples"}),
        ("drop@c1:0.1", {"samples"}),
        ("overload@c1:0.1", {"samples", "idle power"}),
    ],
)
def test_bad_samples_are_not_sane(faults: str, bad: set[str]) -> None:
    with simulator(faults=faults) as running:
        check = look(running)
    assert {item.item for item in check.items if item.verdict == "bad"} == bad
    assert not check.sane


def test_what_the_converters_do_wrong_is_seen(tmp_path: Path) -> None:
    errors = tmp_path / "errors.toml"
    errors.write_text("offset_i = 0.001\ngain_v = 0.1\n")
    with simulator(errors=str(errors)) as running:
        check = look(running)
    assert {item.item for item in check.items if item.verdict == "bad"} == {"zero offset", "voltage"}
    assert item(check, "zero offset").value == pytest.approx(0.001, rel=0.05)
    errors.write_text("offset_i = -0.05\n")
    with simulator(errors=str(errors)) as running:
        check = look(running)
    assert "swapped" in item(check, "idle power").text
    assert item(check, "idle power").verdict == "bad"


def test_too_small_a_range_is_said() -> None:
    with simulator() as running:
        check = look(running, range_a=1e-3)
    assert item(check, "idle power").verdict == "bad"
    assert "--range" in item(check, "idle power").text


def test_an_error_of_the_instrument_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    with simulator(faults="error@c1:0.1") as running:
        assert main(["monitors", "check", f"simulated@{running.address}", "--voltage", "1.8"]) == 1
        assert "InstrumentError" in capsys.readouterr().err


def test_the_supply_is_off_afterwards_also_when_it_failed() -> None:
    with simulator(faults="error@c1:0.1") as running:
        with pytest.raises(EnergyError):
            look(running)
        assert not running.analyser.supply()


@pytest.mark.parametrize("words", ["ppk2", "nobody@x", "simulated@simulated?volts=3"])
def test_what_makes_no_sense_is_refused(words: str) -> None:
    assert main(["monitors", "check", words]) == 2


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (CheckPlan(MonitorPlan(monitor="simulated"), port="socket://127.0.0.1:9"), "leave out --port"),
        (CheckPlan(MonitorPlan(monitor="simulated"), board="native"), "no emulated Cortex-M"),
        (CheckPlan(MonitorPlan(monitor="ppk2@/dev/null"), board="native"), "--port"),
    ],
)
def test_a_board_that_makes_no_sense_is_refused(plan: CheckPlan, reason: str) -> None:
    with Reporter() as reporter, pytest.raises(UsageError, match=reason):
        check_monitor(plan, reporter)


def test_an_emulated_board_is_not_said_to_run_at_another_voltage() -> None:
    """Nobody would notice: the energy would be wrong by as much, and its uncertainty that of a stated voltage."""
    plan = MonitorPlan(monitor="keithley_dmm7510@simulated", voltage_v=3.3)
    with pytest.raises(UsageError, match=r"runs at 1\.8 V"), opened_monitor(plan, None):
        pass
    with opened_monitor(MonitorPlan(monitor="keithley_dmm7510@simulated", voltage_v=1.8), None) as monitor:
        assert monitor.record.voltage_v == 1.8
