# SPDX-License-Identifier: Apache-2.0
"""Makes the inputs of visual wake words: 96 x 96 pictures, RGB, height x width x channel, uint8; 1 is "person".

Recipes:
  official  the 1000 pictures of the official list: input `archive` is vw_coco2014_96.tar.gz, `labels` the official
            y_labels.csv. The archive holds JPEGs and the official files were made before they were compressed, so a
            pixel may differ by a few steps from the official one; which pictures and which labels does not.
  photos    15 photos that ship with scikit-image, scikit-learn and matplotlib: inputs `skimage`, `sklearn` and
            `matplotlib` are their wheels. Labelled by eye.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from host.archives import rgb, tar_files, zip_files
from host.catalog.spec import load_dataset, parse_labels
from host.errors import SetupError, UsageError
from host.recipe import script

Progress = Callable[[str, int, int], None]

SIZE = (96, 96)
CLASSES = 2
MAX_PICTURE_BYTES = 8 << 20

# A picture of COCO, by its number: 000000343218.jpg, or COCO_val2014_000000343218.jpg as that set first called it.
_PICTURE = re.compile(r"(?:^|/)(?:person|non_person)/(?:[A-Za-z0-9]+_)*([0-9]{12})\.jpe?g\Z")

# Name of the input, member, and whether there is a person.
PHOTOS = (
    ("skimage", "skimage/data/astronaut.png", 1),
    ("skimage", "skimage/data/camera.png", 1),
    ("skimage", "skimage/data/chelsea.png", 0),
    ("skimage", "skimage/data/coffee.png", 0),
    ("skimage", "skimage/data/rocket.jpg", 0),
    ("skimage", "skimage/data/brick.png", 0),
    ("skimage", "skimage/data/grass.png", 0),
    ("skimage", "skimage/data/gravel.png", 0),
    ("skimage", "skimage/data/retina.jpg", 0),
    ("skimage", "skimage/data/clock_motion.png", 0),
    ("skimage", "skimage/data/page.png", 0),
    ("skimage", "skimage/data/motorcycle_left.png", 0),
    ("sklearn", "sklearn/datasets/images/china.jpg", 0),
    ("sklearn", "sklearn/datasets/images/flower.jpg", 0),
    ("matplotlib", "matplotlib/mpl-data/sample_data/grace_hopper.jpg", 1),
)


def _official(inputs: Mapping[str, Path], out: Path, progress: Progress) -> None:
    listing = inputs["labels"].read_bytes()
    spec = load_dataset(Path(__file__).with_name("dataset.toml"))
    missing = set(parse_labels(listing, inputs["labels"].name, spec))
    what, total = "cutting pictures out of COCO", len(missing)

    def wanted(member: str) -> str | None:
        match = _PICTURE.search(member)
        name = f"{match[1]}.bin" if match else ""
        return name if name in missing else None

    progress(what, 0, total)
    for name, data in tar_files(inputs["archive"], wanted, max_bytes=MAX_PICTURE_BYTES):
        (out / name).write_bytes(rgb(data, SIZE, f"{name} in {inputs['archive'].name}"))
        missing.discard(name)
        progress(what, total - len(missing), total)
        if not missing:
            break
    if missing:
        raise SetupError(
            f"{inputs['archive'].name} lacks {len(missing)} of {total} pictures, {min(missing)} for one: it is not the "
            "archive that the list belongs to, or it is cut short. Fetch it again."
        )
    (out / "y_labels.csv").write_bytes(listing)


def _photos(inputs: Mapping[str, Path], out: Path, progress: Progress) -> None:
    what = "scaling photos"
    lines = {}
    for key in dict.fromkeys(key for key, _, _ in PHOTOS):
        labels = {member: label for other, member, label in PHOTOS if other == key}
        accept = {member: member for member in labels}.get
        for member, data in zip_files(inputs[key], accept, max_bytes=MAX_PICTURE_BYTES):
            pixels = rgb(data, SIZE, f"{member} in {inputs[key].name}", resize=True)
            name = f"{Path(member).stem}.bin"
            (out / name).write_bytes(pixels)
            lines[member] = f"{name},{CLASSES},{labels[member]}\n"
            progress(what, len(lines), len(PHOTOS))
    missing = [member for _, member, _ in PHOTOS if member not in lines]
    if missing:
        raise SetupError(f"the wheels lack {', '.join(missing)}: they are other versions than dataset.toml names")
    (out / "y_labels.csv").write_text("".join(lines[member] for _, member, _ in PHOTOS), encoding="utf-8")


def prepare(recipe: str, inputs: Mapping[str, Path], out: Path, progress: Progress) -> None:
    """Make `recipe` (see the top of this file) out of `inputs` into the empty folder `out`. Raises HostError."""
    makers = {"official": _official, "photos": _photos}
    if recipe not in makers:
        raise UsageError(f"vww01 has no recipe {recipe!r}; it has {', '.join(makers)}")
    makers[recipe](inputs, out, progress)


if __name__ == "__main__":
    sys.exit(script(prepare, sys.argv[1:]))
