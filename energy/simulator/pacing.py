# SPDX-License-Identifier: Apache-2.0
"""Loads whose time goes with the wall clock, out of loads that give everything at once."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np

from energy.simulator.load import Load, LoadPiece

STEP_S = 0.005


class PacedLoad:
    """A load that is given out as the wall clock goes: for an analyser that stands alone."""

    def __init__(self, load: Load, *, speed: float = 1.0) -> None:
        """speed: seconds of the load per second."""
        self._load, self._speed = load, speed
        self._piece: LoadPiece | None = None
        self._begin_s: float | None = None
        self._began_s = time.monotonic()

    def read(self, timeout_s: float) -> LoadPiece | None:
        """See Load. At most about 5 ms of it at a time."""
        if self._piece is None:
            self._piece = self._load.read(timeout_s)
            if self._piece is None:
                return None
        piece = self._piece
        if self._begin_s is None:
            self._begin_s, self._began_s = piece.begin_s, time.monotonic()
        until_s = min(float(piece.ends_s[-1]), piece.begin_s + STEP_S * self._speed)
        due_s = self._began_s + (until_s - self._begin_s) / self._speed
        wait_s = due_s - time.monotonic()
        if wait_s > timeout_s:
            time.sleep(timeout_s)
            return None
        time.sleep(max(0.0, wait_s))
        part, self._piece = split_piece(piece, until_s)
        return part

    def pending(self) -> bool:
        """It waits for nobody, and nothing waits."""
        return False

    def close(self) -> None:
        """See Load."""
        self._load.close()


class GatedLoad:
    """A load that idles with the wall clock, until somebody calls `play`: then its next piece runs off at once.

    The first piece of `load` is what it idles with. It idles in whole milliseconds, so that the wall clock does not
    decide where between two samples an edge lies.
    """

    def __init__(self, load: Load, *, speed: float = 1.0) -> None:
        """speed: idle seconds per second of the wall clock. Raises EOFError when the load is empty."""
        self._load, self._speed = load, speed
        first = load.read(1.0)
        if first is None:
            raise EOFError
        self._idle_a = float(first.current_a[-1])
        self._given_s = 0.0
        self._since = time.monotonic()
        self._changed = threading.Condition()
        self._next: LoadPiece | None = None
        self._playing = False

    def play(self, timeout_s: float = 30.0) -> None:
        """Run the next piece off; returns when the analyser has taken all of it. Raises EOFError when there is none,
        and TimeoutError when nobody reads. Any thread."""
        with self._changed:
            self._next = self._load.read(1.0)
            if self._next is None:
                raise EOFError
            self._playing = True
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: not self._playing, timeout_s):
                raise TimeoutError("nobody reads the load")

    def read(self, timeout_s: float) -> LoadPiece | None:
        """See Load."""
        with self._changed:
            if self._playing and self._next is None:  # whoever reads again has done with the piece before
                self._playing = False
                self._since = time.monotonic()
                self._changed.notify_all()
            if self._next is None:
                self._changed.wait_for(lambda: self._next is not None, min(timeout_s, STEP_S))
            piece, self._next = self._next, None
            begin_s = self._given_s
            if piece is None:
                idle_ms = int((time.monotonic() - self._since) * self._speed * 1000)
                if idle_ms == 0:
                    return None
                self._since += idle_ms / 1000 / self._speed
                self._given_s += idle_ms / 1000
                return LoadPiece(begin_s, np.array([self._given_s]), np.array([self._idle_a]), ())
            later_s = begin_s - piece.begin_s
            self._given_s = float(piece.ends_s[-1]) + later_s
            pin = tuple((when + later_s, level) for when, level in piece.pin)
            return LoadPiece(begin_s, piece.ends_s + later_s, piece.current_a, pin)

    def pending(self) -> bool:
        """Whether a piece is to be read."""
        with self._changed:
            return self._next is not None

    def close(self) -> None:
        """See Load."""
        self._load.close()


def split_piece(piece: LoadPiece, at_s: float) -> tuple[LoadPiece, LoadPiece | None]:
    """Up to a time inside the piece, and the rest; None when there is none."""
    if at_s >= piece.ends_s[-1]:
        return piece, None
    index = int(np.searchsorted(piece.ends_s, at_s, side="left"))
    ends = np.append(piece.ends_s[:index], at_s)
    head = LoadPiece(
        piece.begin_s, ends, piece.current_a[: index + 1], tuple(edge for edge in piece.pin if edge[0] <= at_s)
    )
    keep = index + 1 if piece.ends_s[index] == at_s else index
    rest = replace(
        piece,
        begin_s=at_s,
        ends_s=piece.ends_s[keep:],
        current_a=piece.current_a[keep:],
        pin=tuple(edge for edge in piece.pin if edge[0] > at_s),
    )
    return head, rest
