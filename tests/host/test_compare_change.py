# SPDX-License-Identifier: Apache-2.0
"""The change between two runs from their windows: its limits hold the true change as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.results.change import Change, Sample, exact, of_windows, ratio, student_t

RUNS = 1500


def samples(values: object, resolution: float = 0.0) -> list[Sample]:
    return [Sample(f"{number}.bin", float(value), resolution) for number, value in enumerate(values)]


def held(changes: list[Change], true: float) -> float:
    """The share of the intervals that hold it."""
    return float(np.mean([one.low <= true <= one.high for one in changes]))


def draw(seed: int, inputs: float, noise_a: float, noise_b: float, *, true: float, count: int = 5) -> list[Change]:
    """Runs on the same inputs that differ by `inputs`, each with its own noise (all of them of logarithms)."""
    dice = np.random.default_rng(seed)
    changes = []
    for _ in range(RUNS):
        work = 100.0 * np.exp(dice.normal(0, inputs, count))
        a = work * np.exp(dice.normal(0, noise_a, count))
        b = work * (1 + true) * np.exp(dice.normal(0, noise_b, count))
        changes.append(of_windows(samples(a), samples(b), same_inputs=True))
    return changes


# Of 1500 runs 95 % +- 0.56 % (one standard deviation) hold the true change.
@pytest.mark.parametrize("count", [2, 3, 5, 10])
@pytest.mark.parametrize(("inputs", "noise_a", "noise_b"), [(0.0, 1e-3, 1e-3), (0.05, 1e-4, 1e-3), (0.3, 0.02, 0.02)])
def test_pairs_hold_the_true_change_in_95_of_100_runs(
    count: int, inputs: float, noise_a: float, noise_b: float
) -> None:
    changes = draw(count, inputs, noise_a, noise_b, true=-0.03, count=count)
    assert 0.932 < held(changes, -0.03) < 0.968
    assert all("pairs of windows on the same inputs" in one.how for one in changes)


def test_what_inputs_do_to_both_sides_does_not_blur_the_change() -> None:
    alike, apart = draw(1, 0.05, 1e-4, 1e-4, true=0.01), draw(1, 0.0, 1e-4, 1e-4, true=0.01)
    widths = [np.median([one.high - one.low for one in changes]) for changes in (alike, apart)]
    assert widths[0] == pytest.approx(widths[1], rel=0.1)


@pytest.mark.parametrize(
    ("noise_a", "noise_b", "count_a", "count_b"),
    [(1e-3, 1e-3, 5, 5), (1e-3, 1e-2, 5, 5), (1e-2, 1e-3, 5, 3), (2e-3, 3e-3, 20, 5)],
)
def test_windows_on_other_inputs_hold_it_too(noise_a: float, noise_b: float, count_a: int, count_b: int) -> None:
    dice = np.random.default_rng(7)
    changes = [
        of_windows(
            samples(3.0 * np.exp(dice.normal(0, noise_a, count_a))),
            samples(3.06 * np.exp(dice.normal(0, noise_b, count_b))),
            same_inputs=False,
        )
        for _ in range(RUNS)
    ]
    assert 0.932 < held(changes, 0.02) < 0.985  # with 5 and 3 windows Welch's degrees of freedom are on the safe side


def test_two_gains_of_two_instruments_are_held_in_95_of_100_runs() -> None:
    dice = np.random.default_rng(4)
    limit, changes = 3e-3, []
    for _ in range(RUNS):
        gains = 1 + dice.uniform(-limit, limit, 2)
        a, b = (gain * (1 + dice.normal(0, 1e-4, 5)) for gain in gains)
        changes.append(of_windows(samples(a), samples(b), same_inputs=True, u_shared=limit * math.sqrt(2 / 3)))
    assert 0.935 < held(changes, 0.0) < 0.98  # the sum of two rectangles is narrower at its ends than a normal one


def test_windows_that_repeat_to_the_tick_are_known_to_within_the_ticks_of_both_clocks() -> None:
    tick = 1 / 200_000
    a = samples([1000.0] * 5, tick)
    same = of_windows(a, a, same_inputs=True)
    assert same.value == 0
    assert (same.low, same.high) == (pytest.approx(-2 * tick, rel=1e-4), pytest.approx(2 * tick, rel=1e-4))
    slower = of_windows(a, samples([1002.0] * 5, tick), same_inputs=True)
    assert slower.value == pytest.approx(2e-3)
    assert slower.low == pytest.approx(2e-3 - 2 * tick, rel=1e-3)
    assert slower.excludes_none
    one_tick = of_windows(a, samples([1000.0 * (1 + tick)] * 5, tick), same_inputs=True)
    assert not one_tick.excludes_none


def test_ticks_never_put_the_true_change_outside() -> None:
    """Windows without any scatter, cut to whole ticks: the limits are no more than what is really known."""
    dice = np.random.default_rng(5)
    for _ in range(500):
        true_a, true_b = dice.uniform(50_000, 50_200, 2)
        a, b = (samples([value] * 5, 1 / value) for value in (math.floor(true_a), math.floor(true_b)))
        change = of_windows(a, b, same_inputs=True)
        assert change.low <= true_b / true_a - 1 <= change.high


def test_pairs_need_every_input_once_on_each_side() -> None:
    a = samples([10.0, 20.0, 30.0])
    shuffled = [Sample(one.input, one.value * 1.1) for one in reversed(a)]
    paired = of_windows(a, shuffled, same_inputs=True)
    assert paired.how.startswith("3 pairs")
    assert paired.high - paired.low < 1e-9
    for others in (shuffled[:2], [*shuffled, shuffled[0]], [Sample("other", 11.0), *shuffled[1:]]):
        loose = of_windows(a, others, same_inputs=True)
        assert "pairs" not in loose.how
        assert not loose.excludes_none


@pytest.mark.parametrize("sides", [([1.0], [2.0]), ([1.0, 1.0], [2.0]), ([1.0], [2.0, 2.0])])
def test_one_window_has_no_limits(sides: tuple[list[float], list[float]]) -> None:
    change = of_windows(samples(sides[0]), samples(sides[1]), same_inputs=True)
    assert change.value == pytest.approx(1.0)
    assert (change.known, change.low, change.high) == (False, None, None)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_value_without_a_logarithm_has_no_change(value: float) -> None:
    change = of_windows(samples([1.0, 1.0]), samples([1.0, value]), same_inputs=True)
    assert (change.value, change.low) == (None, None)
    assert of_windows([], samples([1.0]), same_inputs=True).value is None


def test_the_limits_hold_the_change_of_the_published_medians_too() -> None:
    change = of_windows(samples([10.0] * 5), samples([10.0, 10.0, 10.0, 10.0, 15.0]), same_inputs=True)
    assert change.holding(-0.5).low == -0.5
    assert change.holding(9.0).high == 9.0
    assert change.holding(None) == change
    unknown = Change(0.1, None, None, "")
    assert unknown.holding(3.0) == unknown


def test_counts_are_exact() -> None:
    assert exact(100, 101, "") == Change(pytest.approx(0.01), pytest.approx(0.01), pytest.approx(0.01), "")
    assert exact(0, 0, "") == Change(0.0, 0.0, 0.0, "")
    assert exact(0, 1, "").value is None
    assert ratio(None, 1.0) is ratio(1.0, None) is ratio(1e-308, 1e308) is None


def test_students_t() -> None:
    # Tables: 4 and 8 degrees of freedom, and the normal quantile.
    assert student_t(4) == pytest.approx(2.776445, abs=1e-6)
    assert student_t(8) == pytest.approx(2.306004, abs=1e-6)
    assert student_t(math.inf) == pytest.approx(1.959964, abs=1e-6)


VALUES = st.lists(st.floats(5e-324, 1.7e308), min_size=1, max_size=6)


@given(VALUES, VALUES, st.booleans(), st.floats(0, math.inf), st.floats(0, 1))
def test_whatever_a_record_says_there_are_finite_limits_around_the_change_or_none(
    a: list[float], b: list[float], same: bool, u_shared: float, resolution: float
) -> None:
    change = of_windows(samples(a, resolution), samples(b, resolution), same_inputs=same, u_shared=u_shared)
    if change.known:
        assert -1 <= change.low <= change.value <= change.high < math.inf
    else:
        assert change.low is change.high is None
    assert change.value is None or math.isfinite(change.value)
