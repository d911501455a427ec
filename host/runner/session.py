"""One bench session: boards, their tasks, one result folder.

The journal is what a session knows: it does what the journal has not, and computes every record from the journal's
rows. So a session that was cut off and resumed ends as one that was not.
The session knows nothing of terminals: it reports through a `Reporter` and leaves records behind.
"""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import msgspec

from energy.instrument import is_virtual
from energy.trace import recover_folder
from host import build
from host.catalog import Progress
from host.device import Transcript
from host.errors import DeviceError, DeviceRefused, LinkError, SetupError, UsageError
from host.exchange import task_note
from host.report.progress import Reporter
from host.results import record, schema
from host.results.journal import DoneRow, DroppedRow, Header, Journal, PlanRecord, ResumedRow, TaskRecord
from host.runner.energy import EnergyJob
from host.runner.fleet import Fleet, Job, Member, check_alike
from host.runner.monitor import Monitor, check_measurable, check_provenance, check_same, moved, opened_monitor
from host.runner.plan import (
    Place,
    Plan,
    Workload,
    find_workloads,
    from_record,
    image_variant,
    places,
    to_record,
)
from host.runner.rules import RULES
from host.runner.tally import compute, finished, write_outputs
from host.runner.target import Connection, describe, identity, runs_model, select
from host.runner.work import AccuracyJob, PerformanceJob

__all__ = ["Outcome", "Plan", "resume_session", "run_session"]


@dataclass(slots=True)
class Outcome:
    """Where the records are and what they say. complete: nothing is left that a resumed session could do."""

    folder: Path
    result: schema.Result
    complete: bool = True


def run_session(plan: Plan, reporter: Reporter) -> Outcome:
    """Run the plan. What was finished before a failure stays in the folder, which the error then names."""
    pairs = places(plan)
    check_measurable(plan.energy, pairs)
    works = find_workloads(plan, reporter)
    name = pairs[0].board.name if pairs[0].board else "port"
    folder = record.create_folder(plan.out, f"{name}-{plan.mode}")
    with (
        _naming(folder),
        Transcript(folder / record.LOG_FILE) as transcript,
        _monitored(plan, folder) as monitor,
        _opened(plan, pairs, works, transcript, reporter, monitor=monitor) as fleet,
    ):
        header, works = _begin(plan, fleet, works, reporter, monitor)
        _keep_images(fleet, folder)
        with Journal.create(folder, header) as journal:
            return _go_on(plan, works, fleet, journal, folder, reporter, monitor)


def resume_session(
    folder: Path,
    ports: Sequence[str],
    reporter: Reporter,
    check: Callable[[PlanRecord], None] = lambda _: None,
    monitor: str | None = None,
) -> Outcome:
    """Go on with the session of `folder` where its journal ends; a finished one is only read.

    ports, monitor: where its boards and its power monitor are now, if not where they were. check: may raise when it
    sees the recorded plan.
    Raises UsageError, SetupError or DeviceError, with nothing changed, when model, data set, firmware, engine or boards
    are not what they were; HostError and ResultInvalid for a journal that cannot be gone on with.
    """
    with Journal.reopen(folder) as journal:
        check(journal.header.plan)
        plan = _moved(from_record(journal.header.plan, ports), monitor)
        works = find_workloads(plan, reporter)
        _check_works(plan, journal.header, works)
        if journal.done:
            reporter.note(f"{folder}: this session is finished; nothing is left to do.")
            return Outcome(folder, compute(journal, works))
        if plan.energy is not None:
            for said in recover_folder(folder):
                reporter.note(said)
        with (
            _naming(folder),
            Transcript(folder / record.LOG_FILE, append=True) as transcript,
            _monitored(plan, folder, journal.header) as instrument,
            _opened(plan, places(plan), works, transcript, reporter, partly=True, monitor=instrument) as fleet,
        ):
            _check_boards(journal.header, fleet, works)
            journal.append(ResumedRow(at=datetime.now(UTC).isoformat(timespec="seconds")), sync=True)
            for member in fleet.members:
                if member.dropped is not None:
                    journal.append(DroppedRow(unit=member.number, reason=member.dropped))
            return _go_on(plan, works, fleet, journal, folder, reporter, instrument)


def _moved(plan: Plan, monitor: str | None) -> Plan:
    """The plan, with its power monitor at the address that it has now."""
    if plan.energy is None:
        if monitor is not None:
            raise UsageError(f"--monitor {monitor}: the session measures no energy. Leave it out.")
        return plan
    return replace(plan, energy=msgspec.structs.replace(plan.energy, monitor=moved(plan.energy.monitor, monitor)))


