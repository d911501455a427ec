"""What windows say together: median, spread, how well the median is known, and whether the two clocks agree."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from host.results.schema import ClockCheck, Interval, Latency, Window

LEVEL = 0.95
MIN_WINDOWS = 3  # with fewer there is nothing to draw from
RESAMPLES = 9999
SEED = 1
# The lines around a window come up to some 5 ms later one time than another: a tenth of a percent of this.
CLOCK_WINDOW_US = 5_000_000
CLOCK_LIMIT = 0.005


def median_interval(values: Sequence[float]) -> Interval | None:
    """The interval of the median by bootstrap: percentiles of the medians of RESAMPLES draws with replacement.

    None with fewer than MIN_WINDOWS values. The draws are always the same ones, so a record can be computed again.

    What it is worth: a draw is made of the values there are. With the five windows of the run rules the median of one
    draw in 17 is the smallest of them, so the interval goes from the smallest to the largest, and holds the true median
    in 94 of 100 runs; with three windows in 75. It tells of the scatter between windows, not of an error they share.
    """
    if len(values) < MIN_WINDOWS:
        return None
    from scipy import stats  # noqa: PLC0415 - a second of imports, for the few that get here

    with np.errstate(all="ignore"):  # percentiles of equal medians are those medians
        low, high = stats.bootstrap(
            (np.asarray(values, dtype=np.float64),),
            np.median,
            confidence_level=LEVEL,
            n_resamples=RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(SEED),
        ).confidence_interval
    # Between two equal medians the percentile may be off by the last bit of a float: no bound is outside the values.
    return Interval(low=max(float(low), min(values)), high=min(float(high), max(values)), level=LEVEL)


def latency(windows: Sequence[Window], unit: str) -> Latency:
    """Microseconds per inference over the windows, at least one."""
    values = [window.duration_us / window.inferences for window in windows]
    return Latency(
        median=statistics.median(values),
        min=min(values),
        max=max(values),
        unit=unit,
        cv=statistics.stdev(values) / statistics.mean(values) if len(values) > 1 else None,
        interval=median_interval(values),
    )


def throughput(windows: Sequence[Window]) -> float:
    """Median inferences per second over the windows, as the MLPerf Tiny rules define the result."""
    return statistics.median(window.inferences * 1e6 / window.duration_us for window in windows)


def instructions(windows: Sequence[Window]) -> int | None:
    """Instructions of one inference: of the median window. None where nothing counts them."""
    counted = [window.instructions for window in windows if window.instructions is not None]
    return statistics.median_low(counted) if counted else None


def clock_check(windows: Sequence[Window]) -> ClockCheck | None:
    """The device's clock against ours over the windows that are long enough to tell; None when none is."""
    ratios = [
        window.duration_us / window.host_us
        for window in windows
        if window.host_us is not None and min(window.duration_us, window.host_us) >= CLOCK_WINDOW_US
    ]
    if not ratios:
        return None
    ratio = statistics.median(ratios)
    worst = max(abs(one - 1) for one in ratios)
    return ClockCheck(ratio=ratio, drift=abs(ratio - 1), limit=CLOCK_LIMIT, windows=len(ratios), worst=worst)
