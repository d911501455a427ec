# SPDX-License-Identifier: Apache-2.0
"""Whether an image is still what its sources would make. PlatformIO takes two seconds to say so.

A digest over everything an image is made of lies beside it, with that of the record it belongs to. Where anything is
not as the digest has it, or cannot be looked at, PlatformIO decides as ever.
"""

from __future__ import annotations

import configparser
import hashlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from host import embed, toolchain
from host.boards import Board
from host.errors import HostError
from host.paths import PROJECT_DIR

FILE = "made_of.txt"
_TOOLS = ("platformio", "scons")
_BUILDER = ("host", "firmware")
"""Folders: the sources with the builder in platform/, and the Python that the builder runs."""
_SUFFIXES = {".py", ".toml", ".c", ".h", ".S", ".ld", ".cc", ".cpp", ".ini", ".json"}
_NO_MATTER = ("PLATFORMIO_BUILD_DIR", "PLATFORMIO_SETTING_", "PLATFORMIO_DISABLE_")
"""Variables that say where and how PlatformIO works, and not what it makes."""


def made_of(board: Board) -> str | None:
    """sha256 over what the board's image without a variant is made of, in hex; None when that cannot be told."""
    if "PIO_EXTRA_CONFIGS" in os.environ:
        return None  # more files than we know of
    try:
        digest = hashlib.sha256("\n".join(_facts(board)).encode())
        for path in _sources():
            content = hashlib.sha256(path.read_bytes()).digest()
            digest.update(str(path.relative_to(PROJECT_DIR)).encode() + b"\0" + content)
    except (HostError, OSError, configparser.Error, importlib.metadata.PackageNotFoundError):
        return None  # the builder tells what is wrong
    return digest.hexdigest()


def _facts(board: Board) -> Iterator[str]:
    yield from (board.name, str(PROJECT_DIR), sys.executable)
    yield from (importlib.metadata.version(tool) for tool in _TOOLS)
    prefix = _toolchain(board)
    compiler = Path(toolchain.require_compiler(prefix)).resolve()
    yield f"{compiler} {compiler.stat().st_mtime_ns} {toolchain.compiler_version(prefix)}"
    for name, value in sorted(os.environ.items()):
        if name.startswith("PLATFORMIO_") and not name.startswith(_NO_MATTER):
            yield f"{name}={value}"
    for model in embed.collect_models(board.flash_bytes, lambda _text: None):
        yield repr(model)


def _toolchain(board: Board) -> str:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(board.folder / "board.ini", encoding="utf-8")
    return parser.get(f"env:{board.name}", "custom_toolchain", fallback="").strip()


def _sources() -> Iterator[Path]:
    yield PROJECT_DIR / "platformio.ini"
    for folder in _BUILDER:
        yield from sorted(path for path in (PROJECT_DIR / folder).rglob("*") if path.suffix in _SUFFIXES)


def is_fresh(folder: Path, digest: str | None) -> bool:
    """Whether the build in `folder` was made of what `digest` stands for, and nobody has built there since."""
    try:
        return digest is not None and (folder / FILE).read_text(encoding="utf-8") == _sealed(folder, digest)
    except (OSError, UnicodeDecodeError):
        return False


def remember(folder: Path, digest: str) -> None:
    """The build in `folder` was made of what `digest` stands for. Where that cannot be written, it is forgotten."""
    try:
        (folder / FILE).write_text(_sealed(folder, digest), encoding="utf-8")
    except OSError:
        (folder / FILE).unlink(missing_ok=True)


def _sealed(folder: Path, digest: str) -> str:
    # A plain `pio run` in between writes another record: ours is then of no worth.
    record = hashlib.sha256((folder / "build.json").read_bytes()).hexdigest()
    return f"{digest}\n{record}\n"
