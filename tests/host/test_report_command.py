# SPDX-License-Identifier: Apache-2.0
"""`host report`: where the page goes, what is printed, and what is refused."""

from __future__ import annotations

import json
import resource
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_kit import folder, result, run

from host.cli import build_parser, main
from host.report.page.folders import command, read_folders
from host.report.page.overview import verdict
from host.results import journal, record, schema


def test_the_page_is_in_the_first_folder_and_its_path_is_the_last_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = folder(tmp_path / "one", traces=False), folder(tmp_path / "two", result(run("ad01")), traces=False)
    assert main(["report", str(two), str(one)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {two / 'report.html'}"
    text = (two / "report.html").read_text()
    assert "kws01" in text
    assert "ad01" in text
    assert not (one / "report.html").exists()
    assert [path.name for path in two.iterdir() if path.name.startswith(".")] == []


def test_a_result_json_names_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = folder(tmp_path / "one", traces=False)
    assert main(["report", str(one / record.RESULT_FILE)]) == 0
    assert capsys.readouterr().out == f"report: {one / 'report.html'}\n"


def test_json_tells_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = folder(tmp_path / "one", traces=False)
    out = tmp_path / "page.html"
    assert main(["report", str(one), "-o", str(out), "--figures", str(tmp_path / "figures"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["report"] == str(out)
    assert said["bytes"] == out.stat().st_size
    assert sorted(said["figures"]) == sorted(map(str, (tmp_path / "figures").iterdir()))
    assert len(said["figures"]) == 6


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["{one}", "-o", "{tmp}/page.txt"], 2, "has to end in .html"),
        (["{one}", "-o", "{one}/result.json"], 2, "has to end in .html"),
        (["{one}", "-o", "{tmp}/none/page.html"], 2, "is no folder"),
        (["{one}", "-o", "{tmp}/dir.html"], 2, "is a folder"),
        (["{tmp}"], 1, "holds no result.json"),
        (["{tmp}/nowhere"], 1, "nowhere is not there"),
        (["{one}", "{tmp}"], 1, "holds no result.json"),
    ],
)
def test_what_makes_no_sense_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    one = folder(tmp_path / "one", traces=False)
    (tmp_path / "dir.html").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert main(["report", *(word.format(one=one, tmp=tmp_path) for word in words)]) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_page_that_is_there_is_replaced_whole_or_left(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", traces=False)
    (one / "report.html").write_text("old")
    assert main(["report", str(one), str(tmp_path)]) == 1
    assert (one / "report.html").read_text() == "old"
    assert main(["report", str(one)]) == 0
    assert (one / "report.html").read_text().startswith("<!doctype html>")


def plan(**changes: Any) -> journal.PlanRecord:
    fields: dict[str, Any] = {
        "tasks": ["kws01", "ad01"], "mode": "energy", "rules": "quick", "inputs": None, "boards": ["mps2_an386"],
        "ports": [None], "profile": True, "engine": "tflite_c", "tflm_dir": None, "model": None, "target": None,
        "link": "auto", "energy": journal.MonitorPlan(monitor="simulated@simulated"),
    }  # fmt: skip
    return journal.PlanRecord(**(fields | changes))


def typed(words: str) -> Any:
    """What `host` understands of a command."""
    name, *rest = shlex.split(words)
    assert name == "host"
    return build_parser().parse_args(rest)


def test_the_command_is_understood_and_asks_for_the_same() -> None:
    args = typed(command(plan()))
    assert (args.command, args.tasks, args.mode, args.rules) == ("bench", ["kws01", "ad01"], "energy", "quick")
    assert (args.board, args.port, args.monitor, args.profile) == (["mps2_an386"], [], "simulated@simulated", True)
    odd = plan(
        tasks=["kws01"], boards=[None, None], ports=["/dev/tty A", "socket://h:1"], inputs=7, model="my model",
        target=0.9, link="stock", engine="tflm", tflm_dir="/opt/x y", profile=False,
        energy=journal.MonitorPlan(
            monitor="ppk2@/dev/ttyACM1", net=True, range_a="auto", rate_hz=100_000.0, voltage_v=3.3
        ),
    )  # fmt: skip
    args = typed(command(odd))
    assert (args.port, args.board, args.inputs, args.model) == (["/dev/tty A", "socket://h:1"], [], 7, "my model")
    assert (args.target, args.link, args.engine, str(args.tflm_dir)) == (0.9, "stock", "tflm", "/opt/x y")
    assert (args.net, args.range, args.rate, args.voltage) == (True, "auto", 100_000.0, 3.3)
    fixed = typed(command(plan(energy=journal.MonitorPlan(monitor="a@b", range_a=0.05))))
    assert fixed.range == 0.05


def test_the_command_is_that_of_the_journal(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", traces=False)
    base = result(created="2026-01-02T03:04:05+00:00")
    header = journal.Header(
        journal="tinyjoule.journal/1", id="x", plan=plan(), base=schema.decode(schema.encode(base)),
        devices=[journal.DeviceRecord(name="n", board="mps2_an386", build_id=None, engine=None, clock_hz=None)],
        tasks=[journal.TaskRecord(task=each.task, dataset=each.dataset, models=[each.model]) for each in base.runs],
    )  # fmt: skip
    line, _ = journal.seal(header, 0)
    (one / journal.FILE).write_bytes(line + b'{"what follows": "is not read"}\n')
    (read,) = read_folders([one])
    assert read.plan == plan()
    (one / journal.FILE).write_bytes(line.replace(b"quick", b"mlperf", 1))
    (read,) = read_folders([one])
    assert read.plan is None


def test_a_folder_that_takes_no_page_says_where_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = folder(tmp_path / "one", traces=False)
    before = sorted(one.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # what a full disk does to a file
    try:
        assert main(["report", str(one)]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "choose another folder with -o." in capsys.readouterr().err
    assert sorted(one.iterdir()) == before


@pytest.mark.parametrize(("rules", "provenance"), [("quick", "emulated"), ("mlperf", "measured")])
def test_a_session_that_was_broken_off_is_not_said_to_be_all_valid(tmp_path: Path, rules: Any, provenance: Any) -> None:
    (read,) = read_folders([folder(tmp_path / "one", result(run(rules=rules), provenance=provenance), traces=False)])
    whole = verdict([replace(read, plan=plan(tasks=["kws01"]))])
    assert "NOT FINISHED" not in whole.headline
    broken = verdict([replace(read, plan=plan())])
    assert broken.kind == "quick"
    assert broken.headline.startswith("NOT FINISHED, 1 task is missing; the run is valid")
    assert "session one was not finished: ad01 without a result. `host bench --resume` goes on" in broken.lines
