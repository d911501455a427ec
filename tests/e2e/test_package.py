# SPDX-License-Identifier: Apache-2.0
"""`host package`, the real command, on sessions of a board in memory (tests/host/submission_kit.py)."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from session_kit import bench, only_folder

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "host"))

from submission_kit import BOARD, SYSTEM, measure_all

from host import embed
from host.boards import get_board
from host.build import Image
from host.paths import PROJECT_DIR

QUESTIONS = ["Status", "Board Name", "SoC Name"]
"""What no session knows, in the order of the file."""


@pytest.fixture(scope="module")
def folders(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return measure_all(tmp_path_factory.mktemp("sessions"), ("kws01",))


def package(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "host", "package", *map(str, words)],
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip


def test_a_package_is_made_checked_and_made_again_only_elsewhere(folders: list[Path], tmp_path: Path) -> None:
    (tmp_path / "system.json").write_text(json.dumps(SYSTEM))
    words = (*folders, "--org", "me", "--division", "closed", "-o", "out")
    answer = package(*words, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == "package: out"
    for line in (
        r"kws +performance +Median throughput is 21\.7302",
        r"kws +accuracy +Top 1% = 90\.1",
        r"kws +energy +M",
    ):
        assert re.search(line, answer.stdout)
    checked = package("--check", "out", "--json", cwd=tmp_path)
    assert (checked.returncode, json.loads(checked.stdout)["breaches"]) == (0, [])
    again = package(*words, cwd=tmp_path)
    assert again.returncode == 2
    assert "out is there already" in again.stderr
    other = package(*words[:-1], "other", "--json", "--name", "my.board", cwd=tmp_path)
    assert other.returncode == 0, other.stderr
    document = json.loads(other.stdout)
    assert (document["package"], document["system"]) == ("other", "my.board")
    assert [cell["mode"] for cell in document["cells"]] == ["performance", "accuracy", "energy"]
    assert (tmp_path / "other" / "closed" / "me" / "systems" / "my.board.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out", "system.json"]


def test_what_is_missing_is_an_error_where_nobody_can_be_asked(folders: list[Path], tmp_path: Path) -> None:
    answer = package(*folders, "--org", "me", "--division", "open", "-o", "out", cwd=tmp_path)
    assert answer.returncode == 2
    assert "lacks 'Status', 'Board Name', 'SoC Name': write them into the file" in answer.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "DIR, --org, --division, -o missing"),
        (("d", "--org", "me", "-o", "out"), "--division missing"),
        (("d", "--org", "../me", "--division", "open", "-o", "out"), "'me' would do"),
        (("d", "--check", "out"), "leave everything else out"),
    ],
)
def test_a_request_that_makes_no_sense(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    answer = package(*words, cwd=tmp_path)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


def test_what_is_missing_is_asked_on_a_terminal_and_kept(folders: list[Path], tmp_path: Path) -> None:
    answers = dict(zip(QUESTIONS, ("available", "NUCLEO-L4R5ZI", "STM32L4R5ZIT6"), strict=True))
    words = [*map(str, folders), "--org", "me", "--division", "closed", "-o", "out"]
    master, slave = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "host", "package", *words],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(PROJECT_DIR), "TERM": "xterm"},
        stdin=slave, stdout=subprocess.PIPE, stderr=slave,
    ) as process:  # fmt: skip
        os.close(slave)
        said, asked = "", []
        with contextlib.suppress(OSError):  # it has hung up
            while text := os.read(master, 4096).decode(errors="replace"):
                said += text
                for name in QUESTIONS:
                    if name not in asked and re.search(rf"{name}[^\n]*: (\x1b\[[0-9;]*m)*$", said):
                        asked.append(name)
                        os.write(master, f"{answers[name]}\n".encode())
        assert process.stdout is not None
        printed = process.stdout.read().decode()
    os.close(master)
    assert process.returncode == 0, said
    assert asked == QUESTIONS
    assert printed.splitlines()[-1] == "package: out"
    assert json.loads((tmp_path / "system.json").read_text()) == {**answers, "Status": "Available"}
    again = package(*words[:-1], "again", "--batch", cwd=tmp_path)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("key", "code", "said"), [(b"\x04", 2, "no answer for 'Status'"), (b"\x03", 130, "interrupted")]
)
def test_who_does_not_answer_has_no_package(
    key: bytes, code: int, said: str, folders: list[Path], tmp_path: Path
) -> None:
    words = [*map(str, folders), "--org", "me", "--division", "closed", "-o", "out"]
    process, master = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.execve(  # noqa: S606
            sys.executable, [sys.executable, "-m", "host", "package", *words],
            {**os.environ, "PYTHONPATH": str(PROJECT_DIR), "TERM": "dumb"},
        )  # fmt: skip
    text = ""
    with contextlib.suppress(OSError):  # it has hung up
        while True:
            # A key that comes between the question and the moment in which the line is read is lost: press it again.
            if select.select([master], [], [], 1.0)[0]:
                part = os.read(master, 4096)
                text += part.decode(errors="replace")
                if not part:
                    break
            elif text.rstrip().endswith("]:"):
                os.write(master, key)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == code, text
    os.close(master)
    assert said in text
    assert "Traceback" not in text
    assert list(tmp_path.iterdir()) == []


def test_what_was_emulated_or_quick_is_refused(
    firmware_image: Callable[[str], Image], data_dir: Path, folders: list[Path], tmp_path: Path
) -> None:
    firmware_image("native")
    made = bench("ad01", "--board", "native", "--inputs", 1, "--no-report", "--out", tmp_path / "results")
    assert made.returncode == 0, made.stderr
    emulated = only_folder(tmp_path / "results")
    (tmp_path / "system.json").write_text(json.dumps(SYSTEM))
    answer = package(emulated, *folders, "--org", "me", "--division", "open", "-o", "out", cwd=tmp_path)
    assert answer.returncode == 1
    for part in (
        "this cannot be handed in",
        "emulated: only what was measured",
        "under the quick rules",
        "the board is",
    ):
        assert part in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_the_code_of_a_package_makes_the_firmware_again(folders: list[Path], tmp_path: Path) -> None:
    """Its README's command, in a folder that has nothing else of this checkout."""
    (tmp_path / "system.json").write_text(json.dumps(SYSTEM))
    made = package(*folders, "--org", "me", "--division", "closed", "-o", "out", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    code = tmp_path / "out" / "closed" / "me" / "code" / "kws" / "NUCLEO-L4R5ZI"
    alone = tmp_path / "alone"
    shutil.move(code, alone)
    (command,) = re.findall(
        r"^TINYJOULE_DATA=models \.venv/bin/host (build .*)$", (alone / "README.md").read_text(), re.M
    )
    environment = {**os.environ, "TINYJOULE_DATA": "models", "PLATFORMIO_BUILD_DIR": str(tmp_path / "build")}
    environment.pop("PYTHONPATH", None)
    built = subprocess.run(
        [sys.executable, "-m", "host", *command.split()],
        cwd=alone, env=environment, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    record = json.loads((tmp_path / "build" / BOARD / "build.json").read_text())
    here = embed.collect_models(get_board(BOARD).flash_bytes, lambda _text: None)
    sources = embed.source_hash(PROJECT_DIR / "firmware", BOARD)
    assert record["build_id"] == embed.identify(BOARD, sources, record["compiler"], record["flags"], here)
