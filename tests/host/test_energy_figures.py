# SPDX-License-Identifier: Apache-2.0
"""The energy of a run, out of a journal's rows: which windows count, what is net, and what makes a run invalid."""

from __future__ import annotations

import dataclasses
import io
import math
from typing import Any

import msgspec
import pytest
from rich.console import Console
from test_energy_rows import BROKEN, IDLE, MONITOR, READING, a_row, an_idle
from test_journal import header
from test_results import make_result

from energy.window import PULSE_S, Idle, Reading, clock_reasons
from host.catalog import ModelFile
from host.errors import DeviceError
from host.report.energy import print_energy, window_notes
from host.report.table import print_result
from host.results import schema
from host.results.journal import EnergyWindowRow, Header, MonitorPlan, MonitorRecord
from host.runner.energy_figures import figures
from host.runner.monitor import check_provenance
from host.runner.rules import RULES, energy_reasons

QUICK, MLPERF = RULES["quick"], RULES["mlperf"]
GOOD = dataclasses.replace(READING, device_s=READING.duration_s - PULSE_S)
UNKNOWN = msgspec.structs.replace(MONITOR, model="no such model")


def begun(net: bool = False, monitor: MonitorRecord = MONITOR, build_id: str | None = "b") -> Header:
    plain = header(1)
    plan = msgspec.structs.replace(
        plain.plan, mode="energy", energy=MonitorPlan(monitor="simulated@simulated", net=net)
    )
    devices = [msgspec.structs.replace(plain.devices[0], build_id=build_id)]
    return msgspec.structs.replace(plain, plan=plan, monitor=monitor, devices=devices)


def readings(*factors: float) -> list[EnergyWindowRow]:
    return [
        a_row(number, dataclasses.replace(GOOD, energy_j=GOOD.energy_j * factor))
        for number, factor in enumerate(factors)
    ]


def idles(before: Idle = IDLE, after: Idle = IDLE) -> list[Any]:
    return [an_idle("before", before), an_idle("after", after)]


def test_the_median_window_is_the_value_and_its_budget_with_the_scatter_the_uncertainty() -> None:
    energy = figures(begun(), readings(1.0, 1.1, 0.9, 1.02, 0.99), idles())
    assert energy.value == energy.gross == pytest.approx(1e4 / 7)
    assert energy.net is None
    assert energy.mean_mw == pytest.approx(40.0)
    assert (energy.idle_mw, energy.idle_drift) == (pytest.approx(2.0), 0.0)
    assert energy.clock_ratio == pytest.approx(1.0)
    assert energy.u == pytest.approx(2 * math.hypot(*(term.u_uj for term in energy.budget)))
    scatter = next(term.u_uj for term in energy.budget if term.term == "scatter")
    assert scatter > energy.u / 4
    # What a window says of itself has no scatter.
    assert all(window.u_uj is not None and window.u_uj / 7 < energy.u / 3 for window in energy.windows)


def test_net_is_less_what_idle_takes_in_the_same_time() -> None:
    warmer = dataclasses.replace(IDLE, mean_w=2.2e-3)
    energy = figures(begun(net=True), readings(1.0, 1.0, 1.0), idles(after=warmer))
    assert energy.value == energy.net == pytest.approx((1e4 - 2.1e-3 * 0.25 * 1e6) / 7)
    assert energy.gross == pytest.approx(1e4 / 7)
    assert (energy.idle_before_mw, energy.idle_after_mw) == (2.0, 2.2)
    assert energy.idle_drift == pytest.approx(0.1)
    assert any(term.term == "idle level" and term.u_uj > 0 for term in energy.budget)


def test_an_idle_level_that_could_not_be_measured_is_never_zero() -> None:
    bad = dataclasses.replace(IDLE, mean_w=math.nan, reasons=("3 samples of the idle stretch are no number",))
    energy = figures(begun(net=True), readings(1.0), idles(before=bad))
    assert (energy.idle_before_mw, energy.idle_mw, energy.idle_drift) == (None, 2.0, None)
    assert (energy.net, energy.value, energy.u) == (None, None, None), "nobody knows how far it drifted"
    energy = figures(begun(net=True), readings(1.0), idles(before=bad, after=bad))
    assert (energy.idle_mw, energy.net, energy.value, energy.u) == (None, None, None, None)
    assert energy.gross is not None


