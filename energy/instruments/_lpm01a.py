# SPDX-License-Identifier: Apache-2.0
"""What an LPM01A streams, taken apart: its ASCII lines, its binary words, and the time stamps that both carry.

Samples have no numbers. Only a time stamp (one a second in ASCII, one before every 1000 samples in binary) tells how
many there should have been, so samples are handed on when the stamp after them has come and their number is right.
Where some are missing nobody knows which: the whole stretch is counted as lost, and whatever lay in it with it.
"""

from __future__ import annotations

import re
from collections import deque

import numpy as np
from numpy.typing import NDArray

from energy.errors import GarbledSamples
from energy.instrument import SampleChunk

Floats = NDArray[np.float64]

MAX_HELD = 4_000_000
"""Samples without a time stamp after them: over half a minute at the highest rate."""

NO_BEGIN = "its stream does not begin with a time stamp: set it up again."

_STAMP = re.compile(rb"TimeStamp: (\d+)s (\d+)ms")
_SAMPLE = re.compile(rb"(\d{4})([+-]\d\d)")
_EVENT = re.compile(rb"event \d+ ris")
_TEXT = bytes([9, 10, 13, *range(32, 127)])

_LENGTHS = {0xF3: 9, 0xF4: 4, 0xF5: 4, 0xF6: 4, 0xF7: 6}
"""Of binary metadata: F0, its kind, its content, FF FF. F1 and F2 hold text of any length."""


class Assembler:
    """Puts samples between two time stamps together, and tells what is missing."""

    def __init__(self, rate_hz: float, amperes: float, markers: bool) -> None:
        """amperes: what a streamed number is multiplied with. markers: whether falling edges are streamed."""
        self.ready: deque[SampleChunk] = deque()
        self.errors: list[str] = []
        self.ended = False
        self._rate_hz = rate_hz
        self._amperes = amperes
        self._markers = markers
        self._zero_ms: int | None = None
        self._begin = 0
        self._held: list[Floats] = []
        self._count = 0
        self._falls: deque[int] = deque()
        self._last_fall = -2
        self._lost = 0

    def values(self, values: Floats) -> None:
        """More samples. Raises GarbledSamples when time stamps stay out."""
        self._held.append(values)
        self._count += len(values)
        if self._count > MAX_HELD:
            raise GarbledSamples(f"{self._count} samples without a time stamp: stop the monitor and start again.")

    def fall(self) -> None:
        """The pin fell in the slot whose sample comes next."""
        self._falls.append(self._begin + self._count)

    def stamp(self, time_ms: int) -> None:
        """A time stamp. Raises GarbledSamples where it cannot belong to these samples."""
        if self._zero_ms is None:
            self._zero_ms = 0 if self._count else time_ms
        index, rest = divmod((time_ms - self._zero_ms) * round(self._rate_hz), 1000)
        expected = index - self._begin
        if rest or expected < self._count:
            raise GarbledSamples(
                f"{self._count} samples up to the time stamp {time_ms} ms, {expected} at most at {self._rate_hz:g} "
                "samples per second: it samples at another rate than it was set to. Set it up again."
            )
        if self._count == expected:
            self._hand_on()
        else:
            self._lost += expected
            while self._falls and self._falls[0] < index:
                self._falls.popleft()
        self._held, self._count, self._begin = [], 0, index

    def overcurrent(self) -> None:
        """The instrument stopped because of too much current: what is held ends with an overload."""
        lost = self._lost + self._count
        self._lost = 0
        marker = np.ones(1, bool) if self._markers else None
        t0_s = (self._begin + self._count) / self._rate_hz
        self.ready.append(SampleChunk(np.full(1, np.inf, np.float32), None, marker, t0_s, self._rate_hz, lost))
        self.ended = True

    def _hand_on(self) -> None:
        if not self._count:
            return
        current = (np.concatenate(self._held) * self._amperes).astype(np.float32)
        marker = self._levels() if self._markers else None
        self.ready.append(SampleChunk(current, None, marker, self._begin / self._rate_hz, self._rate_hz, self._lost))
        self._lost = 0

    def _levels(self) -> NDArray[np.bool_]:
        """The pin is low in the slot of a fall. Two falls never become one: the later one moves to where it is seen."""
        levels = np.ones(self._count, bool)
        while self._falls:
            at = max(self._falls[0], self._last_fall + 2)
            if at >= self._begin + self._count:
                break
            self._falls.popleft()
            self._last_fall = at
            levels[at - self._begin] = False
        return levels


