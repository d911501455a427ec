"""The board `native`: the firmware as a child process. It takes a free TCP port itself and prints which."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from host.emulator.process import Child
from host.errors import LinkError, SetupError

if TYPE_CHECKING:
    from host.build import Image

START_TIMEOUT_S = 20.0
_PORT = re.compile(r"^port (\d+)$", re.MULTILINE)


class Native:
    """See host.emulator.Emulator. It counts no instructions and keeps the host's time."""

    def __init__(self, image: Image) -> None:
        """Start it and wait until a client may connect."""
        if not image.elf.is_file():
            raise SetupError(f"{image.elf} is missing: host build {image.board.name}")
        self._elf = image.elf
        self._folder = tempfile.TemporaryDirectory(prefix="tinyjoule-native-")
        self._child: Child | None = None
        try:
            child = self._child = Child([str(self._elf)], Path(self._folder.name))
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

    @property
    def pid(self) -> int:
        """The process that is the board."""
        if self._child is None or not self._child.alive():
            raise LinkError(f"the native board has ended. {self.diagnosis()}".strip())
        return self._child.pid

    def take_instruction_counts(self) -> list[int]:
        """Nothing: the host's processor is not the one of interest."""
        return []

    def diagnosis(self) -> str:
        """How it ended and what it said (a sanitizer's report, for one); "" while it runs."""
        return self._child.obituary() if self._child else ""

    def reset(self) -> None:
        """Not possible: raises SetupError."""
        raise SetupError("the native board has no reset button: close it and start another")

    def close(self) -> None:
        """End it and reap it."""
        if self._child:
            self._child.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        """The board itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it. When the line to it broke because it died, the error says so."""
        if self._child:
            self._child.explain(error)
        self.close()
