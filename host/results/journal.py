"""The journal of a session, `journal.jsonl`: what was asked for, on which boards, and everything that was finished.

The first line is a `Header`, every other one a row. A line is one JSON object; its last field `check` is the CRC-32 of
the line without it, begun with the check of the line before: a line that was damaged, edited, left out, doubled or
taken from another session breaks the chain. Lines are only ever appended, one write each, so what a killed host leaves
behind ends in a whole line or in a piece of one, which `Journal.reopen` cuts off. Whoever has it open holds a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, Literal, Self, TypeVar

import msgspec

from host.errors import HostError, ResultInvalid
from host.results import schema

FILE: Final = "journal.jsonl"
SCHEMA: Final = "tinyjoule.journal/1"
SYNC_S = 5.0  # what a power failure may cost at most; a killed host loses nothing
MAX_BYTES = 1 << 30  # far above 100,000 files of ad01
_CHECK = re.compile(rb',"check":"([0-9a-f]{8})"\}$')

Row_ = TypeVar("Row_", bound="_Row")


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class MonitorPlan(_Record, frozen=True):
    """How a person wants energy measured. monitor: NAME@ADDRESS. net: less what idle takes. range_a, rate_hz: null is
    the monitor's own. voltage_v: what it supplies or, where nobody measures it, what is assumed; null: nobody said."""

    monitor: str
    net: bool = False
    range_a: schema.NonNegative | Literal["auto"] | None = None
    rate_hz: schema.NonNegative | None = None
    voltage_v: schema.NonNegative | None = None


class PlanRecord(_Record, frozen=True):
    """What a person asked for, its tasks and rules settled. boards and ports: pairs, null where nobody said. energy:
    null in the other modes."""

    tasks: list[str]
    mode: schema.Mode
    rules: schema.RulesName
    inputs: schema.Positive | None
    boards: list[str | None]
    ports: list[str | None]
    profile: bool
    engine: Literal["tflite_c", "tflm"]
    tflm_dir: str | None
    model: str | None
    target: schema.Fraction | None
    link: Literal["auto", "stock"]
    energy: MonitorPlan | None = None


class MonitorRecord(_Record, frozen=True):
    """What a power monitor has to be when the session goes on, and what it said that it does. model: its key in
    accuracy.toml; voltage_v: supplied or assumed. measures_voltage: then the assumed one counts for nothing."""

    name: str
    idn: str
    model: str
    windows: Literal["marker", "trigger"]
    measures_voltage: bool
    rate_hz: schema.NonNegative
    range_a: schema.NonNegative | None
    voltage_v: schema.NonNegative


class DeviceRecord(_Record, frozen=True):
    """What a board has to be when it is opened again. name: the vendor's; the others are null on a stock firmware, and
    clock_hz where a clock means nothing."""

    name: str
    board: str | None
    build_id: str | None
    engine: str | None
    clock_hz: schema.Positive | None


class TaskRecord(_Record, frozen=True):
    """A task: its inputs, how many of them are used (`dataset.n`), and its model as each board has it."""

    task: str
    dataset: schema.DatasetInfo
    models: list[schema.ModelInfo]


class _Row(_Record, frozen=True, tag_field="kind", omit_defaults=True):
    pass


class Header(_Row, frozen=True, tag="session"):
    """The first line. `base` is the result without runs; `id` is of this session alone."""

    journal: Literal["tinyjoule.journal/1"]
    id: str
    plan: PlanRecord
    base: schema.Result
    devices: list[DeviceRecord]
    tasks: list[TaskRecord]
    monitor: MonitorRecord | None = None


class InputRow(_Row, frozen=True, tag="input"):
    """One finished input of an accuracy run. outputs, score, predicted: see host.runner.accuracy.Row."""

    task: str
    index: schema.Count
    name: str
    unit: schema.Count
    outputs: list[float]
    score: float | None = None
    predicted: schema.Count | None = None


class CalibratedRow(_Row, frozen=True, tag="calibrated"):
    """How many inferences fill a window of this task on this board, and how long one takes at most; the last counts."""

    task: str
    unit: schema.Count
    inferences: schema.Positive
    slowest_us: schema.NonNegative


class WindowRow(_Row, frozen=True, tag="window"):
    """One finished window of a performance run, on input `index`."""

    task: str
    index: schema.Count
    unit: schema.Count
    window: schema.Window


class ReadingRecord(_Record, frozen=True):
    """energy.window.Reading, field by field; null for a figure that is no number. All in the instrument's clock."""

    complete: bool
    start_s: float | None
    end_s: float | None
    energy_j: float | None
    charge_c: float | None
    flux_vs: float | None
    start_w: float | None
    end_w: float | None
    u_start_s: float | None
    u_end_s: float | None
    rate_hz: schema.NonNegative
    samples: schema.Count
    lost: schema.Count
    nans: schema.Count
    overloads: schema.Count
    range_switches: schema.Count
    device_s: float | None
    voltage_measured: bool
    reasons: list[str]


