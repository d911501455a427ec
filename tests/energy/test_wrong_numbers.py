# SPDX-License-Identifier: Apache-2.0
"""Whatever an instrument does without a word, its number is invalid, or U holds how wrong it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from meter_kit import Board, cut, make_board
from numpy.typing import NDArray

from energy.accuracy import lookup
from energy.stream import NEAR, U_MIDDLE, Edge
from energy.uncertainty import budget, unexplained
from energy.window import IdleMeter, MarkerMeter, Reading

RATE_HZ = 1e5
VOLTS = 1.8


def read(
    board: Board,
    *,
    rate_hz: float = RATE_HZ,
    said_hz: float | None = None,
    dropped: NDArray[np.intp] | None = None,
) -> Reading:
    """A window as an instrument gives it that is right but for what it does not tell: its true rate, or samples that
    are not there."""
    samples = board.samples(rate_hz)
    if dropped is not None:
        samples = tuple(np.delete(each, dropped) for each in samples)
    meter = MarkerMeter(VOLTS)
    for chunk in cut(*samples, said_hz or rate_hz, (4001,)):
        meter.feed(chunk)
    return meter.finish(board.device_s)


def error_over_u(board: Board, reading: Reading) -> float:
    accuracy = lookup("VA1", 0.1, VOLTS)
    assert accuracy is not None
    return abs(reading.energy_j - board.energy_j()) / budget(reading, accuracy).expanded_j


@pytest.mark.parametrize("lie", [0.9905, 0.995, 0.999, 1.001, 1.005, 1.009])
def test_a_rate_that_is_a_little_off_is_in_u(lie: float) -> None:
    board = make_board(21)
    reading = read(board, rate_hz=RATE_HZ * lie, said_hz=RATE_HZ)
    assert reading.valid, "the clocks may differ by 1 %"
    assert error_over_u(board, reading) < 1
    honest = dataclasses.replace(reading, device_s=None)
    assert error_over_u(board, honest) > 1 or abs(lie - 1) < 0.002, "without the board's clock nobody could know"


@pytest.mark.parametrize("samples", [20, 60, 150])
def test_samples_that_every_window_lacks_are_in_u(samples: int) -> None:
    board = make_board(22)
    first = int(board.start_s * RATE_HZ) + 500
    reading = read(board, dropped=np.arange(first, first + samples))
    assert reading.valid, "nobody tells"
    assert error_over_u(board, reading) < 1


def test_clocks_that_agree_add_nothing() -> None:
    accuracy = lookup("VA1", 0.1, VOLTS)
    assert accuracy is not None
    for seed in range(10):
        reading = read(make_board(seed))
        assert unexplained(reading, accuracy) == 0
    assert unexplained(dataclasses.replace(reading, device_s=None), accuracy) == 0
    assert unexplained(dataclasses.replace(reading, end_s=reading.start_s), accuracy) == 0


def edge(before: float, at: float, after: float) -> Edge:
    def rows(power_w: float, count: int) -> NDArray[np.float64]:
        return np.tile((power_w, power_w / VOLTS, VOLTS), (count, 1))

    return Edge(0.0, rows(before, NEAR), rows(at, 1)[0], rows(after, NEAR))


def test_a_step_tells_the_edge_only_inside_of_its_sample() -> None:
    assert edge(2e-3, 20e-3, 40e-3).locate()[0] == pytest.approx(20 / 38)
    for border in (edge(2e-3, 2e-3, 40e-3), edge(2e-3, 40e-3, 40e-3)):
        assert border.locate() == (0.5, U_MIDDLE, False), "the step may be another one, in the sample beside"


def test_an_edge_that_no_step_tells_counts_with_the_higher_power() -> None:
    """A sample of 0 and P, half of it: it may hold none of the window or all of it."""
    assert edge(0.0, 20e-3, 40e-3).power_w == edge(40e-3, 20e-3, 0.0).power_w == 40e-3


def test_what_comes_behind_a_gap_does_not_tell_where_the_edge_is() -> None:
    board = make_board(23)
    amperes, volts, marker = board.samples(1e4)
    last = int(np.flatnonzero(marker[:-1] & ~marker[1:])[1]) + 1
    cuts = (last + 2, last + 40)
    meter = MarkerMeter(VOLTS)
    for begin, end, lost in ((0, cuts[0], 0), (cuts[1], len(amperes), cuts[1] - cuts[0])):
        for chunk in cut(amperes[begin:end], volts[begin:end], marker[begin:end], 1e4, (4001,), begin / 1e4):
            meter.feed(dataclasses.replace(chunk, lost=lost))
            lost = 0  # noqa: PLW2901 - it is before the first one
    reading = meter.finish(board.device_s)
    assert reading.valid, "the gap is behind the window"
    assert reading.u_end_s == pytest.approx(U_MIDDLE / 1e4)


def test_a_short_idle_stretch_scatters_too() -> None:
    rng = np.random.default_rng(5)
    ratios = []
    for _ in range(200):
        meter = IdleMeter(VOLTS)
        amperes = 1e-3 + 1e-5 * rng.standard_normal(20)
        for chunk in cut(amperes, None, None, 20.0, (7,)):
            meter.feed(chunk)
        idle = meter.finish()
        ratios.append((idle.mean_w - 1.8e-3) / idle.u_w)
    assert np.mean(np.abs(ratios) < 2.1) == pytest.approx(0.95, abs=0.05)


def test_one_sample_is_no_idle_level() -> None:
    meter = IdleMeter(VOLTS)
    for chunk in cut(np.full(1, 1e-3), None, None, 1.0, (1,)):
        meter.feed(chunk)
    assert "higher rate" in meter.finish().reasons[0]
