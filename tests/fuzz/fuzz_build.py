"""Builds the fuzz target: with clang and libFuzzer, or with gcc as a program that replays files."""

from __future__ import annotations

import subprocess
from pathlib import Path

from host.paths import PROJECT_DIR

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
REGRESSIONS = PROJECT_DIR / "tests" / "regression"
FIRMWARE = PROJECT_DIR / "firmware"
# float-cast-overflow is not among what `undefined` stands for: a NaN or 1e30 that becomes an integer.
CHECKS = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
WRAPPED = ("plan_place", "load_in_place")  # redzone.c stands between these and the engine
# Little quarantine: an arena is gone when it is freed, and a fuzzer frees thousands each second.
ENVIRONMENT = {"ASAN_OPTIONS": "quarantine_size_mb=16:detect_leaks=0"}


def compile_to(program: Path, compiler: str, own: list[str], flags: list[str], wrapped: tuple[str, ...] = ()) -> Path:
    """The engine as the native board has it, with the files `own` of this folder."""
    sources = [*sorted((FIRMWARE / "engine" / "tflite_c").rglob("*.c")), *(HERE / name for name in own)]
    command = [compiler, "-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *CHECKS, *flags, f"-I{FIRMWARE}"]
    command += [f"-Wl,--wrap={name}" for name in (*WRAPPED, *wrapped)]
    subprocess.run([*command, "-o", program, *sources], check=True)
    return program


def build_replay(folder: Path) -> Path:
    """With the environment variable SABOTAGE its kernels leave their tensors: see sabotage.c."""
    own = ["replay.c", "fuzz_engine.c", "cost.c", "redzone.c", "sabotage.c"]
    return compile_to(folder / "replay", "gcc", own, [], ("load_source", "load_target"))


def build_fuzzer(folder: Path) -> Path:
    own = ["fuzz_engine.c", "cost.c", "redzone.c", "mutate.c"]
    return compile_to(folder / "fuzz_engine", "clang", own, ["-fsanitize=fuzzer"])


def saved_models() -> list[Path]:
    """Everything that is replayed: the corpus, and what has broken something once."""
    return sorted([*CORPUS.glob("*.tflite"), *REGRESSIONS.rglob("*.tflite")])
