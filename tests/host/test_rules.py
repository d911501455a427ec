"""Run rules: a run that breaks one is not valid, and is told why and what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host.catalog import Dataset, Item, ModelFile
from host.results.schema import Accuracy, ModelInfo, Window
from host.runner.rules import (
    RULES,
    Rules,
    Target,
    accuracy_reasons,
    judged_model,
    performance_reasons,
    quality_target,
)

QUICK, MLPERF = RULES["quick"], RULES["mlperf"]


def model(*, official: bool = True, quality_target: float | None = None) -> ModelFile:
    return ModelFile(
        *("kws01", "kws.tflite", "from here", Path("kws.tflite"), "0" * 64, "int8", 490, 12),
        official=official,
        quality_target=quality_target,
    )


def dataset(*, official: bool = True, n: int = 10) -> Dataset:
    items = tuple(Item(str(i), 0, b"x") for i in range(n))
    return Dataset("kws01", "set", "somewhere", "0" * 64, 12, "top1", 0.9, items, official=official)


def windows(*made: tuple[int, int]) -> list[Window]:
    return [Window(input=str(i), inferences=n, duration_us=us) for i, (n, us) in enumerate(made)]


def scored(value: float | None, n: int = 10, **more: Any) -> Accuracy:
    return Accuracy(**{"metric": "top1", "value": value, "n": n, "target": None, "met": None, **more})


# ---- performance ----


def test_five_long_windows_of_the_official_model_keep_the_rules() -> None:
    assert performance_reasons(MLPERF, windows(*[(10, 10_000_000)] * 5), model()) == ()


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ([(12, 10_000_000)] * 4, "4 windows where the mlperf rules ask for 5: leave out --inputs"),
        (
            [(12, 10_000_000)] * 4 + [(12, 9_999_999)],
            "window 5: 12 inferences in 10.000 s, the mlperf rules ask",
        ),
        ([(12, 10_000_000)] * 4 + [(9, 20_000_000)], "window 5: 9 inferences"),
    ],
)
def test_a_broken_rule_is_told(made: list[tuple[int, int]], reason: str) -> None:
    (told,) = performance_reasons(MLPERF, windows(*made), model())
    assert told.startswith(reason)


def test_the_same_input_twice_breaks_the_rules() -> None:
    same = [Window(input="same", inferences=10, duration_us=10_000_000)] * 5
    (told,) = performance_reasons(MLPERF, same, model())
    assert told.startswith("the same input was used twice")


def test_another_model_than_the_official_one_is_for_quick_only() -> None:
    made = windows(*[(10, 10_000_000)] * 5)
    (told,) = performance_reasons(MLPERF, made, model(official=False))
    assert "kws.tflite (from here) is not the official one" in told
    assert "`host models` tells where to get it; or use --rules quick" in told
    (told,) = performance_reasons(MLPERF, made, replace(model(official=False), added=True))
    assert "leave out --model; or use --rules quick" in told
    assert performance_reasons(QUICK, made, model(official=False)) == ()


def test_a_stock_firmware_is_taken_at_its_word() -> None:
    def info(sha256: str | None) -> ModelInfo:
        return ModelInfo(name="kws01 as flashed", source="stock firmware", sha256=sha256, arena_bytes=None)

    stock = judged_model(model(official=False), info(None))
    assert (stock.official, stock.name, stock.source) == (True, "kws01 as flashed", "stock firmware")
    assert judged_model(model(official=False), info("0" * 64)) == model(official=False)
    own = replace(model(official=False), added=True)  # whoever names it says that this is what was flashed
    assert judged_model(own, info(None)) == own
    assert quality_target(dataset(), judged_model(own, info(None)), 10) is None


# ---- targets ----


@pytest.mark.parametrize("official_model", [True, False])
@pytest.mark.parametrize("official_set", [True, False])
@pytest.mark.parametrize("used", [9, 10])
def test_only_the_official_model_on_the_whole_official_set_is_held_against_the_official_target(
    official_model: bool, official_set: bool, used: int
) -> None:
    target = quality_target(dataset(official=official_set), model(official=official_model), used)
    whole = official_model and official_set and used == 10
    assert target == (Target(0.9, "official") if whole else None)


def test_a_target_of_the_model_is_for_a_whole_set_and_one_of_a_person_for_any() -> None:
    own = model(official=False, quality_target=0.7)
    assert quality_target(dataset(official=False), own, 10) == Target(0.7, "model")
    assert quality_target(dataset(official=False), own, 9) is None
    assert quality_target(dataset(official=False), own, 9, 0.6) == Target(0.6, "user")
    assert quality_target(dataset(), model(), 10, 0.6) == Target(0.6, "user")


# ---- accuracy ----


@pytest.mark.parametrize("rules", [QUICK, MLPERF], ids=lambda rules: rules.name)
def test_the_whole_official_set_with_the_target_met_is_valid(rules: Rules) -> None:
    assert accuracy_reasons(rules, dataset(), scored(0.9, target=0.9, met=True), model()) == ()


@pytest.mark.parametrize(
    ("inputs", "accuracy", "which", "reason"),
    [
        (
            dataset(),
            scored(0.8999, target=0.9, met=False),
            model(),
            "top-1 89.99%, under the official target, top-1 90.00%",
        ),
        (dataset(), scored(None), model(), "no top-1, under the official target"),
        (
            dataset(n=11),
            scored(1.0),
            model(),
            "10 inputs (somewhere) where the mlperf rules ask",
        ),
        (dataset(official=False), scored(1.0), model(), "10 inputs (somewhere)"),
        (dataset(), scored(1.0), model(official=False), "the model kws.tflite (from here) is not the official one"),
    ],
)
def test_what_breaks_the_rules_of_accuracy(inputs: Dataset, accuracy: Accuracy, which: ModelFile, reason: str) -> None:
    (told,) = accuracy_reasons(MLPERF, inputs, accuracy, which)
    assert told.startswith(reason)
    assert ":" in told or "`" in told  # and what to do about it
    assert accuracy_reasons(QUICK, inputs, accuracy, which) == ()


def test_a_target_of_ones_own_does_not_take_the_place_of_the_official_one() -> None:
    (told,) = accuracy_reasons(MLPERF, dataset(), scored(0.7, target=0.6, met=True, target_source="user"), model())
    assert "under the official target, top-1 90.00%" in told


@pytest.mark.parametrize("value", [0.7, None])
def test_a_target_that_a_person_set_and_that_is_missed_makes_any_run_invalid(value: float | None) -> None:
    met = None if value is None else False
    missed = scored(value, target=0.8, met=met, target_source="user")
    (told,) = accuracy_reasons(QUICK, dataset(official=False), missed, model(official=False))
    assert "under the top-1 80.00% that --target asks for" in told
