# SPDX-License-Identifier: Apache-2.0
"""What Keithley's graphical instruments have in common: a reading buffer of ours, and the trigger model."""

from __future__ import annotations

import time

from energy.errors import InstrumentError
from energy.instruments._visa import VisaMonitor
from energy.visa import Transcript

BUFFER = '"tinyjoule"'
LEAST = 10  # readings that a buffer can be made for
STARTED = ("WAITING", "RUNNING", "IDLE")
START_S = 5.0


class KeithleyMonitor(VisaMonitor):
    """An instrument that measures into a buffer, out of which it is read while it is filled."""

    def __init__(self, address: str, expected: str, *, transcript: Transcript | None) -> None:
        """Open it. Raises InstrumentError."""
        super().__init__(address, expected, transcript=transcript)
        self.model = self.model.removeprefix("MODEL ")
        self._made = False
        try:
            self._session.write(f"TRAC:DEL {BUFFER}")  # of a session that died; mostly there is none,
            self._session.write("*CLS")  # and it says so
        except InstrumentError:
            self._session.close()
            raise

    def _make_buffer(self, size: int, style: str) -> None:
        """Room for so many readings, and none of the capture before."""
        if self._made:
            self._session.write(f"TRAC:DEL {BUFFER}")
        self._send(f"TRAC:MAKE {BUFFER},{size},{style}", doing=f"making room for {size} readings")
        self._made = True

    def _run(self, blocks: list[str]) -> None:
        """Load these blocks as the trigger model and start it. Returns when it measures or waits for its trigger."""
        numbered = (f"TRIG:BLOC:{name} {n}{rest}" for n, (name, rest) in enumerate(map(_taken_apart, blocks), 1))
        self._send('TRIG:LOAD "EMPTY"', *numbered, "INIT", doing="starting")
        until_s = time.monotonic() + START_S
        while not (state := self._session.query("TRIG:STAT?")).startswith(STARTED):
            if not self._nothing(until_s):
                raise InstrumentError(f"{self.model} does not start: its trigger model is {state[:60]!r}.")
        self._taken = 0

    def _readings(self) -> int:
        """How many are in the buffer; the error queue is looked at too."""
        there = self._count(f"TRAC:ACT? {BUFFER}")
        self._session.check("measuring")
        return there

    def _halt(self) -> None:
        self._session.write("ABOR")

    def _restore(self) -> None:
        self._session.write('TRIG:LOAD "EMPTY"')
        if self._made:
            self._session.write(f"TRAC:DEL {BUFFER}")
            self._made = False


def _taken_apart(block: str) -> tuple[str, str]:
    """`WAIT EXT,ENT` as its header and what follows the block's number."""
    name, _, rest = block.partition(" ")
    return name, f",{rest}" if rest else ""