def test_without_accuracy_data_there_is_no_uncertainty() -> None:
    energy = figures(begun(monitor=UNKNOWN), readings(1.0, 1.0), idles())
    assert (energy.u, energy.budget, energy.monitor.accuracy_source) == (None, [], None)
    assert energy.value == pytest.approx(1e4 / 7)
    assert {window.u_uj for window in energy.windows} == {None}
    assert "no accuracy data" in shown(energy)


def test_only_valid_windows_count() -> None:
    rows = [*readings(1.0, 1.0), a_row(2, BROKEN), a_row(3, dataclasses.replace(GOOD, reasons=("overloaded",)))]
    energy = figures(begun(), rows, idles())
    assert [window.valid for window in energy.windows] == [True, True, False, False]
    assert energy.value == pytest.approx(1e4 / 7)
    assert energy.lost_samples == 7
    assert (energy.windows[2].energy_uj, energy.windows[2].duration_s) == (None, None)
    text = shown(energy)
    assert "kws01: window 3 (2.bin) not valid: 7 samples were lost" in text
    assert "median of 2 windows" in text
    assert "2 not valid" in text


def longer(part: float) -> Reading:
    """A window that lost a part of its samples without a word: shorter by the monitor's clock."""
    return dataclasses.replace(GOOD, end_s=GOOD.start_s + GOOD.duration_s * (1 - part))


def test_a_window_that_lost_samples_without_a_word_is_found_beside_the_others() -> None:
    rows = [a_row(number, GOOD) for number in range(4)] + [a_row(4, longer(0.001))]
    energy = figures(begun(), rows, idles())
    assert [window.valid for window in energy.windows] == [True] * 4 + [False]
    assert "samples seem missing" in energy.windows[4].reasons[0]


def test_windows_with_other_faults_are_no_measure_for_one_that_lost_samples() -> None:
    doubled = dataclasses.replace(GOOD, end_s=GOOD.start_s + 2e-5, reasons=("3 falling edges were seen",))
    known = dataclasses.replace(GOOD, lost=100, reasons=("100 samples were lost",))
    rows = [a_row(0, longer(0.004)), a_row(1, known), a_row(2, BROKEN), a_row(3, doubled)]
    energy = figures(begun(), rows, idles())
    assert not any(window.valid for window in energy.windows)
    assert "samples seem missing" in energy.windows[0].reasons[0]
    assert energy.value is None
    assert "energy not known: 0 valid windows" in shown(energy)


def test_somebody_elses_firmware_tells_its_time_from_edge_to_edge() -> None:
    whole = dataclasses.replace(READING, device_s=READING.duration_s)
    energy = figures(begun(build_id=None), [a_row(0, whole)], idles())
    assert energy.clock_ratio == 1.0


def a_window(number: int, seconds: float = 10.5, valid: bool = True, inferences: int = 10) -> schema.EnergyWindow:
    return schema.EnergyWindow(
        window=number, input=f"{number}.bin", inferences=inferences, valid=valid,
        reasons=[] if valid else ["7 samples were lost"], energy_uj=1.0, u_uj=None, duration_s=seconds, device_us=None,
        mean_mw=1.0, clock_ratio=1.0, samples=1, lost_samples=0, overloads=0, range_switches=0,
    )  # fmt: skip


@pytest.fixture
def model(tmp_path: Any) -> ModelFile:
    return ModelFile("kws01", "m", "here", tmp_path / "m", "0" * 64, "int8", input_bytes=1, outputs=12, official=True)


@pytest.mark.parametrize(
    ("windows", "ratio", "says"),
    [
        ([a_window(n) for n in range(5)], 1.0, None),
        ([a_window(n) for n in range(5)], 0.991, None),
        ([a_window(n) for n in range(5)], 1.011, "goes +1.10% against the power monitor's"),
        ([a_window(n, valid=n != 2) for n in range(5)], 1.0, "4 valid windows where the mlperf rules ask for 5; w"),
        ([a_window(n) for n in range(4)], 1.0, "leave out --inputs"),
        ([a_window(n, seconds=9.99 if n == 1 else 10.5) for n in range(5)], 1.0, "window 2: 10 inferences in 9.990 s"),
        ([a_window(n, inferences=9) for n in range(5)], 1.0, "window 1: 9 inferences"),
        ([a_window(0) for _ in range(5)], 1.0, "the same input was used twice"),
    ],
)  # fmt: skip
def test_what_the_rules_of_mlperf_say(
    windows: list[schema.EnergyWindow], ratio: float, says: str | None, model: ModelFile
) -> None:
    reasons = energy_reasons(MLPERF, windows, ratio, model)
    if says is None:
        assert not reasons
    else:
        assert any(says in reason for reason in reasons), reasons


