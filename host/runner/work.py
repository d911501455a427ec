"""What the boards of a session do: the inputs of an accuracy run, shared, or windows of a performance run, one each.

Everything that is finished goes to the journal at once, and what the journal has is not done again.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence

from host.catalog import Item, ModelFile
from host.errors import GarbledReply
from host.modelinfo import read_operators
from host.results.journal import CalibratedRow, InputRow, Journal, ProfileRow, WindowRow
from host.runner.accuracy import Row, run_items
from host.runner.outputs import read_format
from host.runner.performance import Pace, Timing, calibrate, is_real_time, measure_window, summarise
from host.runner.profile import Counts, run_profile
from host.runner.rules import Rules
from host.runner.target import Target

SHARE = 2  # a board takes 1/SHARE of its part of what is left, so that at the end no board has much more than another
LEAST = 4  # inputs at a time, so that a fast link stays full

Tell = Callable[[int, int], None]
"""Told how many pieces are done, and of how many."""
TellBoard = Callable[[int, int, int], None]
"""The same with the number of the board in front."""


class AccuracyJob:
    """Every input once, on whichever board takes it. A file of several windows goes to one board whole."""

    def __init__(
        self,
        model: ModelFile,
        items: Sequence[Item],
        journal: Journal,
        boards: int,
        tell: Tell,
    ) -> None:
        """boards: how many share the inputs."""
        self.model = model
        self._format = read_format(model)
        self._items = items
        self._journal = journal
        self._boards = boards
        self._tell = tell
        done = {row.index for row in journal.of(InputRow, model.task)}
        self._left = deque(index for index in range(len(items)) if index not in done)
        self._unfinished = len(self._left)
        self._by: Counter[int] = Counter()
        self._stopped = False
        self._changed = threading.Condition()
        tell(len(done), len(items))

    def more(self, unit: int) -> bool:
        """As in fleet.Job."""
        del unit
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._left or not self._unfinished)
            return bool(self._left) and not self._stopped

    def work(self, unit: int, target: Target) -> None:
        """As in fleet.Job."""
        taken: deque[int] = deque()
        try:
            for row in run_items(target.device, self._format, self._items_for(taken)):
                self._keep(unit, taken[0], row)
                taken.popleft()  # before anything else can fail: an input in the journal must not be done again
                self._count(unit)
            if taken and not self._stopped:
                raise GarbledReply(f"{len(taken)} inputs were sent and never answered: check the line.")
        finally:
            with self._changed:
                self._left.extendleft(reversed(taken))
                self._changed.notify_all()

    def finished_by(self, unit: int) -> int:
        """As in fleet.Job."""
        return self._by[unit]

    def stop(self) -> None:
        """As in fleet.Job."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _items_for(self, taken: deque[int]) -> Iterator[Item]:
        """The next items; each one's index is noted in `taken`."""
        share = max(LEAST, len(self._left) // (self._boards * SHARE)) if self._boards > 1 else len(self._items)
        for _ in range(share):
            with self._changed:
                if self._stopped or not self._left:
                    return
                index = self._left.popleft()
            taken.append(index)
            yield self._items[index]

    def _keep(self, unit: int, index: int, row: Row) -> None:
        self._journal.append(
            InputRow(
                task=self.model.task,
                index=index,
                name=row.name,
                unit=unit,
                outputs=list(row.outputs),
                score=row.score,
                predicted=row.predicted,
            )
        )

    def _count(self, unit: int) -> None:
        with self._changed:
            self._unfinished -= 1
            self._by[unit] += 1
            done = len(self._items) - self._unfinished
            if not self._unfinished:
                self._changed.notify_all()
        self._tell(done, len(self._items))


class PerformanceJob:
    """Windows on the first inputs, each board its own; then the profile, if one is wanted.

    Each board calibrates once: a session that goes on makes windows of the length that it found before.
    """

    def __init__(
        self, model: ModelFile, items: Sequence[Item], journal: Journal, rules: Rules, profile: bool, tell: TellBoard
    ) -> None:
        """tell: how many of its windows a board has made, and of how many."""
        self.model = model
        self._inputs = [(item.name, item.windows()[0]) for item in items]
        self._journal = journal
        self._rules = rules
        self._profile = profile
        self._tell = tell
        self._stopped = threading.Event()

    def more(self, unit: int) -> bool:
        """As in fleet.Job."""
        return not self._stopped.is_set() and bool(self._left(unit) or self._wants_profile(unit))

    def work(self, unit: int, target: Target) -> None:
        """As in fleet.Job."""
        board = target.board
        clock_hz = board.clock_hz if board else None
        timing = Timing(is_real_time(target.provenance, clock_hz), clock_hz, target.take_counts)
        for index in self._left(unit):
            if self._stopped.is_set():
                return
            self._tell(unit, self.finished_by(unit), len(self._inputs))
            pace = self._pace(unit, target, timing, index)
            window, after = measure_window(target.device, self._inputs[index], pace, self._rules, timing)
            if after.inferences != pace.inferences:
                self._calibrated(unit, after)
            self._journal.append(WindowRow(task=self.model.task, index=index, unit=unit, window=window))
        self._tell(unit, len(self._inputs), len(self._inputs))
        if self._wants_profile(unit):
            self._run_profile(unit, target)

    def finished_by(self, unit: int) -> int:
        """As in fleet.Job."""
        return len(self._journal.of(WindowRow, self.model.task, unit))

    def stop(self) -> None:
        """As in fleet.Job."""
        self._stopped.set()

    def _left(self, unit: int) -> list[int]:
        done = {row.index for row in self._journal.of(WindowRow, self.model.task, unit)}
        return [index for index in range(len(self._inputs)) if index not in done]

    def _pace(self, unit: int, target: Target, timing: Timing, index: int) -> Pace:
        rows = self._journal.of(CalibratedRow, self.model.task, unit)
        if rows:
            return Pace(rows[-1].inferences, rows[-1].slowest_us)
        target.device.load(self._inputs[index][1])
        pace = calibrate(target.device, self._rules, timing)
        self._calibrated(unit, pace)
        return pace

    def _calibrated(self, unit: int, pace: Pace) -> None:
        self._journal.append(
            CalibratedRow(task=self.model.task, unit=unit, inferences=pace.inferences, slowest_us=pace.slowest_us)
        )

    def _wants_profile(self, unit: int) -> bool:
        return self._profile and not self._journal.of(ProfileRow, self.model.task, unit)

    def _run_profile(self, unit: int, target: Target) -> None:
        windows = [row.window for row in self._journal.of(WindowRow, self.model.task, unit)]
        outcome = run_profile(
            target.device,
            read_operators(self.model.path.read_bytes(), self.model.name),
            self._inputs[0],
            self._rules,
            Counts(target.take_counts, target.take_observed),
            latency_us=summarise(windows, "us").latency.median,
        )
        self._journal.append(
            ProfileRow(task=self.model.task, unit=unit, profile=outcome.profile, reasons=list(outcome.reasons))
        )
