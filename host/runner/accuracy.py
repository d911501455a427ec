"""Accuracy: every input once, each checked to have arrived whole, scored by top-1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from host.catalog import Dataset, Item, Progress
from host.device import Device
from host.errors import UsageError
from host.results.schema import Accuracy


@dataclass(frozen=True, slots=True)
class Row:
    """What the device answered for one input."""

    name: str
    label: int
    predicted: int
    outputs: tuple[float, ...]


def first_largest(values: Sequence[float]) -> int:
    """Index of the largest value; at a tie the first one wins, as in the stock runner."""
    return max(range(len(values)), key=lambda index: (values[index], -index))


def run_accuracy(device: Device, dataset: Dataset, items: Sequence[Item], progress: Progress) -> tuple[Row, ...]:
    """Send each item, run it once and keep what came back. Raises LinkError and DeviceError as the device does.

    Raises UsageError for a data set with another metric than top-1, which is all that `score` knows.
    """
    if dataset.metric != "top1":
        raise UsageError(f"{dataset.task}: accuracy by {dataset.metric} arrives later: use --mode performance.")
    rows = []
    for index, item in enumerate(items):
        progress("inputs", index, len(items))
        device.load(item.data)
        outputs = device.infer(1, 0).results
        rows.append(Row(item.name, item.label, first_largest(outputs), outputs))
    progress("inputs", len(items), len(items))
    return tuple(rows)


def score(dataset: Dataset, rows: Sequence[Row]) -> Accuracy:
    """Top-1 over the rows. The official target applies to the whole official set and to nothing else."""
    correct = sum(row.predicted == row.label for row in rows)
    value = correct / len(rows)
    whole = dataset.official and len(rows) == len(dataset.items)
    return Accuracy(
        metric="top1",
        value=value,
        n=len(rows),
        target=dataset.target if whole else None,
        met=value >= dataset.target if whole else None,
    )
