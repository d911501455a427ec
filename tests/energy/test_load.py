# SPDX-License-Identifier: Apache-2.0
"""Loads of the virtual analyser: recorded ones, made-up ones, and what feeds them."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from energy.errors import EnergyError, TraceError
from energy.simulator import recording
from energy.simulator.current import CLASSES, TABLE, SupplyModel, load_model
from energy.simulator.load import Load, LoadPiece
from energy.simulator.recording import PULSE_S, RecordedLoad, random_load, record_load
from energy.simulator.supply import Supply

BOARD = SupplyModel(volts=1.8, resistance_ohm=0.5, ripple_v=0.1, ripple_hz=1700.0)


def pieces_of(load: Load) -> list[LoadPiece]:
    found = []
    while True:
        try:
            piece = load.read(0.0)
        except EOFError:
            return found
        assert piece is not None
        found.append(piece)


def same(one: LoadPiece, other: LoadPiece) -> bool:
    return (
        (one.begin_s, one.pin) == (other.begin_s, other.pin)
        and np.array_equal(one.ends_s, other.ends_s)
        and np.array_equal(one.current_a, other.current_a)
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_made_up_load_is_one(seed: int) -> None:
    """No gaps, time goes on, currents any instrument can carry, and two falling edges a window where it says so."""
    load = random_load(seed, 3)
    pieces = pieces_of(load)
    now_s, level = 0.0, True
    falls = []
    for piece in pieces:
        assert piece.begin_s == now_s
        knots = np.concatenate(([piece.begin_s], piece.ends_s))
        assert (np.diff(knots) > 0).all()
        assert (piece.current_a > 0).all()
        assert (piece.current_a < 45e-3).all()
        for time_s, after in piece.pin:
            assert piece.begin_s <= time_s <= piece.ends_s[-1]
            assert after != level
            level = after
            falls += [time_s] if not after else []
        now_s = float(piece.ends_s[-1])
    assert falls == [time_s for window in load.windows for time_s in (window.start_s, window.end_s)]
    for window in load.windows:
        between_s = window.end_s - window.start_s - window.device_s
        assert PULSE_S < between_s < PULSE_S + 2e-6


def test_same_seed_same_load() -> None:
    one, again, other = (pieces_of(random_load(seed, 2)) for seed in (5, 5, 6))
    assert all(map(same, one, again))
    assert not all(map(same, one, other))
    assert [window.inferences for window in random_load(5, 2, inferences=(1, 7)).windows] == [1, 7]


def test_a_repeated_load_goes_on_without_a_gap() -> None:
    once = pieces_of(random_load(1, 1))
    load = random_load(1, 1, repeat=True)
    twice = [load.read(0.0) for _ in range(2 * len(once))]
    end_s = float(once[-1].ends_s[-1])
    assert twice[-1] is not None
    assert twice[len(once)] is not None
    assert twice[len(once)].begin_s == end_s
    assert twice[-1].ends_s[-1] == pytest.approx(2 * end_s)
    assert [level for piece in once for _, level in piece.pin] * 2 == [
        level for piece in twice if piece for _, level in piece.pin
    ]


def test_a_recording_is_the_same_load_again(tmp_path: Path) -> None:
    file = tmp_path / "load.npz"
    pieces = pieces_of(random_load(3, 4))
    assert record_load(random_load(3, 4), file) == len(pieces)
    assert all(map(same, pieces, pieces_of(RecordedLoad(file))))
    assert record_load(random_load(3, 4), file, pieces=2) == 2
    assert all(map(same, pieces, again := pieces_of(RecordedLoad(file))))
    assert len(again) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["load.npz"]


def arrays() -> dict[str, np.ndarray]:
    return {
        "format": np.array(1), "begin_s": np.array(0.0), "ends_s": np.array([1.0, 2.0, 3.0]),
        "current_a": np.array([0.1, 0.2, 0.3]), "segments": np.array([1, 2]), "pin_s": np.array([0.5, 2.5]),
        "pin_level": np.array([False, True]), "changes": np.array([1, 1]),
    }  # fmt: skip


def test_what_the_hostile_recordings_are_made_of_is_sound(tmp_path: Path) -> None:
    np.savez(tmp_path / "load.npz", allow_pickle=False, **arrays())
    assert [piece.pin for piece in pieces_of(RecordedLoad(tmp_path / "load.npz"))] == [((0.5, False),), ((2.5, True),)]


@pytest.mark.parametrize(
    "changed",
    [
        {"format": np.array(2)},
        {"format": np.array("1")},
        {"begin_s": np.array([0.0])},
        {"begin_s": np.array(np.nan)},
        {"ends_s": np.array([1.0, 1.0, 3.0])},
        {"ends_s": np.array([1.0, np.inf, 3.0])},
        {"ends_s": np.array([1, 2, 3])},
        {"current_a": np.array([0.1, np.nan, 0.3])},
        {"current_a": np.array([0.1, 0.2])},
        {"segments": np.array([1, 1])},
        {"segments": np.array([0, 3])},
        {"segments": np.array([], dtype=np.int64)},
        {"segments": np.array([2**62, 2**62, 2**62, 2**62 + 3]), "changes": np.array([0, 0, 1, 1])},
        {"pin_s": np.array([2.5, 0.5])},
        {"pin_s": np.array([1.5, 2.5])},
        {"changes": np.array([3, -1])},
        {"changes": np.array([0, 1])},
        {"pin_level": np.array([True])},
        {"pin_level": np.array([0, 1])},
        {"pin_level": np.array([{}, {}], dtype=object)},
    ],
    ids=str,
)
def test_a_damaged_recording_is_refused(tmp_path: Path, changed: dict[str, np.ndarray]) -> None:
    file = tmp_path / "load.npz"
    np.savez(file, **(arrays() | changed))
    with pytest.raises(TraceError, match=r"load\.npz"):
        RecordedLoad(file)


def test_no_recording_at_all(tmp_path: Path) -> None:
    file = tmp_path / "load.npz"
    with pytest.raises(TraceError, match="cannot read"):
        RecordedLoad(file)
    for data in (b"", b"PK\x03\x04", struct.pack("<100I", *range(100))):
        file.write_bytes(data)
        with pytest.raises(TraceError, match="no recording"):
            RecordedLoad(file)
    np.savez(file, **{name: array for name, array in arrays().items() if name != "pin_s"})
    with pytest.raises(TraceError, match="pin_s"):
        RecordedLoad(file)
    whole = file.read_bytes()
    for size in range(0, len(whole), 97):
        file.write_bytes(whole[:size])
        with pytest.raises(TraceError):
            RecordedLoad(file)


def test_a_recording_that_would_fill_the_memory_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "load.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ends_s.npy", bytes(1001))
    monkeypatch.setattr(recording, "MAX_BYTES", 1000)
    with pytest.raises(TraceError, match="larger"):
        RecordedLoad(file)


def test_nothing_to_record(tmp_path: Path) -> None:
    load = random_load(1, 1)
    load.close()
    with pytest.raises(TraceError, match="nothing to record"):
        record_load(load, tmp_path / "load.npz")


def numeric(supply: SupplyModel, piece: LoadPiece, begin_s: float, end_s: float) -> tuple[float, float]:
    """Mean voltage and energy by adding up a million points, the ripple counted from the last falling edge."""
    points = 1_000_000
    times = begin_s + (np.arange(points) + 0.5) * (end_s - begin_s) / points
    current = piece.current_a[np.searchsorted(piece.ends_s, times, side="right")]
    falls = np.array([0.0, *(time_s for time_s, level in piece.pin if not level)])
    phase = times - falls[np.searchsorted(falls, times, side="right") - 1]
    ripple = supply.ripple_v * np.sin(2 * np.pi * supply.ripple_hz * phase)
    voltage = supply.volts - supply.resistance_ohm * current + ripple
    return float(voltage.mean()), float((voltage * current).mean() * (end_s - begin_s))


@pytest.mark.parametrize(("begin_s", "end_s"), [(0.0, 0.01), (0.0021, 0.0073), (0.0049, 0.0051), (0.0005, 0.0006)])
def test_the_supply_by_formula_and_by_numbers(begin_s: float, end_s: float) -> None:
    pin = ((0.003, False), (0.004, True), (0.005, False))
    piece = LoadPiece(0.0, np.array([0.002, 0.0055, 0.01]), np.array([0.3, 0.01, 0.2]), pin)
    supply = Supply(BOARD)
    assert supply.advance(piece) is piece
    mean_v, energy_j = numeric(BOARD, piece, begin_s, end_s)
    knots = np.clip(np.array([0.0, *piece.ends_s]), begin_s, end_s)
    mean_a = np.array([np.diff(knots) @ piece.current_a / (end_s - begin_s)])
    assert supply.mean_voltage(np.array([begin_s]), np.array([end_s]), mean_a)[0] == pytest.approx(mean_v, rel=1e-6)
    assert supply.energy(piece, begin_s, end_s) == pytest.approx(energy_j, rel=1e-6)


def test_a_window_does_not_depend_on_how_long_the_board_slept_before() -> None:
    energies = []
    for sleep_s in (0.1, 0.1234567, 77.7):
        supply = Supply(BOARD)
        ends = sleep_s + np.array([0.0, 0.004, 0.006])
        piece = supply.advance(LoadPiece(0.0, ends, np.array([1e-3, 20e-3, 30e-3]), ((sleep_s, False),)))
        energies.append(supply.energy(piece, sleep_s, sleep_s + 0.006))
    assert energies[1:] == [pytest.approx(energies[0], rel=1e-10)] * 2


def test_what_is_switched_off_takes_nothing() -> None:
    supply = Supply(BOARD)
    supply.on = False
    piece = supply.advance(LoadPiece(0.0, np.array([0.1]), np.array([20e-3]), ((0.05, False),)))
    assert list(piece.current_a) == [0.0]
    assert supply.energy(piece, 0.0, 0.1) == 0.0
    assert list(supply.mean_voltage(np.array([0.0]), np.array([0.1]), np.array([0.0]))) == [0.0]
    supply.on = True
    supply.volts = 3.0
    piece = supply.advance(LoadPiece(0.1, np.array([0.2]), np.array([20e-3]), ()))
    flat = Supply(replace(BOARD, ripple_v=0.0, volts=3.0))
    assert supply.energy(piece, 0.1, 0.2) == pytest.approx(flat.energy(piece, 0.1, 0.2), rel=0.01)


def test_the_current_model_keeps_to_what_it_says() -> None:
    """A busy core 20 to 25 mA, and under 45 mA whatever it does, waking up included: the smallest instrument ends at
    50 mA."""
    model = load_model()
    everything_s = np.full(len(CLASSES), 10_000 * 8e-9)
    each = model.active(np.eye(len(CLASSES), dtype=np.uint64) * np.uint64(10_000), everything_s)
    assert (each + model.wake_a).max() < 45e-3
    assert each.min() > model.idle_a
    mix = dict(zip(CLASSES, [5200, 2400, 600, 800, 700, 150, 50, 50, 25, 0, 0, 25], strict=True))
    busy = model.active(np.array([list(mix.values())], dtype=np.uint64), everything_s[:1])[0]
    assert 20e-3 < busy < 25e-3
    assert model.idle_a == pytest.approx(1.2e-3)


@pytest.mark.parametrize(
    ("old", "new"), [("plain = 100e-12", ""), ("1.2e-3", "-1.0"), ("idle_a = 1.2e-3", "idle_a = nan"), ("[board]", "[")]
)
def test_a_current_model_that_is_not_whole(tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "current.toml"
    text = TABLE.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(EnergyError, match=r"current\.toml"):
        load_model(file)
