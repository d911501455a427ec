# SPDX-License-Identifier: Apache-2.0
"""Holds a record's own figures to each other and to the rules of MLPerf Tiny: every median, share and area is computed
again from windows and inputs, with arithmetic of its own."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from host.submission.check_findings import Findings, shown
from host.submission.check_official import CLOCK_LIMIT, MIN_INFERENCES, MIN_WINDOW_US, MIN_WINDOWS, Official
from host.submission.check_record import Figure, MeteredWindow, Recorded, TimedWindow
from host.submission.layout import LogInput

_MICRO: Final = 10**6
_SLACK: Final = Fraction(1, 10**9)
"""What floating point may make of a number that is right."""
_SUM_SLACK: Final = 1e-9  # of a score that is a mean of some hundred numbers


def check_figures(
    recorded: Recorded, official: Official, mode: str, *, closed: bool, path: str, found: Findings
) -> None:
    """Every breach within one record of a benchmark."""
    if mode == "accuracy":
        _inputs(recorded, official, path, found)
        _accuracy(recorded, official, closed, path, found)
        return
    windows: Sequence[TimedWindow | MeteredWindow] = recorded.timed if mode == "performance" else recorded.metered
    if len(windows) < MIN_WINDOWS:
        found.add(path, "windows", f"{len(windows)} windows where {MIN_WINDOWS} are wanted")
    if len({window.input for window in windows}) != len(windows):
        found.add(path, "window-inputs", "the same input was used in two windows")
    for number, window in enumerate(windows, start=1):
        if window.inferences < MIN_INFERENCES:
            found.add(
                path, "window-inferences", f"window {number} has {window.inferences} inferences, not {MIN_INFERENCES}"
            )
    (_performance if mode == "performance" else _energy)(recorded, path, found)


def _long_enough(time_s: Figure, number: int, path: str, found: Findings) -> bool:
    """Whether a window's time can be calculated with; a breach where it is too short or has other digits."""
    if time_s.decimals != 6:
        found.add(path, "digits", f"window {number}: {time_s.text} s has not six decimals")
    if time_s.value * _MICRO < MIN_WINDOW_US:
        found.add(path, "window-time", f"window {number} took {time_s.text} s, {MIN_WINDOW_US / 1e6:g} s are wanted")
    return time_s.value > 0


def _performance(recorded: Recorded, path: str, found: Findings) -> None:
    rates = []
    for number, window in enumerate(recorded.timed, start=1):
        if _long_enough(window.runtime_s, number, path, found):
            rates.append(Fraction(window.inferences) / window.runtime_s.value)
            _throughput(window.throughput, rates[-1], f"window {number}: the throughput", path, found)
    if recorded.throughput is not None and rates and len(rates) == len(recorded.timed):
        _throughput(recorded.throughput, statistics.median(rates), "the median throughput", path, found)


def _throughput(figure: Figure, exact: Fraction, what: str, path: str, found: Findings) -> None:
    """At least three decimals and six digits."""
    wanted = max(3, 5 - _exponent(exact))
    if figure.decimals != wanted:
        found.add(path, "digits", f"{what} is {figure.text}, with {figure.decimals} decimals where {wanted} are due")
    elif abs(figure.value - exact) > _half(figure) + _SLACK:
        found.add(path, "median", f"{what} is {figure.text}, the windows give {float(exact):.{wanted}f}")


def _energy(recorded: Recorded, path: str, found: Findings) -> None:
    costs = []
    for number, window in enumerate(recorded.metered, start=1):
        usable = _long_enough(window.duration_s, number, path, found)
        cost = window.energy_uj.value / window.inferences
        costs.append(cost)
        if any(
            one is not None and one.decimals != 6 for one in (window.energy_uj, window.u_uj, window.per_inference_uj)
        ):
            found.add(path, "digits", f"window {number}: its energies have not six decimals")
        if abs(window.per_inference_uj.value - cost) > _half(window.per_inference_uj) * 2 + _SLACK:
            found.add(
                path,
                "median",
                f"window {number}: the energy per inference is {window.per_inference_uj.text} uJ, the window gives "
                f"{float(cost):.6f} uJ",
            )
        if cost <= 0:
            found.add(path, "median", f"window {number}: it took no energy")
        if usable:
            _clocks(window, number, path, found)
    if recorded.energy_uj is not None and costs:
        _median_energy(recorded.energy_uj, recorded.u_uj, statistics.median(costs), path, found)


def _clocks(window: MeteredWindow, number: int, path: str, found: Findings) -> None:
    if window.device_s is None:
        return
    off = float(window.device_s.value / window.duration_s.value) - 1
    if abs(off) > CLOCK_LIMIT:
        found.add(path, "clocks", f"window {number}: the board's time is {off:+.2%} off the power monitor's")


def _median_energy(figure: Figure, u_uj: Figure | None, exact: Fraction, path: str, found: Findings) -> None:
    """With as many digits as its uncertainty is worth: that has two; without one five."""
    u = u_uj.value if u_uj is not None else Fraction(0)
    place = _exponent(u) - 1 if u > 0 else _exponent(exact) - 4
    decimals = max(0, -place)
    if figure.decimals != decimals or (u_uj is not None and u > 0 and u_uj.decimals != decimals):
        found.add(
            path,
            "digits",
            f"the median energy is {figure.text} uJ/inf. +- {u_uj.text if u_uj else 'what nobody knows'}: "
            "its digits are not those that the uncertainty is worth",
        )
    elif abs(figure.value - exact) > Fraction(10) ** (place if u > 0 else -decimals) / 2 + Fraction(1, _MICRO):
        found.add(path, "median", f"the median energy is {figure.text} uJ/inf., the windows give {float(exact):.6f}")


