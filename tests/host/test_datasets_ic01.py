"""CIFAR-10's images are found by name, and an archive can do no harm."""

from __future__ import annotations

import io
import os
import pickle
import struct
from typing import ClassVar

import numpy as np
import pytest
from dataset_kit import cut, listed, made_by, recipe_of, spec_of, tar_gz

from host.catalog.spec import parse_labels
from host.errors import SetupError, UsageError

BATCH = "cifar-10-batches-py/test_batch"
PIXELS = np.random.default_rng(5).integers(0, 256, (10000, 3072), dtype=np.uint8)
LABELS = [(index * 7) % 10 for index in range(10000)]
NAMES = [f"thing_s_{index:06d}.png".encode() for index in range(10000)]
LIST = ["thing_s_000003.bin,10,1", "thing_s_000000.bin,10,0", "thing_s_009999.bin,10,3"]


class _OfPython2(pickle._Pickler):
    """Writes what CIFAR-10's authors had: Python 2, whose strings are bytes."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)

    def save_text(self, value):
        self.save_bytes(value.encode())

    dispatch[bytes], dispatch[str] = save_bytes, save_text


def batch(**changes: object) -> bytes:
    content = {b"data": PIXELS, b"labels": LABELS, b"filenames": NAMES, b"batch_label": b"testing batch 1 of 1"}
    file = io.BytesIO()
    _OfPython2(file, protocol=2).dump({**content, **{key.encode(): value for key, value in changes.items()}})
    return file.getvalue()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    others = {"cifar-10-batches-py/data_batch_1": b"not read", "../test_batch": b"nor this"}
    return tar_gz(tmp_path_factory.mktemp("cifar") / "cifar-10-python.tar.gz", {**others, BATCH: batch()})


def test_images_come_by_name_in_the_order_of_the_list(archive, tmp_path):
    labels = listed(tmp_path / "y_labels.csv", LIST)
    made = made_by("ic01", "official", {"archive": archive, "labels": labels}, tmp_path / "out")
    assert [(name, label) for name, (label, _) in made.items()] == [
        ("thing_s_000003.bin", 1),
        ("thing_s_000000.bin", 0),
        ("thing_s_009999.bin", 3),
    ]
    for name, (_, data) in made.items():
        row = PIXELS[int(name[8:14])]
        planes = [row[:1024], row[1024:2048], row[2048:]]  # red, green, blue
        assert data == bytes(value for pixel in zip(*planes, strict=True) for value in pixel)
    assert made_by("ic01", "official", {"archive": archive, "labels": labels}, tmp_path / "again") == made


def test_the_real_list_is_of_images_with_such_names(data_dir):
    listing = data_dir / "labels" / "ic01" / "y_labels.csv"
    labels = parse_labels(listing.read_bytes(), str(listing), spec_of("ic01"))
    assert len(labels) == 200
    assert sorted(labels.values()) == sorted(list(range(10)) * 20)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("thing_s_010000.bin,10,1", "have none of that name"),
        ("thing_s_000003.bin,10,2", r"class 2 on the list and of class 1"),
        ("thing_s_000003.bin,9,1", "9 classes"),
    ],
)
def test_a_list_that_does_not_fit_is_an_error(archive, tmp_path, line, says):
    labels = listed(tmp_path / "y_labels.csv", [line])
    with pytest.raises(SetupError, match=says):
        made_by("ic01", "official", {"archive": archive, "labels": labels}, tmp_path / "out")


class Harm:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def refused(tmp_path, files: dict[str, bytes], says: str, **more: object) -> None:
    archive = tar_gz(tmp_path / "cifar.tar.gz", files, **more)
    with pytest.raises(SetupError, match=says):
        recipe_of("ic01").test_images(archive)


def test_a_pickle_that_would_run_something_runs_nothing(tmp_path):
    refused(tmp_path, {BATCH: batch(more=Harm(str(tmp_path / "harm")))}, r"names (posix|nt|os)\.mkdir")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not CIFAR-10's test batch"),
        (batch()[:100], "not CIFAR-10's test batch"),
        (pickle.dumps([1, 2], protocol=2), "not CIFAR-10's test batch"),
        (batch(data=PIXELS[:5]), "10000 images were expected"),
        (batch(labels=LABELS[:7]), "10000 images were expected"),
        (pickle.dumps({b"data": 3, b"labels": [], b"filenames": []}, protocol=2), "not CIFAR-10's test batch"),
        (pickle.dumps(np.random.default_rng, protocol=2), "no use for"),
    ],
)
def test_a_batch_that_is_none_is_an_error(tmp_path, content, says):
    refused(tmp_path, {BATCH: content}, says)


def test_a_missing_batch_a_link_and_a_cut_archive_are_errors(archive, tmp_path):
    refused(tmp_path, {"cifar-10-batches-py/readme.html": b"x"}, "holds no cifar-10-batches-py/test_batch")
    refused(tmp_path, {"a": b"x"}, "holds no", links={BATCH: "/etc/passwd"})
    for broken in (cut(archive, 0.5), listed(tmp_path / "text.tar.gz", ["no archive"])):
        with pytest.raises(SetupError, match=r"damaged or cut short.*fetch it again"):
            recipe_of("ic01").test_images(broken)


def test_another_recipe_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"no recipe 'other'; it has official"):
        recipe_of("ic01").prepare("other", {}, tmp_path, print)
