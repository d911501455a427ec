# SPDX-License-Identifier: Apache-2.0
"""Every fault of the virtual analyser has an outcome with a name; none gives a wrong number that passes for valid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simulator_kit import INFERENCES, Bench, bench

from energy.errors import EnergyError, InstrumentError, InstrumentLost, InstrumentTimeout
from energy.simulator.faults import KINDS, parse_faults
from energy.window import Reading, consistency


def three(board: Bench) -> list[Reading]:
    return [board.window() for _ in range(3)]


def test_without_a_fault_three_windows_are_valid_and_true(tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    with bench(truth=truth) as board:
        for number in range(3):
            board.simulator.analyser.label("kws01", number, 8)
            reading = board.window()
            assert reading.valid, reading.reasons
            entry = json.loads(truth.read_text())[number]
            assert entry["window"] == number
            assert reading.energy_j * 1e6 == pytest.approx(entry["energy_uj"], rel=2e-4)
            made_up = board.load.windows[number]
            assert reading.duration_s == pytest.approx(made_up.end_s - made_up.start_s, abs=1e-5)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("drop@w1", "500 samples were lost in the window"),
        ("drop@w1=0.00001", "1 samples were lost in the window"),
        ("silent_drop@w1", "the board's clock is"),
        ("nan@w1", "100 samples of the window are no number"),
        ("nan@w1=0.00001", "1 samples of the window are no number"),
        ("overload@w1", "100 samples of the window were overloaded"),
        ("edge_lost@w1", "no second falling edge"),
        ("edge_lost@w1:0.001", "no second falling edge"),
        ("edge_doubled@w1", "3 falling edges of the timing pin"),
        ("edge_doubled@w1:0.001", "3 falling edges of the timing pin"),
    ],
)
def test_one_window_is_not_valid_and_says_why(fault: str, reason: str) -> None:
    with bench(fault) as board:
        readings = three(board)
    assert [reading.valid for reading in readings] == [True, False, True]
    assert any(reason in told for told in readings[1].reasons), readings[1].reasons


def test_a_few_samples_that_nobody_reports_as_lost_show_in_the_clock_of_a_window() -> None:
    with bench("silent_drop@w1=0.0002", windows=4) as board:  # 0.6 % of it, below the clock's limit
        readings = [board.window() for _ in range(4)]
    assert all(reading.valid for reading in readings)
    told = consistency(readings, [INFERENCES] * 4)
    assert [reason is None for reason in told] == [True, False, True, True]
    assert "samples seem missing" in str(told[1])


def test_an_entry_in_the_error_queue_ends_the_measurement() -> None:
    with bench("error@w1") as board:
        assert board.window().valid
        with pytest.raises(InstrumentError, match=r'-310,"System error'):
            board.window()
        assert board.monitor.errors() == []
        assert board.window().valid  # it can go on: the queue is empty now


def test_a_late_answer_is_a_timeout_and_closes_the_monitor() -> None:
    with bench("late@w0") as board:
        with pytest.raises(InstrumentTimeout, match="did not answer 'FETC"):
            board.window()
        with pytest.raises(InstrumentLost, match="open it again"):
            board.monitor.read(0.1)


def test_a_connection_that_dies_in_a_block_is_lost() -> None:
    with bench("die@w0") as board, pytest.raises(InstrumentLost, match="was lost during 'FETC"):
        board.window()


def test_a_rate_that_was_rounded_is_read_back_and_used() -> None:
    with bench("rate=0.8") as board:
        assert board.settings.rate_hz == 80_000
        readings = three(board)
        assert all(reading.valid for reading in readings)
        assert readings[0].rate_hz == 80_000
        assert readings[0].clock_ratio == pytest.approx(1, abs=2e-3)


def test_a_rate_that_is_not_what_it_says_is_found_by_the_board_s_clock() -> None:
    with bench("rate_lie") as board:
        assert board.settings.rate_hz == 100_000
        for reading in three(board):
            assert not reading.valid
            assert any("the board's clock is" in told for told in reading.reasons)


def test_truth_knows_nothing_of_faults(tmp_path: Path) -> None:
    def truths(faults: str) -> list[float]:
        path = tmp_path / f"{len(faults)}.json"
        with bench(faults, truth=path) as board:
            for number in range(3):
                board.simulator.analyser.label("kws01", number, 8)
                board.window()
        return [entry["energy_uj"] for entry in json.loads(path.read_text())]

    assert truths("drop@w0,edge_lost@w1,nan@w2") == pytest.approx(truths(""), rel=1e-9)


def test_at_a_time_of_the_load_and_in_a_capture() -> None:
    with bench("nan@c1:0.01=0.002,overload@c0:0.05") as board:
        monitor = board.monitor
        found = []
        for _ in range(2):
            monitor.start(triggered=False, duration_s=1)
            seen = 0.0
            bad = []
            while seen < 0.08:
                chunk = monitor.read(1.0)
                assert chunk is not None
                values = chunk.current_a.astype(float)
                bad += [
                    round((chunk.t0_s + at / chunk.rate_hz) * 1000, 3)
                    for at in range(len(values))
                    if not -1 < values[at] < 1
                ]
                seen = chunk.t0_s + len(values) / chunk.rate_hz
            monitor.stop()
            found.append(bad)
    assert found[0] == [round(50 + 0.01 * at, 3) for at in range(100)]
    assert found[1] == [round(10 + 0.01 * at, 3) for at in range(200)]


@pytest.mark.parametrize(
    "text", ["foo", "drop@", "drop@x1", "drop@w", "drop=", "drop=-1", "drop=0", "nan=1e9", "late@1=x"]
)
def test_a_fault_that_makes_no_sense(text: str) -> None:
    with pytest.raises(EnergyError, match=r"is no fault|is too much"):
        parse_faults(text)


def test_every_kind_is_written_as_it_is_named() -> None:
    assert [fault.kind for fault in parse_faults(",".join(KINDS))] == list(KINDS)
    fault = parse_faults("drop@w3:0.25=0.5")[0]
    assert (fault.scope, fault.number, fault.after_s, fault.amount) == ("w", 3, 0.25, 0.5)
    assert parse_faults("nan@1.5")[0].due_s == 1.5