@contextmanager
def _monitored(plan: Plan, folder: Path, was: Header | None = None) -> Iterator[Monitor | None]:
    """The power monitor, if the plan has one; the one that the session had."""
    if plan.energy is None:
        yield None
        return
    with opened_monitor(plan.energy, folder) as monitor:
        if was is not None:
            check_same(was.monitor, monitor.record)
        yield monitor


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Whatever ends a session early names its folder, and how to go on. One that never began leaves none."""
    try:
        yield
    except BaseException as error:
        if record.remove_unused(folder):
            raise
        error.add_note(f"the log up to here, and the records of finished tasks if any: {folder}")
        if (folder / "journal.jsonl").exists():
            error.add_note(f"what was measured is kept; to go on: host bench --resume {shlex.quote(str(folder))}")
        raise


@contextmanager
def _opened(
    plan: Plan,
    pairs: Sequence[Place],
    works: Sequence[Workload],
    transcript: Transcript,
    reporter: Reporter,
    *,
    partly: bool = False,
    monitor: Monitor | None = None,
) -> Iterator[Fleet]:
    """The boards of the plan, each answering. Raises what the first one fails of, or with `partly` the last one, if
    none answers: the others go on without those that do not."""
    variant = image_variant(plan, works)
    images: dict[str, build.Image] = {}
    with ExitStack() as stack:
        members = []
        for number, place in enumerate(pairs):
            if place.port is None and place.board is not None and place.board.name not in images:
                with reporter.step(f"building the firmware for {place.board.name}"):
                    images[place.board.name] = build.build(place.board, variant=variant)
            image = images[place.board.name] if place.port is None and place.board is not None else None
            connection = stack.enter_context(
                Connection(
                    place.board,
                    place.port,
                    transcript.of_unit(number) if len(pairs) > 1 else transcript,
                    timed=plan.mode != "accuracy",
                    image=image,
                    variant=variant,
                    link=plan.link,
                    mode="both" if plan.mode == "energy" else "performance",
                    qemu_arguments=monitor.qemu_arguments(image) if monitor and image else (),
                    virtual_power=monitor is not None and is_virtual(monitor.record.idn),
                )
            )
            members.append(member := Member(number, connection))
            try:
                member.target = connection.open()
            except LinkError as error:
                if not partly or (number == len(pairs) - 1 and all(other.dropped for other in members[:-1])):
                    raise
                member.dropped = str(error)
                reporter.note(f"{member.name} is left out: {error}")
        yield Fleet(members, reporter, transcript, on_drop=lambda _: None)


def _begin(
    plan: Plan, fleet: Fleet, works: Sequence[Workload], reporter: Reporter, monitor: Monitor | None
) -> tuple[Header, list[Workload]]:
    """The journal's first line, and the tasks that these boards run. Each board has been seen to have each model."""
    targets = [member.target for member in fleet.members if member.target is not None]
    provenance = check_alike(targets)
    if monitor is not None:
        check_provenance(monitor, provenance)
    if plan.profile and any(target.info is None for target in targets):
        raise DeviceError(
            "a profile needs tinyjoule's own firmware, and the one at this port is another: leave out --profile, "
            "or flash ours with `host flash BOARD`."
        )
    rules: schema.RulesName = plan.rules or ("quick" if provenance == "emulated" else "mlperf")
    tasks, runnable = [], []
    for work in works:
        models = _models(plan, fleet, work, reporter)
        if models is None:
            continue
        dataset = work.dataset
        used = len(work.items(plan, RULES[rules]))
        info = schema.DatasetInfo(
            name=dataset.name,
            source=dataset.source,
            sha256=dataset.sha256,
            n=used,
            labels_sha256=dataset.labels_sha256,
        )
        tasks.append(TaskRecord(task=work.model.task, dataset=info, models=models))
        runnable.append(work)
    if not runnable:
        raise SetupError("no task can run on this board: the lines above say why.")
    base = describe(targets[0])
    header = Header(
        journal="tinyjoule.journal/1",
        id=uuid.uuid4().hex,
        plan=to_record(plan, [task.task for task in tasks], rules),
        base=msgspec.structs.replace(base, units=[_unit(member) for member in fleet.members]),
        devices=[identity(target) for target in targets],
        tasks=tasks,
        monitor=monitor.record if monitor else None,
    )
    return header, runnable


def _models(plan: Plan, fleet: Fleet, work: Workload, reporter: Reporter) -> list[schema.ModelInfo] | None:
    """The model of a task as each board has it; None for a task that nobody asked for by name and a board lacks."""
    models = []
    for member in fleet.members:
        target = member.target
        assert target is not None  # noqa: S101  (they were opened a moment ago)
        try:
            if not plan.tasks and not runs_model(target, work.model.task):
                reporter.note(f"{work.model.task} left out: {member.name} does not have it")
                return None
            models.append(select(target, work.model))
            member.selected = work.model.sha256
        except DeviceRefused as error:
            member.selected = None
            if plan.tasks or error.kind != "model_refused":
                raise
            reporter.note(f"{work.model.task} left out: {error}")
            return None
    return models


