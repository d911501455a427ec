# SPDX-License-Identifier: Apache-2.0
"""Every command as a person sees it on terminals, and as a program reads it: one session's folder, all commands."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from rich.cells import cell_len
from session_kit import PROJECT, bench, only_folder

from host.boards import find_boards
from host.cli import build_parser, main
from host.results import schema

Test = TypeVar("Test", bound=Callable[..., None])

BOX = re.compile("[\u2500-\u257f]")
COLOUR = re.compile("\x1b\\[[0-9;]*m")
MARK = "@@@ "

# What a driver in one process runs, so that a terminal costs one start of Python.
DRIVER = """
import sys
from host.cli import main
for line in sys.stdin:
    sys.stdout.write("@@@ " + line)
    sys.stdout.flush()
    main(line.split())
"""

# Whose JSON is read by tests that have what it needs: the file, and what is in it.
ELSEWHERE = {
    "bench": "tests/e2e/test_bench.py",
    "engine-bench": "tests/e2e/test_engine_speed.py",
    "flash": "tests/host/test_flash.py",
    "link-bench": "tests/host/test_throttled.py",
    "monitors check": "tests/e2e/test_monitor_check.py",
    "verify": "tests/e2e/test_verify.py",
}


@pytest.fixture(name="folder", scope="module")
def _folder(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result folder of a session with traces and operators."""
    out = tmp_path_factory.mktemp("results")
    answer = bench("ad01", "--mode", "energy", "--profile", "--inputs", 1, "--out", out)
    assert answer.returncode == 0, answer.stderr
    return only_folder(out)


def text_commands(folder: Path) -> list[str]:
    return [
        "boards", "models", "data", "monitors", f"trace {folder}/trace-ad01.jls",
        f"energy {folder}/trace-ad01.jls", f"bench --no-report --resume {folder}", f"compare {folder} {folder}",
        f"history {folder.parent}", f"package --check {folder}",
    ]  # fmt: skip


def read_all(master: int) -> bytes:
    data = b""
    with contextlib.suppress(OSError):  # how Linux tells that the other end is closed
        while piece := os.read(master, 1 << 16):
            data += piece
    return data


def run(commands: list[str], columns: int | None, **changes: str) -> dict[str, str]:
    """What each command writes to a stdout that is a terminal of so many columns, or a pipe."""
    dropped = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    environment |= {"TERM": "xterm", "PYTHONUTF8": "1", **changes}
    words = [sys.executable, "-c", DRIVER]
    asked = "".join(f"{command}\n" for command in commands).encode()
    if columns is None:
        done = subprocess.run(
            words, cwd=PROJECT, env=environment, input=asked, capture_output=True, check=True, timeout=300
        )
        text = done.stdout.decode()
    else:
        text = on_terminal(words, environment, asked, columns)
    return {piece.partition("\n")[0]: piece.partition("\n")[2] for piece in text.split(MARK)[1:]}


def on_terminal(words: list[str], environment: dict[str, str], asked: bytes, columns: int) -> str:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    try:
        with subprocess.Popen(
            words, cwd=PROJECT, env=environment, stdin=subprocess.PIPE, stdout=slave, stderr=subprocess.DEVNULL
        ) as process:
            os.close(slave)
            assert process.stdin is not None
            process.stdin.write(asked)
            process.stdin.close()
            text = read_all(master).decode().replace("\r\n", "\n")
        assert process.returncode == 0
    finally:
        os.close(master)
    return text


@pytest.fixture(name="piped", scope="module")
def _piped(folder: Path) -> dict[str, str]:
    return run(text_commands(folder), None)


def test_a_pipe_gets_whole_lines_without_anything_drawn(piped: dict[str, str], folder: Path) -> None:
    assert list(piped) == text_commands(folder)
    for command, text in piped.items():
        assert text.strip(), command
        assert not re.search("\x1b", text), command
        assert not BOX.search(text), command
        assert [line for line in text.splitlines() if line != line.rstrip()] == [], command
    lines = piped["boards"].splitlines()
    assert len(lines) == 1 + len(find_boards())
    for board in find_boards().values():
        assert any(line.startswith(f"{board.name} ") and line.endswith(board.description) for line in lines)


def test_forty_columns_narrow_a_pipe_no_more_than_two_hundred(piped: dict[str, str]) -> None:
    commands = ["boards", "monitors"]
    assert run(commands, None, COLUMNS="40") == {command: piped[command] for command in commands}


def test_a_dumb_terminal_gets_what_a_pipe_gets(piped: dict[str, str], folder: Path) -> None:
    assert run(text_commands(folder), 80, TERM="dumb") == piped


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", BOX.sub("", text))


