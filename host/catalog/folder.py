"""A folder of inputs as EEMBC and MLCommons have them: `*.bin` and a `y_labels.csv`. Read as outside input."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from host.catalog.entries import Item
from host.catalog.files import sha256
from host.catalog.spec import MAX_LIST_BYTES, DatasetSpec, parse_labels
from host.errors import SetupError

LABELS = "y_labels.csv"
MAX_NAMED = 5  # files that an error names


@dataclass(frozen=True, slots=True)
class Set:
    """The inputs of a folder. sha256: over their bytes in label order. others: what is neither input nor label list."""

    items: tuple[Item, ...]
    labels: bytes
    sha256: str
    others: tuple[str, ...]


def read_file(path: Path, max_bytes: int) -> bytes:
    """Bytes of a regular file that is no symbolic link; SetupError says what it is instead."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        link = path.is_symlink()
        raise SetupError(f"{path}: {'a symbolic link, not a file' if link else error.strerror}.") from error
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        raise SetupError(f"{path}: not a regular file.")
    with os.fdopen(handle, "rb") as file:
        if about.st_size > max_bytes:
            raise SetupError(f"{path}: {about.st_size:,} bytes, at most {max_bytes:,} are expected.")
        try:
            return file.read(max_bytes + 1)
        except OSError as error:
            raise SetupError(f"{path}: {error.strerror}.") from error


def read_set(folder: Path, spec: DatasetSpec) -> Set:
    """The inputs of `folder`, each checked. SetupError names what is missing, too much or not as `spec` says."""
    try:
        present = sorted(entry.name for entry in os.scandir(folder))
    except OSError as error:
        raise SetupError(f"{folder}: {error.strerror}. Name a folder of .bin files and a {LABELS}.") from error
    if LABELS not in present:
        raise SetupError(f"{folder} holds no {LABELS}, which says what is in it: `file,classes,label` a line.")
    listed = read_file(folder / LABELS, MAX_LIST_BYTES)
    labels = parse_labels(listed, str(folder / LABELS), spec)
    if not labels:
        raise SetupError(f"{folder / LABELS} lists no input.")
    odd = [name for name in labels if not name.endswith(".bin")]
    if odd:
        raise SetupError(f"{folder / LABELS} lists {_some(odd)}: inputs are .bin files.")
    missing = [name for name in labels if name not in present]
    if missing:
        raise SetupError(f"{folder} lacks {_some(missing)}, which {LABELS} lists.")
    extra = [name for name in present if name.endswith(".bin") and name not in labels]
    if extra:
        raise SetupError(f"{folder} holds {_some(extra)}, which {LABELS} does not list: take away what is not meant.")
    items = []
    for name, label in labels.items():
        data = read_file(folder / name, spec.file_bytes)
        if len(data) != spec.file_bytes:
            raise SetupError(
                f"{folder / name}: {len(data):,} bytes, but an input of {spec.task} has {spec.file_bytes:,}."
            )
        items.append(Item(name, label, data, spec.wire_bytes, spec.stride_bytes))
    others = tuple(name for name in present if name != LABELS and name not in labels)
    return Set(tuple(items), listed, sha256(b"".join(item.data for item in items)), others)


def _some(names: list[str]) -> str:
    shown = ", ".join(name if name.isprintable() else repr(name) for name in names[:MAX_NAMED])
    return shown if len(names) <= MAX_NAMED else f"{shown} and {len(names) - MAX_NAMED:,} more"
