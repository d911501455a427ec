# SPDX-License-Identifier: Apache-2.0
"""The virtual analyser as itself (energy/simulator/dialects/virtual.py says how it speaks). A marker instrument: its
stream carries the timing pin; and the board's supply."""

from __future__ import annotations

import struct
import time
from typing import Self

import numpy as np

from energy.errors import GarbledSamples, InstrumentError
from energy.instrument import SampleChunk, Settings, WindowKind
from energy.visa import Transcript, VisaSession, from_scpi

SUMMARY = "the virtual analyser, whose load is an emulated board: nothing it says was measured"
ADDRESS = "TCPIP0::127.0.0.1::PORT::SOCKET"

_IDN = r"tinyjoule,VA1,\d+,1$"
_HEAD = struct.Struct("<QII")
_FETCH_SAMPLES = 1 << 16
_BYTES_PER_SAMPLE = 9
_POLL_S = 0.01  # asking more often costs more of a computer that emulates the board as well than it is worth


class Simulated:
    """See energy/instrument.py."""

    name = "simulated"
    model = "VA1"
    windows: WindowKind = "marker"
    measures_voltage = True
    is_supply = True
    default_rate_hz = 100_000.0
    default_range_a: float | None = 0.1

    def __init__(self, address: str, transcript: Transcript | None = None) -> None:
        """Open it. Raises InstrumentError."""
        self._visa = VisaSession(address, _IDN, transcript=transcript)
        self.idn = self._visa.idn
        self.range_switches = 0
        self._switches_before = 0
        self._rate_hz = self.default_rate_hz
        self._next = 0
        self._asked_s = 0.0
        self._running = False
        self._auto_range = False

    def configure(self, wanted: Settings) -> Settings:
        """See Instrument."""
        visa = self._visa
        visa.write("*CLS")
        visa.write("ABOR")
        visa.write(f"SENS:RATE {wanted.rate_hz:.9g}")
        visa.write(f"SENS:RANG {'AUTO' if wanted.range_a is None else format(wanted.range_a, '.9g')}")
        visa.write(f"SOUR:VOLT {wanted.voltage_v:.9g}")
        visa.check("being set up")
        self._rate_hz = visa.query_number("SENS:RATE?")
        if not self._rate_hz > 0:
            raise InstrumentError(f"{self.idn} says that it samples at {self._rate_hz} Hz: start it again.")
        range_text = visa.query("SENS:RANG?")
        self._switches_before = int(visa.query_number("SENS:RANG:SWIT?"))
        self.range_switches = 0
        self._auto_range = range_text == "AUTO"
        return Settings(
            rate_hz=self._rate_hz,
            range_a=None if self._auto_range else _number(range_text),
            voltage_v=visa.query_number("SOUR:VOLT?"),
        )

    def start(self, *, triggered: bool, duration_s: float) -> None:
        """See Instrument. It records as long as somebody fetches."""
        del duration_s
        self._visa.write(f"TRIG:SOUR {'PIN' if triggered else 'IMM'}")
        self._visa.write("INIT")
        self._visa.check("INIT")
        self._next, self._running = 0, True

    def read(self, timeout_s: float) -> SampleChunk | None:
        """See Instrument."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            time.sleep(max(0.0, min(self._asked_s + _POLL_S, deadline_s) - time.monotonic()))
            self._asked_s = time.monotonic()
            data = self._visa.query_block(f"FETC? {_FETCH_SAMPLES}", limit_bytes=1 << 24)
            self._visa.check("FETC?")
            if self._auto_range:
                self._count_switches()
            chunk = self._chunk(data)
            if chunk is not None and len(chunk.current_a) == _FETCH_SAMPLES:
                self._asked_s = 0.0  # there is more
            if chunk is not None or time.monotonic() >= deadline_s:
                return chunk

    def stop(self) -> None:
        """See Instrument."""
        if self._running and self._visa.is_open:
            self._running = False
            self._visa.write("ABOR")
            self._count_switches()

    def set_supply(self, on: bool) -> None:
        """See Instrument."""
        self._visa.write(f"OUTP {'ON' if on else 'OFF'}")
        self._visa.check("OUTP")

    def errors(self) -> list[str]:
        """See Instrument."""
        return self._visa.errors()

    def close(self) -> None:
        """See Instrument."""
        try:
            self.stop()
        except InstrumentError:
            pass  # it cannot be told any more; whatever went wrong was raised before
        finally:
            self._visa.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()

    def _count_switches(self) -> None:
        self.range_switches = int(self._visa.query_number("SENS:RANG:SWIT?")) - self._switches_before

    def _chunk(self, data: bytes) -> SampleChunk | None:
        first, count, reserved = _HEAD.unpack_from(data) if len(data) >= _HEAD.size else (0, 0, 1)
        if reserved or len(data) != _HEAD.size + count * _BYTES_PER_SAMPLE or (count and first < self._next):
            raise GarbledSamples(f"{self.idn} sent {len(data)} bytes that are no samples {self._next} and on.")
        if not count:
            return None
        values = from_scpi(np.frombuffer(data, "<f4", 2 * count, _HEAD.size))
        lost, self._next = first - self._next, first + count
        return SampleChunk(
            current_a=values[:count],
            voltage_v=values[count:],
            marker=np.frombuffer(data, np.uint8, count, _HEAD.size + 8 * count) != 0,
            t0_s=first / self._rate_hz,
            rate_hz=self._rate_hz,
            lost=lost,
        )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise GarbledSamples(f"SENS:RANG? was answered {text[:80]!r}, which is no range.") from None


def open_instrument(address: str) -> Simulated:
    """Open the virtual analyser. Raises EnergyError."""
    return Simulated(address)
