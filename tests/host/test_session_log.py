"""The log of a session that is gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host.device import Transcript
from host.exchange import GOES_ON


@pytest.mark.parametrize("piece", ["", '{"t": 1.0, "dir": "rx", "li', "x" * 70_000])
def test_a_resumed_log_goes_on_behind_its_last_whole_line(piece: str, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Transcript(path) as first:
        first.add("note", "before")
    path.write_text(path.read_text() + piece)
    with Transcript(path, append=True) as second:
        second.of_unit(1).add("tx", "name%")
        second.add("note", "after")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["line"], line.get("unit")) for line in lines] == [
        ("before", None), (GOES_ON, None), ("name%", 1), ("after", None),
    ]  # fmt: skip


@pytest.mark.parametrize("held", [None, "", "rubbish without an end"])
def test_a_log_that_is_not_there_or_broken_begins_anew(held: str | None, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    if held is not None:
        path.write_text(held)
    with Transcript(path, append=True) as transcript:
        transcript.add("note", "first")
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["line"] == "first"
