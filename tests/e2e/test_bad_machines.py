"""The host on a machine that does not play along: full disks, closed streams, damaged files, lost terminals."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import children, gone, wait_for

from host.boards import get_board
from host.build import Image, _reason, build
from host.emulator.counter import build_plugin
from host.errors import HostError
from host.exchange import Transcript

PROJECT = Path(__file__).resolve().parent.parent.parent
HOST = shlex.join([sys.executable, "-m", "host"])


def shell(line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A line of sh in which `host` is the command."""
    return subprocess.run(
        ["sh", "-c", f'host() {{ {HOST} "$@"; }}; {line}'],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        env={**os.environ, **env},
        timeout=120,
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_no_harm(
    closed: str, data_dir: Path, firmware_image: Callable[[str], Image], tmp_path: Path
) -> None:
    firmware_image("native")
    bench = f"host bench kws01 --board native --mode accuracy --inputs 2 --out {shlex.quote(str(tmp_path))}"
    answer = shell(f"{bench} {closed}")
    assert answer.returncode == 0
    # A busy machine may take so long that the progress is told.
    assert not re.sub(r"kws01: inputs: \d of 2.*\n", "", answer.stderr)
    assert len(list(tmp_path.glob("*/result.json"))) == 1


@pytest.mark.parametrize("words", ["boards", "models"])
def test_a_full_disk_behind_stdout_is_an_error_in_one_line(words: str) -> None:
    answer = shell(f"host {words} >/dev/full")
    assert answer.returncode == 1
    assert "No space left on device" in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_full_disk_below_the_log_names_the_file() -> None:
    with pytest.raises(HostError, match=r"cannot write /dev/full: .*--out"), Transcript(Path("/dev/full")) as log:
        log.add("tx", "name%")


def test_a_result_folder_that_cannot_be_written(
    data_dir: Path, firmware_image: Callable[[str], Image], tmp_path: Path
) -> None:
    firmware_image("native")
    (tmp_path / "file").touch()
    answer = shell(f"host bench kws01 --board native --out {shlex.quote(str(tmp_path / 'file'))}")
    assert answer.returncode == 1
    assert "--out" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_build_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = shell("host build native", PLATFORMIO_BUILD_DIR=str(tmp_path / "file"))
    assert answer.returncode == 1
    assert f"cannot build in {tmp_path / 'file'}" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_full_disk_below_the_build_is_told_from_what_platformio_prints() -> None:
    said = "Verbose mode can be enabled\nOSError: [Errno 28] No space left on device:\n" + "  File main.py\n" * 30
    assert _reason(said) == ": [Errno 28] No space left on device:"


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own") / "build"


@pytest.fixture
def own_build(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    """An image that no other test runs, perhaps at the same time. For one test: images that all of them share are made
    in the other folder."""
    monkeypatch.setenv("PLATFORMIO_BUILD_DIR", str(own_folder))
    monkeypatch.setattr("host.build.BUILD_DIR", own_folder)
    return build(get_board("native"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("build.json", None),
        ("build.json", b""),
        ("build.json", b"[]"),
        ("firmware.elf", None),
        ("firmware.elf", b""),
        ("firmware.elf", b"\x7fELF rubbish"),
        ("firmware.map", None),
    ],
)
def test_a_damaged_build_is_made_again(name: str, content: bytes | None, own_build: Image) -> None:
    place = own_build.elf.parent / name
    if content is None:
        place.unlink()
    else:
        place.write_bytes(content)
    assert build(get_board("native")) == own_build


def test_a_damaged_plugin_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = build_plugin()
    whole = built.read_bytes()
    for damaged in (b"", b"rubbish", whole[: len(whole) // 2], whole.replace(b"site", b"sity", 1)):
        built.write_bytes(damaged)
        assert build_plugin().read_bytes() == whole


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_a_host_that_is_ended_leaves_no_emulator(
    signum: signal.Signals, data_dir: Path, firmware_image: Callable[[str], Image], tmp_path: Path
) -> None:
    firmware_image("mps2_an386")
    (tmp_path / "tmp").mkdir()
    command = [*shlex.split(HOST), "bench", "kws01", "--mode", "accuracy", "--out", str(tmp_path / "out")]
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen(command, cwd=PROJECT, env=env, stderr=subprocess.DEVNULL) as process:
        journal = wait_for(lambda: next((tmp_path / "out").glob("*/journal.jsonl"), None))
        wait_for(lambda: '"kind":"input"' in journal.read_text())
        (emulator,) = children(process.pid)
        process.send_signal(signum)
        process.wait(timeout=20)
    wait_for(lambda: gone(emulator))
    if signum != signal.SIGKILL:  # after which nobody can tidy up
        assert process.returncode == 128 + signum
        assert not list((tmp_path / "tmp").iterdir())
    shutil.rmtree(tmp_path)
