"""Fixtures every test may use: the real test data, and the firmware images."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from host.boards import get_board
from host.build import Image, build

PROJECT = Path(__file__).resolve().parent.parent

# A busy machine is no failed property: no example has a time limit.
settings.register_profile("untimed", parent=settings(), deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def _nobodys_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the person at this machine has added or imported is no part of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("share")))
        patch.delenv("TINYJOULE_TASKS", raising=False)
        yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real test data; it is no part of the project."""
    folder = os.environ.get("TINYJOULE_DATA", "").split(os.pathsep)[0]
    if not folder or not (Path(folder) / "MANIFEST.tsv").is_file():
        pytest.skip("TINYJOULE_DATA does not name a folder with MANIFEST.tsv: the real test data is not here")
    return Path(folder)


@pytest.fixture(scope="session")
def firmware_image() -> Callable[[str], Image]:
    """Build a board's firmware as `host build` does, once per session."""
    images: dict[str, Image] = {}

    def image(name: str) -> Image:
        if name not in images:
            images[name] = build(get_board(name))
        return images[name]

    return image


@pytest.fixture(scope="session")
def host_command() -> Path:
    """The `host` command of this environment."""
    path = Path(sys.executable).with_name("host")
    if not path.exists():
        pytest.skip("the project is not installed here: `make test` installs it")
    return path


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    for tool in ("gcc", "arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.exit(f"{tool} is missing: `make test` installs it", returncode=1)
