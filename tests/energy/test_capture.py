# SPDX-License-Identifier: Apache-2.0
"""Captures: what the instrument and the board do at the same time, and whose failure is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from meter_kit import Board, Player, cut, make_board

from energy import capture
from energy.capture import measure_idle, measure_reference, measure_window
from energy.errors import InstrumentError, InstrumentLost, InstrumentTimeout
from energy.instrument import SampleChunk, Settings

RATE_HZ = 1e5
SETTINGS = Settings(RATE_HZ, 0.1, 1.8)


def marker_chunks(board: Board) -> list[SampleChunk | Exception]:
    return list(cut(*board.samples(RATE_HZ), RATE_HZ, (500,)))


def trigger_chunks(board: Board) -> list[SampleChunk | Exception]:
    amperes, volts, _ = board.samples(RATE_HZ, begin_s=board.start_s)
    return list(cut(amperes, volts, None, RATE_HZ, (500,)))


def run(player: Player, board: Board) -> Callable[[], float]:
    """Work that is done when the instrument has recorded the board."""

    def work() -> float:
        assert player.calls[-1].startswith("start"), "the instrument records before the board begins"
        assert player.empty.wait(10)
        return board.device_s

    return work


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_PATIENCE_S", 0.3)


def test_a_marker_window_is_recorded_while_the_board_works() -> None:
    board = make_board(1)
    player, seen = Player(marker_chunks(board)), list[SampleChunk]()
    everything = list(player.chunks)
    reading = measure_window(player, SETTINGS, run(player, board), 0.5, sink=seen.append)
    assert reading.valid, reading.reasons
    assert reading.energy_j == pytest.approx(board.energy_j(), rel=1e-4)
    assert [id(chunk) for chunk in seen] == [id(chunk) for chunk in everything], "the trace has all of it, in order"
    assert player.calls[0].startswith("start triggered=False")
    assert player.calls[-1] == "stop"


def test_a_triggered_window_needs_its_short_capture() -> None:
    board, short = make_board(2), make_board(2, inferences=1)
    player = Player(trigger_chunks(short), windows="trigger")
    reference = measure_reference(player, SETTINGS, run(player, short), 0.1)
    player = Player(trigger_chunks(board), windows="trigger")
    reading = measure_window(player, SETTINGS, run(player, board), 0.5, reference=reference)
    assert reading.valid, reading.reasons
    assert reading.energy_j == pytest.approx(board.energy_j(), rel=1e-4)
    assert player.calls == ["start triggered=True 2.625", "stop"]


def test_a_board_without_a_time_of_its_own_is_an_error_for_the_reference() -> None:
    player = Player(trigger_chunks(make_board(2, inferences=1)), windows="trigger")
    with pytest.raises(InstrumentError, match="does not tell its own time"):
        measure_reference(player, SETTINGS, lambda: None, 0.1)
    assert player.calls[-1] == "stop"


def test_idle_is_recorded_for_as_long_as_was_asked() -> None:
    player = Player(marker_chunks(make_board(3)), pace_s=0.005)
    idle = measure_idle(player, SETTINGS, 0.02)
    assert idle.valid
    assert idle.duration_s >= 0.02
    assert player.chunks, "the rest was not asked for"
    assert player.calls == ["start triggered=False 1.02", "stop"]


def test_an_instrument_that_sends_nothing_is_not_waited_for() -> None:
    with pytest.raises(InstrumentTimeout, match="sent no samples"):
        measure_idle(Player([]), SETTINGS, 0.02)
    silent = Player([])
    reading = measure_window(silent, SETTINGS, lambda: 0.2, 0.5)
    assert not reading.valid
    assert "no falling edge" in reading.reasons[0]
    assert silent.calls[-1] == "stop"


def test_an_instrument_may_take_long_to_start() -> None:
    class Slow(Player):
        def start(self, *, triggered: bool, duration_s: float) -> None:
            super().start(triggered=triggered, duration_s=duration_s)
            time.sleep(2 * capture._PATIENCE_S)

        def read(self, timeout_s: float) -> SampleChunk | None:
            time.sleep(0.02)
            return super().read(timeout_s)

    assert measure_idle(Slow(marker_chunks(make_board(1))), SETTINGS, 0.02).valid


def test_what_the_instrument_raises_arrives_when_the_board_is_done() -> None:
    board = make_board(4)
    player = Player([*marker_chunks(board)[:5], InstrumentLost("the line is dead")])
    done = []

    def work() -> float:
        time.sleep(0.05)
        done.append(True)
        return board.device_s

    with pytest.raises(InstrumentLost, match="the line is dead"):
        measure_window(player, SETTINGS, work, 0.5)
    assert done
    assert player.calls[-1] == "stop"


@pytest.mark.parametrize("error", [ValueError("the board failed"), KeyboardInterrupt()])
def test_the_board_s_failure_is_told_first(error: BaseException) -> None:
    class Stubborn(Player):
        def stop(self) -> None:
            super().stop()
            raise InstrumentError("cannot stop either")

    player = Stubborn([InstrumentLost("the line is dead")])

    def work() -> float:
        time.sleep(0.05)
        raise error

    with pytest.raises(type(error)) as raised:
        measure_window(player, SETTINGS, work, 0.5)
    assert raised.value is error
    assert player.calls[-1] == "stop"


def test_a_trace_that_cannot_be_written_is_an_error() -> None:
    board = make_board(4)
    player = Player(marker_chunks(board))

    def full(_chunk: SampleChunk) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        measure_window(player, SETTINGS, lambda: 0.2, 0.5, sink=full)
    assert player.calls[-1] == "stop"


def test_a_slow_disk_holds_up_the_queue_and_not_the_board() -> None:
    """The queue holds 64 chunks; with a disk that takes none, the board's work is not held up, and nothing is lost."""
    board = make_board(5, inferences=100)
    player = Player(list(cut(*board.samples(RATE_HZ), RATE_HZ, (100,))))
    total = len(player.chunks)
    gate, seen = threading.Event(), []

    def sink(chunk: SampleChunk) -> None:
        gate.wait(10)
        seen.append(chunk)

    def work() -> float:
        deadline = time.monotonic() + 10
        while len(player.chunks) > total - 60 and time.monotonic() < deadline:
            time.sleep(0.001)
        held = len(player.chunks)
        time.sleep(0.05)
        assert held >= len(player.chunks) >= total - 64 - 3, "the instrument's own memory holds the rest"
        gate.set()
        assert player.empty.wait(10)
        return board.device_s

    assert measure_window(player, SETTINGS, work, 0.5, sink=sink).valid
    assert len(seen) == total


