# SPDX-License-Identifier: Apache-2.0
"""The change of an accuracy: its limits, and the tables of outputs that pair the inputs."""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.results import record, scored
from host.results.schema import Accuracy
from host.runner.accuracy import Row

RUNS = 1500


def accuracy(value: float | None, n: int, metric: str = "top1") -> Accuracy:
    return Accuracy(metric=metric, value=value, n=n, target=None, met=None)


def rows(predictions: list[int], labels: list[int]) -> list[Row]:
    """Two classes, as a device prints them."""
    return [
        Row(f"{number}.bin", label, (1.0 - said, float(said)), None, said)
        for number, (said, label) in enumerate(zip(predictions, labels, strict=True))
    ]


def scored_rows(scores: list[float], labels: list[int]) -> list[Row]:
    return [Row(f"{number}.bin", label, (score,), score, None)
            for number, (score, label) in enumerate(zip(scores, labels, strict=True))]  # fmt: skip


def table(folder: Path, items: list[Row], task: str = "kws01") -> scored.Outputs:
    folder.mkdir(exist_ok=True)
    record.write_outputs(folder, task, items)
    outputs = scored.read_outputs(folder, task)
    assert outputs is not None
    return outputs


def of_predictions(tmp_path: Path, a: list[int], b: list[int], labels: list[int]) -> scored.Change:
    outputs = table(tmp_path / "a", rows(a, labels)), table(tmp_path / "b", rows(b, labels))
    return scored.change(accuracy(outputs[0].top1, len(labels)), accuracy(outputs[1].top1, len(labels)), outputs)


def test_tangos_limits_solve_the_score_equation_of_the_likelihood() -> None:
    """The share that the equation needs is searched for by the likelihood itself, not by the closed form."""
    for only_a, only_b, n in [(7, 2, 50), (12, 2, 50), (0, 5, 30), (1, 1, 1000), (40, 10, 60)]:
        for limit, sign in zip(scored.tango(only_a, only_b, n), (1, -1), strict=True):
            # Shares: A only q, B only q + limit, both or none 1 - 2 q - limit.
            q = np.linspace(max(0.0, -limit) + 1e-12, (1 - limit) / 2 - 1e-12, 2_000_001)
            with np.errstate(divide="ignore"):
                likelihood = (n - only_a - only_b) * np.log(1 - 2 * q - limit)
                likelihood += (only_a * np.log(q) if only_a else 0) + (only_b * np.log(q + limit) if only_b else 0)
            best = float(q[np.argmax(likelihood)])
            variance = n * (2 * best + limit - limit * limit)
            assert (only_b - only_a - n * limit) / math.sqrt(variance) == pytest.approx(sign * scored.Z, abs=1e-3)


def test_tangos_limits_at_the_ends() -> None:
    z2 = scored.Z**2
    assert scored.tango(0, 0, 1000) == (pytest.approx(-z2 / (1000 + z2)), pytest.approx(z2 / (1000 + z2)))
    low, high = scored.tango(0, 10, 10)
    assert low == pytest.approx((10 - z2) / (10 + z2))
    assert high == pytest.approx(1)
    for only_a, only_b, n in itertools.product(range(4), range(4), (6, 60)):
        low, high = scored.tango(only_a, only_b, n)
        assert -1 <= low < (only_b - only_a) / n < high <= 1 or only_a == only_b == 0
        assert (-high, -low) == (pytest.approx(scored.tango(only_b, only_a, n)))


def test_newcombes_limits_are_those_he_published() -> None:
    # Statistics in Medicine 17 (1998) 873, table II, method 10.
    for right_b, n_b, right_a, n_a, low, high in [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (10, 10, 0, 20, 0.6791, 1.0000),
        (0, 10, 0, 20, -0.1611, 0.2775),
    ]:
        assert scored.newcombe(right_a, n_a, right_b, n_b) == (
            pytest.approx(low, abs=5e-5),
            pytest.approx(high, abs=5e-5),
        )


def test_mcnemar_is_the_exact_binomial_test() -> None:
    for only_a, only_b in itertools.product(range(12), repeat=2):
        differing, fewer = only_a + only_b, min(only_a, only_b)
        tail = sum(math.comb(differing, k) for k in range(fewer + 1)) / 2**differing
        assert scored.mcnemar(only_a, only_b) == pytest.approx(min(2 * tail, 1))


