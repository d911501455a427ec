# SPDX-License-Identifier: Apache-2.0
"""Sessions that ended early: what is left of them, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.cli import main
from host.errors import HostError
from host.results.record import read_result, remove_unused


def test_a_session_that_never_began_leaves_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "first"
    assert main(["bench", "kws01", "--port", str(tmp_path / "ttyNONE"), "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "no such port" in said
    assert "the log up to here" not in said
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(("name", "text"), [("log.jsonl", "{}\n"), ("journal.jsonl", ""), ("trace-kws01.jls", "")])
def test_a_folder_with_anything_in_it_is_kept(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").touch()
    (tmp_path / name).write_text(text)
    assert not remove_unused(tmp_path)
    assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "is not there"),
        (lambda folder: folder.mkdir(), "holds no result.json: name a result folder"),
        (lambda folder: (folder.mkdir(), (folder / "log.jsonl").touch()), "its session ended early: leave that folder"),
    ],
)
def test_why_there_is_no_result(make, said: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "session")
    with pytest.raises(HostError, match=said):
        read_result(tmp_path / "session")


def test_more_than_two_folders_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "first/a", "first/b", "again/c"]) == 2
    assert "two results are compared, and these are 3: first/a, first/b, again/c" in capsys.readouterr().err
