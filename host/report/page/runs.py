# SPDX-License-Identifier: Apache-2.0
"""One run on a page: latency by window, energy by window and where its uncertainty is from, operators, traces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from host.report.energy import energy_text, gross_text, per_inference
from host.report.page import figures
from host.report.page.cells import Cells, certain, digits, grid, label, thousands, told
from host.report.page.folders import Folder
from host.report.page.operators import operator_figure, operator_grid
from host.report.page.overview import power
from host.report.page.pictures import Pictures
from host.report.page.traces import Owner, is_of, traces_of
from host.report.page.view import NONE, Cell, Column, Fact, Figure, Grid, Row, Trace, shown
from host.report.page.view import Run as RunView
from host.report.page.words import RULES, WORDS, anchor, board_of, notes, unit_prefix, where
from host.report.table import mark, milliseconds
from host.results.schema import Energy, EnergyWindow, Run


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is. source: the number of its folder on the page; number: its own in result.json."""

    folder: Folder
    source: int
    number: int

    @property
    def run(self) -> Run:
        """The run itself."""
        return self.folder.result.runs[self.number]

    @property
    def key(self) -> str:
        """What names of its figures begin with; also its anchor."""
        return anchor(self.source, self.number)

    @property
    def path(self) -> str:
        """Where it is in result.json."""
        return f"runs.{self.number}"

    @property
    def unit(self) -> str:
        """What stands before a unit."""
        return unit_prefix(self.folder.result)

    @property
    def where(self) -> str:
        """The provenance and the board, for a figure that is alone."""
        return where(self.folder.result)

    @property
    def cells(self) -> Cells:
        """Of its result.json."""
        return Cells(self.source, self.folder.raw)


def trace_files(place: Place) -> list[Path]:
    """The traces that belong to this run: the first one of its task that measured energy has them."""
    run = place.run
    first = next(
        (number for number, other in enumerate(place.folder.result.runs)
         if other.task == run.task and other.energy_uj is not None), None
    )  # fmt: skip
    if first != place.number:
        return []
    return [path for path in place.folder.traces if is_of(path, run.task)]


def run_view(place: Place, pictures: Pictures, budget: int) -> RunView:
    """A run as the template shows it. budget: bytes of all payloads of its traces."""
    run, result = place.run, place.folder.result
    traces, trace_notes = _traces(place, pictures, budget)
    return RunView(
        anchor=place.key,
        source=place.source,
        task=shown(run.task),
        mode=run.mode,
        title=shown(f"{run.task}, {run.mode}, {result.board.name}{board_of(result, run)}"),
        provenance=result.provenance,
        word=WORDS[result.provenance],
        valid=run.valid,
        reasons=tuple(map(shown, run.reasons)),
        notes=tuple(map(shown, dict.fromkeys([mark(result), *notes(run)]))),
        facts=_facts(place),
        latency=_latency_grid(place),
        latency_figure=_latency_figure(place, pictures),
        traces=tuple(traces),
        trace_notes=tuple(trace_notes),
        energy=_energy_grid(place),
        budget=_budget_grid(place),
        budget_figure=_budget_figure(place, pictures),
        operators=operator_grid(place.cells, place.path, run, place.unit),
        operators_figure=operator_figure(place.key, run, place.where, place.unit, pictures),
    )


def _traces(place: Place, pictures: Pictures, budget: int) -> tuple[list[Trace], list[str]]:
    run = place.run
    if run.energy_uj is None:
        return [], []
    files = trace_files(place)
    provenance = place.folder.result.provenance
    each = budget // max(len(files), 1)
    owner = Owner(place.key, run.task, place.where, place.unit, provenance, run.energy_uj, each)
    return traces_of(files, owner, pictures)


_HEADLINES = {
    "latency_us.median", "instructions_per_inference", "energy_uj.value", "energy_uj.mean_mw", "accuracy.value",
    "model.arena_bytes",
}  # fmt: skip


