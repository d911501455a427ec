"""Sets that a person has brought: copied into the data folder, and used before all others of the task."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import msgspec

from host.catalog.files import sha256
from host.catalog.folder import LABELS, Set, read_set
from host.catalog.home import now, read_record, shown_path
from host.catalog.spec import DatasetSpec, Sha256
from host.errors import HashMismatch, SetupError, UsageError

RECORD = "imported.json"


class Imported(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an imported set came from, and what was in it. labels_sha256: of the label list, byte by byte."""

    source: str
    sha256: Sha256
    labels_sha256: Sha256
    count: int
    imported: str


def _folder(home: Path, task: str) -> Path:
    return home / "datasets" / task


def _advice(task: str) -> str:
    return f"Import it again, or `host data forget {task}`."


def import_set(home: Path, spec: DatasetSpec, source: Path) -> Set:
    """Check the folder `source` and copy it; takes the place of what was imported for the task before.

    Raises SetupError for a folder that is not a whole set of the task.
    """
    found = read_set(source, spec)
    folder = _folder(home, spec.task)
    record = Imported(shown_path(source.resolve()), found.sha256, sha256(found.labels), len(found.items), now())
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".import-") as name:
            new = Path(name) / "new"
            new.mkdir()
            for item in found.items:
                (new / item.name).write_bytes(item.data)
            (new / LABELS).write_bytes(found.labels)
            (new / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
            old = Path(name) / "old"
            if folder.exists():
                folder.rename(old)
            try:
                os.replace(new, folder)
            except BaseException:
                if old.exists():
                    old.rename(folder)
                raise
    except OSError as error:
        raise SetupError(f"{folder} cannot be written: {error}. Set XDG_DATA_HOME to a folder that can.") from error
    return found


def find_imported(home: Path, spec: DatasetSpec) -> tuple[Imported, Set] | None:
    """The imported set of the task, or None. SetupError when it is no longer what was imported."""
    folder = _folder(home, spec.task)
    if not folder.exists():
        return None
    record = read_record(folder / RECORD, Imported, _advice(spec.task))
    if record is None:
        raise SetupError(f"{folder} holds no {RECORD}, so it was not imported whole. {_advice(spec.task)}")
    try:
        found = read_set(folder, spec)
    except SetupError as error:
        raise SetupError(
            f"the imported set is damaged, or dataset.toml has changed: {error} {_advice(spec.task)}"
        ) from error
    if found.sha256 != record.sha256:
        raise HashMismatch(
            f"{folder} is not what was imported from {record.source}:\n  expected sha256 {record.sha256}\n"
            f"  found    sha256 {found.sha256}\n{_advice(spec.task)}"
        )
    if sha256(found.labels) != record.labels_sha256:
        raise HashMismatch(f"{folder / LABELS} is not the list that was imported. {_advice(spec.task)}")
    return record, found


def forget_set(home: Path, task: str) -> None:
    """Remove the imported set of the task. Raises UsageError when there is none."""
    folder = _folder(home, task)
    if not folder.exists():
        raise UsageError(f"no set was imported for {task}: there is nothing to forget.")
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise SetupError(f"{folder} cannot be removed: {error}.") from error
