# SPDX-License-Identifier: Apache-2.0
"""Records and files that nobody meant well: what is in them is looked at, and does nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from report_kit import FULL, NOW, Tags, folder, raw, result, run

from host.paths import PROJECT_DIR
from host.report.page.folders import read_folders
from host.report.page.pictures import Pictures
from host.report.page.render import page_of, render
from host.report.page.view import shown
from host.results import record

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{7*7}}\u202e\x00\x1b[31m\u200b$x_y$"


def spoilt(value: Any, path: str = "") -> Any:
    """Every text of a record that its schema leaves free, made hostile."""
    if isinstance(value, dict):
        return {key: spoilt(held, f"{path}.{key}") for key, held in value.items()}
    if isinstance(value, list):
        return [spoilt(held, f"{path}.*") for held in value]
    fixed = re.fullmatch(
        r".*(schema|provenance|created|sha256|mode|rules|metric|target_source|link|monitor\.(voltage|windows))", path
    )
    return HOSTILE + path if isinstance(value, str) and not fixed else value


def test_hostile_texts_are_texts(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", result(*FULL, run("vww01", valid=False, reasons=["bad"])), traces=False)
    (one / record.RESULT_FILE).write_text(json.dumps(spoilt(raw(one))))
    text = render([one], NOW).decode()
    tags = Tags()
    tags.feed(text)
    assert "img" not in tags.tags
    assert not {"onerror", "style"} & tags.attributes
    assert text.count("<script") == 1
    assert len(tags.ids) == len(set(tags.ids))
    assert {"\u202e", "\x00", "\x1b", "\u200b"}.isdisjoint(text)
    assert "\\u202e" in text
    assert "{{7*7}}" in text
    assert all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize("number", [0.0, 5e-324, 1e-300, 1e308])
def test_numbers_that_no_board_gives_make_a_page_all_the_same(tmp_path: Path, number: float) -> None:
    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {key: spoil(held, key) for key, held in value.items()}
        if isinstance(value, list):
            return [spoil(held) for held in value]
        return number if isinstance(value, float) and key != "level" else value

    one = folder(tmp_path / "one")
    (one / record.RESULT_FILE).write_text(json.dumps(spoil(raw(one))))
    assert page_of(read_folders([one]), NOW, Pictures()).runs[0].budget is not None
    assert render([one], NOW).count(b"<svg") == 4


def test_a_very_long_text_is_no_harm(tmp_path: Path) -> None:
    long = run("k" * 10_000, reasons=["r" * 10_000], valid=False, energy_uj=None)
    assert len(render([folder(tmp_path / "one", result(long))], NOW)) < 400_000


def test_what_cannot_be_seen_is_written_out() -> None:
    assert shown("a\tb\x7f\u202e\ud800 é日") == "a\\tb\\x7f\\u202e\\ud800 é日"


def test_pipes_in_a_folder_keep_nobody_waiting(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", traces=False)
    for name in ("journal.jsonl", "trace-kws01.jls", "trace-ad01.jls"):
        (one / name).unlink(missing_ok=True)
        os.mkfifo(one / name)
    assert render([one], NOW).startswith(b"<!doctype html>")


def test_a_home_that_is_not_there_is_no_concern_of_the_reader(tmp_path: Path) -> None:
    folder(tmp_path / "one", traces=False)
    environment = {**os.environ, "HOME": "/proc/none", "PYTHONPATH": str(PROJECT_DIR)}
    for name in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    made = subprocess.run(
        [sys.executable, "-m", "host", "report", "one"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (made.returncode, made.stdout, made.stderr) == (0, "report: one/report.html\n", "")
