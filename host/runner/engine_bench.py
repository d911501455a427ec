"""`host engine-bench`: exact instructions of each engine for each official model on each emulated Cortex-M.

The real firmware over the real protocol: load the model, send an input, infer once, and read what the plugins counted.
"""

from __future__ import annotations

import json
import platform
import random
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from host import __version__, catalog, emulator
from host.boards import Board, find_boards
from host.build import Image, Variant, build
from host.device import Device, Transcript
from host.emulator.classes import ClassCounter, CycleCosts, load_costs
from host.emulator.qemu import PROGRAM
from host.errors import DeviceError, NotAvailable, SetupError, UsageError
from host.link import open_link
from host.report.baseline import Baseline, load_baseline
from host.report.progress import Reporter
from host.results import engine_bench as record
from host.results import schema
from host.runner.engine_size import basic_size, engine_text_bytes

ESTIMATED_CORE = "Cortex-M4F"
SEED = 1


@dataclass(frozen=True, slots=True)
class Work:
    """An official model and one input for it; `source` says which."""

    model: catalog.ModelFile
    data: bytes
    source: str


def emulated_boards(names: Sequence[str] = ()) -> list[Board]:
    """The boards of `names`, or every emulated Cortex-M. Raises UsageError for one that is none or has no bar."""
    cores = load_baseline().cores
    known = {board.name: board for board in find_boards().values() if board.emulator == "qemu" and board.core in cores}
    for name in names:
        if name not in known:
            raise UsageError(f"{name} is no emulated Cortex-M with figures to compare; these are: {', '.join(known)}")
    return [known[name] for name in names or known]


def official_work(reporter: Reporter) -> list[Work]:
    """Every official model that can be had here, each with an input: a real one where there are some."""
    known = catalog.default_catalog(progress=reporter.update, note=reporter.note)
    found = []
    for task in load_baseline().models:
        try:
            model = known.model_for(task)
        except NotAvailable as error:
            reporter.note(f"{task} left out: {error}")
            continue
        finally:
            reporter.clear()
        if not model.official:
            reporter.note(f"{task} left out: {model.name} ({model.source}) is not the model that TFLM was measured on")
            continue
        found.append(Work(model, *_input(known, model)))
    if not found:
        raise SetupError("no official model can be had here: the lines above say why.")
    return found


def _input(known: catalog.Catalog, model: catalog.ModelFile) -> tuple[bytes, str]:
    try:
        dataset = known.dataset_for(model.task, fetch=False)
    except NotAvailable:
        return _random_input(model), f"random, seed {SEED}"
    return dataset.items[0].windows()[0], f"{dataset.items[0].name} ({dataset.source})"


def _random_input(model: catalog.ModelFile) -> bytes:
    """Any bytes; where they are float32, numbers of a size as log mel energies have."""
    source = random.Random(SEED)  # noqa: S311
    if model.wire_input != "float32":
        return source.randbytes(model.input_bytes)
    count = model.input_bytes // 4
    return struct.pack(f"<{count}f", *(source.uniform(-60.0, 10.0) for _ in range(count)))


def build_for(board: Board, works: Sequence[Work], variant: Variant, reporter: Reporter) -> Image:
    """The firmware of `board` with exactly these models and the engine of `variant`."""
    models = tuple(work.model for work in works)
    with reporter.step(f"building the firmware for {board.name} with {variant.engine}"):
        return build(board, variant=Variant(models=models, engine=variant.engine, tflm_dir=variant.tflm_dir))


def measure(
    image: Image, works: Sequence[Work], reporter: Reporter, transcript: Transcript | None = None
) -> list[record.Entry]:
    """One inference of each model with `image`, which holds them. Blocks for about a second a model."""
    baseline, costs = load_baseline(), load_costs()
    entries = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        classes = ClassCounter(image.elf, folder) if image.board.core == ESTIMATED_CORE else None
        arguments = classes.qemu_arguments if classes else ()
        running = stack.enter_context(emulator.start(image, timed=True, qemu_arguments=arguments))
        device = stack.enter_context(Device(open_link(running.url, image.board.baud), transcript=transcript))
        device.wait_boot()
        for work in works:
            with reporter.step(f"{image.board.name}: {work.model.task}"):
                entries.append(_measure_one(device, running, work, image, baseline, (classes, costs)))
    return entries


