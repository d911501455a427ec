# SPDX-License-Identifier: Apache-2.0
"""Writes log.txt and results.txt of one cell: the session's own lines, then the record. layout.py has their form."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from host.errors import HostError, ResultInvalid
from host.exchange import GOES_ON, MAX_ENTRY_BYTES, task_note
from host.results import record, schema
from host.results.journal import ResumedRow
from host.results.plain import open_plain
from host.submission import layout
from host.submission.gather import Cell, Session
from host.submission.layout import LogHead, escaped, quoted

_DATA = re.compile(r"db [0-9a-fA-F]+%")
_TASK = re.compile(r"here begins \S+, \S+")
_SOURCES: dict[str, str] = {"tx": "host", "rx": "dut", "note": "note"}


class _Entry(msgspec.Struct, frozen=True):
    """A line of log.jsonl."""

    t: float
    dir: Literal["tx", "rx", "note"]
    line: str
    unit: int | None = None


_ENTRY = msgspec.json.Decoder(_Entry)


def write_logs(cell: Cell, folder: Path) -> None:
    """log.txt and results.txt of a cell into `folder`, which is there. Raises ResultInvalid for a damaged log.jsonl."""
    results: list[str] = []
    try:
        with (folder / layout.LOG_FILE).open("x", encoding="ascii", newline="\n") as log:
            clock = _Clock(cell.session)
            stamp = clock.stamp
            log.write(f"{stamp} tinyjoule: {escaped(msgspec.json.encode(_head(cell)).decode())}\n")
            for stamp, source, text in _session_lines(cell, clock):
                log.write(f"{stamp} {source}: {escaped(text)}\n")
            for text in _record(cell):
                line = f"{stamp} ulp-mlperf: {escaped(text)}\n"
                log.write(line)
                if not text.startswith(("  Input ", "Input ")):
                    results.append(line)
        (folder / layout.RESULTS_FILE).write_text("".join(results), encoding="ascii", newline="\n")
    except OSError as error:
        raise HostError(
            f"cannot write into {folder}: {error.strerror}. Free some room, or choose another -o."
        ) from error


def _head(cell: Cell) -> LogHead:
    run = cell.run
    energy = run.energy_uj
    return LogHead(
        log=layout.LOG_SCHEMA,
        benchmark=cell.benchmark.name,
        task=run.task,
        mode=run.mode,
        provenance="measured",
        rules="mlperf",
        session=cell.session.header.id,
        board=cell.session.header.base.board.name,
        model_sha256=run.model.sha256,
        dataset_sha256=run.dataset.sha256,
        windows=0 if run.mode == "accuracy" else len(energy.windows if energy is not None else run.windows),
        inputs=len(cell.inputs),
    )


class _Clock:
    """Seconds of log.jsonl as times of the day. Each start of a host counts them anew; when that was is known of the
    moment when it began its first task."""

    def __init__(self, session: Session) -> None:
        began = [row.at for row in session.rows if isinstance(row, ResumedRow)]
        self._began = iter([_time(at) for at in (session.result.created, *began)])
        self.now = _time(session.result.created)
        self._base: datetime | None = None
        self._waiting: list[float] = []

    @property
    def stamp(self) -> str:
        """MMDD.HHMMSS of the last moment seen."""
        return f"{self.now:%m%d.%H%M%S}"

    def restart(self) -> None:
        """Another host went on."""
        self._base = None

    def begin_task(self, seconds: float) -> None:
        """The first task of a host begins at its `seconds`."""
        if self._base is None:
            # A clock that was set back in between would have all of it happen at once.
            self._base = max(next(self._began, self.now), self.now) - timedelta(seconds=seconds)

    def at(self, seconds: float) -> str:
        """The stamp of `seconds`, never before an older one. While boards are being opened it stands still."""
        if self._base is not None:
            self.now = max(self.now, self._base + timedelta(seconds=seconds))
        return self.stamp


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _session_lines(cell: Cell, clock: _Clock) -> Iterator[tuple[str, str, str]]:
    """Stamp, source and text of what was said and heard for this cell: the opening of the boards, and the task."""
    wanted, current = task_note(cell.run.task, cell.run.mode), None
    several = len(cell.session.header.devices) > 1
    data = _InputData()
    for entry in _entries(cell.session.folder / record.LOG_FILE):
        if entry.dir == "note" and entry.line == GOES_ON:
            current = None
            clock.restart()
        elif entry.dir == "note" and _TASK.fullmatch(entry.line):
            current = entry.line
            clock.begin_task(entry.t)
        if current not in (None, wanted):
            continue
        suffix = f".{(entry.unit or 0) + 1}" if several else ""
        for source, text in data.taken(entry):
            yield clock.at(entry.t), source + suffix, text


class _InputData:
    """Puts `db HH..` commands and the answers to them into one line; for each board apart."""

    def __init__(self) -> None:
        self._pending: dict[int | None, tuple[int, int, bool]] = {}  # commands, bytes, whether an answer is awaited

    def taken(self, entry: _Entry) -> Iterator[tuple[str, str]]:
        """Source and text of what is to be written."""
        commands, count, waits = self._pending.get(entry.unit, (0, 0, False))
        if entry.dir == "tx" and _DATA.fullmatch(entry.line):
            self._pending[entry.unit] = (commands + 1, count + (len(entry.line) - 4) // 2, True)
            return
        if waits and entry.dir == "rx" and entry.line == "m-ready":
            self._pending[entry.unit] = (commands, count, False)
            return
        if commands:
            del self._pending[entry.unit]
            yield "note", f"{commands} db commands with {count} bytes of input left out here"
        yield _SOURCES[entry.dir], entry.line


def _entries(path: Path) -> Iterator[_Entry]:
    try:
        with open_plain(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_ENTRY_BYTES), b""), start=1):
                try:
                    yield _ENTRY.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise ResultInvalid(f"{path}, line {number}: damaged ({error}): restore the file") from error
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}. Name the folders as `host bench` left them.") from error


def _record(cell: Cell) -> Iterator[str]:
    if cell.run.mode == "accuracy":
        yield from _accuracy(cell)
    elif cell.run.energy_uj is not None:
        yield from _energy(cell.run.energy_uj)
    else:
        yield from _performance(cell.run)


def _performance(run: schema.Run) -> Iterator[str]:
    for number, window in enumerate(run.windows, start=1):
        yield f"Performance results for window {number}:"
        yield f"  Input        : {quoted(window.input)}"
        yield f"  # Inferences : {window.inferences:12d}"
        yield f"  Runtime      : {window.duration_us / 1e6:12.6f} sec."
        yield f"  Throughput   : {layout.throughput_text(window.inferences * 1e6 / window.duration_us):>12} inf./sec."
        yield "Runtime requirements have been met."
    yield layout.RULER
    yield f"Median throughput is {layout.throughput_text(run.throughput_inf_per_s or 0.0)} inf./sec."
    yield layout.RULER


def _energy(energy: schema.Energy) -> Iterator[str]:
    costs = []
    for number, window in enumerate(energy.windows, start=1):
        total = window.energy_uj or 0.0
        costs.append(f"{total / window.inferences:.6f}")
        device = "    not told" if window.device_us is None else f"{window.device_us / 1e6:12.6f} sec."
        yield f"Energy data for window {number}:"
        yield f"  Input        : {quoted(window.input)}"
        yield f"  # Inferences : {window.inferences:12d}"
        yield f"  Duration     : {window.duration_s or 0.0:12.6f} sec."
        yield f"  Device time  : {device}"
        yield f"  Energy       : {total:15.6f} uJ"
        yield f"  Uncertainty  : {'      not known' if window.u_uj is None else f'{window.u_uj:15.6f} uJ'}"
        yield f"  Energy/Inf.  : {costs[-1]:>15} uJ/inf."
    # Of what was just written, so that whoever reads it gets the same digits.
    value, uncertainty = layout.energy_text(statistics.median(map(float, costs)), energy.u)
    yield layout.RULER
    yield f"Median energy cost is {value} uJ/inf."
    if uncertainty is None:
        yield "Expanded uncertainty is not known."
    else:
        yield f"Expanded uncertainty is {uncertainty} uJ/inf., k = {energy.k:g}."
    yield layout.RULER


def _accuracy(cell: Cell) -> Iterator[str]:
    inputs = cell.inputs
    for number, one in enumerate(inputs, start=1):
        yield f"Input {number} of {len(inputs)}: {msgspec.json.encode(one).decode()}"
    if all(one.predicted is not None for one in inputs):
        right = sum(one.predicted == one.label for one in inputs)
        yield f"Top 1% = {layout.percent_text(right, len(inputs))}"
    accuracy = cell.run.accuracy
    if accuracy is not None and accuracy.auc is not None:
        yield f"AUC = {layout.fraction_text(accuracy.auc)}"


def summary(cell: Cell) -> str:
    """The result of a cell in a few words: what the lines say that the official checker looks for."""
    said = (text for text in _record(cell) if text.startswith(("Median", "Top 1%", "AUC")))
    return ", ".join(re.sub(r"\s+", " ", text) for text in said)
