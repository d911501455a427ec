"""What `host models` and `host data` share: a row per task, and below the table why a task has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from host.catalog import Catalog


def with_catalog(action: Callable[[Catalog], str]) -> int:
    """Run `action` on the project's catalogue, with progress, and print what it says. Returns 0."""
    from host import catalog
    from host.report.progress import Reporter
    from host.report.terminal import stdout_console

    with Reporter() as reporter:
        said = action(catalog.default_catalog(progress=reporter.update, note=reporter.note))
    stdout_console().print(said, markup=False, highlight=False, soft_wrap=True)
    return 0


def print_listing(
    columns: Sequence[str],
    tasks: Callable[[Catalog], Sequence[str]],
    row: Callable[[Catalog, str], Sequence[str]],
    *,
    fetch: bool,
    more: Callable[[Catalog, str], Sequence[Sequence[str]]] | None = None,
) -> int:
    """Print a table with `row` of each of `tasks`. Returns 1 when something is wrong, or missing in spite of `fetch`.

    more: further rows of a task. Columns whose title ends in "bytes" are numbers.
    """
    from host import catalog
    from host.errors import NotAvailable, SetupError
    from host.report.progress import Reporter
    from host.report.terminal import listing, show, stdout_console

    table = listing(*columns)
    missing: list[str] = []
    wrong: list[str] = []
    with Reporter() as reporter:
        known = catalog.default_catalog(progress=reporter.update, note=reporter.note)
        for task in tasks(known):
            try:
                table.add_row(task, *row(known, task))
            except NotAvailable as error:
                missing.append(str(error))
                table.add_row(task, "not here: see below")
            except SetupError as error:
                wrong.append(str(error))
                table.add_row(task, "WRONG: see below")
            try:
                for cells in () if more is None else more(known, task):
                    table.add_row(task, *cells)
            except SetupError as error:
                wrong.append(str(error))
                table.add_row(task, "WRONG: see below")
    console = stdout_console()
    show(console, table)
    for problem in wrong + missing:
        console.print(problem, markup=False, highlight=False, soft_wrap=True)
    if missing and not fetch:
        console.print("Run it again with --fetch to get what is missing (`host bench` does so itself).", markup=False)
    return 1 if wrong or (missing and fetch) else 0
