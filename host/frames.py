"""Binary frames between text: bytes to frames and back; pure.

What they look like is told in [frames] of wire.toml. COBS leaves no 0x00 inside, so that a receiver is in step again
with the next frame but one, whatever was lost.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from cobs import cobs

from host.wire.spec import spec

MARK = 0
HEADER_BYTES = 2
CRC_BYTES = 4
INPUT_CRC_BYTES = 4  # at the end of a load or a run frame
RESULT_HEADER_BYTES = 12
KEEP_BYTES = 4  # payload of a keep frame
OVERLAP_TRIES = 8  # inputs of many equal bytes begin alike everywhere
MAX_WIRE_BYTES = 70_000  # of one frame, before it is given up: more than any device announces


_TYPES = spec().frames.types


class Kind(IntEnum):
    """A frame's type: [frames.types] of wire.toml."""

    DATA = _TYPES["data"]
    LOAD = _TYPES["load"]
    RUN = _TYPES["run"]
    PING = _TYPES["ping"]
    KEEP = _TYPES["keep"]
    ACCEPTED = _TYPES["accepted"]
    AGAIN = _TYPES["again"]
    RESULT = _TYPES["result"]
    REFUSED = _TYPES["refused"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `number` is 0 to 255."""

    kind: Kind
    number: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Damaged:
    """What stood between two marks and is no frame."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """Payload of a result frame: a part of the output tensor of the input with this CRC-32."""

    input_crc: int
    output_bytes: int
    offset: int
    data: bytes


def encode(frame: Frame) -> bytes:
    """The bytes on the wire."""
    body = bytes((frame.kind, frame.number)) + frame.payload
    return b"\0" + bytes(cobs.encode(body + zlib.crc32(body).to_bytes(CRC_BYTES, "little"))) + b"\0"


def wire_bytes(payload_bytes: int) -> int:
    """How many bytes a frame with such a payload takes on the wire at most."""
    body = HEADER_BYTES + payload_bytes + CRC_BYTES
    return body + body // 254 + 1 + 2


def decode(data: bytes) -> Frame | Damaged:
    """The frame whose bytes between its marks these are."""
    try:
        body = bytes(cobs.decode(data))
    except cobs.DecodeError:
        return Damaged(data)
    if len(body) < HEADER_BYTES + CRC_BYTES or zlib.crc32(body[:-CRC_BYTES]) != _u32(body[-CRC_BYTES:]):
        return Damaged(data)
    try:
        return Frame(Kind(body[0]), body[1], body[HEADER_BYTES:-CRC_BYTES])
    except ValueError:
        return Damaged(data)


def encode_result(result: Result) -> bytes:
    """Payload of a result frame."""
    numbers = (result.input_crc, result.output_bytes, result.offset)
    return b"".join(number.to_bytes(4, "little") for number in numbers) + result.data


def decode_result(payload: bytes) -> Result | None:
    """What a result frame tells; None when its payload is no such thing."""
    if len(payload) < RESULT_HEADER_BYTES:
        return None
    crc, size, offset = (_u32(payload[at : at + 4]) for at in (0, 4, 8))
    data = payload[RESULT_HEADER_BYTES:]
    return Result(crc, size, offset, data) if offset + len(data) <= size else None


def overlap_bytes(before: bytes, data: bytes, least: int) -> int:
    """With how many of the last bytes of `before` do `data` begin? 0 for fewer than `least`, or none easily found."""
    if len(data) < least:
        return 0
    at = max(0, len(before) - len(data)) - 1
    for _ in range(OVERLAP_TRIES):
        at = before.find(data[:least], at + 1)
        if at < 0:
            return 0
        if data.startswith(before[at:]):
            return len(before) - at
    return 0


class Splitter:
    """Takes a stream apart into text (bytes), frames and damaged ones, however it was cut into pieces."""

    def __init__(self) -> None:
        """Outside a frame."""
        self._inside: bytearray | None = None

    def feed(self, data: bytes) -> Iterator[bytes | Frame | Damaged]:
        """What `data` completes, in order; text as it comes. To be taken to its end."""
        at = 0
        while at < len(data):
            mark = data.find(MARK, at)
            piece = data[at:] if mark < 0 else data[at:mark]
            at = len(data) if mark < 0 else mark + 1
            if self._inside is None:
                if piece:
                    yield piece
            elif len(self._inside) + len(piece) > MAX_WIRE_BYTES:
                yield Damaged(self.drop())
            else:
                self._inside += piece
            if mark < 0:
                return
            if self._inside:
                yield decode(self.drop())
            else:
                self._inside = bytearray()

    def drop(self) -> bytes:
        """Leave the open frame, if any. Returns what it held so far."""
        held = bytes(self._inside or b"")
        self._inside = None
        return held


def _u32(data: bytes) -> int:
    return int.from_bytes(data, "little")
