# SPDX-License-Identifier: Apache-2.0
"""What the emulated board's plugin says, turned into a current: against records that were made by hand."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from energy.errors import EnergyError, GarbledSamples
from energy.simulator.activity import (
    HEADER,
    MAGIC,
    PIN,
    RECORD,
    RESET,
    SLEEP,
    SLICE,
    VERSION,
    WAKE,
    ActivityLoad,
    counts_of,
)
from energy.simulator.current import CLASSES, load_model
from energy.simulator.load import LoadPiece

NS = 8
MODEL = load_model()


class Plugin:
    """Says what a board does; `counts` are of the instructions since the last record."""

    def __init__(self, path: Path, header: bytes | None = None) -> None:
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(str(path))
        self.instructions = 0
        self.line.sendall(header or np.array([(MAGIC, VERSION, NS)], dtype=HEADER).tobytes())

    def record(self, kind: int, *, level: int = 0, late_s: float = 0.0, **counts: int) -> bytes:
        self.instructions += sum(counts.values())
        words = [0, 0, 0]
        for name, count in counts.items():
            number = CLASSES.index(name)
            words[number // 4] |= count << 16 * (number % 4)
        clock = time.monotonic_ns() + round(late_s * 1e9)
        return np.array([(kind, level, self.instructions, clock, words)], dtype=RECORD).tobytes()

    def say(self, kind: int, **what: int) -> None:
        self.line.sendall(self.record(kind, **what))

    def boot(self) -> None:
        for kind in (SLEEP, WAKE, RESET):
            self.say(kind)


@pytest.fixture
def load(tmp_path: Path) -> Iterator[ActivityLoad]:
    board = ActivityLoad(tmp_path / "board")
    yield board
    board.close()


@pytest.fixture
def plugin(load: ActivityLoad, tmp_path: Path) -> Iterator[Plugin]:
    board = Plugin(tmp_path / "board")
    yield board
    board.line.close()


def read_all(load: ActivityLoad) -> LoadPiece:
    """Everything up to now as one piece; no gaps."""
    pieces = []
    while load.pending():
        piece = load.read(1.0)
        pieces += [piece] if piece else []
    for before, after in pairwise(pieces):
        assert after.begin_s == before.ends_s[-1]
    ends = np.concatenate([piece.ends_s for piece in pieces])
    assert (np.diff(ends, prepend=pieces[0].begin_s) > 0).all()
    currents = np.concatenate([piece.current_a for piece in pieces])
    return LoadPiece(pieces[0].begin_s, ends, currents, tuple(pin for piece in pieces for pin in piece.pin))


def durations_of(piece: LoadPiece) -> NDArray[np.float64]:
    return np.diff(piece.ends_s, prepend=piece.begin_s)


def test_classes_cannot_be_mixed_up() -> None:
    records = np.zeros(2, dtype=RECORD)
    records["counts"][1] = [0x0004000300020001, 0x0008000700060005, 0xFFFF000B000A0009]
    assert counts_of(records)[1].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 65535]
    assert not counts_of(records)[0].any()


def test_slices_edges_and_what_they_draw(load: ActivityLoad, plugin: Plugin) -> None:
    plugin.boot()
    plugin.say(SLICE, plain=30_000)  # what waking up takes is used up in here
    plugin.say(SLICE, plain=6000, load=4000)
    plugin.say(PIN, level=0, store=1)
    plugin.say(PIN, level=1, plain=3125)
    plugin.say(SLICE, divide=10_000)
    piece = read_all(load)
    busy = durations_of(piece)[-5:]
    assert busy == pytest.approx([30_000 * 8e-9, 10_000 * 8e-9, 8e-9, 25e-6, 80e-6], rel=1e-6)
    charge = {name: float(MODEL.charge_c[number]) for number, name in enumerate(CLASSES)}
    expected = [
        *((6000 * charge["plain"] + 4000 * charge["load"]) / 80e-6, charge["store"] / 8e-9),
        *(charge["plain"] / 8e-9, charge["divide"] / 8e-9),
    ]
    assert piece.current_a[-4:] == pytest.approx([MODEL.active_a + amperes for amperes in expected])
    woken = (piece.current_a[-5] - MODEL.active_a - charge["plain"] / 8e-9) * busy[0]
    assert woken == pytest.approx(MODEL.wake_c)
    assert piece.pin == ((piece.ends_s[-3], False), (piece.ends_s[-2], True))


def test_waking_up_takes_its_charge_and_never_more_than_its_current(load: ActivityLoad, plugin: Plugin) -> None:
    plugin.boot()
    read_all(load)
    for _ in range(20):
        plugin.say(SLICE, plain=100)
    piece = read_all(load)
    extra = piece.current_a - MODEL.active_a - MODEL.charge_c[0] / 8e-9
    assert extra.max() == pytest.approx(MODEL.wake_a)
    assert float(extra @ durations_of(piece)) == pytest.approx(MODEL.wake_c)
    assert extra[-1] == pytest.approx(0.0, abs=1e-12)


def test_asleep_its_time_is_the_wall_clock(load: ActivityLoad, plugin: Plugin) -> None:
    """Idle pieces come by themselves; what a WAKE says later is never before what was given."""
    plugin.boot()
    plugin.say(SLICE, plain=60_000)
    plugin.say(SLEEP)
    begun = read_all(load)
    began_s, now_s, pieces = time.monotonic(), float(begun.ends_s[-1]), 0
    while pieces < 5:
        piece = load.read(1.0)
        if piece is not None:
            assert piece.begin_s == now_s
            assert list(piece.current_a) == [MODEL.idle_a]
            now_s, pieces = float(piece.ends_s[-1]), pieces + 1
    assert now_s - begun.ends_s[-1] <= time.monotonic() - began_s + 1.0
    plugin.line.sendall(plugin.record(WAKE, late_s=-5.0) + plugin.record(SLICE, plain=10_000))
    piece = read_all(load)
    assert (piece.begin_s, durations_of(piece)[-1]) == (now_s, pytest.approx(80e-6, rel=1e-6))
    plugin.line.sendall(plugin.record(SLEEP) + plugin.record(WAKE, late_s=2.0) + plugin.record(SLICE, plain=10_000))
    piece = read_all(load)
    assert durations_of(piece) == pytest.approx([2.0, 80e-6], rel=1e-3)
    assert piece.current_a[0] == MODEL.idle_a


def test_the_time_of_a_busy_board_is_its_own(load: ActivityLoad, plugin: Plugin) -> None:
    """One that is frozen, or that nobody reads, has none."""
    plugin.boot()
    plugin.say(SLICE, plain=10_000)
    read_all(load)
    assert load.read(0.05) is None
    plugin.say(SLICE, plain=20_000)
    assert durations_of(read_all(load)) == pytest.approx([160e-6], rel=1e-6)


def test_records_may_come_in_any_bits(load: ActivityLoad, plugin: Plugin) -> None:
    plugin.boot()
    plugin.say(SLICE, plain=60_000)
    read_all(load)
    data = b"".join(plugin.record(SLICE, plain=1000 + turn) for turn in range(20))
    pieces = []
    for at in range(0, len(data), 7):
        plugin.line.sendall(data[at : at + 7])
        piece = load.read(1.0)
        pieces += [piece] if piece else []
    found = np.concatenate([durations_of(piece) for piece in pieces])
    assert found == pytest.approx([(1000 + turn) * 8e-9 for turn in range(20)], rel=1e-5)


def test_a_reset_lets_the_pin_rise_and_its_first_level_is_no_edge(load: ActivityLoad, plugin: Plugin) -> None:
    plugin.boot()
    plugin.say(PIN, level=1, plain=100)
    plugin.say(PIN, level=0, plain=100)
    plugin.say(RESET, plain=50)
    plugin.say(PIN, level=1, plain=100)
    plugin.say(PIN, level=0, plain=100)
    assert [level for _, level in read_all(load).pin] == [False, True, False]


def test_without_a_board_nothing_flows_and_another_one_may_come(load: ActivityLoad, tmp_path: Path) -> None:
    first = load.read(0.01)
    while first is None:
        first = load.read(0.01)
    assert list(first.current_a) == [0.0]
    now_s = 0.0
    for _ in range(2):
        board = Plugin(tmp_path / "board")
        board.boot()
        board.say(PIN, level=0, plain=10_000)
        board.line.close()
        piece = read_all(load)
        assert piece.begin_s >= now_s
        now_s = float(piece.ends_s[-1])
        assert piece.current_a.max() > MODEL.active_a
        assert piece.current_a[-1] == 0.0
        assert [level for _, level in piece.pin] == [False, True]


@pytest.mark.parametrize(
    "header",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        np.array([(MAGIC, VERSION + 1, NS)], dtype=HEADER).tobytes(),
        np.array([(MAGIC, VERSION, 0)], dtype=HEADER).tobytes(),
    ],
    ids=["another protocol", "another version", "no time"],
)
def test_who_is_no_board_is_refused(load: ActivityLoad, tmp_path: Path, header: bytes) -> None:
    stranger = Plugin(tmp_path / "board", header)
    with stranger.line, pytest.raises(GarbledSamples, match="no emulated board"):
        read_all(load)


@pytest.mark.parametrize("damage", ["kind", "counts", "backwards", "asleep"])
def test_records_that_do_not_add_up_are_refused(load: ActivityLoad, plugin: Plugin, damage: str) -> None:
    plugin.boot()
    plugin.say(SLICE, plain=100)
    if damage == "asleep":
        plugin.say(SLEEP, plain=100)
    record = np.frombuffer(plugin.record(SLICE, plain=100), dtype=RECORD).copy()
    if damage == "kind":
        record["kind"] = 5
    elif damage == "counts":
        record["counts"] += np.uint64(1)
    elif damage == "backwards":
        record["instructions"] = 50
    plugin.line.sendall(record.tobytes())
    with pytest.raises(GarbledSamples, match="another version"):
        read_all(load)


def test_a_place_that_cannot_be_had(tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "board", tmp_path / ("x" * 200)):
        with pytest.raises(EnergyError, match="cannot listen"):
            ActivityLoad(path)


def test_closed_means_no_more(tmp_path: Path) -> None:
    load = ActivityLoad(tmp_path / "board")
    load.close()
    load.close()
    assert not (tmp_path / "board").exists()
    with pytest.raises(EOFError):
        load.read(0.0)
