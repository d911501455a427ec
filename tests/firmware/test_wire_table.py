"""wire_table.h is what gen.py makes, the core compiles without a warning for every kind of target, and stays small."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from flags import CORTEX_M4, FIRMWARE, WARNINGS
from wireharness import CORE, INCLUDES

from host.wire import gen
from host.wire.spec import spec

TARGETS = {"native": ["gcc"], "cortex_m4": ["arm-none-eabi-gcc", *CORTEX_M4]}
SIZES = ["-DTJ_ARENA_BYTES=1024", "-DTJ_INPUT_BYTES=1024"]


def test_table_is_up_to_date() -> None:
    assert gen.TARGET.read_text() == gen.generate(spec()), "run `python -m host.wire.gen`"


@pytest.mark.parametrize("target", TARGETS)
def test_core_compiles_without_a_warning(target: str, tmp_path: Path) -> None:
    for source in (*CORE, FIRMWARE / "main.c"):
        command = [*TARGETS[target], "-std=c99", "-O2", *WARNINGS, *INCLUDES, *SIZES]
        command += ["-c", str(source), "-o", str(tmp_path / f"{source.stem}.o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_core_needs_no_printf_no_heap_and_no_double(tmp_path: Path) -> None:
    """Whatever the core's objects leave to be linked is in this list."""
    allowed = {"memcpy", "memmove", "memset", "strcmp", "strlen", "model_table", "model_count", "__aeabi_l2f"}
    allowed |= {"__aeabi_uldivmod", "__aeabi_ldivmod", "build_id", "build_version", "build_compiler", "build_flags"}
    objects = []
    for source in CORE:
        objects.append(str(tmp_path / f"{source.stem}.o"))
        command = [*TARGETS["cortex_m4"], "-std=c99", "-O2", *INCLUDES, "-c", str(source), "-o", objects[-1]]
        subprocess.run(command, check=True)
    listing = subprocess.run(["arm-none-eabi-nm", "-g", *objects], capture_output=True, text=True, check=True).stdout
    symbols = [line.split()[-2:] for line in listing.splitlines() if len(line.split()) >= 2]
    defined = {name for kind, name in symbols if kind != "U"}
    missing = {name for kind, name in symbols if kind == "U"} - defined - allowed
    assert all(name.startswith(("board_", "engine_")) for name in missing), missing


def test_core_includes_only_itself_board_and_engine() -> None:
    own = {path.name for path in (FIRMWARE / "core").iterdir()} | {"board.h", "engine.h"}
    for source in (*CORE, *(FIRMWARE / "core").glob("*.h")):
        for line in source.read_text().splitlines():
            if line.startswith('#include "'):
                assert line.split('"')[1] in own, f"{source.name}: {line}"
            elif line.startswith("#include <"):
                assert line[10:-1] in {"stdbool.h", "stddef.h", "stdint.h", "string.h"}, f"{source.name}: {line}"
