"""The profile of a model as a table: one row an operator, their sum, and the whole beside it. Fits 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from host.results.schema import OperatorCost, Profile, Result, Run

NONE = "-"
Measure = Literal["instructions", "cycles", "us"]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which of the three measures is shown, and how."""

    measure: Measure
    title: str
    per_mac: str

    def value(self, cost: OperatorCost) -> float | None:
        return {"instructions": cost.instructions, "cycles": cost.cycles, "us": cost.us}[self.measure]

    def whole(self, profile: Profile) -> float:
        found = {
            "instructions": profile.whole_instructions,
            "cycles": profile.whole_cycles,
            "us": profile.whole_us,
        }[self.measure]
        return found or 0.0

    def number(self, value: float | None) -> str:
        if value is None:
            return NONE
        return f"{value:,.1f}" if self.measure == "us" else f"{value:,.0f}"

    def rate(self, value: float | None, macs: int) -> str:
        if value is None or not macs:
            return NONE
        return f"{value / macs * (1e6 if self.measure == 'us' else 1):,.2f}"


def _columns(result: Result, profile: Profile) -> _Columns:
    emulated = "emulated\n" if result.provenance == "emulated" else ""
    if profile.whole_instructions is not None:
        return _Columns("instructions", "instruc-\ntions", "per\nMAC")
    if profile.whole_cycles is not None:
        return _Columns("cycles", f"{emulated}cycles", "per\nMAC")
    return _Columns("us", f"{emulated}us", "us per\nMMAC")


def profile_table(result: Result, profile: Profile) -> Table:
    """Shares are of the sum, so that they add up to 100 %."""
    columns = _columns(result, profile)
    costs = profile.operators
    total = sum(columns.value(cost) or 0.0 for cost in costs)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("operator", no_wrap=True)
    table.add_column("output", overflow="fold", no_wrap=True)
    for title in ("MACs", "bytes", columns.title, "share", columns.per_mac):
        table.add_column(title, justify="right", no_wrap=True)
    for cost in costs:
        value = columns.value(cost)
        table.add_row(
            *(str(cost.index), cost.name, "x".join(map(str, cost.shape)), f"{cost.macs:,}", f"{cost.bytes:,}"),
            *(columns.number(value), _share(value, total), columns.rate(value, cost.macs)),
        )
    macs = sum(cost.macs for cost in costs)
    table.add_section()
    for label, value in (("sum", total), ("whole model", columns.whole(profile))):
        table.add_row(
            *("", label, "", f"{macs:,}", f"{sum(cost.bytes for cost in costs):,}"),
            *(columns.number(value), _share(value, total), columns.rate(value, macs)),
        )
    return table


def _share(value: float | None, total: float) -> str:
    return NONE if value is None or not total else f"{value / total:.1%}"


def _explanation(result: Result, profile: Profile) -> Sequence[str]:
    columns = _columns(result, profile)
    if columns.measure == "instructions":
        what = "Instructions are exact (counted by the emulator), those that call the observer included."
    else:
        what = (
            f"Means over {profile.inferences} inferences; the clock's resolution is {profile.resolution_us:g} us in "
            "each of them."
        )
    return (
        f"The operators add up to {profile.deviation:+.3%} beside the whole, which ran unobserved on the same input.",
        what,
        "bytes: of weights and constants, of activations read and written, each tensor once.",
    )


def print_profile(result: Result, run: Run, console: Console) -> None:
    """Print one run's profile, if it has one."""
    if run.profile is None:
        return
    kind = {"emulated": "EMULATED", "replayed": "REPLAYED", "measured": "measured"}[result.provenance]
    title = f"{run.task}, one inference by operator, {kind} on {result.board.name}, {result.firmware.engine}"
    for part in (title, profile_table(result, run.profile), *_explanation(result, run.profile)):
        console.print(part, highlight=False, markup=False)
