"""Images: built from nothing without a registry, rebuilt only when needed, recorded truthfully."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from processes import children, wait_for

from host import build as building
from host import embed, toolchain
from host.boards import find_boards, get_board
from host.build import BUILD_DIR, Image, build, build_lock, last_image, run_platformio
from host.catalog import default_catalog
from host.errors import SetupError
from host.paths import PROJECT_DIR

BOARDS = sorted(find_boards())
FirmwareImage = Callable[[str], Image]


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def symbols(image: Image) -> dict[str, int]:
    lines = run("nm", str(image.elf)).splitlines()
    return {parts[2]: int(parts[0], 16) for line in lines if len(parts := line.split()) == 3}


@pytest.mark.parametrize("name", BOARDS)
def test_the_record_agrees_with_the_files(firmware_image: FirmwareImage, name: str) -> None:
    image = firmware_image(name)
    assert image.elf == BUILD_DIR / name / "firmware.elf"
    content = image.elf.read_bytes()
    assert image.sha256 == hashlib.sha256(content).hexdigest()
    assert re.fullmatch("[0-9a-f]{16}", image.build_id)
    for text in (image.build_id, image.version, image.engine, image.compiler, image.flags):
        assert text.encode() + b"\0" in content
    assert "engine_run" in image.map.read_text()
    prefix = "" if name == "native" else "arm-none-eabi-"
    columns = run(f"{prefix}size", str(image.elf)).splitlines()[1].split()
    assert list(image.sizes.values()) == [int(column) for column in columns[:3]]
    assert image.sizes["bss"] >= image.board.arena_bytes
    if image.board.emulator != "native":
        assert image.sizes["text"] + image.sizes["data"] <= image.board.flash_bytes
        assert image.sizes["data"] + image.sizes["bss"] <= image.board.ram_bytes
    assert last_image(image.board) == image


@pytest.mark.parametrize("name", BOARDS)
def test_the_models_are_in_the_image_aligned_and_whole(firmware_image: FirmwareImage, name: str) -> None:
    image = firmware_image(name)
    content = image.elf.read_bytes()
    places = symbols(image)
    assert [model.id for model in image.models] == [task for task in default_catalog().tasks() if _available(task)]
    for index, model in enumerate(image.models):
        data = default_catalog().model_for(model.id).path.read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (model.bytes, model.sha256)
        assert data in content
        assert places[f"model_data_{index}"] % 16 == 0


def _available(task: str) -> bool:
    try:
        default_catalog().model_for(task)
    except SetupError:
        return False
    return True


def test_a_build_with_nothing_to_do_touches_nothing(firmware_image: FirmwareImage) -> None:
    image = firmware_image("mps2_an386")
    folder = image.elf.parent

    def times() -> dict[Path, int]:
        kept = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".sconsign"))
        return {path: path.stat().st_mtime_ns for path in kept}

    before = times()
    assert folder / "generated" / "build_info.c" in before
    assert any(path.suffix == ".su" for path in before)  # stack usage
    assert build(image.board) == image  # by its digest
    assert times() == before
    with build_lock():
        assert run_platformio(image.board)[0] == 0
    assert times() == before


@pytest.fixture(scope="module")
def fresh_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files in another place, built there with plain `pio run`, a new HOME and no way to the network."""
    folder = tmp_path_factory.mktemp("fresh")
    listed = run("git", "-C", str(PROJECT_DIR), "ls-files", "-co", "--exclude-standard", "-z")
    for name in filter(None, listed.split("\0")):
        source, target = PROJECT_DIR / name, folder / "checkout" / name
        if source.is_file() and not name.startswith("tests/"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    kept = {key: os.environ[key] for key in ("PATH", "TINYJOULE_DATA", "LANG") if key in os.environ}
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    closed = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    (folder / "home").mkdir()
    result = subprocess.run(
        [sys.executable, "-m", "platformio", "run"],
        cwd=folder / "checkout",
        env={**kept, **closed, "HOME": str(folder / "home"), "XDG_CACHE_HOME": cache, "PIP_RETRIES": "0"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder / "checkout"


@pytest.mark.parametrize("name", BOARDS)
def test_a_fresh_checkout_builds_the_same_image(fresh_checkout: Path, firmware_image: FirmwareImage, name: str) -> None:
    record = json.loads((fresh_checkout / ".pio" / "build" / name / "build.json").read_text())
    image = firmware_image(name)
    assert record["models"] == [asdict(model) for model in image.models]
    assert record["build_id"] == image.build_id
    assert record["elf_sha256"] == image.sha256  # no path of either checkout got in


def test_checkouts_share_no_records_of_platformio(fresh_checkout: Path) -> None:
    """Else two that build at once would each find the other's platform."""
    (link,) = (fresh_checkout / ".pio" / "core" / "platforms").glob("*.pio-link")
    assert str(fresh_checkout / "firmware" / "platform") in link.read_text()
    assert not (fresh_checkout.parent / "home" / ".platformio").exists()


def test_a_board_that_is_not_finished_says_what_is_missing(fresh_checkout: Path) -> None:
    """`host build` of a fresh copy of the template names every function there is to write."""
    boards = fresh_checkout / "firmware" / "boards"
    folder = boards / "unfinished"
    shutil.copytree(boards / "template", folder)
    ini = (boards / "mps2_an386" / "board.ini").read_text()
    (folder / "board.ini").write_text(ini.replace("mps2_an386", folder.name))
    try:
        result = subprocess.run(
            [sys.executable, "-m", "host", "build", folder.name],
            cwd=fresh_checkout,
            env={**os.environ, "PYTHONPATH": str(fresh_checkout)},
            check=False,
            capture_output=True,
            text=True,
        )
    finally:
        shutil.rmtree(folder)
    functions = re.findall(r'#error "(\w+)', (boards / "template" / "board.c").read_text())
    assert len(functions) >= 9
    assert re.findall(r'#error "(\w+)', result.stderr) == functions
    assert "Werror" not in result.stderr  # nothing else is wrong with it


def test_an_image_follows_its_sources(fresh_checkout: Path) -> None:
    board = "mps2_an386"
    before = embed.source_hash(fresh_checkout / "firmware", board)
    (fresh_checkout / "firmware" / "boards" / "native" / "board.c").write_text("/* another board */\n")
    assert embed.source_hash(fresh_checkout / "firmware", board) == before
    with (fresh_checkout / "firmware" / "core" / "model.h").open("a") as file:
        file.write("/* changed */\n")
    assert embed.source_hash(fresh_checkout / "firmware", board) != before


def test_a_missing_compiler_names_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SetupError,
        match="building mps2_an386 failed: arm-none-eabi-gcc was not found: "
        "install it with `apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi`",
    ):
        build(get_board("mps2_an386"))


def test_a_compiler_that_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gcc").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(SetupError, match="gcc does not run"):
        toolchain.compiler_version("")


def test_a_model_that_does_not_fit_is_left_out_and_said() -> None:
    said: list[str] = []
    assert embed.collect_models(embed.CODE_RESERVE_BYTES + 1000, said.append) == []
    assert len(said) == len(default_catalog().tasks())
    assert all("no room for" in text or "no model for" in text for text in said)
    assert any("no room for" in text for text in said)


def test_an_image_without_models_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    info = embed.generate(
        board="native",
        firmware=PROJECT_DIR / "firmware",
        folder=tmp_path / "generated",
        flash_bytes=0,
        compiler="gcc 1",
        flags=["-O2", "-Wall", "-g", '-DNAME="a\\b"'],
        warn=said.append,
    )
    assert info.models == ()
    assert info.flags == '-O2 -DNAME="a\\b"'
    program = tmp_path / "main.c"
    program.write_text(
        '#include "core/model.h"\n#include <stdio.h>\n'
        'int main(void) { printf("%u|%s|%s|%s|%s", (unsigned)model_count, build_id, build_version, build_compiler,'
        " build_flags); return model_table[0].bytes != 0; }\n"
    )
    firmware = f"-I{PROJECT_DIR / 'firmware'}"
    run("gcc", "-std=c99", "-Wall", "-Werror", firmware, *map(str, [program, *info.sources]), "-o", str(tmp_path / "a"))
    assert run(str(tmp_path / "a")) == f"0|{info.build_id}|{info.version}|gcc 1|{info.flags}"


def test_a_damaged_record_is_no_image(
    firmware_image: FirmwareImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = firmware_image("nucleo_l4r5zi")
    folder = tmp_path / image.board.name  # a copy: other tests, perhaps at the same time, want the image
    folder.mkdir()
    for name in ("firmware.elf", "firmware.map", "build.json"):
        shutil.copyfile(image.elf.parent / name, folder / name)
    monkeypatch.setattr(building, "BUILD_DIR", tmp_path)
    record = folder / "build.json"
    whole = record.read_text()
    for damaged in ("", "{", "[]", "{}", whole.replace(image.sha256, "0" * 64), whole.replace('"map"', '"mop"')):
        record.write_text(damaged)
        assert last_image(image.board) is None, damaged
    record.write_text(whole)
    copied = last_image(image.board)
    assert copied is not None
    assert (copied.build_id, copied.sha256, copied.elf) == (image.build_id, image.sha256, folder / "firmware.elf")


def session_members(session: int) -> list[int]:
    """Live processes of one session: `session` itself, and all it has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def test_a_killed_host_leaves_no_build_behind(tmp_path: Path) -> None:
    host = subprocess.Popen(
        [sys.executable, "-m", "host", "build", "native"],
        cwd=PROJECT_DIR,
        env={**os.environ, "PLATFORMIO_BUILD_DIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with host:
        wait_for(lambda: list(tmp_path.rglob("*.o")) or host.poll() is not None)  # compilers are at work
        assert host.poll() is None, "it ended too early"
        (build_session,) = children(host.pid)
        assert session_members(build_session)
        host.kill()
    wait_for(lambda: not session_members(build_session))
