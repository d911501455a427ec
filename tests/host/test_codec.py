"""The codec: every line of wire.toml both ways, the vectors' lines, stock quirks, and damage."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors.replay import SAMPLES, Dialogue, Expected, dialogues

from host.errors import GarbledReply, UsageError
from host.paths import PROJECT_DIR
from host.wire import codec
from host.wire.spec import Text, spec

OVERSIZE = "Supplied buffer size 9 exceeds maximum of 8"  # stock: no e-, and LF alone
LINES = [item for dialogue in dialogues() for item in dialogue.expected()]
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))


def fill(text: Text) -> str:
    return text.filled(**{field.name: SAMPLES[field.type] for field in text.fields})


# ---- the vectors, and that they leave nothing out ----


@pytest.mark.parametrize("dialogue", dialogues(), ids=str)
def test_each_line_of_a_vector_is_of_the_named_type(dialogue: Dialogue) -> None:
    for item in dialogue.expected():
        assert item.decodes(item.sample()), item


@pytest.mark.parametrize("name", [name for name in spec().replies if name != "ready"])
def test_each_reply_is_in_a_vector(name: str) -> None:
    assert any(spec().replies[name].pattern.fullmatch(item.sample()) for item in LINES)


@pytest.mark.parametrize("name", spec().errors)
def test_each_error_is_in_a_vector(name: str) -> None:
    assert any(item.kind == name and spec().errors[name].pattern.fullmatch(item.sample()) for item in LINES)


@pytest.mark.parametrize("reason", spec().reasons.values())
def test_each_reason_of_a_refusal_is_in_a_vector(reason: str) -> None:
    assert any(item.kind == "model_refused" and item.line.endswith(f": {reason}]") for item in LINES)


@pytest.mark.parametrize("name", spec().commands)
def test_each_command_is_in_a_vector_in_all_its_forms(name: str) -> None:
    """With every number of arguments that it takes, and its answers among those expected."""
    command = spec().commands[name]
    found = set()
    answered = set()
    for dialogue in dialogues():
        for step in dialogue.steps:
            words = step.get("send", "").rstrip("%").split()
            width = len(name.split())
            if " ".join(words[:width]) == name and not (name == "db" and words[1:2] in (["load"], ["print"], ["crc"])):
                found.add(len(words) - width)
                answered |= {line.sample() for line in map(Expected.parse, step.get("expect", []))}
    assert set(range(command.required, len(command.arguments) + 1)) <= found
    for answer in set(command.answers) & set(spec().replies):
        assert any(spec().replies[answer].pattern.fullmatch(line) for line in answered), answer


@pytest.mark.parametrize("key", spec().info_keys)
def test_each_key_of_info_is_in_a_vector(key: str) -> None:
    assert any(item.line.startswith(f"m-info-{key}-[") for item in LINES)


def test_every_answer_of_a_command_is_a_reply_or_an_error() -> None:
    known = {*spec().replies, *spec().errors, "help"}
    assert {answer for command in spec().commands.values() for answer in command.answers} <= known


# ---- decode ----


@pytest.mark.parametrize("text", spec().replies.values(), ids=lambda text: text.name)
def test_each_reply_is_decoded_to_its_class(text: Text) -> None:
    reply = codec.decode(fill(text))
    assert type(reply).__name__.lower() == text.name.replace("_", "")


@pytest.mark.parametrize("text", spec().errors.values(), ids=lambda text: text.name)
def test_each_error_is_decoded_to_its_kind(text: Text) -> None:
    reply = codec.decode(fill(text))
    assert isinstance(reply, codec.Error)
    assert reply.kind == text.name


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("m-ready", codec.Ready()),
        (b"m-ready\r\n", codec.Ready()),
        ("[dut]: m-ready", codec.Ready("[dut]: ")),
        ("m-load-donem-ready", codec.Ready("m-load-done")),
        (b"\x00m-ready\r\n", codec.Ready("\x00")),
        ("m-timestamp-mode-energy", codec.TimestampMode("energy")),
        ("m-lap-us-4294967295", codec.Lap(4294967295)),
        ("m-lap-us-18446744073709551615", codec.Lap(18446744073709551615)),
        ("m-name-dut-[a [b] c]", codec.Name("a [b] c")),
        ("m-name-dut-[]", codec.Name("")),
        ("m-[Expecting 490 bytes]", codec.Expecting(490)),
        ("m-buffer-00-7F-ff", codec.Buffer(b"\x00\x7f\xff")),
        ("m-results-[0.000,-1.500,12.125]", codec.Results((0.0, -1.5, 12.125))),
        ("m-results-[0.996,0.004,]", codec.Results((0.996, 0.004))),
        ("m-results-[340282346638528859811704183484516925440.000]", codec.Results((3.4028234663852886e38,))),
        ("m-results-[inf,-inf]", codec.Results((float("inf"), float("-inf")))),
        ("m-info-build-id-[]", codec.Info("build-id", "")),
        ("m-info-flags-[-DX=[1]]", codec.Info("flags", "-DX=[1]")),
        ("m-crc32-[000000ff]", codec.Crc32(255)),
        ("e-[Unknown command: info]", codec.Error("Unknown command: info", "unknown_command")),
        ("e-[Something that only this vendor says]", codec.Error("Something that only this vendor says")),
        ("e-[]", codec.Error("")),
        (
            "Supplied buffer size 9 exceeds maximum of 8",
            codec.Error("Supplied buffer size 9 exceeds maximum of 8", "oversize"),
        ),
        (
            b"Supplied buffer size 9 exceeds maximum of 8\n",
            codec.Error("Supplied buffer size 9 exceeds maximum of 8", "oversize"),
        ),
        ("", codec.Unknown("")),
        ("*** Booting Zephyr OS build v3.5.0 ***", codec.Unknown("*** Booting Zephyr OS build v3.5.0 ***")),
        ("infer N [W=0]: Load input", codec.Unknown("infer N [W=0]: Load input")),
    ],
)
def test_decode(line: str | bytes, reply: codec.Reply) -> None:
    assert codec.decode(line) == reply


@pytest.mark.parametrize(
    "line",
    [
        "m-lap-us-",
        "m-lap-us-12a",
        "m-lap-us--12",
        "m-lap-us-12 ",
        " m-lap-us-12\x00",
        "m-results-[]",
        "m-results-[0.1",
        "m-results-[0.1,,0.2]",
        "m-results-[0.1 0.2]",
        "m-results-[1e5]",
        "m-results-[0.1]]",
        "m-crc32-[12345]",
        "m-crc32-[0000000G]",
        "m-load-dome",
        "m-load-donem-init-done",
        "m-name-dut-[x",
        "m-[Expecting 4294967296 bytes]",
        "m-warmup-start-99999999999",
        "m-buffer-0-1",
        "m-",
        "e-[Unknown command",
        "e-",
        b"m-name-dut-[\xff]",
        b"\x00\x00boot",
        "tab\there",
        "m-lap-us-1\r2",
    ],
)
def test_garbled(line: str | bytes) -> None:
    with pytest.raises(GarbledReply):
        codec.decode(line)


@given(st.binary(max_size=200))
def test_any_line_is_decoded_or_garbled(line: bytes) -> None:
    try:
        reply = codec.decode(line)
    except GarbledReply:
        return
    if not isinstance(reply, codec.Ready):
        assert re.fullmatch(rb"[\x20-\x7e]*[\r\n]*", line)
    if isinstance(reply, codec.Unknown):
        assert not line.startswith((b"m-", b"e-"))


@given(st.sampled_from([*spec().replies.values(), *spec().errors.values()]), st.data())
def test_a_damaged_line_never_becomes_another_rule_by_accident(text: Text, data: st.DataObject) -> None:
    """One character less: the same rule with another value, free text, or garbled."""
    line = fill(text)
    at = data.draw(st.integers(0, len(line) - 1))
    try:
        reply = codec.decode(line[:at] + line[at + 1 :])
    except GarbledReply:
        return
    assert isinstance(reply, codec.Unknown | codec.Error) or type(reply) is type(codec.decode(line))


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1), st.booleans())
def test_results_round_trip(values: list[float], comma: bool) -> None:
    line = f"m-results-[{','.join(f'{value:.3f}' for value in values)}{',' if comma else ''}]"
    reply = codec.decode(line)
    assert isinstance(reply, codec.Results)
    assert [f"{value:.3f}" for value in reply.values] == [f"{value:.3f}" for value in values]


@given(printable)
def test_text_round_trip(text: str) -> None:
    if "m-ready" not in text:
        assert codec.decode(f"m-name-dut-[{text}]") == codec.Name(text)
        assert codec.decode(f"m-info-flags-[{text}]") == codec.Info("flags", text)


def test_replies_are_frozen_and_slotted() -> None:
    lap = codec.Lap(1)
    with pytest.raises(AttributeError):
        lap.us = 2  # type: ignore[misc]
    assert not hasattr(lap, "__dict__")


# ---- encode ----


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (("name",), b"name%"),
        (("db load", 490), b"db load 490%"),
        (("db", b"\x00\xff"), b"db 00ff%"),
        (("db", "0A"), b"db 0A%"),
        (("db print",), b"db print%"),
        (("infer",), b"infer%"),
        (("infer", 10, 0), b"infer 10 0%"),
        (("model",), b"model%"),
        (("model", "kws01"), b"model kws01%"),
        (("db", bytes(31)), b"db " + b"00" * 31 + b"%"),
    ],
)
def test_encode(command: tuple[str | int | bytes, ...], line: bytes) -> None:
    assert codec.encode(*command) == line  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "command",
    [
        ("nosuch",),
        ("name", "x"),
        ("db",),
        ("db load",),
        ("db load", -1),
        ("db load", 2**32),
        ("db load", "5x"),
        ("db", b""),
        ("db", "abc"),
        ("db", "zz"),
        ("db", bytes(39)),
        ("infer", 1, 2, 3),
        ("infer", "1%"),
        ("model", ""),
        ("model", "two words"),
        ("model", "50%"),
        ("model", "caf\xe9"),
        ("model", "line\r\n"),
        ("model", "x" * 75),
    ],
)
def test_encode_refuses(command: tuple[str | int | bytes, ...]) -> None:
    with pytest.raises(UsageError):
        codec.encode(*command)  # type: ignore[arg-type]


@given(st.binary(min_size=1, max_size=300))
def test_encode_load_carries_every_byte_once(data: bytes) -> None:
    first, *rest = codec.encode_load(data)
    assert first == f"db load {len(data)}%".encode()
    assert all(len(line) <= len("db ") + 62 + 1 for line in rest)
    assert b"".join(bytes.fromhex(line[3:-1].decode()) for line in rest) == data


@pytest.mark.parametrize(
    ("start", "end", "us"), [(5, 15, 10), (2**32 - 1, 4, 5), (7, 7, 0), (2**32 - 5, 2**32 + 5, 10)]
)
def test_lap_us(start: int, end: int, us: int) -> None:
    assert codec.lap_us(codec.Lap(start), codec.Lap(end)) == us


# ---- the texts live in wire.toml only ----


def test_no_text_of_the_protocol_is_typed_again_in_the_host_or_the_core() -> None:
    literals = [
        part for text in spec().errors.values() for part in text.parts if isinstance(part, str) and len(part) > 8
    ]
    literals += [f'"{text.template}' for text in spec().replies.values() if not text.fields and text.name != "ready"]
    sources = [path for path in (PROJECT_DIR / "firmware/core").glob("*.[ch]") if path.name != "wire_table.h"]
    for path in sources:
        code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        assert not [literal for literal in literals if literal in code], path.name
        assert '"m-' not in code, path.name
        assert '"e-' not in code, path.name
    tree = ast.parse((PROJECT_DIR / "host/wire/codec.py").read_text())
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not strings & {text.template for text in spec().replies.values()}
