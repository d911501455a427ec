"""Performance: windows of N inferences on one input between two clock reads of the device.

N is found here, never typed: it grows until a window is as long as the rules ask. The steps are apart so that a
session can keep each window as it comes and go on later: `calibrate`, `measure_window` for each input, `summarise`.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from host.device import Device
from host.errors import DeviceError
from host.results.schema import ClockCheck, Latency, Provenance, Window
from host.runner.rules import Rules, long_enough
from host.runner.statistics import clock_check, instructions, latency, throughput

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


def _no_counts() -> list[int]:
    return []


@dataclass(frozen=True, slots=True)
class Timing:
    """What stands behind a device's clock.

    real_time: it and ours go alike, as they do on silicon: see `is_real_time`.
    clock_hz: instructions per second of emulated time, to hold counts against; None where that means nothing.
    take_counts: exact instructions of each inference since it was last called, or [] where nothing counts them.
    """

    real_time: bool
    clock_hz: int | None = None
    take_counts: Callable[[], list[int]] = _no_counts


def is_real_time(provenance: Provenance, clock_hz: int | None) -> bool:
    """Whether a board's clock goes with ours: on silicon, and where the firmware is a process of this machine."""
    return provenance == "measured" or (provenance == "emulated" and clock_hz is None)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many inferences fill a window, and how long one of them takes at most: all that calibration finds."""

    inferences: int
    slowest_us: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What windows say together. clock: None where no window can tell. unit of latency: a microsecond's worth."""

    latency: Latency
    throughput_inf_per_s: float
    instructions: int | None
    clock: ClockCheck | None


def summarise(windows: Sequence[Window], unit: str) -> Summary:
    """The figures of a run; a pure function of its windows, at least one."""
    return Summary(latency(windows, unit), throughput(windows), instructions(windows), clock_check(windows))


@dataclass(frozen=True, slots=True)
class Timed:
    """One `infer`, by both clocks. pace: what to go on with."""

    duration_us: int
    host_us: int | None
    pace: Pace


def time_inferences(device: Device, timing: Timing, pace: Pace, warmup: int, *, quiet_s: float = 0.0) -> Timed:
    """pace.inferences on the input that is loaded. Refuses what the clocks show to be impossible."""
    inferences = pace.inferences
    silent_s = 3 * max(inferences, warmup) * pace.slowest_us / 1e6
    begin_s = time.monotonic()
    timeout_s = max(silent_s, device.infer_timeout_s)
    inference = device.infer(inferences, warmup, timeout_s=timeout_s, quiet_s=quiet_s)
    exchange_us = (time.monotonic() - begin_s) * 1e6
    if inference.duration_us is None:
        raise DeviceError(
            "the device printed no m-lap-us: it is in energy mode. Reset it, or rebuild a stock firmware for "
            "performance mode."
        )
    if timing.real_time:
        likely_us = inference.duration_us * (inferences + warmup) / inferences
        _compare_clocks(inference.duration_us, likely_us, exchange_us)
    slowest_us = max(pace.slowest_us, inference.duration_us / inferences)
    host_us = inference.host_us if timing.real_time else None
    return Timed(inference.duration_us, host_us, replace(pace, slowest_us=slowest_us))


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


def calibrate(device: Device, rules: Rules, timing: Timing) -> Pace:
    """How many inferences fill a window, found on the input that is loaded. Blocks for about a window.

    Raises LinkError and DeviceError as the device does, and DeviceError for a clock that stands still.
    """
    pace = Pace(1, 0.0)
    while True:
        timed = time_inferences(device, timing, pace, 0)
        wanted = next_count(pace.inferences, timed.duration_us, rules)
        # Close enough to extrapolate from: a tenth of the window, or one inference that is longer than that.
        if wanted <= 10 * pace.inferences:
            return replace(timed.pace, inferences=max(wanted, rules.min_inferences))
        pace = replace(timed.pace, inferences=wanted)


def measure_window(
    device: Device, work: tuple[str, bytes], pace: Pace, rules: Rules, timing: Timing
) -> tuple[Window, Pace]:
    """One window that satisfies the rules, on `work`: an input's name and its wire bytes.

    Returns it with what to go on with: a window that came out too short has more inferences than `pace` says.
    Raises LinkError and DeviceError as the device does; nothing is retried but a load.
    """
    name, data = work
    device.load(data)
    while True:
        timing.take_counts()  # what calibration and short windows left behind
        timed = time_inferences(device, timing, pace, rules.warmup)
        if long_enough(pace.inferences, timed.duration_us, rules):
            break
        pace = replace(timed.pace, inferences=next_count(pace.inferences, timed.duration_us, rules))
    return timed_window(name, timed, timing), timed.pace


def timed_window(name: str, timed: Timed, timing: Timing) -> Window:
    """The window on input `name` that was just timed, with what the emulator has counted in it.

    Raises DeviceError when the two contradict each other.
    """
    inferences = timed.pace.inferences
    counts = timing.take_counts()[-inferences:]
    if counts and len(counts) != inferences:
        raise DeviceError(f"{len(counts)} of {inferences} inferences were counted: run it again, and report it.")
    if counts and timing.clock_hz:
        _compare_counts(timed.duration_us, counts, timing.clock_hz)
    return Window(
        input=name,
        inferences=inferences,
        duration_us=timed.duration_us,
        host_us=timed.host_us or None,  # a fake device takes no time at all
        instructions=statistics.median_low(counts) if counts else None,
    )
