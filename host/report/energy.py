# SPDX-License-Identifier: Apache-2.0
"""Energy in words below the table: the windows, the power, how it was measured, and what its uncertainty is made of."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from energy.uncertainty import rounded
from host.report.terminal import say
from host.results.schema import Energy, EnergyWindow, MonitorInfo, Result, Run

KIND = {"emulated": "EMULATED", "replayed": "REPLAYED", "measured": "measured"}
_NEGLIGIBLE = 0.01  # of the combined uncertainty: what is less is not told in words


def energy_text(energy: Energy) -> str:
    """The value with its uncertainty, both in microjoules, with as many digits as that is worth."""
    return "not known" if energy.value is None else rounded(energy.value, energy.u)


def _windows(energy: Energy) -> str:
    if energy.value is None:
        return f"energy not known: {sum(window.valid for window in energy.windows)} valid windows"
    valid = [window for window in energy.windows if window.valid]
    # Digits as the value has them, so that their scatter can be seen beside it.
    values = [rounded(per_inference(window, energy), energy.u).partition(" ")[0] for window in valid]
    what = "the only valid window" if len(valid) == 1 else f"median of {len(valid)} windows"
    text = f"{energy_text(energy)} uJ, {_confidence(energy)}, {what}: {' '.join(values)}"
    return text if len(valid) == len(energy.windows) else f"{text}; {len(energy.windows) - len(valid)} not valid"


def _confidence(energy: Energy) -> str:
    return "no accuracy data" if energy.u is None else f"k = {energy.k:g}"


def per_inference(window: EnergyWindow, energy: Energy) -> float:
    """Microjoules of one inference in a window, net where the value is."""
    gross = (window.energy_uj or 0.0) / window.inferences
    if energy.net is None or energy.idle_mw is None or window.duration_s is None:
        return gross
    return gross - energy.idle_mw * 1e3 * window.duration_s / window.inferences


def power_text(energy: Energy) -> str:
    """The power while it infers and idles."""
    text = f"{energy.mean_mw:#.4g} mW while it infers, " if energy.mean_mw is not None else ""
    if energy.idle_mw is None:
        return text + "idle power not known"
    text += f"{energy.idle_mw:#.4g} mW idle"
    if energy.idle_before_mw is not None and energy.idle_after_mw is not None and energy.idle_drift is not None:
        text += (
            f" ({energy.idle_before_mw:#.4g} before, {energy.idle_after_mw:#.4g} after the windows, "
            f"{energy.idle_drift:+.2%})"
        )
    if energy.net is not None and energy.gross is not None:
        text += f"; gross {gross_text(energy, energy.gross)} uJ, the value is net of idle"
    return text


def gross_text(energy: Energy, gross_uj: float) -> str:
    """A gross energy beside a net one, with the digits that the windows' own uncertainty, which is of the gross, leaves
    it: the net value's is less, as errors drop out of the difference."""
    parts = [
        window.u_uj / abs(window.energy_uj)
        for window in energy.windows
        if window.valid and window.u_uj is not None and window.energy_uj
    ]
    u = max(parts) * abs(gross_uj) if parts else energy.u
    return rounded(gross_uj, u).partition(" ")[0]


def _monitor(energy: Energy) -> str:
    monitor = energy.monitor
    scale = "auto-range" if monitor.range_a is None else f"range {scaled(monitor.range_a, 'A')}"
    clock = "" if energy.clock_ratio is None else f"; the board's clock over its own: {energy.clock_ratio:.6f}"
    windows = f"windows by {WINDOWS[monitor.windows]}{clock}"
    return f"{scaled(monitor.rate_hz, 'S/s')}, {scale}, {voltage_text(monitor)}, {windows}"


WINDOWS = {"marker": "the timing pin's samples", "trigger": "a trigger and the board's clock"}


def voltage_text(monitor: MonitorInfo) -> str:
    """Where the voltage is from."""
    return "voltage measured" if monitor.voltage == "measured" else f"voltage assumed {monitor.voltage_v:.3f} V"


def scaled(value: float, unit: str) -> str:
    """A value with a prefix of its unit."""
    for factor, prefix in ((1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u")):
        if value >= factor:
            return f"{value / factor:.4g} {prefix}{unit}"
    return f"{value:g} {unit}"


def _budget(energy: Energy) -> str:
    if energy.value is None:
        return ""
    if energy.u is None:
        return (
            "no accuracy data: energy/accuracy.toml has no figures for this monitor so set, so there is no uncertainty"
        )
    terms = sorted(energy.budget, key=lambda term: -term.u_uj)
    told = [f"{term.term} {term.u_uj:.2g}" for term in terms if term.u_uj > _NEGLIGIBLE * energy.u / energy.k]
    rest = len(terms) - len(told)
    return "uncertainty in uJ, k = 1: " + ", ".join(told + ([f"{rest} more below 1 %"] if rest else []))


def notes(run: Run) -> Iterator[str]:
    """What is wrong with single windows, and what was assumed: one line each."""
    if run.energy_uj is not None:
        yield from window_notes(run.energy_uj)


def window_notes(energy: Energy) -> Iterator[str]:
    """What is wrong with single windows, and what nobody could check, one line each."""
    for window in energy.windows:
        yield from (f"window {window.window + 1} ({window.input}) not valid: {reason}" for reason in window.reasons)
    if energy.value is not None and energy.clock_ratio is None:
        yield (
            "the board tells no times: a monitor that samples at another rate than it says, or loses samples in every "
            "window without a word, would not be noticed, and the uncertainty does not hold it"
        )


def print_energy(result: Result, run: Run, console: Console) -> None:
    """Print what stands behind one run's energy, if it has one."""
    energy = run.energy_uj
    if energy is None:
        return
    where = f"{KIND[result.provenance]} on {result.board.name}"
    title = f"{run.task}, energy of one inference, {where}, by {energy.monitor.name} ({energy.monitor.idn})"
    print_lines(title, energy, console)


def print_lines(title: str, energy: Energy, console: Console) -> None:
    """What stands behind an energy, below a title."""
    say(console, title, style="bold")
    say(console, *filter(None, (_windows(energy), power_text(energy), _monitor(energy), _budget(energy))), indent=2)
