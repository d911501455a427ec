"""The board `native`: the firmware as a child process. It takes a free TCP port itself and prints which."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from host.emulator.process import Child, ChildBoard
from host.errors import SetupError

if TYPE_CHECKING:
    from host.build import Image
    from host.emulator.counter import ObservedRun

START_TIMEOUT_S = 20.0
_PORT = re.compile(r"^port (\d+)$", re.MULTILINE)


class Native(ChildBoard):
    """See host.emulator.Emulator. It counts no instructions and keeps the host's time."""

    def __init__(self, image: Image) -> None:
        """Start it and wait until a client may connect."""
        if not image.elf.is_file():
            raise SetupError(f"{image.elf} is missing: host build {image.board.name}")
        super().__init__("native")
        try:
            child = self._child = Child([str(image.elf)], Path(self._folder.name))
            child.wait_until(lambda: _PORT.search(child.stdout()) is not None, START_TIMEOUT_S)
            found = _PORT.search(child.stdout())
            assert found is not None  # noqa: S101  (the line above waited for it)
            self._port = int(found[1])
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"socket://127.0.0.1:{self._port}"

    def take_instruction_counts(self) -> list[int]:
        """Nothing: the host's processor is not the one of interest."""
        return []

    def take_load_counts(self) -> list[int]:
        """Nothing, likewise."""
        return []

    def take_observed_runs(self) -> list[ObservedRun]:
        """Nothing, likewise."""
        return []

    def reset(self) -> None:
        """Not possible: raises SetupError."""
        raise SetupError("the native board has no reset button: close it and start another")
