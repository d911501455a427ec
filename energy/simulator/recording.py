# SPDX-License-Identifier: Apache-2.0
"""Loads that are known beforehand: recorded ones, and made-up ones for tests.

A recording is an .npz file (numpy, compressed) with these arrays, `format` 1; p pieces, m segments, e level changes:

    format      int64 ()                  begin_s    float64 (), of the first piece
    ends_s      float64 (m,), rising      current_a  float64 (m,)      segments (p,) int64: how many of each piece
    pin_s       float64 (e,), in order    pin_level  bool (e,)         changes  (p,) int64: how many of each piece
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from energy.errors import TraceError
from energy.simulator.load import Load, LoadPiece

FORMAT = 1
MAX_BYTES = 1 << 30  # of a recording in memory: 18 hours of a busy board
PULSE_S = 25e-6  # firmware/core/bench.h
_TYPES = {
    "format": "i8", "begin_s": "f8", "ends_s": "f8", "current_a": "f8", "segments": "i8",
    "pin_s": "f8", "pin_level": "b1", "changes": "i8",
}  # fmt: skip


class PieceLoad:
    """A Load out of pieces. Its time goes on as it is read."""

    def __init__(self, pieces: Sequence[LoadPiece], *, repeat: bool = False) -> None:
        """pieces: follow each other without a gap. repeat: from the start again when they end, later in time."""
        self._pieces = tuple(pieces)
        self._repeat = repeat
        self._next = self._after(0.0)

    def read(self, timeout_s: float) -> LoadPiece | None:
        """The next piece, at once. Raises EOFError behind the last one."""
        del timeout_s
        piece = next(self._next, None)
        if piece is None:
            raise EOFError
        return piece

    def pending(self) -> bool:
        """Nothing happens that nobody reads."""
        return False

    def close(self) -> None:
        """Nothing comes any more."""
        self._next = iter(())

    def _after(self, late_s: float) -> Iterator[LoadPiece]:
        while self._pieces:
            for piece in self._pieces:
                pin = tuple((time_s + late_s, level) for time_s, level in piece.pin)
                yield LoadPiece(piece.begin_s + late_s, piece.ends_s + late_s, piece.current_a, pin)
            if not self._repeat:
                return
            late_s += float(self._pieces[-1].ends_s[-1]) - self._pieces[0].begin_s


class RecordedLoad(PieceLoad):
    """What `record_load` wrote: the same pieces again."""

    def __init__(self, path: Path, *, repeat: bool = False) -> None:
        """Raises TraceError when it is no such file, or a damaged one."""
        super().__init__(_read_pieces(path), repeat=repeat)


def record_load(load: Load, path: Path, *, pieces: int | None = None, timeout_s: float = 1.0) -> int:
    """Write what `load` gives: so many pieces, or up to its end, or until nothing comes for `timeout_s`; returns how
    many pieces that were. Raises TraceError when there is nothing, or the file cannot be written."""
    taken: list[LoadPiece] = []
    while pieces is None or len(taken) < pieces:
        try:
            piece = load.read(timeout_s)
        except EOFError:
            break
        if piece is None:
            break
        taken.append(piece)
    if not taken:
        raise TraceError("the load gave nothing to record: is a board connected to it?")
    arrays = {
        "format": np.array(FORMAT),
        "begin_s": np.array(taken[0].begin_s),
        "ends_s": np.concatenate([piece.ends_s for piece in taken]),
        "current_a": np.concatenate([piece.current_a for piece in taken]),
        "segments": np.array([len(piece.ends_s) for piece in taken]),
        "pin_s": np.array([time_s for piece in taken for time_s, _ in piece.pin], dtype=np.float64),
        "pin_level": np.array([level for piece in taken for _, level in piece.pin], dtype=np.bool_),
        "changes": np.array([len(piece.pin) for piece in taken]),
    }
    # Under another name first: a recording is whole, or not there.
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            np.savez_compressed(
                file, allow_pickle=False, **{name: arrays[name].astype(_TYPES[name]) for name in _TYPES}
            )
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise TraceError(f"cannot write {path}: {error.strerror}.") from None
    return len(taken)


def _read_pieces(path: Path) -> list[LoadPiece]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise _damaged(path, "it is larger than a recording can be")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _TYPES}
    except OSError as error:
        raise TraceError(f"cannot read {path}: {error.strerror or error}.") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError) as error:
        raise _damaged(path, str(error)) from None
    for name, kind in _TYPES.items():
        if arrays[name].dtype != np.dtype(kind) or arrays[name].ndim != (0 if name in ("format", "begin_s") else 1):
            raise _damaged(path, f"{name} is of another type")
    if int(arrays["format"]) != FORMAT:
        raise TraceError(f"{path} is a recording of format {int(arrays['format'])}, this one reads {FORMAT}.")
    fault = _fault(**{name: arrays[name] for name in _TYPES if name != "format"})
    if fault:
        raise _damaged(path, fault)
    return list(_cut(arrays))


def _fault(  # noqa: PLR0911
    *,
    begin_s: NDArray[np.float64],
    ends_s: NDArray[np.float64],
    current_a: NDArray[np.float64],
    segments: NDArray[np.int64],
    pin_s: NDArray[np.float64],
    pin_level: NDArray[np.bool_],
    changes: NDArray[np.int64],
) -> str:
    """What is wrong with a recording, "" when nothing is."""
    knots = np.concatenate((begin_s[None], ends_s))
    if not (np.isfinite(knots).all() and np.isfinite(current_a).all() and np.isfinite(pin_s).all()):
        return "it holds what is no number"
    if len(segments) == 0 or len(segments) != len(changes) or (segments < 1).any() or (changes < 0).any():
        return "its pieces have no sizes"
    # Checked one by one before they are added up: a sum of large ones would wrap.
    if (segments > len(ends_s)).any() or (changes > len(pin_s)).any():
        return "its pieces are larger than it is"
    if segments.sum() != len(ends_s) or len(current_a) != len(ends_s):
        return "its segments do not add up"
    if changes.sum() != len(pin_s) or len(pin_level) != len(pin_s):
        return "its level changes do not add up"
    if (np.diff(knots) <= 0).any() or (np.diff(pin_s) < 0).any():
        return "its time goes backwards"
    ends = ends_s[np.cumsum(segments) - 1]
    piece_of_change = np.repeat(np.arange(len(segments)), changes)
    begins = np.concatenate((begin_s[None], ends[:-1]))
    if (pin_s < begins[piece_of_change]).any() or (pin_s > ends[piece_of_change]).any():
        return "a level changes outside its piece"
    return ""


def _cut(arrays: dict[str, NDArray[np.generic]]) -> Iterator[LoadPiece]:
    begin_s = float(arrays["begin_s"])
    ends, currents = arrays["ends_s"].astype(np.float64), arrays["current_a"].astype(np.float64)
    times, levels = arrays["pin_s"].tolist(), arrays["pin_level"].tolist()
    segment = change = 0
    for count, edges in zip(arrays["segments"].tolist(), arrays["changes"].tolist(), strict=True):
        pin = tuple(zip(times[change : change + edges], levels[change : change + edges], strict=True))
        yield LoadPiece(begin_s, ends[segment : segment + count], currents[segment : segment + count], pin)
        begin_s = float(ends[segment + count - 1])
        segment, change = segment + count, change + edges


def _damaged(path: Path, what: str) -> TraceError:
    return TraceError(f"{path} is no recording of a load: {what}. `record_load` writes one.")


@dataclass(frozen=True, slots=True)
class MadeUpWindow:
    """A window of a made-up load: when the pin falls, and what the board's own clock says of it (the first pulse is in
    between the edges and not in it, as in firmware/core/bench.c)."""

    start_s: float
    end_s: float
    inferences: int
    device_s: float


class RandomLoad(PieceLoad):
    """What `random_load` makes. It ends."""

    def __init__(self, pieces: Sequence[LoadPiece], windows: Iterable[MadeUpWindow], *, repeat: bool = False) -> None:
        """windows: what the pieces hold, in order."""
        super().__init__(pieces, repeat=repeat)
        self.windows = tuple(windows)


class _Draft:
    """A load that is being made up: segments one behind another, and what the pin does meanwhile."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._begin_s = 0.0
        self._ends: list[float] = []
        self._currents: list[float] = []
        self._pin: list[tuple[float, bool]] = []

    def hold(self, current_a: float, duration_s: float) -> None:
        self.now_s += duration_s
        self._ends.append(self.now_s)
        self._currents.append(current_a)

    def pulse(self, current_a: float) -> float:
        """A falling edge and what follows it; returns when it was."""
        edge_s = self.now_s
        self._pin += [(edge_s, False), (edge_s + PULSE_S, True)]
        self.hold(current_a, PULSE_S + 1e-6)
        return edge_s

    def take(self) -> LoadPiece:
        piece = LoadPiece(self._begin_s, np.array(self._ends), np.array(self._currents), tuple(self._pin))
        self._begin_s, self._ends, self._currents, self._pin = self.now_s, [], [], []
        return piece


