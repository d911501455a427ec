# SPDX-License-Identifier: Apache-2.0
"""Data, training, conversion, checks, scores: from a recipe to a .tflite with its record."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from host import __version__
from host.catalog import Catalog
from host.errors import HostError, UsageError
from host.paths import cache_folder
from host.training.checks import Quantisation, check_input, check_operators, edges, operator_names
from host.training.convert import spanning, to_int8
from host.training.data import Progress, Recipe, Samples, Sets, real
from host.training.keras import load_tensorflow
from host.training.record import DataFacts, Edge, TrainingRecord, record_path, write_record
from host.training.score import float_score, int8_score, known_score
from host.verify.oracle import oracle_version

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for. `data`: folder with the raw official set; None: where `host data fetch` leaves it.

    epochs: None for the recipe's number. limit: use so many training samples at most, for a quick look.
    """

    out: Path
    data: Path | None = None
    synthetic: bool = False
    epochs: int | None = None
    seed: int = 1
    limit: int | None = None


def train(recipe: Recipe, request: Request, catalog: Catalog, progress: Progress, note: Note) -> TrainingRecord:
    """Train, convert and check a model; write it to `request.out` and its record beside it.

    Nothing is written when a check fails. Raises HostError: SetupError for missing data or software, WrongModel for a
    result that is not of the official kind.
    """
    _refuse_nonsense(recipe, request)
    oracle_version()  # says what to install, before hours have passed
    tensorflow = load_tensorflow(request.seed)
    sets = _sets(recipe, request, catalog, progress)
    note(f"{sets.name}: {len(sets.train.x)} samples to train with, {len(sets.test.x)} to test with")
    epochs = request.epochs or (recipe.synthetic_epochs if request.synthetic else 0) or recipe.epochs
    start_s = time.monotonic()
    model = recipe.build(tensorflow.keras)
    _fit(tensorflow, model, recipe, sets.train, epochs, request.seed, progress, note)
    training_s = time.monotonic() - start_s
    data = _converted(tensorflow, model, recipe, sets, request.out.name, catalog)
    scores = [float_score(model, recipe, sets.test, sets.name, progress)]
    scores.append(int8_score(data, recipe, sets.test, sets.name, progress))
    try:
        known = known_score(data, recipe, catalog, progress)
        scores += [] if known is None else [known]
    except HostError as error:  # hours of training are not lost for a set that is wrong
        note(f"not judged on the data set of the catalogue: {error}")
    before, after = edges(data, request.out.name)
    record = TrainingRecord(
        task=recipe.task,
        file=request.out.name,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        trained_by=f"models/{recipe.task}/train.py",
        data=_facts(sets),
        seed=request.seed,
        epochs=epochs,
        batch=recipe.batch,
        parameters=int(model.count_params()),
        training_s=round(training_s, 1),
        operators=operator_names(data, request.out.name),
        input=_edge(before.shape, before.quantisation),
        output=_edge(after.shape, after.quantisation),
        scores=scores,
        versions=_versions(tensorflow),
    )
    _write(data, record, request.out)
    return record


def _converted(tensorflow: Any, model: Any, recipe: Recipe, sets: Sets, name: str, catalog: Catalog) -> bytes:
    """The .tflite, held to what the task asks of it."""
    calibration = real(sets.calibration, recipe.input)
    data = to_int8(tensorflow, model, calibration if recipe.input is None else spanning(calibration, recipe.input))
    check_operators(data, catalog.model_spec(recipe.task).operators, name)
    if recipe.input is not None:
        check_input(data, recipe.input, name)
    return data


def _facts(sets: Sets) -> DataFacts:
    return DataFacts(
        name=sets.name,
        sha256=sets.sha256(),
        train=len(sets.train.x),
        test=len(sets.test.x),
        calibration=len(sets.calibration),
    )


def _versions(tensorflow: Any) -> dict[str, str]:
    return {
        "tinyjoule": __version__,
        "python": platform.python_version(),
        "tensorflow": tensorflow.__version__,
        "keras": tensorflow.keras.__version__,
        "numpy": np.__version__,
        "oracle": oracle_version(),
    }


def _refuse_nonsense(recipe: Recipe, request: Request) -> None:
    for what, value in (("--epochs", request.epochs), ("--limit", request.limit)):
        if value is not None and value < 1:
            raise UsageError(f"{what} {value}: at least 1")
    if not 0 <= request.seed < 2**32:
        raise UsageError(f"--seed {request.seed}: 0 to {2**32 - 1}")
    if request.synthetic and request.data is not None:
        raise UsageError("--data names the official raw set, --synthetic does without: say one of them")
    if request.synthetic and recipe.synthetic is None:
        raise UsageError(f"{recipe.task} has no synthetic data that would teach a model anything. {recipe.raw.hint()}")
    if not request.out.parent.is_dir():
        raise UsageError(f"--out {request.out}: there is no folder {request.out.parent}; make it first")


def _sets(recipe: Recipe, request: Request, catalog: Catalog, progress: Progress) -> Sets:
    if request.synthetic and recipe.synthetic is not None:
        files = catalog.recipe_inputs(recipe.task, "synthetic")
        sets = recipe.synthetic(files, request.seed, progress)
    else:
        folder = request.data if request.data is not None else cache_folder()
        sets = recipe.official(folder, request.seed, progress)
    if request.limit is None:
        return sets
    keep = np.random.default_rng(request.seed).permutation(len(sets.train.x))[: request.limit]
    keep.sort()
    return Sets(sets.name, Samples(sets.train.x[keep], sets.train.y[keep]), sets.test, sets.calibration)


def _fit(
    tensorflow: Any,
    model: Any,
    recipe: Recipe,
    samples: Samples,
    epochs: int,
    seed: int,
    progress: Progress,
    note: Note,
) -> None:
    """Every epoch goes through all samples once, in another order."""
    keras = tensorflow.keras
    loss = "sparse_categorical_crossentropy" if recipe.loss == "classes" else "mean_squared_error"
    model.compile(optimizer=keras.optimizers.Adam(), loss=loss)
    rng = np.random.default_rng([seed, 1])
    batches = math.ceil(len(samples.x) / recipe.batch)
    for epoch in range(epochs):
        model.optimizer.learning_rate.assign(recipe.rate(epoch, epochs))
        order = rng.permutation(len(samples.x))
        total = 0.0
        for number in range(batches):
            progress(f"training, epoch {epoch + 1} of {epochs}", number, batches)
            rows = np.sort(order[number * recipe.batch : (number + 1) * recipe.batch])  # in order: x may be a file
            stored = np.array(samples.x[rows])
            inputs = real(stored if recipe.augment is None else recipe.augment(rng, stored), recipe.input)
            target = samples.y[rows] if recipe.loss == "classes" else inputs
            total += float(model.train_on_batch(inputs, target)) * len(rows)
        progress(f"training, epoch {epoch + 1} of {epochs}", batches, batches)
        mean = total / len(samples.x)
        if not math.isfinite(mean):
            raise HostError(f"training went astray in epoch {epoch + 1}: the loss is {mean}. Try another --seed.")
        note(f"epoch {epoch + 1} of {epochs}: loss {mean:.4f}")


def _edge(shape: tuple[int, ...], quantisation: Quantisation) -> Edge:
    return Edge(shape=list(shape), scale=quantisation.scale, zero_point=quantisation.zero_point)


def _write(data: bytes, record: TrainingRecord, out: Path) -> None:
    part = out.with_suffix(".part")
    part.write_bytes(data)
    write_record(record, record_path(out))
    os.replace(part, out)
