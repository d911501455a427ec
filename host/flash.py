"""Loads a real board through PlatformIO's upload target, with OpenOCD or pyocd, whichever is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from host.boards import Board
from host.build import build_lock
from host.errors import SetupError, UsageError
from host.paths import PROJECT_DIR

TIMEOUT_S = 300.0
"""For build and load together; a 2 MB flash takes under a minute."""

_NO_PROBE = ("no probe", "open failed", "unable to find", "no available debug probes", "no connected debug probes")


def upload_command(board: Board, elf: Path) -> list[str]:
    """The flasher's command line. UsageError for an emulated board, SetupError when no flasher is installed."""
    if board.emulator is not None:
        raise UsageError(f"{board.name} is an emulated board, there is nothing to flash: `host emulate {board.name}`")
    if board.openocd_target and shutil.which("openocd"):
        program = f"program {{{elf}}} verify reset exit"
        return ["openocd", "-f", "interface/stlink.cfg", "-f", f"target/{board.openocd_target}.cfg", "-c", program]
    if board.pyocd_target and shutil.which("pyocd"):
        return ["pyocd", "load", "--no-wait", "-t", board.pyocd_target, str(elf)]
    wanted = []
    if board.openocd_target:
        wanted.append("openocd (`apt-get install openocd`)")
    if board.pyocd_target:
        wanted.append(f"pyocd (`pip install pyocd && pyocd pack install {board.pyocd_target}`)")
    raise SetupError(f"no flasher for {board.name} on PATH: install {' or '.join(wanted) or 'one and name its target'}")


def flash(board: Board) -> None:
    """Build and load. Raises UsageError or SetupError: before the build if it cannot work, and when it fails."""
    tool = upload_command(board, Path("firmware.elf"))[0]
    command = [sys.executable, "-m", "platformio", "run", "-e", board.name, "-t", "upload"]
    try:
        with build_lock():
            result = subprocess.run(
                command,
                cwd=PROJECT_DIR,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT_S,
            )
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"{tool} did not finish within {TIMEOUT_S:.0f} s: unplug and replug the board") from error
    if result.returncode == 0:
        return
    if any(text in result.stdout.lower() for text in _NO_PROBE):
        raise SetupError(
            f"{tool} found no debug probe for {board.name}: plug the board's ST-LINK in (USB connector CN1) and "
            "check that your user may open it (udev rules of the package)"
        )
    tail = "\n".join(result.stdout.splitlines()[-12:])
    raise SetupError(f"flashing {board.name} with {tool} failed:\n{tail}")
