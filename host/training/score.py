# SPDX-License-Identifier: Apache-2.0
"""How well a model does: the float model by Keras, the int8 model by tflite-micro, which is what a device gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from host.catalog import Catalog
from host.errors import NotAvailable, SetupError
from host.training.checks import Quantisation, edges
from host.training.convert import Floats
from host.training.data import Progress, Recipe, Samples, int8, real
from host.training.record import Score
from host.verify.oracle import Oracle

CHUNK = 100
"""Samples of one question to tflite-micro: an answer has to come within its time limit."""
_STORED = {"int8": np.int8, "uint8": np.uint8, "float32": np.float32}


def _chunks(samples: Samples, size: int, what: str, progress: Progress) -> Iterator[slice]:
    for start in range(0, len(samples.x), size):
        progress(what, start, len(samples.x))
        yield slice(start, start + size)
    progress(what, len(samples.x), len(samples.x))


def float_score(model: Any, recipe: Recipe, samples: Samples, name: str, progress: Progress) -> Score:
    """Of the Keras model."""
    marks = []
    for part in _chunks(samples, 500, "testing the float model", progress):
        inputs = real(samples.x[part], recipe.input)
        marks.append(_marks(recipe, np.asarray(model.predict_on_batch(inputs)), inputs))
    return _score(recipe, np.concatenate(marks), samples, name, "float")


def int8_score(data: bytes, recipe: Recipe, samples: Samples, name: str, progress: Progress) -> Score:
    """Of the .tflite in `data`, run by tflite-micro's reference kernels."""
    before, after = edges(data, name)
    marks = []
    with Oracle() as oracle:
        for part in _chunks(samples, CHUNK, "testing the int8 model (tflite-micro)", progress):
            tensors = int8(samples.x[part], before.quantisation)
            outputs = oracle.outputs(data, [tensor.tobytes() for tensor in tensors])
            rows = np.stack([np.frombuffer(output, dtype=np.int8) for output in outputs])
            marks.append(_marks(recipe, _dequantised(rows, after.quantisation), real(samples.x[part], recipe.input)))
    return _score(recipe, np.concatenate(marks), samples, name, "int8")


def _dequantised(rows: NDArray[np.int8], quantisation: Quantisation) -> Floats:
    steps = rows.astype(np.int32) - quantisation.zero_point
    return np.asarray(steps * np.float32(quantisation.scale), dtype=np.float32)


def _marks(recipe: Recipe, outputs: Floats, inputs: Floats) -> NDArray[Any]:
    """For each sample its class (the first of equals), or how badly it was rebuilt."""
    if recipe.loss == "classes":
        return np.asarray(outputs.argmax(axis=1))
    errors = outputs.astype(np.float64).reshape(len(outputs), -1) - inputs.reshape(len(inputs), -1)
    return np.asarray(np.mean(errors**2, axis=1))


def _score(recipe: Recipe, marks: NDArray[Any], samples: Samples, name: str, model: Literal["float", "int8"]) -> Score:
    if recipe.loss == "classes":
        right = int(np.sum(marks == samples.y))
        return Score(set=name, model=model, metric="top1", value=right / len(marks), count=len(marks), right=right)
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415  (a second to load)

    files = np.arange(len(marks)) if samples.files is None else samples.files
    numbers, first = np.unique(files, return_index=True)
    means = [float(marks[files == number].mean()) for number in numbers]
    labels = samples.y[first]
    if len(set(labels.tolist())) < 2:
        raise SetupError(
            f"{name}: all files are of one class; an area under the curve needs normal and anomalous ones."
        )
    value = float(roc_auc_score(labels, means))
    return Score(set=name, model=model, metric="auc", value=value, count=len(numbers))


def known_score(data: bytes, recipe: Recipe, catalog: Catalog, progress: Progress) -> Score | None:
    """Of the .tflite on the catalogue's data set of this task, when one is on this machine. Nothing is fetched."""
    try:
        known = catalog.dataset_for(recipe.task, fetch=False)
        wire_input = catalog.model_spec(recipe.task).wire_input
    except NotAvailable:
        return None
    shape = edges(data, recipe.task)[0].shape[1:]
    windows = [(window, item.label, number) for number, item in enumerate(known.items) for window in item.windows()]
    x = np.stack([np.frombuffer(window, dtype=_STORED[wire_input]).reshape(shape) for window, _, _ in windows])
    samples = Samples(x, np.array([label for _, label, _ in windows]), np.array([number for _, _, number in windows]))
    score = int8_score(data, recipe, samples, f"{known.name}: {known.source}", progress)
    return Score(
        set=score.set, model="int8", metric=score.metric, value=score.value, count=score.count, right=score.right,
        official=known.official, sha256=known.sha256,
    )  # fmt: skip
