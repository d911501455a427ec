"""The profile of a model as a table: one row an operator, their sum, and the whole beside it. Fits 100 columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rich.console import Console

from host.report.terminal import Listing, listing, say, show
from host.results.schema import Profile, Result

NONE = "-"
HEAVIEST = 5
"""Operators of a run that the terminal shows where several runs were profiled; the report has them all."""


@dataclass(frozen=True, slots=True)
class _Witness:
    """What shares are made of: the best there is of instructions, cycles and microseconds."""

    title: str
    per_mac: str
    values: tuple[float | None, ...]
    whole: float
    macs_unit: float = 1.0

    @property
    def total(self) -> float:
        return sum(value for value in self.values if value is not None)

    def rate(self, value: float | None, macs: int) -> str:
        return NONE if value is None or not macs else f"{value / macs * self.macs_unit:,.2f}"


def _witness(profile: Profile) -> _Witness:
    costs = profile.operators
    if profile.whole_instructions is not None:
        instructions = tuple(cost.instructions for cost in costs)
        return _Witness("instruc-\ntions", "per\nMAC", instructions, profile.whole_instructions)
    if profile.whole_cycles is not None:
        return _Witness("cycles", "per\nMAC", tuple(cost.cycles for cost in costs), profile.whole_cycles)
    return _Witness("", "us per\nMMAC", tuple(cost.us for cost in costs), profile.whole_us, macs_unit=1e6)


def profile_table(result: Result, profile: Profile, most: int | None = None) -> Listing:
    """Shares are of the sum, so that they add up to 100 %. most: the heaviest so many, in the model's order, and all
    others in one row; None: every operator."""
    witness, costs = _witness(profile), profile.operators
    time_title = "emulated\nus" if result.provenance == "emulated" else "us"
    extra = [witness.title] if witness.title else []
    energy = [time_title.replace("us", "uJ")] if profile.energy_deviation is not None else []
    # A hundred columns do not hold both; what a MAC costs is told by a profile without energy.
    titles = ("MACs", "bytes", time_title, *extra, "share", *(energy or [witness.per_mac]))
    table = listing(
        *("#", "operator", "output", *titles),
        numbers=("#", *titles),
        whole=("operator", "output"),
        optional=("bytes", "output", "MACs"),
    )

    def numbers(macs: int, size: int, us: float | None, value: float | None, uj: float | None) -> list[str]:
        shown = [_number(value, 0)] if extra else []
        share = NONE if value is None or not witness.total else f"{value / witness.total:.1%}"
        last = _number(uj, 2) if energy else witness.rate(value, macs)
        return [f"{macs:,}", f"{size:,}", _number(us, 1), *shown, share, last]

    def together(places: Collection[int]) -> list[str]:
        chosen = [costs[place] for place in places]
        return numbers(
            sum(cost.macs for cost in chosen),
            sum(cost.bytes for cost in chosen),
            sum(cost.us or 0.0 for cost in chosen),
            sum(witness.values[place] or 0.0 for place in places),
            sum(cost.uj or 0.0 for cost in chosen),
        )

    places = range(len(costs))
    shown = sorted(sorted(places, key=lambda place: -(witness.values[place] or 0.0))[:most])
    for place in shown:
        cost = costs[place]
        shape = "x".join(map(str, cost.shape))
        mine = numbers(cost.macs, cost.bytes, cost.us, witness.values[place], cost.uj)
        table.add_row(str(cost.index), cost.name, shape, *mine)
    if others := sorted(set(places) - set(shown)):
        table.add_row("", f"{len(others)} others", "", *together(others))
    uj = sum(cost.uj or 0.0 for cost in costs)
    whole_uj = None if profile.energy_deviation is None else uj / (1 + profile.energy_deviation)
    table.add_section()
    table.add_row("", "sum", "", *together(places))
    macs, size = sum(cost.macs for cost in costs), sum(cost.bytes for cost in costs)
    table.add_row("", "whole model", "", *numbers(macs, size, profile.whole_us, witness.whole, whole_uj))
    return table


def _number(value: float | None, decimals: int) -> str:
    return NONE if value is None else f"{value:,.{decimals}f}"


def _sums(profile: Profile) -> list[str]:
    """How the operators add up, in words."""
    lines = [
        f"The operators add up to {profile.deviation:+.3%} beside the whole, which ran unobserved on the same input."
    ]
    if profile.energy_deviation is not None:
        lines.append(
            "uJ: the operators' times laid over the power of one window, gross; they add up to "
            f"{profile.energy_deviation:+.3%} beside it."
        )
    return lines


def _explanations(profile: Profile) -> list[str]:
    """What holds for every profile of a session."""
    counted = "Instructions are exact, counted by the emulator; the few that call the observer are among them."
    return [
        *([counted] if profile.whole_instructions is not None else []),
        f"Times are means over several inferences, in each of which the clock resolves {profile.resolution_us:g} us.",
        "bytes: of weights and constants, of activations read and written, each tensor once.",
    ]


def print_profiles(result: Result, console: Console) -> None:
    """Print the profiles of a session's runs: every operator, or the heaviest where there are several profiles."""
    profiled = [(run, run.profile) for run in result.runs if run.profile is not None]
    kind = {"emulated": "EMULATED", "replayed": "REPLAYED", "measured": "measured"}[result.provenance]
    for run, profile in profiled:
        title = f"{run.task}, one inference by operator, {kind} on {result.board.name}, {result.firmware.engine}"
        say(console, f"{title}; means over {profile.inferences} inferences", style="bold")
        show(console, profile_table(result, profile, HEAVIEST if len(profiled) > 1 else None))
        say(console, *_sums(profile))
    say(console, *dict.fromkeys(line for _, profile in profiled for line in _explanations(profile)))
