# SPDX-License-Identifier: Apache-2.0
"""`host bench --mode energy`, end to end: the real command, firmware in QEMU, and the virtual analyser over sockets.

ad01 has the shortest inferences. The truth is what the analyser itself has written; the host never reads it.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from processes import children, gone
from replay_kit import check_replay
from session_kit import bench, only_folder, resume_command, rows, running, wait_for_rows

from energy.trace import TraceReader
from host.build import Image
from host.emulator import start
from host.emulator.analyser import VirtualAnalyser
from host.results import record, schema

WORDS = ("ad01", "--mode", "energy", "--rules", "quick")


@pytest.fixture(autouse=True)
def _built(firmware_image: Callable[[str], Image], data_dir: Path) -> None:
    firmware_image("mps2_an386")


def energy_run(folder: Path) -> tuple[schema.Run, schema.Energy]:
    (run,) = record.read_result(folder).runs
    assert run.energy_uj is not None
    return run, run.energy_uj


def truth(folder: Path) -> dict[int, dict[str, float]]:
    """By window; of one that was made twice, the last time."""
    return {entry["window"]: entry for entry in json.loads((folder / "truth.json").read_text())}


def check_truth(folder: Path) -> None:
    """Every window's energy within its own uncertainty of the true one, and so the run's; the trace gives the same."""
    check_replay(folder)
    _, energy = energy_run(folder)
    true = truth(folder)
    assert sorted(true) == [window.window for window in energy.windows]
    for window in energy.windows:
        entry = true[window.window]
        assert entry["inferences"] == window.inferences
        assert window.valid, window.reasons
        assert window.energy_uj is not None
        assert window.u_uj is not None
        assert abs(window.energy_uj - entry["energy_uj"]) <= window.u_uj
    middle = sorted(entry["energy_uj"] / entry["inferences"] for entry in true.values())
    assert energy.gross is not None
    assert energy.gross == pytest.approx(middle[len(middle) // 2], rel=0.05)


def test_energy_and_latency_of_the_same_windows_beside_the_truth(tmp_path: Path) -> None:
    answer = bench(*WORDS, "--monitor", "simulated@simulated?seed=3&errors=drawn", "--net", "--out", tmp_path)
    assert answer.returncode == 0, answer.stderr
    folder = only_folder(tmp_path)
    check_truth(folder)
    run, energy = energy_run(folder)
    assert record.read_result(folder).provenance == "emulated"
    assert (run.mode, run.valid, len(run.windows), len(energy.windows)) == ("energy", True, 5, 5)
    assert run.latency_us is not None
    assert run.instructions_per_inference is not None
    assert energy.u is not None
    assert energy.net is not None
    assert energy.idle_mw is not None
    assert energy.mean_mw is not None
    assert energy.value == energy.net < energy.gross
    assert 0 < energy.idle_mw < energy.mean_mw / 5
    assert energy.clock_ratio == pytest.approx(1, abs=1e-3)
    assert {term.term for term in energy.budget} >= {"current gain", "voltage offset", "clock", "idle level", "scatter"}
    assert energy.u == pytest.approx(2 * sum(term.u_uj**2 for term in energy.budget) ** 0.5)
    assert (energy.monitor.name, energy.monitor.voltage, energy.monitor.windows) == ("simulated", "measured", "marker")
    assert energy.monitor.accuracy_source
    # A sentence is a line where no terminal is; test_terminal_commands.py looks at terminals.
    (budget,) = (line for line in answer.stdout.splitlines() if "uncertainty in uJ" in line)
    largest = max(energy.budget, key=lambda term: term.u_uj)
    assert budget.startswith(f"  uncertainty in uJ, k = 1: {largest.term} {largest.u_uj:.2g}, ")
    assert f"{energy.value:.2f}"[:4] in answer.stdout
    for words in ("EMULATED", "emulated uJ", "+-", "k = 2", "net of idle", "mW idle", "current gain"):
        assert words in answer.stdout


def test_operators_have_energies_that_add_up(tmp_path: Path) -> None:
    answer = bench(*WORDS, "--inputs", 1, "--profile", "--json", "--out", tmp_path)
    assert answer.returncode == 0, answer.stderr
    (run,) = schema.decode(answer.stdout.encode()).runs
    assert run.profile is not None
    assert run.energy_uj is not None
    energies = [cost.uj for cost in run.profile.operators if cost.uj is not None]
    assert run.energy_uj.gross is not None
    assert sum(energies) == pytest.approx(run.energy_uj.gross, rel=0.02)
    assert abs(run.profile.energy_deviation or 1.0) < 0.02
    assert len(energies) == len([cost for cost in run.profile.operators if cost.us is not None])
    with TraceReader(only_folder(tmp_path) / "trace-ad01.jls") as trace:
        (window,) = (capture for capture in trace.captures if capture.begin.kind == "window")
        spans = trace.operators(window)
    assert [span.index for span in spans[: len(energies)]] == sorted({span.index for span in spans})
    assert all(one.end_s <= other.start_s + 1e-9 for one, other in pairwise(spans))


def test_killed_between_windows_it_goes_on_where_it_was(tmp_path: Path) -> None:
    with running(*WORDS, "--net", "--inputs", 3, "--out", tmp_path) as process:
        wait_for_rows(process, tmp_path, 3)  # idle, calibrated, a window
        left = children(process.pid)
        process.kill()
        process.wait()
    assert len(left) >= 2  # the board and the analyser
    folder = only_folder(tmp_path)
    had = rows(tmp_path)
    answer = bench("--resume", folder, "--monitor", "simulated@simulated?seed=2")
    assert answer.returncode == 1
    assert "the idn of its power monitor is" in answer.stderr
    assert "it was cut off" in answer.stderr
    answer = bench("--resume", folder)
    assert answer.returncode == 0, answer.stderr
    assert all(gone(one) for one in left)
    check_truth(folder)
    _, energy = energy_run(folder)
    assert [window.window for window in energy.windows] == [0, 1, 2]
    assert rows(tmp_path) == had + 1 + (3 - (had - 2)) + 1 + 1  # resumed, windows, idle after, done
    assert sorted(path.name for path in folder.glob("trace-*")) == ["trace-ad01-2.jls", "trace-ad01.jls"]
    recorded = []
    for name in ("trace-ad01.jls", "trace-ad01-2.jls"):
        with TraceReader(folder / name) as trace:
            recorded += [
                capture.begin.window for capture in trace.captures if capture.end and capture.begin.kind == "window"
            ]
    assert set(recorded) == {0, 1, 2}


def test_every_broken_window_says_what_broke_it_and_the_run_is_not_valid(tmp_path: Path) -> None:
    faults = "silent_drop@w0=0.001,drop@w1,nan@w2,overload@w3,edge_doubled@w4"
    answer = bench(*WORDS, "--monitor", f"simulated@simulated?faults={faults}", "--out", tmp_path)
    assert answer.returncode == 1, answer.stderr
    check_replay(only_folder(tmp_path))
    run, energy = energy_run(only_folder(tmp_path))
    assert not run.valid
    assert (energy.value, energy.u, energy.gross, energy.budget) == (None, None, None, [])
    assert energy.lost_samples > 0
    for window, reason in zip(
        energy.windows, ("samples seem missing", "were lost", "no number", "overloaded", "3 falling edges"), strict=True
    ):
        assert not window.valid
        assert any(reason in text for text in window.reasons), (reason, window.reasons)
        assert f"ad01: window {window.window + 1} ({window.input}) not valid: " in answer.stdout
    assert "0 valid windows where the quick rules ask for 1" in answer.stdout
    assert "energy not known" in answer.stdout


def test_a_monitor_that_dies_ends_the_session_which_then_goes_on(tmp_path: Path) -> None:
    faults = "edge_lost@w0,die@w1"
    words = (*WORDS, "--inputs", 3, "--monitor", f"simulated@simulated?faults={faults}", "--out", tmp_path)
    with running(*words) as process:
        wait_for_rows(process, tmp_path, 1)
        left = children(process.pid)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "host: Instrument" in errors or "host: Garbled" in errors
    assert all(gone(one) for one in left)
    folder = resume_command(errors)
    # One without faults says that it is the same: it goes on, and what was lost stays lost.
    answer = bench("--resume", folder, "--monitor", "simulated")
    assert answer.returncode == 0, answer.stderr
    run, energy = energy_run(folder)
    assert run.valid
    assert [window.valid for window in energy.windows] == [False, True, True]
    assert "second falling edge" in energy.windows[0].reasons[0]
    answer = bench("--resume", folder, "--net")
    assert (answer.returncode, "contradicts the session" in answer.stderr) == (2, True)


@pytest.mark.long
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_it_leaves_nothing_behind(signum: signal.Signals, tmp_path: Path) -> None:
    with running(*WORDS, "--out", tmp_path) as process:
        wait_for_rows(process, tmp_path, 3)
        left = children(process.pid)
        process.send_signal(signum)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert "Traceback" not in errors
    assert all(gone(one) for one in left)
    assert resume_command(errors) == only_folder(tmp_path)


@pytest.mark.parametrize(
    "monitor",
    [
        "keysight_n6705",
        pytest.param("lpm01a", marks=pytest.mark.long),
        pytest.param("rs_ngu", marks=pytest.mark.long),
        pytest.param("keithley_dmm7510", marks=pytest.mark.long),
    ],
)
def test_each_real_instrument_measures_the_emulated_board(monitor: str, tmp_path: Path) -> None:
    answer = bench(*WORDS, "--inputs", 2, "--monitor", f"{monitor}@simulated?seed=4&errors=drawn", "--out", tmp_path)
    assert answer.returncode == 0, answer.stderr
    check_truth(only_folder(tmp_path))
    _, energy = energy_run(only_folder(tmp_path))
    assert energy.monitor.name == monitor
    if energy.monitor.voltage == "assumed":
        assert "voltage assumed 1.800 V" in answer.stdout


def test_a_board_that_is_reset_in_a_window_is_measured_again(
    firmware_image: Callable[[str], Image], tmp_path: Path
) -> None:
    image, folder = firmware_image("mps2_an386"), tmp_path / "out"
    with (
        VirtualAnalyser() as analyser,
        start(image, timed=True, qemu_arguments=analyser.qemu_arguments(image)) as board,
    ):
        words = (*WORDS, "--inputs", 3, "--port", board.url, "--monitor", f"simulated@{analyser.address}")
        with running(*words, "--voltage", 1.8, "--out", folder) as process:
            wait_for_rows(process, folder, 3)
            board.reset()
            _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    run, energy = energy_run(only_folder(folder))
    assert (run.valid, [window.valid for window in energy.windows]) == (True, [True] * 3)
    assert record.read_result(only_folder(folder)).provenance == "emulated"
    log = (only_folder(folder) / "log.jsonl").read_text()
    assert "Opening it again" in log
