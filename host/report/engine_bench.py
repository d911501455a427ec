"""The engine bench as tables and as a plot. Everything in it is emulated, and instructions are not cycles."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from host.report.terminal import Listing, listing, say, show
from host.results.engine_bench import EngineBench, Entry, ImageInfo

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

NONE = "-"
TITLE = "EMULATED: executed instructions per MAC (not cycles, not time)"
OURS, OTHER, UPSTREAM, LIMIT, AIM = "#1b6ca8", "#d9822b", "#9aa5b1", "#c0392b", "#2e8b57"


def _is_ours(engine: str) -> bool:
    return engine.startswith("tflite_c")


def verdict(entry: Entry) -> str:
    """How an entry stands against its bars; they are tflite_c's and nobody else's."""
    if entry.bars.must is None or not _is_ours(entry.engine):
        return NONE
    if entry.instructions > entry.bars.must:
        return "MISSED"
    if entry.bars.aim is None:
        return "met"
    return "met, aim too" if entry.instructions <= entry.bars.aim else "met, aim not"


def _number(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def _short(value: int | None) -> str:
    return NONE if value is None else f"{value / 1e6:.2f} M"


def core_table(entries: Sequence[Entry]) -> Listing:
    """One row per model and engine, all of one board."""
    engines = len({entry.engine for entry in entries}) > 1
    estimated = any(entry.cycles_estimate is not None for entry in entries)
    figures = (
        "instructions\nper inference", "must\n<=", "aim\n<=", "bars", "TFLM with\nCMSIS-NN", "of\nTFLM", "per\nMAC",
        "arena,\nbytes", "TFLM's\narena", "load,\ninstructions", "TFLM's\nset-up",
        *(["ESTIMATED\nM4 cycles"] if estimated else []),
    )  # fmt: skip
    table = listing(
        "model",
        *(["engine"] if engines else []),
        *figures,
        numbers=[title for title in figures if title != "bars"],
        whole=("engine", "bars"),
        boxed=True,
        optional=[
            *("TFLM's\nset-up", "TFLM's\narena", "load,\ninstructions", "ESTIMATED\nM4 cycles", "arena,\nbytes"),
            *("TFLM with\nCMSIS-NN", "per\nMAC", "aim\n<="),
        ],
    )
    for entry in entries:
        bars, ours = entry.bars, _is_ours(entry.engine)
        table.add_row(
            entry.task,
            *([entry.engine.partition(" ")[0]] if engines else []),
            _number(entry.instructions),
            _short(bars.must if ours else None),
            _short(bars.aim if ours else None),
            verdict(entry),
            _number(bars.tflm_cmsis_nn),
            NONE if entry.to_tflm is None else f"{entry.to_tflm:.2f}",
            f"{entry.per_mac:.2f}",
            _number(entry.model.arena_bytes),
            _number(bars.tflm_arena_bytes),
            _number(entry.load_instructions),
            _number(bars.tflm_setup_instructions),
            *([_number(entry.cycles_estimate)] if estimated else []),
        )
    return table


def _by_model(entries: Sequence[Entry]) -> list[Entry]:
    """The engines of a model side by side."""
    tasks = list(dict.fromkeys(entry.task for entry in entries))
    return sorted(entries, key=lambda entry: tasks.index(entry.task))


def size_line(image: ImageInfo) -> str:
    """How large an engine is, in one line."""
    text = f"engine {image.engine}, {image.compiler}: {image.engine_text_bytes:,} bytes of code and constants"
    if image.basic_text_bytes is None or image.must_text_bytes is None:
        return text
    met = "met" if image.basic_text_bytes <= image.must_text_bytes else "MISSED"
    return (
        f"{text}; with the seven operators of these models alone {image.basic_text_bytes:,} "
        f"(must <= {image.must_text_bytes:,}: {met}; {image.basic_with_libraries_bytes:,} with libraries)"
    )


def print_bench(bench: EngineBench, console: Console) -> None:
    """Print a table for each board, and below them where everything comes from."""
    for board in dict.fromkeys(entry.board.name for entry in bench.entries):
        entries = _by_model([entry for entry in bench.entries if entry.board.name == board])
        core = entries[0].board.core
        say(console, f"{board} ({core}), EMULATED: executed instructions, exact; not cycles, not time", style="bold")
        show(console, core_table(entries))
        say(console, *(size_line(image) for image in bench.images if image.board == board), "")
    say(console, *_notes(bench))


def _notes(bench: EngineBench) -> list[str]:
    source = bench.baseline
    text_bytes = {entry.task: entry.bars.tflm_text_bytes for entry in bench.entries}
    notes = [
        f"TFLM's figures: {source['tflm']}, {source['cmsis_nn']}, {source['compiler']}, {source['qemu']}; "
        "arena and set-up on a Cortex-M4F. Its programs without the model, there: "
        + ", ".join(f"{task} {size:,}" for task, size in text_bytes.items())
        + " bytes.",
        f"Emulator: {bench.emulator}.",
    ]
    if any(entry.cycles_estimate is not None for entry in bench.entries):
        notes.append(f"ESTIMATED cycles: executed instructions by class, times the cycles of {bench.cycles}.")
    return notes


def plot(bench: EngineBench) -> bytes:
    """A PNG: instructions per MAC of every model, one panel for each board, TFLM and the bars beside ours."""
    # Half a second to load, and nothing else needs it.
    from matplotlib.figure import Figure  # noqa: PLC0415

    boards = list(dict.fromkeys(entry.board.name for entry in bench.entries))
    figure = Figure(figsize=(10, 2 + 2.6 * len(boards)), layout="constrained")
    panels = figure.subplots(len(boards), 1, squeeze=False)[:, 0]
    legend: dict[str, Artist] = {}
    for board, panel in zip(boards, panels, strict=True):
        _panel(panel, [entry for entry in bench.entries if entry.board.name == board])
        handles, labels = panel.get_legend_handles_labels()
        legend |= zip(labels, handles, strict=True)
    shown = sorted(legend, key=lambda label: label in ("must", "aim"))  # otherwise as they came
    figure.legend(
        [legend[label] for label in shown],
        shown,
        title=TITLE,  # as a title of the figure it would lie over the legend
        title_fontproperties={"size": 15, "weight": "bold"},
        loc="outside upper center",
        ncols=3,
        fontsize=12,
        frameon=False,
    )
    source = bench.baseline
    figure.supxlabel(
        f"TFLM: {source['tflm']}, {source['cmsis_nn']},\n{source['compiler']}, {source['qemu']}", fontsize=10
    )
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=120)
    return out.getvalue()


def _panel(panel: Axes, entries: Sequence[Entry]) -> None:
    """Bars of one board: every engine of this session, then TFLM's figures of the baseline where there are some."""
    tasks = list(dict.fromkeys(entry.task for entry in entries))
    series: list[tuple[str, str, dict[str, float]]] = []
    for engine in dict.fromkeys(entry.engine for entry in entries):
        color = OURS if _is_ours(engine) else OTHER
        series.append((engine, color, {entry.task: entry.per_mac for entry in entries if entry.engine == engine}))
    upstream = {e.task: e.bars.tflm_cmsis_nn / e.macs for e in entries if e.bars.tflm_cmsis_nn is not None}
    if upstream:
        series.append(("TFLM with CMSIS-NN (baseline)", UPSTREAM, upstream))
    width = 0.8 / len(series)
    for number, (label, color, values) in enumerate(series):
        places = [tasks.index(task) - 0.4 + (number + 0.5) * width for task in values]
        drawn = panel.bar(places, list(values.values()), width * 0.92, label=label, color=color)
        # Legible where a dashed line runs through it.
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1}
        panel.bar_label(drawn, fmt="%.2f", fontsize=11, padding=3, bbox=box, zorder=5)
    for label, color, values in (
        ("must", LIMIT, {e.task: e.bars.must / e.macs for e in entries if e.bars.must is not None}),
        ("aim", AIM, {e.task: e.bars.aim / e.macs for e in entries if e.bars.aim is not None}),
    ):
        if values:
            places = [tasks.index(task) for task in values]
            left, right = [place - 0.44 for place in places], [place + 0.44 for place in places]
            panel.hlines(list(values.values()), left, right, colors=color, linestyles="dashed", label=label)
    panel.set_title(f"{entries[0].board.name} ({entries[0].board.core})", fontsize=13, loc="left")
    panel.set_xticks(range(len(tasks)), tasks, fontsize=12)
    panel.set_ylabel("instructions / MAC", fontsize=12)
    panel.tick_params(axis="y", labelsize=11)
    panel.margins(y=0.18)
    panel.spines[["top", "right"]].set_visible(False)
