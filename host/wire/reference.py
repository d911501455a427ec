# SPDX-License-Identifier: Apache-2.0
"""The reference of the protocol, as Markdown for the guides: made of wire.toml, its comments included.

A comment at the end of a key's line (and the lines below it that hold only a comment) is about that key; the comment
lines above a table's name are about the table.
"""

from __future__ import annotations

import re
import tomllib
import zlib
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from host.wire.spec import Command, Spec, Text, spec

HEAD: Final = """\
# The device protocol

What goes over the line between a host and a board. Any MLPerf Tiny runner drives our firmware by it, and our host
drives any MLPerf Tiny firmware. This page is made from `host/wire/wire.toml`, which both ends are made from too.

- A **command** is ASCII: its fields, one space between them, and `{terminator}`. There is no line end.
- A **reply** is lines, each ended by CR LF; the last one of every reply, errors included, is `{ready}`.
- The line is 8N1 at {baud} baud, unless somebody set [another rate](#baud).
- *stock* is what any MLPerf Tiny firmware has, *tinyjoule* what ours has besides. Stock runners never use the latter.

After a reset the firmware says, before it takes commands:

```text
{banner}
```
"""

TYPES: Final = {
    "text": "printable ASCII",
    "list": "printable ASCII",
    "key": "lower-case words and digits, dashes between",
    "u32": "decimal, 0 to 4294967295",
    "u64": "decimal, 0 to 18446744073709551615",
    "hex8": "2 lower-case hex digits",
    "hex32": "8 lower-case hex digits",
    "hex": "hex digits, an even number of them",
    "hexes": "bytes as two hex digits each, dashes between",
    "floats": "numbers with three places behind the point, commas between",
}

_LINE: Final = re.compile(r'^(?P<key>[\w-]+) = (?:"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^"#]*?)\s*(?:# (?P<note>.*))?$')
_MORE: Final = re.compile(r"^\s{4,}# (?P<note>.*)$")
_TABLE: Final = re.compile(r"^\[+(?P<name>[\w.]+)\]+(?:\s*# (?P<note>.*))?$")


def wire_text() -> str:
    """wire.toml as it stands."""
    return resources.files(__package__).joinpath("wire.toml").read_text(encoding="utf-8")


def comments(text: str) -> tuple[dict[tuple[str, str], str], dict[str, list[str]]]:
    """What is said of each (table, key), and the comment lines above each table's name or key, by "table" or
    "table.key". A command's table is "command." and its name."""
    notes: dict[tuple[str, str], str] = {}
    above: dict[str, list[str]] = {}
    table, last, block = "", "", list[str]()
    for line in text.splitlines():
        if match := _TABLE.match(line):
            table, last = match["name"], ""
            above[table], block = block, []
        elif match := _LINE.match(line):
            last = match["key"]
            if table.startswith("command") and last == "name":
                table = "command." + line.split('"')[1]
            above[f"{table}.{last}"], block = block, []
            if match["note"]:
                notes[table, last] = match["note"].strip()
        elif (match := _MORE.match(line)) and last:
            notes[table, last] = f"{notes.get((table, last), '')} {match['note'].strip()}".strip()
        elif line.startswith("#"):
            block.append(line.removeprefix("#").removeprefix(" "))
        else:
            block = []
    return notes, above


def anchor(name: str) -> str:
    """Of a command: its name with dashes."""
    return name.replace(" ", "-")


def _cell(text: str) -> str:
    return re.sub(r"([\\*_\[\]|<>])", r"\\\1", text) if "`" not in text else text.replace("|", "\\|")


def _table(head: str, rows: Sequence[tuple[str, ...]]) -> str:
    titles = head.split("|")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def _syntax(command: Command) -> str:
    """As `help` writes it, e.g. `db load N`."""
    return command.help[0].partition(": ")[0].rstrip(": ")


def _said(command: Command) -> str:
    return _cell(" ".join(line.partition(": ")[2] for line in command.help))


def _answers(wire: Spec, command: Command) -> str:
    """What comes before `m-ready`; an error among the answers comes instead of them."""
    lines = [f"- [`{wire.replies[name].template}`](#reply-{name})" for name in command.answers if name in wire.replies]
    lines += [
        f"- or [`{wire.errors[name].template}`](#error-{name})" for name in command.answers if name in wire.errors
    ]
    return "\n".join(lines) or "- the list of commands, a line each"


def _command(wire: Spec, command: Command, note: str) -> str:
    said = _said(command)
    lines = [
        f"### {command.name} {{#{anchor(command.name)}}}\n",
        f"`{_syntax(command)}{wire.limits.terminator}` ({command.origin}): {said}.\n",
    ]
    if command.arguments:
        rows = [
            (f"`{field.name}`", f"{TYPES[field.type]}", "" if at < command.required else "yes")
            for at, field in enumerate(command.arguments)
        ]
        lines += [
            _table("argument|what it is|may be left out", rows),
            f"{_cell(note[:1].upper() + note[1:])}.\n" if note else "",
        ]
    return "\n".join([*lines, "Lines of the reply:\n", _answers(wire, command), ""])


def _named(kind: str, name: str) -> str:
    return f"`{name}`{{#{kind}-{name}}}"


