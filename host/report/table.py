"""The result table on the terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table

from host.results.schema import Result, Run

NONE = "-"
PLAIN_WIDTH = 200


def _mark(result: Result) -> str:
    if result.provenance == "measured":
        return "measured on the board"
    if result.provenance == "replayed":
        return "REPLAYED from a recording"
    if result.board.clock_hz is None:
        return "EMULATED by a process on this machine: its times say nothing of a microcontroller"
    return "EMULATED: time is instructions at one per cycle, not silicon"


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
    if run.accuracy.value is None:
        return f"{run.accuracy.metric}: none on these {run.accuracy.n} inputs"
    correct = round(run.accuracy.value * run.accuracy.n)
    text = f"{run.accuracy.metric} {run.accuracy.value:.1%} ({correct} of {run.accuracy.n})"
    if run.accuracy.target is None:
        return text + "\nnot the whole official set, no target"
    return text + f"\ntarget {run.accuracy.target:.0%} {'met' if run.accuracy.met else 'MISSED'}"


def _sources(run: Run) -> str:
    return f"{run.task}: {run.model.name} ({run.model.source}) on {run.dataset.n} inputs ({run.dataset.source})"


def _verdict(run: Run) -> str:
    return f"{run.rules}\n" + ("valid" if run.valid else "INVALID: " + "; ".join(run.reasons))


def heading(result: Result) -> str:
    """Which board the numbers are from and what they are worth, in one line."""
    clock = f" at {result.board.clock_hz / 1e6:g} MHz" if result.board.clock_hz else ""
    return f"{result.board.name} ({result.board.core}{clock}), {_mark(result)}"


def result_table(result: Result) -> Table:
    """One row per run; columns that no run fills are left out."""
    emulated = "emulated " if result.provenance == "emulated" else ""
    table = Table()
    columns: list[tuple[str, JustifyMethod, Callable[[Run], str]]] = [
        ("task", "left", lambda run: run.task),
        (f"latency,\n{emulated}ms", "right", _latency),
        (f"inferences per\n{emulated}s", "right", _throughput),
        ("instructions\nper inference", "right", _instructions),
        ("accuracy", "left", _accuracy),
        ("arena,\nbytes", "right", lambda run: NONE if run.model.arena_bytes is None else f"{run.model.arena_bytes:,}"),
        ("rules", "left", _verdict),
    ]
    shown = [column for column in columns if any(column[2](run) != NONE for run in result.runs)]
    for title, justify, _ in shown:
        # A number is never broken over two lines, however narrow the terminal.
        table.add_column(title, justify=justify, overflow="fold", no_wrap=justify == "right")
    for run in result.runs:
        table.add_row(*(cell(run) for _, _, cell in shown))
    return table


def stdout_console() -> Console:
    """Where tables go. A file or a program that reads along gets whole lines, whatever the terminal's width."""
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, PLAIN_WIDTH)
    return console


def listing(*titles: str) -> Table:
    """An empty table for things to choose from: the first column is what a person types next and is never cut."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for title in titles:
        table.add_column(
            title, justify="right" if title.endswith("bytes") else "left", overflow="fold", no_wrap=title == titles[0]
        )
    return table


def print_result(result: Result, console: Console) -> None:
    """Print heading, table, models and data sets."""
    for part in (
        heading(result),
        result_table(result),
        *map(_sources, result.runs),
        f"engine {result.firmware.engine or 'unknown'}, {result.firmware.compiler or 'unknown compiler'}",
    ):
        console.print(part, highlight=False, markup=False)
