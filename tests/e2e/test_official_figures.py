"""The published figures of the official models, through `host bench` and over both protocols."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from host.paths import PROJECT_DIR
from host.results import record, schema

TOYCAR = "normal_id_01_00000000_hist_librosa.bin"


def host(*words: str, **env: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-m", "host", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT_DIR,
        env={**os.environ, **env},
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def accuracy(out: Path, task: str, *words: str, **env: str) -> tuple[schema.Result, list[dict[str, str]]]:
    host("bench", task, "--no-report", "--mode", "accuracy", "--out", str(out), *words, **env)
    (folder,) = out.iterdir()
    with (folder / f"outputs-{task}.csv").open(newline="") as stream:
        return record.read_result(folder), list(csv.DictReader(stream))


def int8_rows(rows: list[dict[str, str]]) -> np.ndarray:
    """Softmax outputs back to int8: scale 1/256, zero point -128; three decimals tell all 256 values apart."""
    values = np.array([[float(text) for text in row["outputs"].split()] for row in rows])
    return np.rint(values * 256 - 128).astype(np.int8)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("board", "count"),
    [("native", 1000), ("mps2_an386", 60), pytest.param("mps2_an386", 1000, marks=pytest.mark.long)],
)
def test_keywords_over_the_stock_protocol_are_those_over_frames(
    board: str, count: int, data_dir: Path, tmp_path: Path
) -> None:
    words = ["--board", board, "--link", "stock", "--emulators", "2", "--inputs", str(count)]
    result, rows = accuracy(tmp_path, "kws01", *words)
    score = result.runs[0].accuracy
    assert score is not None
    assert score.n == count
    assert count < 1000 or score.value == 901 / 1000
    assert {unit.link for unit in result.units} == {"stock"}
    # test_bench.py holds the same rows, which came over frames, to the same file.
    golden = np.load(data_dir / "golden" / "kws01_tflm.npy").reshape(1000, 12)
    assert np.array_equal(int8_rows(rows), golden[:count])


def test_photos_with_and_without_a_person(data_dir: Path, tmp_path: Path) -> None:
    result, rows = accuracy(tmp_path, "vww01")
    score = result.runs[0].accuracy
    assert score is not None
    assert (round((score.value or 0) * score.n), score.n, score.target) == (14, 15, None)
    assert [row["input"] for row in rows if row["label"] != row["predicted"]] == ["motorcycle_left.bin"]
    assert np.array_equal(int8_rows(rows), np.load(data_dir / "golden" / "vww_photos_tflm.npy").reshape(15, 2))


@pytest.mark.parametrize(("board", "link"), [("mps2_an386", "auto"), ("native", "auto"), ("native", "stock")])
def test_a_recording_of_a_toy_car(board: str, link: str, data_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "toycar"
    folder.mkdir()
    shutil.copy(data_dir / "ad01" / TOYCAR, folder)
    (folder / "y_labels.csv").write_text(f"{TOYCAR},2,0,2560,512\n")
    env = {"XDG_DATA_HOME": str(tmp_path / "data")}
    host("data", "import", "ad01", str(folder), **env)
    result, rows = accuracy(tmp_path / "out", "ad01", "--board", board, "--link", link, **env)
    assert [row["input"] for row in rows] == [TOYCAR]
    assert len(rows[0]["outputs"].split()) == 196
    assert float(rows[0]["score"]) == pytest.approx(10.264, abs=0.001)
    score = result.runs[0].accuracy
    assert score is not None
    assert (score.metric, score.value, score.n, score.met) == ("auc", None, 1, None)  # of one class
