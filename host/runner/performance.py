"""Performance: windows of N inferences on one input between two clock reads of the device.

N is found here, never typed: it grows until a window is as long as the rules ask.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from host.catalog import Progress
from host.device import Device
from host.errors import DeviceError
from host.results.schema import Latency, Window
from host.runner.rules import Rules

MAX_INFERENCES = 1_000_000  # a device that needs more of them for one window has a clock that stands still
CALIBRATION_MARGIN = 1.05  # aim this much over the minimum, so that jitter does not make a window too short
# On silicon the device's clock and ours go alike: a window cannot have lasted longer there than the whole exchange did
# here, nor so much shorter, as warm-up and window are nearly all of the exchange.
CLOCK_FAST_RATIO = 1.1
CLOCK_FAST_US = 100_000
CLOCK_SLOW_RATIO = 2.0
CLOCK_SLOW_US = 1_000_000
# An emulated clock has nothing to do with ours, but it counts instructions, and so does the plugin. What only the clock
# sees is the loop around the inferences.
COUNT_RATIO = 0.02
COUNT_US = 100


@dataclass(frozen=True, slots=True)
class Performance:
    """What the windows gave; `instructions` per inference is None where nothing counts them."""

    windows: tuple[Window, ...]
    instructions: int | None
    reasons: tuple[str, ...]

    def latency(self, unit: str) -> Latency:
        """Microseconds per inference over the windows."""
        values = [window.duration_us / window.inferences for window in self.windows]
        return Latency(median=statistics.median(values), min=min(values), max=max(values), unit=unit)

    def throughput(self) -> float:
        """Median inferences per second over the windows, as the MLPerf Tiny rules define the result."""
        return statistics.median(window.inferences * 1e6 / window.duration_us for window in self.windows)


class _Stopwatch:
    """Times windows by the device's clock and learns how long the device may be silent."""

    def __init__(self, device: Device, *, real_time: bool) -> None:
        self._device = device
        self._real_time = real_time
        self._slowest_us = 0.0

    def window_us(self, inferences: int, warmup: int) -> int:
        """One `infer`: its duration on the device's clock. Refuses what the clocks show to be impossible."""
        silent_s = 3 * max(inferences, warmup) * self._slowest_us / 1e6
        begin_s = time.monotonic()
        inference = self._device.infer(inferences, warmup, timeout_s=max(silent_s, self._device.infer_timeout_s))
        host_us = (time.monotonic() - begin_s) * 1e6
        if inference.duration_us is None:
            raise DeviceError(
                "the device printed no m-lap-us: it is in energy mode. Reset it, or rebuild a stock firmware for "
                "performance mode."
            )
        if self._real_time:
            likely_us = inference.duration_us * (inferences + warmup) / inferences
            _compare_clocks(inference.duration_us, likely_us, host_us)
        self._slowest_us = max(self._slowest_us, inference.duration_us / inferences)
        return inference.duration_us


def _compare_clocks(window_us: int, likely_us: float, host_us: float) -> None:
    """window_us by the device, likely_us with its warm-up; host_us is what the whole exchange took here."""
    if window_us > host_us * CLOCK_FAST_RATIO + CLOCK_FAST_US:
        raise DeviceError(
            f"the device says a window took {window_us / 1e6:.3f} s, but the whole exchange took "
            f"{host_us / 1e6:.3f} s here: a garbled m-lap-us or a wrong clock. Check the line and the clock."
        )
    if host_us > likely_us * CLOCK_SLOW_RATIO + CLOCK_SLOW_US:
        raise DeviceError(
            f"warm-up and window took {host_us / 1e6:.3f} s here, but {likely_us / 1e6:.3f} s by the device's "
            "clock: it runs slow, or this machine was asleep. Check board_clock_us() of the port."
        )


def _compare_counts(window_us: int, counts: Sequence[int], clock_hz: int) -> None:
    """The emulated clock against the plugin, which has counted the same window."""
    counted_us = sum(counts) * 1e6 / clock_hz
    if abs(window_us - counted_us) > counted_us * COUNT_RATIO + COUNT_US:
        raise DeviceError(
            f"the device says a window took {window_us} us of emulated time, but {sum(counts)} instructions at "
            f"{clock_hz} Hz take {counted_us:.0f} us: a garbled m-lap-us, or a wrong custom_clock_hz in board.ini."
        )


