# SPDX-License-Identifier: Apache-2.0
"""What the virtual analyser's converters read: exact means, the same for the same seed, errors as told."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from energy import accuracy
from energy.errors import EnergyError
from energy.simulator.current import load_model
from energy.simulator.dialect import Hardware
from energy.simulator.errors_model import ErrorModel, FunctionErrors, drawn, ideal, of
from energy.simulator.load import LoadPiece
from energy.simulator.pacing import split_piece
from energy.simulator.recording import random_load
from energy.simulator.sampling import DWELL, Block, Sampler
from energy.simulator.supply import Supply

HARDWARE = Hardware(model="VA1", rate_hz=100_000, max_rate_hz=1e6, ranges_a=(0.001, 0.01, 0.1, 1.0), range_a=0.1)


def pieces_of(seed: int) -> list[LoadPiece]:
    load = random_load(seed, 2, inferences=(5, 6))
    pieces = []
    try:
        while piece := load.read(0):
            pieces.append(piece)
    except EOFError:
        return pieces
    raise AssertionError


def later(piece: LoadPiece, by_s: float) -> LoadPiece:
    return LoadPiece(
        piece.begin_s + by_s, piece.ends_s + by_s, piece.current_a, tuple((at + by_s, up) for at, up in piece.pin)
    )


def sampled(
    pieces: list[LoadPiece],
    errors: ErrorModel,
    *,
    origin_s: float = 0.0,
    rate_hz: float = 1e5,
    range_a: float | None = 0.1,
    key: tuple[int, int] = (1, 0),
) -> Block:
    supply = Supply(load_model().supply)
    sampler = Sampler(origin_s, 0.0, rate_hz, range_a, True, HARDWARE, errors, key, supply)
    blocks = [block for piece in pieces for block in sampler.feed(supply.advance(piece), list(piece.pin))]
    assert [block.first for block in blocks] == np.cumsum([0, *(len(block.pin) for block in blocks[:-1])]).tolist()
    return Block(
        0,
        np.concatenate([block.current_a for block in blocks]),
        np.concatenate([block.voltage_v for block in blocks]),
        np.concatenate([block.pin for block in blocks]),
        tuple(edge for block in blocks for edge in block.edges),
    )


def test_a_sample_is_the_mean_of_its_interval() -> None:
    ends = np.array([3e-6, 13e-6, 24e-6, 50e-6])
    piece = LoadPiece(0.0, ends, np.array([0.01, 0.02, 0.0, 0.04]), ((12e-6, False), (37e-6, True)))
    block = sampled([piece], ideal(HARDWARE))
    expected = [(3 * 0.01 + 7 * 0.02) / 10, 3 * 0.02 / 10, 6 * 0.04 / 10, 0.04, 0.04]
    assert block.current_a == pytest.approx(expected, rel=1e-6)
    assert block.pin.tolist() == [True, False, False, True, True]
    assert [(round(at, 9), level) for at, level in block.edges] == [(1.2, False), (3.7, True)]


def test_charge_is_kept_whatever_the_clock_and_the_pieces() -> None:
    for seed in range(5):
        pieces = pieces_of(seed)
        clock = replace(ideal(HARDWARE), clock=37e-6)
        charge = math.fsum(
            float(np.sum(piece.current_a * np.diff(piece.ends_s, prepend=piece.begin_s))) for piece in pieces
        )
        block = sampled(pieces, clock)
        true_period_s = 1e-5 / (1 + 37e-6)
        tail_s = pieces[-1].ends_s[-1] - len(block.pin) * true_period_s
        assert 0 <= tail_s < true_period_s
        total = block.current_a.astype(float).sum() * true_period_s + tail_s * pieces[-1].current_a[-1]
        assert total == pytest.approx(charge, rel=1e-7)


def test_the_same_however_the_load_was_cut() -> None:
    pieces = pieces_of(7)
    cuts = np.random.default_rng(3)
    cut: list[LoadPiece] = []
    for piece in pieces:
        rest: LoadPiece | None = piece
        while rest is not None:
            head, rest = split_piece(rest, rest.begin_s + float(cuts.uniform(1e-6, 2e-3)))
            cut.append(head)
    assert len(cut) > 100
    errors = drawn(HARDWARE, 4, 1.8)
    one, other = sampled(pieces, errors), sampled(cut, errors)
    np.testing.assert_array_equal(one.pin, other.pin)
    assert np.mean(one.current_a != other.current_a) < 1e-4  # sums in another order, and then a converter's step
    np.testing.assert_allclose(one.current_a, other.current_a, atol=1.7e-6)
    assert np.mean(one.voltage_v != other.voltage_v) < 1e-4


def test_same_seed_same_samples_and_how_long_it_slept_before_changes_none() -> None:
    pieces = pieces_of(9)
    errors = drawn(HARDWARE, 4, 1.8)
    first = sampled(pieces, errors)
    late = 1234.567891237
    assert sampled(pieces, errors).current_a.tobytes() == first.current_a.tobytes()
    slept = sampled([later(piece, late) for piece in pieces], errors, origin_s=late)
    assert slept.current_a.tobytes() == first.current_a.tobytes()
    assert sampled(pieces, errors, key=(1, 1)).current_a.tobytes() != first.current_a.tobytes()
    assert sampled(pieces, errors, key=(2, 0)).current_a.tobytes() != first.current_a.tobytes()


def test_gain_offset_and_noise_are_what_was_told() -> None:
    piece = LoadPiece(0.0, np.array([2.0]), np.array([0.02]), ())
    told = FunctionErrors(gain=0.001, offset=-30e-6, noise=50e-6)
    errors = ErrorModel(current=(told,) * 4, voltage=FunctionErrors(0.0005, 0.002, 1e-3))
    block = sampled([piece], errors, rate_hz=1e6)
    amps, volts = block.current_a.astype(float), block.voltage_v.astype(float)
    count = len(amps)
    assert amps.mean() == pytest.approx(0.02 * 1.001 - 30e-6, abs=5 * 50e-6 / count**0.5)
    assert amps.std() == pytest.approx(50e-6, rel=0.01)
    assert volts.mean() == pytest.approx((1.8 - 0.02 * 0.01) * 1.0005 + 0.002, abs=5e-3 / count**0.5)
    slower = sampled([piece], errors, rate_hz=1e4).current_a.astype(float)
    assert slower.std() == pytest.approx(5e-6, rel=0.05)
    assert abs(np.corrcoef(amps[:-1], amps[1:])[0, 1]) < 0.01


def test_overload_above_the_range_only() -> None:
    piece = LoadPiece(0.0, np.array([1e-4, 2e-4, 3e-4]), np.array([0.104, 0.106, -0.2]), ())
    block = sampled([piece], ideal(HARDWARE))
    assert block.current_a[:10] == pytest.approx([0.104] * 10, rel=1e-6)
    assert (block.current_a[10:20] == np.inf).all()
    assert (block.current_a[20:] == -np.inf).all()


def test_auto_range_goes_up_at_once_and_down_after_a_while() -> None:
    steps = np.array([0.1e-3, 20e-3, 0.1e-3, 0.2e-3, 20e-3])
    ends = np.cumsum([0.01, 0.01, 0.001, 0.01, 0.01])
    told = tuple(FunctionErrors(offset=full / 100) for full in HARDWARE.ranges_a)  # the offset tells which range it was
    errors = ErrorModel(told, FunctionErrors(), quantised=False)
    block = sampled([LoadPiece(0.0, ends, steps, ())], errors, range_a=None)
    true = np.repeat(steps, [1000, 1000, 100, 1000, 1000])
    offset = np.round((block.current_a - true) * 1e5).astype(int)
    at = [int(index) for index in np.flatnonzero(np.diff(offset)) + 1]
    assert at == [DWELL, 1000, 2000 + DWELL, 3100]
    assert [int(offset[index]) for index in (0, *at)] == [1000, 1, 100, 1, 100]


def test_drawn_errors_lie_inside_the_accuracy_and_fill_it() -> None:
    entry = accuracy.lookup("VA1", 0.1, 1.8)
    assert entry is not None
    models = [drawn(HARDWARE, seed, 1.8) for seed in range(300)]
    for values, limit in (
        ([model.current[2].gain for model in models], entry.current.gain),
        ([model.current[2].offset for model in models], entry.current.offset),
        ([model.voltage.gain for model in models], entry.voltage.gain),
        ([model.clock for model in models], entry.clock),
    ):
        parts = np.array(values) / limit
        assert np.abs(parts).max() <= 1
        assert parts.std() == pytest.approx(1 / 3**0.5, rel=0.1)
        assert abs(parts.mean()) < 0.15
    assert drawn(HARDWARE, 5, 1.8) == models[5]


def test_a_voltage_that_is_not_measured_is_off_as_far_as_assumed_ones_may_be() -> None:
    blind = replace(HARDWARE, measures_voltage=False)
    entry = accuracy.lookup("VA1", 0.1, 1.8, voltage_measured=False)
    assert entry is not None
    gains = [drawn(blind, seed, 1.8).supply_gain for seed in range(50)]
    assert 0.7 * entry.voltage.gain < max(map(abs, gains)) <= entry.voltage.gain
    assert drawn(HARDWARE, 1, 1.8).supply_gain == 0


def test_errors_without_an_entry_or_out_of_a_bad_file(tmp_path: Path) -> None:
    with pytest.raises(EnergyError, match="does not say how accurate NOPE is"):
        drawn(replace(HARDWARE, model="NOPE"), 1, 1.8)
    path = tmp_path / "errors.toml"
    path.write_text("gain_i = 0.01\nclock = -1e-3\n")
    model = of(str(path), HARDWARE, 1, 1.8)
    assert (model.current[0].gain, model.clock, model.voltage) == (0.01, -1e-3, FunctionErrors())
    for text in ("gain_i = 1", "gian = 0.1", "clock = nan", "noise_i = -1e-6", "gain_i = 'x'", "gain_i", "[a]\nb = 1"):
        path.write_text(text)
        with pytest.raises(EnergyError, match=r"is no error of an instrument|gives no errors"):
            of(str(path), HARDWARE, 1, 1.8)
    with pytest.raises(EnergyError, match="gives no errors"):
        of(str(tmp_path / "nothing.toml"), HARDWARE, 1, 1.8)
