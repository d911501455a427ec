"""The command line as a person meets it: help, versions, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from host import __version__
from host.cli import COMMANDS

PROJECT = Path(__file__).resolve().parent.parent.parent


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "host", *words], capture_output=True, text=True, check=False, cwd=PROJECT, timeout=60
    )


def test_version_says_who_it_is() -> None:
    assert run("--version").stdout == f"tinyjoule {__version__}\n"


def test_the_three_names_are_the_same_command() -> None:
    for name in ("host", "tinyjoule"):
        command = Path(sys.executable).with_name(name)
        answer = subprocess.run([command, "--version"], capture_output=True, text=True, check=True, timeout=60)
        assert answer.stdout == run("--version").stdout


def test_help_loads_nothing_heavy() -> None:
    # What keeps `host --help` fast, without a clock in the test.
    script = (
        "import sys; from host.cli import build_parser; build_parser().format_help();"
        "print(sorted({'numpy', 'serial', 'rich', 'msgspec', 'platformio', 'pooch', 'PIL'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout == "[]\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_help_and_has_its_own(command: str) -> None:
    assert f"\n    {command} " in run("--help").stdout.replace("\n", " \n")  # a long name stands on a line of its own
    assert run(command, "--help").returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("bench", "kws99"), "kws01"),
        (("bench", "--inputs", "0"), "at least 1"),
        (("bench", "--inputs", "many"), "not 'many'"),
        (("bench", "--board", "teapot"), "mps2_an386"),
        (("bench", "--board", "nucleo_l4r5zi"), "--port"),
        (("bench", "--mode", "energy", "--emulators", "2"), "one board at a time"),
        (("bench", "--mode", "energy", "--board", "native"), "whose power nobody models"),
        (("bench", "--mode", "energy", "--port", "/dev/ttyACM0"), "--monitor NAME@ADDRESS"),
        (("bench", "--mode", "energy", "--port", "/dev/ttyACM0", "--monitor", "simulated"), "leave out --port"),
        (("bench", "--mode", "energy", "--monitor", "teapot@/dev/ttyACM1"), "no power monitor is called teapot"),
        (("bench", "--mode", "energy", "--monitor", "lpm01a"), "lpm01a needs an address: --monitor lpm01a@"),
        (("bench", "--mode", "energy", "--monitor", "lpm01a@/dev/ttyACM1"), "name its --port"),
        (("bench", "--mode", "energy", "--monitor", "simulated@simulated?sede=1"), "sede is no option"),
        (("bench", "--mode", "energy", "--monitor", "simulated@simulated?seed=x"), "seed=x is no option"),
        (("bench", "--mode", "energy", "--monitor", "simulated@simulated?faults=rain"), "'rain' is no fault"),
        (("bench", "--mode", "energy", "--monitor", "ppk2@simulated"), "cannot be a ppk2"),
        (("bench", "--mode", "energy", "--rate", "0"), "above 0"),
        (("bench", "--mode", "energy", "--range", "50 mA"), "e.g. 0.05, 50m or 100k"),
        (("bench", "--net"), "--mode energy"),
        (("bench", "--monitor", "simulated"), "--mode energy"),
        (("bench", "--mode", "accuracy", "--voltage", "3.3"), "--mode energy"),
        (("nonsense",), "invalid choice"),
        ((), "COMMAND"),
    ],
)
def test_what_makes_no_sense_exits_2_and_says_what_would(words: tuple[str, ...], says: str) -> None:
    answer = run(*words)
    assert answer.returncode == 2
    assert says in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("words", [("kws99",), ("--board", "teapot"), ("--board", "nucleo_l4r5zi")])
def test_what_makes_no_sense_leaves_no_result_folder(words: tuple[str, ...], tmp_path: Path) -> None:
    assert run("bench", *words, "--out", str(tmp_path / "results")).returncode == 2
    assert not (tmp_path / "results").exists()
