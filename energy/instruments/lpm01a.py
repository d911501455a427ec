# SPDX-License-Identifier: Apache-2.0
"""ST X-NUCLEO-LPM01A (PowerShield): supplies the board, 1.8 to 3.3 V, and measures 100 nA to 50 mA over a serial port.

Up to 5 kS/s it streams energy as text, with a line for every falling edge on D7 (marker windows; the default, 1 kS/s,
is what MLPerf Tiny uses). Above, current as binary words, without edges: then D7 starts the capture (trigger windows).
The voltage is its own setting, not measured. Its safe end switches the board off: `pwr off`, then `hrc`.
"""

from __future__ import annotations

import re
import time

from energy import _serial
from energy.errors import GarbledSamples, InstrumentError, InstrumentTimeout
from energy.instrument import Instrument, SampleChunk, Settings, WindowKind
from energy.instruments._lpm01a import AsciiDecoder, Assembler, BinaryDecoder
from energy.instruments._port import PortMonitor

SUMMARY = "ST X-NUCLEO-LPM01A (serial): 1 kS/s energy with edges, up to 100 kS/s current; supplies the board"
ADDRESS = "/dev/ttyACM1 (or socket://HOST:PORT)"
USB_IDS = ((0x0483, 0x5740),)
USB_SHARED = USB_IDS
"""Boards of the same vendor have them as well: STMicroelectronics' virtual serial port."""

BAUD = 3_686_400
RATES_HZ = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
TEXT_RATE_HZ = 5000
"""The highest rate at which it sends text without an end."""
RANGE_A = 0.05
COMMAND_S = 2.0
QUIET_S = 0.4  # a stream pauses for less, on a busy machine too
VOLT_S = 10.0
"""A new voltage makes it calibrate itself first."""
PROMPT = b"PowerShield > "


def open_instrument(address: str) -> Instrument:
    """Open the port, ask who is there, and take control. Raises EnergyError."""
    port = _serial.open_port(address, BAUD)
    try:
        return Lpm01a(port)
    except BaseException:
        port.close()
        raise


