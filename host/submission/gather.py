# SPDX-License-Identifier: Apache-2.0
"""What of some sessions makes a submission, and every reason why they make none.

Nothing in a result folder is believed alone: figures have to follow from the journal, whose lines are chained, and the
labels from their hash in it.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from host.catalog import Dataset, default_catalog
from host.catalog.files import sha256
from host.errors import HostError, ResultInvalid, UsageError
from host.results import journal, record, schema
from host.results.journal import EnergyWindowRow, Header, IdleRow, InputRow, Row, WindowRow
from host.results.plain import open_plain, read_plain
from host.runner import accuracy
from host.runner.energy_figures import figures
from host.runner.rules import NOT_OFFICIAL, UNDER_TARGET
from host.runner.statistics import throughput
from host.submission.layout import BENCHMARKS, MODES, REQUIRED, Benchmark, Division, LogInput

MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Session:
    """One result folder, read. The hashes are of its files."""

    folder: Path
    result: schema.Result
    header: Header
    rows: tuple[Row, ...]
    result_sha256: str
    journal_sha256: str
    transcript_sha256: str

    @property
    def firmware(self) -> dict[str, object]:
        """What has to be the same in all sessions of a submission."""
        base, device = self.header.base, self.header.devices[0]
        return {
            "board": base.board.name,
            "clock": base.board.clock_hz,
            "device": device.name,
            "firmware build": device.build_id,
            "engine": device.engine,
            "compiler": base.firmware.compiler,
            "compiler flags": base.firmware.flags,
        }


@dataclass(frozen=True, slots=True)
class Cell:
    """A benchmark in one mode. inputs: of an accuracy run."""

    session: Session
    benchmark: Benchmark
    run: schema.Run
    inputs: tuple[LogInput, ...] = ()


@dataclass(frozen=True, slots=True)
class Gathered:
    """The cells of a submission by benchmark, and what was left out, in words."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...]

    @property
    def first(self) -> Session:
        """Its board and firmware are those of all."""
        return self.cells[0].session

    @property
    def firmware(self) -> schema.FirmwareInfo:
        """That of all, as the session tells it that had the image at hand, if one had."""
        told = [cell.session.header.base.firmware for cell in self.cells]
        return next((one for one in told if one.sha256 is not None), told[0])

    def of(self, benchmark: str) -> list[Cell]:
        """The cells of a benchmark."""
        return [cell for cell in self.cells if cell.benchmark.name == benchmark]


def refuse(reasons: Sequence[str]) -> ResultInvalid:
    """All of them in one error."""
    return ResultInvalid("this cannot be handed in:\n" + "\n".join(f"  {reason}" for reason in reasons))


def gather(folders: Sequence[Path], division: Division) -> Gathered:
    """Read the folders. Raises ResultInvalid with every reason why they make no submission, UsageError without any."""
    if len({folder.resolve() for folder in folders}) != len(folders):
        raise UsageError("the same folder twice: name each result folder once.")
    reasons: list[str] = []
    notes: list[str] = []
    sessions: list[Session] = []
    for folder in folders:
        try:
            sessions.append(_read(folder))
        except HostError as error:
            reasons.append(str(error))
    cells: list[Cell] = []
    for session in sessions:
        reasons += (f"{session.folder}: {reason}" for reason in _session_reasons(session))
        cells += _cells(session, division, reasons, notes)
    reasons += _alike(sessions)
    reasons += _complete(cells)
    if not cells and not reasons:
        reasons.append("these folders hold no run of a benchmark: `host bench --rules mlperf` makes some.")
    if reasons:
        raise refuse(reasons)
    order = list(BENCHMARKS)
    cells.sort(key=lambda cell: (order.index(cell.benchmark.name), MODES.index(cell.run.mode)))
    return Gathered(tuple(cells), tuple(notes))


def _read(folder: Path) -> Session:
    result = record.read_result(folder)
    try:
        path = folder / journal.FILE
        text = read_plain(path, MAX_FILE_BYTES)
        header, rows, _, size = journal.decode(text, str(path))
        if size != len(text):
            raise ResultInvalid(f"{path}: its last line was never finished: go on with `host bench --resume {folder}`.")
        return Session(
            folder,
            result,
            header,
            tuple(rows),
            sha256(read_plain(folder / record.RESULT_FILE, record.MAX_RESULT_BYTES)),
            sha256(text),
            _file_sha256(folder / record.LOG_FILE),
        )
    except OSError as error:
        raise HostError(
            f"cannot read {error.filename}: {error.strerror}. Name the folders as `host bench` left them."
        ) from error


