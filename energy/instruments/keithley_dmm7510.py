# SPDX-License-Identifier: Apache-2.0
"""Keithley DMM7510 and DMM6500 as digitisers of current, up to 1 MS/s, begun by the timing pin at EXT TRIG IN. They
measure one quantity: the voltage is assumed, or the board is supplied by something that holds it."""

from __future__ import annotations

import math
import time
from typing import ClassVar

from energy.errors import InstrumentError
from energy.instrument import SampleChunk, Settings
from energy.instruments._keithley import BUFFER, LEAST, KeithleyMonitor
from energy.instruments._visa import floats, split_options
from energy.visa import Transcript

SUMMARY = "Keithley DMM7510/DMM6500: current at up to 1 MS/s; the voltage is assumed"
ADDRESS = "TCPIP0::HOST::5025::SOCKET"
USB_IDS = ((0x05E6, 0x7510), (0x05E6, 0x6500))
IDN = r"KEITHLEY INSTRUMENTS,MODEL DMM(7510|6500),"

READINGS = {"DMM7510": 27_500_000, "DMM6500": 7_000_000}  # that a compact buffer can hold
AT_ONCE = 250_000


def open_instrument(address: str, transcript: Transcript | None = None) -> KeithleyDmm7510:
    """Open it and ask who it is. Raises EnergyError."""
    plain, _ = split_options(address, {})
    return KeithleyDmm7510(plain, IDN, transcript=transcript)


class KeithleyDmm7510(KeithleyMonitor):
    """The meter; it stays on its current function, as the board's current flows through it."""

    name = "keithley_dmm7510"
    measures_voltage = False
    default_rate_hz: ClassVar[float] = 1e6
    default_range_a: ClassVar[float | None] = 0.1

    def configure(self, wanted: Settings) -> Settings:
        """Set function, range, rate and trigger; returns what it took."""
        if wanted.range_a is None:
            raise InstrumentError(f"{self.model} has no auto-range while it digitises: give a range, like 0.1 A.")
        self._halt()
        self._send('DIG:FUNC "CURR"', f"DIG:CURR:RANG {wanted.range_a:g}", doing=f"setting {wanted.range_a:g} A")
        rate = f"{min(max(wanted.rate_hz, 1e3), 1e6):.0f}"
        self._send(f"DIG:CURR:SRAT {rate}", "DIG:CURR:APER AUTO", doing=f"setting {rate} samples per second")
        self._send("FORM SRE", "FORM:BORD SWAP", "TRIG:EXT:IN:EDGE FALL", doing="setting format and trigger")
        self._rate_hz = self._positive("DIG:CURR:SRAT?")
        return Settings(self._rate_hz, self._positive("DIG:CURR:RANG?"), wanted.voltage_v)

    def start(self, *, triggered: bool, duration_s: float) -> None:
        """Digitise duration_s, at once or from the next falling edge on. Raises when its memory is too small."""
        self._halt()
        size = max(LEAST, math.ceil(duration_s * self._rate_hz))
        if size > READINGS[self.model]:
            raise InstrumentError(
                f"{self.model} cannot hold {duration_s:.1f} s at {self._rate_hz:g} samples per second: "
                f"give a rate of at most {READINGS[self.model] / duration_s:.0f}."
            )
        self._make_buffer(size, "COMP")
        wait = ["WAIT EXT,ENT"] if triggered else []
        self._run([f"BUFF:CLE {BUFFER}", *wait, f"MDIG {BUFFER},{size}"])

    def read(self, timeout_s: float) -> SampleChunk | None:
        """The next readings out of the buffer, while it is still being filled. None too when it is full and read."""
        until_s = time.monotonic() + timeout_s
        while True:
            count = min(self._readings() - self._taken, AT_ONCE)
            if count > 0:
                asked = f"TRAC:DATA? {self._taken + 1},{self._taken + count},{BUFFER},READ"
                return self._chunk(floats(self._session.query_counted(asked, 4 * count), "<f4")[:, 0], None)
            if not self._nothing(until_s):
                return None
