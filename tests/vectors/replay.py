"""Dialogues with a device, written down in *.toml, replayed over any `host.link.Link`.

    [[dialogue]]
    name = "..."
    where = "any"            # any: every tinyjoule device; core: needs the models or the faults of wire_harness.c
    image = "normal"         # core only: "empty" has no model, "refused" cannot run the first one
    boot = true              # begins with the banner: the device is reset first
    clock_us = 4294967290    # core only, with boot: the clock's start
    [[dialogue.step]]
    send = "db load 4%"      # or hex = "00ff25", or overrun = true (core only)
    expect = ["Expecting: m-[Expecting 4 bytes]"]   # class in the codec, then the line; m-ready must follow
    [[dialogue.step]]
    load = 4                 # bytes, or "whole" for as many as the active model needs: 0, 1, 2, ... modulo 251
    [[dialogue.step]]
    frames = ["data 0 0011", "run 1 2233 crc"]  # a frame's type (or 0x..), number and payload; crc: of the input,
                             # without what `keep` keeps
    answers = ["accepted 1", "accepted 2", "result 1", "refused 1 Error/frame_short: e-[...]"]  # these and no others
    [[dialogue.step]]
    stream = "run"           # or "load": as many bytes as the active model needs in frames numbered from 0 on

An Error names its kind too, "Error/empty: e-[Empty command]". `Unknown*: ` is any number of such lines.
`ready = false` means that nothing at all is answered; `more = true` that the answer to the next step follows at once.
In a line, {name} is a fact of `info` with _ for -, or {crc} of the input loaded last; <type> is a type of wire.toml.
"""

from __future__ import annotations

import re
import struct
import time
import tomllib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobs import cobs

from host.link import Link
from host.wire import codec
from host.wire.spec import PATTERNS, spec

FOLDER = Path(__file__).parent
TYPES = spec().frames.types
FRAME = re.compile(rb"\0+([^\0]+)\0")
QUIET_S = 10.0
"""Nothing for so long after a frame: the device has dropped it."""
TRIES = 3
SAMPLES = {"u32": "4294967295", "u64": "12345", "floats": "0.000,-1.250,nan,inf", "hexes": "00-ff", "hex32": "00c0ffee"}
SAMPLES |= {"hex8": "0a", "key": "performance", "text": "any [text]", "list": "a,b"}


@dataclass(frozen=True)
class Expected:
    """One line of an answer."""

    type: str
    kind: str
    line: str
    many: bool

    @classmethod
    def parse(cls, text: str) -> Expected:
        head, _, line = text.partition(": ")
        name, _, kind = head.removesuffix("*").partition("/")
        return cls(name, kind, line, head.endswith("*"))

    def sample(self) -> str:
        """A line that fits."""
        line = re.sub(r"<(\w+)>", lambda match: SAMPLES[match[1]], self.line)
        return re.sub(r"\{(\w+)\}", lambda match: "00c0ffee" if match[1] == "crc" else "1", line)

    def fits(self, line: str, facts: dict[str, str]) -> bool:
        filled = re.sub(r"\{(\w+)\}", lambda match: facts[match[1]], self.line)
        parts = re.split(r"<(\w+)>", filled)
        pattern = "".join(re.escape(part) if at % 2 == 0 else f"(?:{PATTERNS[part]})" for at, part in enumerate(parts))
        return re.fullmatch(pattern, line) is not None and self.decodes(line)

    def decodes(self, line: str) -> bool:
        reply = codec.decode(line)
        return type(reply).__name__ == self.type and (not isinstance(reply, codec.Error) or reply.kind == self.kind)


@dataclass(frozen=True)
class Dialogue:
    """One dialogue of a file; `steps` as written."""

    file: str
    name: str
    where: str
    image: str
    boot: bool
    clock_us: int
    steps: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"

    def expected(self) -> Iterator[Expected]:
        for step in self.steps:
            yield from map(Expected.parse, step.get("expect", []))
            yield from (
                Expected.parse(text.split(" ", 2)[2]) for text in step.get("answers", []) if text.startswith("refused")
            )


def dialogues() -> list[Dialogue]:
    """All of them, in the order of the files."""
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        for raw in tomllib.loads(path.read_text())["dialogue"]:
            image, boot, clock_us = raw.get("image", "normal"), raw.get("boot", False), raw.get("clock_us", 0)
            where = raw.get("where", "any")
            found.append(Dialogue(path.name, raw["name"], where, image, boot, clock_us, tuple(raw["step"])))
    return found