def test_one_window_whose_clocks_disagree_makes_the_run_invalid(model: ModelFile) -> None:
    # As far off as a loss without a word makes it: the window counts for nothing, and who knows about the others.
    off = clock_reasons(1.0, 0.98, 1e-6)
    windows = [a_window(0), msgspec.structs.replace(a_window(1), valid=False, reasons=off)]
    (reason,) = energy_reasons(QUICK, windows, 1.0, model)
    assert "in window 2 the board's clock and the power monitor's differ by more than 1%" in reason


def test_the_virtual_analyser_measures_no_real_board_whatever_it_says_it_is() -> None:
    class Connected:  # all that is looked at of a monitor
        record = msgspec.structs.replace(MONITOR, name="keysight_n6705", idn="Keysight Technologies,N6705C,MY5,E.02")

    check_provenance(Connected(), "measured")  # type: ignore[arg-type]
    # As tests/energy/transcripts have it.
    Connected.record = msgspec.structs.replace(MONITOR, name="rs_ngu", idn="R,NGU201,k02/TINYJOULE-VIRTUAL-1,05.000")
    check_provenance(Connected(), "emulated")  # type: ignore[arg-type]
    with pytest.raises(DeviceError, match="virtual analyser"):
        check_provenance(Connected(), "measured")  # type: ignore[arg-type]


def test_a_quick_look_needs_one_valid_window(model: ModelFile) -> None:
    windows = [a_window(n, seconds=0.21, valid=n == 1, inferences=1) for n in range(5)]
    assert not energy_reasons(QUICK, windows, 1.0, model)
    assert energy_reasons(QUICK, [windows[0]], None, model)


def shown(energy: schema.Energy, width: int = 200, **changes: Any) -> str:
    run = msgspec.structs.replace(make_result().runs[0], mode="energy", energy_uj=energy, **changes)
    result = make_result(runs=[run])
    stream = io.StringIO()
    console = Console(width=width, file=stream, force_terminal=True, color_system=None, _environ={})
    print_result(result, console)
    print_energy(result, run, console)
    return stream.getvalue()


def test_latency_and_energy_stand_beside_each_other_in_100_columns() -> None:
    energy = figures(begun(net=True), readings(1.0, 1.1, 0.9), idles())
    text = shown(energy)
    assert max(map(len, text.splitlines())) <= 100
    (row,) = (line for line in text.splitlines() if line.startswith("│ kws01"))
    assert "100.000 │" in row
    assert "+-" in row
    for words in ("emulated uJ", "emulated mW", "net of idle", "idle 2.00", "k = 2", "EMULATED on mps2_an386"):
        assert words in text
    assert "voltage measured" in text


def test_an_assumed_voltage_and_auto_range_are_told() -> None:
    monitor = msgspec.structs.replace(MONITOR, measures_voltage=False, voltage_v=3.3, range_a=None, windows="trigger")
    energy = figures(begun(monitor=monitor), readings(1.0), idles())
    assert (energy.monitor.voltage, energy.monitor.voltage_v) == ("assumed", 3.3)
    text = shown(energy)
    assert "voltage assumed 3.300 V" in text
    assert "auto-range" in text
    assert "a trigger and the board's clock" in text
    assert "the only valid window" in text


def test_a_board_without_times_has_energy_and_no_latency() -> None:
    energy = figures(begun(), readings(1.0), idles())
    text = shown(energy, latency_us=None, throughput_inf_per_s=None, instructions_per_inference=None, windows=[])
    assert "latency" not in text
    assert "energy per" in text


def test_where_nobody_checks_the_monitor_s_clock_it_is_told() -> None:
    silent = dataclasses.replace(GOOD, device_s=None)
    energy = figures(begun(build_id=None), [a_row(0, silent)], idles())
    assert energy.value is not None
    assert [note for note in window_notes(energy) if "tells no times" in note]
    assert not list(window_notes(figures(begun(), readings(1.0), idles())))