def test_colour_alone_tells_nothing_and_no_color_takes_it_all(folder: Path) -> None:
    coloured = run(text_commands(folder), 100)
    bare = run(text_commands(folder), 100, NO_COLOR="1")
    assert sum("\x1b" in text for text in coloured.values()) >= 8
    for command, text in coloured.items():
        assert "\x1b" not in bare[command], command
        assert COLOUR.sub("", text) == bare[command], command
    assert all(BOX.search(bare[command]) for command in ("boards", "monitors", "data"))


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_nothing_is_cut_off_and_nothing_is_wider_than_the_terminal(
    columns: int, folder: Path, piped: dict[str, str]
) -> None:
    shown = run(text_commands(folder), columns, NO_COLOR="1")
    for command, text in shown.items():
        assert "\u2026" not in text, command
        for line in text.splitlines():
            # A path or a hash stays whole in a sentence, to be copied.
            longest = max(map(cell_len, line.split()), default=0)
            whole = line.startswith(("results: ", "image: "))
            assert cell_len(line) <= columns or longest > columns - 30 or whole, f"{command}: {line}"
    for board in find_boards().values():
        assert squeezed(board.core) in squeezed(shown["boards"])
    figures = re.findall(r"\d[\d.,]{3,}", piped[f"bench --no-report --resume {folder}"])
    assert len(figures) > 50
    told = shown[f"bench --no-report --resume {folder}"]
    if "left out" not in told:
        assert [figure for figure in figures if figure not in told] == []


# ---- JSON ----


