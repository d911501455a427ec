# SPDX-License-Identifier: Apache-2.0
"""What the instruments at a serial port have in common; an instrument's module adds what is its own."""

from __future__ import annotations

import contextlib
import time
from typing import ClassVar, Self

from energy import _serial
from energy.errors import EnergyError, InstrumentError, InstrumentTimeout

FAREWELL_S = 2.0


class PortMonitor:
    """An instrument behind a port. Subclasses implement `_leave`, and what the Protocol Instrument asks for."""

    model: str
    idn: str
    _called: ClassVar[str]
    """Its name in a sentence, with its article."""
    _farewell: ClassVar[bytes] = b""
    """What leaves it safe, for when it does not answer any more: written without waiting."""

    def __init__(self, port: _serial.Port) -> None:
        """The port is closed by `close`, and not where a subclass fails to begin."""
        self._port: _serial.Port | None = port
        self.idn = ""

    def close(self) -> None:
        """Leave it safe and hang up. May be called twice; raises nothing."""
        if self._port is None:
            return
        with contextlib.suppress(EnergyError):  # it cannot be told any more; whatever went wrong was raised before
            self._leave()
        if self._port is not None:
            self._port.close()
            self._port = None

    def __enter__(self) -> Self:
        """The instrument itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()

    def _leave(self) -> None:
        """What it is told before hanging up."""
        raise NotImplementedError

    def _wire(self) -> _serial.Port:
        if self._port is None:
            raise InstrumentError(f"the {self.model} is closed: open it again.")
        return self._port

    def _give_up(self, why: str) -> InstrumentTimeout:
        """Hang up: what comes next may be a late answer. It may still listen; who never said what it is, is told
        nothing."""
        port = self._wire()
        if self.idn:
            with contextlib.suppress(EnergyError):
                port.write(self._farewell)
                deadline = time.monotonic() + FAREWELL_S  # a socket hung up at once takes back what was written
                while port.read(0.2) and time.monotonic() < deadline:
                    pass
        port.close()
        self._port = None
        return InstrumentTimeout(f"{port.name}: {why}: is this {self._called}? Replug it and start again.")
