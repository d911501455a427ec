# SPDX-License-Identifier: Apache-2.0
"""What stands first on a page: whether the runs are valid, and a table of figures for each board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from host.report.energy import energy_text
from host.report.page.cells import Cells, certain, digits, grid, label, thousands
from host.report.page.folders import Folder
from host.report.page.view import NONE, Cell, Column, Grid, Group, Row, Verdict, shown
from host.report.page.words import ORDER, QUICK, RULES, WORDS, anchor, board_of, meaning, unit_prefix
from host.report.table import TARGETS, is_synthetic, milliseconds, sources
from host.results.schema import Accuracy, Result, Run

_MAX_LINES = 40
_MAX_SOURCES = 20
_MAY_DIFFER: tuple[tuple[str, Callable[[Run], str]], ...] = (
    ("models", lambda run: run.model.sha256 or run.model.name),
    ("inputs", lambda run: run.dataset.sha256),
)
"""Between rows of a task, which then are no repetitions of each other."""


def verdict(folders: Sequence[Folder]) -> Verdict:
    """Of all runs together."""
    runs = [(folder, source, place, run) for source, folder in enumerate(folders)
            for place, run in enumerate(folder.result.runs)]  # fmt: skip
    bad = [entry for entry in runs if not entry[3].valid]
    links = tuple((shown(_name(folder.result, run)), f"#{anchor(source, place)}") for folder, source, place, run in bad)
    lines = [f"{_name(folder.result, run)}: {_why(run)}" for folder, _, _, run in bad]
    missing = [_missing(folder) for folder in folders]
    lines += [
        f"session {folder.name} was not finished: {', '.join(tasks)} without a result. `host bench --resume` goes on"
        for folder, tasks in zip(folders, missing, strict=True)
        if tasks
    ]
    lines += [line for folder in folders for line in _remarks(folder.result)]
    provenances = [word for word in ORDER if any(folder.result.provenance == word for folder in folders)]
    for provenance in provenances:
        lines.append(meaning([folder for folder in folders if folder.result.provenance == provenance]))
    if len(provenances) > 1:
        words = ", ".join(WORDS[provenance] for provenance in provenances)
        lines.append(f"{words} numbers are in tables of their own: they are not to be compared with each other")
    quick = any(run.rules == "quick" for _, _, _, run in runs)
    lines += [QUICK] if quick else []
    lines = list(dict.fromkeys(map(shown, lines)))
    told = (*lines[:_MAX_LINES], f"{len(lines) - _MAX_LINES} more") if len(lines) > _MAX_LINES else tuple(lines)
    if not runs:
        return Verdict("invalid", "No run was finished", told)
    if bad:
        return Verdict("invalid", f"INVALID: {len(bad)} of {_count(len(runs))}", told, links)
    which = "The run is valid" if len(runs) == 1 else f"All {len(runs)} runs are valid"
    if count := sum(map(len, missing)):
        are = "task is" if count == 1 else "tasks are"
        which = f"NOT FINISHED, {count} {are} missing; {which[0].lower()}{which[1:]}"
        if not quick:
            return Verdict("quick", f"{which} under the MLPerf Tiny run rules", told)
    if quick:
        return Verdict("quick", f"{which}: a quick look, no benchmark result", told)
    which += " under the MLPerf Tiny run rules"
    if provenances != ["measured"]:
        other = " and ".join(WORDS[provenance] for provenance in provenances if provenance != "measured")
        return Verdict("quick", f"{which}, but {other}: no benchmark result", told)
    return Verdict("valid", which, told)


def _missing(folder: Folder) -> list[str]:
    """Tasks that the session was made for and has no run of: it was broken off."""
    done = {run.task for run in folder.result.runs}
    return [] if folder.plan is None else [task for task in folder.plan.tasks if task not in done]


def _count(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"


def _name(result: Result, run: Run) -> str:
    return f"{run.task}, {run.mode}{board_of(result, run)}"


def _why(run: Run) -> str:
    return "; ".join(run.reasons) or "marked as not valid, without a reason"


def _remarks(result: Result) -> list[str]:
    """Missed targets, and boards that left."""
    lines = []
    for run in result.runs:
        accuracy = run.accuracy
        if accuracy is not None and accuracy.met is False:
            lines.append(f"{_name(result, run)}: {accuracy.text(accuracy.value)} MISSES {_target(accuracy)}")
    for number, unit in enumerate(result.units, start=1):
        if unit.dropped is not None:
            lines.append(f"board {number} ({unit.name}) left the session: {unit.dropped}")
    return lines


def _target(accuracy: Accuracy) -> str:
    return f"{TARGETS[accuracy.target_source or 'official']} target, {accuracy.text(accuracy.target)}"


@dataclass(frozen=True, slots=True)
class _Place:
    """A run, and where it is. firmware: told apart by its first digits where a table has several."""

    cells: Cells
    result: Result
    run: Run
    source: int
    number: int

    def at(self, path: str, text: Callable[..., str] = str, note: str = "") -> Cell:
        """A value of the run."""
        return self.cells.at(f"runs.{self.number}.{path}", text, note)


def groups(folders: Sequence[Folder]) -> tuple[Group, ...]:
    """Measured, emulated and replayed, each with a table per board."""
    found = []
    for provenance in ORDER:
        own = [(source, folder) for source, folder in enumerate(folders) if folder.result.provenance == provenance]
        boards: dict[tuple[object, ...], list[_Place]] = {}
        for source, folder in own:
            cells = Cells(source, folder.raw)
            for number, run in enumerate(folder.result.runs):
                place = _Place(cells, folder.result, run, source, number)
                boards.setdefault(_board_key(folder.result, run), []).append(place)
        if own:
            tables = tuple(_table(places, many=len(own) > 1) for places in boards.values())
            found.append(Group(provenance, WORDS[provenance], shown(meaning([folder for _, folder in own])), tables))
    return tuple(found)


def _board_key(result: Result, run: Run) -> tuple[object, ...]:
    """Runs with the same are in one table: on the same kind of board, and on the same one of a session's."""
    board = result.board
    several = len(result.units) > 1
    unit = run.unit if several else 0
    name = board.name
    if several and run.unit is not None and run.unit < len(result.units):
        name = result.units[run.unit].name
    return name, board.core, board.clock_hz, several, unit


