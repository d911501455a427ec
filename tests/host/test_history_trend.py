# SPDX-License-Identifier: Apache-2.0
"""Runs in series: only what may be compared is in one, and what it says of them is their numbers'."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import pytest
from test_results import SHA

from host.report.history import change_text, point_text, trend_text
from host.results.history import History, Row
from host.results.trend import Series, selected, trends

BASE = Row(
    created="2026-01-01T00:00:00+00:00", provenance="measured", folder="0", board="nucleo", core="Cortex-M4F",
    clock_hz=120_000_000, unit=0, task="kws01", mode="energy", rules="mlperf", valid=True, reasons=[], model="kws",
    model_sha256=SHA, dataset="kws01", dataset_sha256=SHA, inputs=5, engine="tflite_c", firmware="0.1.0",
    firmware_sha256=SHA, compiler="gcc", latency_us=1000.0, instructions=None, metric=None, accuracy=None,
    energy_uj=100.0, u_uj=0.5, net=False, monitor="keysight_n6705", monitor_idn="Keysight,N6705C,1,2",
    arena_bytes=1000, code_bytes=None,
)  # fmt: skip


def at(number: int, **changes: Any) -> Row:
    return msgspec.structs.replace(
        BASE, created=f"2026-01-{number + 1:02}T00:00:00+00:00", folder=f"{number}", **changes
    )


def accuracy(number: int, value: float, **changes: Any) -> Row:
    fields = {"mode": "accuracy", "metric": "top1", "energy_uj": None, "u_uj": None, "latency_us": None}
    return at(number, accuracy=value, **(fields | changes))


def only(rows: list[Row], quantity: str) -> Series:
    (series,) = [one for one in trends(rows) if one.quantity == quantity]
    return series


@pytest.mark.parametrize(
    "other",
    [
        {"provenance": "emulated"},
        {"provenance": "replayed"},
        {"board": "another"},
        {"core": "Cortex-M7"},
        {"clock_hz": 80_000_000},
        {"clock_hz": None},
        {"task": "ic01"},
        {"mode": "performance"},
        {"rules": "quick"},
        {"net": True},
    ],
)
def test_what_may_not_be_compared_is_never_in_one_series(other: dict[str, Any]) -> None:
    rows = [at(0), at(1, energy_uj=90.0), at(2, energy_uj=50.0, **other), at(3, energy_uj=95.0)]
    energies = [one for one in trends(rows) if one.quantity == "energy"]
    assert sorted(one.values for one in energies) == [[50.0], [100.0, 90.0, 95.0]]


@pytest.mark.parametrize("other", [{"dataset_sha256": "f" * 64}, {"inputs": 1000}, {"metric": "auc"}, {"dataset": "x"}])
def test_accuracies_on_different_inputs_are_different_things(other: dict[str, Any]) -> None:
    rows = [accuracy(0, 0.90), accuracy(1, 0.50, **other), accuracy(2, 0.92)]
    series = [one for one in trends(rows) if one.quantity == "accuracy"]
    assert sorted(one.values for one in series) == [[0.5], [0.9, 0.92]]
    assert len({one.kind for one in series}) == 2


def test_what_may_differ_is_counted() -> None:
    rows = [
        at(0),
        at(1, model_sha256="1" * 64),
        at(2, firmware_sha256="2" * 64, engine="tflm"),
        at(3, firmware_sha256="3" * 64, monitor_idn="Keysight,N6705C,9,9", dataset_sha256="4" * 64),
    ]
    differing = {"models": 2, "data sets": 2, "images": 3, "engines": 2, "monitors": 2}
    assert only(rows, "energy").differing() == differing
    assert only([at(0), at(1)], "energy").differing() == {}


def test_first_last_best_and_change() -> None:
    rows = [at(0), at(1, energy_uj=80.0), at(2, energy_uj=80.0), at(3, energy_uj=90.0, u_uj=0.3)]
    series = only(rows, "energy")
    assert [(one.value, one.row.folder) for one in (series.first, series.best, series.last)] == [
        (100.0, "0"),
        (80.0, "1"),
        (90.0, "3"),
    ]
    change = series.change
    assert change is not None
    assert change.value == pytest.approx(-0.1)
    assert change.u is not None
    # Two independent figures of 0.5 % and 0.33 %: by drawing both, with k = 2.
    chance = random.Random(3)
    ratios = [chance.gauss(90, 0.15) / chance.gauss(100, 0.25) for _ in range(20_000)]
    mean = math.fsum(ratios) / len(ratios)
    spread = math.sqrt(math.fsum((ratio - mean) ** 2 for ratio in ratios) / (len(ratios) - 1))
    assert change.u == pytest.approx(2 * spread, rel=0.03)
    assert change_text(series) == "-10.00 +- 0.54 %"
    assert point_text(series, series.last) == "90.00 +- 0.30"


def test_more_accuracy_is_better_and_its_change_is_in_points() -> None:
    series = only([accuracy(0, 0.90), accuracy(1, 0.93), accuracy(2, 0.915)], "accuracy")
    assert series.best.value == 0.93
    assert change_text(series) == "+1.50 points"
    assert point_text(series, series.best) == "93.00%"
    curve = only([accuracy(0, 0.9001, metric="auc"), accuracy(1, 0.8999, metric="auc")], "accuracy")
    assert (change_text(curve), point_text(curve, curve.best)) == ("-0.0002", "0.9001")


@pytest.mark.parametrize(
    ("values", "text"),
    [((100.0,), "-"), ((100.0, 100.0), "0.00 +- 0.71 %"), ((100.0, 123.0), "+23.00 +- 0.79 %"), ((0.0, 5.0), "-")],
)
def test_a_change_has_no_more_digits_than_its_doubt(values: tuple[float, ...], text: str) -> None:
    rows = [at(number, energy_uj=value) for number, value in enumerate(values)]
    assert change_text(only(rows, "energy")) == text


def test_a_change_of_what_has_no_doubt_is_told_plainly() -> None:
    rows = [at(0, latency_us=1000.0), at(1, latency_us=1000.0)]
    assert change_text(only(rows, "latency")) == "0 %"
    rows = [at(0, u_uj=None), at(1, energy_uj=101.0)]
    assert change_text(only(rows, "energy")) == "+1.00 %"


def test_runs_that_are_not_valid_are_counted_and_are_no_points() -> None:
    rows = [at(0), at(1, valid=False, reasons=["lost samples"], energy_uj=1.0), at(2, energy_uj=99.0)]
    series = only(rows, "energy")
    assert (series.values, series.invalid, series.best.value) == ([100.0, 99.0], 1, 99.0)
    assert trends([at(0, valid=False, reasons=["lost samples"])]) == []


def test_measured_comes_first_and_what_a_mode_is_for_before_the_rest() -> None:
    rows = [at(0, provenance="replayed"), at(1, provenance="emulated", instructions=5), at(2), accuracy(3, 0.9)]
    found = [(one.group.provenance, one.group.mode, one.quantity) for one in trends(rows)]
    assert [provenance for provenance, *_ in found] == sorted(
        (provenance for provenance, *_ in found), key=["measured", "emulated", "replayed"].index
    )
    assert [quantity for provenance, _, quantity in found if provenance == "emulated"] == [
        *("energy", "latency", "instructions", "arena"),
    ]


def test_the_last_are_taken_of_every_kind() -> None:
    rows = [at(number, task=("kws01", "ic01")[number % 2]) for number in range(10)]
    history = History(rows, 10, 0, [])
    assert [row.folder for row in selected(history, last=2)] == ["6", "7", "8", "9"]
    assert [row.folder for row in selected(history, last=2, task="ic01")] == ["7", "9"]
    assert selected(history, board="another") == []
    assert selected(history, provenance="measured", board="nucleo", last=99) == rows


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0], ""),
        ([1.0, 2.0], "_^"),
        ([5.0, 5.0, 5.0], "---"),
        ([1.0, 2.0, 3.0, 4.0, 5.0], "_.-'^"),
        ([float(value) for value in range(1000)], "__..--''^^"),
        ([1.0] * 50 + [2.0] * 50, "_____^^^^^"),
        ([0.0, 0.0], "--"),
        ([1.7e308] * 40 + [5e-324] * 40, "^^^^^_____"),
    ],
)
def test_a_trend_goes_from_left_to_right(values: list[float], text: str) -> None:
    assert trend_text(only([at(0, latency_us=value) for value in values], "latency")) == text


def test_invalid_runs_are_counted_where_they_belong() -> None:
    rows = [at(0), at(1, net=True), at(2, valid=False), at(3, valid=False), at(4, valid=False, net=True)]
    assert {one.kind: one.invalid for one in trends(rows) if one.quantity == "energy"} == {"": 2, "net": 1}
    only_net = [at(0, net=True), at(1, valid=False, energy_uj=None)]  # nobody knows whether it would have been net
    assert [one.invalid for one in trends(only_net) if one.quantity == "energy"] == [1]


def test_a_change_that_rounds_to_nothing_has_no_sign() -> None:
    rows = [at(0, u_uj=None), at(1, u_uj=None, energy_uj=100.0 * (1 - 1e-6))]
    assert change_text(only(rows, "energy")) == "0.00 %"
