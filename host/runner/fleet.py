"""The boards of a session: opened together, worked on side by side, and what happens when one of them fails.

A thread for each board asks the job for work. What a board fails at is tried again on it a few times, after the board
was opened anew; then the board is dropped, and the job gives its work to the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from host.catalog import ModelFile
from host.device import Transcript
from host.errors import (
    DeviceError,
    DeviceRefused,
    DeviceReset,
    GarbledReply,
    LinkError,
    LoadIncomplete,
)
from host.report.progress import Reporter
from host.results import schema
from host.runner.target import Connection, Target, identity, select

TRIES = 3  # in a row, without anything finished in between
TRIES_IN_ALL = 25  # for one job: a board that starts again after every input is no board to trust
REOPEN_S = 30.0  # for a person to plug the board in again
REOPEN_PAUSE_S = 0.5
POLL_S = 0.2
STOP_S = 2.0  # for boards to finish what is under way, before their lines are cut
_TRANSIENT = (LinkError, DeviceReset, DeviceRefused, GarbledReply, LoadIncomplete)


class Job(Protocol):
    """Work on one model that boards take pieces of. Every method may be called from any thread."""

    model: ModelFile

    def more(self, unit: int) -> bool:
        """Wait until there is something to do for board `unit`; False when there never will be."""

    def work(self, unit: int, target: Target) -> None:
        """Do some of it. What was not finished when it raises is there for others again."""

    def finished_by(self, unit: int) -> int:
        """How many pieces board `unit` has finished."""

    def stop(self) -> None:
        """Nobody shall begin anything more."""


@dataclass(slots=True)
class Member:
    """A board of the session. target: None when it has to be opened again. dropped: why it left."""

    number: int
    connection: Connection
    target: Target | None = None
    selected: str | None = None
    dropped: str | None = None

    @property
    def name(self) -> str:
        """What a person would call it."""
        board = self.target.board if self.target else None
        where = f" at {self.connection.port}" if self.connection.port else ""
        return f"board {self.number + 1}{where} ({board.name if board else 'stock firmware'})"


@dataclass(slots=True)
class Fleet:
    """Boards that are open. on_drop: told, in that board's thread, when one leaves."""

    members: Sequence[Member]
    reporter: Reporter
    transcript: Transcript
    on_drop: Callable[[Member], None]
    _stopping: threading.Event = field(default_factory=threading.Event)
    _fatal: list[BaseException] = field(default_factory=list)
    _last_error: LinkError | DeviceError | None = None

    @property
    def alive(self) -> list[Member]:
        """The boards that were not dropped."""
        return [member for member in self.members if member.dropped is None]

    def run(self, job: Job) -> None:
        """Work on `job` with every board until nothing is left of it.

        Raises what the last board failed of when all of them did, and at once what is no board's fault. Whatever ends
        it early, no board is worked on when it returns: their lines are closed if they do not stop by themselves.
        """
        threads = [
            threading.Thread(target=self._thread, args=(member, job), name=f"board {member.number}", daemon=True)
            for member in self.alive
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive() and not self._stopping.is_set():
                    thread.join(POLL_S)
        finally:
            self._halt(job, threads)
        if self._fatal:
            raise self._fatal[0]
        if not self.alive:
            raise self._last_error or LinkError("no board is left")

    def _halt(self, job: Job, threads: Sequence[threading.Thread]) -> None:
        """Whatever threads are still there end, if need be because their lines are cut."""
        if not any(thread.is_alive() for thread in threads):
            return
        self._stopping.set()
        job.stop()
        deadline = time.monotonic() + STOP_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            for member in self.members:
                member.connection.cut()  # whoever waits for it gets a LinkError
            for thread in threads:
                thread.join(STOP_S)

    def _thread(self, member: Member, job: Job) -> None:
        """Everything that a thread may raise ends here: a board's failure with the board, the rest with the session."""
        try:
            self._serve(member, job)
        except (LinkError, DeviceError) as error:
            if not self._stopping.is_set():
                self._drop(member, job, error)
        except BaseException as error:  # it is raised again in Fleet.run
            self._fail(job, error)

    def _fail(self, job: Job, error: BaseException) -> None:
        self._fatal.append(error)
        self._stopping.set()
        job.stop()

    def _serve(self, member: Member, job: Job) -> None:
        in_a_row = in_all = finished = 0
        while job.more(member.number) and not self._stopping.is_set():
            try:
                job.work(member.number, self._ready(member, job.model))
            except _TRANSIENT as error:
                if self._stopping.is_set():
                    return
                before, finished = finished, job.finished_by(member.number)
                in_a_row = 1 if finished > before else in_a_row + 1
                in_all += 1
                if in_a_row > TRIES or in_all > TRIES_IN_ALL or _ended(member):
                    raise
                self._note(member, f"{member.name}: {error} Opening it again; the input is done again.")
                member.connection.hang_up()
                member.selected = None
                self._reopen(member)

    def _ready(self, member: Member, model: ModelFile) -> Target:
        """The open device with `model` selected."""
        if member.target is None:
            raise LinkError(f"{member.name} is not open: this is a bug in tinyjoule.")
        if member.selected != model.sha256:
            select(member.target, model)
            member.selected = model.sha256
        return member.target

    def _reopen(self, member: Member) -> None:
        """Find the board again, for REOPEN_S at most, and make sure that it is the same one."""
        was = member.target
        deadline = time.monotonic() + REOPEN_S
        while True:
            try:
                member.target = member.connection.open()
                break
            except _TRANSIENT as error:
                if time.monotonic() > deadline or _ended(member) or self._stopping.is_set():
                    raise
                member.connection.hang_up()
                self._log(member, f"not open yet: {error}")
                self._stopping.wait(REOPEN_PAUSE_S)
        if was is not None and identity(was) != identity(member.target):
            raise DeviceError(
                f"{member.name} has another firmware than before: {identity(member.target)}, it was {identity(was)}. "
                "Flash it as it was, or start a new session."
            )

    def _drop(self, member: Member, job: Job, error: LinkError | DeviceError) -> None:
        diagnosis = member.connection.diagnosis()
        if diagnosis:
            error.add_note(diagnosis)
        self._last_error = error
        member.dropped = " ".join([str(error), diagnosis]).strip()
        try:
            self._note(member, f"{member.name} is dropped: {member.dropped}")
            self.on_drop(member)
            member.connection.hang_up()
        except BaseException as more:
            self._fail(job, more)

    def _note(self, member: Member, text: str) -> None:
        if len(self.members) > 1:
            self.reporter.note(text)
        self._log(member, text)

    def _log(self, member: Member, text: str) -> None:
        (self.transcript.of_unit(member.number) if len(self.members) > 1 else self.transcript).add("note", text)


def _ended(member: Member) -> bool:
    """Whether it is a board of ours that is no more. Its sockets close a little before it is gone."""
    emulated = member.connection.emulated
    if emulated is None:
        return False
    deadline = time.monotonic() + REOPEN_PAUSE_S
    while not (diagnosis := emulated.diagnosis()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(diagnosis)


def check_alike(targets: Sequence[Target]) -> schema.Provenance:
    """Whether these boards may be in one session: what they are all worth. Raises DeviceError when they differ."""
    kinds = {target.provenance for target in targets}
    if len(kinds) != 1:
        raise DeviceError(
            "some of the boards are emulated and some are real: their numbers are never mixed. Use two sessions."
        )
    return kinds.pop()
