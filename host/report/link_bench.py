"""The link bench as a table. Everything in it is modelled: no port, no board and no clock took part."""

from __future__ import annotations

from rich.console import Console

from host.report.terminal import Listing, listing, say, show
from host.results.link_bench import Entry, LinkBench

TITLE = "MODELLED: the stock protocol against tinyjoule's fast link (no board, no port, no clock took part)"


def _what(entry: Entry) -> str:
    if entry.inferences == 0:
        return (
            f"{entry.inputs} input of {entry.task}" if entry.inputs == 1 else f"{entry.inputs} inputs of {entry.task}"
        )
    if entry.step_bytes:
        return f"1 file of {entry.task},\n{entry.inputs} windows,\neach run {entry.inference_s * 1000:g} ms"
    return f"{entry.inputs} inputs of {entry.task},\neach run {entry.inference_s * 1000:g} ms"


def _bound(entry: Entry) -> str:
    return f"{entry.computing:.0%}" if entry.inferences else "-"


def link_table(bench: LinkBench) -> Listing:
    """One row per workload and baud rate."""
    # Narrow columns, so that it fits 100.
    numbers = (
        "baud", "stock,\nmodelled\nseconds", "fast,\nmodelled\nseconds", "times\nfaster",
        "stock,\nbytes on\nthe wire\nper byte", "fast,\nbytes on\nthe wire\nper byte",
        "stock,\ndevice\ncomputes", "fast,\ndevice\ncomputes",
    )  # fmt: skip
    table = listing("workload", *numbers, numbers=numbers)
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
    say(console, TITLE, style="bold")
    show(console, link_table(bench))
    say(
        console,
        f"modelled: 10 bits per byte, {bench.turnaround_s * 1000:g} ms from a question to its answer, a host that "
        "takes no time; an input alone is loaded and confirmed, not run. Per byte: of the inputs.",
        f"inference time: {bench.inference_source}.",
    )
