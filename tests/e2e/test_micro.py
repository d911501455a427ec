"""`host bench --micro` on emulated boards: exact where instructions are counted, timed where they are not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from host.paths import PROJECT_DIR


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "host", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT_DIR, check=False, capture_output=True, text=True, timeout=300)


def sweep(board: str, operator: str, out: Path) -> dict[str, Any]:
    done = bench("--micro", operator, "--board", board, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    (folder,) = out.iterdir()
    assert json.loads((folder / "micro.json").read_text()) == record
    assert (folder / "micro.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "log.jsonl").stat().st_size > 1000
    return dict(record)


def test_instructions_are_exact(tmp_path: Path) -> None:
    first = sweep("mps2_an386", "softmax", tmp_path / "first")
    second = sweep("mps2_an386", "softmax", tmp_path / "second")
    assert (first["schema"], first["provenance"], first["board"]["name"]) == (
        "tinyjoule.micro/1",
        "emulated",
        "mps2_an386",
    )
    counts = [case["instructions"] for case in first["cases"]]
    assert counts == [case["instructions"] for case in second["cases"]]
    by_shape = {case["shape"]: case for case in first["cases"]}
    assert by_shape["1 x 10"]["instructions"] == by_shape["10"]["instructions"]  # the same model in two series
    assert by_shape["64 x 10"]["instructions"] > 30 * by_shape["1 x 10"]["instructions"]
    for case in first["cases"]:  # one instruction is 8 ns of emulated time; the loop around it is small
        assert case["time_us"] * 125 == pytest.approx(case["instructions"], rel=0.05, abs=300)
        assert case["arena_bytes"] > 0


def test_times_where_nothing_counts_instructions(tmp_path: Path) -> None:
    record = sweep("native", "fully_connected", tmp_path)
    assert record["provenance"] == "emulated"
    assert "host process" in record["time_unit"]
    assert all(case["instructions"] is None and case["time_us"] > 0 for case in record["cases"])
    assert {case["macs"] for case in record["cases"]} >= {64, 128 * 128}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--micro", "conv_3d"], "no sweep of 'conv_3d'"),
        (["kws01", "--micro"], "TASK is for tasks"),
        (["--micro", "add", "--profile"], "--profile is for tasks"),
        (["--micro", "add", "--mode", "accuracy"], "no modes"),
        (["--micro", "add", "--board", "nucleo_l4r5zi"], "is a real board"),
        (["--flash"], "--flash is for --micro"),
        (["--micro", "add", "--flash"], "--flash needs the name and the port of a real board"),
    ],
)
def test_requests_that_make_no_sense(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    done = bench(*arguments, "--out", tmp_path)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr
    assert not list(tmp_path.iterdir())