def next_count(inferences: int, duration_us: int, rules: Rules) -> int:
    """How many inferences the next window needs, given that `inferences` took `duration_us` (may be 0).

    Raises DeviceError when so many took so little that the clock must stand still.
    """
    if inferences >= MAX_INFERENCES:
        raise DeviceError(
            f"{inferences} inferences took {duration_us} us by the device's clock: it seems to stand still. "
            "Check board_clock_us() of the port."
        )
    if duration_us <= 0:
        return min(inferences * 100, MAX_INFERENCES)
    needed = math.ceil(rules.min_window_us * CALIBRATION_MARGIN * inferences / duration_us)
    # From a very short window the estimate is poor: come closer in steps of at most 100.
    return max(rules.min_inferences, min(needed, inferences * 100, MAX_INFERENCES))


def long_enough(inferences: int, duration_us: int, rules: Rules) -> bool:
    """Whether a window satisfies the rules."""
    return duration_us >= rules.min_window_us and inferences >= rules.min_inferences


def run_performance(
    device: Device,
    inputs: Sequence[tuple[str, bytes]],
    rules: Rules,
    take_counts: Callable[[], list[int]],
    progress: Progress,
    *,
    real_time: bool,
    clock_hz: int | None = None,
) -> Performance:
    """One window on each of `inputs` (name, wire bytes). Blocks for the length of all windows.

    take_counts: exact instructions of each inference since it was last called, or [] where nothing counts them.
    real_time: the device's clock and ours go alike, as they do on silicon.
    clock_hz: instructions per second of emulated time, to hold counts against; None where that means nothing.
    Raises LinkError and DeviceError as the device does; nothing is retried but a load.
    """
    windows: list[Window] = []
    counts: list[int] = []
    count = 1
    stopwatch = _Stopwatch(device, real_time=real_time)
    for index, (name, data) in enumerate(inputs):
        progress("windows", index, len(inputs))
        device.load(data)
        if index == 0:
            count = calibrate(stopwatch, rules)
        while True:
            take_counts()  # what calibration and short windows left behind
            duration_us = stopwatch.window_us(count, rules.warmup)
            if long_enough(count, duration_us, rules):
                break
            count = next_count(count, duration_us, rules)
        windows.append(Window(input=name, inferences=count, duration_us=duration_us))
        window_counts = take_counts()[-count:]
        if window_counts and len(window_counts) != count:
            raise DeviceError(f"{len(window_counts)} of {count} inferences were counted: run it again, and report it.")
        if window_counts and clock_hz:
            _compare_counts(duration_us, window_counts, clock_hz)
        counts.extend(window_counts)
    progress("windows", len(inputs), len(inputs))
    return Performance(tuple(windows), statistics.median_low(counts) if counts else None, check(windows, rules))


def calibrate(stopwatch: _Stopwatch, rules: Rules) -> int:
    """How many inferences fill a window, found on the input that is loaded."""
    count = 1
    while True:
        duration_us = stopwatch.window_us(count, 0)
        wanted = next_count(count, duration_us, rules)
        # Close enough to extrapolate from: a tenth of the window, or one inference that is longer than that.
        if wanted <= 10 * count:
            return max(wanted, rules.min_inferences)
        count = wanted


def check(windows: Sequence[Window], rules: Rules) -> tuple[str, ...]:
    """Why these windows break the rules; nothing when they keep them."""
    reasons = []
    if len(windows) < rules.min_windows:
        reasons.append(f"{len(windows)} windows where the {rules.name} rules ask for {rules.min_windows}")
    if len({window.input for window in windows}) != len(windows):
        reasons.append("the same input was used twice")
    for number, window in enumerate(windows, start=1):
        if not long_enough(window.inferences, window.duration_us, rules):
            reasons.append(
                f"window {number}: {window.inferences} inferences in {window.duration_us / 1e6:.3f} s, "
                f"the {rules.name} rules ask for {rules.min_inferences} in {rules.min_window_us / 1e6:g} s"
            )
    return tuple(reasons)
