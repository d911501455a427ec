# SPDX-License-Identifier: Apache-2.0
"""A load that is an emulated board: what its QEMU plugin says that it executes, turned into a current.

The plugin (host/emulator/plugin/activity.c) connects to a unix socket of ours and sends, in the machine's own byte
order, one HEADER and then RECORDs, each for the instructions since the one before:

    header  "TJACTIV" and a zero byte; version u32; nanoseconds per instruction u32
    record  kind u32; level u32 of the timing pin; instructions u64 since power-on; clock u64, nanoseconds of
            CLOCK_MONOTONIC; counts u64[3]: four classes of CLASSES each, 16 bits wide, the first one lowest

    kind    SLICE 0   so many instructions, at most 60,000 in any record
            PIN 1     and then the timing pin changed its level, just behind the instruction that did it
            SLEEP 2   and then the core went to sleep, or the machine was switched on and has not begun yet
            WAKE 3    it goes on (no instructions)
            RESET 4   and then it begins at its reset handler; the timing pin is high again

Awake, the board's time is the number of its instructions. Asleep it is the wall clock, so that a board which waits for
its host draws its idle current as long as it waits. When the board has gone, nothing flows until the next one connects.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from energy.errors import EnergyError, GarbledSamples
from energy.simulator.current import CLASSES, CurrentModel, load_model
from energy.simulator.load import LoadPiece

VERSION = 1
SLICE, PIN, SLEEP, WAKE, RESET = range(5)
LANES = 4  # classes in a word
HEADER = np.dtype([("magic", "S8"), ("version", "=u4"), ("ns", "=u4")])
MAGIC = b"TJACTIV"
RECORD = np.dtype(
    [("kind", "=u4"), ("level", "=u4"), ("instructions", "=u8"), ("clock_ns", "=u8"), ("counts", "=u8", (3,))]
)
_READ_BYTES = 1 << 18
_LANE_BITS = 16
_IDLE_STEP_S = 0.005  # a sleeping board's time is told this often
_HEADER_TIMEOUT_S = 5.0
Records = NDArray[np.void]


def counts_of(records: Records) -> NDArray[np.uint64]:
    """Instructions by class, (m, 12), in the order of CLASSES."""
    shifts = np.arange(LANES, dtype=np.uint64) * np.uint64(_LANE_BITS)
    lanes = (records["counts"][:, :, None] >> shifts) & np.uint64((1 << _LANE_BITS) - 1)
    counts: NDArray[np.uint64] = lanes.reshape(len(records), len(CLASSES))
    return counts


class ActivityLoad:
    """The board that is connected to a unix socket. Used from one thread."""

    def __init__(self, path: Path, model: CurrentModel | None = None) -> None:
        """Listen at `path`, where nothing is yet. Raises EnergyError when that cannot be."""
        self._model = model or load_model()
        self._path = path
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._server.bind(str(path))
            self._server.listen(1)
        except OSError as error:
            self._server.close()
            raise EnergyError(f"cannot listen at {path}: {error}. Name a path of under 100 characters.") from None
        self._board: socket.socket | None = None
        self._rest = b""
        self._ns = 0
        self._instructions = 0
        self._offset_s = 0.0  # of the board's time since it was switched on
        self._given_s = 0.0  # up to here everything was read
        self._asleep = True
        self._idle_a = 0.0
        self._slept_at_s = 0.0
        self._slept_at_ns = time.monotonic_ns()
        self._wake_c = 0.0  # what is left to be drawn after waking up
        self._pin_level = True
        self._ends: list[NDArray[np.float64]] = []  # of the piece that is being made
        self._currents: list[NDArray[np.float64]] = []
        self._pin: list[tuple[float, bool]] = []

    def read(self, timeout_s: float) -> LoadPiece | None:
        """What happened since the last time; None when nothing did within timeout_s (a frozen board has no time).

        Raises GarbledSamples when the plugin says what no rule reads.
        """
        begin_s = self._given_s
        if self._wait(min(timeout_s, _IDLE_STEP_S) if self._asleep else timeout_s):
            self._take()
        elif self._asleep:
            self._idle_until(self._slept_at_s + (time.monotonic_ns() - self._slept_at_ns) * 1e-9)
        if not self._ends:
            return None
        piece = LoadPiece(begin_s, np.concatenate(self._ends), np.concatenate(self._currents), tuple(self._pin))
        self._ends, self._currents, self._pin = [], [], []
        return piece

    def pending(self) -> bool:
        """Whether the board did something that was not read yet."""
        return bool(self._pin) or self._wait(0.0)

    def close(self) -> None:
        """Disconnect: the board ends, as what it does would not be known any more."""
        if self._board:
            self._board.close()
            self._board = None
        self._server.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _wait(self, timeout_s: float) -> bool:
        source = self._board or self._server
        if source.fileno() < 0:
            raise EOFError
        return bool(select.select([source], [], [], timeout_s)[0])

    def _take(self) -> None:
        if self._board is None:
            self._connect()
            return
        data = self._board.recv(_READ_BYTES)
        if not data:
            self._board.close()
            self._board = None
            self._sleep(0.0, time.monotonic_ns())
            self._level(True)
            return
        data = self._rest + data
        whole = len(data) - len(data) % RECORD.itemsize
        self._rest = data[whole:]
        if whole:
            self._execute(np.frombuffer(data[:whole], dtype=RECORD))

    def _connect(self) -> None:
        board, _ = self._server.accept()
        board.settimeout(_HEADER_TIMEOUT_S)
        try:
            data = b""
            while len(data) < HEADER.itemsize:
                some = board.recv(HEADER.itemsize - len(data))
                if not some:
                    raise EOFError
                data += some
            header = np.frombuffer(data, dtype=HEADER)[0]
            if header["magic"] != MAGIC or header["version"] != VERSION or header["ns"] == 0:
                raise EOFError
        except (OSError, EOFError):
            board.close()
            raise GarbledSamples(
                "what connected to the virtual analyser's load is no emulated board of this version. Install the "
                "project again: pip install -e ."
            ) from None
        self._board = board
        self._rest, self._instructions, self._ns = b"", 0, int(header["ns"])
        self._sleep(self._model.idle_a, time.monotonic_ns())

    def _execute(self, records: Records) -> None:
        numbers = records["instructions"].astype(np.int64)
        executed = np.diff(numbers, prepend=self._instructions)
        counts = counts_of(records)
        kinds = records["kind"]
        if (kinds > RESET).any() or (counts.sum(axis=1).astype(np.int64) != executed).any():
            raise GarbledSamples("the emulated board's instructions do not add up: the plugin is of another version.")
        begin = 0
        for at in [*np.flatnonzero(kinds != SLICE).tolist(), len(records) - 1]:
            self._run(numbers[begin : at + 1], executed[begin : at + 1], counts[begin : at + 1])
            if begin <= at:
                self._event(records[at])
            begin = at + 1
        self._instructions = int(numbers[-1])

    def _run(self, numbers: NDArray[np.int64], executed: NDArray[np.int64], counts: NDArray[np.uint64]) -> None:
        """Slices of a board that is awake; `numbers` is instructions at their ends."""
        some = executed > 0
        if not some.any():
            return
        if self._asleep:
            raise GarbledSamples("the emulated board runs in its sleep: the plugin is of another version.")
        durations_s = executed[some].astype(np.float64) * (self._ns * 1e-9)
        currents_a = self._model.active(counts[some], durations_s)
        if self._wake_c > 0:
            possible_c = self._model.wake_a * durations_s
            drawn_c = np.clip(self._wake_c - (np.cumsum(possible_c) - possible_c), 0.0, possible_c)
            currents_a += drawn_c / durations_s
            self._wake_c = max(self._wake_c - float(drawn_c.sum()), 0.0)
        self._give(self._offset_s + numbers[some].astype(np.float64) * (self._ns * 1e-9), currents_a)

    def _event(self, record: np.void) -> None:
        kind = int(record["kind"])
        if kind == PIN:
            self._level(bool(record["level"]))
        elif kind == SLEEP:
            self._sleep(self._model.idle_a, int(record["clock_ns"]))
        elif kind == WAKE and self._asleep:
            self._idle_until(self._slept_at_s + (int(record["clock_ns"]) - self._slept_at_ns) * 1e-9)
            self._offset_s = self._given_s - int(record["instructions"]) * (self._ns * 1e-9)
            self._asleep = False
            self._wake_c = self._model.wake_c
        elif kind == RESET:
            self._level(True)

    def _level(self, high: bool) -> None:
        if high != self._pin_level:
            self._pin.append((self._given_s, high))
            self._pin_level = high

    def _sleep(self, idle_a: float, clock_ns: int) -> None:
        self._idle_until(self._slept_at_s + (clock_ns - self._slept_at_ns) * 1e-9)
        self._asleep, self._idle_a = True, idle_a
        self._slept_at_s, self._slept_at_ns = self._given_s, clock_ns

    def _idle_until(self, time_s: float) -> None:
        """A board that sleeps did so up to then; never before what was given already."""
        if self._asleep and time_s > self._given_s:
            self._give(np.array([time_s]), np.array([self._idle_a]))

    def _give(self, ends_s: NDArray[np.float64], currents_a: NDArray[np.float64]) -> None:
        self._ends.append(ends_s)
        self._currents.append(currents_a)
        self._given_s = float(ends_s[-1])
