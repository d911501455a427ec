"""Commands to bytes and reply lines to values; pure, and the only place of the host that knows the wire's spelling.

    encode("infer", 10, 1)  -> b"infer 10 1%"
    encode_load(data)       -> the `db load` and `db` commands that carry one input
    decode(line)            -> one of the dataclasses below (`Reply`)

How strict `decode` is:
- A line that has `m-ready` anywhere ends a reply (stock runners see it so): Ready, whatever else is in it.
- A line that one rule of wire.toml reads whole becomes that rule's class; every e- line is an Error.
- A line that claims to be the protocol's (`m-...`, `e-...`) but which no rule reads, or that holds a byte outside
  0x20..0x7e, raises GarbledReply.
- Any other printable line (help, a banner, an empty line) is Unknown: the caller has to notice what is missing.

Stock quirks taken in: a trailing comma in m-results, an oversize `db load` refused without `e-`, lines that end in LF.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from host.errors import GarbledReply, UsageError
from host.wire.spec import PATTERNS, Field, spec

U32_MAX = 2**32 - 1
SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Ready:
    """`m-ready`: the reply is complete. `rest` is what else the line holds: a line end was lost, or ""."""

    rest: str = ""


@dataclass(frozen=True, slots=True)
class InitDone:
    """`m-init-done`: the device has booted."""


@dataclass(frozen=True, slots=True)
class TimestampMode:
    """What a window gives: performance (lap lines), energy (falling edges of the timing pin) or both."""

    mode: str


@dataclass(frozen=True, slots=True)
class Lap:
    """The device's clock in microseconds, as a rule modulo 2^32: see lap_us()."""

    us: int


@dataclass(frozen=True, slots=True)
class Name:
    """Answer to `name`."""

    vendor: str


@dataclass(frozen=True, slots=True)
class Profile:
    """First answer to `profile`."""

    profile: str


@dataclass(frozen=True, slots=True)
class Model:
    """The active model's id."""

    model: str


@dataclass(frozen=True, slots=True)
class Expecting:
    """The device waits for `count` bytes of input."""

    count: int


@dataclass(frozen=True, slots=True)
class LoadDone:
    """The input is there, all of it."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """Up to 8 bytes of the input, as `db print` shows them."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Crc32:
    """CRC-32 (zlib's) of the input loaded whole."""

    crc: int


@dataclass(frozen=True, slots=True)
class WarmupStart:
    """`count` inferences follow that are not timed."""

    count: int


@dataclass(frozen=True, slots=True)
class WarmupDone:
    """The warm-up is over."""


@dataclass(frozen=True, slots=True)
class InferStart:
    """`count` inferences follow that are timed."""

    count: int


@dataclass(frozen=True, slots=True)
class InferDone:
    """The timed window is over."""


@dataclass(frozen=True, slots=True)
class Results:
    """The output tensor, dequantised, three decimals."""

    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ProfOperator:
    """What operator `index` of the model took in `runs` runs together; cycles 0: the core does not count them."""

    index: int
    runs: int
    us: int
    cycles: int


@dataclass(frozen=True, slots=True)
class ProfWhole:
    """What as many inferences took that were not observed."""

    runs: int
    us: int
    cycles: int


@dataclass(frozen=True, slots=True)
class Output:
    """Size and CRC-32 (zlib's) of the output tensor's bytes."""

    count: int
    crc: int


@dataclass(frozen=True, slots=True)
class Raw:
    """Up to 8 bytes of the output tensor, as they lie in the device's memory."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Info:
    """One fact of `info`."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Frames:
    """Binary frames of `version` are on (0: off): `payload` data bytes in one at most, `window` bytes may be unread."""

    version: int
    payload: int
    window: int


@dataclass(frozen=True, slots=True)
class Baud:
    """The UART's rate after this reply."""

    baud: int


@dataclass(frozen=True, slots=True)
class Error:
    """The device refused. `text` is without `e-[` and `]`; `kind` is its name in wire.toml, "" if it is not there."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Free text: help, a banner, an empty line."""

    text: str


Reply = (
    Ready
    | InitDone
    | TimestampMode
    | Lap
    | Name
    | Profile
    | Model
    | Expecting
    | LoadDone
    | Buffer
    | Crc32
    | WarmupStart
    | WarmupDone
    | InferStart
    | InferDone
    | Results
    | Output
    | Raw
    | ProfOperator
    | ProfWhole
    | Info
    | Frames
    | Baud
    | Error
    | Unknown
)


def _u32(text: str) -> int:
    value = int(text)
    if value > U32_MAX:
        raise ValueError(f"{text} needs more than 32 bits")
    return value


def _floats(text: str) -> tuple[float, ...]:
    return tuple(float(item) for item in text.removesuffix(",").split(","))


