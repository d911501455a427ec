"""What a journal's rows say: which tasks are finished, and the records of a session. Pure functions of the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from host.results import record, schema
from host.results.journal import (
    DroppedRow,
    EnergyWindowRow,
    IdleRow,
    InputRow,
    Journal,
    ProfileRow,
    ResumedRow,
    TaskRecord,
    WindowRow,
)
from host.runner.accuracy import Row, score
from host.runner.energy_figures import figures
from host.runner.performance import summarise
from host.runner.plan import Workload
from host.runner.rules import (
    RULES,
    accuracy_reasons,
    energy_reasons,
    judged_model,
    performance_reasons,
    quality_target,
)
from host.runner.target import microsecond


def _task(journal: Journal, task: str) -> TaskRecord:
    return next(record for record in journal.header.tasks if record.task == task)


def finished(journal: Journal, task: str, unit: int | None = None) -> bool:
    """Whether nothing is left of a task; of what board `unit` has to do, in a performance run."""
    wanted, plan = _task(journal, task).dataset.n, journal.header.plan
    if plan.mode == "accuracy":
        return len(journal.of(InputRow, task)) == wanted
    if unit is None:
        return all(finished(journal, task, number) for number in range(len(journal.header.devices)))
    profiled = not plan.profile or bool(journal.of(ProfileRow, task, unit))
    if plan.mode == "energy":
        idles = {row.when for row in journal.of(IdleRow, task, unit)}
        return profiled and len(idles) == 2 and len(journal.of(EnergyWindowRow, task, unit)) == wanted
    return profiled and len(journal.of(WindowRow, task, unit)) == wanted


def compute(journal: Journal, works: Sequence[Workload]) -> schema.Result:
    """The result of a session: a run for each finished task, in the other modes for each board that finished it."""
    plan = journal.header.plan
    runs = []
    for work in works:
        task = work.model.task
        if plan.mode == "accuracy":
            if finished(journal, task):
                runs.append(_accuracy(journal, work))
            continue
        for unit in range(len(journal.header.devices)):
            if finished(journal, task, unit):
                runs.append((_energy if plan.mode == "energy" else _performance)(journal, work, unit))
    return msgspec.structs.replace(journal.header.base, runs=runs, units=_units(journal))


def write_outputs(journal: Journal, work: Workload, folder: Path) -> None:
    """outputs-<task>.csv of a finished accuracy run."""
    record.write_outputs(folder, work.model.task, _rows(journal, work))


def _units(journal: Journal) -> list[schema.Unit]:
    """The boards with what they did. One that was dropped is back when the session goes on."""
    inputs: Counter[int] = Counter()
    dropped: dict[int, str] = {}
    for row in journal.rows:
        if isinstance(row, InputRow | WindowRow | EnergyWindowRow):
            inputs[row.unit] += 1
        elif isinstance(row, DroppedRow):
            dropped[row.unit] = row.reason
        elif isinstance(row, ResumedRow):
            dropped.clear()
    return [
        msgspec.structs.replace(unit, inputs=inputs[number], dropped=dropped.get(number))
        for number, unit in enumerate(journal.header.base.units)
    ]


def _run(journal: Journal, task: str, unit: int | None) -> schema.Run:
    wanted, plan = _task(journal, task), journal.header.plan
    return schema.Run(
        task=task,
        mode=plan.mode,
        rules=plan.rules,
        valid=True,
        reasons=[],
        model=wanted.models[unit or 0],
        dataset=wanted.dataset,
        windows=[],
        latency_us=None,
        throughput_inf_per_s=None,
        instructions_per_inference=None,
        accuracy=None,
        unit=unit,
    )


def _rows(journal: Journal, work: Workload) -> list[Row]:
    items = work.dataset.items
    return [
        Row(row.name, items[row.index].label, tuple(row.outputs), row.score, row.predicted)
        for row in journal.of(InputRow, work.model.task)
    ]


def _accuracy(journal: Journal, work: Workload) -> schema.Run:
    plan = journal.header.plan
    run = _run(journal, work.model.task, 0 if len(journal.header.devices) == 1 else None)
    rows = _rows(journal, work)
    judged = judged_model(work.model, run.model)
    accuracy = score(work.dataset, rows, quality_target(work.dataset, judged, len(rows), plan.target))
    reasons = accuracy_reasons(RULES[plan.rules], work.dataset, accuracy, judged)
    return msgspec.structs.replace(run, accuracy=accuracy, valid=not reasons, reasons=list(reasons))


def _performance(journal: Journal, work: Workload, unit: int) -> schema.Run:
    header, task = journal.header, work.model.task
    run = _run(journal, task, unit)
    windows = [row.window for row in journal.of(WindowRow, task, unit)]
    run = _timed(run, windows, microsecond(header.base.provenance, header.devices[unit].clock_hz))
    profiles = journal.of(ProfileRow, task, unit)
    reasons = list(performance_reasons(RULES[header.plan.rules], windows, judged_model(work.model, run.model)))
    reasons += [reason for row in profiles for reason in row.reasons]
    return msgspec.structs.replace(
        run,
        valid=not reasons,
        reasons=reasons,
        profile=profiles[0].profile if profiles else None,
    )


def _energy(journal: Journal, work: Workload, unit: int) -> schema.Run:
    """Energy, and the latency of the same windows where the board tells its times."""
    header, task = journal.header, work.model.task
    run = _run(journal, task, unit)
    rows = journal.of(EnergyWindowRow, task, unit)
    windows = [row.window for row in rows if row.window is not None]
    if windows:
        run = _timed(run, windows, microsecond(header.base.provenance, header.devices[unit].clock_hz))
    energy = figures(header, rows, journal.of(IdleRow, task, unit))
    profiles = journal.of(ProfileRow, task, unit)
    judged = judged_model(work.model, run.model)
    reasons = list(energy_reasons(RULES[header.plan.rules], energy.windows, energy.clock_ratio, judged))
    if energy.value is None and energy.gross is not None:
        reasons.append(
            "the energy net of idle was asked for, and what the board takes when idle could not be measured: run it "
            "again, or leave out --net"
        )
    reasons += [reason for row in profiles for reason in row.reasons]
    return msgspec.structs.replace(
        run,
        valid=not reasons,
        reasons=reasons,
        energy_uj=energy,
        profile=profiles[0].profile if profiles else None,
    )


def _timed(run: schema.Run, windows: Sequence[schema.Window], unit: str) -> schema.Run:
    summary = summarise(windows, unit)
    return msgspec.structs.replace(
        run,
        windows=list(windows),
        latency_us=summary.latency,
        throughput_inf_per_s=summary.throughput_inf_per_s,
        instructions_per_inference=summary.instructions,
        clock=summary.clock,
    )