class EnergyWindowRow(_Row, frozen=True, tag="energy"):
    """One finished window of an energy run, on input `index`. window: by the board's clock; null where it tells no
    time."""

    task: str
    index: schema.Count
    unit: schema.Count
    input: str
    inferences: schema.Positive
    reading: ReadingRecord
    window: schema.Window | None = None


class IdleRecord(_Record, frozen=True):
    """energy.window.Idle, field by field; null for a figure that is no number."""

    mean_w: float | None
    mean_a: float | None
    mean_v: float | None
    u_w: float | None
    duration_s: schema.NonNegative
    rate_hz: schema.NonNegative
    samples: schema.Count
    lost: schema.Count
    nans: schema.Count
    overloads: schema.Count
    range_switches: schema.Count
    voltage_measured: bool
    reasons: list[str]


class IdleRow(_Row, frozen=True, tag="idle"):
    """What the board takes when it waits, before and after a task's windows."""

    task: str
    unit: schema.Count
    when: Literal["before", "after"]
    idle: IdleRecord


class ProfileRow(_Row, frozen=True, tag="profile"):
    """The profile of a task, and why it is not valid."""

    task: str
    unit: schema.Count
    profile: schema.Profile
    reasons: list[str] = []


class DroppedRow(_Row, frozen=True, tag="dropped"):
    """A board left the session; it is back when the session is resumed."""

    unit: schema.Count
    reason: str


class ResumedRow(_Row, frozen=True, tag="resumed"):
    """Another host went on from here."""

    at: str


class DoneRow(_Row, frozen=True, tag="done"):
    """Everything that was planned is finished."""


Row = InputRow | CalibratedRow | WindowRow | EnergyWindowRow | IdleRow | ProfileRow | DroppedRow | ResumedRow | DoneRow


class Journal:
    """An open journal: `header`, and `rows` in the order they were finished. Threads may append at once."""

    def __init__(self, path: Path, file: BinaryIO, header: Header, rows: list[Row], check: int, size: int) -> None:
        """Use `create` or `reopen`."""
        self.path = path
        self.header = header
        self.rows = rows
        self._file = file
        self._check = check
        self._size_bytes = size
        self._synced_s = time.monotonic()
        self._lock = threading.Lock()

    @classmethod
    def create(cls, folder: Path, header: Header) -> Self:
        """Begin the journal of `folder`. Raises HostError when it cannot be written, or when there is one already."""
        path = folder / FILE
        try:
            file = path.open("x+b", buffering=0)
        except OSError as error:
            raise _cannot_write(path, error) from error
        try:
            _lock(path, file)
            journal = cls(path, file, header, [], 0, 0)
            journal._write(header, sync=True)
        except BaseException:
            file.close()
            raise
        return journal

    @classmethod
    def reopen(cls, folder: Path) -> Self:
        """Read the journal of `folder` and go on behind its last whole line.

        Raises HostError when there is none or another host has it open, ResultInvalid when it was damaged or edited.
        """
        path = folder / FILE
        try:
            file = path.open("r+b", buffering=0)
        except OSError as error:
            raise HostError(
                f"cannot open {path}: {error.strerror}. Name a folder in which `host bench` has begun to measure."
            ) from error
        try:
            _lock(path, file)
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise ResultInvalid(f"{path} is larger than any journal gets: name a folder that `host bench` wrote.")
            text = file.read()
            header, rows, check, size = decode(text, str(path))
            file.truncate(size)
            file.seek(size)
        except OSError as error:
            file.close()
            raise _cannot_write(path, error) from error
        except BaseException:
            file.close()
            raise
        return cls(path, file, header, rows, check, size)

    def append(self, row: Row, *, sync: bool = False) -> None:
        """Add a row. It survives a kill of the host from now on; with `sync`, a power failure too.

        Raises HostError when the disk is full: the journal is then as it was.
        """
        with self._lock:
            self._write(row, sync=sync)
            self.rows.append(row)

    def of(self, kind: type[Row_], task: str, unit: int | None = None) -> list[Row_]:
        """The rows of a kind for a task, and a board if one is named, in the order of the inputs."""
        with self._lock:
            rows = [row for row in self.rows if isinstance(row, kind)]
        found = [
            row for row in rows if getattr(row, "task", None) == task and unit in (None, getattr(row, "unit", None))
        ]
        return sorted(found, key=lambda row: getattr(row, "index", 0))

    @property
    def done(self) -> bool:
        """Whether the session has nothing left to do."""
        return bool(self.rows) and isinstance(self.rows[-1], DoneRow)

    def close(self) -> None:
        """Close the file and give up the lock. May be called twice."""
        with self._lock:
            self._file.close()

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()

    def _write(self, row: Row | Header, *, sync: bool) -> None:
        line, check = seal(row, self._check)
        try:
            if self._file.write(line) != len(line):
                raise OSError(28, os.strerror(28))  # ENOSPC: the disk is full after a part of it
            if sync or time.monotonic() - self._synced_s >= SYNC_S:
                os.fsync(self._file.fileno())
                self._synced_s = time.monotonic()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size_bytes)
                self._file.seek(self._size_bytes)
            raise _cannot_write(self.path, error) from error
        self._check = check
        self._size_bytes += len(line)


