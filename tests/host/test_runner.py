"""Calibration, windows and scores. The device here is a clock with a rate; real devices are in tests/e2e."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.device import Device
from host.errors import DeviceError, UsageError
from host.results.schema import Window
from host.runner import accuracy, performance
from host.runner.rules import RULES, Rules

QUICK, MLPERF = RULES["quick"], RULES["mlperf"]


@dataclass
class ClockDevice:
    """Answers `infer` at once with the duration its rate gives: a device in a time machine."""

    per_inference_us: float
    infer_timeout_s: float = 30.0
    calls: list[tuple[int, int]] = field(default_factory=list)
    loads: int = 0

    def load(self, data: bytes) -> None:
        self.loads += 1

    def infer(self, iterations: int, warmup: int, timeout_s: float) -> Any:
        self.calls.append((iterations, warmup))
        return SimpleNamespace(iterations=iterations, duration_us=int(self.per_inference_us * iterations))


def measure(device: ClockDevice, rules: Rules, inputs: int = 5) -> performance.Performance:
    return performance.run_performance(
        cast(Device, device), [(f"input{i}", b"x") for i in range(inputs)], rules, list, lambda *_: None, real_time=True
    )


@pytest.fixture(autouse=True)
def _no_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    # The time machine has no wall clock to check against; the check has a test of its own below.
    monkeypatch.setattr(performance, "CLOCK_FAST_US", 10**12)


@given(st.floats(min_value=0.05, max_value=60e6))
def test_windows_are_long_enough_whatever_the_speed(per_inference_us: float) -> None:
    for rules in (QUICK, MLPERF):
        device = ClockDevice(per_inference_us)
        if per_inference_us * performance.MAX_INFERENCES < rules.min_window_us * 1.06:
            with pytest.raises(DeviceError, match="stand still"):
                measure(device, rules)
            continue
        result = measure(device, rules)
        assert result.reasons == ()
        assert len(result.windows) == rules.windows
        for window in result.windows:
            assert window.duration_us >= rules.min_window_us
            assert window.inferences >= rules.min_inferences
        # No more than it takes: a run of a day is what people had before.
        longest_us = max(window.duration_us for window in result.windows)
        assert longest_us <= max(rules.min_window_us * 1.2, rules.min_inferences * per_inference_us) + per_inference_us


def test_every_window_has_its_own_input_and_the_warmups_of_the_rules() -> None:
    device = ClockDevice(10_000)
    result = measure(device, MLPERF)
    assert [window.input for window in result.windows] == [f"input{i}" for i in range(5)]
    assert device.loads == 5
    assert [warmup for _, warmup in device.calls[-5:]] == [10] * 5


def test_a_clock_that_stands_still_is_an_error() -> None:
    with pytest.raises(DeviceError, match="stand still"):
        measure(ClockDevice(0), QUICK)


@pytest.mark.parametrize("real_time", [True, False])
def test_a_window_longer_than_the_exchange_is_an_error_on_silicon_only(
    real_time: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An emulator that was held up makes its lost time good: its clock then runs faster than ours, and is right.
    monkeypatch.setattr(performance, "CLOCK_FAST_US", 100_000)
    stopwatch = performance._Stopwatch(cast(Device, ClockDevice(3e6)), real_time=real_time)
    if not real_time:
        assert stopwatch.window_us(1, 1) == 3_000_000
        return
    with pytest.raises(DeviceError, match="garbled m-lap-us or a wrong clock"):
        stopwatch.window_us(1, 1)


@pytest.mark.parametrize(("instructions", "agrees"), [(12_500_000, True), (12_400_000, True), (11_500_000, False)])
def test_the_emulated_clock_is_held_against_the_counted_instructions(instructions: int, agrees: bool) -> None:
    def run() -> performance.Performance:
        return performance.run_performance(
            *(cast(Device, ClockDevice(100_000)), [("a", b"x"), ("b", b"y")], QUICK),
            take_counts=lambda: [instructions] * 10,
            progress=lambda *_: None,
            real_time=False,
            clock_hz=125_000_000,
        )

    if agrees:
        assert run().instructions == instructions
        return
    with pytest.raises(DeviceError, match="instructions at 125000000 Hz take"):
        run()


@pytest.mark.parametrize("real_time", [True, False])
def test_a_clock_that_runs_slow_is_an_error_on_silicon_only(real_time: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # Ours tells 10 s between any two looks at it, the device's 1 s for a window.
    monkeypatch.setattr(performance, "time", SimpleNamespace(monotonic=itertools.count(step=10).__next__))
    stopwatch = performance._Stopwatch(cast(Device, ClockDevice(100_000)), real_time=real_time)
    if not real_time:
        assert stopwatch.window_us(10, 1) == 1_000_000
        return
    with pytest.raises(DeviceError, match=r"10\.000 s here, but 1\.100 s by the device's clock"):
        stopwatch.window_us(10, 1)


def test_the_median_window_counts() -> None:
    windows = tuple(Window(input=str(i), inferences=10, duration_us=us) for i, us in enumerate((90, 100, 400, 110, 95)))
    result = performance.Performance(windows, None, ())
    latency = result.latency("us")
    assert (latency.median, latency.min, latency.max, latency.unit) == (10.0, 9.0, 40.0, "us")
    assert result.throughput() == pytest.approx(1e5)


@pytest.mark.parametrize(
    ("windows", "reason"),
    [
        ([(12, 10_000_000)] * 4, "4 windows"),
        ([(12, 10_000_000)] * 4 + [(12, 9_999_999)], "window 5: 12 inferences in 10.000 s"),
        ([(12, 10_000_000)] * 4 + [(9, 20_000_000)], "window 5: 9 inferences"),
    ],
)
def test_a_broken_rule_is_told(windows: list[tuple[int, int]], reason: str) -> None:
    records = [Window(input=str(i), inferences=n, duration_us=us) for i, (n, us) in enumerate(windows)]
    assert any(reason in text for text in performance.check(records, MLPERF))


def test_the_same_input_twice_breaks_the_rules() -> None:
    records = [Window(input="same", inferences=10, duration_us=10_000_000)] * 5
    assert performance.check(records, MLPERF) == ("the same input was used twice",)


def test_at_a_tie_the_first_class_wins() -> None:
    assert accuracy.first_largest((0.1, 0.5, 0.5, 0.2)) == 1
    assert accuracy.first_largest((0.0, 0.0)) == 0


def dataset(official: bool, n: int) -> Any:
    return SimpleNamespace(official=official, target=0.9, items=[None] * n, task="kws01", classes=2)


def rows(labels: list[int]) -> list[accuracy.Row]:
    return [accuracy.Row(str(i), label, 0, (1.0, 0.0)) for i, label in enumerate(labels)]


def test_another_metric_than_top1_is_never_scored_as_top1() -> None:
    with pytest.raises(UsageError, match="ad01: accuracy by auc"):
        accuracy.run_accuracy(cast(Device, None), cast(Any, SimpleNamespace(task="ad01", metric="auc")), [], print)


def test_only_the_whole_official_set_is_held_against_the_target() -> None:
    whole = accuracy.score(dataset(True, 10), rows([0] * 9 + [1]))
    assert (whole.value, whole.target, whole.met) == (0.9, 0.9, True)
    missed = accuracy.score(dataset(True, 10), rows([0] * 8 + [1] * 2))
    assert missed.met is False
    for other in (
        accuracy.score(dataset(True, 11), rows([0] * 10)),
        accuracy.score(dataset(False, 10), rows([0] * 10)),
    ):
        assert (other.value, other.target, other.met) == (1.0, None, None)


def test_inferences_that_were_not_counted_are_an_error() -> None:
    with pytest.raises(DeviceError, match="1 of 3 inferences were counted"):
        performance.run_performance(
            *(cast(Device, ClockDevice(100_000)), [("a", b"x")], QUICK),
            take_counts=lambda: [12_500_000],
            progress=lambda *_: None,
            real_time=False,
        )
