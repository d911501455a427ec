"""What tests ask of processes: do they run, which are a parent's, and wait for something to happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def gone(pid: int) -> bool:
    """Whether nothing runs under this number, or only a zombie that somebody else has to reap."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def children(pid: int) -> list[int]:
    """The processes that `pid` has started and not reaped."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition: Callable[[], T]) -> T:
    """What `condition` gives as soon as it is true; pytest-timeout ends a wait for what never comes."""
    while not (value := condition()):
        time.sleep(0.01)
    return value