def _inputs(recorded: Recorded, official: Official, path: str, found: Findings) -> None:
    """Whether the inputs are the official ones, and each is scored as it should be."""
    inputs = recorded.inputs
    if len(inputs) != official.inputs:
        found.add(path, "official-set", f"{len(inputs)} inputs, the official set has {official.inputs}")
    elif labels_sha256(inputs) != official.labels_sha256:
        found.add(path, "official-set", "the names and labels of the inputs are not those of the official list")
    for number, one in enumerate(inputs, start=1):
        what = _wrong(one, official)
        if what is not None:
            found.add(path, "outputs", f"input {number} ({shown(one.name)}): {what}")


def labels_sha256(inputs: Sequence[LogInput]) -> str:
    """Of `name,label` and a line feed for every input, in order."""
    return hashlib.sha256("".join(f"{one.name},{one.label}\n" for one in inputs).encode()).hexdigest()


def _wrong(one: LogInput, official: Official) -> str | None:
    wanted = official.windows if official.classes == 1 else official.classes
    if len(one.outputs) != wanted or not all(map(math.isfinite, one.outputs)):
        return f"{len(one.outputs)} outputs where {wanted} finite numbers are wanted"
    if official.classes == 1:
        mean = math.fsum(one.outputs) / wanted
        if one.score is None or not abs(one.score - mean) <= abs(mean) * _SUM_SLACK or one.predicted is not None:
            return f"its score is {one.score}, the mean of its windows is {mean}"
        return None if one.label in (0, 1) else f"its label is {one.label}"
    largest = one.outputs.index(max(one.outputs))
    if one.predicted != largest or one.score is not None:
        return f"class {one.predicted} is said to be predicted, the largest output is that of class {largest}"
    return None if one.label < official.classes else f"its label is {one.label}"


def _accuracy(recorded: Recorded, official: Official, closed: bool, path: str, found: Findings) -> None:
    inputs = [one for one in recorded.inputs if _wrong(one, official) is None]
    if not inputs or len(inputs) != len(recorded.inputs):
        return  # what is wrong was said
    right = Fraction(sum(one.predicted == one.label for one in inputs), len(inputs)) if official.classes > 1 else None
    _floored(recorded.top1, None if right is None else right * 100, 1, "Top 1%", path, found)
    area = area_under_curve(inputs, official.classes)
    _floored(recorded.auc, None if area is None else Fraction(area), 3, "AUC", path, found)
    value = right if official.metric == "top1" else area
    if closed and (value is None or value < Fraction(str(official.target))):
        reached = "nothing" if value is None else f"{float(value):.4f}"
        found.add(path, "target", f"the accuracy is {reached}, the target is {official.target}")


def _floored(
    figure: Figure | None, exact: Fraction | None, decimals: int, what: str, path: str, found: Findings
) -> None:
    """A figure that is cut, not rounded, to its decimals."""
    if (figure is None) != (exact is None):
        there = "is there" if figure is not None else "is missing"
        found.add(path, "median", f"`{what}` {there}, which the inputs do not bear out")
    elif figure is not None and exact is not None:
        if figure.decimals != decimals:
            found.add(path, "digits", f"`{what} = {figure.text}` has not {decimals} decimals")
        elif not -_SLACK <= exact - figure.value < Fraction(1, 10**decimals) + _SLACK:
            found.add(path, "median", f"`{what} = {figure.text}`, the inputs give {float(exact):.{decimals + 2}f}")


def area_under_curve(inputs: Sequence[LogInput], classes: int) -> float | None:
    """The area under the ROC curve, of a score or of two classes; of more the mean over every class against the rest.
    None where it has no meaning: a class without inputs, too few outputs, or some that are no shares."""
    labels = [one.label for one in inputs]
    if any(one.score is None if classes == 1 else len(one.outputs) != classes for one in inputs):
        return None
    if set(labels) != set(range(max(classes, 2))):
        return None
    if classes == 1:
        return _area([label == 1 for label in labels], [one.score or 0.0 for one in inputs])
    shares = []
    for one in inputs:
        total = math.fsum(one.outputs)
        if total <= 0 or min(one.outputs) < 0:
            return None
        shares.append([value / total for value in one.outputs])
    of = [1] if classes == 2 else range(classes)
    return statistics.fmean(
        _area([label == kind for label in labels], [share[kind] for share in shares]) for kind in of
    )


def _area(positive: Sequence[bool], scores: Sequence[float]) -> float:
    """How often a positive one has the higher score, of all pairs; equal ones count half. Both kinds are there."""
    ordered = sorted(zip(scores, positive, strict=True))
    halves = below = at = 0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end][0] == ordered[at][0]:
            end += 1
        ups = sum(is_positive for _, is_positive in ordered[at:end])
        downs = end - at - ups
        halves += ups * (2 * below + downs)
        below += downs
        at = end
    return halves / (2 * sum(positive) * below)


def _half(figure: Figure) -> Fraction:
    """Of the last digit."""
    return Fraction(1, 2 * 10**figure.decimals)


def _exponent(value: Fraction) -> int:
    """Of ten, in scientific notation; 0 for none."""
    if value <= 0:
        return 0
    return math.floor(math.log10(value.numerator) - math.log10(value.denominator) + 1e-12)
