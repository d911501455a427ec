# SPDX-License-Identifier: Apache-2.0
"""The reference pages hold everything that the code has: commands of the line, fields of the record, subcommands."""

from __future__ import annotations

import argparse
import html
import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from energy.instruments import NAMES
from host.boards import find_boards
from host.cli import build_parser
from host.paths import PROJECT_DIR
from host.results import reference, schema
from host.wire import codec
from host.wire.reference import comments, protocol_page, wire_text
from host.wire.spec import spec
from tools import docs_hooks

RECORDS = Path(__file__).resolve().parent.parent / "host"
STRUCTS = list(reference.structs(schema.Result))
PAGE = reference.result_page().splitlines()
LATE = {("Run.profile", 1), ("Accuracy.auc", 2), ("DatasetInfo.labels_sha256", 2), ("Accuracy.target_source", 2)}
"""Fields that the first records of their version lacked."""
FIELDS = [(struct, field) for struct in STRUCTS for field in msgspec.structs.fields(struct)]


def test_every_command_reply_error_and_limit_of_the_protocol_is_there():
    page, wire = protocol_page(), spec()
    lines = page.splitlines()
    for name in wire.commands:
        assert f"### {name} {{#{name.replace(' ', '-')}}}" in lines
    for kind, texts in (("reply", wire.replies), ("error", wire.errors)):
        for name, text in texts.items():
            assert [line for line in lines if line.startswith(f"| `{name}`{{#{kind}-{name}}} | `{text.template}` |")]
    for kind, names in (
        ("reason", wire.reasons),
        ("info", wire.info_keys),
        ("mode", wire.modes),
        ("frame", wire.frames.types),
    ):
        assert all(f"`{name}`{{#{kind}-{name}}}" in page for name in names)
    raw = tomllib.loads(wire_text())
    for table in ("limits", "frames"):
        keys = [key for key, value in raw[table].items() if not isinstance(value, dict)]
        assert all(f"| `{key}` | `" in page for key in keys)


def test_every_comment_of_the_protocols_file_is_there_or_is_for_who_edits_it():
    """A note that the page leaves out is one that a reader of the page misses."""
    page = " ".join(protocol_page().replace("\\", "").split())
    text = wire_text()
    notes, above = comments(text)
    for (table, key), note in notes.items():
        if (table, key) != ("identity", "profile"):
            assert note[1:] in page, (table, key)
    assert all(line.strip() in protocol_page() for line in above["frames"])
    said = [line for place, lines in above.items() if place.startswith("replies.") for line in lines]
    assert said
    assert all(line in page for line in said)
    # The parser of comments has missed none: every `# ` behind a value, and every line below it that goes on.
    trailing = [line for line in text.splitlines() if re.search(r"""["\w\]]\s+# (?!of bytes)""", line) and "=" in line]
    assert len([line for line in trailing if line[0] not in "#["]) == len(notes)
    more = [line.strip("# ") for line in text.splitlines() if re.match(r"\s+# ", line)]
    assert more
    assert all(any(line in note for note in notes.values()) for line in more)


def test_a_dialogue_of_the_page_is_one_that_the_codec_reads():
    (example,) = re.findall(r"## An example\n(.*?)\n## ", protocol_page(), re.DOTALL)
    blocks = re.findall(r"```text\n(.*?)```", example, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        command, *lines = block.splitlines()
        assert command.endswith("%")
        assert command.rstrip("%").split()[0] in {name.split()[0] for name in spec().commands}
        replies = [codec.decode(line.encode()) for line in lines]
        assert not [one for one in replies if isinstance(one, codec.Unknown | codec.Error)]
        assert isinstance(replies[-1], codec.Ready)


@pytest.mark.parametrize(
    ("struct", "field"), FIELDS, ids=lambda one: getattr(one, "__name__", getattr(one, "name", ""))
)
def test_every_field_of_the_result_is_there_with_words(struct, field):
    key = f"{struct.__name__}.{field.name}"
    (row,) = [
        line
        for line in reference.result_page().splitlines()
        if line.startswith(f"| `{field.name}`{{#{key.lower()}}} |")
    ]
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
    assert len(cells) == 5
    assert cells[1], "what a value may be"
    assert cells[4], "what it is"
    assert ("null" in cells[1]) == (type(None) in getattr(field.type, "__args__", ()))


def test_nothing_is_told_of_fields_that_are_none():
    known = {f"{struct.__name__}.{field.name}" for struct, field in FIELDS} | {one.__name__ for one in STRUCTS}
    assert {*reference.ABOUT, *reference.UNITS, *reference.SINCE} <= known


@pytest.mark.parametrize("version", [1, 2, 3])
def test_since_which_version_a_field_is_there_is_what_old_records_show(version):
    """A record holds every field that its version had: what it lacks came later, what it has did not."""
    old = json.loads((RECORDS / f"result_{version}.json").read_text())
    assert old["schema"].endswith(f"/{version}")

    def check(struct, value):
        inside = {places[0].removesuffix("[]"): one for one, places in reference.structs(struct).items()}
        for field in msgspec.structs.fields(struct):
            key = f"{struct.__name__}.{field.name}"
            since = reference.SINCE.get(key, reference.SINCE.get(struct.__name__, 1))
            assert (field.name in value) == (since <= version) or (key, version) in LATE, key
            one = value.get(field.name)
            for each in one if isinstance(one, list) else [one]:
                if field.name in inside and each is not None:
                    check(inside[field.name], each)

    check(schema.Result, old)


def commands_of(parser, name="host"):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, one in action.choices.items():
                yield f"{name} {word}", one
                yield from commands_of(one, f"{name} {word}")


def test_every_subcommand_and_every_option_is_there():
    page = docs_hooks.commands_page()
    found = dict(commands_of(build_parser()))
    assert {"host bench", "host monitors check", "host compare", "host package"} <= set(found)
    for name, parser in found.items():
        anchor = name.replace(" ", "-")
        section = re.search(rf"^##+ {name} {{#{anchor}}}$(.*?)(?=^##+ |\Z)", page, re.MULTILINE | re.DOTALL)
        assert section, name
        assert "SUPPRESS" not in section[1]
        for action in (one for one in parser._actions if one.help != argparse.SUPPRESS):
            for option in action.option_strings:
                assert option in section[1] or option in ("-h", "--help"), f"{name} {option}"
            if not action.option_strings and not isinstance(action, argparse._SubParsersAction):
                assert str(action.metavar or action.dest) in section[1], f"{name} {action.dest}"


def test_every_board_and_every_monitor_is_there():
    boards, monitors = docs_hooks.boards_page(), docs_hooks.monitors_page()
    assert all(f"## {name} {{#{name}}}" in boards for name in find_boards())
    assert all(f"### {name} {{#{name}}}" in monitors for name in NAMES)
    for model, facts in tomllib.loads((PROJECT_DIR / "energy" / "accuracy.toml").read_text()).items():
        rows = len(facts.get("current", [])) + len(facts.get("voltage", []))
        assert monitors.count(f"\n| {model} | ") == rows


def test_prose_of_the_code_means_nothing_but_itself():
    text = "a_b * <c> [d](e) | `f_|g` & \\h"
    shown = reference.escaped(text)
    assert "`f_|g`" in shown
    plain = re.sub(r"\\(.)", r"\1", html.unescape(shown))
    assert plain == text
    assert not re.search(r"(?<!\\)[<>\[|*_](?![^`]*`)", shown.partition("`")[0])