@pytest.mark.parametrize(
    ("n", "loses", "gains"), [(1000, 0.03, 0.02), (200, 0.1, 0.02), (60, 0.2, 0.2), (1000, 0.002, 0.0)]
)
def test_pairs_hold_the_true_difference_in_95_of_100_draws(tmp_path: Path, n: int, loses: float, gains: float) -> None:
    dice = np.random.default_rng(n)
    draws = dice.multinomial(n, [loses, gains, 1 - loses - gains], RUNS)
    held = wrong = 0
    for only_a, only_b, _ in draws:
        low, high = scored.tango(int(only_a), int(only_b), n)
        held += low <= gains - loses <= high
    assert held / RUNS > 0.93
    # The exact test on top: a difference is found where there is none in at most 5 of 100 draws.
    for only_a, only_b, _ in dice.multinomial(n, [gains, gains, 1 - 2 * gains], RUNS):
        wrong += scored.mcnemar(int(only_a), int(only_b)) < 0.05
    assert wrong / RUNS < 0.06


def test_inputs_are_compared_with_themselves(tmp_path: Path) -> None:
    labels = [number % 2 for number in range(1000)]
    b = list(labels)
    b[:20] = [1 - label for label in labels[:20]]  # 20 that only A gets right
    paired = of_predictions(tmp_path, labels, b, labels)
    assert paired.value == pytest.approx(-0.02)
    assert "20 in A only" in paired.how
    apart = scored.change(accuracy(1.0, 1000), accuracy(0.98, 1000), (None, None))
    assert "drawn apart" in apart.how
    assert paired.excludes_none
    assert apart.high - apart.low > 0.9 * (paired.high - paired.low)


def test_few_inputs_that_differ_are_no_difference_until_the_exact_test_says_so(tmp_path: Path) -> None:
    labels = [1] * 50
    for differing, found in [(4, False), (5, False), (6, True)]:
        change = of_predictions(tmp_path, labels, [0] * differing + [1] * (50 - differing), labels)
        assert change.excludes_none == found
        assert change.excludes_none == (scored.mcnemar(differing, 0) < 0.05)
    assert not scored.tango(4, 0, 50)[0] <= 0 <= scored.tango(4, 0, 50)[1]  # the score test alone would be too sure


def test_the_same_outputs_are_exactly_the_same_accuracy_and_right_alike_is_not(tmp_path: Path) -> None:
    labels = [0, 1] * 10
    assert of_predictions(tmp_path, labels, labels, labels).high == 0
    outputs = table(tmp_path / "a", rows(labels, labels))
    other = [Row(one.name, one.label, (0.4, 0.6) if one.label else (0.6, 0.4), None, one.predicted)
             for one in rows(labels, labels)]  # fmt: skip
    change = scored.change(accuracy(1.0, 20), accuracy(1.0, 20), (outputs, table(tmp_path / "b", other)))
    assert change.value == 0
    assert change.high == pytest.approx(scored.Z**2 / (20 + scored.Z**2))


def places_by_hand(scores: np.ndarray, labels: np.ndarray) -> tuple[list[float], list[float]]:
    ones, zeros = scores[labels == 1], scores[labels == 0]
    beats = [[(one > zero) + 0.5 * (one == zero) for zero in zeros] for one in ones]
    return [float(np.mean(row)) for row in beats], [float(np.mean(column)) for column in zip(*beats, strict=True)]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=6, max_size=30))
def test_delong_is_what_its_definition_gives(pairs: list[tuple[int, int]]) -> None:
    labels = np.array([number % 2 for number in range(len(pairs))])
    a, b = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    moved = [np.subtract(after, before) for before, after in
             zip(places_by_hand(a, labels), places_by_hand(b, labels), strict=True)]  # fmt: skip
    half = scored.delong(a, b, labels == 1)
    if all(np.ptp(part) < 1e-12 for part in moved):
        fewest = min(len(part) for part in moved)
        assert half == pytest.approx(scored.Z**2 / (fewest + scored.Z**2))
    else:
        assert half == pytest.approx(scored.Z * math.sqrt(sum(np.var(part, ddof=1) / len(part) for part in moved)))


def test_the_area_of_paired_scores_is_held_in_95_of_100_draws() -> None:
    dice, held = np.random.default_rng(6), 0
    positive = np.arange(240) % 2 == 1
    # Normal scores: area = Phi(shift / root 2).
    shifts = np.array([1.2, 1.5])
    true = np.diff([0.5 * (1 + math.erf(shift / 2)) for shift in shifts])[0]
    for _ in range(RUNS):
        common = dice.normal(0, 1, 240)
        a, b = (math.sqrt(0.7) * common + math.sqrt(0.3) * dice.normal(0, 1, 240) + shift * positive
                for shift in shifts)  # fmt: skip
        areas = [np.mean(places_by_hand_fast(side, positive)) for side in (a, b)]
        held += abs(areas[1] - areas[0] - true) <= scored.delong(a, b, positive)
    assert 0.93 < held / RUNS < 0.97


