"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_INTERVAL_S = 10.0


class Reporter:
    """Tells a person how far a long step is. `update(what, done, total)`; total 0 means unknown."""

    def __init__(self) -> None:
        """Nothing is drawn yet."""
        self._console = Console(stderr=True, soft_wrap=True)
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last_line_s = time.monotonic()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show `what` as running until the block ends."""
        self.update(what, 0, 0)
        try:
            yield
        finally:
            self.done(what)

    def note(self, text: str) -> None:
        """One line that stays."""
        self._console.print(text, highlight=False, markup=False)

    def update(self, what: str, done: int, total: int) -> None:
        """`done` of `total` for the step called `what`."""
        if not sys.stderr.isatty():
            now_s = time.monotonic()
            if now_s - self._last_line_s >= PLAIN_INTERVAL_S:
                self._last_line_s = now_s
                self._console.print(f"{what}: {done} of {total}" if total else f"{what} ...", markup=False)
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total or None)
        self._bar.update(self._tasks[what], completed=done, total=total or None)

    def done(self, what: str) -> None:
        """The step called `what` has ended."""
        if self._bar is not None and what in self._tasks:
            self._bar.remove_task(self._tasks.pop(what))

    @contextmanager
    def scope(self, prefix: str) -> Iterator[Callable[[str, int, int], None]]:
        """A progress callback whose steps are called `prefix: what`; they vanish when the block ends."""
        try:
            yield lambda what, done, total: self.update(f"{prefix}: {what}", done, total)
        finally:
            self.clear()

    def clear(self) -> None:
        """All steps have ended."""
        for what in list(self._tasks):
            self.done(what)

    def close(self) -> None:
        """Take the bars away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            self._tasks.clear()

    def __enter__(self) -> Reporter:
        """Use it as a context manager."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Take the bars away."""
        self.close()
