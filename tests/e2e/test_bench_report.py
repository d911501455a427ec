# SPDX-License-Identifier: Apache-2.0
"""The end of a session: its page is in its folder and is the last line printed, and what was measured needs none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from session_kit import PROJECT, only_folder

from host.cli.bench import REPORT_FILE
from host.results import record, schema


def bench(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "host", "bench", *map(str, words)]
    return subprocess.run(
        command, cwd=PROJECT, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=600
    )


@pytest.fixture(name="session", scope="module")
def _session(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A whole session, and its folder."""
    out = tmp_path_factory.mktemp("results")
    return bench("kws01", "--board", "native", "--inputs", 2, "--out", out), only_folder(out)


def test_the_last_line_is_the_page_and_the_one_above_the_folder(
    session: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    answer, folder = session
    assert answer.returncode == 0, answer.stderr
    assert "warning" not in answer.stderr
    assert answer.stdout.splitlines()[-2:] == [f"results: {folder}", f"report: {folder / REPORT_FILE}"]
    page = (folder / REPORT_FILE).read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert record.read_result(folder).firmware.sha256 in page


def test_a_session_that_goes_on_makes_its_page_anew_and_json_stays_alone_on_stdout(
    session: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    _, folder = session
    (folder / REPORT_FILE).unlink()
    answer = bench("--resume", folder, "--json")
    assert answer.returncode == 0, answer.stderr
    assert schema.decode(answer.stdout.encode()) == record.read_result(folder)
    assert json.loads(answer.stdout)["schema"] == schema.SCHEMA
    assert answer.stderr.splitlines()[-2:] == [f"results: {folder}", f"report: {folder / REPORT_FILE}"]
    assert (folder / REPORT_FILE).is_file()


def test_a_page_that_cannot_be_made_changes_nothing(
    session: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    first, folder = session
    (folder / REPORT_FILE).unlink(missing_ok=True)
    (folder / REPORT_FILE).mkdir()
    try:
        answer = bench("--resume", folder)
    finally:
        (folder / REPORT_FILE).rmdir()
    assert answer.returncode == 0
    assert answer.stdout.splitlines() == first.stdout.splitlines()[:-1]
    assert "host: warning: there is no report" in answer.stderr
    assert f"to try again: host report {folder}" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_it_can_be_left_out(session: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, folder = session
    (folder / REPORT_FILE).unlink(missing_ok=True)
    answer = bench("--resume", folder, "--no-report")
    assert answer.returncode == 0
    assert answer.stdout.splitlines()[-1] == f"results: {folder}"
    assert not (folder / REPORT_FILE).exists()
