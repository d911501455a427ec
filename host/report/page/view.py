# SPDX-License-Identifier: Apache-2.0
"""What the page shows, as data: the template renders this and computes nothing.

Every number that comes from a result.json is a `Cell` that says where in it: a browser test compares all of them. Texts
are already made harmless to look at (`shown`: control and direction characters are written out), not escaped: that is
the template's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from host.results.schema import Mode, Provenance

Value = float | int | bool | str | None

NONE = "-"
"""What a cell says where a result tells nothing."""


def shown(text: str) -> str:
    """A text from outside as a person may see it: what would move a cursor, turn the direction of writing round or not
    be seen at all is written as its code."""
    if text.isprintable() and text.isascii():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@dataclass(frozen=True, slots=True)
class Cell:
    """A text. value: what result.json number `source` of the page holds at `path` ("runs.0.latency_us.median"), as it
    is there, in its own unit; path: None where the text is not one value of it. note: in small print beside it."""

    text: str
    value: Value = None
    path: str | None = None
    source: int = 0
    note: str = ""

    @property
    def data(self) -> str:
        """The value as JSON, for data-value."""
        return json.dumps(self.value)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. unit: below the title; numeric: its cells stand on the right."""

    title: str
    unit: str = ""
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """As many cells as there are columns; the first is its header. href: "#run-0-1" where that one leads. kind: "sum"
    stands apart, "invalid" is marked by more than a colour (a cell of it says so in words)."""

    cells: tuple[Cell, ...]
    kind: Literal["row", "sum", "invalid"] = "row"
    href: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. notes: below it, a line each."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and what is to be said about it. headline: one of the few that a person looks for first."""

    label: str
    cell: Cell
    headline: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts under a title."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A static picture. name: unique on the page. text: what it shows, in words, for who cannot see it. draw: makes
    `svg`, which takes a tenth of a second."""

    name: str
    title: str
    text: str
    draw: Callable[[], Markup]

    @property
    def svg(self) -> Markup:
        """To be put into the page as it is; its title and description are in it."""
        return self.draw()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a trace that a link leads to, in seconds of its axis."""

    name: str
    from_s: float
    to_s: float
    valid: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """A recorded trace. key: unique on the page ("trace-0-kws01"). payload: JSON, safe in a script element of type
    application/json as it is (`host.report.page.pyramid` says what is in it). figure: what stands there without
    JavaScript. stretches: the windows."""

    key: str
    file: str
    heading: str
    payload: Markup
    figure: Figure
    stretches: tuple[Stretch, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One task in one mode. anchor: id of its part of the page. word: "measured", "EMULATED", "REPLAYED". reasons: why
    it is not valid. facts: its figures in short. The parts that it has nothing for are None."""

    anchor: str
    source: int
    task: str
    mode: Mode
    title: str
    provenance: Provenance
    word: str
    valid: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    facts: tuple[Fact, ...]
    latency: Grid | None
    latency_figure: Figure | None
    traces: tuple[Trace, ...]
    trace_notes: tuple[str, ...]
    energy: Grid | None
    budget: Grid | None
    budget_figure: Figure | None
    operators: Grid | None
    operators_figure: Figure | None


@dataclass(frozen=True, slots=True)
class Group:
    """Everything of one provenance. meaning: what such numbers are worth. tables: one per board."""

    provenance: Provenance
    word: str
    meaning: str
    tables: tuple[Grid, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """One result folder: all that is needed to repeat it. number: the place of its result.json on the page. command:
    what to type; None where nobody knows."""

    number: int
    name: str
    provenance: Provenance
    word: str
    facts: tuple[Facts, ...]
    command: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands first. kind: "invalid" when a run is not valid; "quick" when all are, but no benchmark result; else
    "valid". lines: what is wrong and what it is worth, the important first. links: (text, "#run-0-1") of the runs that
    are not valid."""

    kind: Literal["valid", "quick", "invalid"]
    headline: str
    lines: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """The page. created: when it was made, UTC. groups and runs: measured first, then emulated, then replayed; in one
    of them in the order of the folders."""

    title: str
    created: str
    generator: str
    verdict: Verdict
    groups: tuple[Group, ...]
    runs: tuple[Run, ...]
    sources: tuple[Source, ...]
