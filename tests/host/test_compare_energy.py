# SPDX-License-Identifier: Apache-2.0
"""The change of an energy: which errors of a power monitor cancel, and whether the limits hold what is true."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from compare_kit import MONITOR, a_result, a_run, an_energy, an_energy_run, compared, row

from host.results import schema
from host.results.change import Change
from host.results.energy_change import clock_u, energy_change

ROOT3 = math.sqrt(3)
GAIN, CLOCK, EDGE = 3e-3, 2e-5, 1e-5
OFFSET_UJ = 2.0  # what the offset of the current adds to an inference
REPEATED = [100.0, 100.001, 99.999, 100.0, 100.0]
OTHER_ONE = msgspec.structs.replace(MONITOR, idn="Jetperch,JS220,000999,1.2.3")


def budget(energy_uj: float) -> dict[str, float]:
    return {
        "current gain": GAIN / ROOT3,
        "current offset": OFFSET_UJ / ROOT3 / energy_uj,
        "voltage gain": GAIN / ROOT3,
        "clock": CLOCK / ROOT3,
        "window start": EDGE / ROOT3,
        "window end": EDGE / ROOT3,
        "noise": 1.0,  # the windows show it
        "scatter": 1.0,
    }


class Instrument:
    """A specimen: its errors lie anywhere within what the budget says, and stay."""

    def __init__(self, dice: np.random.Generator) -> None:
        self.dice = dice
        self.gain = dice.uniform(-GAIN, GAIN) + dice.uniform(-GAIN, GAIN) + dice.uniform(-CLOCK, CLOCK)
        self.offset_uj = dice.uniform(-OFFSET_UJ, OFFSET_UJ)

    def run(self, true_uj: float, monitor: schema.MonitorInfo = MONITOR, scatter: float = 1e-4) -> schema.Run:
        edges = self.dice.uniform(-EDGE, EDGE, 2).sum()  # the same in all windows of a run
        noise = self.dice.normal(0, scatter, 5)
        read = [true_uj * (1 + self.gain + edges + one) + self.offset_uj for one in noise]
        return an_energy_run(an_energy(read, budget(true_uj), monitor))


def change(one: schema.Run, other: schema.Run, days: float = 1.0) -> Change:
    return energy_change(one, other, same_inputs=True, days=days)


def half(found: Change) -> float:
    assert found.low is not None
    assert found.high is not None
    return (found.high - found.low) / 2


@pytest.mark.parametrize("scatter", [1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize(("true_a", "true_b"), [(500.0, 500.0), (500.0, 400.0), (50.0, 500.0)])
@pytest.mark.parametrize("same", [True, False])
def test_the_limits_hold_the_true_change(scatter: float, true_a: float, true_b: float, same: bool) -> None:
    dice, held, runs = np.random.default_rng(11), 0, 400
    for _ in range(runs):
        first = Instrument(dice)
        second = first if same else Instrument(dice)
        found = change(first.run(true_a, MONITOR, scatter), second.run(true_b, MONITOR if same else OTHER_ONE, scatter))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= true_b / true_a - 1 <= found.high
    # 400 runs: 95 % +- 1.1 %. Rectangular errors are narrower at their ends than normal ones: more are held.
    assert held / runs > 0.915


def test_the_same_instrument_tells_far_smaller_changes_than_two() -> None:
    alike = change(*(an_energy_run(an_energy(REPEATED, budget(100.0))) for _ in range(2)))
    apart = change(an_energy_run(an_energy(REPEATED, budget(100.0))),
                   an_energy_run(an_energy(REPEATED, budget(100.0), OTHER_ONE)))  # fmt: skip
    assert "its errors cancel" in alike.how
    assert "another instrument" in apart.how
    u = math.hypot(2 * EDGE / ROOT3)  # two edges on two sides are left
    assert half(alike) == pytest.approx(1.96 * u, rel=0.3)
    whole = math.hypot(GAIN, GAIN, OFFSET_UJ / 100.0, CLOCK) / ROOT3
    assert half(apart) == pytest.approx(1.96 * math.sqrt(2) * whole, rel=0.01)
    assert half(alike) < half(apart) / 100


def test_an_offset_cancels_only_as_far_as_it_weighs_the_same() -> None:
    less = [value / 2 for value in REPEATED]
    found = change(an_energy_run(an_energy(REPEATED, budget(100.0))), an_energy_run(an_energy(less, budget(50.0))))
    left = OFFSET_UJ / ROOT3 * (1 / 50 - 1 / 100)
    assert half(found) == pytest.approx(0.5 * 1.96 * left, rel=0.01)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"idn": "Jetperch,JS220,000999,1.2.3"}, "another instrument"),
        ({"name": "otii"}, "another instrument"),
        ({"range_a": 1.8}, "another range"),
        ({"range_a": None}, "auto-range"),
        ({"rate_hz": 1e5}, "another rate"),
        ({"voltage": "assumed"}, "another source of the voltage"),
    ],
)
def test_what_is_not_set_the_same_does_not_cancel(changes: dict[str, object], why: str) -> None:
    other = msgspec.structs.replace(MONITOR, **changes)
    for sides in ((MONITOR, other), (other, MONITOR)):
        one, two = (an_energy_run(an_energy(REPEATED, budget(100.0), monitor)) for monitor in sides)
        found = change(one, two)
        assert why in found.how
        assert half(found) > 0.01


@pytest.mark.parametrize(
    ("idn", "range_a", "days", "why"),
    [
        (MONITOR.idn, 0.18, 366.0, "more than a year"),
        ("Jetperch,JS220,unknown,1.2.3", 0.18, 1.0, "no serial number"),
        ("PPK2", 0.18, 1.0, "no serial number"),
        (MONITOR.idn, None, 1.0, "auto-range"),
    ],
)
def test_on_both_sides_alike_is_not_always_the_same(idn: str, range_a: float | None, days: float, why: str) -> None:
    monitor = msgspec.structs.replace(MONITOR, idn=idn, range_a=range_a)
    one = an_energy_run(an_energy(REPEATED, budget(100.0), monitor))
    found = change(one, one, days)
    assert why in found.how
    assert half(found) > 0.01


def test_a_voltage_that_nobody_measured_may_be_another_one() -> None:
    monitor = msgspec.structs.replace(MONITOR, voltage="assumed")
    one = an_energy_run(an_energy(REPEATED, {"current gain": GAIN, "voltage gain": 0.01 / ROOT3}, monitor))
    found = change(one, one)
    assert "the voltage was assumed" in found.how
    assert half(found) == pytest.approx(1.96 * math.sqrt(2) * 0.01 / ROOT3, rel=0.01)


def test_without_accuracy_data_the_same_monitor_still_tells_and_another_does_not() -> None:
    one = an_energy_run(an_energy(REPEATED, None))
    found = change(one, one)
    assert "no accuracy data" in found.how
    assert half(found) < 1e-4
    for changes in ({"idn": "Jetperch,JS220,000999,1.2.3"}, {"range_a": 1.8}, {"rate_hz": 1.0}):
        other = an_energy_run(an_energy(REPEATED, None, msgspec.structs.replace(MONITOR, **changes)))
        blind = change(one, other)
        assert blind.value == pytest.approx(0, abs=1e-6)
        assert (blind.low, blind.high) == (None, None)
    ppk2 = an_energy_run(an_energy(REPEATED, None, msgspec.structs.replace(MONITOR, idn="Nordic,PPK2,unknown,1")))
    assert change(ppk2, ppk2).known
    assert not change(one, an_energy_run(an_energy(REPEATED, budget(100.0), OTHER_ONE))).known


def test_net_energies_are_compared_net() -> None:
    def run(idle_mw: float, *, net: bool) -> schema.Run:
        value = 100.0 - idle_mw * 1e3 * 0.03
        changes = {"net": value, "value": value} if net else {}
        return an_energy_run(an_energy(REPEATED, budget(100.0), idle_mw=idle_mw, **changes))

    both = change(run(1.0, net=True), run(0.5, net=True))
    assert both.value == pytest.approx((100 - 15) / (100 - 30) - 1, rel=1e-4)
    mixed = change(run(1.0, net=True), run(0.5, net=False))
    assert mixed.value == pytest.approx(0, abs=1e-6)
    assert "their gross is compared" in mixed.how
    assert half(mixed) > 0.01  # U of both in full


def test_windows_that_are_not_valid_do_not_count() -> None:
    energy = an_energy([*REPEATED, 300.0], budget(100.0))
    broken = msgspec.structs.replace(energy.windows[5], valid=False, reasons=["lost samples"])
    energy = msgspec.structs.replace(energy, windows=[*energy.windows[:5], broken], value=100.0, gross=100.0)
    found = change(an_energy_run(an_energy(REPEATED, budget(100.0))), an_energy_run(energy))
    assert found.value == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("changes", [{"value": None, "gross": None}, {"windows": []}, {"idle_mw": None, "net": 5.0}])
def test_an_energy_that_came_to_nothing_has_no_change(changes: dict[str, object]) -> None:
    energy = an_energy(REPEATED, budget(100.0), net=6.0)
    found = change(an_energy_run(energy), an_energy_run(msgspec.structs.replace(energy, **changes)))
    assert not found.known


def test_clocks_that_moved_against_a_second_one_are_a_doubt() -> None:
    def check(ratio: float) -> schema.ClockCheck:
        return schema.ClockCheck(ratio=ratio, drift=abs(ratio - 1), limit=0.005, windows=5)

    result = a_result()
    u, told = clock_u(result, result, a_run(clock=check(1.0001)), a_run(clock=check(1.0031)))
    assert u == pytest.approx(0.003 / ROOT3, rel=0.01)
    assert "the host's" in told
    runs = [an_energy_run(an_energy(REPEATED, None, clock_ratio=ratio), clock=check(1.0)) for ratio in (1.0, 1.01)]
    u, told = clock_u(result, result, *runs)
    assert u == pytest.approx(0.01 / ROOT3, rel=0.01)
    assert "the power monitor's" in told
    assert clock_u(result, result, a_run(clock=check(1.0)), a_run())[0] == 0
    assert "nobody checked" in clock_u(result, result, a_run(clock=check(1.0)), a_run())[1]
    assert clock_u(result, result, a_run(clock=check(0.0)), a_run(clock=check(1.0)))[0] == 0
    counted = a_result(provenance="emulated")
    assert clock_u(counted, counted, *runs) == (0.0, "")


def test_a_net_energy_beside_a_gross_one_is_shown_as_the_gross_that_is_compared() -> None:
    gross = an_energy([100.0] * 5, {"current gain": 0.001})
    net = msgspec.structs.replace(gross, value=95.0, net=95.0, u=0.15)
    comparison = compared(a_result(an_energy_run(net)), a_result(an_energy_run(gross)))
    found = row(comparison, "energy")
    assert (found.a, found.b, found.change, found.net) == (100.0, 100.0, 0.0, False)
    assert found.u_a == pytest.approx(gross.u)
    assert "kws01: energy: net of idle (its gross is compared) -> gross" in comparison.differences
    both = row(compared(a_result(an_energy_run(net)), a_result(an_energy_run(net))), "energy")
    assert (both.a, both.u_a, both.net) == (95.0, 0.15, True)


@pytest.mark.parametrize(("a", "b"), [(-1.0, -2.0), (-1.0, 5.0), (1.0, -5.0), (0.0, 5.0)])
def test_a_net_energy_below_idle_has_no_change_in_percent(a: float, b: float) -> None:
    gross = an_energy([100.0] * 5, {"noise": 0.1})
    sides = [  # windows of 0.3 s, ten inferences in each
        a_result(an_energy_run(msgspec.structs.replace(gross, value=net, net=net, idle_mw=(100.0 - net) / 30)))
        for net in (a, b)
    ]
    comparison = compared(*sides, "energy>2%")
    assert row(comparison, "energy").change is None
    assert not comparison.passed
