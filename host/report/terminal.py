# SPDX-License-Identifier: Apache-2.0
"""The one place that knows what a terminal is: every command prints its tables and sentences through here.

    console = stdout_console()
    say(console, "kws01, EMULATED on mps2_an386")                     # a sentence
    table = listing("task", "change", "verdict", numbers=("change",)) # text; numbers are on the right, never broken
    table.add_row("kws01", "-1.2 %", "smaller")
    show(console, table)
    point(console, "results", folder)                                 # a path: never wrapped

On a terminal: boxes and colour, sentences wrapped at words, and a table that does not fit becomes a block a row. No
terminal, or TERM=dumb: plain, a row is a line and a sentence is a line, however long; columns are aligned by spaces.
NO_COLOR: neither colour nor bold, boxes stay. FORCE_COLOR: as on a terminal (rich has it so). A stream that is not
UTF-8 gets ASCII. Colours are found by the words, so nothing is told by a colour alone.

What is printed may come from files and devices that nobody trusts: no markup is read, control characters and marks that
turn the direction of writing are shown as escapes, and a line given to `say` stays one line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.box import HEAVY_HEAD, SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

UNBOUND_WIDTH = 200
"""Columns of a console whose stream has none of its own."""
TEXT_WIDTH = 100
"""Sentences are not wider than this on a terminal."""
_WORD = 24  # a longer one may be broken in a column: a hash, a path
_WIDE = 1 << 20
_COLOURS = (
    (r"\b(INVALID|NOT SANE|MISSED|DIFFERS|REFUSED|FAILED|WRONG|DROPPED|CLOCKS|DISAGREE|not valid)\b", "bold red"),
    (r"\b(EMULATED|MODELLED|ESTIMATED|SYNTHETIC|emulated|modelled)\b", "yellow"),
    (r"\b(REPLAYED|replayed)\b", "cyan"),
    (r"(?m)^(valid|ok|same|equal, bit for bit)$|: met$|^met\b", "green"),
)


def stdout_console() -> Console:
    """Where tables go."""
    return _console(stderr=False)


def stderr_console() -> Console:
    """Where progress, warnings and errors go."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, emoji=False, markup=False, highlight=False)
    if console.no_color:  # rich would keep bold
        console = Console(stderr=stderr, emoji=False, markup=False, highlight=False, color_system=None)
    if not console.file.isatty():
        console.width = max(console.width, UNBOUND_WIDTH)
    return console


def is_plain(console: Console) -> bool:
    """Whether a program or a dumb terminal reads it."""
    return not console.is_terminal or console.is_dumb_terminal


def printable(text: str, encoding: str = "utf-8") -> str:
    """`text` as a terminal may have it: what is no character one can see, or is not in `encoding`, as an escape.
    Spaces and line feeds stay."""
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
        )
    if encoding.lower().startswith("utf"):
        return text
    return text.encode(encoding, "backslashreplace").decode(encoding)


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    number: bool
    whole: bool  # never broken over lines


@dataclass(slots=True)
class Listing:
    """A table of text: made by `listing`, printed by `show`. A cell may have several lines; plain, they are one."""

    columns: tuple[_Column, ...]
    boxed: bool = False
    optional: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)
    sections: set[int] = field(default_factory=set)
    """Rows above which a line is drawn."""

    def add_row(self, *cells: str) -> None:
        """Cells in the order of the columns; those that are left out are empty."""
        if len(cells) > len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self.rows.append((*cells, *([""] * (len(self.columns) - len(cells)))))

    def add_section(self) -> None:
        """What follows is another kind of row: a sum, for instance."""
        self.sections.add(len(self.rows))


def listing(
    *titles: str,
    numbers: Collection[str] = (),
    whole: Collection[str] = (),
    boxed: bool = False,
    optional: Sequence[str] = (),
) -> Listing:
    """An empty table. The first column is what a person types next and is never broken, nor is one of `whole`.

    numbers: titles of columns that are on the right and never broken; those that end in "bytes" are without being
    named. boxed: with lines between the columns where there is room, for figures. optional: columns that a terminal
    which is too narrow does without, the first of them first, before it gives up on a table; it says so.
    """
    return Listing(
        tuple(
            _Column(title, number, number or title == titles[0] or title in whole)
            for title in titles
            for number in (title in numbers or title.endswith("bytes"),)
        ),
        boxed,
        tuple(optional),
    )


def say(console: Console, *lines: str, indent: int = 0, style: str = "") -> None:
    """Print sentences, each on lines of its own. indent: spaces before it. style: of rich, where there is colour."""
    for line in lines:
        text = printable(line, console.encoding).replace("\n", "\\n")
        room = min(console.width, TEXT_WIDTH) - indent
        for piece in [text] if is_plain(console) else _wrapped(text, room):
            _print(console, " " * indent + piece, style)


def point(console: Console, what: str, path: object) -> None:
    """Print `what: path` as one line whatever the width: a person copies it, a program takes the last line."""
    _print(console, printable(f"{what}: {path}", console.encoding).replace("\n", "\\n"))


