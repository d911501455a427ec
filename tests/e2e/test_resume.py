"""Sessions that are broken off and go on: by a kill, Ctrl-C, a full disk, a reset or another board at the port."""

from __future__ import annotations

import os
import random
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from processes import children, gone, wait_for
from session_kit import (
    bench,
    only_folder,
    records,
    resume_command,
    rewrite,
    rows,
    running,
    wait_for_rows,
)

from host.build import Image
from host.emulator import Emulator, start
from host.errors import LinkError
from host.report.progress import Reporter
from host.results import journal
from host.results.journal import Journal
from host.runner import fleet
from host.runner.session import Plan, resume_session, run_session

INPUTS = 200


@pytest.fixture
def board(firmware_image: Callable[[str], Image]) -> Iterator[Emulator]:
    """A board that outlives the hosts: a process at a port."""
    with start(firmware_image("native"), timed=False) as native:
        yield native


def kws01(port: str, out: Path, inputs: int = INPUTS) -> list[object]:
    return ["kws01", "--mode", "accuracy", "--port", port, "--inputs", inputs, "--out", out]


def test_killed_ten_times_at_random_it_ends_as_an_unbroken_run(board: Emulator, data_dir: Path, tmp_path: Path) -> None:
    assert bench(*kws01(board.url, tmp_path / "whole")).returncode == 0
    out, dice = tmp_path / "killed", random.Random(7)
    words, kills = kws01(board.url, out), 0
    while kills < 10:
        had = rows(out)
        wanted = had + 1 + dice.randrange(1 + (INPUTS - had) // (12 - kills))
        with running(*words) as process:
            wait_for(lambda process=process, wanted=wanted: rows(out) >= wanted or process.poll() is not None)
            threading.Event().wait(dice.random() * 0.02)
            process.kill()
            assert process.wait() == -signal.SIGKILL, (process.stderr and process.stderr.read(), rows(out))
        kills += 1
        words = ["--resume", only_folder(out)]
    assert 10 <= rows(out) < INPUTS + 10
    answer = bench(*words)
    assert answer.returncode == 0, answer.stderr
    assert records(only_folder(out)) == records(only_folder(tmp_path / "whole"))
    text = (only_folder(out) / journal.FILE).read_text()
    assert text.count('"kind":"resumed"') == len(set(text.split('"kind":"resumed"'))) - 1


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", ["accuracy", "performance"])
def test_killed_ten_times_with_boards_of_its_own(mode: str, data_dir: Path, tmp_path: Path) -> None:
    words = ["kws01", "ic01", "--mode", mode, "--rules", "quick"]
    assert bench(*words, "--out", tmp_path / "whole").returncode == 0
    out, dice = tmp_path / "killed", random.Random(11)
    words += ["--out", str(out)]
    for _ in range(10):
        wanted = rows(out) + (dice.randrange(100) if mode == "accuracy" else 1)
        with running(*words) as process:
            wait_for(lambda process=process, wanted=wanted: rows(out) >= wanted or process.poll() is not None)
            threading.Event().wait(dice.random())
            boards = children(process.pid) if process.poll() is None else []
            process.kill()
            process.wait()
        wait_for(lambda boards=boards: all(gone(one) for one in boards))
        words = ["--resume", str(only_folder(out))]
    answer = bench(*words)
    assert answer.returncode == 0, answer.stderr
    assert records(only_folder(out)) == records(only_folder(tmp_path / "whole"))


def test_a_finished_session_says_so_and_shows_its_table(board: Emulator, data_dir: Path, tmp_path: Path) -> None:
    first = bench(*kws01(board.url, tmp_path, 5))
    folder = only_folder(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = bench("--resume", folder)
    assert again.returncode == 0
    assert "this session is finished" in again.stderr
    assert again.stdout == first.stdout
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_session_that_is_told_to_end_says_how_to_go_on(
    signum: signal.Signals, data_dir: Path, firmware_image: Callable[[str], Image], tmp_path: Path
) -> None:
    firmware_image("mps2_an386")
    with running("kws01", "--mode", "accuracy", "--emulators", 2, "--inputs", 120, "--out", tmp_path) as process:
        wait_for_rows(process, tmp_path, 5)
        boards = children(process.pid)
        assert len(boards) == 2
        process.send_signal(signum)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signum
    assert all(gone(one) for one in boards)
    assert "Traceback" not in errors
    folder = resume_command(errors)
    assert folder == only_folder(tmp_path)
    assert 5 <= rows(tmp_path) < 120
    answer = bench("--resume", folder)
    assert answer.returncode == 0, answer.stderr
    assert records(folder)[0].runs[0].dataset.n == 120


def test_a_full_disk_keeps_what_was_finished(board: Emulator, data_dir: Path, tmp_path: Path) -> None:
    """A limit on the size of files, set when the session is on its way, stands for the disk."""
    out = tmp_path / "full"
    with running(*kws01(board.url, out)) as process:
        wait_for_rows(process, out, 10)
        room = max(path.stat().st_size for path in only_folder(out).glob("*.jsonl")) + 3000
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, room))
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "free some room" in errors.lower()
    folder = resume_command(errors)
    assert 10 < rows(out) < INPUTS
    assert (folder / journal.FILE).read_bytes().endswith(b"\n")
    assert bench("--resume", folder).returncode == 0
    assert bench(*kws01(board.url, tmp_path / "whole")).returncode == 0
    assert records(folder) == records(only_folder(tmp_path / "whole"))


