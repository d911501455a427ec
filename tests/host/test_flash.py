"""Loading a real board: which flasher, and what is said when it cannot work. No board is attached to any of this."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from processes import gone, wait_for

from host.boards import get_board
from host.cli import main
from host.errors import SetupError, UsageError
from host.flash import flash, upload_command

ELF = Path("firmware.elf")


def put_program(folder: Path, name: str, output: str = "", code: int = 0) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{output}' >&2\nexit {code}\n")
    path.chmod(0o755)


FLASHERS = {"openocd", "pyocd"}


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in front of a PATH on which everything is but the flashers."""
    front = tmp_path / "front"
    front.mkdir()
    folders = [front]
    for index, folder in enumerate(map(Path, os.environ["PATH"].split(os.pathsep))):
        if any((folder / tool).exists() for tool in FLASHERS):
            without = tmp_path / f"without{index}"
            without.mkdir()
            for program in folder.iterdir():
                if program.name not in FLASHERS:
                    (without / program.name).symlink_to(program)
            folders.append(without)
        else:
            folders.append(folder)
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, folders)))
    return front


@pytest.mark.parametrize("name", ["mps2_an386", "native"])
def test_an_emulated_board_is_a_usage_error(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=f"host emulate {name}"):
        flash(get_board(name))
    assert main(["flash", name]) == 2
    assert "emulated board" in capsys.readouterr().err


def test_an_unknown_board_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flash", "stm33"]) == 2
    assert "nucleo_l4r5zi" in capsys.readouterr().err


@pytest.mark.usefixtures("tools")
def test_no_flasher_names_both_and_builds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flash", "nucleo_l4r5zi"]) == 1
    message = capsys.readouterr().err
    assert "apt-get install openocd" in message
    assert "pip install pyocd" in message
    assert "stm32l4r5zitx" in message


def test_openocd_comes_first(tools: Path) -> None:
    put_program(tools, "pyocd")
    command = upload_command(get_board("nucleo_l4r5zi"), ELF)
    assert command == ["pyocd", "load", "--no-wait", "-t", "stm32l4r5zitx", "firmware.elf"]
    put_program(tools, "openocd")
    command = upload_command(get_board("nucleo_l4r5zi"), ELF)
    assert command[:5] == ["openocd", "-f", "interface/stlink.cfg", "-f", "target/stm32l4x.cfg"]
    assert command[5:] == ["-c", "program {firmware.elf} verify reset exit"]


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ("openocd", "Error: open failed"),
        ("pyocd", "No available debug probes are connected"),
    ],
)
def test_no_probe_says_what_to_plug_in(tools: Path, tool: str, says: str) -> None:
    put_program(tools, tool, says, 1)
    with pytest.raises(
        SetupError, match=f"{tool} found no debug probe for nucleo_l4r5zi.*boards/nucleo_l4r5zi/README.md"
    ):
        flash(get_board("nucleo_l4r5zi"))


def test_another_failure_shows_what_the_flasher_said(tools: Path) -> None:
    put_program(tools, "openocd", "Error: flash write failed at sector 12", 1)
    with pytest.raises(SetupError, match="flash write failed at sector 12"):
        flash(get_board("nucleo_l4r5zi"))


def test_success_loads_the_image_that_was_built(tools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tools / "arguments"
    (tools / "openocd").write_text(f'#!/bin/sh\necho "$@" > {log}\n')
    (tools / "openocd").chmod(0o755)
    assert main(["flash", "nucleo_l4r5zi"]) == 0
    assert "nucleo_l4r5zi is loaded" in capsys.readouterr().out
    assert "/nucleo_l4r5zi/firmware.elf} verify reset exit" in log.read_text()
    assert main(["flash", "nucleo_l4r5zi", "--json"]) == 0
    said = {"board": "nucleo_l4r5zi", "loaded": True, "engine": "tflite_c", "baud": 115200}
    assert json.loads(capsys.readouterr().out) == said


def test_a_flash_that_is_ended_leaves_no_flasher_behind(tools: Path, host_command: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    put_program(tools, "openocd")
    (tools / "openocd").write_text(
        f"#!/bin/sh\necho $$ > {pid_file}.part\nmv {pid_file}.part {pid_file}\nexec sleep 600\n"
    )
    with subprocess.Popen([host_command, "flash", "nucleo_l4r5zi"]) as process:
        wait_for(lambda: pid_file.exists() or process.poll() is not None)
        process.terminate()
        assert process.wait() == 128 + 15
    assert wait_for(lambda: gone(int(pid_file.read_text())))