def frame(kind: int, number: int, payload: bytes = b"") -> bytes:
    """A frame as it is on the wire, delimiters included."""
    content = bytes([kind, number]) + payload
    return b"\0" + cobs.encode(content + struct.pack("<I", zlib.crc32(content))) + b"\0"


def read_frame(coded: bytes) -> tuple[int, int, bytes]:
    """Type, number and payload of a frame without its delimiters; AssertionError when its CRC is wrong."""
    content = cobs.decode(coded)
    assert struct.unpack("<I", content[-4:])[0] == zlib.crc32(content[:-4]), f"a damaged frame: {coded!r}"
    return content[0], content[1], content[2:-4]


class Lines:
    """Takes what a device says apart: lines, replies, frames."""

    def __init__(self, link: Link, timeout_s: float) -> None:
        self._link, self._timeout_s, self._bytes = link, timeout_s, b""

    def next(self) -> str:
        deadline = time.monotonic() + self._timeout_s
        while b"\n" not in self._bytes:
            assert time.monotonic() < deadline, f"no whole line within {self._timeout_s} s, only {self._bytes!r}"
            self._bytes += self._link.read(0.2)
        line, _, self._bytes = self._bytes.partition(b"\n")
        assert line.endswith(b"\r"), f"ended by LF only: {line!r}"
        return line[:-1].decode("ascii")

    def wait_for_frame(self, timeout_s: float) -> bool:
        """Whether a frame has come within so many seconds."""
        deadline = time.monotonic() + timeout_s
        while not FRAME.match(self._bytes) and time.monotonic() < deadline:
            self._bytes += self._link.read(0.2)
        return FRAME.match(self._bytes) is not None

    def forget(self) -> None:
        """What has come and was not looked at."""
        self._bytes = b""

    def frame(self) -> tuple[int, int, bytes]:
        """The next frame: type, number, payload."""
        deadline = time.monotonic() + self._timeout_s
        while not (match := FRAME.match(self._bytes)):
            assert time.monotonic() < deadline, f"no whole frame within {self._timeout_s} s, only {self._bytes!r}"
            self._bytes += self._link.read(0.2)
        self._bytes = self._bytes[match.end() :]
        return read_frame(match[1])

    def reply(self, *, more: bool = False) -> list[str]:
        """The lines up to m-ready, without it; with `more`, another reply may follow at once."""
        lines = [self.next()]
        while lines[-1] != "m-ready":
            lines.append(self.next())
        assert more or not self._bytes, f"more than one reply: {self._bytes!r}"
        return lines[:-1]


def _check(lines: list[str], expected: list[Expected], facts: dict[str, str]) -> None:
    rest = list(lines)
    for at, item in enumerate(expected):
        while item.many and rest and not (at + 1 < len(expected) and expected[at + 1].fits(rest[0], facts)):
            assert item.fits(rest[0], facts), f"{rest[0]!r} is no {item.type}"
            rest.pop(0)
        if not item.many:
            assert rest, f"missing: {item.line}; the reply was {lines}"
            assert item.fits(rest[0], facts), f"{rest[0]!r} is not {item.type} {item.line!r}; the reply was {lines}"
            rest.pop(0)
    assert not rest, f"not expected: {rest}"


def _ask(link: Link, lines: Lines, command: bytes) -> list[str]:
    link.write(command)
    return lines.reply()


def read_facts(link: Link, timeout_s: float = 30.0) -> dict[str, str]:
    """What `info` says."""
    replies = map(codec.decode, _ask(link, Lines(link, timeout_s), codec.encode("info")))
    return {reply.key.replace("-", "_"): reply.value for reply in replies if isinstance(reply, codec.Info)}


def _load(link: Link, lines: Lines, size: int) -> str:
    data = bytes(at % 251 for at in range(size))
    commands = list(codec.encode_load(data))
    for at, command in enumerate(commands):
        answer = [f"m-[Expecting {size} bytes]"] if at == 0 else []
        answer += ["m-load-done"] if at == len(commands) - 1 else []
        assert _ask(link, lines, command) == answer
    return f"{zlib.crc32(data):08x}"


def _frames(texts: list[str]) -> Iterator[bytes]:
    data = b""
    for text in texts:
        kind, number, *words = text.split()
        payload = bytes.fromhex("".join(word for word in words if word != "crc"))
        data += b"" if kind == "keep" else payload
        crc = struct.pack("<I", zlib.crc32(data)) if "crc" in words else b""
        yield frame(TYPES[kind] if kind in TYPES else int(kind, 16), int(number), payload + crc)
        data = b"" if crc else data


