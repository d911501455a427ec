# SPDX-License-Identifier: Apache-2.0
"""A shell that types the commands of a guide. The convention is in test_journeys.py."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from guide_pages import Block, Page, PageError, missing

COMMAND_S = 300
"""After so long a command hangs, or what it left in the background does."""

STAND_INS = {
    "{board}": ("ttyBOARD", "mps2_an386"),
    "{stock}": ("ttySTOCK", "--stock kws01"),
}
"""What a comment writes for a serial device: its name in the scratch folder, and the words of `host emulate`."""


class Desk:
    """A person's shell: the working folder and exported variables last from command to command. scratch: for files of
    ours, and the emulated board's."""

    def __init__(self, scratch: Path, environment: dict[str, str], folder: Path) -> None:
        self.scratch = scratch
        self.environment = environment
        self._state = scratch / ".state"
        self._state.write_text(f"cd {folder}\n")
        self._running: list[subprocess.Popen[str]] = []
        self._devices: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._running:
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def device(self, stand_in: str) -> Path:
        """The serial device of a stand-in, for as long as the desk is there."""
        name, words = STAND_INS[stand_in]
        device = self.scratch / name
        if stand_in not in self._devices:
            self.start(f"exec {sys.executable} -m host emulate {words} --pty {device}", str(device))
            self._devices.add(stand_in)
        return device

    def keep(self, path: str, text: str) -> None:
        """Write a file, as with an editor that was started here."""
        code, printed = self.type(f"cat > {path} <<'END OF THE FILE'\n{text}END OF THE FILE")
        if code:
            raise PageError(f"{path} cannot be written: {printed}")

    def start(self, text: str, said: str) -> None:
        """Run in the background, from when it has printed `said`. Raises PageError when it ends before."""
        process = self._shell(text)
        self._running.append(process)
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if said in line:
                return
        raise PageError(f"`{text}` ended without a word of {said!r}:\n{printed}")

    def type(self, text: str) -> tuple[int, str]:
        """The exit code, and everything printed on both streams."""
        process = self._shell(f"trap '{{ echo cd \"$PWD\"; export -p; }} > {self._state}' EXIT\n{text}")
        try:
            printed, _ = process.communicate(timeout=COMMAND_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        return process.returncode, printed

    def _shell(self, text: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-c", f". {self._state}\n{text}"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )


def _typed(desk: Desk, block: Block, text: str) -> str:
    """A command with what stands in for hardware."""
    for old, new in block.asked.replace:
        if old in text:
            for stand_in in STAND_INS:
                if stand_in in new:
                    new = new.replace(stand_in, str(desk.device(stand_in)))  # noqa: PLW2901 (the same, filled in)
            text = text.replace(old, new)
    return text


def run_block(desk: Desk, page: Page, block: Block) -> None:
    """Type a block's commands. Raises PageError for an exit code or a line that is not as the page says."""
    asked = block.asked
    if asked.skip is not None:
        return
    if asked.file is not None:
        desk.keep(asked.file, block.text)
        return
    for old, _ in asked.replace:
        if not any(old in command.text for command in block.commands):
            raise PageError(f"{page.path.name}:{block.line}: nothing to replace: {old}")
    for text in asked.run:
        code, printed = desk.type(text)
        if code:
            raise PageError(f"{page.path.name}:{block.line}: `{text}` (run for the test) answered {code}:\n{printed}")
    everything = "".join(_run_command(desk, page, block, at) for at in range(len(block.commands)))
    for text in asked.expect:
        if text not in everything:
            raise PageError(f"{page.path.name}:{block.line}: no {text!r} in what was printed:\n{everything}")


def _run_command(desk: Desk, page: Page, block: Block, at: int) -> str:
    command, last = block.commands[at], at == len(block.commands) - 1
    text = _typed(desk, block, command.text)
    if last and block.asked.background is not None:
        desk.start(text, block.asked.background)
        return ""
    code, printed = desk.type(text)
    wanted = block.asked.exit if last else 0
    if code != wanted:
        raise PageError(f"{page.path.name}:{command.line}: `{text}` answered {code}, not {wanted}:\n{printed}")
    if block.asked.like and (lines := missing(command, printed)):
        raise PageError(f"{page.path.name}:{command.line}: nothing like {lines} in what `{text}` printed:\n{printed}")
    return printed
