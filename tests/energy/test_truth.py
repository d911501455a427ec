# SPDX-License-Identifier: Apache-2.0
"""The true energy of windows, and the file that it is kept in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from energy.errors import EnergyError
from energy.simulator.current import SupplyModel, load_model
from energy.simulator.load import LoadPiece
from energy.simulator.recording import RandomLoad, random_load
from energy.simulator.supply import Supply
from energy.simulator.truth import Label, Truth, parse_label

FLAT = SupplyModel(volts=2.0, resistance_ohm=0.0, ripple_v=0.0, ripple_hz=1000.0)


def feed(truth: Truth, supply: Supply, load: RandomLoad, windows: dict[int, Label]) -> None:
    """All of a load, with these labels in front of its pieces."""
    for at in range(len(load.windows) + 2):
        if at in windows:
            label = windows[at]
            truth.label(label.task, label.window, label.inferences)
        piece = load.read(0.0)
        assert piece is not None
        truth.feed(supply.advance(piece))


def entries(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())
    return found


def test_windows_by_formula(tmp_path: Path) -> None:
    """Against a sum over segments that was made by hand from the same load; pieces cut anywhere change nothing."""
    path = tmp_path / "truth.json"
    load, again = random_load(4, 3), random_load(4, 3)
    supply = Supply(FLAT)
    truth = Truth(path, supply)
    feed(truth, supply, load, {1: Label("a", 0, 5), 3: Label("b", 7, 9)})
    found = entries(path)
    assert [(entry["task"], entry["window"], entry["inferences"]) for entry in found] == [("a", 0, 5), ("b", 7, 9)]
    pieces = [again.read(0.0) for _ in range(5)]
    for entry, piece, window in zip(found, (pieces[1], pieces[3]), (load.windows[0], load.windows[2]), strict=True):
        assert piece is not None
        knots = np.clip(np.array([piece.begin_s, *piece.ends_s]), window.start_s, window.end_s)
        assert entry["energy_uj"] == pytest.approx(2e6 * float(np.diff(knots) @ piece.current_a), rel=1e-12)


def halves(piece: LoadPiece) -> list[LoadPiece]:
    cut = len(piece.ends_s) // 2
    middle_s = float(piece.ends_s[cut - 1])
    pins = [tuple(pin for pin in piece.pin if (pin[0] <= middle_s) == first) for first in (True, False)]
    return [
        LoadPiece(piece.begin_s, piece.ends_s[:cut], piece.current_a[:cut], pins[0]),
        LoadPiece(middle_s, piece.ends_s[cut:], piece.current_a[cut:], pins[1]),
    ]


def test_how_a_load_is_cut_does_not_matter(tmp_path: Path) -> None:
    found = []
    for parts in (1, 2):
        path = tmp_path / f"{parts}.json"
        supply = Supply(load_model().supply)
        truth = Truth(path, supply)
        truth.label("a", 0, 1)
        load = random_load(8, 1)
        for _ in range(3):
            piece = load.read(0.0)
            assert piece is not None
            for part in [piece] if parts == 1 or len(piece.ends_s) < 2 else halves(piece):
                truth.feed(supply.advance(part))
        found += entries(path)
    assert found[0]["energy_uj"] == pytest.approx(found[1]["energy_uj"], rel=1e-12)


def test_only_what_has_a_label_and_two_edges(tmp_path: Path) -> None:
    """A label is used up by its window; a later one replaces it; one edge alone is nothing."""
    path = tmp_path / "truth.json"
    supply = Supply(FLAT)
    truth = Truth(path, supply)
    ends = np.array([1.0])

    def window(begin_s: float, *falls: float) -> None:
        pin = tuple((time_s + late_s, late_s > 0) for time_s in falls for late_s in (0.0, 0.01))
        truth.feed(supply.advance(LoadPiece(begin_s, ends + begin_s, np.array([1e-3]), pin)))

    window(0.0, 0.1, 0.2)
    assert not path.exists()
    truth.label("a", 0, 1)
    window(1.0, 1.1)  # the board was reset in its window
    assert not path.exists()
    truth.label("a", 0, 2)
    window(2.0)
    window(3.0, 3.1)
    window(4.0, 4.2)
    window(5.0, 5.1, 5.2)
    (entry,) = entries(path)
    assert entry == {"task": "a", "window": 0, "inferences": 2, "energy_uj": pytest.approx(2.0 * 1e-3 * 1.1 * 1e6)}


def test_an_existing_file_goes_on_and_a_window_measured_again_replaces_itself(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    for number in (0, 1, 1):
        supply = Supply(FLAT)
        feed(Truth(path, supply), supply, random_load(number, 1), {0: Label("a", number, number + 1)})
    assert [(entry["window"], entry["inferences"]) for entry in entries(path)] == [(0, 1), (1, 2)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["truth.json"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"task": "a"}]', "[" * 100_000])
def test_a_file_that_is_none_of_ours_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(EnergyError, match=r"truth\.json"):
        Truth(path, Supply(FLAT))
    assert path.read_text() == text


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    supply = Supply(FLAT)
    truth = Truth(tmp_path / "gone" / "truth.json", supply)
    with pytest.raises(EnergyError, match="cannot write"):
        feed(truth, supply, random_load(1, 1), {0: Label("a", 0, 1)})


def test_labels() -> None:
    label = Label("kws01", 3, 100)
    line = json.dumps({"task": "kws01", "window": 3, "inferences": 100})
    assert parse_label(line) == label
    assert parse_label(line + "\n") == label
    for changed in ({"window": -1}, {"window": True}, {"window": 1.5}, {"inferences": 0}, {"task": 7}, {"task": None}):
        with pytest.raises(EnergyError, match="no label"):
            parse_label(json.dumps({"task": "a", "window": 0, "inferences": 1} | changed))
    for text in ("", "null", "[]", "{", '{"task": "a"}', "[" * 100_000):
        with pytest.raises(EnergyError, match="no label"):
            parse_label(text)
    assert replace(label, window=0) != label
