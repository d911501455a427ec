# SPDX-License-Identifier: Apache-2.0
"""How far an energy may be from the true one: the budget of a window, and of a run, after the GUM.

A window's energy is E = sum of i v dt. With the limits a of a specification as standard uncertainties a / sqrt(3):

    current gain     E u_gain_i          current offset   u_off_i * integral of v dt
    voltage gain     E u_gain_v          voltage offset   u_off_v * integral of i dt
    clock            E u_clock           noise            its root mean square, less by the root of the samples
    window start     P_start u_start     window end       P_end u_end
    clocks disagree  E (|r - 1| - what the edges and the instrument's own clock explain) / sqrt(3)

r is the board's time over the instrument's. Where they disagree nobody knows which one is wrong: the board's oscillator
may be, or the instrument samples at another rate than it says, or loses samples in every window without a word.

u_start and u_end are in the reading: dt / sqrt(12) for an edge somewhere in a sample, less where a step of the power
tells it, and for a triggered window what the trigger, the power edges and the board's clock leave open.

The net energy E - P_idle T is measured with the same gains and offsets as the idle power: in a fixed range they act on
what is left after the difference, so a constant offset of the current drops out where the voltage is the same. With
auto-range, and for a voltage that was only stated, nobody knows that they are the same: the two count as independent.
A new term is how well the idle power is known: its scatter, and half of its drift.

Left out, because a data sheet does not tell them: what current and voltage do together within one sample (a supply of
0.5 ohm and 2 mA of ripple: 50 ppm), a delay between the timing pin's input and the current's (it counts only where the
power differs between both ends), the temperature, and the voltage between the sense lines and the board.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from energy.accuracy import Accuracy
from energy.window import PULSE_S, U_PULSE_S, Idle, Reading

COVERAGE_FACTOR: Final = 2.0
"""k: U = k u holds the true value in about 95 of 100 cases."""


@dataclass(frozen=True, slots=True)
class Term:
    """One source of doubt: its standard uncertainty, in joules."""

    name: str
    u_j: float


@dataclass(frozen=True, slots=True)
class Budget:
    """The terms are independent of each other."""

    terms: tuple[Term, ...]

    @property
    def u_j(self) -> float:
        """Combined standard uncertainty."""
        return math.hypot(*(term.u_j for term in self.terms))

    @property
    def expanded_j(self) -> float:
        """U = k u."""
        return COVERAGE_FACTOR * self.u_j

    def scaled(self, factor: float) -> Budget:
        """Of the energy times a factor: 1 / N makes a window's budget one inference's."""
        return Budget(tuple(Term(term.name, term.u_j * abs(factor)) for term in self.terms))


@dataclass(frozen=True, slots=True)
class Baseline:
    """The board's idle level. u_w: standard uncertainty of mean_w. drift: after over before, less 1; None: one only."""

    mean_w: float
    mean_a: float
    mean_v: float
    u_w: float
    drift: float | None


def baseline(before: Idle, after: Idle | None) -> Baseline:
    """The idle level while a window ran: anywhere between what it was before and after."""
    if after is None:
        return Baseline(before.mean_w, before.mean_a, before.mean_v, before.u_w, None)
    return Baseline(
        mean_w=(before.mean_w + after.mean_w) / 2,
        mean_a=(before.mean_a + after.mean_a) / 2,
        mean_v=(before.mean_v + after.mean_v) / 2,
        u_w=math.hypot(before.u_w / 2, after.u_w / 2, (after.mean_w - before.mean_w) / 2 / math.sqrt(3)),
        drift=after.mean_w / before.mean_w - 1 if before.mean_w else None,
    )


def net_energy(reading: Reading, idle: Baseline) -> float:
    """Joules of a window above what the idle board would have taken meanwhile."""
    return reading.energy_j - idle.mean_w * reading.duration_s