def _facts(place: Place) -> tuple[Fact, ...]:
    run, unit = place.run, place.unit
    energy, u = run.energy_uj, run.energy_uj.u if run.energy_uj else None

    def fact(name: str, path: str, text: Any = str, note: str = "") -> Fact:
        return place.cells.fact(name, f"{place.path}.{path}", text, note, headline=path in _HEADLINES)

    def latency(us: float) -> str:
        return f"{milliseconds(us)} {unit}ms"

    def microjoules(uj: float) -> str:
        return f"{certain(uj, u)} {unit}µJ"

    def gross(uj: float) -> str:
        return f"{gross_text(energy, uj) if energy else certain(uj, u)} {unit}µJ"

    def idle(mw: float) -> str:
        return f"{mw:#.3g} {unit}mW"

    return told(
        (
            fact("rules", "rules", lambda rules: RULES[rules]),
            fact("latency, median of the windows", "latency_us.median", latency),
            fact("latency, shortest", "latency_us.min", latency),
            fact("latency, longest", "latency_us.max", latency),
            fact("variation", "latency_us.cv", digits(".3%"), "standard deviation over mean of the windows"),
            fact("median, 95 % interval from", "latency_us.interval.low", latency, _bootstrap(run)),
            fact("median, 95 % interval to", "latency_us.interval.high", latency),
            fact("throughput", "throughput_inf_per_s", lambda value: f"{value:.3f} inferences per {unit}s"),
            fact("instructions per inference", "instructions_per_inference", thousands),
            fact("energy of one inference", "energy_uj.value", microjoules, _kind(energy, unit)),
            fact("its expanded uncertainty U", "energy_uj.u", lambda value: f"{value:.2g} {unit}µJ"),
            *(() if energy is None or energy.net is None else (fact("gross", "energy_uj.gross", gross),)),
            fact("power while it infers", "energy_uj.mean_mw", lambda mw: f"{power(mw, run)} {unit}mW"),
            fact("idle power", "energy_uj.idle_mw", idle),
            fact("idle power before", "energy_uj.idle_before_mw", idle),
            fact("idle power after", "energy_uj.idle_after_mw", idle),
            fact("idle drift", "energy_uj.idle_drift", digits("+.2%")),
            fact("lost samples", "energy_uj.lost_samples", thousands),
            fact("the board's clock over the monitor's", "energy_uj.clock_ratio", digits(".6f")),
            fact("accuracy", "accuracy.value", lambda value: run.accuracy.text(value) if run.accuracy else NONE),
            fact("area under the curve", "accuracy.auc", digits(".4f")),
            fact("accuracy's inputs", "accuracy.n", thousands),
            fact("target", "accuracy.target", lambda value: run.accuracy.text(value) if run.accuracy else NONE),
            fact("the board's clock over this machine's", "clock.ratio", digits(".6f")),
            fact("windows that tell it", "clock.windows", thousands),
            fact("arena", "model.arena_bytes", lambda value: f"{value:,} bytes"),
        )
    )


def _bootstrap(run: Run) -> str:
    """How sure the interval of the median can be: between the least and the largest of n windows the true one lies in
    1 - 2^(1 - n) of all cases, and a bootstrap does not reach beyond them."""
    count = len(run.windows)
    most = 1 - 2.0 ** (1 - count)
    few = f", whose range itself holds the median in {most:.0%} of cases" if most < 0.95 else ""
    return f"by bootstrap over {count} windows{few}"


def _kind(energy: Energy | None, unit: str) -> str:
    if energy is None or energy.value is None:
        return ""
    kind = "net of idle" if energy.net is not None else "gross"
    if energy.u is None:
        return f"{kind}, no accuracy data"
    return f"± {energy_text(energy).partition(' +- ')[2] or 0} {unit}µJ, k = {energy.k:g}, {kind}"


def _latency_grid(place: Place) -> Grid | None:
    run, unit = place.run, place.unit
    if not run.windows:
        return None
    columns = [
        Column("window", numeric=True), Column("input"), Column("inferences", numeric=True),
        Column("duration", f"{unit}µs", numeric=True), Column("latency", f"{unit}ms", numeric=True),
        Column("by this machine's clock", "µs", numeric=True), Column("instructions", "per inference", numeric=True),
    ]  # fmt: skip
    rows = []
    for number, window in enumerate(run.windows):
        at = partial(_at, place, f"windows.{number}")
        rows.append(
            Row((
                label(str(number + 1)), at("input"), at("inferences", thousands), at("duration_us", thousands),
                label(milliseconds(window.duration_us / window.inferences)), at("host_us", thousands),
                at("instructions", thousands),
            ))
        )  # fmt: skip
    return grid("Latency by window", columns, rows)


def _at(place: Place, base: str, path: str, text: Any = str, note: str = "") -> Cell:
    return place.cells.at(f"{place.path}.{base}.{path}", text, note)


def _latency_figure(place: Place, pictures: Pictures) -> Figure | None:
    run, unit = place.run, place.unit
    if not run.windows or run.latency_us is None:
        return None
    values = [window.duration_us / window.inferences / 1e3 for window in run.windows]
    median = run.latency_us.median / 1e3
    least, most, middle = (milliseconds(value * 1e3) for value in (min(values), max(values), median))
    text = (
        f"Latency of {len(values)} windows, between {least} and {most} {unit}ms; the median is "
        f"{middle} {unit}ms. The axis does not begin at 0."
    )
    draw = partial(figures.latency, values, median, unit)
    return pictures.add(f"{place.key}-latency", f"{run.task}, latency by window", place.where, text, draw)


