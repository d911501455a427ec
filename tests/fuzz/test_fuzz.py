"""The engine against hostile models: a coverage-guided search, and a replay of everything it has found before.

README.md tells how to reproduce and how to grow the corpus.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tflite
from fuzz_build import CORPUS, ENVIRONMENT, FIRMWARE, HERE, build_fuzzer, build_replay, saved_models

from host.paths import PROJECT_DIR

SECONDS = int(os.environ.get("TINYJOULE_FUZZ_S", "60"))
FOUND = PROJECT_DIR / "build" / "fuzz"  # what a search finds stays here, for the next one and for people
NAMES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
ENV = {**os.environ, **ENVIRONMENT}


def replay(program: Path, files: list[Path]) -> dict[Path, int]:
    """What engine_load() says about each file; a failed test with the sanitizer's words if something is wrong."""
    done = subprocess.run([program, *files], check=False, capture_output=True, text=True, timeout=500, env=ENV)
    assert done.returncode == 0, f"tests/fuzz/README.md tells how to go on:\n{done.stderr[-6000:]}"
    lines = (line.split(" ", 2) for line in done.stdout.splitlines())
    return {Path(name): int(status) for status, _, name in lines}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_replay(tmp_path_factory.mktemp("replay"))


@pytest.fixture(scope="module")
def replayed(program: Path) -> dict[Path, int]:
    return replay(program, saved_models())


def operators(file: Path) -> set[str]:
    model = tflite.Model.GetRootAs(file.read_bytes(), 0)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    return {NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes if code is not None}


def test_what_was_found_before(replayed: dict[Path, int]) -> None:
    """The corpus, and every file that has broken something once; this needs no clang."""
    assert len(replayed) == len(saved_models())
    assert set(replayed.values()) >= {0, -2, -3, -4}, "the corpus has files for every kind of answer"


def test_every_operator_has_a_seed(replayed: dict[Path, int]) -> None:
    """A search that sets out from no model with the operator hardly ever reaches its kernel."""
    table = (FIRMWARE / "engine" / "tflite_c" / "operators.c").read_text(encoding="utf-8")
    known = set(re.findall(r"\{BUILTIN_(\w+),", table))
    seeds = [file for file, status in replayed.items() if status == 0 and not re.fullmatch("[0-9a-f]{40}", file.stem)]
    assert known
    assert known - set().union(*map(operators, seeds)) == set(), "add them to seeds.py, see README.md"


@pytest.mark.parametrize("what", ["load_source", "load_target"])
def test_a_kernel_that_leaves_its_tensor_is_noticed(program: Path, what: str) -> None:
    """Inside the arena, where no sanitizer sees it without our gaps."""
    command, env = [program, CORPUS / "residual-1.tflite"], {**ENV, "SABOTAGE": what}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode != 0
    assert "use-after-poison" in done.stderr


@pytest.mark.timeout(SECONDS + 600)
def test_search(tmp_path: Path) -> None:
    if shutil.which("clang") is None and "TINYJOULE_CI" not in os.environ:
        pytest.skip("no clang here: `make setup-dev` installs it")
    program = build_fuzzer(tmp_path)
    found = FOUND / "corpus"
    found.mkdir(parents=True, exist_ok=True)
    command = [program, found, CORPUS, f"-max_total_time={SECONDS}", "-seed=1", "-timeout=60", "-rss_limit_mb=2048"]
    command += ["-max_len=16384", f"-dict={HERE / 'tflite.dict'}", f"-artifact_prefix={FOUND}/", "-print_final_stats=1"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=ENV)
    (FOUND / "log.txt").write_text(done.stderr, encoding="utf-8")
    assert done.returncode == 0, f"tests/fuzz/README.md tells how to go on:\n{done.stderr[-6000:]}"
    match = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert match
    assert int(match[1]) > 2 * len(saved_models()), "the search did not come far beyond the corpus"
