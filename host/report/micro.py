"""What single operators cost: a table per operator, and a plot."""

from __future__ import annotations

import io
import math
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console

from host.report.terminal import Listing, listing, say, show
from host.results.micro import Micro, MicroCase

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLAT = 4.0
"""Costs that differ by less are drawn from 0 on; else on a logarithmic axis."""

SLOW = 2.0
"""A shape that costs so many times the operator's best is marked."""

_WORTH = {
    "measured": "measured on the board",
    "emulated": "EMULATED, not silicon",
    "replayed": "REPLAYED from a recording",
}


def heading(micro: Micro) -> str:
    """What was run where, and what the numbers are worth."""
    board = micro.board
    return f"{board.name} ({board.core}), {_WORTH[micro.provenance]}; engine {micro.firmware.engine or 'unknown'}"


def _by_operator(micro: Micro) -> list[tuple[str, list[MicroCase]]]:
    return [(name, list(cases)) for name, cases in groupby(micro.cases, key=lambda case: case.operator)]


def operator_table(micro: Micro, cases: list[MicroCase]) -> Listing:
    """One row per shape; the last column tells how many times the cost of the operator's best shape."""
    costs = [micro.cost(case) for case in cases]
    best = min((cost for cost in costs if cost is not None), default=0.0)
    whole = "instructions" if micro.counted else "time, us"
    numbers = ("MACs", "outputs", whole, f"{micro.unit}\nper {cases[0].per}", "against\nbest")
    table = listing("series", "shape", *numbers, numbers=numbers, whole=("shape",), optional=("outputs", "MACs"))
    for case, cost in zip(cases, costs, strict=True):
        row = [case.series, case.shape, f"{case.macs:,}" if case.macs else "-", f"{case.output_elements:,}"]
        if cost is None:
            table.add_row(*row, "refused", case.refused, "")
            continue
        value = f"{case.instructions:,}" if micro.counted else f"{case.time_us:,.2f}"
        times = cost / best if best else 1.0
        table.add_row(*row, value, f"{cost:,.2f}", f"{times:.1f} x" + (" <" if times > SLOW else ""))
    return table


def print_micro(micro: Micro, console: Console) -> None:
    """Print the heading and a table per operator."""
    say(console, heading(micro), style="bold")
    for name, cases in _by_operator(micro):
        say(console, name, style="bold")
        show(console, operator_table(micro, cases))
    say(console, f"<: more than {SLOW:g} times the cost of the operator's best shape")


def plot(micro: Micro) -> bytes:
    """A PNG: a field per operator, a line per series."""
    stream = io.BytesIO()
    draw(micro).savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def draw(micro: Micro) -> Figure:
    """What `plot` renders."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (half a second, needed by nothing else)

    operators = _by_operator(micro)
    columns = min(3, len(operators))
    rows = math.ceil(len(operators) / columns)
    figure = Figure(figsize=(5.5 * columns, 3.8 * rows + 0.6), layout="constrained")
    what = "instructions" if micro.counted else "time"
    figure.suptitle(f"{what} per MAC or output element: {heading(micro)}", wrap=True)
    fields = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, (name, cases) in zip(fields, operators, strict=False):
        _draw(micro, axes, name, cases)
    for axes in fields[len(operators) :]:
        axes.set_axis_off()
    return figure


def _draw(micro: Micro, axes: Axes, name: str, cases: list[MicroCase]) -> None:
    from matplotlib.ticker import StrMethodFormatter  # noqa: PLC0415  (as above)

    costs = [cost for case in cases if (cost := micro.cost(case)) is not None]
    for series, members in groupby(cases, key=lambda case: (case.series, case.axis)):
        points = [(case.x, cost) for case in members if (cost := micro.cost(case)) is not None]
        axes.plot(*zip(*points, strict=True), marker=".", label=f"{series[0]}: {series[1]}") if points else None
    axes.set_title(name)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    if costs and max(costs) > FLAT * min(costs) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
        axes.tick_params(axis="y", which="minor", labelsize="x-small")
    else:
        axes.set_ylim(bottom=0)
    axes.set_ylabel(f"{micro.unit} per {cases[0].per}")
    axes.grid(visible=True, which="both", alpha=0.3)
    if axes.lines:
        axes.legend(fontsize="small")