def _energy_grid(place: Place) -> Grid | None:
    energy, unit = place.run.energy_uj, place.unit
    if energy is None or not energy.windows:
        return None
    net = ", net of idle" if energy.net is not None else ""
    columns = [
        Column("window", numeric=True), Column("input"), Column("inferences", numeric=True),
        Column("energy of the window", f"{unit}µJ", numeric=True), Column("U", f"{unit}µJ", numeric=True),
        Column("per inference", f"{unit}µJ{net}", numeric=True), Column("duration", f"{unit}s", numeric=True),
        Column("power", f"{unit}mW", numeric=True), Column("clock ratio", numeric=True),
        Column("samples", numeric=True), Column("lost", numeric=True), Column("overloads", numeric=True),
        Column("range switches", numeric=True), Column("valid"),
    ]  # fmt: skip
    rows = [_energy_row(place, energy, number, window) for number, window in enumerate(energy.windows)]
    return grid(
        "Energy by window", columns, rows,
        ["U: expanded uncertainty of one window, without the scatter between them. Clock ratio: the board's time over "
         "the monitor's."],
    )  # fmt: skip


def _energy_row(place: Place, energy: Energy, number: int, window: EnergyWindow) -> Row:
    at = partial(_at, place, f"energy_uj.windows.{number}")
    rate_hz = energy.monitor.rate_hz
    places = min(max(math.ceil(math.log10(rate_hz)), 0), 9) if rate_hz > 0 else 6
    share = certain(per_inference(window, energy), energy.u) if window.energy_uj is not None else NONE
    relative = window.u_uj / window.energy_uj if window.u_uj is not None and window.energy_uj else None
    return Row(
        (
            at("window", lambda value: str(value + 1)),
            at("input"),
            at("inferences", thousands),
            at("energy_uj", lambda value: certain(value, window.u_uj)),
            at("u_uj", lambda value: f"± {value:.2g}"),
            label(share),
            at("duration_s", digits(f".{places}f")),
            at("mean_mw", lambda value: certain(value, abs(value * relative)) if relative else f"{value:#.4g}"),
            at("clock_ratio", digits(".6f")),
            at("samples", thousands),
            at("lost_samples", thousands),
            at("overloads", thousands),
            at("range_switches", thousands),
            at("valid", lambda value: "valid" if value else "NOT VALID", "; ".join(window.reasons)),
        ),
        "row" if window.valid else "invalid",
    )


def _budget_grid(place: Place) -> Grid | None:
    energy, unit = place.run.energy_uj, place.unit
    if energy is None or not energy.budget:
        return None
    total = math.hypot(*(term.u_uj for term in energy.budget))
    columns = [
        Column("term"), Column("standard uncertainty", f"{unit}µJ, k = 1", numeric=True),
        Column("part of the variance", numeric=True),
    ]  # fmt: skip
    rows = []
    for number in _by_size(energy):
        at = partial(_at, place, f"energy_uj.budget.{number}")
        share = (energy.budget[number].u_uj / total) ** 2 if total else 0.0
        rows.append(Row((at("term"), at("u_uj", digits(".2g")), label(f"{share:.1%}"))))
    rows.append(Row((label("together"), label(f"{total:.2g}"), label("100.0%" if total else NONE)), "sum"))
    notes_ = [f"U = {energy.k:g} times what they are together, of one inference."]
    source = energy.monitor.accuracy_source
    return grid("Where the uncertainty is from", columns, rows, [*notes_, *([f"Accuracy: {source}"] if source else [])])


def _by_size(energy: Energy) -> list[int]:
    return sorted(range(len(energy.budget)), key=lambda number: -energy.budget[number].u_uj)


def _budget_figure(place: Place, pictures: Pictures) -> Figure | None:
    energy = place.run.energy_uj
    if energy is None or not energy.budget:
        return None
    terms = [energy.budget[number] for number in _by_size(energy)]
    names, values = [term.term for term in terms], [term.u_uj for term in terms]
    text = f"Bars of {len(terms)} terms; the largest is {names[0]}, {values[0]:.2g} {place.unit}µJ."
    draw = partial(figures.budget, names, values, place.unit)
    title = f"{place.run.task}, uncertainty budget"
    return pictures.add(f"{place.key}-budget", title, place.where, text, draw)
