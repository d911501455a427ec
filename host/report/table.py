"""The result on the terminal: a table of figures that fits 100 columns, and below it in words what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console

from host.report.energy import energy_text
from host.report.energy import notes as energy_notes
from host.report.terminal import Listing, listing, say, show
from host.results.schema import Accuracy, ClockCheck, Result, Run, Unit

NONE = "-"
TARGETS = {"official": "the official", "model": "the model's", "user": "your"}


def mark(result: Result) -> str:
    """What its numbers are worth, in words."""
    if result.provenance == "measured":
        return "measured on the board"
    if result.provenance == "replayed":
        return "REPLAYED from a recording"
    if result.board.clock_hz is None:
        return "EMULATED by a process on this machine: its times say nothing of a microcontroller"
    return "EMULATED: time is instructions at one per cycle, not silicon"


def _latency(run: Run) -> str:
    return NONE if run.latency_us is None else milliseconds(run.latency_us.median)


def milliseconds(us: float) -> str:
    """To the microsecond; what is below a tenth of a millisecond has three digits."""
    return f"{us / 1e3:.3f}" if us >= 100 or us == 0 else f"{us / 1e3:#.3g}"


def _spread(run: Run) -> str:
    latency = run.latency_us
    if latency is None or latency.cv is None:
        return NONE
    text = f"{latency.cv:.3%}"
    if latency.interval is not None:
        low, high = (milliseconds(end) for end in (latency.interval.low, latency.interval.high))
        text += f",\n{low}" if low == high else f",\n{low} to\n{high}"
    return text


def _energy(run: Run) -> str:
    energy = run.energy_uj
    if energy is None:
        return NONE
    lines = [energy_text(energy)]
    if energy.u is None and energy.value is not None:
        lines.append("no accuracy data")
    if energy.net is not None:
        lines.append("net of idle")
    return ",\n".join(lines)


def _power(run: Run) -> str:
    energy = run.energy_uj
    if energy is None:
        return NONE
    mean = NONE if energy.mean_mw is None else f"{energy.mean_mw:#.4g}"
    return mean if energy.idle_mw is None else f"{mean},\nidle {energy.idle_mw:#.3g}"


def _throughput(run: Run) -> str:
    return NONE if run.throughput_inf_per_s is None else f"{run.throughput_inf_per_s:.3f}"


def _instructions(run: Run) -> str:
    return NONE if run.instructions_per_inference is None else f"{run.instructions_per_inference:,}"


def _arena(run: Run) -> str:
    return NONE if run.model.arena_bytes is None else f"{run.model.arena_bytes:,}"


def is_synthetic(run: Run) -> bool:
    """Whether its inputs were made here and are nobody's official ones."""
    return "synthetic" in f"{run.dataset.source} {run.dataset.name}".lower()


def _accuracy(run: Run) -> str:
    accuracy = run.accuracy
    if accuracy is None:
        return NONE
    lines = [accuracy_text(accuracy)]
    if is_synthetic(run):
        lines.append("SYNTHETIC inputs")
    if accuracy.target is not None:
        # Records of before 2 have official targets only.
        whose = TARGETS[accuracy.target_source or "official"]
        met = {True: "met", False: "MISSED", None: "not comparable"}[accuracy.met]
        lines.append(f"{whose} target, {accuracy.text(accuracy.target)}: {met}")
    elif not is_synthetic(run):
        lines.append("no target: not the official\nmodel and whole official set")
    return ",\n".join(lines)


def accuracy_text(accuracy: Accuracy) -> str:
    """The value and on how many inputs."""
    if accuracy.value is None:
        return f"{accuracy.text(None)} on {accuracy.n} inputs"
    if accuracy.metric == "auc":
        return f"{accuracy.text(accuracy.value)} on {accuracy.n} inputs"
    text = f"{accuracy.text(accuracy.value)} ({round(accuracy.value * accuracy.n)} of {accuracy.n})"
    return text if accuracy.auc is None else f"{text},\nAUC {accuracy.auc:.4f}"


def _verdict(run: Run) -> str:
    rules = "quick look" if run.rules == "quick" else run.rules
    return f"{rules},\n" + ("valid" if run.valid else "INVALID")


def _board(result: Result, run: Run) -> str:
    if run.unit is None or run.unit >= len(result.units):
        return "all"
    return f"{run.unit + 1}"


