"""Accuracy: what every input gave, scored by top-1 or by the area under the ROC curve, as the official runner does.

A file of several windows (anomaly detection) counts once: its score is the mean over its windows.
Scoring is a pure function of the rows, so that a run that was broken off and goes on scores as one that was not.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from host.catalog import Dataset, Item
from host.device import Device
from host.errors import UsageError
from host.results.schema import Accuracy
from host.runner.outputs import OutputFormat, values
from host.runner.rules import Target


@dataclass(frozen=True, slots=True)
class Row:
    """What one item of a data set gave.

    outputs: of its window, one number per class. With several windows: the mean of the classes over them, or where a
    window gives one number, those numbers. score: where a window gives one number, their mean. predicted: the class of
    the largest output, the first one at a tie; None where there is only a score.
    """

    name: str
    label: int
    outputs: tuple[float, ...]
    score: float | None
    predicted: int | None


def first_largest(numbers: Sequence[float]) -> int:
    """Index of the largest value; at a tie the first one wins, as in the stock runner."""
    return max(range(len(numbers)), key=lambda index: (numbers[index], -index))


def make_row(name: str, label: int, windows: Sequence[tuple[float, ...]]) -> Row:
    """The row of an item from the outputs of its windows, in order, at least one.

    Raises UsageError for windows that gave different numbers of outputs.
    """
    widths = {len(window) for window in windows}
    if len(widths) != 1 or 0 in widths:
        raise UsageError(f"{name}: its windows gave {sorted(widths)} outputs; each must give as many as the model has.")
    if len(windows[0]) == 1:
        scores = tuple(window[0] for window in windows)
        return Row(name, label, scores, math.fsum(scores) / len(scores), None)
    if len(windows) == 1:
        (outputs,) = windows
    else:
        shares = [normalised(window) or window for window in windows]
        outputs = tuple(math.fsum(column) / len(windows) for column in zip(*shares, strict=True))
    return Row(name, label, outputs, None, first_largest(outputs))


def run_items(device: Device, output_format: OutputFormat, items: Iterable[Item]) -> Iterator[Row]:
    """Each item through the device once, in order; its row when its last window is done.

    `items` is asked for the next one as the device's stream asks for inputs: some items ahead of the rows.
    Raises LinkError and DeviceError as the device does; an item whose row has not come may be sent again.
    """
    ahead: deque[_Begun] = deque()

    def inputs() -> Iterator[bytes]:
        for item in items:
            windows = item.windows()
            ahead.append(_Begun(item, windows))
            yield from windows

    for output in device.stream(inputs()):
        begun = ahead[0]
        begun.done.append(values(output_format, begun.windows[len(begun.done)], output))
        if len(begun.done) == len(begun.windows):
            ahead.popleft()
            yield make_row(begun.item.name, begun.item.label, begun.done)


@dataclass(slots=True)
class _Begun:
    """An item of which some windows are on their way."""

    item: Item
    windows: tuple[bytes, ...]
    done: list[tuple[float, ...]] = field(default_factory=list)


def score(dataset: Dataset, rows: Sequence[Row], target: Target | None = None) -> Accuracy:
    """The data set's metric over the rows, at least one, in any order; `met` is value >= target.

    Raises UsageError where the metric is top-1 and the model gives one number.
    """
    if not rows:
        raise UsageError(f"{dataset.task}: no input was run, so there is no accuracy. Ask for at least one.")
    area, reason = _area(dataset, rows)
    value = area if dataset.metric == "auc" else _top1(dataset, rows)
    return Accuracy(
        metric=dataset.metric,
        value=value,
        n=len(rows),
        target=target.value if target else None,
        met=value >= target.value if target and value is not None else None,
        target_source=target.source if target else None,
        auc=area,
        reason=reason if value is None else None,
    )


def _top1(dataset: Dataset, rows: Sequence[Row]) -> float:
    if any(row.predicted is None for row in rows):
        raise UsageError(
            f"{dataset.task}: top-1 needs a number per class, and the model gives one: correct `metric` in "
            "dataset.toml or `result` in model.toml."
        )
    return sum(row.predicted == row.label for row in rows) / len(rows)


def normalised(outputs: Sequence[float]) -> tuple[float, ...] | None:
    """Outputs that add up to 1, as the official runner makes them; None for some that cannot be made to."""
    total = math.fsum(outputs)
    return tuple(value / total for value in outputs) if total > 0 else None


def _area(dataset: Dataset, rows: Sequence[Row]) -> tuple[float | None, str | None]:
    """scikit-learn's roc_auc_score, or None and why there is none."""
    labels = [row.label for row in rows]
    classes = len(rows[0].outputs) if rows[0].score is None else 2
    wrong = sorted(set(range(classes)) ^ set(labels))
    if wrong:
        return None, (
            f"the area under the curve needs inputs of all {classes} classes of the model and of no other: look at "
            f"class {', '.join(map(str, wrong[:4]))} among these {len(rows)}"
        )
    if rows[0].score is not None:
        return _roc_auc(labels, [row.score for row in rows]), None
    shares = [normalised(row.outputs) for row in rows]
    if any(share is None or min(share) < 0 for share in shares):
        return None, "the outputs are no shares of a whole: the area under the curve needs a model that ends in SOFTMAX"
    columns = [share[1] if classes == 2 else share for share in shares if share is not None]
    return _roc_auc(labels, columns), None


def _roc_auc(labels: Sequence[int], scores: Sequence[object]) -> float:
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - a second of imports, for accuracy runs only

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what scikit-learn only warns of is no number to publish
        return float(roc_auc_score(labels, scores, multi_class="ovr"))
