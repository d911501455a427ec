"""Where the project is: the firmware, models and data sets are files of a checkout, not of the installed package."""

from __future__ import annotations

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