def heading(result: Result) -> str:
    """Which board the numbers are from and what they are worth, in one line."""
    clock = f" at {result.board.clock_hz / 1e6:g} MHz" if result.board.clock_hz else ""
    count = f"{len(result.units)} boards, the first " if len(result.units) > 1 else ""
    return f"{count}{result.board.name} ({result.board.core}{clock}), {mark(result)}"


def result_table(result: Result) -> Listing:
    """One row per run; columns that no run fills are left out, and beside energy those that latency tells as well."""
    emulated = "emulated " if result.provenance == "emulated" else ""
    many = len(result.units) > 1
    energy = any(run.mode == "energy" for run in result.runs)
    texts: list[tuple[str, Callable[[Run], str]]] = [
        ("task", lambda run: run.task),
        ("board", lambda run: _board(result, run) if many else NONE),
        ("accuracy", _accuracy),
        ("rules", _verdict),
    ]
    numbers: list[tuple[str, Callable[[Run], str]]] = [
        (f"latency,\n{emulated}ms", _latency),
        ("variation,\n95 %\ninterval", lambda run: NONE if energy else _spread(run)),
        (f"inferences /\n{emulated}s", lambda run: NONE if energy else _throughput(run)),
        (f"energy per\ninference,\n{emulated}uJ", _energy),
        (f"power,\n{emulated}mW", _power),
        ("instructions\nper inference", _instructions),
        ("arena,\nbytes", _arena),
    ]
    columns = [*texts[:2], *numbers[:-1], texts[2], numbers[-1], texts[3]]
    shown = [(title, cell) for title, cell in columns if any(cell(run) != NONE for run in result.runs)]
    table = listing(*(title for title, _ in shown), numbers=[title for title, _ in numbers], boxed=True)
    for run in result.runs:
        table.add_row(*(cell(run) for _, cell in shown))
    return table


def sources(run: Run) -> str:
    """Which model it is of, on which inputs."""
    inputs = f"{run.dataset.n} {'SYNTHETIC ' if is_synthetic(run) else ''}inputs ({run.dataset.source})"
    return f"{run.task}: {run.model.name} ({run.model.source}) on {inputs}"


def _notes(result: Result) -> Iterator[str]:
    """What a person has to know of single runs, one line each."""
    for run in result.runs:
        where = f"{run.task}, board {run.unit + 1}" if len(result.units) > 1 and run.unit is not None else run.task
        yield from (f"{where} INVALID: {reason}" for reason in run.reasons)
        yield from (f"{where}: {note}" for note in energy_notes(run))
        if run.accuracy is not None and run.accuracy.reason is not None:
            yield f"{where}: {run.accuracy.reason}"
        if run.clock is not None:
            yield from clock_notes(where, run.clock)
    if any(run.rules == "quick" for run in result.runs):
        yield "quick look: short windows and any model and inputs, no benchmark result; --rules mlperf makes one"


def clock_notes(where: str, clock: ClockCheck) -> Iterator[str]:
    """Where the board's clock and this machine's disagree. where: the task."""
    if clock.drift > clock.limit:
        yield (
            f"{where}: CLOCKS DISAGREE, the board's runs {clock.drift:.2%} {'fast' if clock.ratio > 1 else 'slow'} "
            f"against this machine's over {clock.windows} windows, more than {clock.limit:.1%}. Latency is by the "
            "board's: check its oscillator and its port's board_clock_us()"
        )
    elif clock.worst is not None and clock.worst > clock.limit:
        yield (
            f"{where}: one window or more of {clock.windows} where CLOCKS DISAGREE, by {clock.worst:.2%}, more than "
            f"{clock.limit:.1%}, although most agree: this machine may have been busy then. Run it again"
        )


def unit_text(number: int, unit: Unit) -> str:
    """One board of a session. number: from 1."""
    baud = "" if unit.baud is None else f" at {unit.baud} baud"
    link = "binary frames" if unit.link == "frames" else "the stock protocol"
    text = f"board {number}: {unit.name} {f'on {unit.port}' if unit.port else '(emulated here)'}, {link}{baud}"
    text += f", {unit.inputs} inputs"
    return text if unit.dropped is None else f"{text}; DROPPED: {unit.dropped}"


def print_result(result: Result, console: Console) -> None:
    """Print heading, table, notes, boards, models and data sets."""
    say(console, heading(result), style="bold")
    show(console, result_table(result))
    say(
        console,
        *_notes(result),
        *(unit_text(number, unit) for number, unit in enumerate(result.units, start=1)),
        *dict.fromkeys(map(sources, result.runs)),  # the same for every board
        f"engine {result.firmware.engine or 'unknown'}, {result.firmware.compiler or 'unknown compiler'}",
    )
