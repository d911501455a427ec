# SPDX-License-Identifier: Apache-2.0
"""The true energy of every window: what the instruments under test should have said.

The file is a list of {"task", "window", "inferences", "energy_uj"}, of a whole window and not per inference. It is
written for tests and people; the host never reads it.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from energy.errors import EnergyError
from energy.simulator.load import LoadPiece
from energy.simulator.supply import Supply

_MICRO = 1e6


@dataclass(frozen=True, slots=True)
class Label:
    """What the next window is: of which task, its number from 0 on, and how many inferences it holds."""

    task: str
    window: int
    inferences: int


def parse_label(line: str) -> Label:
    """A label as the host writes it: one JSON object. Raises EnergyError."""
    try:
        label = json.loads(line)
        task, window, inferences = label["task"], label["window"], label["inferences"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _no_label(line) from None
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in (window, inferences))
    if not isinstance(task, str) or not whole or window < 0 or inferences < 1:
        raise _no_label(line)
    return Label(task, window, inferences)


class Truth:
    """Adds up what flows between the two falling edges that follow each label. Used from one thread."""

    def __init__(self, path: Path, supply: Supply) -> None:
        """An existing file is continued. Raises EnergyError when it is none of ours."""
        self._path = path
        self._supply = supply
        self._entries = _read_entries(path)
        self._label: Label | None = None
        self._begun_s: float | None = None
        self._energy_j = 0.0

    def label(self, task: str, window: int, inferences: int) -> None:
        """The next two falling edges are this window's; one that is open is none. Called when everything that the
        board did before has been fed."""
        self._label, self._begun_s = Label(task, window, inferences), None

    def feed(self, piece: LoadPiece) -> None:
        """A piece that has been through Supply.advance, in order. Raises EnergyError when the file cannot be written.

        A window without a label is not written, and a label is good for one window.
        """
        for time_s, level in piece.pin:
            if level or self._label is None:
                continue
            if self._begun_s is None:
                self._begun_s, self._energy_j = time_s, 0.0
            else:
                self._add(piece, time_s)
                self._finish(self._label)
        self._add(piece, float(piece.ends_s[-1]))

    def _add(self, piece: LoadPiece, end_s: float) -> None:
        """What flows from the window's first edge, or the piece's begin, to a time in the piece."""
        if self._begun_s is not None:
            self._energy_j += self._supply.energy(piece, max(self._begun_s, piece.begin_s), end_s)

    def _finish(self, label: Label) -> None:
        entry = {
            "task": label.task,
            "window": label.window,
            "inferences": label.inferences,
            "energy_uj": self._energy_j * _MICRO,
        }
        # A window that was measured again replaces the one it was.
        same = [
            at for at, old in enumerate(self._entries) if (old["task"], old["window"]) == (label.task, label.window)
        ]
        for at in reversed(same):
            del self._entries[at]
        self._entries.append(entry)
        self._label = self._begun_s = None
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            fresh.write_text(json.dumps(self._entries, indent=1) + "\n", encoding="utf-8")
            fresh.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise EnergyError(
                f"cannot write {self._path}: {error.strerror}. Free some room, or see who owns it."
            ) from None


def _read_entries(path: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise EnergyError(f"cannot read {path}: {error}. Move it away.") from None
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and {"task", "window"} <= entry.keys() for entry in entries
    ):
        raise EnergyError(f"{path} is no list of windows. Move it away.")
    return entries


def _no_label(line: str) -> EnergyError:
    return EnergyError(f'{line[:200]!r} is no label: {{"task": "kws01", "window": 0, "inferences": 100}} is one.')
