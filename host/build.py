"""Builds a board's image with PlatformIO and says what came out.

A variant (host/variant.py) compiles in VARIANTS_DIR/objects/<engine>, so that .pio/build stays as it is and only models
are assembled anew; its image is then kept in VARIANTS_DIR/<variant>, where no later build overwrites it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host import freshness
from host.boards import Board
from host.embed import EmbeddedModel
from host.errors import SetupError
from host.lifeline import tied
from host.paths import PROJECT_DIR
from host.variant import VARIABLE, Variant

__all__ = ["BUILD_DIR", "Image", "Variant", "build", "build_lock", "last_image", "run_platformio"]

# PlatformIO reads the same variable: builds with other models or flags can be kept apart.
BUILD_DIR = Path(os.environ.get("PLATFORMIO_BUILD_DIR") or PROJECT_DIR / ".pio" / "build").absolute()
VARIANTS_DIR = BUILD_DIR.parent / "variants"
KEPT_VARIANTS = 12
"""How many variants' images are kept, the newest; an image is some megabytes."""
KEPT_OBJECTS = 4
"""How many engines' objects are kept, the newest; one is about ten megabytes for each board."""


@dataclass(frozen=True, slots=True)
class Image:
    """One built image. `elf` and `map` are absolute paths; `sha256` is of the ELF file; sizes are in bytes."""

    board: Board
    elf: Path
    map: Path
    build_id: str
    version: str
    engine: str
    compiler: str
    flags: str
    sha256: str
    sizes: dict[str, int]
    models: tuple[EmbeddedModel, ...]


def build(board: Board, *, variant: Variant | None = None, verbose: bool = False) -> Image:
    """Build (only what changed) and return the image. `verbose` lets PlatformIO's output through to the terminal.

    Where nothing changed at all (host/freshness.py), PlatformIO is not even asked, unless to be shown.

    variant: other models or another engine than `pio run` builds.
    Raises SetupError with the last lines of the output; the builder names the packages of a missing compiler.
    """
    variant = variant or Variant()
    folder = _compile_folder(variant) / board.name
    with build_lock():
        digest = freshness.made_of(board) if variant == Variant() else None
        if not verbose and freshness.is_fresh(folder, digest) and (image := _read_image(board, folder)) is not None:
            return image
        if _read_image(board, folder) is None:  # SCons trusts files by their names: what is damaged would stay so
            _forget(folder)
        options = ["-v"] if verbose else []
        code, output = run_platformio(board, *options, quiet=not verbose, variant=variant)
        if code != 0:
            raise SetupError(f"building {board.name} failed{_reason(output) if output else '; see above'}")
        if variant != Variant():
            _keep(folder, VARIANTS_DIR / variant.key / board.name)
            _thin(VARIANTS_DIR, KEPT_VARIANTS, variant.key)
            _thin(VARIANTS_DIR / "objects", KEPT_OBJECTS, variant.engine_key)
        image = last_image(board, variant)
        if image is not None and digest is not None and freshness.made_of(board) == digest:  # not edited meanwhile
            freshness.remember(folder, digest)
    if image is None:
        raise SetupError(f"PlatformIO built {board.name} but left no build.json: remove .pio and build again")
    return image


def last_image(board: Board, variant: Variant | None = None) -> Image | None:
    """The image of the last build; None when there is none, or when its files are not the ones it recorded."""
    variant = variant or Variant()
    return _read_image(board, (BUILD_DIR if variant == Variant() else VARIANTS_DIR / variant.key) / board.name)


def _compile_folder(variant: Variant) -> Path:
    return BUILD_DIR if variant == Variant() else VARIANTS_DIR / "objects" / variant.engine_key


