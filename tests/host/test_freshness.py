# SPDX-License-Identifier: Apache-2.0
"""An image that is what its sources would make is taken without PlatformIO, and no other image is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from host import build as building
from host import freshness
from host.boards import get_board
from host.build import Image, build, last_image
from host.paths import PROJECT_DIR

BOARD = get_board("native")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What images are made of, in another place."""
    root = tmp_path / "tree"
    for name in ("firmware", "host"):
        shutil.copytree(PROJECT_DIR / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(PROJECT_DIR / "platformio.ini", root / "platformio.ini")
    monkeypatch.setattr(freshness, "PROJECT_DIR", root)
    return root


def test_any_change_of_a_source_is_seen(tree: Path) -> None:
    seen = {freshness.made_of(BOARD)}
    assert seen == {freshness.made_of(BOARD)}
    assert None not in seen
    changes = (
        *("platformio.ini", "firmware/main.c", "firmware/core/model.h", "firmware/soc/cortexm/sections.ld"),
        *("firmware/boards/native/board.ini", "firmware/platform/builder/main.py", "firmware/platform/platform.json"),
        *("host/embed.py", "host/wire/wire.toml"),
    )
    for count, name in enumerate(changes, 2):
        with (tree / name).open("a") as file:
            file.write("\n")
        seen.add(freshness.made_of(BOARD))
        assert len(seen) == count, name
    (tree / "firmware" / "core" / "new.c").touch()
    seen.add(freshness.made_of(BOARD))
    (tree / "firmware" / "core" / "new.c").rename(tree / "firmware" / "core" / "other.c")
    seen.add(freshness.made_of(BOARD))
    assert len(seen) == len(changes) + 3


def test_what_else_makes_an_image_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [freshness.made_of(BOARD), freshness.made_of(get_board("mps2_an386"))]
    with monkeypatch.context() as patch:
        patch.setenv("PLATFORMIO_BUILD_FLAGS", "-DX")
        seen.append(freshness.made_of(BOARD))
    with monkeypatch.context() as patch:  # another compiler of the same version
        gcc = shutil.which("gcc")
        assert gcc is not None
        (tmp_path / "gcc").write_text(f'#!/bin/sh\nexec {gcc} "$@"\n')
        (tmp_path / "gcc").chmod(0o755)
        patch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        seen.append(freshness.made_of(BOARD))
    assert None not in seen
    assert len(set(seen)) == len(seen)


def test_other_models_are_seen(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_all = freshness.made_of(BOARD)
    folder = tmp_path / "data"
    shutil.copytree(data_dir / "models", folder / "models")
    monkeypatch.setenv("TINYJOULE_DATA", str(folder))
    assert freshness.made_of(BOARD) not in (with_all, None)  # the same models, elsewhere: their paths are assembled


def test_where_it_cannot_be_told_the_builder_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PIO_EXTRA_CONFIGS", "more.ini")
        assert freshness.made_of(BOARD) is None
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        assert freshness.made_of(BOARD) is None
    assert not freshness.is_fresh(tmp_path, None)


def test_platformio_is_asked_only_when_there_is_something_to_do(
    firmware_image: Callable[[str], Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A copy: other tests, perhaps at the same time, run this image.
    shutil.copytree(firmware_image("native").elf.parent, tmp_path / "build" / "native")
    monkeypatch.setattr(building, "BUILD_DIR", tmp_path / "build")
    image = last_image(BOARD)
    assert image is not None
    folder = image.elf.parent
    assert folder == tmp_path / "build" / "native"
    asked: list[bool] = []

    def ask(*words: object, **options: object) -> tuple[int, str]:
        asked.append(True)
        return 0, ""

    monkeypatch.setattr(building, "run_platformio", ask)
    assert build(BOARD) == image
    assert asked == []
    assert build(BOARD, verbose=True) == image
    assert asked == [True]

    record, said = folder / "build.json", (folder / freshness.FILE).read_text()
    whole = record.read_text()
    record.write_text(whole + "\n")  # as if somebody had typed `pio run` meanwhile
    (folder / freshness.FILE).write_text(said)
    build(BOARD)
    assert len(asked) == 2
    record.write_text(whole)
    for damaged in ("", said[:-10], "é"):
        (folder / freshness.FILE).write_text(damaged, encoding="latin-1")
        build(BOARD)
    assert len(asked) == 5
    assert (folder / freshness.FILE).read_text() == said
    assert build(BOARD) == image
    assert len(asked) == 5
