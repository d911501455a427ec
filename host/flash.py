"""Loads a real board through PlatformIO's upload target, with OpenOCD or pyocd, whichever is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from host.boards import Board
from host.build import Variant, build_lock, run_platformio
from host.errors import SetupError, UsageError
from host.paths import PROJECT_DIR

TIMEOUT_S = 300.0
"""For build and load together; a 2 MB flash takes under a minute."""

_NO_PROBE = ("no probe", "open failed", "unable to find", "no available debug probes", "no connected debug probes")


def upload_command(board: Board, elf: Path) -> list[str]:
    """The flasher's command line. UsageError for an emulated board, SetupError when no flasher is installed."""
    if board.emulator is not None:
        raise UsageError(f"{board.name} is an emulated board, there is nothing to flash: `host emulate {board.name}`")
    if board.openocd_config and shutil.which("openocd"):
        files = [word for file in board.openocd_config.split() for word in ("-f", file)]
        return ["openocd", *files, "-c", f"program {{{elf}}} verify reset exit"]
    if board.pyocd_target and shutil.which("pyocd"):
        return ["pyocd", "load", "--no-wait", "-t", board.pyocd_target, str(elf)]
    wanted = []
    if board.openocd_config:
        wanted.append("openocd (`apt-get install openocd`)")
    if board.pyocd_target:
        wanted.append(f"pyocd (`pip install pyocd && pyocd pack install {board.pyocd_target}`)")
    raise SetupError(f"no flasher for {board.name} on PATH: install {' or '.join(wanted) or 'one and name its target'}")


def flash(board: Board, *, variant: Variant | None = None) -> None:
    """Build and load; `variant`: other models or another engine than `pio run` builds.

    Raises UsageError or SetupError: before the build if it cannot work, and when it fails.
    """
    tool = upload_command(board, Path("firmware.elf"))[0]
    try:
        with build_lock():
            code, output = run_platformio(board, "-t", "upload", timeout_s=TIMEOUT_S, variant=variant)
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"{tool} did not finish within {TIMEOUT_S:.0f} s: unplug and replug the board") from error
    if code == 0:
        return
    if any(text in output.lower() for text in _NO_PROBE):
        readme = (board.folder / "README.md").relative_to(PROJECT_DIR)
        raise SetupError(
            f"{tool} found no debug probe for {board.name}: plug it in ({readme} says where) and check that your user "
            f"may open it (udev rules of the package {tool})"
        )
    tail = "\n".join(output.splitlines()[-12:])
    raise SetupError(f"flashing {board.name} with {tool} failed:\n{tail}")
