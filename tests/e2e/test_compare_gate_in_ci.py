# SPDX-License-Identifier: Apache-2.0
"""The workflow of docs/ci.md, step by step on the emulated board, and what its gates say to a real change."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from host.results import compare

PROJECT = Path(__file__).resolve().parent.parent.parent


def workflow() -> dict[Any, Any]:
    (block,) = re.findall(r"```yaml\n(.*?)```", (PROJECT / "docs" / "ci.md").read_text(), re.DOTALL)
    found: dict[Any, Any] = yaml.safe_load(block)
    return found


def steps() -> list[dict[str, Any]]:
    (job,) = workflow()["jobs"].values()
    return list(job["steps"])


def host_steps() -> list[str]:
    return [step["run"] for step in steps() if "/host " in step.get("run", "")]


def host(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "host", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def desk(data_dir: Path, host_command: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workflow has run. Both checkouts are this one: their commands are those of this environment."""
    desk = tmp_path_factory.mktemp("workflow")
    for checkout in ("base", "head"):
        (desk / checkout).mkdir()
        (desk / checkout / ".venv").symlink_to(host_command.parent.parent)
    environment = {**os.environ, "GITHUB_STEP_SUMMARY": str(desk / "summary.md")}
    for text in host_steps():
        # As GitHub runs a step whose shell is bash.
        answer = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
            cwd=desk, env=environment, capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip
        assert answer.returncode == 0, f"{text}\n{answer.stdout}\n{answer.stderr}"
    return desk


def test_the_workflow_is_one_that_github_takes() -> None:
    plan = workflow()
    assert set(plan) == {"name", True, "permissions", "jobs"}  # `on` is a boolean in YAML 1.1
    assert plan[True] == "pull_request"
    (job,) = plan["jobs"].values()
    assert set(job) == {"runs-on", "container", "defaults", "steps"}
    for step in steps():
        assert ("run" in step) != ("uses" in step)
        assert set(step) <= {"name", "run", "uses", "with", "if"}
        if "uses" in step:
            assert re.fullmatch(r"actions/(checkout|upload-artifact)@v\d+", step["uses"])
    assert [step["with"]["path"] for step in steps() if "uses" in step] == ["base", "head", "results"]
    # A setup step is the Makefile's, in the folders that are checked out.
    (setup,) = (step["run"] for step in steps() if "make" in step.get("run", "").split()[:1])
    assert [shlex.split(line) for line in setup.splitlines()] == [
        ["make", "-C", name, "setup"] for name in ("base", "head")
    ]
    assert re.search(r"^setup:", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert len(host_steps()) == 2


def test_the_same_program_passes_all_gates_of_the_workflow(desk: Path) -> None:
    summary = (desk / "summary.md").read_text()
    assert summary.startswith("### B against A, EMULATED\n")
    rows = [line.split(" | ") for line in summary.splitlines() if re.match(r"\| (ad01|kws01|program) ", line)]
    assert [row[1].partition(",")[0] for row in rows] == [
        *("latency", "instructions", "energy", "arena"), *("latency", "instructions", "energy", "arena"), "size",
    ]  # fmt: skip
    assert {row[-1] for row in rows} == {"same |"}
    assert len(re.findall(r"^- gate .*: passed, ", summary, re.MULTILINE)) == 4
    # One virtual analyser measured both: its errors cancel.
    assert "the same monitor so set" in summary


def compared(desk: Path, a: Path, b: Path, *gates: str) -> tuple[int, compare.Comparison]:
    words = [word for gate in gates for word in ("--fail-if", gate)]
    answer = host("compare", a, b, "--json", *words, cwd=desk)
    return answer.returncode, msgspec.json.decode(answer.stdout, type=compare.Comparison)


def test_a_core_without_dsp_is_found_slower_and_a_gate_says_so(desk: Path) -> None:
    answer = host(
        "bench", "ad01", "--mode", "energy", "--board", "mps2_an385", "--no-report", "--out", desk / "m3", cwd=desk
    )
    assert answer.returncode == 0, answer.stderr
    base = only(desk / "results" / "base")
    code, found = compared(desk, base, only(desk / "m3"), "latency>1%", "energy>1%", "arena>100%", "energy<-50%")
    assert code == 1
    assert "board: mps2_an386 (Cortex-M4F) -> mps2_an385 (Cortex-M3)" in found.differences
    rows = {row.quantity: row for row in found.rows if row.task == "ad01"}
    counted = rows["instructions"].change
    assert counted == pytest.approx(748_879 / 435_757 - 1, abs=1e-3)
    for quantity in ("latency", "energy"):
        assert rows[quantity].verdict == "larger"
        assert rows[quantity].high - rows[quantity].low < 5e-3
    assert rows["latency"].change == pytest.approx(counted, rel=1e-3)
    outcomes = {gate.gate: {row.where: row.outcome for row in gate.rows} for gate in found.gates}
    # kws01 is not in B: a gate that looked away would pass.
    assert outcomes == {
        "latency>1%": {"kws01": "fails", "ad01": "fails"},
        "energy>1%": {"kws01": "fails", "ad01": "fails"},
        "arena>100%": {"kws01": "fails", "ad01": "passes"},
        "energy<-50%": {"kws01": "fails", "ad01": "passes"},
    }


def test_another_specimen_of_the_analyser_is_told_and_widens_the_interval(desk: Path) -> None:
    base = only(desk / "results" / "base")
    monitor = "simulated@simulated?seed=7"
    answer = host(
        "bench", "ad01", "--mode", "energy", "--monitor", monitor, "--no-report", "--out", desk / "other", cwd=desk
    )
    assert answer.returncode == 0, answer.stderr
    _, found = compared(desk, base, only(desk / "other"))
    (energy,) = (row for row in found.rows if (row.task, row.quantity) == ("ad01", "energy"))
    assert "another instrument" in energy.how
    assert any(line.startswith("ad01: power monitor") for line in found.differences)
    # The program is the same: the true change is none, and the limits hold it.
    assert energy.low <= 0 <= energy.high
    assert energy.verdict != "same"
    assert abs(energy.change) > 1e-5


def test_the_outputs_of_real_inputs_are_held_against_each_other(desk: Path) -> None:
    for name, board in (("m4", "mps2_an386"), ("m3-accuracy", "mps2_an385")):
        words = (
            "bench",
            "kws01",
            "--mode",
            "accuracy",
            "--inputs",
            "30",
            "--board",
            board,
            "--no-report",
            "--out",
            desk / name,
        )
        answer = host(*words, cwd=desk)
        assert answer.returncode == 0, answer.stderr
    code, found = compared(desk, only(desk / "m4"), only(desk / "m3-accuracy"), "accuracy<0%")
    (accuracy,) = (row for row in found.rows if row.quantity == "accuracy")
    assert accuracy.how == "every output is the same on 30 inputs"
    assert (accuracy.verdict, code) == ("same", 0)