def _check_frame(got: tuple[int, int, bytes], text: str, facts: dict[str, str]) -> None:
    kind, number, *line = text.split(" ", 2)
    assert got[:2] == (TYPES[kind], int(number)), f"{got} is not {text}"
    if kind == "refused":
        limits = spec().limits
        around = line[0].partition(": ")[2].startswith(limits.error_begin)
        told = got[2].decode("ascii")
        expected = Expected.parse(line[0])
        assert expected.fits(limits.error_begin + told + limits.error_end if around else told, facts), got


def send_input(link: Link, lines: Lines, last: str, data: bytes, number: int = 0) -> tuple[int, bytes]:
    """Send an input in frames from `number` on, each one when that before was accepted; `last`: load or run.

    Returns the number of the frame after it and, for `run`, the output tensor.
    """
    step = spec().frames.payload_bytes
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    if len(pieces[-1]) > step - 4:
        pieces.append(b"")
    for at, piece in enumerate(pieces):
        end = at == len(pieces) - 1
        crc = struct.pack("<I", zlib.crc32(data)) if end else b""
        whole = frame(TYPES[last if end else "data"], (number + at) % 256, piece + crc)
        for _ in range(TRIES):
            link.write(whole)
            if lines.wait_for_frame(QUIET_S):
                break  # else a busy machine made a pause in it: the device took the rest for text
            lines.forget()
        assert lines.frame() == (TYPES["accepted"], (number + at + 1) % 256, b"")
    number = (number + len(pieces)) % 256
    output = b""
    total = 1 if last == "run" else 0
    while len(output) < total:
        kind, of, payload = lines.frame()
        crc32, total, offset = struct.unpack("<III", payload[:12])
        assert (kind, of) == (TYPES["result"], (number - 1) % 256)
        assert (crc32, offset) == (zlib.crc32(data), len(output))
        output += payload[12:]
    assert len(output) == total
    return number, output


def replay(
    dialogue: Dialogue,
    link: Link,
    *,
    reset: Callable[[], None] | None = None,
    overrun: Callable[[], None] | None = None,
    timeout_s: float = 30.0,
) -> None:
    """Hold the dialogue over `link`; AssertionError tells the first difference.

    `link` is to a tinyjoule device that has said all it had to say. Unless the dialogue boots, it is brought to a known
    state first: the first model of `info` selected anew (no input loaded), mode performance.
    `reset` boots the device, for dialogues with `boot`; `overrun` makes its UART lose a byte, for those with `overrun`.
    """
    lines = Lines(link, timeout_s)
    facts: dict[str, str] = {}
    if dialogue.boot:
        assert reset is not None, "this dialogue boots the device: replay(..., reset=...)"
        reset()
    else:
        facts = read_facts(link, timeout_s)
        models = facts["models"].split(",")
        assert _ask(link, lines, codec.encode("model", models[0])) == [f"m-model-[{models[0]}]"]
        assert _ask(link, lines, codec.encode("mode", "performance")) == ["m-timestamp-mode-performance"]
        facts = read_facts(link, timeout_s)
    for step in dialogue.steps:
        if "load" in step:
            facts["crc"] = _load(link, lines, int(facts["input_bytes"]) if step["load"] == "whole" else step["load"])
            continue
        if "stream" in step:
            data = bytes(at % 251 for at in range(int(facts["input_bytes"])))
            send_input(link, lines, step["stream"], data)
            facts["crc"] = f"{zlib.crc32(data):08x}"
            continue
        if "answers" in step:
            link.write(bytes.fromhex(step.get("hex", "")) + b"".join(_frames(step.get("frames", []))))
            for answer in step["answers"]:
                _check_frame(lines.frame(), answer, facts)
            assert link.read(0.2) == b"", "a frame that nothing asked for"
            continue
        if step.get("overrun"):
            assert overrun is not None, "this dialogue needs a UART overrun: replay(..., overrun=...)"
            overrun()
        text = re.sub(r"\{(\w+)\}", lambda match: facts[match[1]], step.get("send", ""))
        data = bytes.fromhex(step["hex"]) if "hex" in step else text.encode("ascii")
        if data:
            link.write(data)
        if step.get("ready", True):
            _check(
                lines.reply(more=step.get("more", False)),
                [Expected.parse(item) for item in step.get("expect", [])],
                facts,
            )
        else:
            assert link.read(0.2) == b"", "an answer that nothing asked for"
