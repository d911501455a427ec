"""The boards: one folder each in firmware/boards, described by its board.ini and by nothing else.

The same file is the PlatformIO environment; the options are explained in firmware/boards/template/board.ini.template.
"""

from __future__ import annotations

import configparser
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from host.errors import SetupError, UsageError
from host.paths import PROJECT_DIR
from host.results.schema import Wiring

BOARDS_DIR = PROJECT_DIR / "firmware" / "boards"


@dataclass(frozen=True, slots=True)
class Board:
    """One board, as its board.ini has it. `emulator` is None on silicon, `clock_hz` where a clock means nothing."""

    name: str
    description: str
    core: str
    clock_hz: int | None
    emulator: Literal["qemu", "native"] | None
    qemu_machine: str | None
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    baud: int
    openocd_config: str | None
    pyocd_target: str | None
    wiring: Wiring
    folder: Path


@dataclass(frozen=True, slots=True)
class _Options:
    """The custom_* options of one board.ini, with the file's name for the errors."""

    path: Path
    values: dict[str, str]

    def optional(self, option: str) -> str | None:
        return self.values.get(f"custom_{option}", "").strip() or None

    def text(self, option: str) -> str:
        value = self.optional(option)
        if value is None:
            raise SetupError(f"{self.path}: custom_{option} is missing")
        return value

    def number(self, option: str) -> int:
        value = self.text(option)
        if not value.isdecimal():
            raise SetupError(f"{self.path}: custom_{option} = {value}: not a whole number")
        return int(value)


def read_board(folder: Path, defaults: dict[str, str] | None = None) -> Board:
    """Read one board's folder; options that board.ini leaves out come from `defaults` ([env] of platformio.ini).

    Raises SetupError, with the file and the option, when board.ini is not what it has to be.
    """
    path = folder / "board.ini"
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, configparser.Error) as error:
        raise SetupError(f"{path}: {error}") from error
    section = f"env:{folder.name}"
    if parser.sections() != [section]:
        raise SetupError(f"{path}: must hold exactly one section, [{section}]; it holds {parser.sections()}")
    options = _Options(path, {**(defaults or {}), **parser[section]})
    return Board(
        name=folder.name,
        description=options.text("description"),
        core=options.text("core"),
        clock_hz=options.number("clock_hz") or None,
        emulator=_emulator(path, options.text("emulator")),
        qemu_machine=options.optional("qemu_machine"),
        flash_bytes=options.number("flash_bytes"),
        ram_bytes=options.number("ram_bytes"),
        arena_bytes=options.number("arena_bytes"),
        baud=options.number("baud"),
        openocd_config=options.optional("openocd_config"),
        pyocd_target=options.optional("pyocd_target"),
        wiring=Wiring(
            uart=options.text("wiring_uart"),
            timing_pin=options.text("wiring_timing_pin"),
            power=options.text("wiring_power"),
        ),
        folder=folder,
    )


def _emulator(path: Path, value: str) -> Literal["qemu", "native"] | None:
    match value:
        case "none":
            return None
        case "qemu" | "native":
            return value
    raise SetupError(f"{path}: custom_emulator = {value}: must be qemu, native or none")


@functools.cache
def _shared_options() -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((PROJECT_DIR / "platformio.ini").read_text(encoding="utf-8"))
    return dict(parser["env"])


def find_boards() -> dict[str, Board]:
    """Every board by name, in alphabetical order."""
    folders = sorted(path.parent for path in BOARDS_DIR.glob("*/board.ini"))
    return {folder.name: read_board(folder, _shared_options()) for folder in folders}


def get_board(name: str) -> Board:
    """The board of that name; UsageError, naming the known ones, when there is none."""
    boards = find_boards()
    if name not in boards:
        raise UsageError(f"there is no board {name!r}; known boards: {', '.join(boards)}")
    return boards[name]