def _measure_one(
    device: Device,
    running: emulator.Emulator,
    work: Work,
    image: Image,
    baseline: Baseline,
    estimate: tuple[ClassCounter | None, CycleCosts],
) -> record.Entry:
    model = work.model
    running.take_load_counts()  # what the start-up left behind
    device.select_model(model.task)
    (load_count,) = _counted(running.take_load_counts(), "engine_load")
    info = device.info()
    if info is None or info.model_sha256 != model.sha256:
        raise DeviceError(f"the {model.task} model on the board is not {model.name}: run it again, and report it.")
    device.load(work.data)
    running.take_instruction_counts()
    device.infer(1, 0)
    (count,) = _counted(running.take_instruction_counts(), "engine_run")
    counter, costs = estimate
    classes: Mapping[str, int] | None = counter.take()[-1] if counter else None
    return record.Entry(
        board=schema.BoardInfo(name=image.board.name, core=image.board.core, clock_hz=image.board.clock_hz),
        engine=image.engine,
        task=model.task,
        model=schema.ModelInfo(name=model.name, source=model.source, sha256=model.sha256, arena_bytes=info.arena_bytes),
        input=work.source,
        macs=baseline.models[model.task].macs,
        instructions=count,
        load_instructions=load_count,
        bars=baseline.bars(image.board.core, model.task),
        cycles_estimate=costs.estimate(classes) if classes else None,
        classes=dict(classes) if classes else None,
    )


def _counted(counts: Sequence[int], function: str) -> Sequence[int]:
    if len(counts) != 1:
        raise DeviceError(f"{len(counts)} calls of {function} were counted instead of 1: run it again, and report it.")
    return counts


def describe_image(image: Image) -> record.ImageInfo:
    """Who built it and how large its engine is. Compiles for some seconds where there is a bar for the size."""
    must = load_baseline().cores[image.board.core].must_text_bytes
    basic = basic_size(image) if must and image.engine.startswith("tflite_c") else None
    return record.ImageInfo(
        board=image.board.name,
        engine=image.engine,
        compiler=image.compiler,
        flags=image.flags,
        engine_text_bytes=engine_text_bytes(image.map),
        basic_text_bytes=basic.engine_bytes if basic else None,
        basic_with_libraries_bytes=basic.total_bytes if basic else None,
        must_text_bytes=must if basic else None,
    )


def run_engine_bench(
    boards: Sequence[Board], variants: Sequence[Variant], transcript: Transcript | None, reporter: Reporter
) -> record.EngineBench:
    """Every official model on each of `boards` with each engine. Blocks for about a quarter of a minute a board.

    variants: which engines; their models are chosen here. A board that an engine does not build for is left out with
    a note when there are others: upstream's library is made for one core.
    Raises SetupError when no model or no image can be had.
    """
    works = official_work(reporter)
    images, entries, failed = [], [], []
    for board in boards:
        for variant in variants:
            try:
                image = build_for(board, works, variant, reporter)
            except SetupError as error:
                if variant.engine == "tflite_c":
                    raise
                failed.append(f"{variant.engine} on {board.name} left out: {error}")
                reporter.note(failed[-1])
                continue
            images.append(describe_image(image))
            entries += measure(image, works, reporter, transcript)
    if not entries:
        raise SetupError("no engine could be built for any of the boards:\n" + "\n".join(failed))
    return record.EngineBench(
        schema=record.SCHEMA,
        provenance="emulated",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        host=schema.HostInfo(
            version=__version__, python=".".join(map(str, sys.version_info[:3])), platform=platform.platform()
        ),
        emulator=_qemu_version(),
        baseline=load_baseline().source,
        cycles=load_costs().source,
        images=images,
        entries=entries,
    )


def recorded_counts(bench: record.EngineBench) -> bytes:
    """tflite_c's counts as a small JSON file: compiler, then board -> model -> instructions of a run and of a load."""
    ours = [entry for entry in bench.entries if entry.engine.startswith("tflite_c")]
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for entry in ours:
        on = counts.setdefault(entry.board.name, {})
        on[entry.task] = {"run": entry.instructions, "load": entry.load_instructions}
    compilers = {image.board: image.compiler for image in bench.images}
    text = {"compilers": {board: compilers[board] for board in counts}, "counts": counts}
    return (json.dumps(text, indent=2) + "\n").encode()


def _qemu_version() -> str:
    done = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.partition("\n")[0] or "unknown"
