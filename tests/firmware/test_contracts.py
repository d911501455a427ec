"""Rules of the firmware's headers that one look at the object files or the sources proves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from flags import CORTEX_M4, FIRMWARE, WARNINGS

ENGINE = sorted((FIRMWARE / "engine" / "tflite_c").rglob("*.c"))
CORE = sorted((FIRMWARE / "core").glob("*.c"))
# What gcc may call of its own accord, and what little of the C library is used. No heap, no printf, no setjmp.
LIBRARY = re.compile(r"mem(cpy|set|cmp|move)|str(len|cmp)|__aeabi_\w+")


def symbols(source: Path, folder: Path) -> list[tuple[str, str]]:
    """Kind (as nm has it) and name of each symbol in the object file."""
    command = ["arm-none-eabi-gcc", "-std=c99", "-O2", *CORTEX_M4, *WARNINGS, f"-I{FIRMWARE}"]
    command += [f"-I{FIRMWARE / name}" for name in ("boards", "core", "engine")]
    subprocess.run([*command, "-c", str(source), "-o", str(folder / "object.o")], check=True)
    nm = ["arm-none-eabi-nm", str(folder / "object.o")]
    listing = subprocess.run(nm, check=True, capture_output=True, text=True).stdout
    return [(words[-2], words[-1]) for line in listing.splitlines() if (words := line.split())]


@pytest.mark.parametrize("sources", [ENGINE, CORE], ids=["engine", "core"])
def test_no_heap_and_no_state_of_its_own(sources: list[Path], tmp_path: Path) -> None:
    """All state is the caller's, so that two arenas make two engines; only functions and constants are left."""
    found = [(source.name, kind, name) for source in sources for kind, name in symbols(source, tmp_path)]
    assert [entry for entry in found if entry[1] not in "TtRrU"] == []
    defined = {name for _, kind, name in found if kind != "U"}
    wanted = {name for _, kind, name in found if kind == "U"} - defined
    outside = {name for name in wanted if not LIBRARY.fullmatch(name)}
    allowed = () if sources is ENGINE else ("board_", "engine_", "model_", "build_")
    assert not [name for name in outside if not name.startswith(allowed)], (
        "the core knows board.h, engine.h and model.h"
    )


def test_the_core_includes_only_itself_and_the_two_contracts() -> None:
    own = {path.name for path in (FIRMWARE / "core").glob("*.h")}
    standard = {"stdbool.h", "stddef.h", "stdint.h", "string.h"}
    for path in (FIRMWARE / "core").glob("*.[ch]"):
        included = set(re.findall(r'^#include [<"]([^>"]+)', path.read_text(), flags=re.MULTILINE))
        assert included <= own | standard | {"board.h", "engine.h"}, path.name
