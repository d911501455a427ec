"""Images with other models: apart from `pio run`'s, fast, kept, and not more of them than a disk can take."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from host import build as build_module
from host import modelgen
from host.boards import get_board
from host.build import BUILD_DIR, VARIANTS_DIR, Image, Variant, build, build_lock, last_image, run_platformio
from host.catalog import ModelFile
from host.embed import CODE_RESERVE_BYTES, chosen_models
from host.errors import HashMismatch, SetupError
from host.variant import VARIABLE, read_variant

BOARD = "mps2_an386"


def model_file(folder: Path, task: str, units: int) -> ModelFile:
    data = modelgen.build(modelgen.fully_connected(4, units))
    path = folder / f"{task}.tflite"
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return ModelFile(task, path.name, "a test", path, digest, "int8", input_bytes=4, outputs=units)


def times(folder: Path, pattern: str = "*") -> dict[Path, int]:
    files = (path for path in folder.rglob(pattern) if path.is_file() and not path.name.startswith(".sconsign"))
    return {path: path.stat().st_mtime_ns for path in files}


def test_an_image_with_exactly_these_models(
    firmware_image: Callable[[str], Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = firmware_image(BOARD)
    before = times(BUILD_DIR / BOARD)
    one, two = model_file(tmp_path, "own1", 3), model_file(tmp_path, "own2", 4)

    first = build(usual.board, variant=Variant((one,)))
    assert [(model.id, model.sha256) for model in first.models] == [("own1", one.sha256)]
    content = first.elf.read_bytes()
    assert one.path.read_bytes() in content
    assert two.path.read_bytes() not in content
    assert first.build_id not in (usual.build_id, "")
    assert last_image(usual.board, Variant((one,))) == first

    objects = times(VARIANTS_DIR / "objects" / Variant().engine_key / BOARD / "src", "*.o")
    second = build(usual.board, variant=Variant((two, one)))
    assert [model.id for model in second.models] == ["own2", "own1"]
    assert len(objects) > 10
    assert times(VARIANTS_DIR / "objects" / Variant().engine_key / BOARD / "src", "*.o") == objects
    assert first.elf.read_bytes() == content

    assert times(BUILD_DIR / BOARD) == before
    assert last_image(usual.board) == usual
    # Somebody's variable is not ours to follow, and a build of the usual image never is one of a variant.
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.json"))
    assert build(usual.board) == usual


def test_a_variant_is_known_by_content(tmp_path: Path) -> None:
    one = model_file(tmp_path, "own", 3)
    moved = replace(one, path=tmp_path / "elsewhere.tflite")
    assert Variant((one,)).key == Variant((moved,)).key
    others = [Variant(), Variant(()), Variant((replace(one, sha256="0" * 64),)), Variant((one,), "tflm", tmp_path)]
    assert len({variant.key for variant in [*others, Variant((one,))]}) == 5
    assert Variant((one,)).engine_key == Variant().engine_key != Variant((), "tflm", tmp_path).engine_key


def test_the_builder_reads_what_we_write(tmp_path: Path) -> None:
    variant = Variant((model_file(tmp_path, "own", 3),), "tflm", tmp_path)
    file = tmp_path / "variant.json"
    file.write_bytes(variant.encode())
    assert read_variant(str(file)) == variant
    assert read_variant(None) == Variant()
    file.write_text("[]")
    with pytest.raises(SetupError, match=VARIABLE):
        read_variant(str(file))


def test_only_the_newest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_module, "KEPT_VARIANTS", 2)
    monkeypatch.setattr(build_module, "VARIANTS_DIR", tmp_path / "variants")
    board = get_board(BOARD)
    variants = [Variant((model_file(tmp_path, f"own{units}", units),)) for units in (3, 4, 5)]
    images = [build(board, variant=variant) for variant in variants]
    assert [image.elf.is_file() for image in images] == [False, True, True]
    assert last_image(board, variants[0]) is None
    build(board, variant=variants[1])  # the newest now
    build(board, variant=variants[0])
    assert [last_image(board, variant) is not None for variant in variants] == [True, True, False]


def test_a_damaged_image_is_made_anew(tmp_path: Path) -> None:
    variant = Variant((model_file(tmp_path, "own", 6),))
    board = get_board(BOARD)
    image = build(board, variant=variant)
    image.elf.write_bytes(b"damaged")
    assert last_image(board, variant) is None
    assert build(board, variant=variant) == image
    assert hashlib.sha256(image.elf.read_bytes()).hexdigest() == image.sha256


def test_a_model_too_big_for_the_board(tmp_path: Path) -> None:
    board = get_board(BOARD)
    model = model_file(tmp_path, "huge", 3)
    data = model.path.read_bytes() + bytes(board.flash_bytes)
    model.path.write_bytes(data)
    model = replace(model, sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(SetupError, match=r"huge.tflite takes 4,\d+,\d+ bytes, but the board has 4,063,232 bytes"):
        build(board, variant=Variant((model,)))


def test_a_model_that_is_not_the_one_meant(tmp_path: Path) -> None:
    model = model_file(tmp_path, "own", 3)
    model.path.write_bytes(b"another")
    with pytest.raises(HashMismatch, match="has changed"):
        chosen_models([model], CODE_RESERVE_BYTES * 2)
    model.path.unlink()
    with pytest.raises(SetupError, match=r"own\.tflite"):
        chosen_models([model], CODE_RESERVE_BYTES * 2)


def test_plain_pio_run_with_a_strange_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.json"))
    with build_lock():
        assert run_platformio(get_board(BOARD))[0] == 0  # ours takes it away
