"""A device in memory, for tests without a port. Its time does not pass: a read that finds nothing returns at once."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from host.errors import LinkError

Answer = Sequence[str] | bytes
BANNER = ("m-timestamp-mode-performance", "m-lap-us-0", "m-init-done")


class FakeLink:
    """A Link to `device`, which is asked once for every command, `%` removed.

    It is a function or a mapping of command to answer; a mapping stays silent when the command is not in it. An answer
    is lines, to which line ends and `m-ready` are added, or bytes, sent as they are: b"" is silence.
    """

    def __init__(self, device: Callable[[str], Answer] | Mapping[str, Answer], *, banner: Answer = b"") -> None:
        """`banner` is waiting when the link opens."""
        self._device = device
        self._command = bytearray()
        self._pending = bytearray(_encode(banner))
        self._closed = False
        self.commands: list[str] = []

    @property
    def name(self) -> str:
        """Always the same."""
        return "fake:"

    def write(self, data: bytes) -> None:
        """Give `data` to the device, which answers at once."""
        self._check_open()
        for byte in data:
            if byte != ord("%"):
                self._command.append(byte)
                continue
            command = self._command.decode("latin-1")
            self._command.clear()
            self.commands.append(command)
            self._pending += _encode(
                self._device.get(command, b"") if isinstance(self._device, Mapping) else self._device(command)
            )

    def read(self, timeout_s: float) -> bytes:
        """Everything the device said since the last read."""
        del timeout_s
        self._check_open()
        data = bytes(self._pending)
        self._pending.clear()
        return data

    def say(self, answer: Answer) -> None:
        """Make the device speak without being asked, e.g. print its banner after a reset."""
        self._pending += _encode(answer)

    def close(self) -> None:
        """Everything raises LinkError from now on."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise LinkError("fake: this link is closed already")


def _encode(answer: Answer) -> bytes:
    if isinstance(answer, bytes):
        return answer
    return "".join(f"{line}\r\n" for line in (*answer, "m-ready")).encode("latin-1")


def checksum_results(data: bytes) -> tuple[float, ...]:
    """What the fake devices answer to `infer`: three values that tell any two inputs apart (nearly always)."""
    crc = zlib.crc32(data)
    return tuple(round((crc >> shift & 0x3FF) / 1000, 3) for shift in (0, 10, 20))


def _atoi(text: str) -> int:
    """A number as stock firmware reads it, with C's atoi(): the digits in front, 0 if there are none."""
    match = re.match(r"[+-]?[0-9]+", text)
    return int(match[0]) if match else 0