def _texts(kind: str, texts: list[Text], notes: dict[str, str]) -> str:
    rows = [
        # Every firmware boots with its mode, whoever may change it.
        (_named(kind, one.name), f"`{one.template}`", "stock" if one.name == "timestamp_mode" else one.origin, note)
        for one, note in ((one, _cell(notes.get(one.name, ""))) for one in texts)
    ]
    return _table("name|line|whose|what to know", rows)


def _numbers(raw: dict[str, Any], table: str, notes: dict[tuple[str, str], str]) -> str:
    rows = [
        (f"`{key}`", f"`{str(value).encode('unicode_escape').decode()}`", _cell(notes.get((table, key), "")))
        for key, value in raw[table].items()
        if not isinstance(value, dict)
    ]
    return _table("limit|value|what it is", rows)


def _frame_types(wire: Spec, above: dict[str, list[str]], notes: dict[tuple[str, str], str]) -> str:
    """`# from the host; ...` above a type begins a direction."""
    rows, sender = [], ""
    for name, value in wire.frames.types.items():
        for line in above[f"frames.types.{name}"]:
            sender = "device" if "from the device" in line else "host"
        rows.append((_named("frame", name), f"`0x{value:02X}`", sender, _cell(notes["frames.types", name])))
    return _table("type|code|from|payload", rows)


def _dialogue(wire: Spec, command: str, *lines: str) -> str:
    """A command and its reply, as both look on the line."""
    answer = "\n".join([*lines, wire.replies["ready"].template])
    return f"```text\n{command}{wire.limits.terminator}\n{answer}\n```\n"


def _example(wire: Spec) -> str:
    """One inference, by text."""
    lines = wire.replies
    data = bytes.fromhex("00ff2a07")
    return "\n".join(
        [
            "An input of 4 bytes, one inference to warm up and one that is timed:\n",
            _dialogue(wire, f"db load {len(data)}", lines["expecting"].filled(count=str(len(data)))),
            _dialogue(wire, f"db {data.hex()}", lines["load_done"].filled()),
            _dialogue(wire, "db crc", lines["crc32"].filled(crc=f"{zlib.crc32(data):08x}")),
            _dialogue(
                wire,
                "infer 1 1",
                lines["warmup_start"].filled(count="1"),
                lines["warmup_done"].filled(),
                lines["infer_start"].filled(count="1"),
                lines["lap"].filled(us="1203344"),
                lines["lap"].filled(us="1236161"),
                lines["infer_done"].filled(),
                lines["results"].filled(values="0.000,0.996,0.004"),
            ),
        ]
    )


def protocol_page() -> str:
    """The page on the protocol."""
    wire, text = spec(), wire_text()
    raw, (notes, above) = tomllib.loads(text), comments(text)
    banner = [
        wire.replies["timestamp_mode"].filled(mode="performance"),
        wire.replies["lap"].filled(us="12"),
        *(wire.replies[name].filled() for name in ("init_done", "ready")),
    ]
    for name in wire.replies:
        if lines := above.get(f"replies.{name}"):
            notes["replies", name] = " ".join([*lines, notes.get(("replies", name), "")]).strip()
    of = {table: {key: note for (where, key), note in notes.items() if where == table} for table, _ in notes}
    stock, ours = ([one for one in wire.errors.values() if one.origin == origin] for origin in ("stock", "tinyjoule"))
    listed = [(f"[`{_syntax(one)}`](#{anchor(one.name)})", one.origin, _said(one)) for one in wire.commands.values()]
    sections = {
        "Commands": "A reply holds the lines listed with its command as far as they apply (to the mode, once an input\n"
        "is whole), some of them more than once, then `m-ready`; or an [error](#errors), then `m-ready`.\n\n"
        + _table("command|whose|what it does", listed),
        "": "\n".join(
            _command(wire, command, notes.get((f"command.{command.name}", "arguments"), ""))
            for command in wire.commands.values()
        ),
        "An example": _example(wire),
        "Replies": "`{name:type}` is a [value](#values).\n\n"
        + _texts("reply", [*wire.replies.values()], of["replies"]),
        "Errors": "An error ends like any reply. Stock firmware's texts are spelled as the original spells them.\n\n"
        + _texts("error", stock, of["errors.stock"])
        + "\n"
        + _texts("error", ours, of["errors.tinyjoule"]),
        "Reasons": "Of the error [`model_refused`](#error-model_refused), besides the engine's own:\n\n"
        + _table("name|reason", [(_named("reason", name), _cell(said)) for name, said in wire.reasons.items()]),
        "What info tells": f"A line [`{wire.replies['info'].template}`](#reply-info) each, in this order:\n\n"
        + _table("key|value", [(_named("info", key), _cell(said)) for key, said in raw["info"].items()]),
        "Modes": "What bounds a window; [`mode`](#mode) sets one.\n\n"
        + _table(
            "mode|what a window gives", [(_named("mode", key), _cell(said)) for key, said in raw["modes"].items()]
        ),
        "Limits": _numbers(raw, "limits", notes),
        "Binary frames": "\n".join(["```text", *above["frames"], "```", "", _numbers(raw, "frames", notes)]),
        "Types of frames": _frame_types(wire, above, notes),
        "Values": _table("type|how it looks", [(f"`{name}`", said) for name, said in TYPES.items()]),
    }
    head = HEAD.format(
        terminator=wire.limits.terminator,
        ready=wire.replies["ready"].template,
        baud=wire.limits.baud,
        banner="\n".join(banner),
    )
    return "\n".join([head, *(f"## {title}\n\n{body}" if title else body for title, body in sections.items())])
