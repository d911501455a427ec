# SPDX-License-Identifier: Apache-2.0
"""Samples in memory (or mapped from a file), and what a model's folder says about them.

Samples are kept as they go over the wire: int8, uint8 (pixels) or float32. Model and trainer see real numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from host.errors import SetupError
from host.training.checks import Quantisation
from host.training.convert import Floats
from host.training.raw import RawSet

Progress = Callable[[str, int, int], None]
Stored = NDArray[Any]
Augment = Callable[[np.random.Generator, Any], Any]
"""A batch as stored -> a batch as stored. May change it in place: it is a copy."""


@dataclass(frozen=True, slots=True)
class Samples:
    """`x`: one sample a row, in the model's input shape; `y`: its class.

    files: for a sample that is a window of a file, which one. A file is then scored by the mean over its windows.
    """

    x: Stored
    y: NDArray[np.int64]
    files: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        """Refuse what does not belong together."""
        if len(self.x) != len(self.y) or (self.files is not None and len(self.files) != len(self.x)):
            raise SetupError(f"{len(self.x)} samples, but {len(self.y)} labels: the data set is not whole")

    def first(self, count: int) -> Samples:
        """At most `count` of them."""
        return Samples(self.x[:count], self.y[:count], None if self.files is None else self.files[:count])


@dataclass(frozen=True, slots=True)
class Sets:
    """What a model is trained with and judged by. calibration: samples as stored, for the ranges of int8."""

    name: str
    train: Samples
    test: Samples
    calibration: Stored

    def sha256(self) -> str:
        """Over the training and the test samples and their labels."""
        digest = hashlib.sha256()
        for samples in (self.train, self.test):
            for start in range(0, len(samples.x), 1024):
                digest.update(np.ascontiguousarray(samples.x[start : start + 1024]).tobytes())
            digest.update(samples.y.astype("<i8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What models/<id>/train.py says of its model.

    build: (keras) -> model, not compiled. official: (folder with the raw set, seed, progress) -> Sets.
    synthetic: (the files of the data set's recipe `synthetic` by their keys, seed, progress) -> Sets.
    input: how the data set's bytes are quantised; None: float inputs, which the device quantises by the model's scale.
    loss: "classes" (cross-entropy; targets are labels) or "rebuild" (mean squared error; the target is the input).
    rate: epoch (from 0) and number of epochs -> learning rate.
    """

    task: str
    build: Callable[[Any], Any]
    official: Callable[[Path, int, Progress], Sets]
    raw: RawSet
    synthetic: Callable[[Mapping[str, Path], int, Progress], Sets] | None = None
    input: Quantisation | None
    loss: Literal["classes", "rebuild"] = "classes"
    epochs: int
    synthetic_epochs: int = 0
    batch: int
    rate: Callable[[int, int], float]
    augment: Augment | None = None


def real(stored: Stored, quantisation: Quantisation | None) -> Floats:
    """Stored samples as the float model takes them."""
    if quantisation is None:
        return np.asarray(stored, dtype=np.float32)
    steps = np.asarray(stored, dtype=np.float32)
    if stored.dtype == np.uint8:
        steps = steps - 128  # the device's rule for pixels
    return np.asarray((steps - quantisation.zero_point) * np.float32(quantisation.scale), dtype=np.float32)


def int8(stored: Stored, of_model: Quantisation) -> NDArray[np.int8]:
    """Stored samples as the device puts them into an int8 tensor: pixels minus 128; floats rounded half away from 0."""
    if stored.dtype == np.int8:
        return stored
    if stored.dtype == np.uint8:
        return (np.asarray(stored, dtype=np.int16) - 128).astype(np.int8)
    steps = np.asarray(stored, dtype=np.float32) / np.float32(of_model.scale)
    rounded = np.trunc(steps + np.copysign(np.float32(0.5), steps)) + of_model.zero_point
    result: NDArray[np.int8] = np.clip(rounded, -128, 127).astype(np.int8)
    return result