def _read_image(board: Board, folder: Path) -> Image | None:
    try:
        record: dict[str, Any] = json.loads((folder / "build.json").read_text(encoding="utf-8"))
        elf, map_file = folder / record["elf"], folder / record["map"]
        if not map_file.is_file() or hashlib.sha256(elf.read_bytes()).hexdigest() != record["elf_sha256"]:
            return None
        return Image(
            board=board,
            elf=elf,
            map=map_file,
            build_id=record["build_id"],
            version=record["version"],
            engine=record["engine"],
            compiler=record["compiler"],
            flags=record["flags"],
            sha256=record["elf_sha256"],
            sizes={section: int(record["sizes"][section]) for section in ("text", "data", "bss")},
            models=tuple(EmbeddedModel(**model) for model in record["models"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a build that was cut short, or of an older layout: the next build makes it whole


def _keep(built: Path, kept: Path) -> None:
    """Copy what a build made, the record last: without it there is no image."""
    try:
        kept.mkdir(parents=True, exist_ok=True)
        for name in ("firmware.elf", "firmware.map", "build.json"):
            # Under another name first: a process that runs an older one keeps it.
            copy = kept / f"{name}.new"
            shutil.copyfile(built / name, copy)
            shutil.copymode(built / name, copy)
            copy.replace(kept / name)
        os.utime(kept.parent)
    except OSError as error:
        raise SetupError(f"cannot keep the image in {kept}: {error}. Free some room, or see who owns it.") from error


def _thin(folder: Path, kept: int, newest: str) -> None:
    """Remove all but the newest folders in `folder`; `newest` is the one just built."""
    others = [path for path in folder.iterdir() if path.is_dir() and path.name not in (newest, "objects")]
    others.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in others[kept - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def run_platformio(
    board: Board,
    *options: str,
    quiet: bool = True,
    timeout_s: float | None = None,
    variant: Variant | None = None,
) -> tuple[int, str]:
    """Run `pio run` for one board; returns its exit code and, when `quiet`, what it would have shown.

    Whatever ends the wait early (Ctrl-C, SIGTERM, subprocess.TimeoutExpired) ends its compilers or flasher as well.
    """
    # Tied to us: when we are killed, PlatformIO may wait for ever for somebody to read what it prints.
    command = tied([sys.executable, "-m", "platformio", "run", "-e", board.name, *options])
    pipe = subprocess.PIPE if quiet else None
    stderr = subprocess.STDOUT if quiet else None
    with subprocess.Popen(
        command,
        cwd=PROJECT_DIR,
        env=_environment(variant or Variant()),
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=stderr,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            raise
    return process.returncode, output or ""


def _environment(variant: Variant) -> dict[str, str]:
    """What PlatformIO runs with; leaves the variant's file for its builder."""
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    if variant == Variant():
        return environment
    folder = _compile_folder(variant)
    file = VARIANTS_DIR / "variant.json"  # only one build at a time reads it
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(variant.encode())
        os.utime(folder)
    except OSError as error:
        raise SetupError(f"cannot build in {folder}: {error}. Free some room, or see who owns it.") from error
    return {**environment, VARIABLE: str(file), "PLATFORMIO_BUILD_DIR": str(folder)}


@contextlib.contextmanager
def build_lock() -> Iterator[None]:
    """One build at a time: two in one folder would read each other's half-written objects."""
    try:
        BUILD_DIR.mkdir(parents=True, exist_ok=True)
        file = (BUILD_DIR.parent / "tinyjoule.lock").open("w")
    except OSError as error:
        raise SetupError(f"cannot build in {BUILD_DIR}: {error}. Free some room, or see who owns it.") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _forget(folder: Path) -> None:
    """Take away what a build links and records, so that the next one makes it anew."""
    try:
        for name in ("firmware.elf", "build.json"):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise SetupError(f"{folder} holds a damaged build that cannot be removed: {error}. Remove it.") from error


def _reason(output: str) -> str:
    # Ours, or what a full or read-only disk makes PlatformIO print above twenty lines of its own code.
    errors = [line for line in output.splitlines() if line.startswith(("Error: ", "OSError: "))]
    if errors:
        return ": " + errors[0].partition(": ")[2]
    lines = output.splitlines()
    compiler = [line for line in lines if " error: " in line or "undefined reference" in line]
    return ":\n" + "\n".join(compiler[:20] or lines[-20:])
