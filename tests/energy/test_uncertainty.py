# SPDX-License-Identifier: Apache-2.0
"""The budget's closed form against the package `uncertainties`, and against instruments drawn inside their limits."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import uncertainties
from meter_kit import Board, cut, make_board

from energy import accuracy as accuracy_module
from energy.accuracy import Accuracy, Limits, lookup, simulated
from energy.uncertainty import Baseline, Budget, Term, baseline, budget, net_energy, of_run, rounded, scatter
from energy.window import PULSE_S, Idle, IdleMeter, MarkerMeter, Reading

READING = Reading(
    complete=True,
    start_s=0.5,
    end_s=0.51,
    energy_j=330e-6,
    charge_c=100e-6,
    flux_vs=0.033,
    start_w=0.033,
    end_w=0.020,
    u_start_s=2e-6,
    u_end_s=3e-6,
    rate_hz=1e5,
    samples=1000,
    lost=0,
    nans=0,
    overloads=0,
    range_switches=0,
    device_s=0.01 - PULSE_S,
    voltage_measured=True,
    reasons=(),
)
ACCURACY = Accuracy(
    model="made up",
    current=Limits(0.1, 0.0025, 15e-6, 5e-6, "made up"),
    voltage=Limits(6.0, 0.0012, 300e-6, 200e-6, "made up"),
    clock=50e-6,
    trigger_s=0.0,
    voltage_assumed=False,
    auto_range=False,
)
IDLE = Baseline(mean_w=0.004, mean_a=0.0012, mean_v=3.31, u_w=2e-6, drift=0.01)


def oracle(reading: Reading, accuracy: Accuracy, idle: Baseline | None) -> float:
    """u of the energy by the measurement's own equation: what was read, each with its errors taken off."""
    root3 = math.sqrt(3)
    u = uncertainties.ufloat
    duration_s = reading.duration_s

    def errors(limits: Limits, *, same: bool) -> list[tuple[uncertainties.UFloat, uncertainties.UFloat]]:
        """Gain and offset, of the window and of the idle level."""
        pairs = [(u(0, limits.gain / root3), u(0, limits.offset / root3)) for _ in range(2)]
        return [pairs[0], pairs[0]] if same else pairs

    window_i, idle_i = errors(accuracy.current, same=not accuracy.auto_range)
    window_v, idle_v = errors(accuracy.voltage, same=not accuracy.voltage_assumed)
    clock = u(0, accuracy.clock / root3)
    start, end = u(0, reading.u_start_s), u(0, reading.u_end_s)
    mean_i, mean_v = reading.charge_c / duration_s, reading.flux_vs / duration_s
    samples = duration_s * reading.rate_hz
    noise_i, noise_v = (u(0, limits.noise / math.sqrt(samples)) for limits in (accuracy.current, accuracy.voltage))
    # i * v of the true values, v as a whole: (i (1 + gi) + oi) (v (1 + gv) + ov), summed over the window.
    energy = reading.energy_j * (1 + window_i[0]) * (1 + window_v[0])
    energy += window_i[1] * reading.flux_vs + window_v[1] * reading.charge_c
    energy += (noise_i * mean_v + noise_v * mean_i) * duration_s
    energy += reading.start_w * start + reading.end_w * end
    length = duration_s + start + end
    if idle is None:
        return float((energy * (1 + clock)).std_dev)
    level = idle.mean_w * (1 + idle_i[0]) * (1 + idle_v[0]) + idle_i[1] * idle.mean_v + idle_v[1] * idle.mean_a
    return float(((energy - (level + u(0, idle.u_w)) * length) * (1 + clock)).std_dev)


@pytest.mark.parametrize("idle", [None, IDLE])
@pytest.mark.parametrize("auto_range", [False, True])
@pytest.mark.parametrize("assumed", [False, True])
def test_the_closed_form_is_that_of_the_package_uncertainties(
    idle: Baseline | None, auto_range: bool, assumed: bool
) -> None:
    accuracy = dataclasses.replace(ACCURACY, auto_range=auto_range, voltage_assumed=assumed)
    assert budget(READING, accuracy, idle).u_j == pytest.approx(oracle(READING, accuracy, idle), rel=1e-9)


def test_the_example_of_the_reference() -> None:
    """10 mA, 3.3 V, 10 ms, 0.025 % + 15 uA, 2 V range: 0.012 % + 300 uV, one sample in 1 us: 0.18 %, 866 ppm of it the
    current's offset."""
    reading = dataclasses.replace(READING, start_w=0.033, end_w=0.033, u_start_s=0.0, u_end_s=0.0)
    accuracy = dataclasses.replace(
        ACCURACY, current=Limits(0.1, 0.00025, 15e-6, 0, ""), voltage=Limits(6, 0.00012, 300e-6, 0, ""), clock=0.0
    )
    found = budget(reading, accuracy)
    terms = {term.name: term.u_j / reading.energy_j for term in found.terms}
    assert terms["current offset"] == pytest.approx(866e-6, rel=1e-3)
    assert found.expanded_j / reading.energy_j == pytest.approx(0.0018, abs=0.00005)


