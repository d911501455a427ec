# SPDX-License-Identifier: Apache-2.0
"""What a journal keeps of an energy run, and what of it can be gone on with."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_journal import header, seal, write

from energy.window import Idle, Reading
from host.errors import ResultInvalid, SetupError, UsageError
from host.results import schema
from host.results.journal import (
    EnergyWindowRow,
    Header,
    IdleRecord,
    IdleRow,
    Journal,
    MonitorPlan,
    MonitorRecord,
    ReadingRecord,
    Row,
    decode,
)
from host.runner.energy import fields
from host.runner.energy_figures import idle_of, reading_of
from host.runner.monitor import check_same, moved, parse_wanted, wanted_monitor

READING = Reading(
    complete=True, start_s=0.25, end_s=0.5, energy_j=1e-2, charge_c=5e-3, flux_vs=0.45, start_w=0.03, end_w=0.04,
    u_start_s=1e-6, u_end_s=2e-6, rate_hz=1e5, samples=25_000, lost=0, nans=0, overloads=0, range_switches=1,
    device_s=0.2499, voltage_measured=True, reasons=(),
)  # fmt: skip
BROKEN = dataclasses.replace(
    READING, complete=False, end_s=math.nan, energy_j=math.nan, charge_c=math.inf, device_s=None, lost=7,
    reasons=("7 samples were lost",),
)  # fmt: skip
IDLE = Idle(
    mean_w=2e-3, mean_a=1e-3, mean_v=1.8, u_w=1e-6, duration_s=0.5, rate_hz=1e5, samples=50_000, lost=0, nans=0,
    overloads=0, range_switches=0, voltage_measured=True, reasons=(),
)  # fmt: skip
MONITOR = MonitorRecord(
    name="simulated", idn="tinyjoule,VA1,1,0.1.0", model="VA1", windows="marker", measures_voltage=True, rate_hz=1e5,
    range_a=0.05, voltage_v=1.8,
)  # fmt: skip


def a_row(index: int, reading: Reading = READING) -> EnergyWindowRow:
    return EnergyWindowRow(
        task="kws01", index=index, unit=0, input=f"{index}.bin", inferences=7, reading=ReadingRecord(**fields(reading))
    )


def an_idle(when: Any, idle: Idle = IDLE) -> IdleRow:
    return IdleRow(task="kws01", unit=0, when=when, idle=IdleRecord(**fields(idle)))


def same(one: Reading | Idle, other: Reading | Idle) -> bool:
    return repr(one) == repr(other)  # a NaN is no NaN, but reads like one


def test_a_reading_comes_out_of_the_journal_as_it_went_in(tmp_path: Path) -> None:
    rows: list[Row] = [an_idle("before"), a_row(0), a_row(1, BROKEN), an_idle("after")]
    _, back, _, _ = decode(write(tmp_path, rows), "it")
    assert back == rows
    assert same(reading_of(back[1].reading), READING)  # type: ignore[union-attr]
    broken = reading_of(back[2].reading)  # type: ignore[union-attr]
    assert (broken.complete, broken.device_s, broken.reasons) == (False, None, ("7 samples were lost",))
    assert math.isnan(broken.energy_j)
    assert math.isnan(broken.charge_c)
    assert not broken.valid
    assert same(idle_of(back[0].idle), IDLE)  # type: ignore[union-attr]
    bad = dataclasses.replace(IDLE, mean_w=math.nan, reasons=("3 samples are no number",))
    assert same(idle_of(IdleRecord(**fields(bad))), bad)


@pytest.mark.parametrize(("first", "again"), [(an_idle("before"), an_idle("before")), (a_row(3), a_row(3, BROKEN))])
def test_what_was_measured_once_is_not_there_twice(first: Row, again: Row, tmp_path: Path) -> None:
    with pytest.raises(ResultInvalid, match="was recorded before"):
        decode(write(tmp_path, [first, again]), "it")


def test_a_journal_of_before_there_was_energy_goes_on(tmp_path: Path) -> None:
    lines = write(tmp_path, []).splitlines()
    old = json.loads(lines[0])
    assert old["plan"].pop("energy") is None
    assert "monitor" not in old
    del old["check"]
    body = json.dumps(old, separators=(",", ":")).encode()
    typed = msgspec.json.decode(body, type=Header)
    assert typed == header()
    (tmp_path / "journal.jsonl").write_bytes(seal(typed, 0)[0])
    with Journal.reopen(tmp_path) as journal:
        assert journal.header.monitor is None


def test_a_plan_of_energy_is_kept_whole(tmp_path: Path) -> None:
    plan = MonitorPlan(monitor="simulated@simulated?seed=3", net=True, range_a=0.1, rate_hz=5e4, voltage_v=3.3)
    begun = msgspec.structs.replace(
        header(1), plan=msgspec.structs.replace(header(1).plan, mode="energy", energy=plan), monitor=MONITOR
    )
    with Journal.create(tmp_path, begun):
        pass
    with Journal.reopen(tmp_path) as journal:
        assert journal.header == begun


@pytest.mark.parametrize(
    ("field", "value"),
    [("idn", "tinyjoule,VA1,2,0.1.0"), ("rate_hz", 5e4), ("range_a", None), ("voltage_v", 1.7), ("windows", "trigger")],
)
def test_a_session_goes_on_with_its_monitor_or_not_at_all(field: str, value: Any) -> None:
    check_same(MONITOR, msgspec.structs.replace(MONITOR))
    with pytest.raises(SetupError, match=f"the {field} of its power monitor is"):
        check_same(MONITOR, msgspec.structs.replace(MONITOR, **{field: value}))


def test_what_is_typed_of_a_monitor() -> None:
    assert wanted_monitor(None, at_port=False) == wanted_monitor("simulated", at_port=False) == "simulated@simulated"
    wanted = parse_wanted("lpm01a@simulated?seed=7&faults=drop@0.1,edge_lost@2&errors=drawn")
    assert (wanted.name, wanted.simulated, wanted.seed) == ("lpm01a", True, 7)
    assert (wanted.faults, wanted.errors) == ("drop@0.1,edge_lost@2", "drawn")
    real = parse_wanted("lpm01a@socket://127.0.0.1:5025?logging=debug")
    assert (real.simulated, real.address) == (False, "socket://127.0.0.1:5025?logging=debug")
    # A monitor may have moved while the session was broken off; another one is another session.
    assert moved("lpm01a@/dev/ttyACM1", "lpm01a@/dev/ttyACM2") == "lpm01a@/dev/ttyACM2"
    assert moved("lpm01a@/dev/ttyACM1", None) == "lpm01a@/dev/ttyACM1"
    with pytest.raises(UsageError, match="is not the session's, which is lpm01a"):
        moved("lpm01a@/dev/ttyACM1", "ppk2@/dev/ttyACM2")
    with pytest.raises(UsageError, match="leave out --port"):
        moved("lpm01a@/dev/ttyACM1", "lpm01a@simulated")


def test_an_energy_of_no_valid_window_is_null_and_tells_its_windows() -> None:
    energy = schema.Energy(
        value=None, u=None, k=2, gross=None, net=None, idle_mw=None, idle_before_mw=None, idle_after_mw=None,
        idle_drift=None, mean_mw=None, windows=[], budget=[], lost_samples=0, clock_ratio=None,
        monitor=schema.MonitorInfo(
            name="simulated", idn="x", rate_hz=1e5, range_a=None, voltage="measured", voltage_v=1.8, windows="marker",
            accuracy_source=None,
        ),
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(energy), type=schema.Energy) == energy
