# SPDX-License-Identifier: Apache-2.0
"""Trains the person detector: a MobileNetV1 of a quarter of the width on 96 x 96 RGB, 2 classes.

    python models/vww01/train.py --out FILE.tflite --data FOLDER

FOLDER holds vw_coco2014_96.tar.gz, or what was unpacked from it (folders person and non_person of JPEGs); without
--data it is what `host data fetch vww01` keeps. The pictures of the official test list are not trained with where
that list is there (y_labels.csv, which the fetch brings too). Pictures take 3 GB in the temporary folder meanwhile.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host import recipe as recipes
from host.archives import rgb
from host.cli import _training
from host.errors import SetupError
from host.paths import PROJECT_DIR
from host.training.checks import Quantisation
from host.training.data import Progress, Recipe, Samples, Sets
from host.training.raw import RawSet

prepare = recipes.load(PROJECT_DIR / "datasets" / "vww01" / "prepare.py")

SHAPE = (96, 96, 3)
CALIBRATION = 500
TESTED = 0.1  # of the pictures are not trained with
SHIFT = 5  # pixels
MAX_BYTES = 8 << 20
# Filters and stride of each separable block.
BLOCKS = (
    *((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)),
    *((128, 1), (128, 1), (128, 1), (128, 1), (128, 1), (256, 2), (256, 1)),
)


def build(keras: Any) -> Any:
    """The official topology: a convolution, 13 separable blocks, the mean, 2 classes."""
    layers, decay = keras.layers, keras.regularizers.l2(1e-4)

    def normalised(x: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization()(x))

    inputs = layers.Input(SHAPE)
    x = normalised(layers.Conv2D(8, 3, 2, "same", kernel_regularizer=decay)(inputs))
    for filters, stride in BLOCKS:
        x = normalised(layers.DepthwiseConv2D(3, stride, "same", depthwise_regularizer=decay)(x))
        x = normalised(layers.Conv2D(filters, 1, 1, "same", kernel_regularizer=decay)(x))
    x = keras.ops.reshape(layers.AveragePooling2D(3)(x), (-1, 256))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))


def mirrored_and_moved(rng: np.random.Generator, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half of the pictures mirrored, each moved by up to 5 pixels; what is missing at an edge is the edge repeated."""
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
    rows, columns = SHAPE[:2]
    for number in range(len(images)):
        down, right = rng.integers(2 * SHIFT + 1, size=2)
        image = padded[number, down : down + rows, right : right + columns]
        images[number] = image[:, ::-1] if rng.random() < 0.5 else image
    return images


def _picture(path: str) -> str | None:
    """`class/file` of a picture."""
    parts = path.split("/")
    if len(parts) < 2 or parts[-2] not in ("person", "non_person") or not parts[-1].endswith((".jpg", ".jpeg")):
        return None
    return "/".join(parts[-2:])


def _tested(name: str) -> bool:
    """By its name, so that a picture stays in its set whatever else there is."""
    return hashlib.sha256(name.encode()).digest()[0] < 256 * TESTED


def official(folder: Path, seed: int, progress: Progress) -> Sets:
    """The pictures of COCO that Silicon Labs cut to 96 x 96; a tenth of them, chosen by name, is the test set."""
    listed = _official_pictures(folder)
    room = Path(tempfile.mkdtemp(prefix="tinyjoule-vww01-"))
    atexit.register(shutil.rmtree, room, ignore_errors=True)  # the pictures are mapped until the end
    labels: dict[bool, list[int]] = {False: [], True: []}
    with (room / "train").open("wb") as train, (room / "test").open("wb") as test:
        for number, (name, data) in enumerate(RAW.files(folder, _picture, max_bytes=MAX_BYTES)):
            progress("decoding pictures", number, 0)
            held_back = _tested(name) or listed(name)
            (test if held_back else train).write(rgb(data, prepare.SIZE, name, resize=True))
            labels[held_back].append(int(name.startswith("person/")))
    if not all(labels.values()):
        raise SetupError(f"{folder}: too few pictures to train and to test with. {RAW.hint()}")
    sets = [
        Samples(np.memmap(room / file, dtype=np.uint8, mode="r").reshape(-1, *SHAPE), np.array(labels[held_back]))
        for file, held_back in (("train", False), ("test", True))
    ]
    chosen = np.sort(np.random.default_rng([seed, 3]).permutation(len(sets[0].x))[:CALIBRATION])
    return Sets("COCO 2014, 96 x 96, person or not", sets[0], sets[1], np.array(sets[0].x[chosen]))


def _official_pictures(folder: Path) -> Callable[[str], bool]:
    """Whether a picture is on the official test list, as far as that list is here."""
    lists = [path for path in sorted(folder.rglob("*y_labels.csv")) if path.stat().st_size < MAX_BYTES]
    words = b"\n".join(path.read_bytes() for path in lists).decode("utf-8", errors="replace").split("\n")
    numbers = {line.partition(".")[0] for line in words if line}
    return lambda name: name.rpartition("/")[2].partition(".")[0].rpartition("_")[2] in numbers


RAW = RawSet(
    task="vww01",
    archive="vw_coco2014_96.tar.gz",
    marker="non_person",
    url="https://www.silabs.com/public/files/github/machine_learning/benchmarks/datasets/vw_coco2014_96.tar.gz",
    digest="SHA-1 a5a465082d3f396407f8b5abaf824dd5b28439c4",
)
RECIPE = Recipe(
    task="vww01",
    build=build,
    official=official,
    raw=RAW,
    input=Quantisation(1.0 / 255.0, -128),  # the float model takes pixels of 0 to 1
    epochs=50,
    batch=32,
    rate=lambda epoch, epochs: 0.001 if epoch < 0.4 * epochs else 0.0005 if epoch < 0.6 * epochs else 0.00025,
    augment=mirrored_and_moved,
)

if __name__ == "__main__":
    sys.exit(_training.main(RECIPE, __doc__))
