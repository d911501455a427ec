# SPDX-License-Identifier: Apache-2.0
"""Trains the anomaly detector: an auto-encoder on 5 frames of 128 mels, which rebuilds normal machine sound only.

    python models/ad01/train.py --out FILE.tflite --data FOLDER         ToyADMOS car
    python models/ad01/train.py --out FILE.tflite --synthetic           machine sound that numpy makes up

FOLDER holds dev_data_ToyCar.zip, or what was unpacked from it (ToyCar/train and ToyCar/test); without --data it is what
`host data fetch ad01` keeps.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host import recipe as recipes
from host.cli import _training
from host.errors import SetupError
from host.paths import PROJECT_DIR
from host.training.data import Progress, Recipe, Samples, Sets
from host.training.raw import RawSet

prepare = recipes.load(PROJECT_DIR / "datasets" / "ad01" / "prepare.py")

FRAMES_OF_A_WINDOW = 5
WIDTH = FRAMES_OF_A_WINDOW * prepare.MELS
CALIBRATION = 1000
SYNTHETIC_RECORDINGS = 150
SYNTHETIC_SEED = 9000  # another than that of the test recordings
MAX_BYTES = 16 << 20
_RECORDING = re.compile(r"(?:^|/)(train|test)/((?:normal|anomaly)_[A-Za-z0-9_]+\.wav)\Z")


def build(keras: Any) -> Any:
    """The official topology: 640, 128 four times, 8, 128 four times, 640; batch normalisation before each ReLU."""
    layers = keras.layers
    inputs = layers.Input((WIDTH,))
    x = inputs
    for units in (*[128] * 4, 8, *[128] * 4):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(units)(x)))
    return keras.Model(inputs, layers.Dense(WIDTH)(x))


def _windows(file: bytes) -> NDArray[np.float32]:
    """196 x 640 of a file as the data set has it."""
    frames = np.frombuffer(file, dtype="<f4").reshape(-1, prepare.MELS)
    starts = range(len(frames) - FRAMES_OF_A_WINDOW + 1)
    return np.stack([frames[start : start + FRAMES_OF_A_WINDOW].reshape(-1) for start in starts])


def _samples(files: list[tuple[bytes, int]]) -> Samples:
    windows = [_windows(file) for file, _ in files]
    counts = [len(part) for part in windows]
    labels = np.repeat(np.array([label for _, label in files], dtype=np.int64), counts)
    return Samples(np.concatenate(windows), labels, np.repeat(np.arange(len(files)), counts))


def _sets(name: str, normal: list[tuple[bytes, int]], test: list[tuple[bytes, int]], seed: int) -> Sets:
    train = _samples(normal)
    chosen = np.random.default_rng([seed, 3]).permutation(len(train.x))[:CALIBRATION]
    return Sets(name, Samples(train.x, train.y), _samples(test), train.x[chosen])


def official(folder: Path, seed: int, progress: Progress) -> Sets:
    """ToyCar: normal recordings to train with, normal and anomalous ones to test with."""
    found: dict[str, list[tuple[bytes, int]]] = {"train": [], "test": []}
    for number, (name, data) in enumerate(RAW.files(folder, _member, max_bytes=MAX_BYTES)):
        progress("turning ToyCar recordings into spectrograms", number, 0)
        part, _, file = name.partition("/")
        features = prepare.features(prepare.recorded(data, name), name)
        found[part].append((features, int(file.startswith("anomaly"))))
    if not found["train"] or not found["test"]:
        raise SetupError(f"{folder}: no recordings in ToyCar/train or ToyCar/test. {RAW.hint()}")
    return _sets("ToyADMOS car", found["train"], found["test"], seed)


def _member(path: str) -> str | None:
    match = _RECORDING.search(path)
    return f"{match[1]}/{match[2]}" if match else None


def synthetic(_files: Mapping[str, Path], seed: int, progress: Progress) -> Sets:
    """A made-up machine: other recordings of the same kind as the test set, none of them faulty."""
    normal = []
    for number in range(SYNTHETIC_RECORDINGS):
        progress("making up machine sound", number, SYNTHETIC_RECORDINGS)
        sound = prepare.machine.recording(np.random.default_rng([SYNTHETIC_SEED, seed, number]), None)
        normal.append((prepare.features(sound), 0))
    test = [(prepare.features(sound), int(faulty)) for sound, faulty in prepare.machine.recordings()]
    return _sets("synthetic machine sound (numpy)", normal, test, seed)


RAW = RawSet(
    task="ad01",
    archive="dev_data_ToyCar.zip",
    marker="ToyCar",
    url="https://zenodo.org/record/3678171/files/dev_data_ToyCar.zip",
    digest="no hash is published",
)
RECIPE = Recipe(
    task="ad01",
    build=build,
    official=official,
    raw=RAW,
    synthetic=synthetic,
    input=None,
    loss="rebuild",
    epochs=100,
    synthetic_epochs=30,
    batch=512,
    rate=lambda _epoch, _epochs: 0.001,
)

if __name__ == "__main__":
    sys.exit(_training.main(RECIPE, __doc__))
