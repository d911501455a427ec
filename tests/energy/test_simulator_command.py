# SPDX-License-Identifier: Apache-2.0
"""`python -m energy.simulator`: started alone, and by the host."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from energy.instrument import Settings
from energy.instruments.simulated import Simulated, open_instrument
from energy.simulator.recording import random_load, record_load
from host.paths import PROJECT_DIR

Process = subprocess.Popen[str]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[Process, int]]:
    command = [sys.executable, "-W", "error", "-m", "energy.simulator", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=PROJECT_DIR, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            ready = re.fullmatch(r"ready tcp 127\.0\.0\.1:(\d+)\n", process.stdout.readline())
            assert ready is not None, process.communicate()
            yield process, int(ready[1])
        finally:
            process.kill()


def opened(port: int) -> Simulated:
    return open_instrument(f"TCPIP0::127.0.0.1::{port}::SOCKET")


def samples_of(monitor: Simulated, count: int) -> np.ndarray:
    monitor.configure(Settings(1e5, 0.1, 1.8))
    monitor.start(triggered=True, duration_s=1)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < count:
        chunk = monitor.read(5.0)
        assert chunk is not None
        assert chunk.voltage_v is not None
        parts.append(np.stack([chunk.current_a, chunk.voltage_v], axis=1))
    monitor.stop()
    return np.concatenate(parts)[:count]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_alone_it_plays_a_made_up_board_until_it_is_told_to_end(how: signal.Signals) -> None:
    with running("--seed", "7") as (process, port):
        with opened(port) as monitor:
            assert monitor.idn == "tinyjoule,VA1,7,1"
            assert samples_of(monitor, 1000)[:, 1].mean() == pytest.approx(1.8, rel=1e-3)
        process.send_signal(how)
        assert process.communicate() == ("", "")
        assert process.returncode == 130


def test_a_recording_is_played_again_and_again_with_the_same_samples(tmp_path: Path) -> None:
    path = tmp_path / "board.npz"
    record_load(random_load(3, 1, inferences=(5,), idle_s=0.05), path)

    def heard() -> tuple[bytes, bytes]:
        with running("--load", str(path), "--errors", "drawn", "--seed", "9") as (_, port), opened(port) as monitor:
            return samples_of(monitor, 600).tobytes(), samples_of(monitor, 600).tobytes()

    once = heard()
    assert heard() == once
    assert once[0] != once[1]  # another capture has noise of its own


def test_the_host_s_one_takes_labels_and_ends_with_its_input(tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    with running("--until-eof", "--truth", str(truth)) as (process, port), opened(port) as monitor:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(2):
            process.stdin.write(json.dumps({"task": "kws01", "window": number, "inferences": 5}) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "labelled\n"
            samples_of(monitor, 60_000)  # longer than the gap to the next window and the window
        _, told = process.communicate()  # closes its stdin
        assert told == ""
        assert process.returncode == 0
    entries = json.loads(truth.read_text())
    assert [(entry["task"], entry["window"]) for entry in entries] == [("kws01", 0), ("kws01", 1)]
    assert all(entry["energy_uj"] > 0 for entry in entries)


def test_a_label_that_is_none_ends_it() -> None:
    with running("--until-eof") as (process, _):
        out, told = process.communicate("kws01 0 5\n")
        assert (out, process.returncode) == ("", 1)
        assert "is no label" in told


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--dialect", "klingon"), 2, "invalid choice"),
        (("--seed", "-1"), 2, "--seed is below"),
        (("--port", "70000"), 2, "--port below"),
        (("--faults", "boredom"), 1, "is no fault"),
        (("--errors", "nothing.toml"), 1, "gives no errors"),
        (("--load", "nothing.npz"), 1, "cannot read"),
        (("--load", "unix:/no/such/folder/x"), 1, "cannot listen"),
    ],
)
def test_what_makes_no_sense(arguments: tuple[str, ...], code: int, message: str) -> None:
    command = [sys.executable, "-m", "energy.simulator", *arguments]
    answer = subprocess.run(command, cwd=PROJECT_DIR, check=False, capture_output=True, text=True)
    assert answer.returncode == code
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr
