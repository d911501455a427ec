"""The link bench as a table. Everything in it is modelled: no port, no board and no clock took part."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from host.results.link_bench import Entry, LinkBench

TITLE = "MODELLED: the stock protocol against tinyjoule's fast link (no board, no port, no clock took part)"


def _what(entry: Entry) -> str:
    if entry.inferences == 0:
        return (
            f"{entry.inputs} input of {entry.task}" if entry.inputs == 1 else f"{entry.inputs} inputs of {entry.task}"
        )
    if entry.step_bytes:
        return f"1 file of {entry.task} ({entry.inputs} windows), each run for {entry.inference_s * 1000:g} ms"
    return f"{entry.inputs} inputs of {entry.task}, each run for {entry.inference_s * 1000:g} ms"


def _bound(entry: Entry) -> str:
    return f"{entry.computing:.0%}" if entry.inferences else "-"


def link_table(bench: LinkBench) -> Table:
    """One row per workload and baud rate."""
    table = Table(title=TITLE, title_justify="left")
    table.add_column("workload", no_wrap=True)
    for title in (
        "baud", "stock,\nmodelled s", "fast,\nmodelled s", "times\nfaster", "stock, wire bytes\nper payload byte",
        "fast, wire bytes\nper payload byte", "stock, device\ncomputes", "fast, device\ncomputes",
    ):  # fmt: skip
        table.add_column(title, justify="right", no_wrap=True)
    for stock, fast in bench.pairs():
        table.add_row(
            _what(stock),
            f"{stock.baud:,}",
            f"{stock.seconds:.3f}",
            f"{fast.seconds:.3f}",
            f"{stock.seconds / fast.seconds:.2f}",
            f"{stock.wire_per_payload:.3f}",
            f"{fast.wire_per_payload:.3f}",
            _bound(stock),
            _bound(fast),
        )
    return table


def print_link_bench(bench: LinkBench, console: Console) -> None:
    """The table, and what it rests on."""
    console.print(link_table(bench))
    console.print(
        f"modelled: 10 bits per byte, {bench.turnaround_s * 1000:g} ms from a question to its answer, a host that "
        "takes no time; an input alone is loaded and confirmed, not run.",
        highlight=False,
    )
    console.print(f"inference time: {bench.inference_source}.", highlight=False)
