"""Child processes of the emulators: started, watched, stopped and reaped; they never outlive us (lifeline.py)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from host.errors import LinkError, LinkTimeout, SetupError
from host.lifeline import tied

STOP_GRACE_S = 2.0
DYING_S = 0.5
STDERR_TAIL_BYTES = 2000


class Child:
    """A program of ours: started, watched, stopped and reaped. Its output goes to files, so that it never blocks."""

    def __init__(
        self, command: Sequence[str], folder: Path, *, pass_fds: Sequence[int] = (), listens: bool = False
    ) -> None:
        """Start `command`; stdout and stderr are kept in `folder`. listens: it gets what `say` says."""
        self._what = Path(command[0]).name
        self._stdout = folder / "stdout"
        self._stderr = folder / "stderr"
        self._last_words = ""
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self._process = _spawn(command, stdout, stderr, pass_fds, listens=listens)

    @property
    def pid(self) -> int:
        """Of the program itself: the tie is gone once it runs."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stdout(self) -> str:
        """Everything it printed so far."""
        return self._stdout.read_text(errors="replace")

    def stderr(self) -> str:
        """The last lines it complained with; still known when the folder is gone."""
        if not self._stderr.exists():
            return self._last_words
        with self._stderr.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - STDERR_TAIL_BYTES, 0))
            return file.read().decode(errors="replace").strip()

    def say(self, line: str) -> None:
        """Write a line to its stdin. Raises OSError when it does not listen any more."""
        if self._process.stdin is None:
            raise OSError("it was not started to listen")
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Wait until `ready`. Raises SetupError, quoting stderr, when the program dies first or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.alive():
                raise SetupError(self.obituary())
            if time.monotonic() > deadline:
                raise SetupError(f"{self._what} was not ready within {timeout_s:.0f} s. It said: {self._said()}")
            time.sleep(0.002)

    def obituary(self) -> str:
        """How it ended and what it said, for an error message; "" while it runs."""
        status = self._process.poll()
        if status is None:
            return ""
        how = f"was killed by signal {-status}" if status < 0 else f"ended with exit code {status}"
        return f"{self._what} {how}. It said: {self._said()}"

    def explain(self, error: BaseException | None) -> None:
        """Add the obituary to an error of the line to this program, if it is why the line broke."""
        if not isinstance(error, LinkError) or isinstance(error, LinkTimeout):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(DYING_S)  # its sockets close a little before it is gone
        if obituary := self.obituary():
            error.add_note(obituary)

    def stop(self) -> None:
        """End it, politely and then not, and reap it. May be called twice."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # what it did not take is of no use any more
                self._process.stdin.close()
        if self.alive():
            self._process.terminate()
            try:
                self._process.wait(STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._last_words = self.stderr()

    def _said(self) -> str:
        return self.stderr() or "nothing"


class ChildBoard:
    """What the emulated boards share: see host.emulator.Emulator."""

    def __init__(self, name: str) -> None:
        """`name` is for the board's temporary folder."""
        self._folder = tempfile.TemporaryDirectory(prefix=f"tinyjoule-{name}-")
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """The process that is the board. Raises LinkError when it has ended."""
        return self._running().pid

    def diagnosis(self) -> str:
        """How it ended and what it said (a sanitizer's report, for one); "" while it runs."""
        return self._child.obituary() if self._child else ""

    def close(self) -> None:
        """End it and reap it. May be called twice."""
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

    def _running(self) -> Child:
        if self._child is None or not self._child.alive():
            raise LinkError(f"the emulated board has ended. {self.diagnosis()}".strip())
        return self._child


def _spawn(
    command: Sequence[str], stdout: BinaryIO, stderr: BinaryIO, pass_fds: Sequence[int], *, listens: bool
) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C in the terminal is for the host, which then ends the child in order.
    return subprocess.Popen(
        tied(command),
        stdin=subprocess.PIPE if listens else subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,
    )