class Lpm01a(PortMonitor):
    """An LPM01A behind a port."""

    name = "lpm01a"
    model = "LPM01A"
    _called = "an LPM01A"
    _farewell = b"stop\npwr off\nhrc\n"
    measures_voltage = False
    is_supply = True
    default_rate_hz = 1000.0
    default_range_a: float | None = RANGE_A
    range_switches = 0  # it switches between shunts by itself, and does not tell

    def __init__(self, port: _serial.Port) -> None:
        """Ask who is there and take control. Raises EnergyError."""
        super().__init__(port)
        self.windows: WindowKind = "marker"
        self._buffer = bytearray()
        self._errors: list[str] = []
        self._settings: Settings | None = None
        self._trigger = "sw"
        self._stream: Assembler | None = None
        self._decoder: AsciiDecoder | BinaryDecoder | None = None
        board = self._first_answer()
        if "powershield" not in board.lower():
            raise InstrumentError(f"{port.name}: not an LPM01A, it answers {board!r}: check the port.")
        serial_number = re.sub(r"(?i)powershield (present)?[:\s]*", "", board).strip() or "unknown"
        self.idn = f"STMicroelectronics,X-NUCLEO-LPM01A,{serial_number},{self._ask('version') or 'unknown'}"
        self._command("htc")

    def configure(self, wanted: Settings) -> Settings:
        """Set it up in the order that is known to work. The board is off afterwards: `set_supply` switches it on."""
        if wanted.range_a is not None and wanted.range_a > RANGE_A:
            raise InstrumentError(f"an LPM01A measures 50 mA at most, not {wanted.range_a:g} A: take another monitor.")
        if not 1.8 <= wanted.voltage_v <= 3.3:
            raise InstrumentError(f"an LPM01A supplies 1.8 to 3.3 V, not {wanted.voltage_v:g} V (--voltage).")
        rate_hz = next((rate for rate in RATES_HZ if rate >= wanted.rate_hz), RATES_HZ[-1])
        text = rate_hz <= TEXT_RATE_HZ
        self.stop()
        self._command('lcd 1 "tinyjoule"')
        self._command("pwr off")
        self._command("acqtime inf")
        self._command("trigdelay 0")
        self._command("trigsrc sw")
        self._trigger = "sw"
        self._command("eventsrc d7 fal")
        self._command("output energy" if text else "output current")
        self._command("format ascii_dec" if text else "format bin_hexa")
        self._command(f"freq {rate_hz}" if rate_hz < 1000 else f"freq {rate_hz // 1000}k")
        millivolts = round(wanted.voltage_v * 1000)
        self._command(f"volt {millivolts}m", VOLT_S)
        if not text:  # a stream of energy already holds the voltage, one of current does not
            millivolts = self._voltage_mv(millivolts)
        self.windows = "marker" if text else "trigger"
        self._settings = Settings(float(rate_hz), RANGE_A, millivolts / 1000)
        return self._settings

    def start(self, *, triggered: bool, duration_s: float) -> None:
        """Begin to stream, at once or at the next edge on D7; `duration_s` does not matter to a stream."""
        del duration_s
        if self._settings is None:
            raise InstrumentError("the LPM01A is not set up yet: configure it first.")
        self.stop()
        trigger = "d7" if triggered else "sw"
        if trigger != self._trigger:
            self._command(f"trigsrc {trigger}")
            self._trigger = trigger
        rate_hz, volts = self._settings.rate_hz, self._settings.voltage_v
        text = self.windows == "marker"
        stream = Assembler(rate_hz, rate_hz / volts if text else 1.0, markers=text)
        self._decoder = AsciiDecoder(stream) if text else BinaryDecoder(stream)
        self._command("start")
        self._stream = stream

    def read(self, timeout_s: float) -> SampleChunk | None:
        """Samples up to the latest time stamp, so up to a second late in text."""
        stream, decoder = self._stream, self._decoder
        if stream is None or decoder is None:
            raise InstrumentError("the LPM01A records nothing: start a capture first.")
        deadline = time.monotonic() + timeout_s
        while True:
            if stream.errors:
                raise InstrumentError(f"the LPM01A reports: {'; '.join(self.errors())}: switch it off and on.")
            if stream.ready:
                return stream.ready.popleft()
            data = bytes(self._buffer)
            self._buffer.clear()
            data = data or self._wire().read(max(deadline - time.monotonic(), 0.0))
            if not data:
                return None
            decoder.feed(data)

    def stop(self) -> None:
        """End the capture and wait until it says so."""
        stream = self._stream
        if stream is None:
            return
        self._errors += stream.errors
        self._stream = self._decoder = None
        self._wire().write(b"stop\n")
        ends = (b"Acquisition completed", b"ack stop", b"error stop") if stream.ended else (b"Acquisition completed",)
        deadline = time.monotonic() + COMMAND_S
        while not any(end in self._buffer for end in ends):
            if time.monotonic() >= deadline:
                raise self._silent("stop")
            del self._buffer[:-64]
            self._buffer += self._wire().read(deadline - time.monotonic())
        self._buffer.clear()

    def set_supply(self, on: bool) -> None:
        """Switch the board on or off; not while it streams."""
        if self._stream is not None:
            raise InstrumentError("the LPM01A switches the board between captures only: stop this one first.")
        self._command("pwr on nostatus" if on else "pwr off")

    def errors(self) -> list[str]:
        """What it reported since the last call."""
        if self._stream is not None:
            self._errors += self._stream.errors
            self._stream.errors.clear()
        taken, self._errors = self._errors, []
        return taken

    def _leave(self) -> None:
        """Switch the board off and give control back to the buttons."""
        self.stop()
        self._command("pwr off")
        self._command("hrc")

    def _silent(self, command: str) -> InstrumentTimeout:
        return self._give_up(f"no answer to {command!r}")

    def _first_answer(self) -> str:
        """Who it says it is; a stream that somebody left running is ended first. Raises InstrumentTimeout."""
        for attempt in range(2):
            if attempt:
                self._wire().write(b"stop\n")
            deadline = time.monotonic() + COMMAND_S
            while (noisy := bool(self._wire().read(QUIET_S))) and time.monotonic() < deadline:
                pass
            self._buffer.clear()
            answer = None
            try:
                answer = None if noisy else self._exchange("powershield", COMMAND_S)
            except InstrumentError:  # half a line that somebody left makes the first command unknown
                if attempt:
                    raise
            if answer is not None:
                return answer or self._line(time.monotonic() + 0.3) or ""
        raise self._silent("powershield")

    def _command(self, command: str, timeout_s: float | None = None) -> str:
        """Send a command and wait until it is acknowledged; what follows on that line. Raises InstrumentError."""
        answer = self._exchange(command, COMMAND_S if timeout_s is None else timeout_s)
        if answer is None:
            raise self._silent(command)
        return answer

    def _exchange(self, command: str, timeout_s: float) -> str | None:
        """The same; None when it does not answer."""
        verb = command.split(" ", 1)[0]
        self._wire().write(command.encode() + b"\n")
        deadline = time.monotonic() + timeout_s
        refused = False
        while (line := self._line(deadline)) is not None:
            if line.startswith("Error detail:") and refused:
                raise InstrumentError(f"the LPM01A refuses {command!r}:{line.partition(':')[2]}")
            if line.startswith(f"error {verb}"):
                refused = True
                deadline = min(deadline, time.monotonic() + 0.5)
            elif line.startswith(f"ack {verb}"):
                return line.removeprefix(f"ack {command}").strip()
        if refused:
            raise InstrumentError(f"the LPM01A refuses {command!r}.")
        return None

    def _ask(self, command: str) -> str:
        """A command's answer: behind its acknowledgement, or on the line after it; "" where there is none."""
        return self._command(command) or self._line(time.monotonic() + 0.3) or ""

    def _voltage_mv(self, wanted_mv: int) -> int:
        """What it says it supplies."""
        answer = self._ask("volt get")
        match = re.search(r"(\d{4})([+-]\d\d)", answer)
        if match is None:
            raise GarbledSamples(f"the LPM01A answers {answer!r} to `volt get`: update its firmware.")
        got_mv = round(int(match[1]) * 10.0 ** (int(match[2]) + 3))
        if abs(got_mv - wanted_mv) > 0.05 * wanted_mv:
            raise InstrumentError(f"the LPM01A supplies {got_mv} mV where {wanted_mv} mV were set: check its supply.")
        return got_mv

    def _line(self, deadline: float) -> str | None:
        """The next line that says something, without prompts; None when the deadline passes."""
        while (line := _serial.read_until(self._wire(), deadline, self._buffer, b"\n")) is not None:
            text = line.replace(PROMPT, b"").strip(b"\r\n\0 ")
            if text:
                return text.decode("ascii", "replace")
        return None