def show(console: Console, table: Listing) -> None:
    """Print a table as the console can have it; nothing of it is left out, whatever the width."""
    table = _clean(table, console.encoding)
    if is_plain(console):
        for line in _aligned(table):
            _print(console, line)
        return
    for count in range(len(table.optional) + 1):
        drawn = _drawn(_without(table, table.optional[:count]), console)
        if drawn is not None:
            console.print(drawn)
            if count:
                left = "; ".join(_joined(title) for title in table.optional[:count])
                say(console, f"left out, because the terminal has {console.width} columns: {left}")
            return
    for row in table.rows:
        say(console, _joined(f"{table.columns[0].title}: {row[0]}"), style="bold")
        say(console, *_card(table, row), indent=2)


def _print(console: Console, line: str, style: str = "") -> None:
    console.print(_coloured(line.rstrip(), style), soft_wrap=True)


def _coloured(text: str, style: str = "") -> Text:
    found = Text(text, style=style)
    for pattern, colour in _COLOURS:
        found.highlight_regex(pattern, colour)
    return found


def _clean(table: Listing, encoding: str) -> Listing:
    def clean(text: str) -> str:
        return printable(text, encoding)

    columns = tuple(_Column(clean(column.title), column.number, column.whole) for column in table.columns)
    rows = [tuple(map(clean, row)) for row in table.rows]
    return Listing(columns, table.boxed, tuple(map(clean, table.optional)), rows, table.sections)


def _without(table: Listing, titles: Collection[str]) -> Listing:
    kept = [place for place, column in enumerate(table.columns) if column.title not in titles]
    columns = tuple(table.columns[place] for place in kept)
    return Listing(
        columns, table.boxed, (), [tuple(row[place] for place in kept) for row in table.rows], table.sections
    )


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Pieces of a sentence that fit, broken at spaces. A longer word stays whole: somebody may want to copy it."""
    lead = text[: len(text) - len(text.lstrip(" "))]
    line = ""
    for word in text.strip(" ").split(" "):
        if line and cell_len(lead) + cell_len(line) + 1 + cell_len(word) > width:
            yield lead + line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield lead + line


def _joined(cell: str) -> str:
    return " ".join(cell.split("\n"))


def _aligned(table: Listing) -> Iterator[str]:
    """A row is a line; only the titles may have several."""
    titles = [column.title.split("\n") for column in table.columns]
    height = max(map(len, titles))
    heads = [[""] * (height - len(lines)) + lines for lines in titles]  # the last lines are beside each other
    rows = [[_joined(cell) for cell in row] for row in table.rows]
    widths = _natural_widths([*zip(*heads, strict=True), *rows])
    for row in (*zip(*heads, strict=True), *rows):
        cells = zip(row, widths, table.columns, strict=True)
        yield "  ".join(_padded(cell, width, right=column.number) for cell, width, column in cells)


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _natural_widths(rows: Iterable[Sequence[str]]) -> list[int]:
    """What each column takes when nothing of it is broken but where it has line feeds."""
    return [max(cell_len(line) for cell in column for line in cell.split("\n")) for column in zip(*rows, strict=True)]


def _fitted(table: Listing, room: int) -> list[int] | None:
    """A width for each column, together at most `room`; None where that would break what must stay whole."""
    titles = tuple(column.title for column in table.columns)
    widths = _natural_widths([titles, *table.rows])
    held = _natural_widths([[""] * len(titles), *table.rows])  # a title may always be broken
    words = _natural_widths([[re.sub(r"\s+", "\n", cell) for cell in row] for row in (titles, *table.rows)])
    least = [
        max(min(width, word, _WORD), cells if column.whole else 0)
        for column, width, cells, word in zip(table.columns, widths, held, words, strict=True)
    ]
    if sum(least) > room:
        return None
    while (excess := sum(widths) - room) > 0:
        first, *others = sorted(
            (place for place in range(len(widths)) if widths[place] > least[place]), key=lambda place: -widths[place]
        )
        # The widest gives until it is as wide as the next.
        floor = max(least[first], widths[others[0]] - 1 if others else 0)
        widths[first] -= max(min(excess, widths[first] - floor), 1)
    return widths


def _drawn(table: Listing, console: Console) -> Table | None:
    """The table as rich draws it; None where the console is too narrow for it."""
    boxed = _drawn_in(Table(box=HEAVY_HEAD), table, console) if table.boxed else None
    return boxed or _drawn_in(Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False), table, console)


def _drawn_in(drawn: Table, table: Listing, console: Console) -> Table | None:
    for column in table.columns:
        drawn.add_column(
            _coloured(column.title, "bold"), justify="right" if column.number else "left", overflow="fold", width=1
        )
    wide = console.options.update_width(_WIDE)
    widths = _fitted(table, console.width - (Measurement.get(console, wide, drawn).maximum - len(table.columns)))
    if widths is None:
        return None
    for drawn_column, width in zip(drawn.columns, widths, strict=True):
        drawn_column.width = width
    for number, row in enumerate(table.rows):
        if number in table.sections:
            drawn.add_section()
        drawn.add_row(*map(_coloured, row))
    return drawn


def _card(table: Listing, row: Sequence[str]) -> Iterator[str]:
    """A row as lines: one for each cell that holds something, besides the first."""
    for column, cell in zip(table.columns[1:], row[1:], strict=True):
        if cell:
            yield f"{_joined(column.title)}: {_joined(cell)}"
