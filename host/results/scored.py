# SPDX-License-Identifier: Apache-2.0
"""By how much an accuracy differs, and between which limits that is known: from what every input gave, or from counts.

With `outputs-<task>.csv` of both sides on the same inputs every input is compared with itself:

- top-1: the limits are Tango's (Statistics in Medicine 17, 1998, 891), who inverts McNemar's score test. With few
  inputs that only one side gets right they would be too sure: where the exact McNemar test does not find a difference
  at 5 %, they are moved apart to hold 0.
- the area under the ROC curve of scores: DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988, 837). Where no input
  changes its place among those of the other class, that method knows no limits; z^2 / (n + z^2) of the smaller class is
  then what Tango's limits are for a share that was never seen.
- every output the same, in all the digits that are kept: no difference, exactly.

Without: limits of the difference of two independent shares (Newcombe's method 10, Statistics in Medicine 17, 1998,
873). On the same inputs they are wider than need be.

The inputs count as a draw from all that there could be: a set of 20 tells little, whatever the model gave on it.
"""

from __future__ import annotations

import csv
import io
import math
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from host.results.change import Change
from host.results.schema import Accuracy

Numbers = NDArray[np.float64]

Z: Final = 1.959963984540054
"""The normal quantile of 95 %, two-sided."""
MAX_BYTES: Final = 256 << 20
"""Far above 100,000 inputs."""
_TASK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_TITLES = ["input", "label", "predicted", "outputs", "score"]
_SAME_AREA = 1e-4  # the scores in the file are rounded to six decimals


@dataclass(frozen=True, slots=True)
class Outputs:
    """A table of outputs. names: of the inputs, with labels. given: class, outputs and score as they are written.
    right: whether the predicted class is the label's. scores: None where it has classes."""

    names: tuple[tuple[str, int], ...]
    given: tuple[tuple[str, str, str], ...]
    right: NDArray[np.bool_]
    scores: Numbers | None

    @property
    def top1(self) -> float:
        """The share of inputs that are right."""
        return float(self.right.mean())

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Inputs of class 1."""
        return np.array([label == 1 for _, label in self.names], dtype=bool)


def read_outputs(folder: Path | None, task: str) -> Outputs | None:
    """`outputs-<task>.csv` of a result folder; None where there is none, or none that can be read. The task's name
    comes from a file that nobody vouches for: it never leads out of the folder."""
    if folder is None or not _TASK.fullmatch(task):
        return None
    path = folder / f"outputs-{task}.csv"
    try:
        info = path.lstat()
        if not stat.S_ISREG(info.st_mode) or info.st_size > MAX_BYTES:
            return None
        return _parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, csv.Error):
        return None


def _parse(text: str) -> Outputs:
    """Raises ValueError for what `host bench` does not write."""
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    if len(rows) < 2 or rows[0] != _TITLES or any(len(row) != len(_TITLES) for row in rows):
        raise ValueError("no table of outputs")
    body = rows[1:]
    scored = [row[4] != "" for row in body]
    if any(scored) != all(scored):
        raise ValueError("some inputs have a score, some have none")
    scores = np.array([float(row[4]) for row in body]) if all(scored) else None
    if scores is not None and not np.isfinite(scores).all():
        raise ValueError("a score is no number")
    return Outputs(
        names=tuple((row[0], int(row[1])) for row in body),
        given=tuple((row[2], row[3], row[4]) for row in body),
        right=np.array([row[2] != "" and int(row[2]) == int(row[1]) for row in body], dtype=bool),
        scores=scores,
    )


def change(a: Accuracy, b: Accuracy, outputs: tuple[Outputs | None, Outputs | None]) -> Change:
    """B - A, as a fraction. outputs: of both sides; None where there are none."""
    if a.metric != b.metric:
        return Change(None, None, None, f"{a.metric} and {b.metric} cannot be compared")
    if a.value is None or b.value is None:
        return Change(None, None, None, a.reason or b.reason or "a side has no value")
    difference = b.value - a.value
    tables = _paired(a, b, outputs)
    if tables is not None:
        return _paired_change(*tables, difference)
    if a.metric == "auc":
        return Change(difference, None, None, "no limits without the scores of the same inputs on both sides")
    low, high = newcombe(round(a.value * a.n), a.n, round(b.value * b.n), b.n)
    how = f"shares of {a.n} and {b.n} inputs, as if drawn apart: no outputs of the same inputs on both sides"
    return Change(difference, low, high, how).holding(difference)


def _paired(a: Accuracy, b: Accuracy, outputs: tuple[Outputs | None, Outputs | None]) -> tuple[Outputs, Outputs] | None:
    """The tables of both sides, where every input of one is the same input of the other."""
    first, second = outputs
    if first is None or second is None or first.names != second.names:
        return None
    if (first.scores is None) != (second.scores is None):
        return None
    return (first, second) if _fits(a, first) and _fits(b, second) else None


def _paired_change(a: Outputs, b: Outputs, difference: float) -> Change:
    if a.given == b.given:
        return Change(0.0, 0.0, 0.0, f"every output is the same on {len(a.names)} inputs")
    return _paired_top1(a, b, difference) if a.scores is None else _paired_area(a, b, difference)


def _fits(accuracy: Accuracy, outputs: Outputs) -> bool:
    """Whether the table is the one that the accuracy was made of."""
    if len(outputs.names) != accuracy.n or accuracy.value is None:
        return False
    if accuracy.metric == "top1":
        return abs(outputs.top1 - accuracy.value) < 1e-9
    if outputs.scores is None or not 0 < outputs.positive.sum() < accuracy.n:
        return False
    area = float(_places(outputs.scores, outputs.positive)[0].mean())
    return abs(area - accuracy.value) < _SAME_AREA


def _paired_top1(a: Outputs, b: Outputs, difference: float) -> Change:
    only_a, only_b = int((a.right & ~b.right).sum()), int((b.right & ~a.right).sum())
    low, high = tango(only_a, only_b, len(a.right))
    how = f"the same {len(a.right)} inputs: {only_b} right in B only, {only_a} in A only"
    found = Change(difference, low, high, how).holding(difference)
    return found if mcnemar(only_a, only_b) < 0.05 else found.holding(0.0)


def mcnemar(only_a: int, only_b: int) -> float:
    """p of the exact, two-sided McNemar test: that so uneven a split of the inputs on which the sides differ is
    chance."""
    from scipy.special import bdtr  # noqa: PLC0415 - half a second of imports, for comparisons only

    return min(2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)), 1.0) if only_a + only_b else 1.0


def tango(only_a: int, only_b: int, n: int) -> tuple[float, float]:
    """Limits of the difference of shares, B less A, of n >= 1 inputs that both sides had."""

    def score(difference: float) -> float:
        """How many standard deviations the counts are above what this true difference would make likely."""
        linear = -only_b - only_a + (2 * n - only_b + only_a) * difference
        constant = -only_a * difference * (1 - difference)
        root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
        share = (root - linear) / (4 * n)
        variance = n * (2 * share + difference * (1 - difference))
        above = only_b - only_a - n * difference
        return above / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, above)

    estimate = (only_b - only_a) / n
    return _crossing(score, Z, -1.0, estimate), _crossing(score, -Z, estimate, 1.0)


def _crossing(falling: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Where a falling function passes a level between two points."""
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > level else (low, middle)
    return (low + high) / 2


