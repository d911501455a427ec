"""Progress on stderr: a bar on a terminal, a line now and then elsewhere (no terminal, or TERM=dumb)."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from host.report.terminal import printable, say, stderr_console

PLAIN_INTERVAL_S = 10.0


@dataclass(slots=True)
class Pace:
    """How fast a step goes. What was done before (in another session) is no part of it, nor is its first piece, which
    may have had much to prepare."""

    begun_s: float
    first: int
    now_s: float = 0.0
    done: int = 0
    total: int = 0
    settled: bool = False

    def tell(self, now_s: float, done: int, total: int) -> None:
        """So many of so many are done at this time."""
        if not self.settled and done > self.first:
            self.begun_s, self.first, self.settled = now_s, done, True
        self.now_s, self.done, self.total = now_s, done, total

    @property
    def per_s(self) -> float | None:
        """Pieces per second; None as long as nobody can tell."""
        elapsed_s = self.now_s - self.begun_s
        return (self.done - self.first) / elapsed_s if self.done > self.first and elapsed_s > 0 else None

    @property
    def left_s(self) -> float | None:
        """Seconds until it is done, at this pace."""
        return (self.total - self.done) / self.per_s if self.per_s and self.total else None

    def text(self) -> str:
        """For a person: rate and time left, or nothing."""
        if self.per_s is None or self.left_s is None:
            return ""
        rate = f"{self.per_s:.1f} per s" if self.per_s >= 1 else f"{1 / self.per_s:.1f} s each"
        return f"{rate}, {timedelta(seconds=round(self.left_s))} left"


class Reporter:
    """Tells a person how far a long step is. `update(what, done, total)`; total 0 means unknown. Any thread may."""

    def __init__(self) -> None:
        """Nothing is drawn yet."""
        self._console = stderr_console()
        self._bars = sys.stderr.isatty() and not self._console.is_dumb_terminal
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._paces: dict[str, Pace] = {}
        self._begun_s = time.monotonic()
        self._lines_s: dict[str, float] = {}
        self._lock = threading.RLock()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show `what` as running until the block ends."""
        self.update(what, 0, 0)
        try:
            yield
        finally:
            self.done(what)

    def note(self, text: str) -> None:
        """One line that stays, or several."""
        with self._lock:
            say(self._console, *text.splitlines())

    def update(self, what: str, done: int, total: int) -> None:
        """`done` of `total` for the step called `what`."""
        now_s = time.monotonic()
        with self._lock:
            pace = self._paces.setdefault(what, Pace(now_s, done))
            pace.tell(now_s, done, total)
            if self._bars:
                self._draw(what, pace)
            elif now_s - self._lines_s.get(what, self._begun_s) >= PLAIN_INTERVAL_S:
                self._lines_s[what] = now_s
                text = f"{what}: {done} of {total}" if total else f"{what} ..."
                say(self._console, ", ".join(part for part in (text, pace.text()) if part))

    def done(self, what: str) -> None:
        """The step called `what` has ended."""
        with self._lock:
            self._paces.pop(what, None)
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
        with self._lock:
            for what in list(self._paces):
                self.done(what)

    def close(self) -> None:
        """Take the bars away."""
        with self._lock:
            if self._bar is not None:
                self._bar.stop()
                self._bar = None
                self._tasks.clear()
            self._paces.clear()

    def _draw(self, what: str, pace: Pace) -> None:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[pace]}", markup=False),
                console=self._console,
                transient=True,
            )
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(
                printable(what, self._console.encoding), total=pace.total or None, pace=""
            )
        self._bar.update(self._tasks[what], completed=pace.done, total=pace.total or None, pace=pace.text())

    def __enter__(self) -> Reporter:
        """Use it as a context manager."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Take the bars away."""
        self.close()
