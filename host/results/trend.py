# SPDX-License-Identifier: Apache-2.0
"""How a figure went over time: rows of a history in series that may be compared.

A series never holds rows of two provenances, boards, clocks, tasks, modes or rules, nor energies with and without idle
power, nor accuracies on different inputs. What may differ within one (model, image, engine, monitor) is what a trend is
about; it is counted, so that it can be told.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from host.results.history import History, Row
from host.results.schema import Mode, Provenance, RulesName

Quantity = Literal["latency", "instructions", "energy", "accuracy", "arena", "code"]

UNITS: Final[dict[Quantity, str]] = {
    "latency": "us",
    "instructions": "",
    "energy": "uJ",
    "accuracy": "",
    "arena": "bytes",
    "code": "bytes",
}
_VALUES: Final[dict[Quantity, Callable[[Row], float | int | None]]] = {
    "latency": lambda row: row.latency_us,
    "instructions": lambda row: row.instructions,
    "energy": lambda row: row.energy_uj,
    "accuracy": lambda row: row.accuracy,
    "arena": lambda row: row.arena_bytes,
    "code": lambda row: row.code_bytes,
}
MAIN: Final[dict[Mode, Quantity]] = {"performance": "latency", "energy": "energy", "accuracy": "accuracy"}
"""What a mode is run for."""
_ORDER: Final[tuple[Provenance, ...]] = ("measured", "emulated", "replayed")


class Group(NamedTuple):
    """Runs that were made in the same way. clock_hz: 0 where a clock means nothing."""

    provenance_order: int
    board: str
    core: str
    clock_hz: int
    task: str
    mode: Mode
    rules: RulesName

    @property
    def provenance(self) -> Provenance:
        """Of all runs of the group."""
        return _ORDER[self.provenance_order]


class Point(NamedTuple):
    """A run's figure. u: its expanded uncertainty in the same unit, None where there is none."""

    row: Row
    value: float | int
    u: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """Last against first: as a part of the first; of an accuracy, the difference itself. u: its expanded uncertainty,
    as if both figures' had nothing in common, which is too much where one instrument measured both."""

    value: float
    u: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity of one group: values[i] is of rows[i], valid runs in the order of time, one at least.

    kind: what sets series of a quantity apart: "net" energy, an accuracy's metric and inputs; else "".
    invalid: runs of the group and kind that are not valid, and not in it; those of a kind that no valid run is of count
    with every kind.
    """

    group: Group
    quantity: Quantity
    kind: str
    rows: list[Row]
    values: list[float | int]
    invalid: int

    def point(self, place: int) -> Point:
        """A run's figure; place: as in a list."""
        row = self.rows[place]
        return Point(row, self.values[place], row.u_uj if self.quantity == "energy" else None)

    @property
    def first(self) -> Point:
        """The oldest."""
        return self.point(0)

    @property
    def last(self) -> Point:
        """The latest."""
        return self.point(-1)

    @property
    def best(self) -> Point:
        """The first of those with the best value: the largest accuracy, the least of everything else."""
        return self.point(self.values.index((max if self.quantity == "accuracy" else min)(self.values)))

    @property
    def change(self) -> Change | None:
        """None with one point, and where nothing can be a part of the first one."""
        first, last = self.first, self.last
        if len(self.values) < 2:
            return None
        if self.quantity == "accuracy":
            return Change(last.value - first.value, None)
        if first.value <= 0 or last.value <= 0:
            return None
        ratio = last.value / first.value
        if first.u is None or last.u is None:
            return Change(ratio - 1, None)
        return Change(ratio - 1, ratio * math.hypot(first.u / first.value, last.u / last.value))

    @property
    def is_flat(self) -> bool:
        """Whether it never changed."""
        return min(self.values) == max(self.values)

    def differing(self) -> dict[str, int]:
        """What is not the same in all of them, and how many there are of it."""
        counted: dict[str, set[str | None]] = {
            "models": {row.model_sha256 or row.model for row in self.rows},
            "data sets": {row.dataset_sha256 for row in self.rows},
            "images": {row.firmware_sha256 for row in self.rows},
            "engines": {row.engine for row in self.rows},
            "monitors": {row.monitor_idn for row in self.rows},
        }
        return {name: len(values) for name, values in counted.items() if len(values) > 1}


def selected(
    history: History,
    *,
    task: str | None = None,
    board: str | None = None,
    provenance: str | None = None,
    last: int | None = None,
) -> list[Row]:
    """Rows of one task, board or provenance; last: of every group only so many, the latest. In the order of time."""
    rows = [
        row
        for row in history.rows
        if task in (None, row.task) and board in (None, row.board) and provenance in (None, row.provenance)
    ]
    if last is None:
        return rows
    left: dict[Group, int] = {}
    kept = []
    for row in reversed(rows):
        group = _group(row)
        left[group] = left.get(group, last) - 1
        if left[group] >= 0:
            kept.append(row)
    return kept[::-1]


def _group(row: Row) -> Group:
    return Group(
        _ORDER.index(row.provenance), row.board, row.core, row.clock_hz or 0, row.task, row.mode, row.rules
    )  # fmt: skip


def trends(rows: Iterable[Row]) -> list[Series]:
    """The series of rows that are in the order of time: measured first, then by board, task and mode, the main quantity
    of each mode before the others."""
    groups: dict[Group, list[Row]] = {}
    for row in rows:
        groups.setdefault(_group(row), []).append(row)
    return [series for group in sorted(groups) for series in _series(group, groups[group])]


def _series(group: Group, rows: list[Row]) -> Iterator[Series]:
    valid, invalid = [row for row in rows if row.valid], [row for row in rows if not row.valid]
    for quantity in sorted(_VALUES, key=lambda quantity: quantity != MAIN[group.mode]):
        value_of = _VALUES[quantity]
        kinds: dict[str, tuple[list[Row], list[float | int]]] = {}
        for row in valid:
            value = value_of(row)
            if value is not None:
                some, values = kinds.setdefault(_kind(quantity, row), ([], []))
                some.append(row)
                values.append(value)
        wrong = Counter(_kind(quantity, row) for row in invalid)
        stray = sum(count for kind, count in wrong.items() if kind not in kinds)  # of a kind that no valid run is of
        for kind in sorted(kinds):
            yield Series(group, quantity, kind, *kinds[kind], wrong[kind] + stray)


def _kind(quantity: Quantity, row: Row) -> str:
    if quantity == "energy":
        return "net" if row.net else ""
    if quantity == "accuracy":
        return f"{row.metric}, {row.inputs} inputs of {row.dataset} {row.dataset_sha256[:8]}"
    return ""