def _table(places: Sequence[_Place], *, many: bool) -> Grid:
    first = places[0]
    unit = unit_prefix(first.result)
    columns = [
        Column("task"), Column("mode"), Column("rules"), Column("latency", f"{unit}ms", numeric=True),
        Column("throughput", f"inferences per {unit}s", numeric=True),
        Column("energy per inference", f"{unit}µJ", numeric=True),
        Column("U", f"{unit}µJ, {_coverage(places)}", numeric=True),
        Column("power", f"{unit}mW", numeric=True), Column("accuracy"), Column("target"),
        Column("instructions", "per inference", numeric=True), Column("arena", "bytes", numeric=True),
        Column("code size", "bytes", numeric=True), Column("firmware"), Column("made", "UTC"),
    ]  # fmt: skip
    rows = [Row(_row(place, many=many), "row" if place.run.valid else "invalid",
                f"#{anchor(place.source, place.number)}") for place in places]  # fmt: skip
    return grid(_caption(first), columns, rows, _notes(places))


def _coverage(places: Sequence[_Place]) -> str:
    """k, or where it is said."""
    energies = [place.run.energy_uj for place in places]
    factors = {energy.k for energy in energies if energy is not None and energy.u is not None}
    return f"k = {factors.pop():g}" if len(factors) == 1 else "k as in each run"


def _caption(place: _Place) -> str:
    result, board = place.result, place.result.board
    name, *_ = _board_key(result, place.run)
    clock = f" at {board.clock_hz / 1e6:g} MHz" if board.clock_hz else ""
    text = f"{name} ({board.core}{clock})"
    if len(result.units) > 1:
        text += f", spread over {len(result.units)} boards" if place.run.unit is None else board_of(result, place.run)
    return shown(f"{text}, {WORDS[result.provenance]}")