@dataclass
class StockDevice:
    """Answers as MLPerf Tiny's own firmware does, defects included: it infers on whatever is in its buffer.

    capacity: bytes of the buffer. lap_us: its clock, before it is cut to 32 bits; an inference takes run_us.
    """

    model: str = "kws01"
    mode: str = "performance"
    capacity: int = 4096
    lap_us: int = 1000
    run_us: int = 250
    buffer: bytearray = field(default_factory=bytearray)
    expected: int = 0
    received: int = 0

    def __call__(self, command: str) -> Answer:
        """Answer one command."""
        verb, _, rest = command[:80].partition(" ")
        handler = getattr(self, f"do_{verb}", None)
        if handler is None:
            return [f"e-[Unknown command: {verb}]"]
        answer: Answer = handler(rest.split())
        return answer

    def reset(self) -> Answer:
        """Start again. Returns the banner."""
        self.__init__(self.model)  # type: ignore[misc]
        return BANNER

    def do_name(self, _arguments: list[str]) -> Answer:
        """`name`."""
        return ["m-name-dut-[fake]"]

    def do_profile(self, _arguments: list[str]) -> Answer:
        """`profile`."""
        return ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", f"m-model-[{self.model}]"]

    def do_timestamp(self, _arguments: list[str]) -> Answer:
        """`timestamp`."""
        return self._laps(self.lap_us)

    def do_db(self, arguments: list[str]) -> Answer:
        """`db load N` and `db HH..`."""
        if not arguments:
            return ["e-[Command 'db' requires a subcommand]"]
        if arguments[0] == "load":
            return self._load(arguments[1:])
        digits = arguments[0]
        if len(digits) % 2:
            return ["e-[Insufficent number of hex digits]"]
        for start in range(0, len(digits), 2):
            try:
                byte = int(digits[start : start + 2], 16)
            except ValueError:
                return [f"e-[Invalid hex digit '{digits[start : start + 2]}']"]
            if self.received < self.expected:
                self.buffer[self.received] = byte
                self.received += 1
                if self.received == self.expected:
                    return ["m-load-done"]
        return []

    def do_infer(self, arguments: list[str]) -> Answer:
        """`infer N W`."""
        runs = _atoi(arguments[0]) if arguments else 1
        warmup = _atoi(arguments[1]) if len(arguments) > 1 else 10
        if runs < 1:
            return ["e-[Inference iterations must be >0]"]
        begin = self.lap_us + warmup * self.run_us
        self.lap_us = begin + runs * self.run_us
        timed = [*self._laps(begin), *self._laps(self.lap_us)]
        start = [f"m-warmup-start-{warmup}", "m-warmup-done", f"m-infer-start-{runs}"]
        return [*start, *timed, "m-infer-done", *self.do_results([])]

    def do_results(self, _arguments: list[str]) -> list[str]:
        """`results`."""
        values = ",".join(f"{value:.3f}" for value in checksum_results(bytes(self.buffer)))
        return [f"m-results-[{values},]"]  # the trailing comma of some stock firmware

    def _load(self, arguments: list[str]) -> Answer:
        size = _atoi(arguments[0]) if arguments else 0
        if size > self.capacity:
            return [f"Supplied buffer size {size} exceeds maximum of {self.capacity}"]
        if size < 1:
            return ["e-[Command 'db load' must be >0 bytes]"]
        if len(self.buffer) != size:  # a load of the same size begins on the old bytes, as in stock firmware
            self.buffer = bytearray(size)
        self.expected, self.received = size, 0
        return [f"m-[Expecting {size} bytes]"]

    def _laps(self, us: int) -> list[str]:
        return [] if self.mode == "energy" else [f"m-lap-us-{us % 2**32}"]


@dataclass
class TinyjouleDevice(StockDevice):
    """StockDevice with the extensions of our own firmware that a load and a benchmark use."""

    models: tuple[str, ...] = ("ic01", "kws01")

    def do_info(self, _arguments: list[str]) -> Answer:
        """`info`."""
        facts = {
            "version": "0.1.0", "build-id": "0123456789abcdef", "board": "fake", "core-hz": 0,
            "engine": "tflite_c 0.1.0", "compiler": "none", "flags": "-O2", "models": ",".join(self.models),
            "model": self.model, "model-sha256": "0" * 64, "model-bytes": 1, "arena-bytes": 2,
            "arena-capacity-bytes": 3, "input-bytes": 4, "output-elements": 3, "mode": self.mode, "cycles": "none",
            "baud-max": 0,
        }  # fmt: skip
        return [f"m-info-{key}-[{value}]" for key, value in facts.items()]

    def do_model(self, arguments: list[str]) -> Answer:
        """`model ID`: drops the input."""
        if arguments[0] not in self.models:
            return [f"e-[Unknown model: {arguments[0]}]"]
        self.model = arguments[0]
        self.expected = self.received = 0
        return [f"m-model-[{self.model}]"]

    def do_mode(self, arguments: list[str]) -> Answer:
        """`mode MODE`."""
        if arguments[0] not in ("performance", "energy", "both"):
            return [f"e-[Unknown mode: {arguments[0]}]"]
        self.mode = arguments[0]
        return [f"m-timestamp-mode-{self.mode}"]

    def do_db(self, arguments: list[str]) -> Answer:
        """`db crc` too."""
        if arguments == ["crc"]:
            return [f"m-crc32-[{zlib.crc32(self.buffer):08x}]"] if self._whole() else ["e-[No input is loaded]"]
        return StockDevice.do_db(self, arguments)

    def do_infer(self, arguments: list[str]) -> Answer:
        """Refuse without a whole input."""
        return StockDevice.do_infer(self, arguments) if self._whole() else ["e-[No input is loaded]"]

    def _whole(self) -> bool:
        return 0 < self.expected == self.received
