"""The compiler flags of the firmware, for what the tests compile of it."""

from __future__ import annotations

import configparser

from host.paths import PROJECT_DIR

FIRMWARE = PROJECT_DIR / "firmware"


def _option(file: str, section: str, option: str) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(PROJECT_DIR / file, encoding="utf-8")
    return parser[section][option].split()


_SHARED = _option("platformio.ini", "env", "build_flags")
WARNINGS = [flag for flag in _SHARED if flag.startswith(("-W", "-pedantic"))]
CORTEX_M4 = _option("firmware/boards/mps2_an386/board.ini", "env:mps2_an386", "custom_cpu_flags")
assert "-Werror" in WARNINGS
assert "-mcpu=cortex-m4" in CORTEX_M4
