# SPDX-License-Identifier: Apache-2.0
"""Triggered windows: the end from the board's time and the fall of the power, and when there is none."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from meter_kit import Board, cut, make_board

from energy.errors import InstrumentError
from energy.instrument import SampleChunk
from energy.trigger import TriggerMeter, TriggerReference
from energy.window import PULSE_S, Reading, consistency

RATE_HZ = 1e5
ELOG_HZ = 1 / 204.8e-6


def capture_of(
    board: Board, rate_hz: float = RATE_HZ, sizes: Sequence[int] = (977, 3), late_s: float = 0.0
) -> list[SampleChunk]:
    amperes, volts, _ = board.samples(rate_hz, begin_s=board.start_s + late_s)
    return list(cut(amperes, volts, None, rate_hz, sizes))


def feed(chunks: Iterable[SampleChunk], **more: float) -> TriggerMeter:
    meter = TriggerMeter(1.8, **more)
    for chunk in chunks:
        meter.feed(chunk)
    return meter


def reference_of(seed: int, rate_hz: float = RATE_HZ, late_s: float = 0.0, **more: float) -> TriggerReference:
    board = make_board(seed, inferences=1, **more)
    return feed(capture_of(board, rate_hz, late_s=late_s)).reference(board.device_s)


@pytest.mark.parametrize("rate_hz", [1e6, RATE_HZ, ELOG_HZ])
@pytest.mark.parametrize("late_s", [0.0, 4e-6])
def test_energy_lies_within_what_the_edges_leave_open(rate_hz: float, late_s: float) -> None:
    scores = []
    for seed in range(30):
        board = make_board(seed, inferences=20)
        meter = feed(capture_of(board, rate_hz, late_s=late_s), trigger_s=math.sqrt(3) * late_s)
        reading = meter.finish(board.device_s, reference_of(seed, rate_hz, late_s))
        assert reading.valid, reading.reasons
        assert meter.settled(board.device_s)
        assert reading.duration_s == pytest.approx(board.end_s - board.start_s, abs=4 * reading.u_end_s)
        u_j = math.hypot(reading.start_w * reading.u_start_s, reading.end_w * reading.u_end_s)
        scores.append(abs(reading.energy_j - board.energy_j()) / u_j)
    # Far inside: this board answers in the same time to the nanosecond, and a trigger that is late at both ends shifts
    # the window without making it longer. Neither is known of a real one.
    assert 0 < max(scores) < 1


def test_the_clocks_ratio_comes_from_both_captures() -> None:
    """A board whose clock is 0.4 % fast says more microseconds than there were."""
    board, short = make_board(1), make_board(1, inferences=1)
    fast = 1.004
    reference = feed(capture_of(short)).reference(short.device_s * fast)
    reading = feed(capture_of(board)).finish(board.device_s * fast, reference)
    assert reading.valid
    assert reading.clock_ratio == pytest.approx(fast, abs=2e-4)
    assert reading.duration_s == pytest.approx(board.end_s - board.start_s, rel=2e-5)
    assert reading.energy_j == pytest.approx(board.energy_j(), rel=2e-5)


@pytest.mark.parametrize("off", [0.012, -0.012])
def test_clocks_too_far_apart_make_it_invalid(off: float) -> None:
    board, short = make_board(1), make_board(1, inferences=1)
    reference = feed(capture_of(short)).reference(short.device_s * (1 + off))
    reading = feed(capture_of(board)).finish(board.device_s * (1 + off), reference)
    assert "off the instrument's (limit 1%)" in "; ".join(reading.reasons)


def test_a_longer_answer_is_carried_as_doubt() -> None:
    """What the board does after a window took 90 us longer than after the short one: a digit more on its line."""
    board = make_board(2, inferences=20)
    longer = dataclasses.replace(board, ends_s=board.ends_s.copy())
    longer.ends_s[-2:] += 90e-6
    reference = dataclasses.replace(reference_of(2), u_tail_s=90e-6)
    reading = feed(capture_of(longer)).finish(board.device_s, reference)
    assert reading.valid
    assert abs(reading.energy_j - board.energy_j()) < 2 * reading.end_w * reading.u_end_s
    assert abs(reading.energy_j - board.energy_j()) > 0.5 * reading.end_w * 90e-6


def broken(board: Board, what: str) -> list[SampleChunk]:
    chunks = capture_of(board, sizes=(500,))
    middle = int(board.device_s / 2 * RATE_HZ) // 500
    if what in ("gap", "gap nobody tells", "late begin"):
        at = 0 if what == "late begin" else middle
        chunks[at:] = [dataclasses.replace(chunk, t0_s=chunk.t0_s + 9 / RATE_HZ) for chunk in chunks[at:]]
        if what == "gap":
            chunks[at] = dataclasses.replace(chunks[at], lost=9)
    elif what in ("nan", "overload"):
        spoilt = chunks[middle].current_a.copy()
        spoilt[7:10] = math.nan if what == "nan" else math.inf
        chunks[middle] = dataclasses.replace(chunks[middle], current_a=spoilt)
    elif what == "nothing":
        chunks = []
    elif what == "cut off":
        chunks = chunks[: middle + 1]
    elif what == "never sleeps":
        chunks = [dataclasses.replace(c, current_a=np.maximum(c.current_a, np.float32(0.01))) for c in chunks]
    return chunks


REASONS = {
    "gap": "9 samples were lost in the window",
    "gap nobody tells": "9 samples were lost in the window",
    "late begin": "9 samples were lost in the window",
    "nan": "3 samples of the window are no number",
    "overload": "3 samples of the window were overloaded",
    "nothing": "the trigger never came",
    "cut off": "no clear fall after the window",
    "never sleeps": "no clear fall after the window",
}


@pytest.mark.parametrize("what", REASONS)
def test_a_broken_window_says_why(what: str) -> None:
    board = dataclasses.replace(make_board(6), current_a=np.minimum(make_board(6).current_a, 0.0115))
    reference = reference_of(6)
    assert feed(capture_of(board)).finish(board.device_s, reference).valid
    reading = feed(broken(board, what)).finish(board.device_s, reference)
    assert not reading.valid
    assert REASONS[what] in "; ".join(reading.reasons)


def test_without_the_board_s_time_or_a_reference_there_is_no_end() -> None:
    board = make_board(3)
    meter = feed(capture_of(board))
    assert "does not tell its own time" in meter.finish(None, reference_of(3)).reasons[0]
    assert "short capture" in meter.finish(board.device_s, None).reasons[0]
    assert (
        "longer than the short capture" in meter.finish(board.device_s, TriggerReference(0.19, 0.19, 1e-6)).reasons[0]
    )
    assert not meter.finish(board.device_s, TriggerReference(0.01, 0.5, 1e-6)).complete
    for nonsense in (0.0, -1.0, math.nan, math.inf, 1e9):
        assert not meter.finish(nonsense, reference_of(3)).valid


def test_a_short_capture_that_tells_nothing_is_an_error() -> None:
    board = make_board(4, inferences=1)
    with pytest.raises(InstrumentError, match="no clear fall"):
        feed(capture_of(board)[:1]).reference(board.device_s)
    chunks = capture_of(board)
    chunks[1] = dataclasses.replace(chunks[1], lost=1)
    with pytest.raises(InstrumentError, match="samples were lost"):
        feed(chunks).reference(board.device_s)


def test_a_short_capture_says_what_would_help() -> None:
    board = make_board(4, inferences=1)
    chunks = capture_of(board)
    over = np.full(len(chunks[0].current_a), np.inf, dtype=np.float32)
    with pytest.raises(InstrumentError, match="choose a larger range"):
        feed([dataclasses.replace(chunk, current_a=over[: len(chunk.current_a)]) for chunk in chunks]).reference(
            board.device_s
        )
    with pytest.raises(InstrumentError, match="samples a second: take more"):
        feed(capture_of(board, 1e3)).reference(board.device_s)


def test_samples_that_vanish_without_a_word_show_beside_the_other_windows() -> None:
    board, reference = make_board(5, inferences=250), reference_of(5)
    chunks = capture_of(board)
    whole = feed(chunks).finish(board.device_s, reference)
    amperes = np.concatenate([chunk.current_a for chunk in chunks]).astype(np.float64)
    keep = np.ones(len(amperes), dtype=np.bool_)
    keep[30_000:30_050] = False  # 500 ppm
    short = feed(cut(amperes[keep], None, None, RATE_HZ, (977,))).finish(board.device_s, reference)
    reasons = consistency([whole, whole, whole, short, whole], [250] * 5)
    assert [reason is not None for reason in reasons] == [False, False, False, True, False]


def test_a_window_longer_than_what_is_kept_loses_nothing() -> None:
    """30 million samples: 4 million are kept, the rest are sums."""
    rate_hz, active, asleep = 1e6, np.float32(0.02), np.float32(0.001)
    meter = TriggerMeter(1.8)
    piece = np.full(1_000_000, active, dtype=np.float32)
    for number in range(30):
        meter.feed(SampleChunk(piece, None, None, number * 1.0, rate_hz))
    meter.feed(SampleChunk(np.full(200_000, asleep, dtype=np.float32), None, None, 30.0, rate_hz))
    device_s = 30.0 - 300e-6 - PULSE_S
    reading: Reading = meter.finish(device_s, TriggerReference(0.01, 0.01 + 300e-6 + PULSE_S, 1e-7))
    assert reading.valid, reading.reasons
    assert reading.end_s == pytest.approx(30.0 - 300e-6, abs=1e-6)
    assert reading.energy_j == pytest.approx(float(active) * 1.8 * reading.end_s, rel=1e-12)
    assert reading.samples == pytest.approx(30e6, rel=1e-4)


def test_a_window_whose_answer_takes_longer_than_what_is_kept_is_no_window() -> None:
    meter = TriggerMeter(1.8)
    piece = np.full(1_000_000, 0.02, dtype=np.float32)
    for number in range(8):
        meter.feed(SampleChunk(piece, None, None, number * 1.0, 1e6))
    meter.feed(SampleChunk(piece[:100_000] / 20, None, None, 8.0, 1e6))
    assert not meter.finish(1.0, TriggerReference(0.1, 7.1, 1e-6)).valid
