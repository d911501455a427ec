"""Many boards at once: inputs are shared, windows are made side by side, and a board that dies is dropped."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import children, gone
from session_kit import bench, only_folder, records, resume_command, rows, running, wait_for_rows

from host.build import Image
from host.emulator import start
from host.results import record

ACCURACY = ("kws01", "--mode", "accuracy", "--board", "native")


def test_two_boards_share_the_inputs_and_give_what_one_gives(data_dir: Path, tmp_path: Path) -> None:
    for name, words in (("one", []), ("two", ["--emulators", 2]), ("stock", ["--emulators", 2, "--link", "stock"])):
        answer = bench(*ACCURACY, *words, "--inputs", 60, "--out", tmp_path / name)
        assert answer.returncode == 0, answer.stderr
    one, two, stock = (records(only_folder(tmp_path / name)) for name in ("one", "two", "stock"))
    assert one[1] == two[1] == stock[1]
    assert one[0].runs[0].accuracy == two[0].runs[0].accuracy
    assert (one[0].runs[0].unit, two[0].runs[0].unit) == (0, None)
    assert [unit.inputs for unit in one[0].units] == [60]
    assert sum(unit.inputs for unit in two[0].units) == 60
    assert all(unit.inputs > 0 for unit in two[0].units)
    assert {unit.link for unit in two[0].units} == {"frames"}
    assert {unit.link for unit in stock[0].units} == {"stock"}
    assert {unit.port for unit in two[0].units} == {None}


def test_performance_is_measured_side_by_side(data_dir: Path, tmp_path: Path) -> None:
    boards = ["--board", "mps2_an386", "--board", "mps2_an385"]
    answer = bench("kws01", *boards, "--inputs", 2, "--out", tmp_path)
    assert answer.returncode == 0, answer.stderr
    folder = only_folder(tmp_path)
    result = record.read_result(folder)
    assert [(run.task, run.unit, len(run.windows)) for run in result.runs] == [("kws01", 0, 2), ("kws01", 1, 2)]
    assert [unit.name for unit in result.units] == ["mps2_an386", "mps2_an385"]
    m4, m3 = (run.instructions_per_inference or 0 for run in result.runs)
    assert 0 < m4 < m3
    assert {"firmware.map", "mps2_an385-firmware.map"} <= {path.name for path in folder.iterdir()}


def test_a_board_that_is_killed_is_dropped_and_the_other_goes_on(data_dir: Path, tmp_path: Path) -> None:
    with running(*ACCURACY, "--emulators", 2, "--inputs", 200, "--out", tmp_path) as process:
        wait_for_rows(process, tmp_path, 20)
        boards = children(process.pid)
        assert len(boards) == 2
        os.kill(boards[0], signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "is dropped" in errors
    assert all(gone(board) for board in boards)
    folder = only_folder(tmp_path)
    result, tables = records(folder)
    (run,) = result.runs
    assert run.accuracy is not None
    assert run.accuracy.n == 200
    assert len(tables["outputs-kws01.csv"].splitlines()) == 201
    assert sorted(unit.dropped is None for unit in result.units) == [False, True]
    assert sum(unit.inputs for unit in result.units) == 200


def test_when_all_boards_are_dead_the_journal_goes_on_later(data_dir: Path, tmp_path: Path) -> None:
    with running(*ACCURACY, "--emulators", 2, "--inputs", 150, "--out", tmp_path) as process:
        wait_for_rows(process, tmp_path, 10)
        for board in children(process.pid):
            os.kill(board, signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "LinkError" in errors
    assert "Traceback" not in errors
    folder = resume_command(errors)
    assert 10 <= rows(tmp_path) < 150
    answer = bench("--resume", folder)
    assert answer.returncode == 0, answer.stderr
    result, _ = records(folder)
    assert sum(unit.inputs for unit in result.units) == 150
    assert [unit.dropped for unit in result.units] == [None, None]  # they are back


def test_a_session_goes_on_without_a_board_that_is_no_more(
    firmware_image: Callable[[str], Image], data_dir: Path, tmp_path: Path
) -> None:
    image = firmware_image("native")
    with start(image, timed=False) as one:
        with start(image, timed=False) as two:
            words = ["kws01", "--mode", "accuracy", "--port", one.url, "--port", two.url, "--inputs", 150]
            with running(*words, "--out", tmp_path) as process:
                wait_for_rows(process, tmp_path, 10)
                process.kill()
                process.wait()
        folder = only_folder(tmp_path)
        answer = bench("--resume", folder)
        assert answer.returncode == 0, answer.stderr
        assert "board 2" in answer.stderr
        assert "is left out" in answer.stderr
    units = record.read_result(folder).units
    assert sum(unit.inputs for unit in units) == 150
    assert [unit.dropped is None for unit in units] == [True, False]


def test_a_performance_run_without_one_of_its_boards_is_not_finished(data_dir: Path, tmp_path: Path) -> None:
    with running("kws01", "--emulators", 2, "--out", tmp_path) as process:
        wait_for_rows(process, tmp_path, 1)
        os.kill(children(process.pid)[0], signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    folder = resume_command(errors)
    assert len(record.read_result(folder).runs) == 1
    answer = bench("--resume", folder)
    assert answer.returncode == 0, answer.stderr
    assert [run.unit for run in record.read_result(folder).runs] == [0, 1]


def test_boards_at_ports_say_what_they_are(
    firmware_image: Callable[[str], Image], data_dir: Path, tmp_path: Path
) -> None:
    with (
        start(firmware_image("native"), timed=False) as one,
        start(firmware_image("mps2_an386"), timed=False) as two,
    ):
        ports = ["--port", one.url, "--port", two.url]
        answer = bench("kws01", "--mode", "accuracy", "--inputs", 40, *ports, "--out", tmp_path)
        assert answer.returncode == 0, answer.stderr
        result, _ = records(only_folder(tmp_path))
        assert [(unit.name, unit.port) for unit in result.units] == [("native", one.url), ("mps2_an386", two.url)]
        answer = bench("kws01", *ports, "--board", "mps2_an386", "--board", "native", "--out", tmp_path / "swapped")
        assert answer.returncode == 1
        assert "native, not mps2_an386" in answer.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--board", "native", "--port", "socket://a:1", "--port", "socket://b:2"], "pairs by order"),
        (["--port", "socket://a:1", "--port", "socket://a:1"], "same --port twice"),
        (["--emulators", "2", "--port", "socket://a:1"], "leave --port out"),
        (["--emulators", "2", "--board", "native", "--board", "native"], "one kind"),
        (["--emulators", "2", "--board", "nucleo_l4r5zi"], "real board"),
        (["--emulators", "0"], "at least 1"),
        (["--target", "90x", "--mode", "accuracy"], "fraction or percents"),
        (["--target", "0.9"], "--mode accuracy"),
    ],
)
def test_words_that_make_no_sense_are_refused(words: list[str], reason: str, tmp_path: Path) -> None:
    answer = bench("kws01", *words, "--out", tmp_path)
    assert answer.returncode == 2, answer.stderr
    assert reason in answer.stderr
    assert not list(tmp_path.iterdir())


def test_a_target_of_ones_own_is_held_against(data_dir: Path, tmp_path: Path) -> None:
    for target, met in (("50%", True), ("0.99", False)):
        words = ["--inputs", 20, "--target", target, "--out", tmp_path / target]
        answer = bench(*ACCURACY, *words)
        assert answer.returncode == (0 if met else 1)
        (run,) = record.read_result(only_folder(tmp_path / target)).runs
        assert run.accuracy is not None
        assert (run.accuracy.met, run.accuracy.target_source) == (met, "user")