@pytest.fixture
def begun(board: Emulator, data_dir: Path, tmp_path: Path) -> Path:
    """The folder of a session that was killed."""
    out = tmp_path / "begun"
    with running(*kws01(board.url, out)) as process:
        wait_for_rows(process, out, 5)
        process.kill()
        process.wait()
    return only_folder(out)


def changed(**changes: Any) -> Callable[[journal.Header], journal.Header]:
    return lambda header: msgspec.structs.replace(header, **changes)


def in_task(part: str, **changes: Any) -> Callable[[journal.Header], journal.Header]:
    def change(header: journal.Header) -> journal.Header:
        (task,) = header.tasks
        value = msgspec.structs.replace(task.dataset if part == "dataset" else task.models[0], **changes)
        parts: dict[str, Any] = {"dataset": value} if part == "dataset" else {"models": [value]}
        return msgspec.structs.replace(header, tasks=[msgspec.structs.replace(task, **parts)])

    return change


def in_device(**changes: Any) -> Callable[[journal.Header], journal.Header]:
    return lambda header: msgspec.structs.replace(
        header, devices=[msgspec.structs.replace(header.devices[0], **changes)]
    )


def test_what_is_not_as_it_was_is_refused(begun: Path) -> None:
    whole = (begun / journal.FILE).read_bytes()
    refused: list[tuple[Callable[[journal.Header], journal.Header], str]] = [
        (in_task("model", sha256="1" * 64), "the model of kws01"),
        (in_task("dataset", sha256="2" * 64), "the data set of kws01"),
        (in_task("dataset", labels_sha256="3" * 64), "the labels of kws01"),
        (in_task("dataset", n=INPUTS - 1), "the number of inputs of kws01"),
        (in_device(build_id="0" * 16), "the firmware build of board 1"),
        (in_device(engine="tflite_c 9.9"), "the engine of board 1"),
        (in_device(board="mps2_an386"), "the kind of board 1"),
    ]
    for change, reason in refused:
        rewrite(begun, change)
        before = (begun / journal.FILE).read_bytes()
        answer = bench("--resume", begun)
        assert answer.returncode == 1, reason
        assert f"this session cannot go on: {reason}" in answer.stderr
        assert (begun / journal.FILE).read_bytes() == before
        (begun / journal.FILE).write_bytes(whole)
    edited = whole.replace(b'"predicted":', b'"predicted":1', 1)
    assert edited != whole
    (begun / journal.FILE).write_bytes(edited)
    answer = bench("--resume", begun)
    assert answer.returncode == 1
    assert "is damaged, was edited" in answer.stderr
    (begun / journal.FILE).write_bytes(whole)
    assert bench("--resume", begun).returncode == 0