class AsciiDecoder:
    """Lines ended by CR LF: `6409-07`, `TimeStamp: 000s 000ms, buff 00%`, `event NN ris`, and messages."""

    def __init__(self, assembler: Assembler) -> None:
        """assembler: takes what was read."""
        self._out = assembler
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take bytes as they come. Raises GarbledSamples."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > 4096:
            raise GarbledSamples("4096 bytes without a line end: is it set to ascii_dec? Set it up again.")
        numbers: list[float] = []
        for line in lines:
            word = line.strip(b"\r\0 ")
            if match := _SAMPLE.fullmatch(word):
                numbers.append(float(match[1]) * 10.0 ** int(match[2]))
            elif word[:1].isdigit():
                numbers.append(np.nan)  # half a number: there was a sample, and nobody knows which value it had
            elif word:
                self._values(numbers)
                numbers = []
                self._message(word)
        self._values(numbers)

    def _values(self, numbers: list[float]) -> None:
        if numbers:
            self._out.values(np.array(numbers))

    def _message(self, word: bytes) -> None:
        if match := _STAMP.match(word):
            self._out.stamp(int(match[1]) * 1000 + int(match[2]))
        elif _EVENT.match(word):
            self._out.fall()
        elif word.lower().startswith(b"error"):
            if b"vercurrent" in word:
                self._out.overcurrent()
            else:
                self._out.errors.append(word.decode("ascii", "replace"))
        elif b"Acquisition completed" in word:
            self._out.ended = True


class BinaryDecoder:
    """Big-endian words, I = (w & 0xFFF) * 16^-(w >> 12); 0xF as the exponent begins metadata."""

    def __init__(self, assembler: Assembler) -> None:
        """assembler: takes what was read."""
        self._out = assembler
        self._rest = b""
        self._begun = self._stamped = False

    def feed(self, data: bytes) -> None:
        """Take bytes as they come. Raises GarbledSamples."""
        buffer = self._rest + data
        at = 0
        if not self._begun:
            at = self._first(buffer)
        while self._begun and not self._out.ended and at < len(buffer):
            at, complete = self._words(buffer, at)
            if not complete:
                break
            length = self._metadata(buffer, at)
            if not length:
                break
            at += length
        self._rest = buffer[at:] if not self._out.ended else b""

    def _first(self, buffer: bytes) -> int:
        """Where the metadata begins that a stream begins with: behind nothing but text."""
        at = buffer.find(b"\xf0")
        self._begun = 0 <= at < len(buffer) - 1
        text = buffer[: at if at >= 0 else len(buffer)]
        if text.translate(None, _TEXT):
            raise GarbledSamples(NO_BEGIN)
        return len(text)

    def _words(self, buffer: bytes, at: int) -> tuple[int, bool]:
        """Hand on the samples up to the next metadata; where they end, and whether metadata begins there."""
        words = np.frombuffer(buffer, ">u2", count=(len(buffer) - at) // 2, offset=at)
        special = np.flatnonzero(words >= 0xF000)
        count = int(special[0]) if len(special) else len(words)
        if count:
            if not self._stamped:
                raise GarbledSamples(NO_BEGIN)
            taken = words[:count].astype(np.int64)
            self._out.values((taken & 0xFFF) * np.exp2(-4.0 * (taken >> 12)))
        return at + 2 * count, bool(len(special))

    def _metadata(self, buffer: bytes, at: int) -> int:
        """Act on the metadata at `at`; its length, 0 when it is not all there."""
        kind = buffer[at + 1]
        if buffer[at] != 0xF0 or not 0xF1 <= kind <= 0xF7:
            raise GarbledSamples(f"neither a sample nor metadata: {buffer[at : at + 2].hex()}: set it up again.")
        length = _LENGTHS.get(kind) or self._text_length(buffer, at)
        if not length or len(buffer) < at + length:
            return 0
        if buffer[at + length - 2 : at + length] != b"\xff\xff":
            raise GarbledSamples(f"metadata without an end: {buffer[at : at + length].hex()}: set it up again.")
        content = buffer[at + 2 : at + length - 2]
        if kind == 0xF1:
            self._out.errors.append(content.decode("ascii", "replace").strip())
        elif kind == 0xF3:
            self._stamped = True
            self._out.stamp(int.from_bytes(content[:4], "big") & 0x7FFFFFFF)
        elif kind == 0xF4:
            self._out.ended = True
        elif kind == 0xF5:
            self._out.overcurrent()
        return length

    def _text_length(self, buffer: bytes, at: int) -> int:
        end = buffer.find(b"\xff\xff", at + 2)
        if end < 0 and len(buffer) > at + 1024:
            raise GarbledSamples("a message without an end: set it up again.")
        return end + 2 - at if end >= 0 else 0
