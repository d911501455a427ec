"""Scores: against scikit-learn, numpy and the published figures of the official models."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from host.catalog import Dataset, Item, ModelFile
from host.device import Device, Output
from host.errors import DeviceError, GarbledReply, SetupError, UsageError
from host.modelinfo import TensorInfo
from host.runner import accuracy
from host.runner.accuracy import Row, first_largest, make_row, run_items
from host.runner.outputs import OutputFormat, format_of, read_format, values
from host.runner.rules import Target


def dataset(metric: str, n: int = 10, classes: int = 2) -> Dataset:
    items = tuple(Item(str(i), 0, b"x") for i in range(n))
    return Dataset("task", "set", "somewhere", "0" * 64, classes, cast(Any, metric), 0.9, items)


def class_rows(labels: Sequence[int], outputs: Iterable[Sequence[float]]) -> list[Row]:
    return [make_row(str(i), label, [tuple(one)]) for i, (label, one) in enumerate(zip(labels, outputs, strict=True))]


def score_rows(labels: Sequence[int], scores: Sequence[float]) -> list[Row]:
    return [make_row(str(i), label, [(one,)]) for i, (label, one) in enumerate(zip(labels, scores, strict=True))]


# ---- top-1 ----


@given(st.lists(st.integers(-128, 127), min_size=2, max_size=12))
def test_at_a_tie_the_first_class_wins_as_in_numpy(outputs: list[int]) -> None:
    assert first_largest(outputs) == np.argmax(outputs)


@given(st.data())
def test_top1_is_the_share_of_numpys_argmax(data: st.DataObject) -> None:
    classes = data.draw(st.integers(2, 5))
    output = st.lists(st.integers(0, 3), min_size=classes, max_size=classes)
    outputs = data.draw(st.lists(output, min_size=1, max_size=20))
    labels = data.draw(st.lists(st.integers(0, classes - 1), min_size=len(outputs), max_size=len(outputs)))
    result = accuracy.score(dataset("top1"), class_rows(labels, outputs))
    assert result.value == np.mean(np.argmax(outputs, axis=1) == labels)
    assert (result.metric, result.n, result.target, result.met, result.reason) == ("top1", len(labels), *[None] * 3)


def test_a_target_is_met_when_it_is_reached_exactly() -> None:
    rows = class_rows([0] * 9 + [1], [(1.0, 0.0)] * 10)
    met = accuracy.score(dataset("top1"), rows, Target(0.9, "official"))
    assert (met.value, met.target, met.met, met.target_source) == (0.9, 0.9, True, "official")
    missed = accuracy.score(dataset("top1"), rows, Target(0.901, "user"))
    assert (missed.met, missed.target_source) == (False, "user")


def test_top1_of_a_model_with_one_output_is_refused() -> None:
    with pytest.raises(UsageError, match="number per class"):
        accuracy.score(dataset("top1"), score_rows([0, 1], [0.1, 0.9]))


def test_no_rows_are_no_accuracy() -> None:
    with pytest.raises(UsageError, match="no input"):
        accuracy.score(dataset("top1"), [])


# ---- the area under the curve ----


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=2, max_size=40))
def test_the_area_of_scores_is_scikit_learns(rows: list[tuple[int, int]]) -> None:
    labels, scores = zip(*rows, strict=True)
    result = accuracy.score(dataset("auc"), score_rows(labels, scores))
    if len(set(labels)) < 2:
        assert result.value is None
        assert result.reason is not None
        assert f"look at class {1 - labels[0]} among" in result.reason
        return
    assert result.value == roc_auc_score(labels, scores)
    # And what it means: how often a faulty one has the higher score; a tie is half of one.
    pairs = list(itertools.product(*([one for label, one in rows if label == wanted] for wanted in (1, 0))))
    wins = sum((bad > good) + 0.5 * (bad == good) for bad, good in pairs)
    assert result.value == pytest.approx(wins / len(pairs))


@given(st.data())
def test_the_area_of_classes_is_scikit_learns_one_against_the_rest(data: st.DataObject) -> None:
    classes = data.draw(st.integers(2, 4))
    output = st.lists(st.integers(0, 255), min_size=classes, max_size=classes)
    outputs = np.array(data.draw(st.lists(output, min_size=classes, max_size=20)))
    assume(bool((outputs.sum(axis=1) > 0).all()))
    more = st.integers(0, classes - 1)
    labels = [*range(classes), *data.draw(st.lists(more, min_size=len(outputs) - classes, max_size=len(outputs)))]
    labels = labels[: len(outputs)]
    shares = outputs / outputs.sum(axis=1, keepdims=True)
    expected = roc_auc_score(labels, shares[:, 1] if classes == 2 else shares, multi_class="ovr")
    assert accuracy.score(dataset("auc"), class_rows(labels, outputs)).value == pytest.approx(expected, abs=1e-12)
    assert accuracy.score(dataset("top1"), class_rows(labels, outputs)).auc == pytest.approx(expected, abs=1e-12)


def test_without_every_class_there_is_top1_but_no_area() -> None:
    rows = class_rows([0, 1, 1], [(0.5, 0.25, 0.25)] * 3)
    result = accuracy.score(dataset("top1", classes=3), rows, Target(0.3, "user"))
    assert (result.value, result.auc, result.reason, result.met) == (1 / 3, None, None, True)
    area = accuracy.score(dataset("auc", classes=3), rows, Target(0.3, "user"))
    assert (area.value, area.met, area.target) == (None, None, 0.3)
    assert area.reason is not None
    assert "look at class 2 among" in area.reason
    beyond = accuracy.score(dataset("auc", classes=3), class_rows([0, 1, 2], [(0.5, 0.5)] * 3))
    assert beyond.value is None
    assert "look at class 2 among" in (beyond.reason or "")


@pytest.mark.parametrize("outputs", [(0.0, 0.0), (-1.0, 3.0), (-1.0, 0.5)])
def test_outputs_that_are_no_shares_have_no_area(outputs: tuple[float, float]) -> None:
    result = accuracy.score(dataset("auc"), class_rows([0, 1], [outputs, (0.25, 0.75)]))
    assert result.value is None
    assert "SOFTMAX" in (result.reason or "")


@given(st.permutations(list(enumerate([0.1, 0.5, 0.5, 0.7, 0.2, 0.9]))))
def test_the_order_of_the_rows_does_not_matter(rows: list[tuple[int, float]]) -> None:
    result = accuracy.score(dataset("auc"), score_rows([i % 2 for i, _ in rows], [score for _, score in rows]))
    assert result.value == roc_auc_score([0, 1, 0, 1, 0, 1], [0.1, 0.5, 0.5, 0.7, 0.2, 0.9])


def published_scores(folder: Path) -> dict[str, float]:
    scores = {}
    for path in sorted(folder.glob("tflite_quant_fullint_micro_anomaly_score_ToyCar_id_*.csv")):
        with path.open(newline="") as stream:
            scores.update({name.removesuffix(".wav"): float(score) for name, score in csv.reader(stream)})
    return scores


def test_the_published_scores_of_ad01_give_the_published_area(data_dir: Path) -> None:
    scores = published_scores(data_dir / "ad01" / "official_scores")
    with (data_dir / "labels" / "ad01" / "y_labels.csv").open(newline="") as stream:
        lines = [(row[0].removesuffix("_hist_librosa.bin"), int(row[2])) for row in csv.reader(stream)]
    rows = [make_row(name, label, [(scores[name],)]) for name, label in lines]
    result = accuracy.score(dataset("auc"), rows, Target(0.85, "official"))
    assert result.value is not None
    assert round(result.value, 4) == 0.8614
    assert (result.n, result.met, result.auc) == (248, True, result.value)


# ---- rows of several windows ----


def test_a_file_of_scores_is_their_mean() -> None:
    row = make_row("a", 1, [(10.0,), (11.0,), (13.5,)])
    assert row == Row("a", 1, (10.0, 11.0, 13.5), 11.5, None)


def test_a_file_of_classes_is_the_mean_of_their_shares() -> None:
    # Not of the outputs themselves, where the second window would count a hundred times as much.
    row = make_row("a", 1, [(0.4, 0.6), (60.0, 40.0), (0.3, 0.7)])
    assert row.outputs == pytest.approx((1.3 / 3, 1.7 / 3))
    assert (row.predicted, row.score) == (1, None)


def test_windows_of_different_widths_are_refused() -> None:
    for windows in ([], [(1.0,), (1.0, 2.0)], [()]):
        with pytest.raises(UsageError, match="outputs"):
            make_row("a", 0, cast(Any, windows))


# ---- from the tensor's bytes ----

AD01 = OutputFormat("int8", 640, 0.36449846625328064, 96, "mse")


def test_one_official_ad01_file(data_dir: Path) -> None:
    file = data_dir / "ad01" / "normal_id_01_00000000_hist_librosa.bin"
    item = Item(file.name, 0, file.read_bytes(), window_bytes=2560, stride_bytes=512)
    golden = np.load(data_dir / "golden" / "ad01_196windows_tflm.npy")
    windows = item.windows()
    assert len(windows) == len(golden) == 196
    scores = [values(AD01, data, Output(raw=raw.tobytes())) for data, raw in zip(windows, golden, strict=True)]
    row = make_row(item.name, item.label, scores)
    assert row.score == pytest.approx(10.264, abs=0.001)
    printed = [(round(score, 3),) for (score,) in scores]  # over the stock protocol
    assert make_row(item.name, item.label, printed).score == pytest.approx(10.264, abs=0.001)


@pytest.mark.parametrize(("name", "form"), [
    ("ad01_int8", AD01),
    ("kws_ref_model", OutputFormat("int8", 12, 1 / 256, -128)),
    ("vww_96_float", OutputFormat("float32", 2, 1.0, 0)),
])  # fmt: skip
def test_the_format_is_read_from_the_models_file(name: str, form: OutputFormat, data_dir: Path) -> None:
    assert read_format(model_file(data_dir / "models" / f"{name}.tflite", form)) == form


def model_file(path: Path, form: OutputFormat) -> ModelFile:
    mse = form.result == "mse"
    size = 4 * form.elements if mse else 1
    wire = "float32" if mse else "int8"
    return ModelFile(
        "task", path.name, "here", path, "0" * 64, cast(Any, wire), size, form.elements, result=form.result
    )


def test_a_format_that_cannot_be_is_refused() -> None:
    def output(dtype: str, elements: int) -> TensorInfo:
        return TensorInfo("out", dtype, (1, elements), 0.5, 0)

    plain, mse = (model_file(Path("m.tflite"), form) for form in (OutputFormat("int8", 12, 1.0, 0), AD01))
    with pytest.raises(SetupError, match="uint8"):
        format_of(output("uint8", 12), plain)
    with pytest.raises(SetupError, match="11 outputs"):
        format_of(output("int8", 11), plain)
    with pytest.raises(SetupError, match="639 numbers cannot be held against"):
        format_of(output("int8", 639), mse)
    with pytest.raises(SetupError, match="of int8"):
        format_of(output("int8", 640), dataclasses.replace(mse, wire_input="int8"))


@pytest.mark.parametrize("output", [Output(raw=bytes(11)), Output(values=(1.0,) * 11), Output()])
def test_an_answer_of_another_length_is_refused(output: Output) -> None:
    with pytest.raises(GarbledReply, match="where the model has 12"):
        values(OutputFormat("int8", 12, 1.0, 0), b"", output)


def test_what_is_not_a_number_is_refused() -> None:
    with pytest.raises(DeviceError, match="not a number"):
        values(OutputFormat("float32", 1, 1.0, 0), b"", Output(raw=b"\x00\x00\xc0\x7f"))


# ---- a device's stream ----


class StreamDevice:
    """Runs `ahead` inputs before it gives the first output back, as a window of frames does."""

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead

    def stream(self, inputs: Iterable[bytes]) -> Iterator[Output]:
        inputs = iter(inputs)
        flying = list(itertools.islice(inputs, self.ahead))
        while flying:
            yield Output(raw=flying.pop(0))
            flying.extend(itertools.islice(inputs, 1))


@pytest.mark.parametrize("ahead", [1, 2, 5, 100])
def test_rows_come_in_order_however_far_the_stream_is_ahead(ahead: int) -> None:
    chance = random.Random(ahead)
    items = [
        Item(f"{i}", i % 2, chance.randbytes(2 + 3 * chance.randrange(4)), window_bytes=2, stride_bytes=3)
        for i in range(20)
    ]
    form = OutputFormat("int8", 2, 1.0, -128)
    rows = list(run_items(cast(Device, StreamDevice(ahead)), form, items))
    expected = [
        make_row(item.name, item.label, [values(form, data, Output(raw=data)) for data in item.windows()])
        for item in items
    ]
    assert rows == expected