def _unit(member: Member) -> schema.Unit:
    target = member.target
    assert target is not None  # noqa: S101
    board = target.board.name if target.board else f"{target.name} (stock firmware)"
    build_id = target.info.build_id if target.info else None
    return schema.Unit(
        name=board, port=member.connection.port, build_id=build_id, link=target.link, baud=target.baud, inputs=0
    )


def _keep_images(fleet: Fleet, folder: Path) -> None:
    """Map and record of each image that is really on a board, the first one's under the names it was built with."""
    kept: dict[str, str] = {}
    for member in fleet.members:
        target = member.target
        image, info = (target.image, target.info) if target else (None, None)
        if image is None or info is None or image.build_id != info.build_id or image.build_id in kept:
            continue
        prefix = f"{image.board.name}-" if kept else ""
        kept[image.build_id] = prefix
        for file in (image.map, image.elf.with_name("build.json")):
            record.copy_file(file, folder, f"{prefix}{file.name}")


def _check_works(plan: Plan, header: Header, works: Sequence[Workload]) -> None:
    """Models and inputs have to be the ones of the session, before anything is built or opened."""
    now = {work.model.task: work for work in works}
    for task in header.tasks:
        work = now[task.task]
        for what, was, is_ in (
            ("model", task.models[0].sha256 or work.model.sha256, work.model.sha256),
            ("data set", task.dataset.sha256, work.dataset.sha256),
            ("labels", task.dataset.labels_sha256 or work.dataset.labels_sha256, work.dataset.labels_sha256),
            ("number of inputs", task.dataset.n, len(work.items(plan, RULES[header.plan.rules]))),
        ):
            if was != is_:
                _refuse(f"the {what} of {task.task}", was, is_, "restore it")


def _check_boards(header: Header, fleet: Fleet, works: Sequence[Workload]) -> None:
    """The boards that answer have to be the session's, with its firmware and models."""
    for member in fleet.alive:
        target = member.target
        assert target is not None  # noqa: S101  (they were opened a moment ago)
        old, new = header.devices[member.number], identity(target)
        for what, was, now in (
            ("kind", old.board, new.board),
            ("engine", old.engine, new.engine),
            ("firmware build", old.build_id, new.build_id),
            ("name", old.name, new.name),
            ("provenance", header.base.provenance, target.provenance),
        ):
            if was != now:
                _refuse(f"the {what} of board {member.number + 1}", was, now, "take or flash the one it was")
        for task, work in zip(header.tasks, works, strict=True):
            model = select(target, work.model)
            member.selected = work.model.sha256
            if model.sha256 != (was_sha := task.models[member.number].sha256):
                _refuse(f"the {task.task} model of board {member.number + 1}", was_sha, model.sha256, "flash it again")


def _refuse(what: str, was: object, now: object, advice: str) -> NoReturn:
    raise SetupError(
        f"this session cannot go on: {what} is {now}, it was {was}. Numbers of both would be mixed: {advice}, "
        "or start a new session."
    )


def _go_on(
    plan: Plan,
    works: Sequence[Workload],
    fleet: Fleet,
    journal: Journal,
    folder: Path,
    reporter: Reporter,
    monitor: Monitor | None,
) -> Outcome:
    """Do what the journal has not, task after task; the records are written at the end of each."""
    fleet.on_drop = lambda member: journal.append(DroppedRow(unit=member.number, reason=member.dropped or "unknown"))
    for work in works:
        task = work.model.task
        with reporter.scope(task) as progress:
            if not finished(journal, task):
                fleet.transcript.add("note", task_note(task, plan.mode))
                with _job(plan, work, fleet, journal, progress, folder, monitor) as job:
                    fleet.run(job)
        if plan.mode == "accuracy":
            write_outputs(journal, work, folder)
        record.write_result(folder, compute(journal, works))
    complete = all(finished(journal, work.model.task) for work in works)
    if complete:
        journal.append(DoneRow(), sync=True)
    return Outcome(folder, compute(journal, works), complete)


@contextmanager
def _job(
    plan: Plan,
    work: Workload,
    fleet: Fleet,
    journal: Journal,
    progress: Progress,
    folder: Path,
    monitor: Monitor | None,
) -> Iterator[Job]:
    rules = RULES[journal.header.plan.rules]
    items = work.items(plan, rules)
    boards = len(fleet.alive)
    if plan.mode == "accuracy":
        what = "inputs" if boards == 1 else f"inputs on {boards} boards"
        yield AccuracyJob(work.model, items, journal, boards, lambda done, total: progress(what, done, total))
        return

    def tell(unit: int, done: int, total: int) -> None:
        progress("windows" if boards == 1 else f"windows on board {unit + 1}", done, total)

    if monitor is None:
        yield PerformanceJob(work.model, items, journal, rules, plan.profile, tell)
        return
    with EnergyJob(work.model, items, journal, rules, plan.profile, tell, monitor, folder) as job:
        yield job