def _file_sha256(path: Path) -> str:
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _session_reasons(session: Session) -> Iterator[str]:
    header, result = session.header, session.result
    for name in dict.fromkeys((result.provenance, header.base.provenance)):
        if name != "measured":
            yield f"{name}: only what was measured on a board can be handed in. Measure it on the board, with --port"
    if header.plan.rules != "mlperf":
        yield f"measured under the {header.plan.rules} rules: measure it again with --rules mlperf"
    plain, base = (msgspec.structs.replace(one, runs=[], units=[]) for one in (result, header.base))
    if plain != base:
        yield f"{record.RESULT_FILE} does not follow from {journal.FILE}: board, firmware or host differ. Restore both"
    if header.plan.energy is not None and header.plan.energy.net:
        yield "energy net of idle: the rules ask for all that the board takes. Measure it again without --net"


def _alike(sessions: Sequence[Session]) -> Iterator[str]:
    """One board and one firmware, in all sessions and on all their boards."""
    for session in sessions:
        base, first = sessions[0], session.header.devices[0]
        for what, wanted in base.firmware.items():
            if (got := session.firmware[what]) != wanted:
                yield (
                    f"{session.folder}: the {what} is {got}, in {base.folder} it is {wanted}: a submission is of one "
                    "board with one firmware. Measure again, or make two submissions"
                )
        one, other = base.header.base.firmware.sha256, session.header.base.firmware.sha256
        if one is not None and other is not None and one != other:
            yield f"{session.folder}: its ELF file is not that of {base.folder}: measure again with one image"
        if any(device != first for device in session.header.devices):
            yield f"{session.folder}: its boards are not alike: a submission is of one board with one firmware"


def _complete(cells: Sequence[Cell]) -> Iterator[str]:
    """Each cell once, the same model and inputs in all of a benchmark's, and none missing that the rules ask for."""
    for benchmark in BENCHMARKS.values():
        of_it = [cell for cell in cells if cell.benchmark == benchmark]
        for mode in MODES:
            found = [cell for cell in of_it if cell.run.mode == mode]
            if len(found) > 1:
                where = " and ".join(str(cell.session.folder) for cell in found)
                yield f"{benchmark.task}, {mode}: {len(found)} runs ({where}): name the folder of one alone"
            if of_it and not found and mode in REQUIRED:
                yield (
                    f"{benchmark.task}: no {mode} run, which every benchmark of a submission has: "
                    f"`host bench {benchmark.task} --mode {mode} --rules mlperf` makes it"
                )
        for cell in of_it[1:]:
            for what, one, other in (
                ("model", of_it[0].run.model.sha256, cell.run.model.sha256),
                ("set of inputs", of_it[0].run.dataset.sha256, cell.run.dataset.sha256),
                ("list of labels", of_it[0].run.dataset.labels_sha256, cell.run.dataset.labels_sha256),
            ):
                if one != other:
                    yield f"{cell.session.folder}: {benchmark.task}: another {what} than in {of_it[0].session.folder}"


def _cells(session: Session, division: Division, reasons: list[str], notes: list[str]) -> Iterator[Cell]:
    by_task = {benchmark.task: benchmark for benchmark in BENCHMARKS.values()}
    if not session.result.runs:
        reasons.append(f"{session.folder}: no task is finished: `host bench --resume {session.folder}` goes on with it")
    for run in session.result.runs:
        benchmark = by_task.get(run.task)
        if benchmark is None:
            notes.append(f"{session.folder}: {run.task} left out: a submission has no place for it")
            continue
        where = f"{session.folder}: {run.task}, {run.mode}"
        reasons += (f"{where}: {reason}" for reason in _run_reasons(session, run, benchmark, division))
        inputs: tuple[LogInput, ...] = ()
        try:
            if run.mode == "accuracy":
                inputs = _inputs(session, run, benchmark)
            else:
                _check_windows(session, run)
        except (HostError, OSError) as error:
            reasons.append(f"{where}: {error}")
        yield Cell(session, benchmark, msgspec.structs.replace(run, profile=None), inputs)


