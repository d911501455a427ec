"""What a person asked for, what it means here, and what of it a journal keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from host import catalog, tflm
from host.boards import Board
from host.build import Variant
from host.errors import NotAvailable, SetupError, UsageError
from host.report.progress import Reporter
from host.results import schema
from host.results.journal import MonitorPlan, PlanRecord
from host.runner.rules import Rules
from host.runner.target import DEFAULT_BOARD, wanted_board


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person asked for. boards and ports: pairs by order; none of both is the default board, emulated.

    emulators: how many of the one board are emulated. rules None: as the boards are. variant: the engine. model: an
    added one, by name. target: a fraction that the accuracy is held against in place of the official one. energy: how
    energy is measured; there in that mode and in no other.
    """

    tasks: tuple[str, ...]
    mode: schema.Mode
    boards: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    emulators: int | None = None
    rules: schema.RulesName | None = None
    inputs: int | None = None
    out: Path = Path("results")
    profile: bool = False
    variant: Variant = field(default_factory=Variant)
    model: str | None = None
    target: float | None = None
    link: Literal["auto", "stock"] = "auto"
    energy: MonitorPlan | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a board is: `board` None is whatever the device at `port` says, `port` None is emulated for the session."""

    board: Board | None
    port: str | None


@dataclass(frozen=True, slots=True)
class Workload:
    """A task: its model file and its inputs."""

    model: catalog.ModelFile
    dataset: catalog.Dataset

    def items(self, plan: Plan, rules: Rules) -> tuple[catalog.Item, ...]:
        """The inputs that the plan uses: its first ones where it says how many, else what its mode needs."""
        return self.dataset.items[: plan.inputs or (None if plan.mode == "accuracy" else rules.windows)]


def places(plan: Plan) -> list[Place]:
    """The boards of the plan. Raises UsageError when boards and ports do not go together."""
    names, ports = plan.boards, plan.ports
    if plan.emulators is not None:
        if ports or len(names) > 1:
            raise UsageError(
                "--emulators N starts N emulated boards of one kind: leave --port out and name one --board at most."
            )
        names = (names[0] if names else DEFAULT_BOARD,) * plan.emulators
    if ports and names and len(names) != len(ports):
        raise UsageError(
            f"{len(names)} times --board and {len(ports)} times --port: they are pairs by order. Name a board for each "
            "port, or none, and the boards say what they are."
        )
    if len(set(ports)) != len(ports):
        raise UsageError("the same --port twice: name each board once.")
    if not ports:
        return [Place(wanted_board(name, None), None) for name in names or (DEFAULT_BOARD,)]
    return [
        Place(wanted_board(name, port), port) for name, port in zip(names or (None,) * len(ports), ports, strict=True)
    ]


def find_workloads(plan: Plan, reporter: Reporter) -> list[Workload]:
    """Models and inputs of the plan's tasks, or of every task that has inputs when none are named.

    Raises NotAvailable for a task that cannot be had; one that nobody asked for by name is left out, with a note.
    """
    known = catalog.default_catalog(progress=reporter.update, note=reporter.note)
    if plan.model is not None and len(plan.tasks) != 1:
        raise UsageError("--model is one task's: name that task and no other, e.g. `host bench kws01 --model NAME`.")
    for task in plan.tasks:
        known.dataset_spec(task)  # a task that is unknown or has no inputs is told before anything is fetched
    found = []
    for task in dict.fromkeys(plan.tasks or known.tasks_with_inputs()):
        try:
            model, dataset = known.model_for(task, name=plan.model), known.dataset_for(task)
        except NotAvailable as error:
            if plan.tasks:
                raise
            reporter.note(f"{task} left out: {error}")
            continue
        finally:
            reporter.clear()
        found.append(Workload(model, dataset))
    if not found:
        raise SetupError("no task can run here: the lines above say why.")
    return found


def image_variant(plan: Plan, works: Sequence[Workload]) -> Variant:
    """The images that the plan needs: an added model is in none of the catalogue's."""
    if plan.model is None:
        return plan.variant
    return replace(plan.variant, models=tuple(work.model for work in works))


def to_record(plan: Plan, tasks: Iterable[str], rules: schema.RulesName) -> PlanRecord:
    """The plan as the journal keeps it, with the tasks and rules that came of it."""
    pairs = places(plan)
    return PlanRecord(
        tasks=list(tasks),
        mode=plan.mode,
        rules=rules,
        inputs=plan.inputs,
        boards=[place.board.name if place.board else None for place in pairs],
        ports=[place.port for place in pairs],
        profile=plan.profile,
        engine=plan.variant.engine,
        tflm_dir=str(plan.variant.tflm_dir) if plan.variant.tflm_dir else None,
        model=plan.model,
        target=plan.target,
        link=plan.link,
        energy=plan.energy,
    )


def from_record(record: PlanRecord, ports: Sequence[str]) -> Plan:
    """The plan of a session that goes on. ports: where the boards are now, if not where they were."""
    was = tuple(port for port in record.ports if port is not None)
    if ports and len(ports) != len(was):
        raise UsageError(
            f"the session has {len(was)} boards at ports, not {len(ports)}: name a --port for each, or none."
        )
    names = tuple(name for name in record.boards if name is not None)
    variant = Variant()
    if record.engine == "tflm":
        variant = Variant(engine="tflm", tflm_dir=tflm.require_tree(Path(record.tflm_dir) if record.tflm_dir else None))
    return Plan(
        tasks=tuple(record.tasks),
        mode=record.mode,
        boards=names if len(names) == len(record.boards) else (),
        ports=tuple(ports) or was,
        rules=record.rules,
        inputs=record.inputs,
        profile=record.profile,
        variant=variant,
        model=record.model,
        target=record.target,
        link=record.link,
        energy=record.energy,
    )
