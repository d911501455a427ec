# SPDX-License-Identifier: Apache-2.0
"""Nordic Power Profiler Kit II as a source: supplies the board, 0.8 to 5 V, and measures 200 nA to 1 A at 100 kS/s.

It chooses its range by itself, and its voltage is set, not measured. The timing pin goes to its logic input D0, whose
supply pin (VCC) has to be at the board's level. Values right after a change of range are passed on as they come: the
vendor's program smooths them, this one counts the changes. Left alone it goes on supplying the board.
"""

from __future__ import annotations

import time
from collections import deque

from energy import _serial
from energy.errors import InstrumentError
from energy.instrument import Instrument, SampleChunk, Settings, WindowKind
from energy.instruments._port import PortMonitor
from energy.instruments._ppk2 import RATE_HZ, Calibration, Decoder, parse_calibration

SUMMARY = "Nordic Power Profiler Kit II (serial): 100 kS/s current with the timing pin; supplies the board"
ADDRESS = "/dev/ttyACM1"
USB_IDS = ((0x1915, 0xC00A),)

BAUD = 115_200
ANSWER_S = 2.0
AVERAGE_START = b"\x06"
AVERAGE_STOP = b"\x07"
DEVICE_RUNNING = b"\x0c"
REGULATOR_SET = b"\x0d"
SET_POWER_MODE = b"\x11"
GET_METADATA = b"\x19"
SOURCE_METER = b"\x02"


def open_instrument(address: str) -> Instrument:
    """Open the port and read the calibration. Raises EnergyError."""
    port = _serial.open_port(address, BAUD)
    try:
        return Ppk2(port)
    except BaseException:
        port.close()
        raise


class Ppk2(PortMonitor):
    """A PPK2 behind a port."""

    name = "ppk2"
    model = "PPK2"
    _called = "a PPK2"
    _farewell = AVERAGE_STOP
    windows: WindowKind = "marker"
    measures_voltage = False
    is_supply = True
    default_rate_hz = RATE_HZ
    default_range_a: float | None = None

    def __init__(self, port: _serial.Port) -> None:
        """End what it may be doing and read its calibration. Raises EnergyError."""
        super().__init__(port)
        self.range_switches = 0
        self._decoder: Decoder | None = None
        self._chunks: deque[SampleChunk] = deque()
        self._voltage_v: float | None = None
        self._quieten()
        self._calibration = self._metadata()
        fields = self._calibration.fields
        if "HW" not in fields and "R0" not in fields:
            raise InstrumentError(f"{port.name}: not a PPK2, its metadata holds {sorted(fields)}: check the port.")
        self.idn = f"Nordic Semiconductor,PPK2,unknown,HW {fields.get('HW', 'unknown')}"

    def configure(self, wanted: Settings) -> Settings:
        """Set the voltage; rate and range are its own."""
        if wanted.range_a is not None:
            raise InstrumentError("a PPK2 chooses its range by itself: leave --range out.")
        if not 0.8 <= wanted.voltage_v <= 5.0:
            raise InstrumentError(f"a PPK2 supplies 0.8 to 5 V, not {wanted.voltage_v:g} V (--voltage).")
        self.stop()
        millivolts = round(wanted.voltage_v * 1000)
        self._wire().write(SET_POWER_MODE + SOURCE_METER)
        self._wire().write(REGULATOR_SET + millivolts.to_bytes(2, "big"))
        self._calibration = self._metadata()
        says_v = self._calibration.voltage_v
        if says_v is not None and abs(says_v * 1000 - millivolts) > 1:
            raise InstrumentError(f"the PPK2 supplies {says_v:g} V where {wanted.voltage_v:g} V were set: replug it.")
        self.range_switches = 0
        self._voltage_v = millivolts / 1000
        return Settings(RATE_HZ, None, self._voltage_v)

    def start(self, *, triggered: bool, duration_s: float) -> None:
        """Begin to stream; `duration_s` does not matter to a stream."""
        del duration_s
        if triggered:
            raise InstrumentError("a PPK2 has no trigger: it streams the timing pin instead.")
        if self._voltage_v is None:
            raise InstrumentError("the PPK2 is not set up yet: configure it first.")
        self.stop()
        self._decoder = Decoder(self._calibration.table(self._voltage_v))
        self._wire().write(AVERAGE_START)

    def read(self, timeout_s: float) -> SampleChunk | None:
        """What has come."""
        if self._decoder is None:
            raise InstrumentError("the PPK2 records nothing: start a capture first.")
        deadline = time.monotonic() + timeout_s
        while not self._chunks:
            data = self._wire().read(max(deadline - time.monotonic(), 0.0))
            if not data:
                return None
            before = self._decoder.range_switches
            self._chunks.extend(self._decoder.feed(data))
            self.range_switches += self._decoder.range_switches - before
        return self._chunks.popleft()

    def stop(self) -> None:
        """End the capture."""
        if self._decoder is None:
            return
        self._decoder = None
        self._chunks.clear()
        self._quieten()

    def set_supply(self, on: bool) -> None:
        """Switch the board on or off."""
        self._wire().write(DEVICE_RUNNING + (b"\x01" if on else b"\x00"))

    def errors(self) -> list[str]:
        """It has no error queue."""
        return []

    def _leave(self) -> None:
        """End a capture; the board stays as it is."""
        self.stop()

    def _quieten(self) -> None:
        """End a stream, and read until nothing comes any more: the next stream begins with a whole word."""
        self._wire().write(AVERAGE_STOP)
        deadline = time.monotonic() + ANSWER_S
        while self._wire().read(0.1):
            if time.monotonic() >= deadline:
                raise self._give_up("it does not stop to send")

    def _metadata(self) -> Calibration:
        """Ask for the calibration, which tells the voltage too."""
        self._wire().write(GET_METADATA)
        text = _serial.read_until(self._wire(), time.monotonic() + ANSWER_S, bytearray(), b"END")
        if text is None:
            raise self._give_up("no calibration within 2 s")
        self._wire().read(0.02)  # the line's end
        return parse_calibration(text.decode("ascii", "replace"))
