# SPDX-License-Identifier: Apache-2.0
"""Where the time and the energy of one inference go: a table and bars."""

from __future__ import annotations

from functools import partial

from host.report.page import figures
from host.report.page.cells import Cells, certain, digits, grid, label, thousands
from host.report.page.pictures import Pictures
from host.report.page.view import NONE, Cell, Column, Figure, Grid, Row
from host.results.schema import OperatorCost, Profile, Run


def operator_grid(cells: Cells, path: str, run: Run, unit: str) -> Grid | None:
    """A row an operator, their sum, and the whole that ran unobserved. path: of the run."""
    profile = run.profile
    if profile is None:
        return None
    u_uj = run.energy_uj.u if run.energy_uj else None
    columns = [
        Column("#", numeric=True), Column("operator"), Column("output"), Column("MACs", numeric=True),
        Column("bytes", numeric=True), Column("time", f"{unit}µs", numeric=True), Column("cycles", numeric=True),
        Column("instructions", numeric=True), Column("share", numeric=True),
        Column("energy", f"{unit}µJ", numeric=True),
    ]  # fmt: skip
    shares = _shares(profile)
    rows = [
        _row(cells, f"{path}.profile.operators.{number}", cost, shares[number], u_uj)
        for number, cost in enumerate(profile.operators)
    ]
    rows.append(_sum(profile, u_uj))
    at = partial(_whole, cells, path)
    rows.append(
        Row(
            (
                label("whole"), Cell(NONE), Cell(NONE), Cell(NONE), Cell(NONE), at("whole_us", digits(",.1f")),
                at("whole_cycles", digits(",.1f")), at("whole_instructions", thousands), Cell(NONE), Cell(NONE),
            ),
            "sum",
        )
    )  # fmt: skip
    return grid("One inference by operator", columns, rows, _notes(profile))


def _whole(cells: Cells, path: str, name: str, text: object) -> Cell:
    return cells.at(f"{path}.profile.{name}", text)  # type: ignore[arg-type]


def _row(cells: Cells, path: str, cost: OperatorCost, share: str, u_uj: float | None) -> Row:
    return Row(
        (
            cells.at(f"{path}.index"),
            cells.at(f"{path}.name"),
            label("x".join(map(str, cost.shape)) or NONE),
            cells.at(f"{path}.macs", thousands),
            cells.at(f"{path}.bytes", thousands),
            cells.at(f"{path}.us", digits(",.1f")),
            cells.at(f"{path}.cycles", digits(",.1f")),
            cells.at(f"{path}.instructions", thousands),
            label(share),
            cells.at(f"{path}.uj", lambda uj: certain(uj, u_uj) if u_uj else f"{uj:.2f}"),
        )
    )


def _weights(profile: Profile) -> list[float | None]:
    """What shares are made of: the best there is of instructions, cycles and microseconds."""
    costs = profile.operators
    if profile.whole_instructions is not None:
        return [cost.instructions for cost in costs]
    if profile.whole_cycles is not None:
        return [cost.cycles for cost in costs]
    return [cost.us for cost in costs]


def _shares(profile: Profile) -> list[str]:
    weights = _weights(profile)
    total = sum(weight or 0.0 for weight in weights)
    return [NONE if weight is None or not total else f"{weight / total:.1%}" for weight in weights]


def _sum(profile: Profile, u_uj: float | None) -> Row:
    costs = profile.operators

    def total(values: list[float | None], spec: str) -> Cell:
        known = [value for value in values if value is not None]
        return label(format(sum(known), spec)) if known else Cell(NONE)

    energy = [cost.uj for cost in costs]
    known = [uj for uj in energy if uj is not None]
    return Row(
        (
            label("sum"), Cell(NONE), Cell(NONE), total([cost.macs for cost in costs], ",.0f"),
            total([cost.bytes for cost in costs], ",.0f"), total([cost.us for cost in costs], ",.1f"),
            total([cost.cycles for cost in costs], ",.1f"), total([cost.instructions for cost in costs], ",.0f"),
            label("100.0%" if any(_weights(profile)) else NONE),
            label(certain(sum(known), u_uj) if u_uj else f"{sum(known):.2f}") if known else Cell(NONE),
        ),
        "sum",
    )  # fmt: skip


def _notes(profile: Profile) -> list[str]:
    notes = [
        f"The operators add up to {profile.deviation:+.3%} beside the whole, which ran unobserved on the same input.",
        f"Times are means over {profile.inferences} inferences on {profile.input}, in each of which the clock resolves "
        f"{profile.resolution_us:g} us.",
    ]
    if profile.whole_instructions is not None:
        notes.append("Instructions are exact, counted by the emulator; the few that call the observer are among them.")
    if profile.energy_deviation is not None:
        notes.append(
            "Energy: the operators' times laid over the power of one window, gross; it adds up to "
            f"{profile.energy_deviation:+.3%} beside it."
        )
    notes.append("Bytes: of weights and constants, of activations read and written, each tensor once.")
    return notes


def operator_figure(key: str, run: Run, where: str, unit: str, pictures: Pictures) -> Figure | None:
    """Bars of those that cost something."""
    if run.profile is None:
        return None
    costs = [cost for cost in run.profile.operators if cost.us is not None]
    if not costs:
        return None
    names = [f"{cost.index} {cost.name}" for cost in costs]
    times = [(cost.us or 0.0) / 1e3 for cost in costs]
    energies = [cost.uj or 0.0 for cost in costs] if any(cost.uj is not None for cost in costs) else None
    longest = max(costs, key=lambda cost: cost.us or 0.0)
    text = (
        f"Bars of {len(costs)} operators in the order in which they run; the longest is {longest.index} "
        f"{longest.name}, {longest.us or 0.0:,.1f} {unit}µs."
    )
    title = f"{run.task}, time{' and energy' if energies else ''} by operator"
    return pictures.add(
        f"{key}-operators", title, where, text, partial(figures.operators, names, times, energies, unit)
    )