def random_load(
    seed: int,
    windows: int,
    *,
    inferences: Sequence[int] = (),
    idle_s: float = 0.1,
    gap_s: float = 0.02,
    inference_s: float | None = None,
    repeat: bool = False,
) -> RandomLoad:
    """A made-up board: idle for idle_s; `windows` times idle for gap_s, warm-up, two pulses with inferences in between,
    a reply that takes equally long each time, idle for gap_s; and idle for idle_s.

    inferences: of each window; drawn from 5 to 30 where there are none. inference_s: of one, drawn from 1 to 4 ms. One
    inference is some steps of 12 to 40 mA, the same each time but for 0.5 % of its current; idle is 0.5 to 2 mA.
    """
    draw = np.random.default_rng(seed)
    numbers = tuple(inferences) or tuple(int(draw.integers(5, 31)) for _ in range(windows))
    whole_s = inference_s or float(draw.uniform(1e-3, 4e-3))
    shares = draw.uniform(0.3, 1.0, int(draw.integers(3, 13)))
    steps_s = whole_s * shares / shares.sum()
    steps_a = draw.uniform(12e-3, 38e-3, len(steps_s))
    idle_a, busy_a = float(draw.uniform(0.5e-3, 2e-3)), float(draw.uniform(18e-3, 24e-3))
    reply_s = float(draw.uniform(50e-6, 500e-6))
    draft = _Draft()
    draft.hold(idle_a, idle_s)
    pieces = [draft.take()]
    found: list[MadeUpWindow] = []
    for number in numbers[:windows]:
        draft.hold(idle_a, gap_s * float(draw.uniform(0.9, 1.1)))
        draft.hold(busy_a, float(draw.uniform(100e-6, 500e-6)))
        start_s = end_s = began_s = 0.0
        for run in range(number + 1):  # the first one is the warm-up
            if run == 1:
                start_s = draft.pulse(busy_a)
                began_s = draft.now_s
            level = float(draw.uniform(0.995, 1.005))
            for step_s, step_a in zip(steps_s.tolist(), steps_a.tolist(), strict=True):
                draft.hold(step_a * level, step_s)
        device_s = draft.now_s - began_s
        end_s = draft.pulse(busy_a)
        draft.hold(busy_a, reply_s)
        draft.hold(idle_a, gap_s)
        pieces.append(draft.take())
        found.append(MadeUpWindow(start_s, end_s, number, device_s))
    draft.hold(idle_a, idle_s)
    return RandomLoad([*pieces, draft.take()], found, repeat=repeat)
