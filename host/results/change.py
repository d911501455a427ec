# SPDX-License-Identifier: Apache-2.0
"""By what part B differs from A, and between which limits that is known with 95 % confidence.

Windows of latency and energy are compared by the logarithms of their values per inference, so that twice as much and
half as much are as far from no change. A change is exp(d) - 1.

- Both made on the same inputs: d is the mean of the n differences of windows on the same input, as an inference may
  take longer on one input than on another. Its random part is s / sqrt(n), with n - 1 degrees of freedom.
- On different inputs, or where windows are missing: d is the difference of the means, its random part the root of
  s_A^2 / n_A + s_B^2 / n_B, with Welch's degrees of freedom.

What windows do not show, because all of a run share it (an instrument's gain, a clock), comes in as a standard
uncertainty `u_shared` beside the random part, and the two are combined as in the GUM, G.4: Student's t at the effective
degrees of freedom. The clocks' resolution is added to that as it is, a limit for every window: windows that repeat to
the tick, as emulated ones do, have no scatter, and are known to within a tick all the same.

What is told as the change is that of the two figures that the records publish, medians. Skewed windows can put it
outside the limits: they are moved apart to hold it.

What it is worth: of 20,000 draws of five windows on each side the limits held the true change in 95.2 % with normal
noise in pairs and 95.7 % by Welch, in 94.7 to 97.5 % with even, exponential or heavy-tailed (Student's t, 3) noise, and
where every twentieth window was 1 % off. tests/host/test_compare_change.py draws fewer. It tells of this pair of runs;
what another specimen of the board, or another day would give, is not in it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

LEVEL: Final = 0.95
_LARGEST_LOG = 600.0  # beyond it exp() has no number


@dataclass(frozen=True, slots=True)
class Sample:
    """What a window says: `value` per inference, any unit. resolution: a part of it, +-, that its clock cannot tell."""

    input: str
    value: float
    resolution: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """B / A - 1, or of an accuracy B - A: None where it has no number. low, high: limits, None where nobody knows them.

    how: what it rests on, for a person.
    """

    value: float | None
    low: float | None
    high: float | None
    how: str

    @property
    def known(self) -> bool:
        """Whether there are limits."""
        return self.low is not None and self.high is not None

    @property
    def excludes_none(self) -> bool:
        """Whether there is a change, with the confidence of the limits."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    def of_figures(self, value: float | None) -> Change:
        """With `value`, the change of the two figures that people see, and limits, where there are any, that hold it:
        who divides the two shall get what stands beside them."""
        return self if value is None else replace(self.holding(value), value=value)

    def holding(self, value: float | None) -> Change:
        """With limits that hold `value` too."""
        if value is None or self.low is None or self.high is None:
            return self
        return replace(self, low=min(self.low, value), high=max(self.high, value))


def ratio(a: float | None, b: float | None) -> float | None:
    """B / A - 1; None without one of the two, or where that is no number, or says nothing: an energy above idle may
    come out below 0."""
    if a is None or b is None or a <= 0 or b < 0:
        return None
    try:
        change = b / a - 1
    except OverflowError:
        return None
    return change if math.isfinite(change) else None


def exact(a: float, b: float, how: str) -> Change:
    """Of numbers that have no uncertainty. From 0 to 0 nothing changes."""
    change = 0.0 if a == b else ratio(a, b)
    return Change(change, change, change, how)


def of_windows(a: Sequence[Sample], b: Sequence[Sample], *, same_inputs: bool, u_shared: float = 0.0) -> Change:
    """The change between two runs, from their windows. u_shared: standard uncertainty of the ratio, a part of it.

    same_inputs: inputs of the same name are the same. With fewer than two windows on a side there are no limits.
    """
    if not a or not b:
        return Change(None, None, None, "no windows")
    if not all(math.isfinite(one.value) and one.value > 0 for one in (*a, *b)):
        return Change(None, None, None, "a window of 0 or less has no ratio")
    pairs = _pairs(a, b) if same_inputs else None
    logs_a, logs_b = ([math.log(one.value) for one in side] for side in (a, b))
    if pairs is None:
        middle = statistics.fmean(logs_b) - statistics.fmean(logs_a)
        how = f"{len(a)} and {len(b)} windows"
        parts = [_mean_u(logs_a), _mean_u(logs_b)]
    else:
        differences = [math.log(other.value) - math.log(one.value) for one, other in pairs]
        middle = statistics.fmean(differences)
        how = f"{len(pairs)} pair{'' if len(pairs) == 1 else 's'} of windows on the same inputs"
        parts = [_mean_u(differences)]
    if abs(middle) > _LARGEST_LOG:
        return Change(None, None, None, "no sensible ratio")
    if any(part is None for part in parts):
        return Change(math.expm1(middle), None, None, f"{how}: too few to tell their scatter")
    half = _half_width([part for part in parts if part is not None], u_shared)
    half += max(one.resolution for one in a) + max(one.resolution for one in b)
    if not abs(middle) + half < _LARGEST_LOG:
        return Change(math.expm1(middle), None, None, f"{how}: they scatter too much")
    return Change(math.expm1(middle), math.expm1(middle - half), math.expm1(middle + half), how)


def _pairs(a: Sequence[Sample], b: Sequence[Sample]) -> list[tuple[Sample, Sample]] | None:
    """Windows on the same input; None unless every input has exactly one on each side."""
    of_a, of_b = ({one.input: one for one in side} for side in (a, b))
    if of_a.keys() != of_b.keys() or len(of_a) != len(a) or len(of_b) != len(b):
        return None
    return [(one, of_b[name]) for name, one in of_a.items()]


@dataclass(frozen=True, slots=True)
class _Part:
    """A standard uncertainty and its degrees of freedom."""

    u: float
    freedom: int


def _mean_u(values: Sequence[float]) -> _Part | None:
    """Of the mean of the values; None with one."""
    if len(values) < 2:
        return None
    return _Part(statistics.stdev(values) / math.sqrt(len(values)), len(values) - 1)


def _half_width(parts: Sequence[_Part], u_shared: float) -> float:
    """U at LEVEL: Student's t at the Welch-Satterthwaite degrees of freedom, times the combined uncertainty."""
    u = math.hypot(u_shared, *(part.u for part in parts))
    if u == 0:
        return 0.0
    random = sum((part.u / u) ** 4 / part.freedom for part in parts)
    return student_t(1 / random if random > 1e-9 else math.inf) * u


def student_t(freedom: float) -> float:
    """Two-sided quantile of Student's t at LEVEL."""
    if math.isinf(freedom):
        return statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)
    from scipy.special import stdtrit  # noqa: PLC0415 - half a second of imports, for comparisons only

    return float(stdtrit(freedom, (1 + LEVEL) / 2))
