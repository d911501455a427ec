"""Where things are: the checkout (firmware, models and data sets are its files, not the package's), the cache
and the user's data folder."""

from __future__ import annotations

import os
from pathlib import Path

from host.errors import SetupError


def _find_project_dir() -> Path:
    folder = Path(__file__).resolve().parent.parent
    if not (folder / "platformio.ini").is_file():
        raise SetupError(
            f"{folder} is no checkout of tinyjoule (no platformio.ini). The host works on its own source tree: "
            "clone the repository and install it with `pip install -e .`"
        )
    return folder


PROJECT_DIR: Path = _find_project_dir()
"""Top of the checkout, absolute."""


def _user_folder(variable: str, default: str) -> Path:
    base = Path(os.environ.get(variable, ""))
    return (base if base.is_absolute() else Path.home() / default) / "tinyjoule"


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/tinyjoule, or ~/.cache/tinyjoule (also when the variable is no absolute path). May not exist."""
    return _user_folder("XDG_CACHE_HOME", ".cache")


def data_home() -> Path:
    """$XDG_DATA_HOME/tinyjoule, or ~/.local/share/tinyjoule; as cache_folder, but nobody clears it. May not exist."""
    return _user_folder("XDG_DATA_HOME", ".local/share")
