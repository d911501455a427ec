# SPDX-License-Identifier: Apache-2.0
"""Tables and sentences on terminals of any width, and where there is none: nothing is lost, nothing hostile obeyed."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from host.cli._json import print_json, print_record
from host.report.terminal import (
    Listing,
    listing,
    point,
    printable,
    say,
    show,
    stderr_console,
    stdout_console,
)

BOX = re.compile("[\u2500-\u257f]")
ESCAPE = re.compile("\x1b\\[[0-9;]*m")


def terminal(width: int, **changes: Any) -> Console:
    settings: dict[str, Any] = {"force_terminal": True, "color_system": None, "_environ": {}, "file": io.StringIO()}
    return Console(width=width, **(settings | changes))


def pipe() -> Console:
    return Console(file=io.StringIO(), width=80, _environ={})


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def figures(boxed: bool = True) -> Listing:
    table = listing("task", "latency,\nemulated ms", "arena,\nbytes", "rules", numbers=["latency,\nemulated ms"])
    table.boxed = boxed
    table.add_row("kws01", "32.817", "18,124", "quick look,\nvalid")
    table.add_row("ad01", "3.486", "2,452", "quick look,\nINVALID")
    return table


def test_a_table_in_a_pipe_has_a_line_a_row_and_nothing_to_draw() -> None:
    console = pipe()
    show(console, figures())
    assert text_of(console) == (
        "          latency,  arena,\n"
        "task   emulated ms   bytes  rules\n"
        "kws01       32.817  18,124  quick look, valid\n"
        "ad01         3.486   2,452  quick look, INVALID\n"
    )


def test_a_row_in_a_pipe_is_a_line_however_long() -> None:
    console = pipe()
    table = listing("model", "source")
    table.add_row("m" * 300, "word " * 100 + "end")
    show(console, table)
    say(console, "word " * 100 + "end")
    assert text_of(console).count("\n") == 3
    assert len(text_of(console).splitlines()[1]) == 300 + 2 + 503


@pytest.mark.parametrize("boxed", [True, False])
def test_a_table_on_a_terminal_has_lines(boxed: bool) -> None:
    console = terminal(80)
    show(console, figures(boxed))
    assert BOX.search(text_of(console))
    assert ("│" in text_of(console)) == boxed
    assert len({cell_len(line) for line in text_of(console).splitlines()}) == 1


def test_a_box_gives_way_before_a_title_is_broken_in_vain() -> None:
    wide, narrow = terminal(80), terminal(36)
    for console in (wide, narrow):
        show(console, figures())
    assert "│ kws01" in text_of(wide)
    assert "│" not in text_of(narrow)
    assert re.search(r" kws01 +32\.817 +18,124 +quick", text_of(narrow))


def test_columns_that_a_narrow_terminal_does_without_are_named() -> None:
    table = listing("operator", "bytes", "share", numbers=["share"], optional=["bytes"])
    table.add_row("DEPTHWISE_CONV_2D", "1,234,567", "33.1%")
    table.add_section()
    table.add_row("sum", "1,234,567", "100.0%")
    wide, narrow, tiny = terminal(60), terminal(32), terminal(20)
    for console in (wide, narrow, tiny):
        show(console, table)
    assert "1,234,567" in text_of(wide)
    assert "left out" not in text_of(wide)
    assert "1,234,567" not in text_of(narrow)
    assert "left out, because the terminal" in text_of(narrow)
    assert "columns: bytes" in " ".join(text_of(narrow).split())
    # Too narrow even so: a block a row, and then everything is in it.
    assert "operator:\nDEPTHWISE_CONV_2D\n  bytes: 1,234,567\n  share: 33.1%\n" in text_of(tiny)
    plain = pipe()
    show(plain, table)
    assert text_of(plain).count("1,234,567") == 2


CELL = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="|+-:\\"), max_size=30)
EXOTIC = st.text(max_size=12)


@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=5), st.integers(10, 200), st.booleans())
def test_no_cell_loses_a_character_at_any_width(rows: list[tuple[str, str, str]], width: int, boxed: bool) -> None:
    table = listing("name", "a number", "what it is", numbers=["a number"], boxed=boxed)
    for row in rows:
        table.add_row(*row)
    console = terminal(width)
    show(console, table)
    lines = text_of(console).splitlines()
    expected = [printable(cell) for row in rows for cell in row]
    if lines[0].startswith("name:"):  # a block a row
        held = re.sub(r"\s", "", text_of(console))
        assert [cell for cell in expected if re.sub(r"\s", "", cell) not in held] == []
        return
    assert max(map(cell_len, lines)) <= width
    seen = Counter(re.sub(r"\s", "", BOX.sub("", text_of(console))))
    assert seen == Counter(re.sub(r"\s", "", BOX.sub("", "".join(["name", "a number", "what it is", *expected]))))


@given(st.lists(st.tuples(EXOTIC, EXOTIC), min_size=1, max_size=5), EXOTIC, st.sampled_from([None, 40, 100]))
def test_nothing_that_a_terminal_would_obey_gets_out(
    rows: list[tuple[str, str]], sentence: str, width: int | None
) -> None:
    console = pipe() if width is None else terminal(width)
    table = listing("name", "text")
    for row in rows:
        table.add_row(*row)
    show(console, table)
    say(console, sentence, indent=2)
    point(console, "results", sentence)
    assert all(char.isprintable() or char == "\n" for char in text_of(console))
    if width is None:
        assert text_of(console).count("\n") == 1 + len(rows) + 2


def test_marks_of_other_notations_are_text() -> None:
    for console in (pipe(), terminal(100)):
        say(console, "[bold]x[/bold] :smile: [link=http://x]y[/link]")
        table = listing("[red]a", "b")
        table.add_row("[/]", "[blink]")
        show(console, table)
        for text in ("[bold]x[/bold] :smile: [link=http://x]y[/link]", "[red]a", "[/]", "[blink]"):
            assert text in text_of(console)


def test_a_sentence_cannot_make_a_line_of_its_own() -> None:
    console = pipe()
    say(console, "note: bad\nkws01 valid\rx\x1b[2J\u202e\x9b1m\ud800")
    assert text_of(console) == "note: bad\\nkws01 valid\\rx\\x1b[2J\\u202e\\x9b1m\\ud800\n"


def test_sentences_wrap_at_words_and_keep_what_is_to_be_copied() -> None:
    console = terminal(40)
    path = "/a/very/long/path/that/is/longer/than/the/terminal/is/wide"
    say(console, "the file is in " + path + " and was not closed", indent=2)
    say(console, "  x " + "word " * 12)
    point(console, "results", path + " with spaces")
    lines = text_of(console).splitlines()
    assert lines[:3] == ["  the file is in", f"  {path}", "  and was not closed"]
    assert lines[3].startswith("  x word")
    assert lines[4].startswith("  word")
    assert lines[-1] == f"results: {path} with spaces"


def test_a_sentence_is_not_wider_than_one_can_read() -> None:
    console = terminal(250)
    say(console, "word " * 60)
    assert max(map(len, text_of(console).splitlines())) <= 100


# ---- colour ----


def test_colour_is_taken_from_words_and_tells_nothing_that_they_do_not() -> None:
    coloured, bare = terminal(100, color_system="standard"), terminal(100)
    for console in (coloured, bare):
        say(console, "mps2_an386, EMULATED: not silicon", "kws01 INVALID: too short", style="bold")
        show(console, figures())
    assert ESCAPE.sub("", text_of(coloured)) == text_of(bare)
    assert re.search(r"\x1b\[[\d;]*33mEMULATED", text_of(coloured))
    assert re.search(r"\x1b\[[\d;]*31mINVALID", text_of(coloured))
    assert re.search(r"\x1b\[[\d;]*32mvalid", text_of(coloured))


class Stream(io.StringIO):
    """Of a terminal, or of none."""

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


@pytest.fixture(name="shown", params=["stdout", "stderr"])
def _shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What stdout or stderr gets, in an environment of xterm and of the words given."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def shown(*, tty: bool = True, **environment: str) -> str:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(f"sys.{request.param}", stream := Stream(tty))
        console = {"stdout": stdout_console, "stderr": stderr_console}[request.param]()
        say(console, "INVALID", style="bold")
        show(console, figures())
        return stream.getvalue()

    return shown


def test_a_terminal_has_boxes_and_colour(shown: Callable[..., str]) -> None:
    text = shown()
    assert ESCAPE.search(text)
    assert BOX.search(text)


def test_no_color_takes_colour_and_bold_and_leaves_boxes(shown: Callable[..., str]) -> None:
    text = shown(NO_COLOR="1")
    assert "\x1b" not in text
    assert BOX.search(text)


def test_an_empty_no_color_means_nothing(shown: Callable[..., str]) -> None:
    assert ESCAPE.search(shown(NO_COLOR=""))


def test_a_dumb_terminal_gets_what_a_pipe_gets(shown: Callable[..., str]) -> None:
    piped = shown(tty=False)
    assert not ESCAPE.search(piped)
    assert not BOX.search(piped)
    assert shown(TERM="dumb") == piped


def test_a_pipe_can_be_forced_to_be_a_terminal(shown: Callable[..., str]) -> None:
    text = shown(tty=False, FORCE_COLOR="1")
    assert ESCAPE.search(text)
    assert BOX.search(text)
    assert "\x1b" not in shown(tty=False, FORCE_COLOR="1", NO_COLOR="1")


# ---- streams that are not UTF-8 ----


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
@pytest.mark.parametrize("tty", [True, False])
def test_a_stream_of_another_encoding_gets_what_it_can_hold(encoding: str, tty: bool) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    console = Console(file=stream, width=80, force_terminal=tty, color_system=None, _environ={})
    say(console, "漢 \U0001f600 \udc80")
    table = listing("漢", "b")
    table.add_row("漢字", "\u2500")
    show(console, table)
    stream.flush()
    text = raw.getvalue().decode(encoding)
    assert "\\u6f22\\u5b57" in text
    assert "\\udc80" in text
    assert not BOX.search(text.replace("\\u2500", "")) or encoding == "cp437"


RECORD = '{\n  "name": "µ 漢 \U0001f600 \\" \\n"\n}'


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "utf-16"])
def test_a_record_is_the_same_document_on_any_stream(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="\n"))
    print_record(RECORD.encode())
    import sys  # noqa: PLC0415  (the one that was set above)

    sys.stdout.flush()
    text = raw.getvalue().decode(encoding)
    assert json.loads(text) == json.loads(RECORD)
    assert text.endswith("}\n")


def test_a_document_holds_no_number_that_is_none_and_no_half_character(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [float("nan"), float("inf"), 1.5, 2, True, None], "b": {"path": "x\udc80y"}})
    said = capsys.readouterr().out
    assert json.loads(said) == {"a": [None, None, 1.5, 2, True, None], "b": {"path": "x\\udc80y"}}
    assert "NaN" not in said
