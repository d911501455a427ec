# SPDX-License-Identifier: Apache-2.0
"""What the instruments over VISA have in common; an instrument's module adds what is its own."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from energy.errors import GarbledSamples, InstrumentError, MonitorUnknown
from energy.instrument import SampleChunk, WindowKind
from energy.visa import Transcript, VisaSession, from_scpi

POLL_S = 0.02


def split_options(address: str, defaults: dict[str, int]) -> tuple[str, dict[str, int]]:
    """`TCPIP0::...::SOCKET?channel=2` taken apart: the VISA address, and the options with their defaults.

    Raises MonitorUnknown for one that the instrument does not have, or that is no number from 1 to 9.
    """
    plain, _, text = address.partition("?")
    options = dict(defaults)
    for pair in text.split("&") if text else []:
        name, _, value = pair.partition("=")
        if name not in defaults or value not in set("123456789"):
            known = ", ".join(f"{key}={number}" for key, number in defaults.items()) or "none"
            raise MonitorUnknown(f"{pair!r} in {address} means nothing here. Options and their defaults: {known}.")
        options[name] = int(value)
    return plain, options


def floats(data: bytes, kind: str, columns: int = 1) -> NDArray[np.float32]:
    """Binary numbers of an instrument as float32 (n, columns), with NaN and +-inf for what SCPI writes as 9.9e37.

    kind: numpy's, e.g. ">f4". Raises GarbledSamples when it is no whole number of rows.
    """
    if len(data) % (np.dtype(kind).itemsize * columns):
        raise GarbledSamples(f"{len(data)} bytes are no whole number of samples: check the instrument's firmware.")
    with np.errstate(over="ignore"):  # a double beyond float32 is an overload too
        return from_scpi(np.frombuffer(data, dtype=kind)).reshape(-1, columns)


class VisaMonitor:
    """An instrument over VISA. Subclasses implement `_halt`, and what the Protocol Instrument asks for beyond this."""

    name: ClassVar[str]
    windows: WindowKind = "trigger"
    measures_voltage: bool = True
    is_supply: bool = False
    range_switches: int = 0
    model: str
    idn: str

    def __init__(
        self, address: str, expected: str, *, timeout_s: float = 3.0, transcript: Transcript | None = None
    ) -> None:
        """Open it and ask who it is. Raises InstrumentError."""
        self._open = partial(VisaSession, address, expected, timeout_s=timeout_s, transcript=transcript)
        self._session = self._open()
        self._closed = False
        self.idn = self._session.idn
        self.model = self.idn.partition(",")[2].partition(",")[0].strip()
        self._rate_hz = math.nan
        self._taken = 0
        try:
            self._session.write("*CLS")  # errors of whoever was here before are not ours
        except InstrumentError:
            self._session.close()
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()

    def errors(self) -> list[str]:
        """Take what is in the error queue."""
        return self._session.errors()

    def set_supply(self, on: bool) -> None:
        """Raises InstrumentError: it is no supply."""
        raise InstrumentError(f"{self.name} is no supply: power the board yourself.")

    def stop(self) -> None:
        """End the capture. May be called twice."""
        if self._session.is_open:
            self._halt()

    def close(self) -> None:
        """Leave it safe and hang up. May be called twice; raises nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._session.is_open:  # a late answer, or a line that died: it may still be recording
                self._session = self._open()
            self._halt()
            self._restore()
            self._session.query("*OPC?")  # or hanging up could overtake what was said
        except InstrumentError:
            pass  # it cannot be reached
        self._session.close()

    def _halt(self) -> None:
        """End a capture, whether there is one or not."""
        raise NotImplementedError

    def _restore(self) -> None:
        """Inputs as they were, when it is left."""

    def _send(self, *commands: str, doing: str) -> None:
        """Commands one after the other, then a look at the error queue. Raises InstrumentError with what it says."""
        for command in commands:
            self._session.write(command)
        self._session.check(doing)

    def _positive(self, question: str) -> float:
        """A number over 0. Raises GarbledSamples."""
        value = self._session.query_number(question)
        if not 0 < value < math.inf:
            raise GarbledSamples(f"{question} was answered {value}: switch the instrument off and on.")
        return value

    def _count(self, question: str) -> int:
        """A whole number of at least 0. Raises GarbledSamples."""
        value = self._session.query_number(question)
        if not 0 <= value < 1 << 53:
            raise GarbledSamples(f"{question} was answered {value}: switch the instrument off and on.")
        return round(value)

    def _nothing(self, until_s: float) -> bool:
        """Wait a little for samples; False when it is time to come back without."""
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(POLL_S, left_s))
        return True

    def _chunk(
        self, current_a: NDArray[np.float32], voltage_v: NDArray[np.float32] | None, lost: int = 0
    ) -> SampleChunk:
        """The next samples, behind those already given."""
        self._taken += lost
        chunk = SampleChunk(
            current_a=np.ascontiguousarray(current_a),
            voltage_v=None if voltage_v is None else np.ascontiguousarray(voltage_v),
            marker=None,
            t0_s=self._taken / self._rate_hz,
            rate_hz=self._rate_hz,
            lost=lost,
        )
        self._taken += len(current_a)
        return chunk