def places_by_hand_fast(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    return (scores[positive][:, None] > scores[~positive][None, :]).mean(axis=1)


def test_an_area_is_compared_by_the_scores_of_the_same_files(tmp_path: Path) -> None:
    dice = np.random.default_rng(8)
    labels = [number % 2 for number in range(100)]
    a = [float(score) for score in dice.normal(0, 1, 100) + labels]
    b = [score + 0.001 * float(dice.normal()) for score in a]
    sides = table(tmp_path / "a", scored_rows(a, labels)), table(tmp_path / "b", scored_rows(b, labels))
    values = [
        accuracy(float(np.mean(places_by_hand(np.array(side), np.array(labels))[0])), 100, "auc") for side in (a, b)
    ]
    change = scored.change(*values, sides)
    assert "DeLong" in change.how
    assert change.high - change.low < 0.01
    for outputs in ((None, sides[1]), (sides[0], None), (None, None)):
        alone = scored.change(*values, outputs)
        assert (alone.low, alone.high) == (None, None)
        assert alone.value == pytest.approx(change.value)


def test_a_table_that_is_not_the_accuracys_pairs_nothing(tmp_path: Path) -> None:
    labels = [0, 1] * 10
    outputs = table(tmp_path / "a", rows(labels, labels))
    other_names = [Row("x" + one.name, one.label, one.outputs, None, one.predicted) for one in rows(labels, labels)]
    for a, other in [
        (accuracy(0.9, 20), outputs),  # another accuracy than the table gives
        (accuracy(1.0, 21), outputs),  # of more inputs
        (accuracy(1.0, 20), table(tmp_path / "b", other_names)),
        (
            accuracy(1.0, 20),
            table(tmp_path / "b", rows([1 - label for label in labels], [1 - label for label in labels])),
        ),
        (accuracy(1.0, 20), table(tmp_path / "b", scored_rows([float(label) for label in labels], labels))),
    ]:
        assert "drawn apart" in scored.change(a, accuracy(1.0, 20), (outputs, other)).how


def test_metrics_and_values_that_are_not_there() -> None:
    assert scored.change(accuracy(0.9, 20), accuracy(0.9, 20, "auc"), (None, None)).value is None
    assert scored.change(accuracy(None, 20), accuracy(0.9, 20), (None, None)).value is None


HEAD = "input,label,predicted,outputs,score\n"


@pytest.mark.parametrize(
    "text",
    [
        "", HEAD, "a,b\n1,2\n", HEAD + "a.bin,1,1\n", HEAD + "a.bin,x,1,0.1,\n", HEAD + "a.bin,1,x,0.1,\n",
        HEAD + "a.bin,1,1,0.1,\nb.bin,0,,0.2,0.2\n", HEAD + "a.bin,1,,0.1,nan\n", HEAD + 'a.bin,1,1,"0.1,\n',
        HEAD + "a.bin,1,1,0.1,\n\n",
        HEAD + "a.bin,1,1," + "9" * 200_000 + ",\n", HEAD + "a.bin," + "9" * 5000 + ",1,,\n",
        HEAD + "a\0.bin,1,1,0.1,\n\0", "\ufeff" + HEAD,
    ],
)  # fmt: skip
def test_a_damaged_table_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "outputs-kws01.csv").write_text(text)
    assert scored.read_outputs(tmp_path, "kws01") is None


def test_bytes_that_are_no_text_a_folder_and_a_huge_file_are_none(tmp_path: Path) -> None:
    path = tmp_path / "outputs-kws01.csv"
    assert scored.read_outputs(tmp_path, "kws01") is None
    path.write_bytes(HEAD.encode() + b"\xff,1,1,0.1,\n")
    assert scored.read_outputs(tmp_path, "kws01") is None
    path.write_text(HEAD + "a.bin,1,1,0.1,\n")
    assert scored.read_outputs(tmp_path, "kws01") is not None
    with path.open("r+b") as file:
        file.truncate(scored.MAX_BYTES + 1)
    assert scored.read_outputs(tmp_path, "kws01") is None
    path.unlink()
    path.mkdir()
    assert scored.read_outputs(tmp_path, "kws01") is None


@pytest.mark.parametrize(
    "task", ["../b/outputs-x", "a/b", "", ".", "a\0b", "a\nb", "k" * 101, "-x/../y", "kws01\u202e"]
)
def test_a_tasks_name_leads_nowhere(tmp_path: Path, task: str) -> None:
    assert scored.read_outputs(tmp_path, task) is None


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    labels = [0, 1]
    table(tmp_path / "a", rows(labels, labels))
    (tmp_path / "b").mkdir()
    os.symlink(tmp_path / "a" / "outputs-kws01.csv", tmp_path / "b" / "outputs-kws01.csv")
    assert scored.read_outputs(tmp_path / "b", "kws01") is None
    assert scored.read_outputs(None, "kws01") is None
