# SPDX-License-Identifier: Apache-2.0
"""The virtual analyser of a session: a process of its own, whose load is the board that the session emulates."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from energy.errors import EnergyError, InstrumentLost, InstrumentTimeout
from energy.simulator.server import address_of, dialect_class
from host.emulator.activity import activity_arguments
from host.emulator.process import DYING_S, Child
from host.emulator.qemu import ICOUNT_SHIFT
from host.errors import HostError

if TYPE_CHECKING:
    from host.build import Image

START_TIMEOUT_S = 30.0
LABEL_TIMEOUT_S = 10.0
_READY = re.compile(r"^ready tcp (\S+):([0-9]+)$", re.MULTILINE)
_LABELLED = "labelled\n"


class VirtualAnalyser:
    """It listens from its making on. A context manager: leaving it ends the process."""

    def __init__(
        self,
        dialect: str = "virtual",
        *,
        seed: int = 1,
        faults: str = "",
        errors: str = "none",
        truth: Path | None = None,
    ) -> None:
        """dialect: which instrument it is. faults, errors: as `python -m energy.simulator --help` tells them.

        truth: where it writes the true energies; an existing file is continued. It ends with the thread that calls
        this, at the latest. Raises MonitorUnknown for a dialect it does not have, SetupError when it does not start.
        """
        dialect_class(dialect)
        self._dialect = dialect
        self._folder = tempfile.TemporaryDirectory(prefix="tinyjoule-analyser-")
        folder = Path(self._folder.name)
        self._socket = folder / "board"
        self._arguments: dict[Path, tuple[str, ...]] = {}
        self._labels = 0
        self._child: Child | None = None
        command = [sys.executable, "-m", "energy.simulator", "--until-eof", "--dialect", dialect, "--port", "0"]
        command += ["--load", f"unix:{self._socket}", "--seed", str(seed), "--errors", errors]
        command += ["--faults", faults] if faults else []
        command += ["--truth", str(truth.absolute())] if truth else []
        try:
            self._child = Child(command, folder, listens=True)
            self._child.wait_until(lambda: self._ready() is not None, START_TIMEOUT_S)
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """What its instrument's module opens."""
        ready = self._ready()
        if ready is None:
            raise self._lost()
        return address_of(self._dialect, *ready)

    @property
    def pid(self) -> int:
        """Its process. Raises InstrumentLost when it has ended."""
        return self._running().pid

    def qemu_arguments(self, image: Image) -> list[str]:
        """What QEMU is started with to be its load: one timed board at a time, another one when that has ended."""
        self._running()
        if image.elf not in self._arguments:
            folder = Path(self._folder.name) / str(len(self._arguments))
            folder.mkdir()
            self._arguments[image.elf] = activity_arguments(image.elf, folder, self._socket, ns=2**ICOUNT_SHIFT)
        return list(self._arguments[image.elf])

    def label(self, task: str, window: int, inferences: int) -> None:
        """The next two falling edges of the timing pin are this window, for truth.json. Returns when it knows that.

        Raises InstrumentLost when it has ended, InstrumentTimeout when it hangs.
        """
        child = self._running()
        self._labels += 1
        deadline = time.monotonic() + LABEL_TIMEOUT_S
        try:
            child.say(json.dumps({"task": task, "window": window, "inferences": inferences}))
        except OSError:
            raise self._lost() from None
        while child.stdout().count(_LABELLED) < self._labels:
            self._running()
            if time.monotonic() > deadline:
                raise InstrumentTimeout(
                    "the virtual analyser takes no label. Report it; other boards are not affected."
                )
            time.sleep(0.001)

    def diagnosis(self) -> str:
        """How it ended and what it said; "" while it runs."""
        return self._child.obituary() if self._child else ""

    def close(self) -> None:
        """End it and reap it. May be called twice."""
        if self._child:
            self._child.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        """The analyser itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it. When something broke because it died, the error says so."""
        if isinstance(error, EnergyError | HostError) and self._child:
            deadline = time.monotonic() + DYING_S  # its sockets close a little before it is gone
            while self._child.alive() and isinstance(error, InstrumentLost) and time.monotonic() < deadline:
                time.sleep(0.01)
            obituary = self.diagnosis()
            if obituary and obituary not in str(error):
                error.add_note(f"the virtual analyser: {obituary}")
        self.close()

    def _ready(self) -> tuple[str, int] | None:
        found = _READY.search(self._child.stdout()) if self._child else None
        return (found[1], int(found[2])) if found else None

    def _running(self) -> Child:
        if self._child is None or not self._child.alive():
            raise self._lost()
        return self._child

    def _lost(self) -> InstrumentLost:
        return InstrumentLost(f"the virtual analyser has ended. {self.diagnosis()}".strip())
