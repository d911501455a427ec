"""Calibration and windows. The device here is a clock with a rate; real devices are in tests/e2e."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.device import Device
from host.errors import DeviceError
from host.results.schema import Window
from host.runner import performance
from host.runner.performance import Pace, Timing, calibrate, is_real_time, measure_window
from host.runner.rules import RULES, Rules

QUICK, MLPERF = RULES["quick"], RULES["mlperf"]
REAL, EMULATED = Timing(real_time=True), Timing(real_time=False)


@dataclass
class ClockDevice:
    """Answers `infer` at once with the duration its rate gives: a device in a time machine."""

    per_inference_us: float
    infer_timeout_s: float = 30.0
    clock_ratio: float = 1.0  # of the device's clock to ours
    calls: list[tuple[int, int]] = field(default_factory=list)
    timeouts_s: list[float] = field(default_factory=list)
    loads: int = 0

    def load(self, data: bytes) -> None:
        self.loads += 1

    def infer(self, iterations: int, warmup: int, timeout_s: float, quiet_s: float) -> Any:
        assert quiet_s == 0.0
        self.calls.append((iterations, warmup))
        self.timeouts_s.append(timeout_s)
        duration_us = int(self.per_inference_us * iterations)
        return SimpleNamespace(
            iterations=iterations, duration_us=duration_us, host_us=round(duration_us / self.clock_ratio)
        )


def as_device(device: ClockDevice) -> Device:
    return cast(Device, device)


def measure(device: ClockDevice, rules: Rules, inputs: int = 5, timing: Timing = REAL) -> tuple[Window, ...]:
    """A window on each input, as runner/work.py makes them: calibrated once, the pace handed on."""
    device.load(b"x")
    pace = calibrate(as_device(device), rules, timing)
    windows = []
    for number in range(inputs):
        window, pace = measure_window(as_device(device), (f"input{number}", b"x"), pace, rules, timing)
        windows.append(window)
    return tuple(windows)


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
        windows = measure(device, rules)
        assert len(windows) == rules.windows
        for window in windows:
            assert window.duration_us >= rules.min_window_us
            assert window.inferences >= rules.min_inferences
        # No more than it takes: a run of a day is what people had before.
        longest_us = max(window.duration_us for window in windows)
        assert longest_us <= max(rules.min_window_us * 1.2, rules.min_inferences * per_inference_us) + per_inference_us


def test_every_window_has_its_own_input_and_the_warmups_of_the_rules() -> None:
    device = ClockDevice(10_000)
    windows = measure(device, MLPERF)
    assert [window.input for window in windows] == [f"input{i}" for i in range(5)]
    assert device.loads == 6  # the first one also for the calibration
    assert [warmup for _, warmup in device.calls[-5:]] == [10] * 5


def test_a_run_that_goes_on_takes_the_pace_it_had_and_does_not_calibrate_again() -> None:
    first = ClockDevice(7_000_000)
    pace = calibrate(as_device(first), MLPERF, REAL)
    assert pace == Pace(inferences=10, slowest_us=7_000_000)
    resumed = ClockDevice(7_000_000)
    window, after = measure_window(as_device(resumed), ("b", b"x"), pace, MLPERF, REAL)
    assert resumed.calls == [(10, 10)]
    assert (window.inferences, window.duration_us, after) == (10, 70_000_000, pace)
    # One silence is the whole window, longer than a device may usually be silent.
    assert resumed.timeouts_s == [210.0]


def test_a_window_that_comes_out_short_is_made_again_and_the_next_ones_are_longer() -> None:
    device = ClockDevice(500)
    window, after = measure_window(as_device(device), ("a", b"x"), Pace(10_000, 1000.0), MLPERF, REAL)
    assert [count for count, _ in device.calls] == [10_000, 21_000]
    assert (window.inferences, after.inferences) == (21_000, 21_000)


def test_both_clocks_are_kept_where_they_go_alike_and_only_there() -> None:
    (window,) = measure(ClockDevice(10_000, clock_ratio=1.25), MLPERF, inputs=1)
    assert (window.duration_us, window.host_us) == (10_500_000, 8_400_000)
    (window,) = measure(ClockDevice(10_000, clock_ratio=1.25), MLPERF, inputs=1, timing=EMULATED)
    assert (window.duration_us, window.host_us) == (10_500_000, None)


@pytest.mark.parametrize(
    ("provenance", "clock_hz", "real"),
    [("measured", 120_000_000, True), ("measured", None, True), ("emulated", 125_000_000, False),
     ("emulated", None, True), ("replayed", None, False)],
)  # fmt: skip
def test_the_firmware_as_a_process_of_this_machine_has_our_clock(
    provenance: Any, clock_hz: int | None, real: bool
) -> None:
    assert is_real_time(provenance, clock_hz) is real


def test_a_clock_that_stands_still_is_an_error() -> None:
    with pytest.raises(DeviceError, match="stand still"):
        measure(ClockDevice(0), QUICK)


def test_a_device_in_energy_mode_is_an_error() -> None:
    device = ClockDevice(1)
    device.infer = lambda *_, **__: SimpleNamespace(duration_us=None, host_us=None)  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="energy mode"):
        measure(device, QUICK)


def timed_once(timing: Timing, device: ClockDevice, inferences: int) -> int:
    return measure_window(as_device(device), ("a", b"x"), Pace(inferences, 0.0), QUICK, timing)[0].duration_us


@pytest.mark.parametrize("timing", [REAL, EMULATED])
def test_a_window_longer_than_the_exchange_is_an_error_on_silicon_only(
    timing: Timing, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An emulator that was held up makes its lost time good: its clock then runs faster than ours, and is right.
    monkeypatch.setattr(performance, "CLOCK_FAST_US", 100_000)
    if not timing.real_time:
        assert timed_once(timing, ClockDevice(3e6), 1) == 3_000_000
        return
    with pytest.raises(DeviceError, match="garbled m-lap-us or a wrong clock"):
        timed_once(timing, ClockDevice(3e6), 1)


@pytest.mark.parametrize("timing", [REAL, EMULATED])
def test_a_clock_that_runs_slow_is_an_error_on_silicon_only(timing: Timing, monkeypatch: pytest.MonkeyPatch) -> None:
    # Ours tells 10 s between any two looks at it, the device's 1 s for a window.
    monkeypatch.setattr(performance, "time", SimpleNamespace(monotonic=itertools.count(step=10).__next__))
    if not timing.real_time:
        assert timed_once(timing, ClockDevice(100_000), 10) == 1_000_000
        return
    with pytest.raises(DeviceError, match=r"10\.000 s here, but 1\.100 s by the device's clock"):
        timed_once(timing, ClockDevice(100_000), 10)


@pytest.mark.parametrize(("window_us", "fits"), [(11_000_000, True), (11_200_000, False)])
def test_a_window_a_tenth_longer_than_the_exchange_is_as_much_as_silicon_may_say(
    window_us: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(performance, "CLOCK_FAST_US", 100_000)
    monkeypatch.setattr(performance, "time", SimpleNamespace(monotonic=itertools.count(step=10).__next__))
    device = ClockDevice(window_us / 10)
    if fits:
        assert timed_once(REAL, device, 10) == window_us
        return
    with pytest.raises(DeviceError, match=r"11\.200 s, but the whole exchange took 10\.000 s"):
        timed_once(REAL, device, 10)


@pytest.mark.parametrize(("instructions", "agrees"), [(12_500_000, True), (12_400_000, True), (11_500_000, False)])
def test_the_emulated_clock_is_held_against_the_counted_instructions(instructions: int, agrees: bool) -> None:
    timing = Timing(False, clock_hz=125_000_000, take_counts=lambda: [instructions] * 10)
    if agrees:
        windows = measure(ClockDevice(100_000), QUICK, inputs=2, timing=timing)
        assert [window.instructions for window in windows] == [instructions] * 2
        return
    with pytest.raises(DeviceError, match="instructions at 125000000 Hz take"):
        measure(ClockDevice(100_000), QUICK, inputs=2, timing=timing)


def test_inferences_that_were_not_counted_are_an_error() -> None:
    with pytest.raises(DeviceError, match="1 of 3 inferences were counted"):
        measure(ClockDevice(100_000), QUICK, timing=Timing(False, take_counts=lambda: [12_500_000]))
