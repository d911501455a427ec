"""Where things are: the checkout (firmware, models and data sets are its files, not the package's) and the cache."""

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


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/tinyjoule, or ~/.cache/tinyjoule (also when the variable is no absolute path). May not exist."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "tinyjoule"
