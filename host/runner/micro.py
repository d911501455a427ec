"""`host bench --micro`: single operators over a sweep of shapes, to find where kernels are slow."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from host import modelgen
from host.build import Variant
from host.device import Transcript
from host.errors import DeviceError, DeviceRefused, HostError, UsageError
from host.modelinfo import read_operators
from host.report.micro import plot
from host.report.progress import Reporter
from host.results import micro as results
from host.results import record
from host.runner.performance import next_count
from host.runner.rules import Rules
from host.runner.seats import Seat, Seats, refusal
from host.runner.sweeps import Case, cases_of
from host.runner.target import describe, latency_unit, wanted_board

WINDOWS = 3
"""Windows of a measured case; their median counts."""

# Where instructions are counted, one inference says all; where time is measured, a window has to outlast the clock.
_RULES = Rules("quick", windows=WINDOWS, min_windows=WINDOWS, min_window_us=50_000, min_inferences=1, warmup=1)


@dataclass(frozen=True, slots=True)
class MicroPlan:
    """What a person asked for. operators empty: all. variant: which engine."""

    operators: tuple[str, ...] = ()
    board: str | None = None
    port: str | None = None
    flash: bool = False
    out: Path = Path("results")
    variant: Variant = field(default_factory=Variant)


def run_micro(plan: MicroPlan, reporter: Reporter) -> tuple[Path, results.Micro]:
    """Run the sweep; returns the result folder, with micro.json and micro.png in it, and the record.

    Raises UsageError for an operator without a sweep, and HostError when the board fails.
    """
    cases = cases_of(plan.operators)
    board = wanted_board(plan.board, plan.port)
    seats = Seats(board, plan.port, reporter, reflash=plan.flash, variant=plan.variant)
    folder = record.create_folder(plan.out, f"{board.name if board else 'port'}-micro")
    try:
        with Transcript(folder / record.LOG_FILE) as transcript:
            micro = _sweep(seats, cases, transcript, reporter)
        record.write_file(folder / results.FILE, results.encode(micro))
        record.write_file(folder / results.PLOT, plot(micro))
    except HostError as error:
        error.add_note(f"the log up to here: {folder}")
        raise
    return folder, micro


def _sweep(seats: Seats, cases: Sequence[Case], transcript: Transcript, reporter: Reporter) -> results.Micro:
    files = {case.name: modelgen.build(case.model) for case in cases}
    by_name = {case.name: case for case in cases}
    micro: results.Micro | None = None
    measured: list[results.MicroCase] = []
    for group in seats.split(list(files.items())):
        with seats.having(group, timed=True, transcript=transcript) as seat:
            micro = micro or _describe(seat)
            for name, data in group.items():
                reporter.update("single operators", len(measured), len(cases))
                if name not in seat.places:
                    raise UsageError(
                        f"the board at this port has no model of {name}: --flash with --board NAME builds and loads an "
                        "image with all of them; an emulated board needs no --port."
                    )
                measured.append(_measure(seat, by_name[name], data))
    assert micro is not None  # noqa: S101  (cases_of() gives some)
    return msgspec.structs.replace(micro, cases=measured)


def _describe(seat: Seat) -> results.Micro:
    facts = describe(seat.target)
    return results.Micro(
        schema=results.SCHEMA,
        provenance=facts.provenance,
        created=facts.created,
        board=facts.board,
        firmware=facts.firmware,
        host=facts.host,
        time_unit=latency_unit(seat.target),
        cases=[],
    )


def _measure(seat: Seat, case: Case, data: bytes) -> results.MicroCase:
    (operator,) = read_operators(data, case.name)
    blank = results.MicroCase(
        operator=case.operator,
        series=case.series,
        axis=case.axis,
        x=case.x,
        shape=case.shape,
        macs=operator.macs,
        output_elements=math.prod(operator.shape),
        instructions=None,
        time_us=None,
        arena_bytes=None,
    )
    try:
        arena_bytes = seat.select(case.name)
    except DeviceRefused as error:
        return msgspec.structs.replace(blank, refused=refusal(error))
    instructions, time_us = _cost(seat, case)
    return msgspec.structs.replace(blank, instructions=instructions, time_us=time_us, arena_bytes=arena_bytes)


def _input(case: Case) -> bytes:
    tensor = case.model.tensors[case.model.inputs[0]]
    return np.random.default_rng(0).integers(-128, 128, tensor.shape, dtype=np.int8).tobytes()


def _cost(seat: Seat, case: Case) -> tuple[int | None, float]:
    """Instructions and microseconds of one inference."""
    device = seat.target.device
    seat.load(case.name, _input(case))
    seat.target.take_counts()
    first = device.infer_crc(1, 0)
    counts = seat.target.take_counts()
    if first.duration_us is None:
        raise DeviceError("the device printed no m-lap-us: it is in energy mode. Reset it.")
    if counts:
        return counts[-1], float(first.duration_us)
    count, duration_us = 1, first.duration_us
    while duration_us < _RULES.min_window_us:
        count = next_count(count, duration_us, _RULES)
        duration_us = device.infer_crc(count, 0).duration_us or 0
    windows = [device.infer_crc(count, _RULES.warmup).duration_us or 0 for _ in range(WINDOWS)]
    return None, statistics.median(windows) / count
