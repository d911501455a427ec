"""`host bench`, end to end: the real command, the real firmware, a Cortex-M4 in QEMU or a process under sanitizers."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from processes import children, gone, wait_for

from host.boards import find_boards
from host.build import Image
from host.device import Device, Transcript
from host.emulator import start
from host.errors import DeviceError
from host.link import open_link
from host.report.progress import Reporter
from host.results import record, schema
from host.runner.performance import Timing, calibrate, measure_window
from host.runner.rules import RULES
from host.runner.target import open_target

PROJECT = Path(__file__).resolve().parent.parent.parent


def bench(tmp_path: Path, *words: str, **env: str) -> tuple[subprocess.CompletedProcess[str], list[Path]]:
    answer = subprocess.run(
        [sys.executable, "-m", "host", "bench", "--no-report", "--out", str(tmp_path), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        env={**os.environ, **env},
        timeout=1200,
    )
    return answer, sorted(tmp_path.iterdir())


def bench_ok(tmp_path: Path, *words: str) -> tuple[schema.Result, Path]:
    answer, folders = bench(tmp_path, *words, "--json")
    assert answer.returncode == 0, answer.stderr
    result = schema.decode(answer.stdout.encode())
    assert record.read_result(folders[-1]) == result
    return result, folders[-1]


def test_performance_on_the_emulated_board(data_dir: Path, tmp_path: Path) -> None:
    first, folder = bench_ok(tmp_path, "kws01", "ic01")
    assert first.provenance == "emulated"
    assert (first.board.name, first.board.core, first.board.clock_hz) == ("mps2_an386", "Cortex-M4F", 125_000_000)
    records = {"result.json", "log.jsonl", "journal.jsonl"}
    assert {file.name for file in folder.iterdir()} == records | {"firmware.map", "build.json"}
    for run in first.runs:
        assert run.valid
        assert run.rules == "quick"
        assert len({window.input for window in run.windows}) == 5
        assert run.latency_us is not None
        assert "emulated" in run.latency_us.unit
        assert all(window.duration_us >= 200_000 for window in run.windows)
        # 8 ns per instruction: the clock and the counting plugin are two witnesses of the same inferences.
        assert run.instructions_per_inference is not None
        assert run.latency_us.median == pytest.approx(run.instructions_per_inference * 0.008, rel=1e-3)
        # The table in the README is this one.
        assert f"{run.instructions_per_inference:,}" in (PROJECT / "README.md").read_text()
    build = json.loads((folder / "build.json").read_text())
    assert first.firmware.sha256 == build["elf_sha256"]
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert any(line["dir"] == "rx" and line["line"].startswith("m-lap-us-") for line in lines)

    second, _ = bench_ok(tmp_path, "kws01")
    assert second.runs[0].instructions_per_inference == first.runs[0].instructions_per_inference
    assert second.firmware == first.firmware


def accuracy(tmp_path: Path, task: str, board: str, *words: str) -> tuple[schema.Accuracy, list[list[str]]]:
    result, folder = bench_ok(tmp_path, task, "--mode", "accuracy", "--board", board, *words)
    assert result.provenance == "emulated"
    score = result.runs[0].accuracy
    assert score is not None
    with (folder / f"outputs-{task}.csv").open(newline="") as stream:
        return score, list(csv.reader(stream))[1:]


def int8_rows(rows: list[list[str]]) -> np.ndarray:
    """Softmax outputs back to int8: scale 1/256, zero point -128; three decimals tell all 256 values apart."""
    values = np.array([[float(text) for text in row[3].split()] for row in rows])
    return np.rint(values * 256 - 128).astype(np.int8)


@pytest.mark.parametrize("board", ["mps2_an386", "native"])
def test_ic01_accuracy(board: str, data_dir: Path, tmp_path: Path) -> None:
    score, rows = accuracy(tmp_path, "ic01", board)
    assert (round(score.value * score.n), score.n) == (18, 20)
    assert (score.target, score.met) == (None, None)
    assert np.array_equal(int8_rows(rows), np.load(data_dir / "golden" / "ic_cifar10_tflm.npy").reshape(20, 10))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("board", ["mps2_an386", "native"])
def test_kws01_accuracy_bit_for_bit(board: str, data_dir: Path, tmp_path: Path) -> None:
    score, rows = accuracy(tmp_path, "kws01", board)
    assert (round(score.value * score.n), score.n) == (901, 1000)
    assert (score.target, score.met, score.target_source) == (0.9, True, "official")
    assert np.array_equal(int8_rows(rows), np.load(data_dir / "golden" / "kws01_tflm.npy").reshape(1000, 12))


OTHERS = [board.name for board in find_boards().values() if board.emulator == "qemu" and board.name != "mps2_an386"]


@pytest.mark.parametrize("board", OTHERS)
def test_every_other_emulated_core_gives_the_same_bits(board: str, data_dir: Path, tmp_path: Path) -> None:
    result, folder = bench_ok(tmp_path, "kws01", "--mode", "accuracy", "--board", board, "--inputs", "20")
    assert (result.board.name, result.provenance) == (board, "emulated")
    with (folder / "outputs-kws01.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    assert np.array_equal(int8_rows(rows), np.load(data_dir / "golden" / "kws01_tflm.npy").reshape(1000, 12)[:20])


def test_without_the_official_hosts_packages_serve(tmp_path: Path) -> None:
    # In a build folder of its own: this image has other models than the one that the rest of the tests use.
    apart = {"TINYJOULE_DATA": str(tmp_path / "none"), "PLATFORMIO_BUILD_DIR": str(tmp_path / "build")}
    answer, folders = bench(tmp_path / "out", "--mode", "accuracy", "--board", "native", **apart)
    if answer.returncode and "package index" in answer.stderr:
        pytest.skip("no package registry can be reached here")
    assert answer.returncode == 0, answer.stderr
    # Where the official hosts can be reached, kws01 is here as well.
    (run,) = (run for run in record.read_result(folders[-1]).runs if run.task == "ic01")
    assert run.accuracy is not None
    assert round(run.accuracy.value * 20) == 18
    assert run.accuracy.met is None


@contextlib.contextmanager
def emulated(board: str) -> Iterator[str]:
    """The URL of a board that `host emulate` holds."""
    with subprocess.Popen(
        [sys.executable, "-m", "host", "emulate", board], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as process:
        assert process.stdout is not None
        try:
            yield next(match[0] for line in process.stdout if (match := re.search(r"socket://\S+", line)))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)


def test_an_emulated_board_at_a_port_is_still_called_emulated(data_dir: Path, tmp_path: Path) -> None:
    with emulated("native") as url:
        result, _ = bench_ok(tmp_path, "kws01", "--mode", "accuracy", "--inputs", "3", "--port", url)
        assert result.provenance == "emulated"
        assert result.board.name == "native"
        score = result.runs[0].accuracy
        assert score is not None
        assert (score.n, score.target) == (3, None)

        answer, _ = bench(tmp_path, "kws01", "--port", url, "--board", "mps2_an386")
        assert answer.returncode == 1
        assert "native, not mps2_an386" in answer.stderr


def test_a_dead_port_says_what_to_do(data_dir: Path, tmp_path: Path) -> None:
    answer, _ = bench(tmp_path, "kws01", "--port", "socket://127.0.0.1:9")
    assert answer.returncode == 1
    assert "LinkError" in answer.stderr
    assert "Traceback" not in answer.stderr


def results_so_far(folder: Path) -> int:
    return sum(file.read_text().count('"kind":"input"') for file in folder.glob("*/journal.jsonl"))


def test_an_interrupted_run_leaves_no_emulator_behind(data_dir: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "host", "bench", "kws01", "--mode", "accuracy", "--out", str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT) as process:
        wait_for(lambda: results_so_far(tmp_path) >= 3 or process.poll() is not None)
        assert process.poll() is None, "it ended too early"
        boards = children(process.pid)
        assert boards
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
    assert all(gone(board) for board in boards)


def test_a_board_that_dies_keeps_the_records_of_finished_tasks(data_dir: Path, tmp_path: Path) -> None:
    words = ["ic01", "kws01", "--mode", "accuracy", "--board", "native", "--out", str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, "-m", "host", "bench", *words], cwd=PROJECT, stderr=subprocess.PIPE, text=True
    ) as process:
        # 20 images and the first keywords: the second task is on its way.
        wait_for(lambda: results_so_far(tmp_path) >= 25 or process.poll() is not None)
        assert process.poll() is None, "it ended too early"
        (board,) = children(process.pid)
        os.kill(board, signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    (folder,) = tmp_path.iterdir()
    assert process.returncode == 1
    assert "LinkError" in errors
    assert str(folder) in errors
    assert "Traceback" not in errors
    assert [run.task for run in record.read_result(folder).runs] == ["ic01"]


def test_an_emulator_that_makes_lost_time_good_is_no_broken_clock(firmware_image: Callable[[str], Image]) -> None:
    image = firmware_image("mps2_an386")
    with start(image, timed=True) as board, Device(open_link(board.url, image.board.baud)) as device:
        device.wait_boot()
        info = device.info()
        assert info is not None
        # Held up for longer than a window: its virtual time then runs faster than ours until it has caught up.
        os.kill(board.pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(board.pid, signal.SIGCONT)
        timing = Timing(False, image.board.clock_hz, board.take_instruction_counts)
        zeros = ("zeros", bytes(info.input_bytes))
        device.load(zeros[1])
        window, _ = measure_window(device, zeros, calibrate(device, RULES["quick"], timing), RULES["quick"], timing)
    assert window.duration_us == pytest.approx(window.inferences * (window.instructions or 0) * 0.008, rel=1e-3)


def test_a_board_without_a_folder_here_is_not_called_measured(
    firmware_image: Callable[[str], Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(firmware_image("native"), timed=False) as board, Transcript(tmp_path / "log.jsonl") as transcript:
        monkeypatch.setattr("host.boards.find_boards", dict)
        with (
            pytest.raises(DeviceError, match="native, which has no folder"),
            open_target(None, board.url, transcript, Reporter(), timed=False),
        ):
            pass