def newcombe(right_a: int, n_a: int, right_b: int, n_b: int) -> tuple[float, float]:
    """Limits of the difference of two independent shares, B less A: Wilson's limits of each, squared and added."""
    (low_a, share_a, high_a), (low_b, share_b, high_b) = _wilson(right_a, n_a), _wilson(right_b, n_b)
    difference = share_b - share_a
    return (
        difference - math.hypot(share_b - low_b, high_a - share_a),
        difference + math.hypot(high_b - share_b, share_a - low_a),
    )


def _wilson(right: int, n: int) -> tuple[float, float, float]:
    share = right / n
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return max(middle - half, 0.0), share, min(middle + half, 1.0)


def _paired_area(a: Outputs, b: Outputs, difference: float) -> Change:
    assert a.scores is not None  # noqa: S101 - the caller has looked
    assert b.scores is not None  # noqa: S101
    half = delong(a.scores, b.scores, a.positive)
    how = f"the scores of the same {len(a.names)} inputs (DeLong)"
    low, high = max(difference - half, -1.0), min(difference + half, 1.0)
    return Change(difference, low, high, how)


def delong(a: Sequence[float] | Numbers, b: Sequence[float] | Numbers,
           positive: NDArray[np.bool_]) -> float:  # fmt: skip
    """Half the width of the limits of the difference of two areas over the same inputs, both classes among them."""
    first, second = (_places(np.asarray(side, dtype=np.float64), positive) for side in (a, b))
    moved = [np.asarray(after - before) for before, after in zip(first, second, strict=True)]
    fewest = min(map(len, moved))
    if fewest < 2 or not any(np.ptp(part) > 0 for part in moved):
        return Z * Z / (fewest + Z * Z)
    return Z * math.sqrt(sum(float(part.var(ddof=1)) / len(part) for part in moved))


def _places(scores: Numbers, positive: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """For each input of class 1 the share of class 0 below it, and for each of class 0 the share of class 1 above it;
    an equal score counts half. The mean of either is the area under the curve."""
    above, below = scores[positive], scores[~positive]

    def share(of: Numbers, among: Numbers) -> Numbers:
        ordered = np.sort(among)
        return (np.searchsorted(ordered, of, "left") + np.searchsorted(ordered, of, "right")) / (2 * len(among))

    return share(above, below), 1 - share(below, above)
