"""Write firmware/core/wire_table.h from wire.toml: `python -m host.wire.gen`. A test compares the committed file.

The guides' page on the protocol is reference.py's: it is made when they are built, and not kept.
"""

from __future__ import annotations

import json
from pathlib import Path

from host.wire.spec import Field, Spec, Text, spec

TARGET = Path(__file__).resolve().parents[2] / "firmware" / "core" / "wire_table.h"

HEAD = """\
/* SPDX-License-Identifier: Apache-2.0 */
/* Made from host/wire/wire.toml by host/wire/gen.py: change it there, then run `python -m host.wire.gen`.
 * say_x() writes one whole line. say_x_begin() and say_x_end() write what is around a list of values. */
#ifndef TJ_WIRE_TABLE_H
#define TJ_WIRE_TABLE_H

#include "reply.h"

#include <stdint.h>
"""

# C type and the function that writes it, for each type of a field. The rest (`list`, `hexes`, `floats`) is written
# piece by piece by the caller.
C_TYPES = {
    "text": ("const char *", "reply_text"),
    "key": ("const char *", "reply_text"),
    "u32": ("uint32_t ", "reply_decimal"),
    "u64": ("uint64_t ", "reply_decimal"),
    "hex8": ("uint8_t ", "reply_hex8"),
    "hex32": ("uint32_t ", "reply_hex32"),
}


def _c(text: str) -> str:
    return json.dumps(text)  # the texts are printable ASCII: JSON's escapes are C's


def _upper(name: str) -> str:
    return name.upper().replace(" ", "_").replace("-", "_")


def _statement(part: str | Field) -> str:
    if isinstance(part, str):
        return f"    reply_text(reply, {_c(part)});"
    return f"    {C_TYPES[part.type][1]}(reply, {part.name});"


def _function(name: str, parts: list[str | Field], *, ends_line: bool) -> str:
    fields = [part for part in parts if isinstance(part, Field)]
    parameters = "".join(f", {C_TYPES[field.type][0]}{field.name}" for field in fields)
    body = [_statement(part) for part in parts]
    body += ["    reply_line_end(reply);"] if ends_line else []
    return "\n".join([f"static inline void {name}(struct reply *reply{parameters})", "{", *body, "}", ""])


def _say(text: Text) -> str:
    name = f"say_error_{text.name}" if text.error else f"say_{text.name}"
    pieces = [at for at, part in enumerate(text.parts) if isinstance(part, Field) and part.type not in C_TYPES]
    if not pieces:
        return _function(name, list(text.parts), ends_line=True)
    before, after = list(text.parts[: pieces[0]]), list(text.parts[pieces[0] + 1 :])
    return _function(f"{name}_begin", before, ends_line=False) + "\n" + _function(f"{name}_end", after, ends_line=True)


def _enum(name: str, prefix: str, items: list[str]) -> str:
    lines = "".join(f"    {prefix}{_upper(item)},\n" for item in items)
    return f"enum {name} {{\n{lines}    {prefix}COUNT\n}};\n"


def _strings(name: str, items: list[str]) -> str:
    lines = "".join(f"    {_c(item)},\n" for item in items)
    return f"static const char *const {name}[] = {{\n{lines}}};\n"


def _commands(wire: Spec) -> str:
    rows = []
    for command in wire.commands.values():
        word, _, sub = command.name.partition(" ")
        rows.append(f"    {{{_c(word)}, {_c(sub) if sub else 'NULL'}, {len(command.arguments)}}},\n")
    words = max(len(command.name.split()) + len(command.arguments) for command in wire.commands.values())
    return (
        _enum("wire_command_id", "WIRE_COMMAND_", list(wire.commands))
        + "\n/* Words of the longest command: what comes after is one too many for every command. */\n"
        + f"enum {{ WIRE_MAX_WORDS = {words} }};\n"
        + "\n/* In the order of the enum. The row without a subcommand stands behind those with one. */\n"
        + "struct wire_row {\n    const char *word;\n    const char *subcommand; /* NULL: none */\n"
        + "    uint8_t max_arguments;\n};\n\n"
        + f"static const struct wire_row wire_rows[] = {{\n{''.join(rows)}}};\n"
    )


def generate(wire: Spec) -> str:
    """The text of wire_table.h."""
    limits = wire.limits
    numbers = {
        "LINE_BYTES": limits.line_bytes,
        "BUFFER_BYTES": limits.buffer_bytes,
        "TERMINATOR": ord(limits.terminator),
        "BAUD": limits.baud,
        "ITERATIONS": limits.iterations,
        "WARMUP": limits.warmup,
        "FRAMES_VERSION": wire.frames.version,
        "FRAME_PAYLOAD_BYTES": wire.frames.payload_bytes,
        "FRAME_PAUSE_MS": wire.frames.pause_ms,
        "BAUD_REVERT_MS": wire.frames.revert_ms,
    }
    types = {f"WIRE_FRAME_{_upper(name)}": value for name, value in wire.frames.types.items()}
    texts = {
        "LINE_END": limits.line_end,
        "ERROR_BEGIN": limits.error_begin,
        "ERROR_END": limits.error_end,
        "VENDOR": wire.vendor,
        "PROFILE": wire.profile,
        **{f"REASON_{_upper(name)}": text for name, text in wire.reasons.items()},
    }
    help_lines = [line for command in wire.commands.values() for line in command.help]
    sections = [
        HEAD,
        "enum {\n" + "".join(f"    WIRE_{name} = {value},\n" for name, value in numbers.items()) + "};\n",
        "".join(f"#define WIRE_{name} {_c(value)}\n" for name, value in texts.items()),
        "enum wire_frame_type {\n"
        + "".join(f"    {name} = 0x{value:02X},\n" for name, value in types.items())
        + "};\n",
        _commands(wire),
        _strings("wire_help", help_lines),
        _enum("wire_mode", "WIRE_MODE_", list(wire.modes)),
        _strings("wire_modes", list(wire.modes)),
        _enum("wire_info", "WIRE_INFO_", list(wire.info_keys)),
        _strings("wire_info_keys", list(wire.info_keys)),
        *[_say(text) for text in (*wire.replies.values(), *wire.errors.values())],
        "#endif\n",
    ]
    return "/* clang-format off */\n".join(["\n".join(sections[:1]) + "\n", "\n".join(sections[1:])])


if __name__ == "__main__":
    TARGET.write_text(generate(spec()), encoding="ascii")
