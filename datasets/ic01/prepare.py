# SPDX-License-Identifier: Apache-2.0
"""Makes the official inputs of image classification: 200 CIFAR-10 test images, RGB, height x width x channel, uint8.

Recipe `official`: input `archive` is cifar-10-python.tar.gz, `labels` the official y_labels.csv. Both list images by
the name they have in CIFAR-10 (emu_s_002009.png there is emu_s_002009.bin here), which is all it takes: the inputs are
exactly the official ones.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.archives import tar_files
from host.catalog.spec import load_dataset, parse_labels
from host.errors import SetupError, UsageError
from host.recipe import script

Progress = Callable[[str, int, int], None]

BATCH = "cifar-10-batches-py/test_batch"
MAX_BATCH_BYTES = 64 << 20
IMAGES, CHANNELS, SIDE = 10000, 3, 32


def _empty_array(kind: object, shape: object, code: object) -> NDArray[Any]:
    """What a pickled array starts as; its content comes with its state, and numpy checks that against the shape."""
    if shape != (0,) or code not in (b"b", "b"):
        raise pickle.UnpicklingError("an array that does not start empty")
    return np.ndarray((0,), dtype=np.int8)


class BatchUnpickler(pickle.Unpickler):
    """Builds lists, dicts, bytes, numbers and numpy arrays; nothing else can be named, so nothing can be run."""

    def find_class(self, module: str, name: str) -> Any:
        """The three names a pickled array needs, whatever numpy called its modules then."""
        known = {
            ("multiarray", "_reconstruct"): _empty_array,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        found = known.get((module.rpartition(".")[2], name))
        if found is None or module.partition(".")[0] != "numpy":
            raise pickle.UnpicklingError(f"it names {module}.{name}, which CIFAR-10 has no use for")
        return found


def test_images(archive: Path) -> dict[str, tuple[int, bytes]]:
    """Name (without .png) -> class and pixels (3072 bytes, HWC) of every CIFAR-10 test image. Raises SetupError."""
    accept = {BATCH: BATCH}.get
    data = next((found for _, found in tar_files(archive, accept, max_bytes=MAX_BATCH_BYTES)), None)
    if data is None:
        raise SetupError(f"{archive.name} holds no {BATCH}: it is not cifar-10-python.tar.gz. Fetch it again.")
    try:
        batch = BatchUnpickler(io.BytesIO(data), encoding="bytes").load()
        pixels, labels, names = batch[b"data"], batch[b"labels"], batch[b"filenames"]
        whole = pixels.shape == (IMAGES, CHANNELS * SIDE * SIDE) and pixels.dtype == np.uint8
        if not whole or not len(labels) == len(names) == IMAGES:
            raise ValueError(f"{IMAGES} images were expected")
        images = pixels.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)
        stems = [name.decode("ascii").removesuffix(".png") for name in names]
        return {stem: (int(label), image.tobytes()) for stem, label, image in zip(stems, labels, images, strict=True)}
    except Exception as error:  # a pickle can raise anything
        raise SetupError(f"{BATCH} in {archive.name} is not CIFAR-10's test batch: {error}. Fetch it again.") from error


def prepare(recipe: str, inputs: Mapping[str, Path], out: Path, progress: Progress) -> None:
    """Make `recipe` (see the top of this file) out of `inputs` into the empty folder `out`. Raises HostError."""
    if recipe != "official":
        raise UsageError(f"ic01 has no recipe {recipe!r}; it has official")
    listing = inputs["labels"].read_bytes()
    spec = load_dataset(Path(__file__).with_name("dataset.toml"))
    labels = parse_labels(listing, inputs["labels"].name, spec)
    what = "cutting images out of CIFAR-10"
    progress(what, 0, len(labels))
    images = test_images(inputs["archive"])
    for done, (name, label) in enumerate(labels.items(), 1):
        found = images.get(Path(name).stem)
        if found is None:
            raise SetupError(f"{name} is on the list, but CIFAR-10's test images have none of that name")
        if found[0] != label:
            raise SetupError(f"{name} is of class {label} on the list and of class {found[0]} in CIFAR-10")
        (out / name).write_bytes(found[1])
        progress(what, done, len(labels))
    (out / "y_labels.csv").write_bytes(listing)


if __name__ == "__main__":
    sys.exit(script(prepare, sys.argv[1:]))
