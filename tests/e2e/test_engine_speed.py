"""The engine's speed and size on every emulated core: exact counts of the real firmware, held against bars and records.

The bars are in host/report/engine_baseline.toml. What was counted last is in engine_counts.json: a change that makes
anything more than a hundredth slower, or faster, is to be meant. `make engine-counts` writes what holds from now on.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from host.build import Image
from host.modelinfo import read_operators
from host.paths import PROJECT_DIR
from host.report.baseline import load_baseline
from host.report.progress import Reporter
from host.results.engine_bench import Entry, decode
from host.runner.engine_bench import Work, describe_image, emulated_boards, measure, official_work

BASELINE = load_baseline()
BOARDS = [board.name for board in emulated_boards()]
TASKS = list(BASELINE.models)
RECORDED = json.loads(Path(__file__).with_name("engine_counts.json").read_text())
TOLERANCE = 0.01

Counts = dict[str, Entry]


@pytest.fixture(scope="module")
def works(data_dir: Path) -> list[Work]:
    with Reporter() as reporter:
        found = official_work(reporter)
    missing = set(TASKS) - {work.model.task for work in found}
    if missing:
        pytest.skip(f"the official models are not all here: {', '.join(sorted(missing))}")
    return found


@pytest.fixture(scope="module")
def counted(works: list[Work], firmware_image: Callable[[str], Image]) -> Callable[[str], Counts]:
    """What a board takes for each model; each board runs once."""
    known: dict[str, Counts] = {}

    def get(board: str) -> Counts:
        if board not in known:
            with Reporter() as reporter:
                known[board] = {entry.task: entry for entry in measure(firmware_image(board), works, reporter)}
        return known[board]

    return get


def test_every_core_is_here() -> None:
    assert {board.core for board in emulated_boards()} == set(BASELINE.cores)
    assert set(BASELINE.cores) == {"Cortex-M3", "Cortex-M4F", "Cortex-M7", "Cortex-M33", "Cortex-M55"}
    for core in BASELINE.cores:
        assert all(BASELINE.bars(core, task).must for task in TASKS)
    # What is said of the M4F holds for whatever has the same DSP instructions.
    assert BASELINE.cores["Cortex-M7"].must == BASELINE.cores["Cortex-M33"].must == BASELINE.cores["Cortex-M4F"].must


def test_the_macs_are_those_of_the_models(works: list[Work]) -> None:
    for work in works:
        operators = read_operators(work.model.path.read_bytes(), work.model.name)
        assert sum(operator.macs for operator in operators) == BASELINE.models[work.model.task].macs


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("board", BOARDS)
def test_an_inference_takes_no_more_instructions_than_it_must(
    counted: Callable[[str], Counts], board: str, task: str
) -> None:
    entry = counted(board)[task]
    assert entry.bars.must is not None
    assert entry.instructions <= entry.bars.must, f"{entry.instructions:,} where at most {entry.bars.must:,} may be"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("board", BOARDS)
def test_the_arena_is_no_larger_than_tflms(counted: Callable[[str], Counts], board: str, task: str) -> None:
    entry = counted(board)[task]
    assert entry.model.arena_bytes is not None
    assert entry.model.arena_bytes <= entry.bars.tflm_arena_bytes


@pytest.mark.parametrize("task", [task for task in TASKS if BASELINE.models[task].setup_instructions])
@pytest.mark.parametrize("board", BOARDS)
def test_a_load_takes_fewer_instructions_than_tflms_setup(
    counted: Callable[[str], Counts], board: str, task: str
) -> None:
    entry = counted(board)[task]
    setup = entry.bars.tflm_setup_instructions
    assert setup is not None
    assert entry.load_instructions < setup, f"{entry.load_instructions:,} where TFLM takes {setup:,}"


def test_the_engine_with_the_basic_operators_is_small_enough(firmware_image: Callable[[str], Image]) -> None:
    image = describe_image(firmware_image("mps2_an386"))
    assert image.must_text_bytes == 32 * 1024
    assert image.basic_text_bytes is not None
    assert image.basic_with_libraries_bytes is not None
    assert image.basic_text_bytes <= image.must_text_bytes
    assert image.basic_text_bytes <= min(image.engine_text_bytes, image.basic_with_libraries_bytes)


@pytest.mark.parametrize("board", BOARDS)
def test_the_counts_are_those_recorded(
    counted: Callable[[str], Counts], firmware_image: Callable[[str], Image], board: str
) -> None:
    compiler = firmware_image(board).compiler
    if compiler != RECORDED["compilers"].get(board):
        pytest.skip(f"the counts of {board} were recorded with {RECORDED['compilers'].get(board)}, not {compiler}")
    recorded = {(task, what): count for task, on in RECORDED["counts"][board].items() for what, count in on.items()}
    now = {
        key: count
        for task, entry in counted(board).items()
        for key, count in (((task, "run"), entry.instructions), ((task, "load"), entry.load_instructions))
    }
    assert now.keys() == recorded.keys()
    changed = {
        f"{task} {what}": f"{now[task, what] / recorded[task, what] - 1:+.1%}"
        for task, what in now
        if abs(now[task, what] - recorded[task, what]) > TOLERANCE * recorded[task, what]
    }
    assert not changed, "if that is meant, `make engine-counts` records what holds from now on"


def test_the_command_leaves_a_record_a_plot_and_a_log(
    works: list[Work], counted: Callable[[str], Counts], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "host", "engine-bench", "mps2_an386", "--engine", "tflite_c", "--json"]
    files = ["--out", str(tmp_path / "out"), "--record", str(tmp_path / "counts.json")]
    answer = subprocess.run(
        [*command, *files], capture_output=True, text=True, check=False, cwd=PROJECT_DIR, timeout=600
    )
    assert answer.returncode == 0, answer.stderr
    (folder,) = (tmp_path / "out").iterdir()
    assert {file.name for file in folder.iterdir()} == {"engine-bench.json", "engine-bench.png", "log.jsonl"}
    bench = decode((folder / "engine-bench.json").read_bytes())
    assert decode(answer.stdout.encode()) == bench
    assert (folder / "engine-bench.png").read_bytes().startswith(b"\x89PNG")
    assert {entry.task for entry in bench.entries} == set(TASKS)
    recorded = json.loads((tmp_path / "counts.json").read_text())["counts"]["mps2_an386"]
    for entry in bench.entries:
        # Another image, with other models in it: code and data lie elsewhere, and copies may take another turn.
        assert entry.instructions == pytest.approx(counted("mps2_an386")[entry.task].instructions, rel=1e-3)
        assert recorded[entry.task] == {"run": entry.instructions, "load": entry.load_instructions}
        assert entry.cycles_estimate is not None
        assert entry.instructions < entry.cycles_estimate < 3 * entry.instructions