def test_a_constant_offset_drops_out_of_the_net_energy() -> None:
    same = dataclasses.replace(IDLE, mean_v=READING.flux_vs / READING.duration_s)
    terms = {term.name: term.u_j for term in budget(READING, ACCURACY, same).terms}
    assert terms["current offset"] == pytest.approx(0, abs=1e-15)
    assert terms["idle level"] == pytest.approx(2e-6 * 0.01)
    ranging = dataclasses.replace(ACCURACY, auto_range=True)
    assert {term.name: term.u_j for term in budget(READING, ranging, same).terms}["current offset"] == pytest.approx(
        15e-6 / math.sqrt(3) * 0.033 * math.sqrt(2)
    )


def read_with_errors(
    board: Board, rng: np.random.Generator, accuracy: Accuracy, rate_hz: float
) -> tuple[Reading, Idle]:
    """An instrument drawn inside the limits of `accuracy` looks at a board: its idle start, and its window."""
    drift = 1 + rng.uniform(-1, 1) * accuracy.clock
    phase_s = rng.uniform(0, 1 / rate_hz)
    amperes, volts, marker = board.samples(rate_hz * drift, begin_s=phase_s)
    current, voltage = accuracy.current, accuracy.voltage
    shape = len(amperes)
    read_a = amperes * (1 + rng.uniform(-1, 1) * current.gain) + rng.uniform(-1, 1) * current.offset
    read_v = volts * (1 + rng.uniform(-1, 1) * voltage.gain) + rng.uniform(-1, 1) * voltage.offset
    read_a = read_a + current.noise * rng.standard_normal(shape)
    read_v = read_v + voltage.noise * rng.standard_normal(shape)
    window, idle = MarkerMeter(1.8), IdleMeter(1.8)
    quiet = int(0.029 * rate_hz)
    for chunk in cut(read_a[:quiet], read_v[:quiet], None, rate_hz, (4001,)):
        idle.feed(chunk)
    for chunk in cut(read_a, read_v, marker, rate_hz, (4001,)):
        window.feed(chunk)
    return window.finish(), idle.finish()


@pytest.mark.parametrize(
    "accuracy",
    [
        ACCURACY,
        dataclasses.replace(
            ACCURACY, current=Limits(0.1, 0.0001, 1e-6, 100e-6, ""), voltage=Limits(6, 0.0001, 1e-5, 1e-3, "")
        ),
        dataclasses.replace(ACCURACY, current=Limits(0.1, 0.0, 60e-6, 0, ""), voltage=Limits(6, 0, 0, 0, "")),
        dataclasses.replace(
            ACCURACY, current=Limits(0.1, 0, 0, 0, ""), voltage=Limits(6, 0, 0, 0, ""), clock=1e-3
        ),
    ],
    ids=["all", "noise", "offset", "clock and edges"],
)  # fmt: skip
@pytest.mark.parametrize("net", [False, True])
def test_drawn_instruments_lie_within_the_budget(accuracy: Accuracy, net: bool) -> None:
    """A Monte Carlo through the meter itself: the root mean square of error / u is 1."""
    rng = np.random.default_rng(20)
    scores = []
    for seed in range(140):
        board = make_board(seed % 20, inference_s=rng.uniform(0.002, 0.004), inferences=15, ohms=0.1)
        reading, idle = read_with_errors(board, rng, accuracy, 1e5)
        assert reading.valid, reading.reasons
        level = baseline(idle, None) if net else None
        quiet_w = board.energy_j(0.0, 0.029) / 0.029
        truth_j = board.energy_j() - (quiet_w * (board.end_s - board.start_s) if net else 0.0)
        found_j = net_energy(reading, level) if level else reading.energy_j
        scores.append((found_j - truth_j) / budget(reading, accuracy, level).u_j)
    assert float(np.sqrt(np.mean(np.square(scores)))) == pytest.approx(1.0, abs=0.19)
    assert np.mean(np.abs(scores) <= 2) >= 0.93


def idle_of(mean_w: float, u_w: float = 0.0) -> Idle:
    return Idle(mean_w, mean_w / 3, 3.0, u_w, 1.0, 1e5, 100_000, 0, 0, 0, 0, True, ())


def test_the_idle_level_is_what_it_was_before_and_after() -> None:
    level = baseline(idle_of(0.003, 3e-6), idle_of(0.0031, 4e-6))
    assert (level.mean_w, level.mean_a, level.mean_v) == pytest.approx((0.00305, 0.00305 / 3, 3.0))
    assert level.drift == pytest.approx(0.1 / 3)
    assert level.u_w == pytest.approx(math.hypot(2.5e-6, 0.5e-4 / math.sqrt(3)))
    assert baseline(idle_of(0.003, 3e-6), None) == Baseline(0.003, 0.001, 3.0, 3e-6, None)
    assert baseline(idle_of(0.0), idle_of(0.1)).drift is None


