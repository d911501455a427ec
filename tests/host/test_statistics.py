"""Median, spread, interval and clocks: against numpy, and against what they claim to be worth."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.device import Device
from host.results import schema
from host.results.schema import ClockCheck, Interval, Window
from host.runner import statistics
from host.runner.performance import summarise

lengths_us = st.lists(st.integers(1, 10**9), min_size=1, max_size=7)


def windows(durations_us: list[int], inferences: int = 10, **more: int | None) -> list[Window]:
    return [
        Window(input=str(i), inferences=inferences, duration_us=us, **more)  # type: ignore[arg-type]
        for i, us in enumerate(durations_us)
    ]


def test_the_median_window_counts() -> None:
    summary = summarise(windows([90, 100, 400, 110, 95]), "us")
    latency = summary.latency
    assert (latency.median, latency.min, latency.max, latency.unit) == (10.0, 9.0, 40.0, "us")
    assert summary.throughput_inf_per_s == pytest.approx(1e5)
    assert (summary.instructions, summary.clock) == (None, None)


@settings(max_examples=30)
@given(lengths_us)
def test_the_figures_are_numpys(durations_us: list[int]) -> None:
    latency = statistics.latency(windows(durations_us), "us")
    values = np.array(durations_us) / 10
    assert latency.median == pytest.approx(np.median(values))
    assert (latency.min, latency.max) == (values.min(), values.max())
    if len(values) == 1:
        assert latency.cv is None
    else:
        assert latency.cv == pytest.approx(values.std(ddof=1) / values.mean())
    assert (latency.interval is None) == (len(values) < 3)


@settings(max_examples=30)
@given(st.lists(st.floats(0.001, 1e9), min_size=3, max_size=9))
def test_the_interval_holds_the_median_and_is_the_same_every_time(values: list[float]) -> None:
    interval = statistics.median_interval(values)
    assert interval is not None
    assert min(values) <= interval.low <= np.median(values) <= interval.high <= max(values)
    assert interval.level == 0.95
    assert statistics.median_interval(values) == interval


def test_no_bound_is_outside_the_values_by_a_rounding() -> None:
    values = [1.0, 1.0, 962064476.1224257]  # percentiles of these end one bit above the largest
    assert statistics.median_interval(values) == Interval(low=1.0, high=values[-1], level=0.95)


def test_of_windows_that_are_all_alike_nothing_is_in_doubt() -> None:
    assert statistics.median_interval([7.5] * 5) == Interval(low=7.5, high=7.5, level=0.95)


@pytest.mark.parametrize(("n", "low", "high"), [(3, 1, 3), (5, 1, 5), (15, 4, 12)])
def test_the_interval_of_few_windows_is_from_the_smallest_to_the_largest(n: int, low: int, high: int) -> None:
    # With 15, ranks 4 and 12 are those of the binomial distribution.
    assert statistics.median_interval([float(i) for i in range(1, n + 1)]) == Interval(low=low, high=high, level=0.95)


@pytest.mark.parametrize(("n", "claimed"), [(3, 0.75), (5, 0.94)])
def test_the_docstring_says_what_the_interval_is_worth(n: int, claimed: float) -> None:
    # Smallest to largest: all on one side of the median in 2 of 2^n runs.
    assert round(1 - 2 * 0.5**n, 2) == claimed
    assert f"{round(100 * claimed)}" in (statistics.median_interval.__doc__ or "")


def test_instructions_are_those_of_a_window_that_was() -> None:
    counted = [Window(input="a", inferences=1, duration_us=1, instructions=n) for n in (40, 10, 30, 20)]
    assert statistics.instructions(counted) == 20
    assert statistics.instructions(windows([1, 2])) is None


# ---- clocks ----


def clocked(*pairs_us: tuple[int, int | None]) -> list[Window]:
    return [Window(input=str(i), inferences=1, duration_us=us, host_us=host) for i, (us, host) in enumerate(pairs_us)]


def test_drift_is_the_median_ratio_of_the_clocks() -> None:
    check = statistics.clock_check(
        clocked((10_100_000, 10_000_000), (10_000_000, 10_000_000), (10_060_000, 10_000_000))
    )
    assert check == ClockCheck(
        ratio=1.006, drift=pytest.approx(0.006), limit=0.005, windows=3, worst=pytest.approx(0.01)
    )
    assert check.drift > check.limit
    slow = statistics.clock_check(clocked((9_900_000, 10_000_000)))
    assert slow is not None
    assert slow.drift == pytest.approx(0.01)


@pytest.mark.parametrize("pair", [(4_999_999, 6_000_000), (6_000_000, 4_999_999), (10_000_000, None)])
def test_a_window_that_cannot_tell_does_not(pair: tuple[int, int | None]) -> None:
    assert statistics.clock_check(clocked(pair)) is None
    both = statistics.clock_check(clocked(pair, (10_000_000, 10_000_000)))
    assert both is not None
    assert (both.windows, both.drift) == (1, 0.0)


class TimedLink:
    """A line in a time machine: each read takes the clock to when the next bytes come."""

    name, baud = "timed", None

    def __init__(self, *answer: tuple[float, bytes]) -> None:
        self.now_s = 0.0
        self.answers = {b"infer": list(answer), b"resul": [(0.001, b"m-results-[0.5,0.5]\r\nm-ready\r\n")]}
        self.coming: list[tuple[float, bytes]] = []

    def monotonic(self) -> float:
        return self.now_s

    def write(self, data: bytes) -> None:
        self.coming = self.answers[data[:5]]

    def read(self, timeout_s: float) -> bytes:
        if not self.coming or self.coming[0][0] > timeout_s:
            self.now_s += timeout_s
            return b""
        wait_s, data = self.coming.pop(0)
        self.now_s += wait_s
        return data

    def set_baud(self, baud: int) -> None:
        raise AssertionError(baud)

    def close(self) -> None:
        pass


OURS = (
    (0.01, b"m-warmup-start-3\r\n"),
    (3.0, b"m-warmup-done\r\nm-infer-st"),
    (0.001, b"art-10\r\n"),
    (10.002, b"m-lap-us-100\r\nm-la"),
    (0.002, b"p-us-10000100\r\nm-infer-done\r\nm-results-[0.5,0.5]\r\nm-ready\r\n"),
)
STOCK = (
    (3.01, b"m-warmup-start-3\r\nm-warmup-done\r\nm-infer-start-10\r\n"),
    (0.002, b"m-lap-us-100\r\n"),
    (10.002, b"m-lap-us-10000100\r\n"),
    (0.01, b"m-infer-done\r\nm-results-[0.5,0.5]\r\nm-ready\r\n"),
)


@pytest.mark.parametrize("answer", [OURS, STOCK], ids=["ours", "stock"])
def test_the_hosts_clock_sees_the_window_alone(answer: tuple[tuple[float, bytes], ...]) -> None:
    link = TimedLink(*answer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("host.exchange.time", link)
        device = Device(link)
        device._loaded = True  # an input is there: how it came is not the point
        inference = device.infer(10, 3)
    assert (inference.duration_us, inference.host_us) == (10_000_000, 10_002_000)


def test_what_is_computed_can_be_recorded() -> None:
    summary = summarise(clocked((10_100_000, 10_000_000), (10_000_000, 10_000_000), (10_060_000, 10_000_000)), "us")
    assert msgspec.convert(msgspec.to_builtins(summary.latency), schema.Latency) == summary.latency
    assert msgspec.convert(msgspec.to_builtins(summary.clock), schema.ClockCheck) == summary.clock
