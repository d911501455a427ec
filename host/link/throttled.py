"""A slow line on purpose, in modelled time: nobody sleeps, and every figure is exact and repeats.

ThrottledLink stands between the host and a device that answers at once (FakeLink, or the firmware's core in lockstep).
It keeps a clock of its own: a byte takes 10 bits at the line's rate, one after the other in each direction, and arrives
`latency_s` later; a device that infers is busy for `inference_s` and reads what has arrived afterwards; the host takes
no time at all. The clock goes on when the host waits for bytes, by as much as it has to wait.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from host.frames import Frame, Kind, Splitter, decode_result, encode
from host.link import Link
from host.link.faulty import Direction

BITS_PER_BYTE = 10  # 8N1: a start bit and a stop bit
_ENDS = b"%\0"  # of a command and of a frame: a device answers nothing else
_RUNS = re.compile(rb"m-(?:warmup|infer)-start-([0-9]+)\r?\n")


@dataclass(frozen=True, slots=True)
class Line:
    """A line's properties: bits a second, and what each direction adds to a byte's time."""

    baud: int
    latency_s: float = 0.0005

    @property
    def byte_s(self) -> float:
        """Seconds of a byte on the line."""
        return BITS_PER_BYTE / self.baud


class ThrottledLink:
    """A Link around one whose device answers at once and never speaks unasked."""

    def __init__(self, link: Link, line: Line, *, inference_s: float = 0.0) -> None:
        """inference_s: what one inference takes, warm-ups included."""
        self._link, self._line, self._inference_s = link, line, inference_s
        self.now_s = 0.0
        self.carried: dict[Direction, int] = {"tx": 0, "rx": 0}
        self.inferences = 0
        self.unread_bytes_max = 0  # of the host's that have waited at the device at one time
        self._free_s: dict[Direction, float] = {"tx": 0.0, "rx": 0.0}  # when the line can take the next byte
        self._ready_s = 0.0  # when the device can read the next byte
        self._reads_s: deque[float] = deque()  # when the device reads each byte that it may not have read yet
        self._coming: deque[tuple[float, int]] = deque()  # (when, byte)
        self._splitter = Splitter()
        self._text = bytearray()

    @property
    def name(self) -> str:
        """The other link's name, marked."""
        return f"throttled:{self._link.name}"

    @property
    def baud(self) -> int | None:
        """The line's rate."""
        return self._line.baud

    def set_baud(self, baud: int) -> None:
        """Another rate for the bytes that are written from now on, at both ends."""
        self._line = Line(baud, self._line.latency_s)
        self._link.set_baud(baud)

    def write(self, data: bytes) -> None:
        """Queue `data` for the line, which takes it at its rate: the host does not wait."""
        held = 0
        for at, byte in enumerate(data, 1):
            arrived_s = self._leave("tx", self.now_s)
            while self._reads_s and self._reads_s[0] <= arrived_s:
                self._reads_s.popleft()
            self._ready_s = max(self._ready_s, arrived_s)
            if self._ready_s > arrived_s:
                self._reads_s.append(self._ready_s)
                self.unread_bytes_max = max(self.unread_bytes_max, len(self._reads_s))
            if byte in _ENDS or at == len(data):
                self._link.write(data[held:at])
                self._answer(self._link.read(0.0))
                held = at

    def read(self, timeout_s: float) -> bytes:
        """What has arrived, or arrives first within `timeout_s` of modelled time."""
        if not self._coming or self._coming[0][0] > self.now_s + timeout_s:
            self.now_s += timeout_s
            return b""
        self.now_s = max(self.now_s, self._coming[0][0])
        data = bytearray()
        while self._coming and self._coming[0][0] <= self.now_s:
            data.append(self._coming.popleft()[1])
        return bytes(data)

    def close(self) -> None:
        """Close the other link."""
        self._link.close()

    def _leave(self, direction: Direction, when_s: float) -> float:
        """One byte onto the line, no earlier than `when_s`. Returns when it arrives."""
        self._free_s[direction] = max(self._free_s[direction], when_s) + self._line.byte_s
        self.carried[direction] += 1
        return self._free_s[direction] + self._line.latency_s

    def _answer(self, said: bytes) -> None:
        """What the device says to one byte, with the inferences between that its own words give away."""
        for part in self._splitter.feed(said):
            if isinstance(part, Frame):
                result = decode_result(part.payload) if part.kind == Kind.RESULT else None
                if result is not None and result.offset == 0:
                    self._infer(1)
                self._say(encode(part))
            elif isinstance(part, bytes):
                for line in part.splitlines(keepends=True):
                    self._say(line)
                    self._text += line
                    if runs := _RUNS.search(self._text):
                        self._infer(int(runs[1]))
                    if self._text.endswith(b"\n"):
                        self._text.clear()

    def _infer(self, runs: int) -> None:
        self.inferences += runs
        self._ready_s += runs * self._inference_s

    def _say(self, data: bytes) -> None:
        for byte in data:
            self._coming.append((self._leave("rx", self._ready_s), byte))