def test_no_thread_is_left() -> None:
    before = set(threading.enumerate())
    test_what_the_instrument_raises_arrives_when_the_board_is_done()
    test_a_trace_that_cannot_be_written_is_an_error()
    assert set(threading.enumerate()) <= before


def test_it_goes_on_after_the_window_until_an_edge_too_many_would_show() -> None:
    board = make_board(6)
    amperes, volts, marker = board.samples(RATE_HZ)
    again = int(board.end_s * RATE_HZ) + 4000
    marker[again : again + 3] = False
    player = Player(list(cut(amperes, volts, marker, RATE_HZ, (500,))))
    rest = [player.chunks.pop() for _ in range(9)][::-1]  # come after the board has answered

    def work() -> float:
        assert player.empty.wait(10)
        player.chunks.extend(rest)
        return board.device_s

    reading = measure_window(player, SETTINGS, work, 0.5)
    assert "3 falling edges" in "; ".join(reading.reasons)


def test_the_pin_going_on_for_ever_ends_the_capture_all_the_same() -> None:
    """One second of the stream without a window's end, and it is given up."""
    level = np.ones(50_000, dtype=np.bool_)
    chunks = [SampleChunk(np.ones(50_000, dtype=np.float32), None, level, k * 0.5, RATE_HZ) for k in range(200)]
    player = Player(list(chunks), pace_s=0.01)
    reading = measure_window(player, SETTINGS, lambda: 0.2, 0.5)
    assert not reading.valid
    assert player.chunks, "it did not read all of it"
