"""The result table on the terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console, JustifyMethod
from rich.table import Table

from host.results.schema import Result, Run

NONE = "-"
MARK = {
    "emulated": "EMULATED: counted in instructions, not timed on silicon",
    "replayed": "REPLAYED from a recording",
    "measured": "measured on a board",
}


def _latency(run: Run) -> str:
    if run.latency_us is None:
        return NONE
    return f"{run.latency_us.median / 1e3:.3f}"


def _throughput(run: Run) -> str:
    return NONE if run.throughput_inf_per_s is None else f"{run.throughput_inf_per_s:.3f}"


def _instructions(run: Run) -> str:
    return NONE if run.instructions_per_inference is None else f"{run.instructions_per_inference:,}"


def _accuracy(run: Run) -> str:
    if run.accuracy is None:
        return NONE
    correct = round(run.accuracy.value * run.accuracy.n)
    text = f"{run.accuracy.metric} {run.accuracy.value:.1%} ({correct} of {run.accuracy.n})"
    if run.accuracy.target is None:
        return text + ", not the whole official set"
    return text + f", target {run.accuracy.target:.0%} {'met' if run.accuracy.met else 'MISSED'}"


def _verdict(run: Run) -> str:
    return f"{run.rules}, {'valid' if run.valid else 'INVALID: ' + '; '.join(run.reasons)}"


def result_table(result: Result) -> Table:
    """One row per run; columns that no run fills are left out."""
    clock = f" at {result.board.clock_hz / 1e6:g} MHz" if result.board.clock_hz else ""
    emulated = result.provenance == "emulated"
    table = Table(
        title=f"{result.board.name} ({result.board.core}{clock}), {MARK[result.provenance]}",
        title_justify="left",
        caption=f"engine {result.firmware.engine or 'unknown'}, {result.firmware.compiler or 'unknown compiler'}",
        caption_justify="left",
    )
    unit = "emulated ms" if emulated else "ms"
    columns: list[tuple[str, JustifyMethod, Callable[[Run], str]]] = [
        ("task", "left", lambda run: run.task),
        (f"latency, {unit}", "right", _latency),
        (f"inferences per {'emulated ' if emulated else ''}s", "right", _throughput),
        ("instructions per inference", "right", _instructions),
        ("accuracy", "left", _accuracy),
        ("arena, bytes", "right", lambda run: NONE if run.model.arena_bytes is None else f"{run.model.arena_bytes:,}"),
        ("rules", "left", _verdict),
        ("model", "left", lambda run: f"{run.model.name} ({run.model.source})"),
        ("inputs", "left", lambda run: f"{run.dataset.n} of {run.dataset.source}"),
    ]
    shown = [column for column in columns if any(column[2](run) != NONE for run in result.runs)]
    for title, justify, _ in shown:
        table.add_column(title, justify=justify, overflow="fold")
    for run in result.runs:
        table.add_row(*(cell(run) for _, _, cell in shown))
    return table


def print_result(result: Result) -> None:
    """Print the table to stdout, at full width where nobody looks at it in a terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(result_table(result))
