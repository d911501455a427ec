# SPDX-License-Identifier: Apache-2.0
"""Operators' times laid over a window's power."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from meter_kit import LEAD_S, Board, cut

from energy.errors import TraceError
from energy.instrument import SampleChunk
from energy.operators import operator_energy
from energy.window import MarkerMeter

RATE_HZ = 1e6


def made(inferences: int, times_s: list[float], amperes: list[float]) -> tuple[Board, list[float]]:
    """A board whose operators take these currents, and the energy of each per inference."""
    lengths = [0.01, LEAD_S, *(times_s * inferences), 0.01]
    currents = [1e-3, 0.02, *(amperes * inferences), 1e-3]
    ends = np.cumsum(lengths)
    board = Board(ends, np.array(currents), 0.01, float(ends[-2]))
    return board, [1.8 * a * t for a, t in zip(amperes, times_s, strict=True)]


def cut_up(board: Board, sizes: tuple[int, ...] = (977, 3), rate_hz: float = RATE_HZ) -> list[SampleChunk]:
    return list(cut(*board.samples(rate_hz), rate_hz, sizes))


@pytest.mark.parametrize("sizes", [(977, 3), (1,), (10**9,), (100_000,)])
@pytest.mark.parametrize("count", [1, 7])
def test_each_operator_gets_its_own(sizes: tuple[int, ...], count: int) -> None:
    times_s, amperes = [300e-6, 0.0, 1100e-6, 41e-6], [0.01, 0.5, 0.03, 0.02]
    board, wanted = made(count, times_s, amperes)
    found = operator_energy(
        cut_up(board, sizes), board.start_s, board.end_s, count, [3000, 0, 11000, 410], assumed_v=0.0, lead_s=LEAD_S
    )
    # Boundaries lie inside of samples, whose power counts as constant: up to a quarter of a step in each.
    assert found == pytest.approx(wanted, abs=0.02 * 1.8 * 1e-6)


def test_the_sum_is_the_window_less_its_lead() -> None:
    times_s, amperes = list(np.linspace(20e-6, 900e-6, 31)), list(np.linspace(0.01, 0.04, 31))
    board, wanted = made(100, times_s, amperes)
    chunks = cut_up(board, (50_000,), 1e5)
    meter = MarkerMeter(1.8)
    for chunk in chunks:
        meter.feed(chunk)
    reading = meter.finish(board.device_s)
    found = operator_energy(chunks, reading.start_s, reading.end_s, 100, times_s, assumed_v=1.8)
    lead_j = 1.8 * 0.02 * LEAD_S
    assert math.fsum(found) * 100 == pytest.approx(reading.energy_j - lead_j, rel=2e-5)
    assert found == pytest.approx(wanted, rel=0.02, abs=1.8 * 0.02 * 0.5e-5)


def test_times_of_any_unit_mean_the_same() -> None:
    board, _ = made(3, [300e-6, 700e-6], [0.01, 0.02])
    chunks = cut_up(board)
    first = operator_energy(chunks, board.start_s, board.end_s, 3, [3, 7], assumed_v=1.8)
    assert operator_energy(chunks, board.start_s, board.end_s, 3, [0.3, 0.7], assumed_v=1.8) == pytest.approx(first)


def test_without_a_measured_voltage_the_assumed_one_counts() -> None:
    board, wanted = made(3, [300e-6, 700e-6], [0.01, 0.02])
    amperes, _, marker = board.samples(RATE_HZ)
    found = operator_energy(
        cut(amperes, None, marker, RATE_HZ, (977,)), board.start_s, board.end_s, 3, [3, 7], assumed_v=3.6, lead_s=LEAD_S
    )
    assert found == pytest.approx([2 * energy_j for energy_j in wanted], rel=2e-3)


@pytest.mark.parametrize("what", ["gap", "nan", "overload", "cut off", "begins late", "nothing"])
def test_a_window_with_holes_has_no_operators(what: str) -> None:
    board, _ = made(5, [300e-6, 700e-6], [0.01, 0.02])
    chunks = cut_up(board, (500,))
    middle = int((board.start_s + board.end_s) / 2 * RATE_HZ) // 500
    bad = np.full(500, math.nan if what == "nan" else math.inf, dtype=np.float32)
    match what:
        case "gap":
            del chunks[middle]
        case "nan" | "overload":
            chunks[middle] = dataclasses.replace(chunks[middle], current_a=bad)
        case "cut off":
            del chunks[middle:]
        case "begins late":
            del chunks[:middle]
        case "nothing":
            chunks = []
    with pytest.raises(TraceError, match="window"):
        operator_energy(chunks, board.start_s, board.end_s, 5, [3, 7], assumed_v=1.8)


def test_bad_samples_outside_of_the_window_do_no_harm() -> None:
    board, _ = made(5, [300e-6, 700e-6], [0.01, 0.02])
    chunks = cut_up(board, (500,))
    whole = operator_energy(chunks, board.start_s, board.end_s, 5, [3, 7], assumed_v=1.8)
    for at in (2, -2):
        chunks[at] = dataclasses.replace(chunks[at], current_a=np.full(500, np.nan, dtype=np.float32))
    del chunks[4]
    assert operator_energy(chunks, board.start_s, board.end_s, 5, [3, 7], assumed_v=1.8) == whole


@pytest.mark.parametrize("shares", [[], [0.0, 0.0], [1.0, -1.0], [1.0, math.nan], [math.inf]])
def test_times_that_cut_nothing_are_refused(shares: list[float]) -> None:
    with pytest.raises(ValueError, match="times"):
        operator_energy([], 0.0, 1.0, 1, shares, assumed_v=1.8)