def test_only_one_host_goes_on_with_a_session(begun: Path) -> None:
    with Journal.reopen(begun):
        answer = bench("--resume", begun)
    assert answer.returncode == 1
    assert "another host has this session open" in answer.stderr


def test_options_that_contradict_the_session_are_refused(begun: Path) -> None:
    for words in (
        ["ic01"],
        ["--mode", "performance"],
        ["--rules", "mlperf"],
        ["--inputs", "7"],
        ["--board", "mps2_an386"],
        ["--emulators", "2"],
        ["--link", "stock"],
        ["--engine", "tflm"],
        ["--target", "0.5"],
        ["--profile"],
        ["--out", "elsewhere"],
    ):
        answer = bench("--resume", begun, *words)
        assert answer.returncode == 2, (words, answer.stderr)
        assert "contradicts the session" in answer.stderr
    rewrite(
        begun, lambda header: msgspec.structs.replace(header, plan=msgspec.structs.replace(header.plan, engine="tflm"))
    )
    answer = bench("--resume", begun, "--engine", "tflite_c")
    assert answer.returncode == 2, answer.stderr
    assert "--engine tflite_c contradicts the session" in answer.stderr


def test_options_that_say_the_same_are_not(begun: Path) -> None:
    answer = bench(
        "--resume", begun, "kws01", "kws01", "--mode", "accuracy", "--inputs", INPUTS, "--engine", "tflite_c"
    )
    assert answer.returncode == 0, answer.stderr


def test_a_board_that_is_reset_goes_on_by_itself(
    firmware_image: Callable[[str], Image], data_dir: Path, tmp_path: Path
) -> None:
    with start(firmware_image("mps2_an386"), timed=False) as qemu:
        with running(*kws01(qemu.url, tmp_path, 60)) as process:
            for count in (10, 30):
                wait_for_rows(process, tmp_path, count)
                qemu.reset()
            _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert bench(*kws01(qemu.url, tmp_path / "whole", 60)).returncode == 0
    (folder,) = (path for path in tmp_path.iterdir() if path.name != "whole")
    assert records(folder) == records(only_folder(tmp_path / "whole"))
    assert (folder / "log.jsonl").read_text().count("Opening it again") >= 1


def test_a_board_that_is_plugged_in_elsewhere_goes_on(
    firmware_image: Callable[[str], Image], data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "REOPEN_S", 0.5)
    image = firmware_image("native")
    folder: Path
    with start(image, timed=False) as first:
        plan = Plan(tasks=("kws01",), mode="accuracy", ports=(first.url,), inputs=INPUTS, out=tmp_path)
        unplug = threading.Thread(target=lambda: (wait_for(lambda: rows(tmp_path) >= 20), first.close()))
        unplug.start()
        with Reporter() as reporter, pytest.raises(LinkError) as failed:
            run_session(plan, reporter)
        unplug.join()
    folder = resume_command("\n".join(failed.value.__notes__))
    assert 20 <= rows(tmp_path) < INPUTS
    with start(image, timed=False) as second, Reporter() as reporter:
        outcome = resume_session(folder, [second.url], reporter)
    assert outcome.complete
    (run,) = outcome.result.runs
    assert run.dataset.n == INPUTS
    assert [unit.inputs for unit in outcome.result.units] == [INPUTS]
    assert outcome.result.units[0].dropped is None


def test_a_session_that_never_began_cannot_go_on(tmp_path: Path) -> None:
    answer = bench("--resume", tmp_path)
    assert answer.returncode == 1
    assert "Name a folder in which" in answer.stderr
    (tmp_path / journal.FILE).write_bytes(b'{"kind":"session"')
    answer = bench("--resume", tmp_path)
    assert answer.returncode == 1
    assert "start a new session" in answer.stderr
    assert os.listdir(tmp_path) == [journal.FILE]
