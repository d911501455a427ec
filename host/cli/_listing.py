"""What `host models` and `host data` share: a row per task, and below the table why a task has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from host.cli._json import print_json

if TYPE_CHECKING:
    from host.catalog import Catalog
    from host.report.terminal import Listing

Entry = tuple[Sequence[str], Mapping[str, object]]
"""Cells behind the task's name, and the same for --json."""


def with_catalog(action: Callable[[Catalog], tuple[str, Mapping[str, object]]], *, as_json: bool) -> int:
    """Run `action` on the project's catalogue, with progress, and print what it says. Returns 0."""
    from host import catalog
    from host.report.progress import Reporter
    from host.report.terminal import say, stdout_console

    with Reporter() as reporter:
        said, document = action(catalog.default_catalog(progress=reporter.update, note=reporter.note))
    if as_json:
        print_json(document)
    else:
        say(stdout_console(), *said.splitlines())
    return 0


@dataclass(slots=True)
class _Found:
    """The table, the same for --json, and what is wrong."""

    table: Listing
    entries: list[Mapping[str, object]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def take(self, task: str, entries: Callable[[], Sequence[Entry]]) -> None:
        """Rows of a task; where they cannot be had, the reason."""
        from host.errors import NotAvailable, SetupError

        try:
            for cells, document in entries():
                self.table.add_row(task, *cells)
                self.entries.append({"task": task, **document})
        except NotAvailable as error:
            self.missing.append(str(error))
            self._lacks(task, "not here", error)
        except SetupError as error:
            self.wrong.append(str(error))
            self._lacks(task, "WRONG", error)

    def _lacks(self, task: str, what: str, error: Exception) -> None:
        self.table.add_row(task, f"{what}: see below")
        self.entries.append({"task": task, "problem": what.lower(), "reason": str(error)})


def print_listing(
    columns: Sequence[str],
    tasks: Callable[[Catalog], Sequence[str]],
    row: Callable[[Catalog, str], Entry],
    *,
    name: str,
    fetch: bool,
    as_json: bool,
    more: Callable[[Catalog, str], Sequence[Entry]] | None = None,
) -> int:
    """Print a table with `row` of each of `tasks`. Returns 1 when something is wrong, or missing in spite of `fetch`.

    more: further rows of a task. name: of the list in the JSON document. Columns whose title ends in "bytes" are
    numbers.
    """
    from host import catalog
    from host.report.progress import Reporter
    from host.report.terminal import listing, say, show, stdout_console

    found = _Found(listing(*columns))
    with Reporter() as reporter:
        known = catalog.default_catalog(progress=reporter.update, note=reporter.note)
        for task in tasks(known):
            found.take(task, lambda task=task: [row(known, task)])  # type: ignore[misc]
            if more is not None:
                found.take(task, lambda task=task: more(known, task))  # type: ignore[misc]
    if as_json:
        print_json({name: found.entries})
    else:
        console = stdout_console()
        show(console, found.table)
        say(console, *(line for problem in found.wrong + found.missing for line in problem.splitlines()))
        if found.missing and not fetch:
            say(console, "Run it again with --fetch to get what is missing (`host bench` does so itself).")
    return 1 if found.wrong or (found.missing and fetch) else 0
