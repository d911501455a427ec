# SPDX-License-Identifier: Apache-2.0
"""Keithley 2450: it supplies the board and measures current and voltage, at about 1 kS/s and with pauses between the
samples: for long windows of a steady load. Begun by the timing pin at line 1 of its digital port."""

from __future__ import annotations

import math
import time
from typing import ClassVar

import numpy as np

from energy.errors import GarbledSamples, InstrumentError
from energy.instrument import SampleChunk, Settings
from energy.instruments._keithley import BUFFER, LEAST, KeithleyMonitor
from energy.instruments._visa import floats, split_options
from energy.visa import Transcript

SUMMARY = "Keithley 2450: supply, current and voltage at about 1 kS/s"
ADDRESS = "TCPIP0::HOST::5025::SOCKET"
USB_IDS = ((0x05E6, 0x2450),)
IDN = r"KEITHLEY INSTRUMENTS,MODEL 2450,"

FASTEST_HZ = 1500.0
READINGS = 1_000_000
CURRENT_LIMIT_A = 0.5  # enough for a board that starts; a short circuit does no harm
LINE_HZ = 50  # an aperture is told in cycles of it; with 60 the samples are a little shorter
AT_ONCE = 5_000


def open_instrument(address: str, transcript: Transcript | None = None) -> Keithley2450:
    """Open it and ask who it is. Raises EnergyError."""
    plain, _ = split_options(address, {})
    return Keithley2450(plain, IDN, transcript=transcript)


class Keithley2450(KeithleyMonitor):
    """The source/measure unit, with its front terminals."""

    name = "keithley_2450"
    is_supply = True
    default_rate_hz: ClassVar[float] = 1000.0
    default_range_a: ClassVar[float | None] = 0.1

    def configure(self, wanted: Settings) -> Settings:
        """Set source, range, rate and trigger; returns what it took. The output stays as it is."""
        if wanted.range_a is None:
            raise InstrumentError("2450: with auto-range its samples come at no steady rate: give a range, like 0.1 A.")
        self._halt()
        self._send(
            *("SOUR:FUNC VOLT", f"SOUR:VOLT:RANG {2 if wanted.voltage_v <= 2 else 20}"),
            *(f"SOUR:VOLT {wanted.voltage_v:.4f}", f"SOUR:VOLT:ILIM {CURRENT_LIMIT_A}", "SOUR:VOLT:READ:BACK ON"),
            doing="setting the supply",
        )
        rate_hz = min(wanted.rate_hz, FASTEST_HZ)
        cycles = min(10.0, max(0.01, 0.5 * LINE_HZ / rate_hz))  # the other half is for the voltage
        self._send(
            *('SENS:FUNC "CURR"', f"SENS:CURR:RANG {wanted.range_a:g}", f"SENS:CURR:NPLC {cycles:.3f}"),
            *("SENS:CURR:AZER OFF", "SENS:CURR:AVER OFF", "FORM SRE", "FORM:BORD SWAP"),
            doing=f"setting {wanted.range_a:g} A",
        )
        self._send(
            *("DIG:LINE1:MODE TRIG,IN", "TRIG:DIG1:IN:EDGE FALL"),
            *(f"TRIG:TIM1:DEL {1 / rate_hz:.6f}", "TRIG:TIM1:COUN 0", "TRIG:TIM1:STAR:STIM NOT1"),
            *("TRIG:TIM1:STAR:GEN ON", "TRIG:TIM1:STAT ON"),
            doing=f"setting {rate_hz:g} samples per second",
        )
        self._rate_hz = 1 / self._positive("TRIG:TIM1:DEL?")
        return Settings(self._rate_hz, self._positive("SENS:CURR:RANG?"), self._positive("SOUR:VOLT?"))

    def start(self, *, triggered: bool, duration_s: float) -> None:
        """Measure for duration_s, at once or from the next falling edge on. Raises when its memory is too small."""
        self._halt()
        size = max(LEAST, math.ceil(duration_s * self._rate_hz))
        if size > READINGS:
            raise InstrumentError(
                f"2450 cannot hold {size} readings: give a rate of at most {READINGS / duration_s:g}."
            )
        self._make_buffer(size, "STAN")
        wait = ["WAIT DIG1,ENT"] if triggered else []
        loop = 3 + len(wait)  # the number of the block that waits for the timer
        self._run([f"BUFF:CLE {BUFFER}", *wait, "NOT 1", "WAIT TIM1", f"MDIG {BUFFER},1", f"BRAN:COUN {size},{loop}"])
        self._missing = 0
        self._index = 0
        self._begin_s: float | None = None

    def read(self, timeout_s: float) -> SampleChunk | None:
        """The next readings. Their time stamps tell which ones are missing, as it is no digitiser."""
        until_s = time.monotonic() + timeout_s
        while True:
            count = min(self._readings() - self._index, AT_ONCE)
            if count > 0:
                break
            if not self._nothing(until_s):
                return None
        asked = f"TRAC:DATA? {self._index + 1},{self._index + count},{BUFFER},READ,SOUR,REL"
        rows = floats(self._session.query_counted(asked, 12 * count), "<f4", columns=3)
        stamps_s = rows[:, 2].astype(np.float64)
        if self._begin_s is None:
            self._begin_s = float(stamps_s[0])
        missing = np.rint((stamps_s - self._begin_s) * self._rate_hz - (self._index + np.arange(count)))
        if not (np.diff(missing, prepend=self._missing) >= 0).all():
            raise GarbledSamples("2450: its time stamps do not follow its timer: give a lower rate and run it again.")
        lost = int(missing[0]) - self._missing
        steady = int((missing == missing[0]).sum())  # up to the next gap
        self._missing += lost
        self._index += steady
        return self._chunk(rows[:steady, 0], rows[:steady, 1], lost)

    def set_supply(self, on: bool) -> None:
        """Switch the output."""
        self._send(f"OUTP {'ON' if on else 'OFF'}", doing="switching the output")
