"""The compiler flags of the firmware, for what the tests compile of it."""

from __future__ import annotations

import configparser
from pathlib import Path

from host.paths import PROJECT_DIR

FIRMWARE = PROJECT_DIR / "firmware"


def _option(file: str, section: str, option: str) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(PROJECT_DIR / file, encoding="utf-8")
    return parser[section][option].split()


_SHARED = _option("platformio.ini", "env", "build_flags")
WARNINGS = [flag for flag in _SHARED if flag.startswith(("-W", "-pedantic"))]


def cpu_flags(board: str) -> list[str]:
    """What tells the compiler which core the board has."""
    return _option(f"firmware/boards/{board}/board.ini", f"env:{board}", "custom_cpu_flags")


def port_sources(board: str) -> list[Path]:
    """The C files of the board's folder and of the folders of soc/ that it uses."""
    chosen = _option(f"firmware/boards/{board}/board.ini", f"env:{board}", "build_src_filter")
    patterns = [word[2:-1] for word in chosen if word.startswith(("+<boards/", "+<soc/"))]
    found = {path for pattern in patterns for path in FIRMWARE.glob(pattern + "*.c" if pattern[-1] == "/" else pattern)}
    return sorted(found)


CORTEX_M4 = cpu_flags("mps2_an386")
assert "-Werror" in WARNINGS
assert "-mcpu=cortex-m4" in CORTEX_M4