def test_a_run_is_the_median_with_the_scatter_added() -> None:
    budgets = [Budget((Term("gain", 0.1 * number), Term("edge", 0.2))) for number in range(5)]
    run = of_run([5.0, 1.0, 3.0, 2.0, 4.0], budgets)
    assert (run.value_j, run.index) == (3.0, 2)
    assert run.budget is not None
    assert run.budget.terms[:2] == budgets[2].terms
    assert run.budget.terms[2] == Term("scatter", scatter([1, 2, 3, 4, 5]))
    assert run.budget.u_j == pytest.approx(math.hypot(0.2, 0.2, scatter([1, 2, 3, 4, 5])))
    assert run.budget.scaled(0.5).expanded_j == pytest.approx(run.budget.u_j)
    assert of_run([1.0, 2.0], [None, None]).budget is None
    assert of_run([1.0, 2.0], [None, None]).value_j == 1.5


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 20])
def test_the_scatter_of_a_median_is_as_large_as_medians_scatter(count: int) -> None:
    rng = np.random.default_rng(count)
    draws = rng.standard_normal((40_000, count))
    told = math.sqrt(float(np.mean([scatter(draw) ** 2 for draw in draws[:4000].tolist()])))
    assert told == pytest.approx(float(np.std(np.median(draws, axis=1))), rel=0.06 if count % 2 else 0.16)
    assert told >= 0.94 * float(np.std(np.median(draws, axis=1)))
    assert scatter([1.0]) == 0.0


@pytest.mark.parametrize(
    ("value", "expanded", "text"),
    [
        (1430.6681, 2.1049, "1430.7 +- 2.1"),
        (1430.6681, 0.0996, "1430.67 +- 0.10"),
        (1430.6681, 0.996, "1430.7 +- 1.0"),
        (1430.6681, 9.96, "1431 +- 10"),
        (143066.81, 214.9, "143070 +- 210"),
        (0.0123456, 0.000123, "0.01235 +- 0.00012"),
        (0.0, 0.5, "0.00 +- 0.50"),
        (-3.14159, 0.27, "-3.14 +- 0.27"),
        (1430.6681, None, "1430.7"),
        (143066.81, None, "143067"),
        (0.0123456, 0.0, "0.012346"),
        (0.0, None, "0"),
        (5.0, math.inf, "5.0000"),
    ],
)
def test_digits_follow_the_uncertainty(value: float, expanded: float | None, text: str) -> None:
    assert rounded(value, expanded) == text


def test_what_the_table_does_not_tell_is_not_made_up() -> None:
    assert lookup("no such instrument", 0.1, 3.3) is None
    assert lookup("assumed", 0.1, 3.3) is None
    assert lookup("VA1", 5.0, 3.3) is None, "there is no such range"
    assert lookup("VA1", 0.1, 30.0) is None, "nor such a voltage"
    assert lookup("DMM7510", 0.1, 3.3) is None, "it measures no voltage"


def test_ranges_are_found_by_what_they_hold() -> None:
    fixed, auto = lookup("VA1", 0.1, 3.3), lookup("VA1", None, 3.3)
    assert fixed is not None
    assert auto is not None
    assert (fixed.current.full_scale, fixed.auto_range, fixed.voltage_assumed) == (0.1, False, False)
    assert (auto.current.full_scale, auto.auto_range, auto.current.offset) == (1.0, True, 100e-6)
    shunts = lookup("LPM01A", 0.05, 3.3, voltage_measured=False)
    assert shunts is not None
    assert shunts.auto_range, "it switches by itself, so that net of idle nothing cancels"
    stated = lookup(simulated("DMM7510"), 0.1, 3.3, voltage_measured=False)
    assert stated is not None
    assert stated.voltage_assumed
    assert "stated voltage" in stated.source


def test_a_figure_without_a_source_holds_for_the_virtual_analyser_only() -> None:
    for model in ("N6781A", "NGU201", "DMM7510"):
        measured = model != "DMM7510"
        assert lookup(model, 0.1, 3.3, voltage_measured=measured) is None
        played = lookup(simulated(model), 0.1, 3.3, voltage_measured=measured)
        assert played is not None
        assert "not confirmed" in played.source
    assert simulated(simulated("VA1")) == simulated("VA1")
    real, played = lookup("2450", 0.1, 3.3), lookup(simulated("VA1"), 0.1, 3.3)
    assert real is not None
    assert played is not None
    assert (real.current.offset, real.clock) == (6e-6, pytest.approx(100e-6))
    assert "by definition" in played.source


def test_auto_range_needs_every_range_confirmed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The range that nobody confirmed may be the one that was used."""
    rows = """[assumed]
clock_ppm = 100
gain_percent = 1.0
source = "x"
[M]
[[M.current]]
range_a = 0.1
gain_percent = 0.1
source = "x"
[[M.current]]
range_a = 1.0
gain_percent = 0.1
"""
    table = tmp_path / "accuracy.toml"
    monkeypatch.setattr(accuracy_module, "TABLE", table)
    for text, known in ((rows, False), (rows + 'source = "x"\n', True)):
        table.write_text(text)
        accuracy_module._table.cache_clear()
        assert lookup("M", 0.1, 3.3, voltage_measured=False) is not None
        assert (lookup("M", None, 3.3, voltage_measured=False) is not None) == known
    accuracy_module._table.cache_clear()
