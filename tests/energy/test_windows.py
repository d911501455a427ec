# SPDX-License-Identifier: Apache-2.0
"""Marker windows: where the edges are, what lies in between, and everything that makes a window useless."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from meter_kit import PULSE_S, Board, cut, make_board

from energy.instrument import SampleChunk
from energy.window import IdleMeter, MarkerMeter, Reading, consistency

RATE_HZ = 1e5


def measure(chunks: Iterable[SampleChunk], device_s: float | None = None, assumed_v: float = 1.8) -> Reading:
    meter = MarkerMeter(assumed_v)
    for chunk in chunks:
        meter.feed(chunk)
    return meter.finish(device_s)


def chunks_of(board: Board, sizes: tuple[int, ...] = (977, 3, 1)) -> list[SampleChunk]:
    return list(cut(*board.samples(RATE_HZ), RATE_HZ, sizes))


@pytest.mark.parametrize("rate_hz", [1e6, 1e5, 5e3])
@pytest.mark.parametrize("ohms", [0.0, 0.5])
def test_energy_lies_within_what_the_edges_leave_open(rate_hz: float, ohms: float) -> None:
    scores = []
    rng = np.random.default_rng(2)
    for seed in range(60):
        board = make_board(seed, inference_s=rng.uniform(0.003, 0.005), inferences=20, ohms=ohms)
        reading = measure(cut(*board.samples(rate_hz), rate_hz, (9973, 3, 1)), board.device_s)
        assert reading.valid, reading.reasons
        assert reading.start_s == pytest.approx(board.start_s, abs=1 / rate_hz)
        assert reading.duration_s == pytest.approx(board.end_s - board.start_s, abs=1.5 / rate_hz)
        # One sample holds steps of at most 30 mA: v and i together are off by less than ohms * i^2 / 4 in it.
        sag_j = ohms * 0.03**2 / 4 * reading.duration_s * min(1.0, 12 / 0.004 / rate_hz)
        u_j = math.hypot(reading.start_w * reading.u_start_s, reading.end_w * reading.u_end_s)
        error_j = abs(reading.energy_j - board.energy_j())
        scores.append(max(error_j - sag_j, 0.0) / u_j)
        assert reading.flux_vs == pytest.approx(reading.duration_s * 1.8, rel=0.02)
        assert reading.charge_c == pytest.approx(reading.energy_j / 1.8, rel=0.02)
    # Two edges, each anywhere in its sample: never over the root of 6 standard uncertainties, 1 on the average.
    assert max(scores) < 1.1 * math.sqrt(6)
    assert (0.0 if ohms else 0.7) < float(np.sqrt(np.mean(np.square(scores)))) < 1.25


def test_chunking_changes_nothing_but_the_last_digits() -> None:
    board = make_board(3, inferences=5)
    whole = measure(chunks_of(board, (10**9,)))
    single = measure(chunks_of(board, (1,)))
    assert single == dataclasses.replace(
        whole,
        energy_j=pytest.approx(whole.energy_j, rel=1e-13),  # type: ignore[arg-type]
        charge_c=pytest.approx(whole.charge_c, rel=1e-13),  # type: ignore[arg-type]
        flux_vs=pytest.approx(whole.flux_vs, rel=1e-13),  # type: ignore[arg-type]
        start_s=pytest.approx(whole.start_s, rel=1e-13),  # type: ignore[arg-type]
        end_s=pytest.approx(whole.end_s, rel=1e-13),  # type: ignore[arg-type]
    )


def test_a_step_of_the_power_tells_the_edge() -> None:
    """From 2 mA to 20 mA at the very edges: without interpolation the window of 1 ms would be off by up to 0.5 %."""
    for part in (0.1, 0.35, 0.62, 0.9):
        start_s, end_s = 0.010 + part * 1e-5, 0.011 + (1 - part) * 1e-5
        board = Board(np.array([start_s, end_s, 0.02]), np.array([2e-3, 20e-3, 2e-3]), start_s, end_s)
        reading = measure(chunks_of(board))
        assert reading.valid
        assert reading.energy_j == pytest.approx(board.energy_j(), rel=1e-6)
        assert reading.u_start_s == pytest.approx(1e-6)
        assert reading.duration_s == pytest.approx(end_s - start_s, rel=1e-6)


def test_a_step_next_to_an_edge_is_not_taken_for_it() -> None:
    start_s, end_s = 0.010 + 0.3e-5, 0.011 + 0.3e-5
    board = Board(np.array([start_s + 2e-5, end_s + 3e-5, 0.02]), np.array([2e-3, 20e-3, 2e-3]), start_s, end_s)
    reading = measure(chunks_of(board))
    assert reading.u_start_s == pytest.approx(1e-5 / math.sqrt(12))
    assert reading.energy_j == pytest.approx(board.energy_j(), abs=2 * math.hypot(0.036, 0.0036) * 1e-5 / 2)


def test_the_voltage_is_the_assumed_one_where_nobody_measures_it() -> None:
    board = make_board(5)
    amperes, _, marker = board.samples(RATE_HZ)
    reading = measure(cut(amperes, None, marker, RATE_HZ, (977,)), assumed_v=3.3)
    assert not reading.voltage_measured
    assert reading.energy_j == pytest.approx(3.3 * reading.charge_c, rel=1e-12)
    assert reading.flux_vs == pytest.approx(3.3 * reading.duration_s, rel=1e-9)


def test_hours_of_samples_lose_no_digits() -> None:
    """Ten hours of 1 MS/s would be 3.6e10 samples: the clock starts there, as if they had been fed."""
    begin_s, rate_hz = 36000.0, 1e6
    amperes, marker = np.full(3_000_000, 0.0123), np.ones(3_000_000, dtype=np.bool_)
    marker[500_000:500_026] = marker[2_500_000:2_500_026] = False
    reading = measure(cut(amperes, amperes * 0 + 3.3, marker, rate_hz, (100_000,), t0_s=begin_s))
    assert reading.valid, reading.reasons
    assert reading.energy_j == pytest.approx(float(np.float32(0.0123)) * float(np.float32(3.3)) * 2.0, rel=1e-12)


def broken(board: Board, what: str) -> list[SampleChunk]:
    """The chunks of a board, with one thing wrong."""
    chunks = chunks_of(board, (500,))
    middle = int((board.start_s + board.end_s) / 2 * RATE_HZ) // 500
    begin, end = (int(time_s * RATE_HZ) // 500 for time_s in (board.start_s, board.end_s))

    def later(samples: int) -> list[SampleChunk]:
        return [*chunks[:middle], *(dataclasses.replace(c, t0_s=c.t0_s + samples / RATE_HZ) for c in chunks[middle:])]

    def change(at: int, among: list[SampleChunk] = chunks, **more: object) -> list[SampleChunk]:
        return [*among[:at], dataclasses.replace(among[at], **more), *among[at + 1 :]]  # type: ignore[arg-type]

    def spoilt(name: str, *values: object) -> list[SampleChunk]:
        samples = getattr(chunks[middle], name).copy()
        samples[250:253] = values if len(values) > 1 else values[0]
        return change(middle, **{name: samples})

    high, low = np.ones(500, dtype=np.bool_), np.zeros(500, dtype=np.bool_)
    ways: dict[str, Callable[[], list[SampleChunk]]] = {
        "gap": lambda: change(middle, later(7), lost=7),
        "gap nobody tells": lambda: later(7),
        "nan": lambda: spoilt("current_a", math.nan),
        "voltage nan": lambda: spoilt("voltage_v", math.nan),
        "overload": lambda: spoilt("current_a", math.inf),
        "both overloads": lambda: spoilt("current_a", math.inf, -math.inf, math.inf),
        "overload code": lambda: spoilt("current_a", 9.9e37),
        "overload everywhere": lambda: [
            dataclasses.replace(c, current_a=np.full(len(c.current_a), np.inf, np.float32)) for c in chunks
        ],
        "no edges": lambda: [dataclasses.replace(c, marker=high[: len(c.current_a)]) for c in chunks],
        "first edge lost": lambda: change(begin, change(begin + 1, marker=high), marker=high),
        "second edge lost": lambda: chunks[:end],
        "edge doubled": lambda: spoilt("marker", False),
        "pin stuck low": lambda: [dataclasses.replace(c, marker=low[: len(c.current_a)]) for c in chunks],
        "low at the begin": lambda: change(0, marker=np.concatenate((low[:5], high[5:]))),
        "rate changes": lambda: change(middle, rate_hz=RATE_HZ * 1.001),
        "backwards": lambda: later(-7),
        "begins in the window": lambda: chunks[middle:],
    }
    return ways[what]()


REASONS = {
    "gap": "7 samples were lost in the window",
    "gap nobody tells": "7 samples were lost in the window",
    "nan": "3 samples of the window are no number",
    "voltage nan": "3 samples of the window are no number",
    "overload": "3 samples of the window were overloaded",
    "both overloads": "3 samples of the window were overloaded",
    "overload code": "3 samples of the window were overloaded",
    "overload everywhere": "samples of the window were overloaded",
    "no edges": "no falling edge",
    "first edge lost": "no second falling edge",
    "second edge lost": "no second falling edge",
    "edge doubled": "3 falling edges of the timing pin were seen instead of 2",
    "pin stuck low": "low when the capture began",
    "low at the begin": "low when the capture began",
    "rate changes": "sample rate changed",
    "backwards": "times run backwards",
    "begins in the window": "no second falling edge",
}


@pytest.mark.parametrize("what", REASONS)
def test_a_broken_window_says_why(what: str) -> None:
    board = make_board(7)
    assert measure(chunks_of(board, (500,)), board.device_s).valid
    reading = measure(broken(board, what), board.device_s)
    assert not reading.valid
    assert REASONS[what] in "; ".join(reading.reasons)
    assert not (reading.complete and not math.isfinite(reading.energy_j))


def test_what_speaks_against_a_window_is_not_told_twice() -> None:
    board = make_board(7)
    reading = measure(broken(board, "edge doubled"), board.device_s)
    assert len(reading.reasons) == 1  # a clock between two edges of which one is none says nothing
    level = np.ones(3, dtype=np.bool_)
    slow = measure([SampleChunk(np.ones(3, np.float32), None, level, 0.0, 1e3)], board.device_s)
    assert any("1,000 samples per second" in reason for reason in slow.reasons)


@pytest.mark.parametrize(("what", "where"), [("nan", "before"), ("gap", "before"), ("nan", "after"), ("gap", "after")])
def test_what_lies_outside_of_the_window_does_no_harm(what: str, where: str) -> None:
    board = make_board(8)
    chunks = chunks_of(board, (100,))
    whole = measure(chunks, board.device_s)
    at = 5 if where == "before" else int(board.end_s * RATE_HZ) // 100 + 3
    if what == "nan":
        chunks[at] = dataclasses.replace(chunks[at], current_a=np.full(100, np.nan, dtype=np.float32))
    else:
        del chunks[at]
        chunks[at] = dataclasses.replace(chunks[at], lost=100)
    assert measure(chunks, board.device_s) == whole


@pytest.mark.parametrize("which", ["start", "end"])
def test_a_gap_that_holds_an_edge_makes_the_window_invalid(which: str) -> None:
    board = make_board(9, inferences=2)
    chunks = list(cut(*board.samples(RATE_HZ), RATE_HZ, (1,)))
    at = int((board.start_s if which == "start" else board.end_s) * RATE_HZ)
    del chunks[at]
    chunks[at] = dataclasses.replace(chunks[at], lost=1)
    reading = measure(chunks, board.device_s)
    assert not reading.valid
    assert reading.lost == 1


def test_an_edge_at_the_capture_s_end_has_nothing_behind_it() -> None:
    board = make_board(9, inferences=5)
    chunks = list(cut(*board.samples(1e4), 1e4, (1,)))[: int(board.end_s * 1e4) + 1]
    reading = measure(chunks, board.device_s)
    assert "too close to the capture's end" in "; ".join(reading.reasons)


@pytest.mark.parametrize(
    ("off", "valid"), [(0.0, True), (0.009, True), (-0.009, True), (0.011, False), (-0.011, False)]
)
def test_clocks_may_differ_by_one_per_cent(off: float, valid: bool) -> None:
    board = make_board(10)
    reading = measure(chunks_of(board), board.device_s * (1 + off))
    assert reading.valid == valid
    assert reading.clock_ratio == pytest.approx(1 + off, abs=3e-4)


def windows(seeds: range, **more: float) -> list[Reading]:
    return [measure(chunks_of(b), b.device_s) for b in (make_board(seed, **more) for seed in seeds)]


def test_samples_that_vanish_without_a_word_show_beside_the_other_windows() -> None:
    good = windows(range(4), inferences=250)
    assert consistency(good, [250] * 4) == [None] * 4
    board = make_board(5, inferences=250)
    amperes, volts, marker = board.samples(RATE_HZ)
    keep = np.ones(len(amperes), dtype=np.bool_)
    keep[50_000:50_040] = False  # 400 ppm of a window of 1 s
    short = measure(cut(amperes[keep], volts[keep], marker[keep], RATE_HZ, (977,)), board.device_s)
    assert short.valid, "nothing in the window itself tells"
    reasons = consistency([*good, short], [250] * 5)
    assert reasons[:4] == [None] * 4
    assert "samples seem missing" in str(reasons[4])


def test_without_the_board_s_time_the_windows_times_are_compared() -> None:
    silent = [dataclasses.replace(reading, device_s=None) for reading in windows(range(5))]
    assert consistency(silent, [50] * 5) == [None] * 5
    silent[2] = dataclasses.replace(silent[2], end_s=silent[2].end_s * 0.97)
    assert [reason is not None for reason in consistency(silent, [50] * 5)] == [False, False, True, False, False]
    assert consistency([dataclasses.replace(silent[0], complete=False)], [50]) == [None]


def test_an_idle_stretch_is_a_mean_with_its_scatter() -> None:
    rng = np.random.default_rng(1)
    amperes, volts = 2e-3 + 1e-4 * rng.standard_normal(50_000), np.full(50_000, 1.8)
    meter = IdleMeter(0.0)
    for chunk in cut(amperes, volts, None, RATE_HZ, (977, 3)):
        meter.feed(chunk)
    idle = meter.finish()
    assert idle.valid
    assert idle.mean_w == pytest.approx(float(np.mean(amperes)) * 1.8, rel=1e-6)
    assert (idle.mean_a, idle.mean_v, idle.duration_s) == pytest.approx((float(np.mean(amperes)), 1.8, 0.5), rel=1e-6)
    assert idle.u_w == pytest.approx(1.8e-4 / math.sqrt(50_000), rel=0.35)
    assert "0 samples" in IdleMeter(0.0).finish().reasons[0]


@pytest.mark.parametrize("what", ["gap", "nan", "overload", "rate changes"])
def test_a_broken_idle_stretch_says_why(what: str) -> None:
    meter = IdleMeter(1.8)
    for chunk in broken(make_board(11), what):
        meter.feed(chunk)
    idle = meter.finish()
    assert REASONS[what].replace("the window", "the idle stretch") in "; ".join(idle.reasons)


def test_the_kit_s_pulse_is_seen_at_every_rate() -> None:
    board = make_board(12)
    assert np.count_nonzero(~board.samples(1e6)[2]) == pytest.approx(2 * PULSE_S * 1e6, abs=2)
    assert np.count_nonzero(~board.samples(1e3)[2]) == 2