# From a reply's name in wire.toml to its class, made of the line's fields. A test holds the two in step.
_MAKERS: dict[str, Callable[..., Reply]] = {
    "init_done": InitDone,
    "timestamp_mode": TimestampMode,
    "lap": Lap,
    "name": Name,
    "profile": Profile,
    "model": Model,
    "expecting": Expecting,
    "load_done": LoadDone,
    "buffer": Buffer,
    "crc32": Crc32,
    "warmup_start": WarmupStart,
    "warmup_done": WarmupDone,
    "infer_start": InferStart,
    "infer_done": InferDone,
    "results": Results,
    "output": Output,
    "raw": Raw,
    "prof_operator": ProfOperator,
    "prof_whole": ProfWhole,
    "info": Info,
    "frames": Frames,
    "baud": Baud,
}

_CONVERTERS: dict[str, Callable[[str], object]] = {
    "text": str,
    "list": str,
    "key": str,
    "u32": _u32,
    "u64": int,
    "hex8": lambda text: int(text, 16),
    "hex32": lambda text: int(text, 16),
    "hexes": lambda text: bytes.fromhex(text.replace("-", "")),
    "floats": _floats,
}

_READY = spec().replies["ready"].template
_REPLIES = [(text.pattern, text.fields, _MAKERS[name]) for name, text in spec().replies.items() if name != "ready"]
_ERRORS = [(text.pattern, name) for name, text in spec().errors.items()]
_BRACKETED = re.compile(r"e-\[(.*)\]")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


def _decode_error(line: str) -> Error | None:
    bracketed = _BRACKETED.fullmatch(line)
    text = bracketed[1] if bracketed else line
    for pattern, name in _ERRORS:
        if pattern.fullmatch(line):
            return Error(text, name)
    return Error(text) if bracketed else None


def shown(text: str) -> str:
    """What the device sent, cut to what a message can hold: log.jsonl has it whole."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def decode(line: bytes | str) -> Reply:
    """Read one line of a reply, with or without its line end. Raises GarbledReply; see the module's docstring."""
    text = line.decode("latin-1") if isinstance(line, bytes) else line
    text = text.rstrip("\r\n")
    if _READY in text:
        return Ready(text.replace(_READY, "", 1))
    if not _PRINTABLE.fullmatch(text):
        raise GarbledReply(
            f"unprintable bytes from the device: {shown(text)!r}; check baud rate and wiring, then try again"
        )
    for pattern, fields, make in _REPLIES:
        match = pattern.fullmatch(text)
        if match:
            try:
                return make(**{field.name: _CONVERTERS[field.type](match[field.name]) for field in fields})
            except ValueError as why:
                raise GarbledReply(f"the device sent {shown(text)!r}: {why}; check the line, then try again") from why
    error = _decode_error(text)
    if error:
        return error
    if text.startswith(("m-", "e-")):
        raise GarbledReply(f"no rule of the protocol reads {shown(text)!r}; check the line, then try again")
    return Unknown(text)


def _argument(command: str, field: Field, value: str | int | bytes) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    if not text or not re.fullmatch(PATTERNS[field.type], text) or {" ", spec().limits.terminator} & set(text):
        raise UsageError(f"{command}: {field.name} cannot be {text!r}; it takes {field.type}")
    if field.type == "u32" and int(text) > U32_MAX:
        raise UsageError(f"{command}: {field.name} is {text}, at most {U32_MAX} is possible")
    return text


def encode(name: str, *arguments: str | int | bytes) -> bytes:
    """One command of wire.toml as bytes, terminator included, e.g. encode("db load", 490), encode("db", b"...").

    Raises UsageError for an unknown command, a wrong number of arguments, a value of the wrong type or too long a line.
    """
    command = spec().commands.get(name)
    if command is None:
        raise UsageError(f"no command {name!r}; there are {', '.join(spec().commands)}")
    if not command.required <= len(arguments) <= len(command.arguments):
        raise UsageError(f"{name}: {len(arguments)} arguments, it takes {command.required} to {len(command.arguments)}")
    texts = [_argument(name, field, value) for field, value in zip(command.arguments, arguments, strict=False)]
    line = " ".join([name, *texts])
    limits = spec().limits
    if len(line) > limits.line_bytes:
        raise UsageError(f"{name}: the line has {len(line)} characters, at most {limits.line_bytes} are possible")
    return (line + limits.terminator).encode("ascii")


def encode_load(data: bytes) -> Iterator[bytes]:
    """The commands that load one input: `db load`, then `db` with up to 31 bytes each. Each has its own reply."""
    step = spec().limits.data_bytes
    yield encode("db load", len(data))
    for start in range(0, len(data), step):
        yield encode("db", data[start : start + step])


def lap_us(start: Lap, end: Lap) -> int:
    """Microseconds from one lap to the next: right over one wrap of a 32-bit clock, wrong over two (71 minutes)."""
    return end.us - start.us if end.us >= start.us else (end.us - start.us) % (U32_MAX + 1)