def seal(row: Row | Header, check: int) -> tuple[bytes, int]:
    """The line of `row` behind one with `check` (0 for the first), and its own check."""
    body = msgspec.json.encode(row)
    check = zlib.crc32(body, check)
    return body[:-1] + b',"check":"%08x"}\n' % check, check


def decode(text: bytes, name: str) -> tuple[Header, list[Row], int, int]:
    """Header, rows, the check of the last line, and how many bytes are whole lines. A last line without its end is left
    out. Raises ResultInvalid, with `name` and the line, for anything else that `Journal` does not write."""
    size = text.rfind(b"\n") + 1
    lines = text[:size].split(b"\n")[:-1]
    if not lines:
        raise ResultInvalid(f"{name}: its first line was never finished, so nothing was measured: start a new session.")
    body, check = _open(lines[0], 0, f"{name}, line 1")
    header = _typed(body, _HEADER, f"{name}, line 1")
    if not header.devices or not header.tasks or any(len(task.models) != len(header.devices) for task in header.tasks):
        raise ResultInvalid(f"{name}, line 1: a session without boards or tasks: this is a bug in tinyjoule.")
    rows: list[Row] = []
    for number, line in enumerate(lines[1:], start=2):
        body, check = _open(line, check, f"{name}, line {number}")
        rows.append(_typed(body, _ROW, f"{name}, line {number}"))
    _check_rows(header, rows, name)
    return header, rows, check, size


_Decoded = TypeVar("_Decoded")
_HEADER = msgspec.json.Decoder(Header)
_ROW: msgspec.json.Decoder[Row] = msgspec.json.Decoder(Row)


def _typed(body: bytes, decoder: msgspec.json.Decoder[_Decoded], where: str) -> _Decoded:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResultInvalid(f"{where}: not a line of a {SCHEMA}: {error}.") from error


def _open(line: bytes, check: int, where: str) -> tuple[bytes, int]:
    match = _CHECK.search(line)
    body = line[: match.start()] + b"}" if match else b""
    own = zlib.crc32(body, check)
    if match is None or int(match[1], 16) != own:
        raise ResultInvalid(
            f"{where} is damaged, was edited, or is not of this session: its check does not follow from the lines "
            "before. Restore the file, or start a new session."
        )
    return body, own


def _check_rows(header: Header, rows: Sequence[Row], name: str) -> None:
    """What the types cannot tell: rows of tasks, boards and inputs that the header has, and each only once."""
    inputs = {task.task: task.dataset.n for task in header.tasks}
    seen: set[tuple[object, ...]] = set()
    for number, row in enumerate(rows, start=2):
        where = f"{name}, line {number}"
        task, unit, index = (getattr(row, field, None) for field in ("task", "unit", "index"))
        if (
            (task is not None and task not in inputs)
            or (unit is not None and unit >= len(header.devices))
            or (task is not None and index is not None and index >= inputs[task])
        ):
            raise ResultInvalid(f"{where}: a row of a task, board or input that the session has not.")
        if isinstance(row, (CalibratedRow, DroppedRow, ResumedRow)):
            continue
        # An input is finished once, whichever board did it; a window or a profile once on each board.
        key = (type(row), task, index, None if isinstance(row, InputRow) else unit, getattr(row, "when", None))
        if key in seen:
            raise ResultInvalid(f"{where}: the same {task or 'end'} was recorded before: two hosts wrote this journal.")
        seen.add(key)
    if any(isinstance(row, DoneRow) for row in rows[:-1]):
        raise ResultInvalid(f"{name}: rows behind the end of the session: two hosts wrote this journal.")


def _lock(path: Path, file: BinaryIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise HostError(f"{path}: another host has this session open. Wait until it ends, or stop it.") from None


def _cannot_write(path: Path, error: OSError) -> HostError:
    return HostError(
        f"cannot write {path}: {error}. What it holds is kept: free some room, then host bench --resume {path.parent}"
    )