def budget(reading: Reading, accuracy: Accuracy, idle: Baseline | None = None) -> Budget:
    """Of a complete window's gross energy; of its net energy with the idle level."""
    duration_s = reading.duration_s
    idle_w, idle_a, idle_v = (idle.mean_w, idle.mean_a, idle.mean_v) if idle is not None else (0.0, 0.0, 0.0)

    def left(total: float, idle_rate: float, *, same: bool) -> float:
        """What an error acts on that the window and the idle level share, or do not."""
        taken = idle_rate * duration_s
        return abs(total - taken) if same else math.hypot(total, taken)

    same_i, same_v = not accuracy.auto_range, not accuracy.voltage_assumed
    current, voltage = accuracy.current, accuracy.voltage
    noise_ws = math.hypot(current.noise * reading.flux_vs, voltage.noise * reading.charge_c) / duration_s
    terms = [
        Term("current gain", _standard(current.gain) * left(reading.energy_j, idle_w, same=same_i)),
        Term("current offset", _standard(current.offset) * left(reading.flux_vs, idle_v, same=same_i)),
        Term("voltage gain", _standard(voltage.gain) * left(reading.energy_j, idle_w, same=same_v)),
        Term("voltage offset", _standard(voltage.offset) * left(reading.charge_c, idle_a, same=same_v)),
        Term("clock", _standard(accuracy.clock) * left(reading.energy_j, idle_w, same=True)),
        Term("window start", abs(reading.start_w - idle_w) * reading.u_start_s),
        Term("window end", abs(reading.end_w - idle_w) * reading.u_end_s),
        Term("noise", noise_ws * math.sqrt(duration_s / reading.rate_hz)),
    ]
    if (off := unexplained(reading, accuracy)) > 0:
        terms.append(Term("clocks disagree", _standard(off) * left(reading.energy_j, idle_w, same=True)))
    if idle is not None:
        terms.append(Term("idle level", idle.u_w * duration_s))
    return Budget(tuple(terms))


def unexplained(reading: Reading, accuracy: Accuracy) -> float:
    """By what part of a window the board's time and the instrument's differ, beyond what the edges, each anywhere in
    its sample, and the instrument's own clock may do; 0 where the board does not tell its time."""
    if reading.device_s is None or reading.duration_s <= 0:
        return 0.0
    off = abs((reading.device_s + PULSE_S) / reading.duration_s - 1)
    edges_s = math.sqrt(6) * math.hypot(reading.u_start_s, reading.u_end_s, U_PULSE_S)
    return max(off - accuracy.clock - edges_s / reading.duration_s, 0.0)


@dataclass(frozen=True, slots=True)
class RunEnergy:
    """Of one inference, joules: the median over the windows; its budget, None without accuracy data. index: the window
    whose budget it is: the median one, with an even number of windows the one closest to the median."""

    value_j: float
    budget: Budget | None
    index: int


def of_run(energies_j: Sequence[float], budgets: Sequence[Budget | None]) -> RunEnergy:
    """The run's figure from n >= 1 valid windows: joules per inference, and their budgets per inference.

    What the windows share (gain, offset, clock) does not get smaller by measuring again: the budget is that of one
    window, and the scatter of the median is added.
    """
    ordered = sorted(energies_j)
    middle = len(ordered) // 2
    value_j = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    index = min(range(len(energies_j)), key=lambda which: abs(energies_j[which] - value_j))
    chosen = budgets[index]
    if chosen is None:
        return RunEnergy(value_j, None, index)
    return RunEnergy(value_j, Budget((*chosen.terms, Term("scatter", scatter(energies_j)))), index)


def scatter(values: Sequence[float]) -> float:
    """Standard uncertainty of the median of n values by how they scatter; 0 with one.

    Of the mean it is s / sqrt(n); the median of n normal values scatters more, by the root of pi / 2 in the limit.
    """
    count = len(values)
    if count < 2:
        return 0.0
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    median_over_mean = math.pi / 2 * count / (count + 0.5) if count > 2 else 1.0
    return math.sqrt(variance / count * median_over_mean)


def rounded(value: float, expanded: float | None) -> str:
    """`1430.7 +- 2.1`: the uncertainty U with two digits, the value with as many decimals. Without one (None), or with
    one of 0, the value has five digits."""
    if expanded is None or not (math.isfinite(expanded) and expanded > 0):
        places = 4 - math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
        return f"{value:.{max(places, 0)}f}"
    places = 1 - math.floor(math.log10(float(f"{expanded:.1e}")))
    if places < 0:
        return f"{round(value, places):.0f} +- {round(expanded, places):.0f}"
    return f"{value:.{places}f} +- {expanded:.{places}f}"


def _standard(limit: float) -> float:
    """Of a value that lies anywhere within +- limit."""
    return limit / math.sqrt(3)