def leaves(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command and every action of one, with its parser."""
    if name:
        yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, child in action.choices.items():
                yield from leaves(child, f"{name} {word}".strip())


LEAVES = dict(leaves(build_parser()))


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_and_action_knows_json(name: str) -> None:
    assert "--json" in LEAVES[name]._option_string_actions


def answer(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    """The one document on stdout."""
    found = main([*map(str, words), "--json"])
    said = capsys.readouterr()
    assert found == code, said.err
    return json.loads(said.out)


READ: set[str] = set()


def reads(*names: str) -> Callable[[Test], Test]:
    """Of a test that reads the JSON of these."""
    READ.update(names)
    return lambda test: test


@reads("boards")
def test_boards(capsys: pytest.CaptureFixture[str]) -> None:
    boards = {board["name"]: board for board in answer(capsys, "boards")["boards"]}
    assert boards.keys() == find_boards().keys()
    for name, board in find_boards().items():
        assert boards[name]["clock_hz"] == board.clock_hz
        assert boards[name]["wiring"]["timing_pin"] == board.wiring.timing_pin


@reads("monitors")
def test_monitors(capsys: pytest.CaptureFixture[str]) -> None:
    monitors = answer(capsys, "monitors")["monitors"]
    assert {"simulated", "ppk2"} <= {one["name"] for one in monitors}
    assert all(one["summary"] and one["address"] and isinstance(one["connected"], list) for one in monitors)


@reads("models", "models add", "models remove")
def test_models(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    models = {one["task"]: one for one in answer(capsys, "models")["models"]}
    kws01 = models["kws01"]
    assert (kws01["official"], kws01["added"], kws01["input"]["bytes"]) == (True, False, 490)
    assert Path(kws01["path"]).stat().st_size == kws01["bytes"]
    added = answer(capsys, "models", "add", kws01["path"], "--task", "kws01", "--name", "own", "--target", "0.5")
    assert (added["task"], added["name"], added["sha256"]) == ("kws01", "own", kws01["sha256"])
    assert added["quality_target"] == 0.5
    both = [one["name"] for one in answer(capsys, "models")["models"] if one["task"] == "kws01"]
    assert both == [kws01["name"], "own"]
    assert answer(capsys, "models", "remove", "kws01", "own") == {"task": "kws01", "removed": "own"}
    assert main(["models", "--json", "remove", "kws01", "own"]) == 2  # and an error stays text on stderr
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("host: ")


def test_what_is_not_here_says_so_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TINYJOULE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "kws_ref_model.tflite").write_bytes(b"wrong")
    models = {one["task"]: one for one in answer(capsys, "models", code=1)["models"]}
    assert models["sww01"]["problem"] == "not here"
    assert models["kws01"]["problem"] == "wrong"
    assert "kws_ref_model.tflite" in models["kws01"]["reason"]


@reads("data", "data fetch", "data import", "data forget")
def test_data(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    sets = {one["task"]: one for one in answer(capsys, "data")["datasets"]}
    assert (sets["kws01"]["official"], sets["kws01"]["metric"], sets["kws01"]["target"]) == (True, "top1", 0.9)
    assert sets["kws01"]["inputs"] == 1000
    assert answer(capsys, "data", "fetch", "ad01", "--variant", "synthetic")["fetched"]["name"] == "synthetic"
    own = tmp_path / "own"
    own.mkdir()
    for number in range(3):
        (own / f"{number}.bin").write_bytes(bytes([number]) * 490)
    (own / "y_labels.csv").write_text("".join(f"{number}.bin,12,{number}\n" for number in range(3)))
    (own / "not\x1b an input").touch()
    brought = answer(capsys, "data", "import", "kws01", own)
    assert (brought["name"], brought["inputs"], brought["official"]) == ("imported", 3, False)
    assert brought["not_copied"] == ["not\x1b an input"]
    assert answer(capsys, "data", "forget", "kws01") == {"task": "kws01", "removed": "imported"}


@reads("build")
def test_build(capsys: pytest.CaptureFixture[str]) -> None:
    built = answer(capsys, "build", "native")
    assert Path(built["image"]).is_file()
    assert built["flash_bytes"] > sum(model["bytes"] for model in built["models"]) > 0
    assert main(["build", "native", "--verbose", "--json"]) == 2  # what compilers print is no JSON
    assert capsys.readouterr().out == ""


@reads("emulate")
@pytest.mark.parametrize("words", [("native",), ("--stock", "kws01")])
def test_emulate_says_where_it_is_in_one_line(words: tuple[str, ...], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "host", "emulate", *words, "--json"]
    path = tmp_path / "ttyBOARD"
    for more, key, starts in (((), "url", "socket://127.0.0.1:"), (("--pty", str(path)), "pty", str(path))):
        with subprocess.Popen([*command, *more], cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = json.loads(process.stdout.readline())
            process.terminate()
            assert process.stdout.read() == ""
        assert line[key].startswith(starts)
        assert "kws01" in line.values() or "native" in line.values()


@reads("trace")
def test_trace(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = folder / "trace-ad01.jls"
    found = answer(capsys, "trace", trace)
    assert (found["task"], found["provenance"], found["timing_pin"]) == ("ad01", "emulated", True)
    windows = [one for one in found["captures"] if one["kind"] == "window"]
    (run_,) = json.loads((folder / "result.json").read_text())["runs"]
    assert len(windows) == len(run_["energy_uj"]["windows"])
    for seen, window in zip(windows, run_["energy_uj"]["windows"], strict=True):
        assert seen["inferences"] == window["inferences"]
        assert seen["live_uj"] == pytest.approx(window["energy_uj"])
        assert 0 < seen["window_s"] < seen["to_s"] - seen["from_s"]
    assert sum(one["operators"] for one in windows) > 0
    plot, rows = tmp_path / "a.png", tmp_path / "a.csv"
    made = answer(capsys, "trace", trace, "--to", 0.01, "--plot", plot, "--csv", rows)
    assert (made["plot"], made["csv"]) == (str(plot), str(rows))
    assert made["samples_written"] == rows.read_text().count("\n") - 1 == 1000
    assert main(["trace", str(trace), "--csv", "-", "--json"]) == 2
    assert capsys.readouterr().out == ""


@reads("energy")
def test_energy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replay = answer(capsys, "energy", folder / "trace-ad01.jls")
    assert replay["energy_uj"] == json.loads((folder / "result.json").read_text())["runs"][0]["energy_uj"]


@reads("report")
def test_report(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = answer(capsys, "report", folder, "-o", tmp_path / "a.html")
    assert made["report"] == str(tmp_path / "a.html")
    assert made["bytes"] == (tmp_path / "a.html").stat().st_size


@reads("compare")
def test_compare(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(answer(capsys, "compare", folder, folder), dict)


@reads("history")
def test_history(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "ad01" in json.dumps(answer(capsys, "history", folder.parent))


@reads("package")
def test_package_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked = answer(capsys, "package", "--check", folder, code=1)
    assert checked["good"] is False
    assert checked["breaches"]


def test_a_session_that_is_finished_prints_its_record_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--json", "--no-report", "--resume", str(folder)]) == 0
    said = capsys.readouterr()
    assert schema.decode(said.out.encode()).runs[0].task == "ad01"
    assert said.err.splitlines()[-1] == f"results: {folder}"


@pytest.mark.parametrize("name", LEAVES)
def test_the_json_of_every_command_is_read_somewhere(name: str) -> None:
    if name in ELSEWHERE:
        assert '"--json"' in (PROJECT / ELSEWHERE[name]).read_text()
    else:
        assert name in READ, f"write a test that reads what `host {name} --json` prints, or name it in ELSEWHERE"


def test_an_error_obeys_nobody(tmp_path: Path) -> None:
    hostile = tmp_path / "x\x1b[31m\x9b2J\u202egpj.jls"
    words = [sys.executable, "-m", "host", "trace", str(hostile)]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "x\\x1b[31m\\x9b2J\\u202egpj.jls" in done.stderr
    assert all(char.isprintable() or char == "\n" for char in done.stderr)
