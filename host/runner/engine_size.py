"""How many bytes of flash an engine takes: from the linker's map, and with the seven basic operators alone."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from host.build import Image
from host.errors import SetupError
from host.paths import PROJECT_DIR

BASIC_OPERATORS = ("ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "RESHAPE", "SOFTMAX")
"""What the official models consist of, and what TFLM's size in the baseline holds at most."""

ENTRY_POINTS = (
    *("engine_load", "engine_input", "engine_output", "engine_run", "engine_run_observed", "engine_arena_bytes"),
    "engine_name",
)
_FIRMWARE = PROJECT_DIR / "firmware"
_ENGINE = _FIRMWARE / "engine" / "tflite_c"
_OPERATOR = re.compile(r"^\s*\{BUILTIN_(\w+),.*\},\s*$", re.MULTILINE)
# ".text.name  0xADDRESS  0xSIZE file", on two lines when the name is long.
_SECTION = re.compile(r"^ (\.\S+)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S.*)$", re.MULTILINE)
_ENGINE_FILE = re.compile(r"(?:^|/)engine/|libtensorflow-microlite\.a\(")


@dataclass(frozen=True, slots=True)
class BasicSize:
    """The engine linked with BASIC_OPERATORS and nothing else: code and constants.

    engine_bytes: of the engine's own sources; total_bytes: with what they take from the compiler's and C's libraries.
    """

    engine_bytes: int
    total_bytes: int


def _sections(text: str) -> Iterator[tuple[str, int, str]]:
    """Name, size and file of every input section that was linked."""
    _, _, linked = text.partition("\nLinker script and memory map\n")
    for name, address, size, file in _SECTION.findall(linked):
        if int(address, 16) or name.startswith(".text"):  # at 0 are debug sections
            yield name, int(size, 16), file


def engine_text_bytes(map_file: Path) -> int:
    """Code and constants of the engine's own files in an image. Raises SetupError when the map shows none."""
    try:
        text = map_file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SetupError(f"{map_file}: {error.strerror}. Build it again: host build BOARD") from error
    total_bytes = sum(
        size
        for name, size, file in _sections(text)
        if name.startswith((".text", ".rodata")) and _ENGINE_FILE.search(file)
    )
    if not total_bytes:
        raise SetupError(f"{map_file} shows no code of an engine. Build it again: host build BOARD")
    return total_bytes


def _basic_operators_c() -> str:
    """operators.c with the lines of BASIC_OPERATORS alone."""
    text = (_ENGINE / "operators.c").read_text(encoding="utf-8")
    kept = [name for name in _OPERATOR.findall(text) if name in BASIC_OPERATORS]
    if sorted(kept) != sorted(BASIC_OPERATORS):
        raise SetupError(f"{_ENGINE / 'operators.c'}: its table holds {kept} of {BASIC_OPERATORS}, a line for each")
    return _OPERATOR.sub(lambda match: match[0] if match[1] in BASIC_OPERATORS else "", text)


def basic_size(image: Image) -> BasicSize:
    """Compile tflite_c as `image` was and link it with BASIC_OPERATORS alone. Takes some seconds.

    Raises SetupError when it does not compile.
    """
    compiler = image.compiler.split()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "operators.c").write_text(_basic_operators_c(), encoding="utf-8")
        sources = [path for path in sorted(_ENGINE.rglob("*.c")) if path != _ENGINE / "operators.c"]
        command = [
            *(compiler, *image.flags.split(), f"-I{_FIRMWARE}", f"-I{_ENGINE}"),
            *("-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", f"-Wl,--entry={ENTRY_POINTS[0]}"),
            *(f"-Wl,--undefined={entry}" for entry in ENTRY_POINTS),
            *(f"-Wl,-Map={folder / 'map'}", "-o", str(folder / "elf")),
            *(str(folder / "operators.c"), *map(str, sources), "-lm"),
        ]
        _run(command)
        table = _run([compiler.removesuffix("gcc") + "size", "-B", "-d", str(folder / "elf")])
        # Objects have made-up names here: whatever comes from no library is the engine's.
        engine_bytes = sum(
            size
            for name, size, file in _sections((folder / "map").read_text(encoding="utf-8"))
            if name.startswith((".text", ".rodata")) and ".a(" not in file
        )
    return BasicSize(engine_bytes, int(table.splitlines()[1].split()[0]))


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    except OSError as error:
        raise SetupError(f"{command[0]}: {error.strerror}. Is the compiler that built the image still here?") from error
    if done.returncode:
        raise SetupError(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout
