"""One bench session: a board, its tasks, one result folder.

The session knows nothing of terminals: it reports through a `Reporter` and leaves records behind.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from host import __version__, boards, build, catalog, emulator
from host.device import Device, DeviceInfo, Transcript
from host.errors import DeviceError, SetupError, UsageError
from host.link import open_link
from host.report.progress import Reporter
from host.results import record, schema
from host.runner.accuracy import run_accuracy, score
from host.runner.performance import run_performance
from host.runner.rules import RULES, Rules


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person asked for. board None: the default, or what a device at `port` says it is."""

    tasks: tuple[str, ...]
    mode: schema.Mode
    board: str | None = None
    port: str | None = None
    rules: str | None = None
    inputs: int | None = None
    out: Path = Path("results")


@dataclass(frozen=True, slots=True)
class Workload:
    """A task with its model file (None: a stock firmware brought its own) and its inputs."""

    model: catalog.ModelFile
    dataset: catalog.Dataset


@dataclass(slots=True)
class Outcome:
    """Where the records are and what they say."""

    folder: Path
    result: schema.Result
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """A device that answers, and what is known of it."""

    device: Device
    info: DeviceInfo | None
    board: boards.Board | None
    image: build.Image | None
    provenance: schema.Provenance
    take_counts: Callable[[], list[int]]


DEFAULT_BOARD = "mps2_an386"


def find_workloads(tasks: Sequence[str], reporter: Reporter) -> tuple[list[Workload], list[str]]:
    """Models and inputs of `tasks`, or of every task in the catalogue when there are none.

    Returns them with the reasons why a task nobody asked for by name is left out. Raises SetupError for one that was.
    """
    known = catalog.tasks()
    if unknown := [task for task in tasks if task not in known]:
        raise UsageError(f"no task is called {', '.join(unknown)}; there are {', '.join(known)}.")
    found, skipped = [], []
    for task in dict.fromkeys(tasks or known):
        try:
            model = catalog.model_for(task, progress=reporter.update)
            dataset = catalog.dataset_for(task, progress=reporter.update)
        except SetupError as error:
            if tasks:
                raise
            skipped.append(f"{task} left out: {error}")
            continue
        finally:
            reporter.clear()
        found.append(Workload(model, dataset))
    if not found:
        raise SetupError("no task can run here.\n" + "\n".join(skipped))
    return found, skipped


@contextmanager
def open_target(plan: Plan, transcript: Transcript, reporter: Reporter) -> Iterator[Target]:
    """A device ready for commands: the one at `plan.port`, or an emulated board made for this session."""
    with ExitStack() as stack:
        image, take_counts, board, url = None, _no_counts, None, plan.port
        if plan.board or not url:
            board = boards.get_board(plan.board or DEFAULT_BOARD)
        if board is not None and url is None:
            if board.emulator is None:
                raise UsageError(
                    f"{board.name} is a real board: say where it is with --port, e.g. --port /dev/ttyACM0 "
                    f"(`host flash {board.name}` loads it first)."
                )
            with reporter.step(f"building the firmware for {board.name}"):
                image = build.build(board)
            running = stack.enter_context(emulator.start(image, timed=plan.mode == "performance"))
            url, take_counts = running.url, running.take_instruction_counts
        assert url is not None  # noqa: S101 - one of the two branches above set it
        link = open_link(url, board.baud if board else boards.DEFAULT_BAUD)
        device = stack.enter_context(Device(link, transcript=transcript))
        device.wait_boot()
        info = device.info()
        if info is not None:
            board = _confirm_board(board, info)
            image = image or (build.last_image(board) if board else None)
            device.set_mode("performance")
        emulated = board is not None and board.emulator is not None
        yield Target(device, info, board, image, "emulated" if emulated else "measured", take_counts)


def _no_counts() -> list[int]:
    return []


def _confirm_board(board: boards.Board | None, info: DeviceInfo) -> boards.Board | None:
    if board is not None and board.name != info.board:
        raise DeviceError(f"the device says it is {info.board}, not {board.name}: check --board and --port.")
    return board or boards.find_boards().get(info.board)


def select(target: Target, work: Workload) -> schema.ModelInfo:
    """Make the task's model the active one and make sure that it is the very file the catalogue names."""
    device, task = target.device, work.model.task
    if target.info is None:
        active = device.profile().model
        if active != task:
            raise DeviceError(f"the firmware at this port runs {active}, not {task}: flash the image for {task}.")
        return schema.ModelInfo(name=f"{task} as flashed", source="stock firmware", sha256=None, arena_bytes=None)
    if task not in target.info.models:
        raise DeviceError(
            f"the image on the board has no {task} (it has {', '.join(target.info.models) or 'no model at all'}): "
            f"run `host build {target.info.board}` and flash it again."
        )
    device.select_model(task)
    info = device.info()
    if info is None or info.model_sha256 != work.model.sha256:
        raise DeviceError(
            f"the {task} model on the board is not {work.model.name}: its hash differs from the catalogue's. "
            f"Run `host build {target.info.board}` and flash it again."
        )
    return schema.ModelInfo(
        name=work.model.name, source=work.model.source, sha256=info.model_sha256, arena_bytes=info.arena_bytes
    )


def latency_unit(target: Target) -> str:
    """What a microsecond of this device is worth."""
    board = target.board
    if target.provenance != "emulated" or board is None:
        return "us"
    if board.clock_hz is None:
        return "us of a host process (emulated)"
    return f"us of emulated time at 1 instruction per cycle and {board.clock_hz / 1e6:g} MHz (emulated)"


def run_one(target: Target, plan: Plan, work: Workload, folder: Path, reporter: Reporter) -> schema.Run:
    """One task in the plan's mode."""
    rules = RULES[plan.rules or ("quick" if target.provenance == "emulated" else "mlperf")]
    model = select(target, work)
    task = work.model.task
    with reporter.scope(task) as progress:
        if plan.mode == "performance":
            return _performance(target, plan, work, rules, model, progress)
        items = work.dataset.items[: plan.inputs]
        rows = run_accuracy(target.device, work.dataset, items, catalog.read, progress)
    record.write_outputs(folder, task, ((row.name, row.label, row.predicted, row.outputs) for row in rows))
    accuracy = score(work.dataset, rows)
    reasons = _accuracy_reasons(rules, work.dataset, accuracy)
    return _run(plan, work, rules, model, len(rows), reasons, accuracy=accuracy)


def _accuracy_reasons(rules: Rules, dataset: catalog.Dataset, accuracy: schema.Accuracy) -> list[str]:
    if rules.name != "mlperf":
        return []
    if accuracy.target is None:
        return [f"{accuracy.n} inputs of {dataset.source}: the mlperf rules ask for the whole official set"]
    return [] if accuracy.met else [f"top-1 {accuracy.value:.1%} is under the target of {accuracy.target:.1%}"]


def _performance(
    target: Target, plan: Plan, work: Workload, rules: Rules, model: schema.ModelInfo, progress: catalog.Progress
) -> schema.Run:
    items = work.dataset.items[: plan.inputs or rules.windows]
    inputs = [(item.name, catalog.read(item)) for item in items]
    performance = run_performance(target.device, inputs, rules, target.take_counts, progress)
    return _run(
        plan,
        work,
        rules,
        model,
        len(inputs),
        list(performance.reasons),
        windows=list(performance.windows),
        latency_us=performance.latency(latency_unit(target)),
        throughput_inf_per_s=performance.throughput(),
        instructions_per_inference=performance.instructions,
    )


def _run(
    plan: Plan,
    work: Workload,
    rules: Rules,
    model: schema.ModelInfo,
    n: int,
    reasons: list[str],
    *,
    windows: list[schema.Window] | None = None,
    latency_us: schema.Latency | None = None,
    throughput_inf_per_s: float | None = None,
    instructions_per_inference: int | None = None,
    accuracy: schema.Accuracy | None = None,
) -> schema.Run:
    dataset = work.dataset
    return schema.Run(
        task=work.model.task,
        mode=plan.mode,
        rules=rules.name,
        valid=not reasons,
        reasons=reasons,
        model=model,
        dataset=schema.DatasetInfo(name=dataset.name, source=dataset.source, sha256=dataset.sha256, n=n),
        windows=windows or [],
        latency_us=latency_us,
        throughput_inf_per_s=throughput_inf_per_s,
        instructions_per_inference=instructions_per_inference,
        accuracy=accuracy,
    )


def describe(target: Target, runs: list[schema.Run]) -> schema.Result:
    """The record of the session so far."""
    board, info, image = target.board, target.info, target.image
    # The hash of an ELF file says something only of the image that is really on the board.
    same_image = info is not None and image is not None and image.build_id == info.build_id
    return schema.Result(
        schema=schema.SCHEMA,
        provenance=target.provenance,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        board=schema.BoardInfo(
            name=board.name if board else (info.board if info else "unknown (stock firmware)"),
            core=board.core if board else "unknown",
            clock_hz=board.clock_hz if board else None,
        ),
        firmware=schema.FirmwareInfo(
            version=info.version if info else None,
            engine=info.engine if info else None,
            compiler=info.compiler if info else None,
            flags=info.flags if info else None,
            sha256=image.sha256 if image is not None and same_image else None,
        ),
        host=schema.HostInfo(
            version=__version__, python=".".join(map(str, sys.version_info[:3])), platform=platform.platform()
        ),
        runs=runs,
    )


def run_session(plan: Plan, reporter: Reporter) -> Outcome:
    """Run the plan. A failure after the first task leaves that task's record in the folder, then raises."""
    works, skipped = find_workloads(plan.tasks, reporter)
    for reason in skipped:
        reporter.note(reason)
    folder = record.create_folder(plan.out, f"{plan.board or (DEFAULT_BOARD if not plan.port else 'port')}-{plan.mode}")
    with Transcript(folder / record.LOG_FILE) as transcript, open_target(plan, transcript, reporter) as target:
        if target.image is not None and target.info is not None and target.image.build_id == target.info.build_id:
            record.copy_file(target.image.map, folder)
            record.copy_file(target.image.elf.with_name("build.json"), folder)
        runs: list[schema.Run] = []
        for work in works:
            runs.append(run_one(target, plan, work, folder, reporter))
            result = describe(target, runs)
            record.write_result(folder, result)
    return Outcome(folder, result, skipped)
