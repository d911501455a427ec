"""`host bench --engine tflm`, end to end: our firmware over upstream's library, in QEMU. Wants TFLM_DIR."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_bench import accuracy, bench, bench_ok, int8_rows

from host import tflm
from host.boards import get_board
from host.build import Image, build
from host.variant import Variant

BOARD = "mps2_an386"
ENGINE = re.compile(r"tflm ([0-9a-f]{12}(-dirty)?|unknown)(\+cmsis_nn)?")


@pytest.fixture(scope="module")
def variant() -> Variant:
    if not os.environ.get(tflm.VARIABLE):
        pytest.skip("TFLM_DIR does not name a build of upstream TFLM")
    return Variant(engine="tflm", tflm_dir=tflm.require_tree(Path(os.environ[tflm.VARIABLE])))


def symbols(image: Image) -> set[str]:
    text = subprocess.run(["arm-none-eabi-nm", image.elf], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in text.splitlines()}


def test_the_image_has_one_engine_and_no_heap(firmware_image: Callable[[str], Image], variant: Variant) -> None:
    ours, image = symbols(firmware_image(BOARD)), build(get_board(BOARD), variant=variant)
    upstream = symbols(image)
    assert ENGINE.fullmatch(image.engine)
    assert "-DTJ_TFLM_LIBRARY=" in image.flags
    assert any("MicroInterpreter" in name for name in upstream)
    assert not any("MicroInterpreter" in name for name in ours)
    kernels = {name for name in ours if name.endswith("_prepare")}
    assert kernels
    assert not kernels & upstream
    assert not upstream & {"malloc", "_malloc_r", "_sbrk", "_sbrk_r", "_Znwj", "_ZdlPv", "vsnprintf", "__cxa_throw"}


def test_kws01_accuracy_bit_for_bit(variant: Variant, data_dir: Path, tmp_path: Path) -> None:
    score, rows = accuracy(tmp_path, "kws01", BOARD, "--engine", "tflm")
    assert (round(score.value * score.n), score.n) == (901, 1000)
    assert np.array_equal(int8_rows(rows), np.load(data_dir / "golden" / "kws01_tflm.npy").reshape(1000, 12))


def test_the_result_says_which_engine_and_where_the_time_went(variant: Variant, data_dir: Path, tmp_path: Path) -> None:
    words = ["kws01", "--inputs", "1", "--engine", "tflm", "--tflm-dir", str(variant.tflm_dir)]
    result, _ = bench_ok(tmp_path / "json", *words, "--profile")
    engine = result.firmware.engine
    assert engine is not None
    assert ENGINE.fullmatch(engine)
    (run,) = result.runs
    assert run.valid
    assert run.instructions_per_inference is not None
    assert run.profile is not None
    assert [operator.name for operator in run.profile.operators][-3:] == ["RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    answer, _ = bench(tmp_path / "table", *words)
    assert answer.returncode == 0, answer.stderr
    assert engine in answer.stdout
