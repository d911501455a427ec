# SPDX-License-Identifier: Apache-2.0
"""Trains the image classifier: a ResNet-8 on 32 x 32 RGB, the 10 classes of CIFAR-10.

    python models/ic01/train.py --out FILE.tflite --data FOLDER

FOLDER holds cifar-10-python.tar.gz, or what was unpacked from it; without --data it is what `host data fetch ic01`
keeps. The larger model of newer rules is trained by models/ic02/train.py.
"""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host import recipe as recipes
from host.cli import _training
from host.errors import SetupError
from host.paths import PROJECT_DIR
from host.training.checks import Quantisation
from host.training.data import Progress, Recipe, Samples, Sets
from host.training.raw import RawSet

prepare = recipes.load(PROJECT_DIR / "datasets" / "ic01" / "prepare.py")

SHAPE = (32, 32, 3)
CLASSES = 10
CALIBRATION = 500
SHIFT = 4  # pixels
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
MAX_BYTES = 64 << 20


def build(keras: Any, filters: int = 16) -> Any:
    """The official topology: three residual blocks of `filters`, twice and four times as many; the mean; 10 classes."""
    layers, decay = keras.layers, keras.regularizers.l2(1e-4)

    def convolution(x: Any, count: int, size: int, stride: int, name: str) -> Any:
        return layers.Conv2D(count, size, stride, "same", kernel_regularizer=decay, name=name)(x)

    inputs = layers.Input(SHAPE)
    x = layers.ReLU()(layers.BatchNormalization()(convolution(inputs, filters, 3, 1, "a_first")))
    for block, stride in enumerate((1, 2, 2)):
        count = filters << block
        y = convolution(x, count, 3, stride, f"b_block{block}_one")
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(convolution(y, count, 3, 1, f"b_block{block}_two"))
        if stride > 1:
            # The converter orders branches by name: in the official files the shortcut comes last.
            x = convolution(x, count, 1, stride, f"z_block{block}_shortcut")
        x = layers.ReLU()(layers.Add()([y, x]))
    x = layers.AveragePooling2D(8)(x)
    x = keras.ops.reshape(x, (-1, filters * 4))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


def mirrored_and_moved(rng: np.random.Generator, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half of the images mirrored, each moved by up to 4 pixels; what is missing at an edge is the edge repeated."""
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
    rows, columns = SHAPE[:2]
    for number in range(len(images)):
        down, right = rng.integers(2 * SHIFT + 1, size=2)
        image = padded[number, down : down + rows, right : right + columns]
        images[number] = image[:, ::-1] if rng.random() < 0.5 else image
    return images


def _batch(path: str) -> str | None:
    name = path.rpartition("/")[2]
    return name if name in BATCHES else None


def _images(data: bytes, where: str) -> Samples:
    try:
        batch = prepare.BatchUnpickler(io.BytesIO(data), encoding="bytes").load()
        pixels = np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels = np.asarray(batch[b"labels"], dtype=np.int64)
        if len(labels) != len(pixels) or not len(labels) or labels.min() < 0 or labels.max() >= CLASSES:
            raise ValueError("images and labels do not belong together")
    except (pickle.UnpicklingError, KeyError, ValueError, TypeError, EOFError, IndexError, AttributeError) as error:
        raise SetupError(f"{where} is no batch of CIFAR-10 ({error}). {RAW.hint()}") from error
    return Samples(np.ascontiguousarray(pixels), labels)


def official(folder: Path, seed: int, progress: Progress) -> Sets:
    """CIFAR-10: its five training batches and its test batch."""
    found = {}
    for name, data in RAW.files(folder, _batch, max_bytes=MAX_BYTES):
        found[name] = _images(data, name)
        progress("reading CIFAR-10", len(found), len(BATCHES))
    missing = [name for name in BATCHES if name not in found]
    if missing:
        raise SetupError(f"{folder}: {', '.join(missing)} are missing. {RAW.hint()}")
    parts = [found[name] for name in BATCHES[:-1]]
    train = Samples(np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts]))
    chosen = np.random.default_rng([seed, 3]).permutation(len(train.x))[:CALIBRATION]
    return Sets("CIFAR-10", train, found[BATCHES[-1]], train.x[chosen])


RAW = RawSet(
    task="ic01",
    archive="cifar-10-python.tar.gz",
    marker="data_batch_1",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    digest="sha256 6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)
RECIPE = Recipe(
    task="ic01",
    build=build,
    official=official,
    raw=RAW,
    input=Quantisation(1.0, -128),  # the float model takes pixels of 0 to 255
    epochs=500,
    batch=32,
    rate=lambda epoch, _epochs: 0.001 * 0.99**epoch,
    augment=mirrored_and_moved,
)

if __name__ == "__main__":
    sys.exit(_training.main(RECIPE, __doc__))
