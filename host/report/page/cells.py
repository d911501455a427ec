# SPDX-License-Identifier: Apache-2.0
"""Cells out of one result.json: the value is looked up by the path that the cell names, so the two cannot differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from energy.uncertainty import rounded
from host.report.page.view import NONE, Cell, Column, Fact, Grid, Row, Value, shown

Format = Callable[[Any], str]


def thousands(value: float) -> str:
    """A whole number in groups of three."""
    return f"{value:,.0f}"


def digits(places: str) -> Format:
    """By a format specification: ".3f"."""
    return lambda value: format(value, places)


def certain(value: float, u: float | None) -> str:
    """A value with as many digits as its expanded uncertainty leaves it."""
    return rounded(value, u).partition(" ")[0]


def label(text: str) -> Cell:
    """A cell that is no value of a result."""
    return Cell(shown(text))


@dataclass(frozen=True, slots=True)
class Cells:
    """Makes cells of result.json number `source`, whose content is `raw`."""

    source: int
    raw: dict[str, Any]

    def at(self, path: str, text: Format = str, note: str = "") -> Cell:
        """The value at a path; where it is null or not there, a cell that says so."""
        value: Any = self.raw
        reached: list[str] = []
        for step in path.split("."):
            if value is None:
                break
            try:
                value = value[int(step)] if isinstance(value, list) else value[step]
            except (KeyError, IndexError):
                return Cell(NONE, source=self.source, note=shown(note))
            reached.append(step)
        kept: Value = value if isinstance(value, str | int | float | bool) else None
        return Cell(NONE if value is None else shown(text(value)), kept, ".".join(reached), self.source, shown(note))

    def fact(self, name: str, path: str, text: Format = str, note: str = "", *, headline: bool = False) -> Fact:
        """The same with a label."""
        return Fact(name, self.at(path, text, note), headline)


def told(facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """Without those that say nothing."""
    return tuple(fact for fact in facts if fact.cell.text != NONE)


def grid(caption: str, columns: Sequence[Column], rows: Sequence[Row], notes: Sequence[str] = ()) -> Grid:
    """A table without the columns that no row fills."""
    filled = [place for place in range(len(columns)) if not rows or any(row.cells[place].text != NONE for row in rows)]
    kept = tuple(Row(tuple(row.cells[place] for place in filled), row.kind, row.href) for row in rows)
    return Grid(caption, tuple(columns[place] for place in filled), kept, tuple(map(shown, notes)))
