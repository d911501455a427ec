# SPDX-License-Identifier: Apache-2.0
"""A package that was made is right, and every rule that the check has is broken once, in exactly that way."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import submission_breaks_layout
import submission_breaks_log
import submission_breaks_record
from submission_mutants import SYSTEM, Package, measured_package, sha256, stock_package, sub
from submission_refits import miss, put_inputs, scored

from host.cli import main
from host.paths import PROJECT_DIR
from host.runner.rules import NOT_OFFICIAL, UNDER_TARGET
from host.submission import check_tree, layout
from host.submission.check import NOT_CHECKED, check
from host.submission.check_findings import MAX_BREACHES, RULES, Findings

MUTANTS = submission_breaks_layout.MUTANTS | submission_breaks_record.MUTANTS | submission_breaks_log.MUTANTS


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measured_package(tmp_path_factory.mktemp("measured"))


@pytest.fixture
def package(original: Path, tmp_path: Path) -> Package:
    return Package.copy(original, tmp_path / "package")


def test_a_package_that_was_made_is_right(package: Package) -> None:
    report = package.check()
    assert not report.breaches, "\n".join(map(str, report.breaches))
    assert report.good
    assert [line.rpartition("/")[2].partition(":")[0] for line in report.results] == [
        "accuracy",
        "energy",
        "performance",
    ]
    assert report.files > 100


@pytest.mark.parametrize("name", MUTANTS)
def test_a_breach_is_found_and_nothing_else(package: Package, name: str) -> None:
    rules, change = MUTANTS[name]
    change(package)
    assert package.rules() == rules, "\n".join(map(str, package.check().breaches))


def test_every_rule_is_broken_by_something() -> None:
    broken = set().union(*(rules for rules, _ in MUTANTS.values()))
    assert set(RULES) - broken == {"unreadable"}


# -- Packages that nobody means well with --------------------------------------------------------------------------


def files_of(package: Package) -> dict[str, list[Path]]:
    """All files, by what they are."""
    code = [path for path in package.code.rglob("*") if path.is_file()]
    kinds = {name: sorted(package.results("").glob(f"*/{name}")) for name in layout.FILES}
    return {**kinds, "code": sorted(code), "system": [package.system]}


@pytest.mark.parametrize("kind", ["log.txt", "results.txt", "results.json", "code", "system"])
def test_a_flipped_bit_is_found(package: Package, kind: str) -> None:
    """Only the description of a system is free text, where it may be harmless."""
    rng = random.Random(kind)
    for _ in range(12):
        path = rng.choice(files_of(package)[kind])
        data = path.read_bytes()
        at, bit = rng.randrange(len(data)), rng.randrange(8)
        package.flip(path, at, bit)
        assert package.rules() or kind == "system", f"{path}: bit {bit} of byte {at}"
        package.put(path, data)
    assert not package.rules()


@pytest.mark.parametrize("kind", ["log.txt", "results.txt", "results.json", "code", "system"])
def test_a_file_that_was_cut_is_found(package: Package, kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(4):
        path = rng.choice(files_of(package)[kind])
        data = path.read_bytes()
        if data:
            package.put(path, data[: rng.randrange(len(data))])
            assert package.rules()
            package.put(path, data)


@pytest.mark.parametrize(
    "name",
    [
        "results/{system}/kws/performance/log.txt",
        "results/{system}/kws/performance/results.txt",
        "results/{system}/kws/performance/results.json",
        "systems/{system}.json",
        "code/kws/{system}/SHA256SUMS",
        "code/kws/{system}/platformio.ini",
    ],
)
def test_a_huge_file_costs_nothing(package: Package, name: str) -> None:
    """600 MB that take no room on the disk; the check has 1 GB and some seconds of a core, and writes nothing."""
    path = package.own / name.format(system=SYSTEM)
    package.put(path, path.read_bytes())  # no link to the original's
    os.truncate(path, 600 << 20)
    done = limited(package.root)
    assert (done.returncode, done.stderr) == (1, "")
    assert {breach["rule"] for breach in json.loads(done.stdout)["breaches"]} >= {"size"}


@pytest.mark.parametrize("line", [b"\n", b"x" * 70_000, b"0101.000000 note: \n", b"0101.000000 ulp-mlperf: \n"])
def test_a_log_of_many_lines_costs_little(package: Package, line: bytes) -> None:
    path = package.results("performance") / "log.txt"
    package.put(path, path.read_bytes().split(b"\n")[0] + b"\n" + line * ((8 << 20) // len(line)))
    assert limited(package.root).returncode == 1


def limited(root: Path) -> subprocess.CompletedProcess[str]:
    """`host package --check` in a process that may have little memory and time, and may write no file."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    return subprocess.run(
        [sys.executable, "-B", "-m", "host", "package", "--check", str(root), "--json"],
        cwd=PROJECT_DIR, preexec_fn=limit, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def test_names_that_are_no_text_are_shown_and_no_more(package: Package, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (b"\xff\xfe", b"two\nlines", b"\x1b[2J", b"a" * 255, "\u202e".encode()):
        Path(os.fsdecode(os.fsencode(package.code) + b"/" + name)).write_bytes(b"x")
    assert package.rules() == {"name", "code-sums"}
    assert main(["package", "--check", str(package.root)]) == 1
    assert main(["package", "--check", str(package.root), "--json"]) == 1
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "two\nlines" not in said
    assert "\u202e" not in said


def test_a_breach_too_many_is_counted(package: Package) -> None:
    for number in range(MAX_BREACHES + 10):
        package.put(package.code / f"bad name {number}", "x")
    report = package.check()
    assert len(report.breaches) == MAX_BREACHES
    assert report.left_out == 2 * (MAX_BREACHES + 10) - MAX_BREACHES


def test_files_too_many_are_left(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_tree, "MAX_ENTRIES", 50)
    assert package.rules() == {"crowd"}
    monkeypatch.setattr(check_tree, "MAX_ENTRIES", 250_000)
    monkeypatch.setattr(check_tree, "MAX_TOTAL_BYTES", 100_000)
    assert "size" in package.rules()


def test_a_file_that_is_gone_when_it_is_read(package: Package) -> None:
    found = Findings()
    tree = check_tree.walk(package.root, found)
    path = package.system.relative_to(package.root).as_posix()
    package.system.unlink()
    assert tree.read(path, 100, found) is None
    assert tree.sha256(path, found) is None
    os.mkfifo(package.system)
    assert tree.read(path, 100, found) is None
    assert [breach.rule for breach in found.breaches] == ["unreadable"] * 3


def test_nothing_but_the_package_is_read(package: Package) -> None:
    """What a record names is not opened where it is outside; nor is anything else, once the modules are there."""
    package.change("energy", model_file="../../../../../../../../etc/hostname")
    (package.code / "link").symlink_to("/etc/hostname")
    script = (
        "import sys, os\n"
        "from pathlib import Path\n"
        "from host.submission.check import check\n"
        "root = Path(sys.argv[1])\n"
        "check(root)\n"
        "def hook(event, args):\n"
        "    if event in ('open', 'os.scandir', 'os.listdir') and isinstance(args[0], (str, bytes, os.PathLike)):\n"
        "        assert Path(os.fsdecode(args[0])).is_relative_to(root), args\n"
        "        assert event != 'open' or not args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT), args\n"
        "    assert not event.startswith(('socket', 'subprocess', 'os.exec', 'os.posix_spawn')), event\n"
        "sys.addaudithook(hook)\n"
        "rules = {breach.rule for breach in check(root).breaches}\n"
        "assert rules == {'symlink', 'model', 'same-firmware'}, rules\n"
    )
    command = [sys.executable, "-c", script, str(package.root)]
    done = subprocess.run(command, cwd=PROJECT_DIR, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# -- Packages of others, and the command ---------------------------------------------------------------------------

OTHERS = {
    "performance": "00074.405 ulp-mlperf: Median throughput is 88.356 inf./sec.\n",
    "accuracy": "00358.770 ulp-mlperf: Top-1: 90.2%\n00358.793 ulp-mlperf: AUC: 0.99\n",
    "energy": "00095.021 ulp-ml: Median energy cost is 1375.599 uJ/inf.\n",
}
"""results.txt in the form of the first runner of MLPerf Tiny."""


def test_a_package_of_another_tool_is_told_what_it_lacks(tmp_path: Path) -> None:
    own = tmp_path / "closed" / "Somebody"
    for mode, text in OTHERS.items():
        folder = own / "results" / "BOARD_1" / "kws" / mode
        folder.mkdir(parents=True)
        (folder / "results.txt").write_text(text)
        (folder / "log.txt").write_text("00016.599 session: m-session-start-id[20240310122857]\n" * 3)
        (folder / "script.async").write_text("bm cfg ulp-mlperf\n")
    (own / "systems").mkdir()
    (own / "systems" / "BOARD_1.json").write_text('{"Status": "available", "Submitter": "Somebody"}')
    (own / "systems" / "Checklist.pdf").write_bytes(b"%PDF-1.4\n\xff")
    (own / "code" / "BOARD_1").mkdir(parents=True)
    (own / "code" / "BOARD_1" / "main.c").write_text("int main(void) { return 0; }\n")
    found = {(breach.path.rpartition("/")[2], breach.rule) for breach in check(tmp_path).breaches}
    assert found == {
        ("results.json", "missing"), ("script.async", "unknown"), ("log.txt", "log-head"),
        ("Checklist.pdf", "unknown"), ("BOARD_1.json", "system-fields"), ("BOARD_1.json", "system-owner"),
        ("BOARD_1", "unknown"), ("BOARD_1", "missing"),
    }  # fmt: skip


def test_the_command_says_what_was_checked_and_what_was_not(
    package: Package, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["package", "--check", str(package.root)]) == 0
    said = capsys.readouterr().out
    assert "no breach of the rules" in said
    assert "kws/energy: Median energy cost is 2526" in said
    assert all(what in said for what in NOT_CHECKED)
    assert main(["package", "--check", str(package.root), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["good"] is True
    assert document["breaches"] == []
    assert len(document["results"]) == 3


def test_the_command_says_where_and_what_and_what_to_do(package: Package, capsys: pytest.CaptureFixture[str]) -> None:
    package.put(package.root / "NOTES.txt", "hello")
    assert main(["package", "--check", str(package.root)]) == 1
    said = capsys.readouterr().out
    assert f"NOTES.txt: there is no place for a file here: {RULES['unknown']}\n" in said
    assert "INVALID" in said
    assert main(["package", "--check", str(package.root), "--json"]) == 1
    (breach,) = json.loads(capsys.readouterr().out)["breaches"]
    assert breach["path"] == "NOTES.txt"
    assert breach["rule"] == "unknown"


def test_what_is_no_folder_is_a_request_that_makes_no_sense(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "nothing", tmp_path / "file"):
        assert main(["package", "--check", str(path)]) == 2
        assert "is no folder" in capsys.readouterr().err
    assert main(["package", "--check", str(tmp_path), "--org", "acme"]) == 2


# -- Sessions of other kinds ---------------------------------------------------------------------------------------


def test_several_boards_are_told_apart(package: Package) -> None:
    """Two boards, of which one did the windows: lines have numbers."""
    for mode in package.modes():
        package.change(mode, units=lambda units: [*units, *units])
        package.relog(mode, lambda lines: [re.sub(r"^(\S+ (?:host|dut|note)):", r"\1.1:", line) for line in lines])
    assert not package.rules()
    package.change("performance", run__unit=1)
    assert package.rules() == {"log-device"}
    package.relog("performance", sub(" dut.1: m-ready", " dut.3: m-info-board-[nucleo_l4r5zi]"))
    assert package.rules() == {"log-device"}
    assert any("results.json has 2" in breach.what for breach in package.check().breaches)


@pytest.fixture(scope="module")
def stock_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a firmware that hides that it is ours: all that is known of it is what it printed."""
    return stock_package(tmp_path_factory.mktemp("stock"))


def test_a_stock_firmware_is_held_to_what_it_printed(stock_original: Path, tmp_path: Path) -> None:
    package = Package.copy(stock_original, tmp_path / "package")
    assert not package.rules(), "\n".join(map(str, package.check().breaches))
    for mode, old, new in (
        ("accuracy", "dut: m-results-[0.", "dut: m-results-[1."),
        ("accuracy", "m-model-[kws01]", "m-model-[vww01]"),
        ("performance", "m-model-[kws01]", "m-model-[vww01]"),
        ("performance", "m-lap-us-", "m-lap-us-1"),
    ):
        package = Package.copy(stock_original, tmp_path / f"{mode} {old}")
        package.relog(mode, sub(old, new, 0))
        assert package.rules() == {"log-device"}, (mode, old)


def test_an_open_submission_may_have_another_model_and_less_accuracy(package: Package) -> None:
    model = package.root / str(package.record("energy").model_file)
    old, new = sha256(model.read_bytes()), sha256(model.read_bytes() + b"x")
    package.put(model, model.read_bytes() + b"x")
    package.resum()
    put_inputs(package, [miss(one) if at < 300 else one for at, one in enumerate(scored(package))])
    (package.root / "closed").rename(package.root / "open")
    package = dataclasses.replace(package, division="open")
    package.put(package.system, package.system.read_bytes().replace(b'"Closed"', b'"Open"'))
    forgiven = [f"the model x {NOT_OFFICIAL}", f"top-1 70%, {UNDER_TARGET}, 90%"]
    for mode in package.modes():
        package.change(
            mode,
            division="open",
            model_file=lambda path: path.replace("closed/", "open/"),
            run__model__sha256=new,
            run__valid=False,
            run__reasons=forgiven,
        )
        package.relog(mode, sub(old, new, 0))
    assert not package.rules(), "\n".join(map(str, package.check().breaches))
    package.change("energy", run__reasons=[*forgiven, "window 1: its clock is wrong"])
    assert package.rules() == {"rules"}
    package.change("energy", run__reasons=forgiven, run__rules="quick")
    assert package.rules() == {"rules"}


@pytest.mark.parametrize("mode", ["performance", "energy"])
def test_no_digit_of_a_record_can_be_another(package: Package, mode: str) -> None:
    """Whoever changes a figure of the log, and all hashes with it, contradicts the other figures."""
    rng = random.Random(mode)
    lines = package.lines(mode)
    for _ in range(15):
        number = rng.choice([at for at, line in enumerate(lines) if " ulp-mlperf: " in line and line[-1] != "-"])
        text = lines[number]
        at = rng.choice([at for at in range(24, len(text)) if text[at].isdigit()] or [-1])
        changed = (
            text[:at] + str((int(text[at]) + rng.randrange(1, 10)) % 10) + text[at + 1 :] if at > 0 else text + "0"
        )
        package.relog(mode, lambda now, number=number, changed=changed: [*now[:number], changed, *now[number + 1 :]])
        assert package.rules(), f"{text} -> {changed}"
        package.relog(mode, lambda _: list(lines))
    assert not package.rules()
