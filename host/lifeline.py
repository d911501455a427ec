"""Programs that never outlive the one that started them.

A killed host must not leave an emulator that burns a core, or a build that nobody waits for. The kernel kills the child
when its parent dies (PR_SET_PDEATHSIG), whatever the parent died of. A child sets that for itself, so a few lines of
Python run in it first and then become the program; unlike `preexec_fn` this is safe when the host has threads.

The kernel means the *thread* that started the child: start it from a thread that lives as long as the child does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1

# argv: parent's pid, program, its arguments. A parent that died before prctl() took effect is seen by getppid().
_TIED = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(1)\n"
    "os.execvp(sys.argv[2], sys.argv[2:])\n"
)


def tied(command: Sequence[str]) -> list[str]:
    """`command`, to be started by this process, that is killed when the thread that starts it ends."""
    return [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]


def end_with_parent() -> None:
    """From now on this process gets SIGTERM when the one that started it dies."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)  # it died just now, before the kernel knew