def _row(place: _Place, *, many: bool) -> tuple[Cell, ...]:
    run, at = place.run, place.at
    energy, u = run.energy_uj, run.energy_uj.u if run.energy_uj else None
    state = f"{RULES[run.rules]}, {'valid' if run.valid else 'INVALID'}"
    return (
        at("task"),
        at("mode"),
        at("rules", lambda _: state),
        at("latency_us.median", milliseconds),
        at("throughput_inf_per_s", digits(".3f")),
        at("energy_uj.value", lambda uj: certain(uj, u), "net of idle" if energy and energy.net is not None else ""),
        _uncertainty(place),
        at("energy_uj.mean_mw", lambda mw: power(mw, run)),
        _accuracy(place),
        at("accuracy.target", lambda _: _met(run)),
        at("instructions_per_inference", thousands),
        at("model.arena_bytes", thousands),
        _code_size(place),
        place.cells.at("firmware.sha256", lambda sha256: sha256[:12]) if many else Cell(NONE),
        place.cells.at("created", lambda time: time[:19].replace("T", " ")) if many else Cell(NONE),
    )


def power(value_mw: float, run: Run) -> str:
    """Power while it infers, with the digits that the energy's uncertainty leaves it, at most four."""
    energy = run.energy_uj
    four = f"{value_mw:#.4g}"
    if energy is None or energy.u is None or not energy.gross:
        return four
    text = certain(value_mw, abs(value_mw * energy.u / energy.gross))
    return min(text, four, key=len)


def _uncertainty(place: _Place) -> Cell:
    energy = place.run.energy_uj
    if energy is None or energy.value is None:
        return Cell(NONE)
    if energy.u is None:
        return place.at("energy_uj.u", note="no accuracy data")
    _, _, u_text = energy_text(energy).partition(" +- ")
    return place.at("energy_uj.u", lambda u: f"± {u_text or format(u, '.2g')}")


def _accuracy(place: _Place) -> Cell:
    accuracy = place.run.accuracy
    if accuracy is None:
        return Cell(NONE)
    note = f"on {accuracy.n} inputs"
    if accuracy.metric == "top1" and accuracy.value is not None:
        note = f"{round(accuracy.value * accuracy.n)} of {accuracy.n}"
    if is_synthetic(place.run):
        note += ", SYNTHETIC inputs"
    if accuracy.value is None:
        return label(f"{accuracy.text(None)} {note}")
    return place.at("accuracy.value", accuracy.text, note)


def _met(run: Run) -> str:
    accuracy = run.accuracy
    if accuracy is None:
        return NONE
    met = {True: "met", False: "MISSED", None: "not comparable"}[accuracy.met]
    return f"{accuracy.text(accuracy.target)} ({TARGETS[accuracy.target_source or 'official']} target): {met}"


def _code_size(place: _Place) -> Cell:
    """Computed from three values of the record, so it has no path."""
    sizes = place.result.firmware.sizes
    return Cell(NONE) if sizes is None else label(thousands(sizes.code))


def _notes(places: Sequence[_Place]) -> list[str]:
    notes = list(dict.fromkeys(sources(place.run) for place in places))
    if len(notes) > _MAX_SOURCES:
        notes = [*notes[:_MAX_SOURCES], f"{len(notes) - _MAX_SOURCES} more models and inputs: each run names its own"]
    if any(place.run.energy_uj is not None and place.run.energy_uj.u is not None for place in places):
        notes.append(
            "U is the expanded uncertainty: with k = 2, in about 95 of 100 such measurements the true energy lies "
            "within the value ± U."
        )
    if any(place.result.firmware.sizes is not None for place in places):
        notes.append("Code size: of the whole program in flash, its models left out.")
    if len({place.result.firmware.sha256 for place in places}) > 1:
        notes.append("The rows are of different firmware.")
    for what, of_run in _MAY_DIFFER:
        found: dict[str, set[str]] = {}
        for place in places:
            found.setdefault(place.run.task, set()).add(of_run(place.run))
        notes += [f"{task}: the rows are of different {what}." for task, values in found.items() if len(values) > 1]
    return notes