def _run_reasons(session: Session, run: schema.Run, benchmark: Benchmark, division: Division) -> Iterator[str]:
    if not run.valid and not run.reasons:
        yield "not valid, and nobody knows why"
    for reason in run.reasons:
        if not (division == "open" and (NOT_OFFICIAL in reason or UNDER_TARGET in reason)):
            yield f"not valid: {reason}"
    planned = [task for task in session.header.tasks if task.task == run.task]
    unit = run.unit or 0
    if (
        not planned
        or unit >= len(planned[0].models)
        or (run.model, run.dataset) != (planned[0].models[unit], planned[0].dataset)
        or (run.mode, run.rules) != (session.header.plan.mode, session.header.plan.rules)
    ):
        yield f"{record.RESULT_FILE} says another model, set of inputs, mode or rules than {journal.FILE}: restore both"
    if division == "closed" and run.valid and run.model.sha256 not in (None, *_official_models(run.task)):
        yield f"the model {run.model.name} {NOT_OFFICIAL} in the closed division: `host models` tells where to get it"
    if run.mode == "accuracy" and run.dataset.n != benchmark.inputs:
        advice = f"`host data fetch {run.task}` gets it"
        if session.header.plan.inputs is not None:
            advice = f"leave out --inputs; {advice}"
        yield f"{run.dataset.n} inputs ({run.dataset.source}), the official set has {benchmark.inputs}: {advice}"


def _official_models(task: str) -> list[str]:
    return [one.sha256 for one in default_catalog().model_spec(task).variants if one.official]


def _broken() -> ResultInvalid:
    return ResultInvalid(f"{record.RESULT_FILE} does not follow from {journal.FILE}: was it edited? Restore both")


def _rows(session: Session, kind: type[journal.Row_], run: schema.Run) -> list[journal.Row_]:
    rows = [row for row in session.rows if isinstance(row, kind) and getattr(row, "task", None) == run.task]
    if run.mode != "accuracy":
        rows = [row for row in rows if getattr(row, "unit", None) == run.unit]
    return sorted(rows, key=lambda row: getattr(row, "index", 0))


def _check_windows(session: Session, run: schema.Run) -> None:
    """Raises ResultInvalid unless the run's windows and what they come to are the journal's."""
    if run.mode == "performance":
        windows = [row.window for row in _rows(session, WindowRow, run)]
        if not windows or windows != run.windows or run.throughput_inf_per_s != throughput(windows):
            raise _broken()
        return
    rows, told = _rows(session, EnergyWindowRow, run), run.energy_uj
    if not rows or told is None or [row.window for row in rows if row.window is not None] != run.windows:
        raise _broken()
    if _without_u(figures(session.header, rows, _rows(session, IdleRow, run))) != _without_u(told):
        raise _broken()


def _without_u(energy: schema.Energy) -> schema.Energy:
    """Energy alone: a later table of accuracies may make another uncertainty of the same windows."""
    return msgspec.structs.replace(
        energy,
        u=None,
        budget=[],
        windows=[msgspec.structs.replace(window, u_uj=None) for window in energy.windows],
        monitor=msgspec.structs.replace(energy.monitor, accuracy_source=None),
    )


def _inputs(session: Session, run: schema.Run, benchmark: Benchmark) -> tuple[LogInput, ...]:
    """What every input gave, with its label. Raises ResultInvalid unless they come to the run's accuracy."""
    part = session.header.plan.inputs is not None and run.dataset.n != benchmark.inputs
    rows, names = _rows(session, InputRow, run), _labels(session.folder, run, whole=not part)
    told = run.accuracy
    if told is None or [row.name for row in rows] != [name for name, _ in names]:
        raise _broken()
    found = [
        accuracy.Row(row.name, label, tuple(row.outputs), row.score, row.predicted)
        for row, (_, label) in zip(rows, names, strict=True)
    ]
    # Only the metric counts here: the inputs themselves are not looked at.
    dataset = Dataset(run.task, run.dataset.name, run.dataset.source, "", 0, benchmark.metric, benchmark.target, ())
    scored = accuracy.score(dataset, found)
    if (scored.metric, scored.value, scored.auc, scored.n) != (told.metric, told.value, told.auc, told.n):
        raise _broken()
    return tuple(
        LogInput(name=row.name, label=row.label, outputs=list(row.outputs), score=row.score, predicted=row.predicted)
        for row in found
    )


def _labels(folder: Path, run: schema.Run, *, whole: bool) -> list[tuple[str, int]]:
    """Names and labels of outputs-<task>.csv, which have to be those that the journal has a hash of.

    The hash is of the whole set: a part cannot be held against it, and is refused for its number.
    """
    path = folder / f"outputs-{run.task}.csv"
    try:
        rows = list(csv.reader(io.StringIO(read_plain(path, MAX_FILE_BYTES).decode("utf-8"))))[1:]
        found = [(row[0], int(row[1])) for row in rows]
    except (ValueError, IndexError, csv.Error) as error:
        raise ResultInvalid(f"{path}: not as `host bench` wrote it ({error}): restore it") from error
    if whole and sha256("".join(f"{name},{label}\n" for name, label in found).encode()) != run.dataset.labels_sha256:
        raise ResultInvalid(f"{path}: its labels are not those of the session: restore it")
    return found
