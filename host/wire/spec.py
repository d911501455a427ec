"""wire.toml as typed Python values: commands, reply texts, limits. Read once."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

Origin = Literal["stock", "tinyjoule"]

# How a value of each type looks on the wire. `text` may hold brackets: the end of the line decides.
PATTERNS = {
    "text": r"[\x20-\x7e]*",
    "list": r"[\x20-\x7e]*",
    "key": r"[a-z0-9]+(?:-[a-z0-9]+)*",
    "u32": r"[0-9]{1,10}",
    "u64": r"[0-9]{1,20}",
    "hex8": r"[0-9a-f]{2}",
    "hex32": r"[0-9a-f]{8}",
    "hexes": r"[0-9a-fA-F]{2}(?:-[0-9a-fA-F]{2})*",
    # a trailing comma is a stock quirk; nan and inf are what printf makes of a broken model
    "floats": r"-?(?:[0-9]+(?:\.[0-9]+)?|inf|nan)(?:,-?(?:[0-9]+(?:\.[0-9]+)?|inf|nan))*,?",
    "hex": r"(?:[0-9a-fA-F]{2})+",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A value inside a text or a command."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Text:
    """A line of the device: `parts` are literal text and fields, in order."""

    name: str
    template: str
    parts: tuple[str | Field, ...]
    error: bool
    origin: Origin

    @property
    def fields(self) -> tuple[Field, ...]:
        """The values in it, in order."""
        return tuple(part for part in self.parts if isinstance(part, Field))

    @property
    def pattern(self) -> re.Pattern[str]:
        """A regular expression for the whole line, one named group a field."""
        return re.compile(
            "".join(
                re.escape(part) if isinstance(part, str) else f"(?P<{part.name}>{PATTERNS[part.type]})"
                for part in self.parts
            )
        )

    def filled(self, **values: str) -> str:
        """The line with `values` in the places of its fields."""
        return "".join(part if isinstance(part, str) else values[part.name] for part in self.parts)


@dataclass(frozen=True, slots=True)
class Command:
    """A command; `name` has a space in it when there is a subcommand."""

    name: str
    arguments: tuple[Field, ...]
    required: int
    answers: tuple[str, ...]
    help: tuple[str, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Limits:
    """See [limits] of wire.toml."""

    line_bytes: int
    data_bytes: int
    buffer_bytes: int
    terminator: str
    line_end: str
    error_begin: str
    error_end: str
    baud: int
    iterations: int
    warmup: int


@dataclass(frozen=True, slots=True)
class Frames:
    """See [frames] of wire.toml; `types` by name, e.g. types["data"] is 0x10."""

    version: int
    payload_bytes: int
    pause_ms: int
    revert_ms: int
    types: dict[str, int]


@dataclass(frozen=True, slots=True)
class Spec:
    """All of wire.toml; dictionaries keep its order."""

    limits: Limits
    frames: Frames
    vendor: str
    profile: str
    modes: tuple[str, ...]
    info_keys: tuple[str, ...]
    commands: dict[str, Command]
    replies: dict[str, Text]
    errors: dict[str, Text]
    reasons: dict[str, str]


def parse_text(name: str, template: str, *, error: bool, origin: Origin) -> Text:
    """Split a template at its {field:type} places."""
    parts: list[str | Field] = []
    for literal, field, kind in re.findall(r"([^{]+)|\{(\w+):(\w+)\}", template):
        if kind and kind not in PATTERNS:
            raise ValueError(f"wire.toml: {name}: unknown type {kind}")
        parts.append(literal or Field(field, kind))
    return Text(name, template, tuple(parts), error, origin)


@cache
def spec() -> Spec:
    """The protocol. The file ships with the package."""
    raw = tomllib.loads(resources.files(__package__).joinpath("wire.toml").read_text(encoding="utf-8"))
    commands = {}
    for item in raw["command"]:
        fields = tuple(Field(*argument.split(":")) for argument in item.get("arguments", []))
        commands[item["name"]] = Command(
            item["name"],
            fields,
            item.get("required", 0),
            tuple(item["answers"]),
            tuple(item["help"]),
            item.get("origin", "stock"),
        )
    errors = {
        name: parse_text(name, text, error=True, origin=origin)
        for origin, texts in raw["errors"].items()
        for name, text in texts.items()
    }
    ours = {name for item in commands.values() if item.origin == "tinyjoule" for name in item.answers}
    stock = {name for item in commands.values() if item.origin == "stock" for name in item.answers}
    return Spec(
        Limits(**raw["limits"]),
        Frames(**raw["frames"]),
        raw["identity"]["vendor"],
        raw["identity"]["profile"],
        tuple(raw["modes"]),
        tuple(raw["info"]),
        commands,
        {
            name: parse_text(name, text, error=False, origin="tinyjoule" if name in ours - stock else "stock")
            for name, text in raw["replies"].items()
        },
        errors,
        dict(raw["reasons"]),
    )
