"""Our own firmware in memory: StockDevice without its defects, with the extensions that a host uses; frames too."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from host import frames
from host.frames import Damaged, Frame, Kind, Result
from host.link.stock import Answer, StockDevice
from host.wire.spec import spec


def checksum_output(data: bytes, output_bytes: int) -> bytes:
    """The output tensor that the fake device gives for an input: bytes that tell any two inputs apart."""
    parts, crc = b"", zlib.crc32(data)
    while len(parts) < output_bytes:
        parts += crc.to_bytes(4, "little")
        crc = zlib.crc32(parts[-4:], crc)
    return parts[:output_bytes]


@dataclass
class TinyjouleDevice(StockDevice):
    """One device. baud_max: of its line, 0 when it has no rate; baud: the rate now; impossible_bauds: refused ones.

    payload and window: what `frames` announces. output_bytes: of the output tensor. runs: inferences made.
    """

    models: tuple[str, ...] = ("ic01", "kws01")
    has_frames: bool = True
    payload: int = 1024
    window: int = 32768
    output_bytes: int = 12
    baud_max: int = 0
    impossible_bauds: tuple[int, ...] = ()
    baud: int = 115200
    next_baud: int | None = None
    runs: int = 0
    framing: Framing = field(init=False)

    def __post_init__(self) -> None:
        """Frames are off."""
        super().__post_init__()
        self.framing = Framing(self)

    @property
    def tensor(self) -> bytes:
        """The input, whole."""
        return bytes(self.buffer[: self.expected]) if self.whole() else b""

    def crash(self) -> Answer:
        """It does not."""
        return ["e-[Empty command]"]

    def reset(self) -> Answer:
        """Frames are off, and the line has its first rate."""
        self.framing.enabled = False
        self.baud, self.next_baud, self.model = 115200, None, "kws01"
        return super().reset()

    def do_info(self, _arguments: list[str]) -> Answer:
        """`info`."""
        facts = {
            "version": "0.1.0", "build-id": "0123456789abcdef", "board": "fake", "core-hz": 0,
            "engine": "tflite_c 0.1.0", "compiler": "none", "flags": "-O2", "models": ",".join(self.models),
            "model": self.model, "model-sha256": "0" * 64, "model-bytes": 1, "arena-bytes": 2,
            "arena-capacity-bytes": 3, "input-bytes": 4, "output-elements": 3, "mode": self.mode, "cycles": "none",
            "baud-max": self.baud_max,
        }  # fmt: skip
        return [f"m-info-{key}-[{value}]" for key, value in facts.items()]

    def do_model(self, arguments: list[str]) -> Answer:
        """`model ID`: drops the input."""
        if arguments and arguments[0] not in self.models:
            return [f"e-[Unknown model: {arguments[0]}]"]
        self.model = arguments[0] if arguments else self.model
        self.expected = self.received = 0
        self.framing.before = b""
        return [f"m-model-[{self.model}]"]

    def do_mode(self, arguments: list[str]) -> Answer:
        """`mode MODE`."""
        if arguments and arguments[0] not in ("performance", "energy", "both"):
            return [f"e-[Unknown mode: {arguments[0]}]"]
        self.mode = arguments[0] if arguments else self.mode
        return [f"m-timestamp-mode-{self.mode}"]

    def do_db(self, arguments: list[str]) -> Answer:
        """`db crc` too; a size of our own firmware is a number, and data want a load."""
        if arguments == ["crc"]:
            return [f"m-crc32-[{zlib.crc32(self.tensor):08x}]"] if self.whole() else ["e-[No input is loaded]"]
        if arguments[:1] == ["load"]:
            self.framing.before = b""
        if arguments[:1] == ["load"] and len(arguments) > 1 and not arguments[1].isdecimal():
            return [f"e-[Invalid number: {arguments[1]}]"]
        if arguments[:1] not in ([], ["load"], ["print"]):
            if self.expected == 0 or self.expected > self.capacity:
                return ["e-[Data before 'db load']"]
            if self.whole():
                return []
        return StockDevice.do_db(self, arguments)

    def do_infer(self, arguments: list[str]) -> Answer:
        """Refuse without a whole input."""
        if not self.whole():
            return ["e-[No input is loaded]"]
        self.runs += 1
        return StockDevice.do_infer(self, arguments)

    def do_frames(self, arguments: list[str]) -> Answer:
        """`frames VERSION`."""
        if not self.has_frames:
            return ["e-[Unknown command: frames]"]
        known = spec().frames.version
        if arguments not in (["0"], [str(known)]):
            return [f"e-[Frames of version {' '.join(arguments)} are unknown, version {known} is known]"]
        self.framing.start(enabled=arguments != ["0"])
        return [f"m-frames-[version {arguments[0]}, payload {self.payload}, window {self.window}]"]

    def do_baud(self, arguments: list[str]) -> Answer:
        """`baud N`: the link changes it when the answer has left."""
        baud = int(arguments[0]) if arguments and arguments[0].isdecimal() else 0
        if not 0 < baud <= self.baud_max or baud in self.impossible_bauds:
            return [f"e-[Baud {baud} is not possible]"]
        self.next_baud = baud
        return [f"m-baud-[{baud}]"]

    def whole(self) -> bool:
        """Whether an input is there."""
        return 0 < self.expected == self.received

    def infer_frame(self, data: bytes) -> bytes:
        """The output tensor of one inference of `data`, which is the input now."""
        self.runs += 1
        return checksum_output(data, self.output_bytes)


class Framing:
    """The frame side of a fake device: receives in order, asks again once per gap, answers."""

    def __init__(self, device: TinyjouleDevice) -> None:
        """Off, until `start`."""
        self._device = device
        self.start(enabled=False)

    def start(self, *, enabled: bool) -> None:
        """Number 0 is wanted, and what has come of an input is dropped."""
        self.enabled = enabled
        self._splitter = frames.Splitter()
        self._wanted = 0
        self._asked = False
        self._input = bytearray()
        self._spoilt = False
        self.before = b""  # the input that the next one may keep a part of

    def take(self, byte: int) -> bytes | None:
        """What the device answers to one byte; None when the byte is text."""
        if not self.enabled:
            return None
        for part in self._splitter.feed(bytes((byte,))):
            if isinstance(part, bytes):
                return None
            return self._again() if isinstance(part, Damaged) else self._frame(part)
        return b""

    def pause(self) -> None:
        """The bytes have paused for longer than a frame's may: what comes next is text."""
        self._splitter.drop()

    def _again(self) -> bytes:
        if self._asked:
            return b""
        self._asked = True
        return frames.encode(Frame(Kind.AGAIN, self._wanted))

    def _accepted(self) -> bytes:
        return frames.encode(Frame(Kind.ACCEPTED, self._wanted))

    def _frame(self, frame: Frame) -> bytes:
        ahead = (frame.number - self._wanted) % 256
        if ahead >= 128:
            return self._accepted()
        if ahead:
            return self._again()
        self._wanted = (self._wanted + 1) % 256
        self._asked = False
        if frame.kind == Kind.PING:
            return self._accepted()
        before, self.before = self.before, b""
        if frame.kind == Kind.DATA:
            self._input += frame.payload
            return self._accepted()
        if frame.kind == Kind.KEEP:
            return self._keep(frame, before) + self._accepted()
        return self._end(frame)

    def _keep(self, frame: Frame, before: bytes) -> bytes:
        """The input begins like the one before it ended; answers why it does not."""
        count = int.from_bytes(frame.payload, "little")
        if self._spoilt:
            return b""
        if 0 < count <= len(before):
            self._input += before[-count:]
            return b""
        self._spoilt = True
        line = spec().errors["keep"].filled(count=str(count), size=str(len(before)))
        return self._refuse(frame, line.removeprefix(spec().limits.error_begin).removesuffix(spec().limits.error_end))

    def _end(self, frame: Frame) -> bytes:
        """The last frame of an input."""
        data = bytes(self._input) + frame.payload[: -frames.INPUT_CRC_BYTES]
        self._input.clear()
        crc = zlib.crc32(data)
        device, spoilt = self._device, self._spoilt
        self._spoilt = False
        if spoilt or frame.payload[-frames.INPUT_CRC_BYTES :] != crc.to_bytes(4, "little"):
            return self._refuse(frame, "The load failed: start again with 'db load'") + self._accepted()
        if len(data) > device.capacity:
            text = spec().errors["oversize"].filled(size=str(len(data)), limit=str(device.capacity))
            return self._refuse(frame, text) + self._accepted()
        device.buffer[: len(data)] = data
        device.expected = device.received = len(data)
        self.before = data
        if frame.kind == Kind.LOAD:
            return self._accepted()
        output, step = device.infer_frame(data), device.payload - frames.RESULT_HEADER_BYTES
        parts = [Result(crc, len(output), at, output[at : at + step]) for at in range(0, max(len(output), 1), step)]
        results = (frames.encode(Frame(Kind.RESULT, frame.number, frames.encode_result(part))) for part in parts)
        return self._accepted() + b"".join(results)

    def _refuse(self, frame: Frame, text: str) -> bytes:
        return frames.encode(Frame(Kind.REFUSED, frame.number, text.encode()))
