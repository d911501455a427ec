# SPDX-License-Identifier: Apache-2.0
"""Keysight N6705B/C (and N6700B/C) with a source/measure module, N6781A or N6782A: it supplies the board and logs
current and voltage without a gap (external data logging, "ELOG"), begun by the timing pin at its digital port."""

from __future__ import annotations

import time
from typing import ClassVar

from energy.errors import InstrumentError
from energy.instrument import SampleChunk, Settings
from energy.instruments._visa import VisaMonitor, floats, split_options
from energy.visa import Transcript

SUMMARY = "Keysight N6705/N6700 with an N678x SMU: supply, current and voltage at 4.9 kS/s"
ADDRESS = "TCPIP0::HOST::5025::SOCKET[?channel=1&pin=1]"
USB_IDS = ((0x0957, 0x0F07), (0x2A8D, 0x0F02))
IDN = r"(Keysight|Agilent) Technologies,N670[0-9][BC],"

TICK_S = 20.48e-6
SHORTEST_S = 204.8e-6  # two parameters, 102.4 us each
CURRENT_LIMIT_A = 0.5  # enough for a board that starts; a short circuit does no harm
RECORDS = 16_384
FIFO_S = 18.0  # it holds about 20 s, and overwrites without a word


def open_instrument(address: str, transcript: Transcript | None = None) -> KeysightN6705:
    """Open it and ask who it is. channel: of the module; pin: of the digital port. Raises EnergyError."""
    plain, options = split_options(address, {"channel": 1, "pin": 1})
    return KeysightN6705(plain, options["channel"], options["pin"], transcript)


class KeysightN6705(VisaMonitor):
    """One channel of the mainframe."""

    name = "keysight_n6705"
    is_supply = True
    default_rate_hz: ClassVar[float] = 1 / SHORTEST_S
    default_range_a: ClassVar[float | None] = 0.1

    def __init__(self, address: str, channel: int, pin: int, transcript: Transcript | None) -> None:
        """See open_instrument."""
        super().__init__(address, IDN, transcript=transcript)
        self._at = f"(@{channel})"
        self._pin = pin
        self._pin_was: tuple[str, str] | None = None
        self._fetched_s = 0.0
        try:
            if channel > self._count("SYST:CHAN:COUN?"):
                raise InstrumentError(f"{address} has no channel {channel}: choose another one with ?channel=N.")
            self.model = self._session.query(f"SYST:CHAN:MOD? {self._at}").strip('" ')
            if not self.model.startswith("N678"):
                raise InstrumentError(
                    f"channel {channel} holds {self.model!r}, which logs no current and voltage together."
                )
        except BaseException:
            self._session.close()
            raise

    def configure(self, wanted: Settings) -> Settings:
        """Set it up; returns what it took. The output stays as it is, unless it has to become a 2-quadrant supply."""
        at, pin = self._at, self._pin
        self._halt()
        if self._session.query(f"EMUL? {at}") != "PS2Q":  # changing it switches the output off
            self._session.write(f"EMUL PS2Q,{at}")
        self._send(f"VOLT {wanted.voltage_v:.4f},{at}", f"CURR:LIM {CURRENT_LIMIT_A},{at}", doing="setting the supply")
        self._send(
            *("FORM REAL", "FORM:BORD NORM", "SENS:SWE:TINT:RES RES20"),
            *(f"SENS:ELOG:FUNC:{what} ON,{at}" for what in ("CURR", "VOLT")),
            *(f"SENS:ELOG:FUNC:{what}:MINM OFF,{at}" for what in ("CURR", "VOLT")),
            f"SENS:ELOG:VOLT:RANG 20,{at}",
            doing="choosing what to log",
        )
        if wanted.range_a is None:
            self._send(f"SENS:ELOG:CURR:RANG:AUTO ON,{at}", doing="setting the range")
        else:
            self._send(
                f"SENS:ELOG:CURR:RANG:AUTO OFF,{at}",
                f"SENS:ELOG:CURR:RANG {wanted.range_a:g},{at}",
                doing=f"setting the range {wanted.range_a:g} A",
            )
        ticks = round(max(1 / wanted.rate_hz, SHORTEST_S) / TICK_S)
        self._send(f"SENS:ELOG:PER {ticks * TICK_S:.8f},{at}", doing=f"setting {wanted.rate_hz:g} samples per second")
        if self._pin_was is None:
            self._pin_was = (self._session.query(f"DIG:PIN{pin}:FUNC?"), self._session.query(f"DIG:PIN{pin}:POL?"))
        self._send(f"DIG:PIN{pin}:FUNC TINP", f"DIG:PIN{pin}:POL NEG", doing="setting the trigger pin")
        self._rate_hz = 1 / self._positive(f"SENS:ELOG:PER? {at}")
        range_a = None if wanted.range_a is None else self._positive(f"SENS:ELOG:CURR:RANG? {at}")
        return Settings(self._rate_hz, range_a, self._positive(f"VOLT? {at}"))

    def start(self, *, triggered: bool, duration_s: float) -> None:
        """Log at once, or from the next falling edge on. It logs for ever: duration_s does not matter."""
        del duration_s
        source = f"PIN{self._pin}" if triggered else "IMM"
        self._halt()
        self._send(f"TRIG:ELOG:SOUR {source},{self._at}", f"INIT:ELOG {self._at}", doing="starting the log")
        self._taken = 0
        self._fetched_s = time.monotonic()

    def read(self, timeout_s: float) -> SampleChunk | None:
        """The next records, current and voltage of each."""
        until_s = time.monotonic() + timeout_s
        while True:
            if time.monotonic() - self._fetched_s > FIFO_S:
                raise InstrumentError(f"the log was not read for {FIFO_S:.0f} s and is overwritten: run it again.")
            data = self._session.query_block(f"FETC:ELOG? {RECORDS},{self._at}")
            self._fetched_s = time.monotonic()
            self._session.check("reading the log")
            if data:
                records = floats(data, ">f4", columns=2)
                return self._chunk(records[:, 0], records[:, 1])
            if not self._nothing(until_s):
                return None

    def set_supply(self, on: bool) -> None:
        """Switch the output."""
        self._send(f"OUTP {'ON' if on else 'OFF'},{self._at}", doing="switching the output")

    def _halt(self) -> None:
        self._session.write(f"ABOR:ELOG {self._at}")

    def _restore(self) -> None:
        if self._pin_was is not None:
            self._session.write(f"DIG:PIN{self._pin}:FUNC {self._pin_was[0]}")
            self._session.write(f"DIG:PIN{self._pin}:POL {self._pin_was[1]}")
