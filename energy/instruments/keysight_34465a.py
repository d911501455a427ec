# SPDX-License-Identifier: Apache-2.0
"""Keysight 34465A and 34470A as digitisers of current, up to 50 kS/s, begun by the timing pin at Ext Trig. They
measure one quantity: the voltage is assumed, or the board is supplied by something that holds it."""

from __future__ import annotations

import math
import re
import time
from typing import ClassVar

from energy.errors import GarbledSamples, InstrumentError
from energy.instrument import SampleChunk, Settings
from energy.instruments._visa import VisaMonitor, floats, split_options
from energy.visa import Transcript

SUMMARY = "Keysight 34465A/34470A: current at up to 50 kS/s; the voltage is assumed"
ADDRESS = "TCPIP0::HOST::5025::SOCKET"
USB_IDS = ((0x2A8D, 0x0101), (0x2A8D, 0x0201))
IDN = r"(Keysight|Agilent) Technologies,344(65|70)A,"

SHORTEST_S = 20e-6
AT_ONCE = 50_000


def open_instrument(address: str, transcript: Transcript | None = None) -> Keysight34465A:
    """Open it and ask who it is. Raises EnergyError."""
    plain, _ = split_options(address, {})
    return Keysight34465A(plain, IDN, transcript=transcript)


class Keysight34465A(VisaMonitor):
    """The meter; it stays on its current function, as the board's current flows through it."""

    name = "keysight_34465a"
    measures_voltage = False
    default_rate_hz: ClassVar[float] = 50e3
    default_range_a: ClassVar[float | None] = 0.1

    _kind = ">f8"

    def configure(self, wanted: Settings) -> Settings:
        """Set function, range, rate and trigger; returns what it took. CONFigure puts the rest at its defaults."""
        if wanted.range_a is None:
            raise InstrumentError(f"{self.model} cannot digitise with auto-range: give a range, like 0.1 A.")
        self._halt()
        self._send(f"CONF:CURR:DC {wanted.range_a:g}", "CURR:ZERO:AUTO OFF", doing=f"setting {wanted.range_a:g} A")
        period_s = max(1 / wanted.rate_hz, SHORTEST_S)
        self._send(f"CURR:APER {period_s:.6f}", "SAMP:SOUR TIM", doing=f"setting {period_s:g} s per sample")
        period_s = max(period_s, self._positive("SAMP:TIM? MIN"))
        self._send(f"SAMP:TIM {period_s:.7f}", doing=f"setting {period_s:g} s between samples")
        self._send(*("TRIG:COUN 1", "TRIG:DEL 0", "TRIG:SLOP NEG"), doing="setting the trigger")
        self._send("FORM REAL", "FORM:BORD NORM", doing="setting the format")
        told = re.fullmatch(r"REAL, ?\+?(32|64)", self._session.query("FORM?"))
        if told is None:
            raise GarbledSamples(f"{self.model} does not send binary numbers: its firmware may be too old.")
        self._kind = ">f8" if told[1] == "64" else ">f4"
        self._rate_hz = 1 / self._positive("SAMP:TIM?")
        return Settings(self._rate_hz, self._positive("CURR:RANG?"), wanted.voltage_v)

    def start(self, *, triggered: bool, duration_s: float) -> None:
        """Digitise duration_s, at once or from the next falling edge on."""
        self._halt()
        count = max(1, math.ceil(duration_s * self._rate_hz))
        source = "EXT" if triggered else "IMM"
        self._send(f"SAMP:COUN {count}", f"TRIG:SOUR {source}", "INIT", doing=f"starting {count} samples")
        self._taken = 0

    def read(self, timeout_s: float) -> SampleChunk | None:
        """The next samples, which are then no longer in its memory. None too when all are read."""
        until_s = time.monotonic() + timeout_s
        while True:
            count = min(self._count("DATA:POIN?"), AT_ONCE)
            self._session.check("digitising")
            if count > 0:
                samples = floats(self._session.query_block(f"R? {count}"), self._kind)[:, 0]
                if len(samples) != count:
                    raise GarbledSamples(f"{count} samples were asked for and {len(samples)} came: run it again.")
                return self._chunk(samples, None)
            if not self._nothing(until_s):
                return None

    def _halt(self) -> None:
        self._session.write("ABOR")
