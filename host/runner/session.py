"""One bench session: a board, its tasks, one result folder.

The session knows nothing of terminals: it reports through a `Reporter` and leaves records behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from host import catalog
from host.boards import Board
from host.build import Variant
from host.device import Transcript
from host.errors import DeviceError, HostError, NotAvailable, SetupError
from host.modelinfo import read_operators
from host.report.progress import Reporter
from host.results import record, schema
from host.runner.accuracy import run_items, score
from host.runner.outputs import read_format
from host.runner.performance import Timing, is_real_time, run_performance, summarise
from host.runner.profile import Counts, run_profile
from host.runner.rules import RULES, Rules, accuracy_reasons, judged_model, performance_reasons, quality_target
from host.runner.target import Target, describe, latency_unit, open_target, select, wanted_board


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person asked for. board None: the default, or what a device at `port` says it is. variant: the engine."""

    tasks: tuple[str, ...]
    mode: schema.Mode
    board: str | None = None
    port: str | None = None
    rules: str | None = None
    inputs: int | None = None
    out: Path = Path("results")
    profile: bool = False
    variant: Variant = field(default_factory=Variant)


@dataclass(frozen=True, slots=True)
class Workload:
    """A task: its model file and its inputs."""

    model: catalog.ModelFile
    dataset: catalog.Dataset


@dataclass(slots=True)
class Outcome:
    """Where the records are and what they say."""

    folder: Path
    result: schema.Result


def find_workloads(tasks: Sequence[str], reporter: Reporter) -> list[Workload]:
    """Models and inputs of `tasks`, or of every task that has inputs when none are named.

    Raises NotAvailable for a task that cannot be had; one that nobody asked for by name is left out, with a note.
    """
    known = catalog.default_catalog(progress=reporter.update, note=reporter.note)
    for task in tasks:
        known.dataset_spec(task)  # a task that is unknown or has no inputs is told before anything is fetched
    found = []
    for task in dict.fromkeys(tasks or known.tasks_with_inputs()):
        try:
            model, dataset = known.model_for(task), known.dataset_for(task)
        except NotAvailable as error:
            if tasks:
                raise
            reporter.note(f"{task} left out: {error}")
            continue
        finally:
            reporter.clear()
        found.append(Workload(model, dataset))
    if not found:
        raise SetupError("no task can run here: the lines above say why.")
    return found


def run_one(target: Target, plan: Plan, work: Workload, folder: Path, reporter: Reporter) -> schema.Run:
    """One task in the plan's mode."""
    rules = RULES[plan.rules or ("quick" if target.provenance == "emulated" else "mlperf")]
    model = select(target, work.model)
    dataset = work.dataset
    items = dataset.items[: plan.inputs or (rules.windows if plan.mode == "performance" else None)]
    run = schema.Run(
        task=work.model.task,
        mode=plan.mode,
        rules=rules.name,
        valid=True,
        reasons=[],
        model=model,
        dataset=schema.DatasetInfo(name=dataset.name, source=dataset.source, sha256=dataset.sha256, n=len(items)),
        windows=[],
        latency_us=None,
        throughput_inf_per_s=None,
        instructions_per_inference=None,
        accuracy=None,
    )
    judged = judged_model(work.model, model)
    with reporter.scope(run.task) as progress:
        if plan.mode == "performance":
            run = _performance(target, rules, run, items, judged, progress)
            if plan.profile:
                progress("profile", 0, 0)
                run = _profile(target, rules, run, work.model, items[0])
            return run
        rows = []
        for row in run_items(target.device, read_format(work.model), items):
            rows.append(row)
            progress("inputs", len(rows), len(items))
    record.write_outputs(folder, run.task, rows)
    accuracy = score(dataset, rows, quality_target(dataset, judged, len(rows)))
    reasons = list(accuracy_reasons(rules, dataset, accuracy, judged))
    return msgspec.structs.replace(run, accuracy=accuracy, valid=not reasons, reasons=reasons)


def _performance(
    target: Target,
    rules: Rules,
    run: schema.Run,
    items: Sequence[catalog.Item],
    judged: catalog.ModelFile,
    progress: catalog.Progress,
) -> schema.Run:
    clock_hz = target.board.clock_hz if target.board else None
    timing = Timing(is_real_time(target.provenance, clock_hz), clock_hz, target.take_counts)
    inputs = [(item.name, item.windows()[0]) for item in items]
    windows = run_performance(target.device, inputs, rules, timing, progress)
    summary = summarise(windows, latency_unit(target))
    reasons = list(performance_reasons(rules, windows, judged))
    return msgspec.structs.replace(
        run,
        valid=not reasons,
        reasons=reasons,
        windows=list(windows),
        latency_us=summary.latency,
        throughput_inf_per_s=summary.throughput_inf_per_s,
        instructions_per_inference=summary.instructions,
        clock=summary.clock,
    )


def _profile(target: Target, rules: Rules, run: schema.Run, model: catalog.ModelFile, item: catalog.Item) -> schema.Run:
    outcome = run_profile(
        target.device,
        read_operators(model.path.read_bytes(), model.name),
        (item.name, item.windows()[0]),
        rules,
        Counts(target.take_counts, target.take_observed),
        latency_us=run.latency_us.median if run.latency_us else 0.0,
    )
    reasons = [*run.reasons, *outcome.reasons]
    return msgspec.structs.replace(run, profile=outcome.profile, valid=not reasons, reasons=reasons)


def run_session(plan: Plan, reporter: Reporter) -> Outcome:
    """Run the plan. What was recorded before a failure stays in the folder, which the error then names."""
    board = wanted_board(plan.board, plan.port)
    works = find_workloads(plan.tasks, reporter)
    folder = record.create_folder(plan.out, f"{board.name if board else 'port'}-{plan.mode}")
    try:
        return Outcome(folder, _run_all(plan, board, works, folder, reporter))
    except HostError as error:
        error.add_note(f"the log up to here, and the records of finished tasks if any: {folder}")
        raise


def _run_all(
    plan: Plan, board: Board | None, works: Sequence[Workload], folder: Path, reporter: Reporter
) -> schema.Result:
    with (
        Transcript(folder / record.LOG_FILE) as transcript,
        open_target(
            board, plan.port, transcript, reporter, timed=plan.mode == "performance", variant=plan.variant
        ) as target,
    ):
        if target.image is not None and target.info is not None and target.image.build_id == target.info.build_id:
            record.copy_file(target.image.map, folder)
            record.copy_file(target.image.elf.with_name("build.json"), folder)
        if plan.profile and target.info is None:
            raise DeviceError(
                "a profile needs tinyjoule's own firmware, and the one at this port is another: leave out --profile, "
                "or flash ours with `host flash BOARD`."
            )
        result = describe(target)
        for work in works:
            run = run_one(target, plan, work, folder, reporter)
            result = msgspec.structs.replace(result, runs=[*result.runs, run])
            record.write_result(folder, result)
        return result
