"""A stock MLPerf Tiny device in memory, defects included: what a host meets on boards that run other firmware.

Its behaviour is that of mlcommons/tiny's internally_implemented.cpp, see each method; none of its code is here.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Answer = Sequence[str] | bytes
BANNER = ("m-timestamp-mode-performance", "m-lap-us-0", "m-init-done")
COMMAND_CHARACTERS = 80
GUARD_BYTES = 64  # behind the buffer, that may be overwritten before the stack is gone


def checksum_results(data: bytes) -> tuple[float, ...]:
    """What the fake devices answer to `infer`: three values that tell any two inputs apart (nearly always)."""
    crc = zlib.crc32(data)
    return tuple(round((crc >> shift & 0x3FF) / 1000, 3) for shift in (0, 10, 20))


def _atoi(text: str) -> int:
    """A number as C's atoi() reads it: the digits in front, 0 if there are none."""
    match = re.match(r"[+-]?[0-9]+", text)
    return int(match[0]) if match else 0


@dataclass
class StockDevice:
    """Answers as MLPerf Tiny's own firmware does: it infers on whatever is in its buffer.

    model: one of protocol.md's ids; ad01 answers with one number. capacity: bytes of the buffer. lap_us: its clock,
    before it is cut to 32 bits; an inference takes run_us. outputs: of m-results where the model is not ad01.
    trailing_comma: in m-results, as some firmware leaves it. has_results: some firmware lacks the command.
    lone_terminator: what a `%` without a command does, which dereferences NULL: the device hangs, or starts again.
    """

    model: str = "kws01"
    mode: str = "performance"
    capacity: int = 4096
    lap_us: int = 1000
    run_us: int = 250
    outputs: int = 3
    trailing_comma: bool = True
    has_results: bool = True
    lone_terminator: Literal["hang", "reset"] = "hang"
    buffer: bytearray = field(default_factory=bytearray)  # the capacity, and GUARD_BYTES of other variables behind it
    expected: int = 0
    received: int = 0
    hung: bool = False

    def __post_init__(self) -> None:
        """Clear the memory, which a test may have filled."""
        self.buffer = self.buffer or bytearray(self.capacity + GUARD_BYTES)

    def __call__(self, command: str) -> Answer:
        """Answer one command, its terminator removed."""
        words = command[:COMMAND_CHARACTERS].split()
        if self.hung:
            return b""
        if not words:
            return self.crash()
        handler = getattr(self, f"do_{words[0]}", None)
        if handler is None:
            return [f"e-[Unknown command: {words[0]}]"]
        answer: Answer = handler(words[1:])
        return answer

    @property
    def corrupted(self) -> bool:
        """Whether something was written behind the buffer."""
        return any(self.buffer[self.capacity :])

    @property
    def tensor(self) -> bytes:
        """What the next inference is made of: as many bytes as have come since `db load`, the rest as it was."""
        return bytes(self.buffer[: self.expected])

    def crash(self) -> Answer:
        """Use a bad pointer. Returns what is said then: nothing, or the banner."""
        if self.lone_terminator == "reset":
            return self.reset()
        self.hung = True
        return b""

    def reset(self) -> Answer:
        """Start again. Returns the banner."""
        self.mode, self.lap_us, self.expected, self.received, self.hung = "performance", 1000, 0, 0, False
        self.buffer = bytearray(self.capacity + GUARD_BYTES)
        return BANNER

    def do_name(self, _arguments: list[str]) -> Answer:
        """`name`."""
        return ["m-name-dut-[fake]"]

    def do_profile(self, _arguments: list[str]) -> Answer:
        """`profile`."""
        return ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", f"m-model-[{self.model}]"]

    def do_help(self, _arguments: list[str]) -> Answer:
        """`help`: free text, with an empty line."""
        return ["ULPMark for tinyML Firmware V0.0.1", "", "help         : Print this information", "infer N [W=0]"]

    def do_timestamp(self, _arguments: list[str]) -> Answer:
        """`timestamp`."""
        return self._laps(self.lap_us)

    def do_db(self, arguments: list[str]) -> Answer:
        """`db load N`, `db print` and `db HH..`."""
        if not arguments:
            return ["e-[Command 'db' requires a subcommand]"]
        if arguments[0] == "load":
            return self._load(arguments[1:])
        if arguments[0] == "print":
            data = self.tensor
            return [f"m-buffer-{data[at : at + 8].hex('-')}" for at in range(0, len(data), 8)]
        return self._add(arguments[0])

    def do_infer(self, arguments: list[str]) -> Answer:
        """`infer N W`."""
        runs = _atoi(arguments[0]) if arguments else 1
        warmup = _atoi(arguments[1]) if len(arguments) > 1 else 10
        if runs < 1:
            return ["e-[Inference iterations must be >0]"]
        if warmup < 0:
            return ["e-[Inference warmup must be >=0]"]
        begin = self.lap_us + warmup * self.run_us
        self.lap_us = begin + runs * self.run_us
        timed = [*self._laps(begin), *self._laps(self.lap_us)]
        start = [f"m-warmup-start-{warmup}", "m-warmup-done", f"m-infer-start-{runs}"]
        return [*start, *timed, "m-infer-done", self._results()]

    def do_results(self, _arguments: list[str]) -> Answer:
        """`results`."""
        return [self._results()] if self.has_results else ["e-[Unknown command: results]"]

    def _results(self) -> str:
        data = bytes(self.buffer[self.capacity :]) if self.corrupted else b""  # other variables: nothing is right now
        values = checksum_results(self.tensor + data)
        if self.model == "ad01":
            values = values[:1]
        elif self.outputs != len(values):
            values = tuple(values[index % 3] for index in range(self.outputs))
        return f"m-results-[{','.join(f'{value:.3f}' for value in values)}{',' if self.trailing_comma else ''}]"

    def _load(self, arguments: list[str]) -> Answer:
        if not arguments:
            return ["e-[Command 'db load' requires the # of bytes]"]
        size = _atoi(arguments[0])
        if size == 0:
            self.expected = 0
            return ["e-[Command 'db load' must be >0 bytes]"]
        # What follows an oversize load is taken all the same, and a negative size is a huge one.
        self.expected, self.received = size if size > 0 else 2**32 + size, 0
        if self.expected > self.capacity:
            return f"Supplied buffer size {size} exceeds maximum of {self.capacity}\nm-ready\r\n".encode()
        return [f"m-[Expecting {size} bytes]"]

    def _add(self, digits: str) -> Answer:
        """Digits beyond the size are dropped in their own line only: the next line goes on behind the end."""
        if len(digits) % 2:
            return ["e-[Insufficent number of hex digits]"]
        for start in range(0, len(digits), 2):
            pair = digits[start : start + 2]
            if not re.fullmatch("[0-9a-fA-F]{2}", pair):
                return [f"e-[Invalid hex digit '{pair}']"]  # what came before it stays
            if self.received == len(self.buffer):
                return self.crash()
            self.buffer[self.received] = int(pair, 16)
            self.received += 1
            if self.received == self.expected:
                return ["m-load-done"]
        return []

    def _laps(self, us: int) -> list[str]:
        return [] if self.mode == "energy" else [f"m-lap-us-{us % 2**32}"]
