# SPDX-License-Identifier: Apache-2.0
"""The energy of a run out of the rows of its journal: pure functions of them, and of the table of accuracies."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from energy.accuracy import Accuracy, lookup
from energy.uncertainty import COVERAGE_FACTOR, Baseline, Budget, RunEnergy, baseline, budget, net_energy, of_run
from energy.window import PULSE_S, Idle, Reading, consistency
from host.errors import ResultInvalid
from host.results import schema
from host.results.journal import EnergyWindowRow, Header, IdleRecord, IdleRow, MonitorRecord, ReadingRecord

UJ = 1e6  # microjoules of a joule
MW = 1e3


@dataclass(frozen=True, slots=True)
class _Window:
    """A window, and all that speaks against it: by itself, and beside the others."""

    row: EnergyWindowRow
    reading: Reading
    reasons: tuple[str, ...]

    def per_inference(self, energy_j: float) -> float:
        return energy_j / self.row.inferences


@dataclass(frozen=True, slots=True)
class _Idle:
    """What the board took when it waited; None where that could not be measured."""

    before: Idle | None
    after: Idle | None

    @classmethod
    def of(cls, rows: Sequence[IdleRow]) -> _Idle:
        found = {row.when: idle for row in rows if (idle := idle_of(row.idle)).valid}
        return cls(found.get("before"), found.get("after"))

    @property
    def level(self) -> Baseline | None:
        first = self.before or self.after
        return None if first is None else baseline(first, self.after if self.before else None)


def figures(header: Header, rows: Sequence[EnergyWindowRow], idles: Sequence[IdleRow]) -> schema.Energy:
    """The energy of one inference, from the windows of a task and what the board took before and after them."""
    monitor, plan = header.monitor, header.plan.energy
    if monitor is None or plan is None:
        raise ResultInvalid("the journal has energy and no power monitor: this is a bug in tinyjoule.")
    pulse_s = PULSE_S if header.devices[0].build_id is not None else 0.0  # our firmware's own time lacks it
    return of_windows(monitor, rows, idles, net=plan.net, pulse_s=pulse_s)


def of_windows(
    monitor: MonitorRecord,
    rows: Sequence[EnergyWindowRow],
    idles: Sequence[IdleRow],
    *,
    net: bool,
    pulse_s: float,
) -> schema.Energy:
    """The same without a journal. pulse_s: how much shorter than the window the board's own time is."""
    idle = _Idle.of(idles)
    windows = _windows(rows)
    accuracy = _accuracy(monitor, windows)
    valid = [window for window in windows if not window.reasons]
    ratios = [ratio for window in windows if (ratio := _clock_ratio(window.reading, pulse_s)) is not None]
    gross = _of_run(valid, accuracy, None)
    # With one idle level nobody knows the drift, and no U would hold it.
    above_idle = _of_run(valid, accuracy, idle.level) if net and idle.before and idle.after else None
    value = above_idle if net else gross
    terms = value.budget.terms if value and value.budget else ()
    return schema.Energy(
        value=value.value_j * UJ if value else None,
        u=value.budget.expanded_j * UJ if value and value.budget else None,
        k=COVERAGE_FACTOR,
        gross=gross.value_j * UJ if gross else None,
        net=above_idle.value_j * UJ if above_idle else None,
        idle_mw=idle.level.mean_w * MW if idle.level else None,
        idle_before_mw=idle.before.mean_w * MW if idle.before else None,
        idle_after_mw=idle.after.mean_w * MW if idle.after else None,
        idle_drift=idle.level.drift if idle.level else None,
        mean_mw=statistics.median(_mean_mw(one.reading) for one in valid) if valid else None,
        windows=[_window(window, accuracy, pulse_s) for window in windows],
        budget=[schema.BudgetTerm(term=term.name, u_uj=term.u_j * UJ) for term in terms],
        monitor=_monitor(monitor, accuracy),
        lost_samples=sum(window.reading.lost for window in windows),
        clock_ratio=statistics.median(ratios) if ratios else None,
    )


def reading_of(record: ReadingRecord) -> Reading:
    """As it was measured."""
    return Reading(**_values(record, "device_s"))


def idle_of(record: IdleRecord) -> Idle:
    """As it was measured."""
    return Idle(**_values(record))


def _values(record: ReadingRecord | IdleRecord, *nullable: str) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in record.__struct_fields__}
    nans = {name: math.nan for name, value in values.items() if value is None and name not in nullable}
    return {**values, **nans, "reasons": tuple(record.reasons)}


def _windows(rows: Sequence[EnergyWindowRow]) -> list[_Window]:
    readings = [reading_of(row.reading) for row in rows]
    beside = consistency(readings, [row.inferences for row in rows])
    return [
        _Window(row, reading, (*reading.reasons, *((misfit,) if misfit else ())) or _incomplete(reading))
        for row, reading, misfit in zip(rows, readings, beside, strict=True)
    ]


def _accuracy(monitor: MonitorRecord, windows: Sequence[_Window]) -> Accuracy | None:
    """For the voltage that there was, or that was supplied or assumed where nobody measured it."""
    measured = [one.reading.flux_vs / one.reading.duration_s for one in windows if not one.reasons]
    voltage_v = max(measured) if measured and monitor.measures_voltage else monitor.voltage_v
    return lookup(monitor.model, monitor.range_a, voltage_v, voltage_measured=monitor.measures_voltage)


def _incomplete(reading: Reading) -> tuple[str, ...]:
    return () if reading.complete else ("the window was not seen whole",)


def _of_run(valid: Sequence[_Window], accuracy: Accuracy | None, level: Baseline | None) -> RunEnergy | None:
    """The median window, gross, or net of the idle level; None without a valid window."""
    if not valid:
        return None
    energies = [
        one.per_inference(one.reading.energy_j if level is None else net_energy(one.reading, level)) for one in valid
    ]
    return of_run(energies, [_budget(one, accuracy, level) for one in valid])


def _budget(window: _Window, accuracy: Accuracy | None, level: Baseline | None) -> Budget | None:
    return None if accuracy is None else budget(window.reading, accuracy, level).scaled(1 / window.row.inferences)


def _clock_ratio(reading: Reading, pulse_s: float) -> float | None:
    if not reading.complete or reading.device_s is None or reading.duration_s <= 0:
        return None
    return (reading.device_s + pulse_s) / reading.duration_s


def _mean_mw(reading: Reading) -> float:
    return reading.energy_j / reading.duration_s * MW


def _window(window: _Window, accuracy: Accuracy | None, pulse_s: float) -> schema.EnergyWindow:
    row, reading = window.row, window.reading
    told = reading.complete and math.isfinite(reading.energy_j) and reading.duration_s > 0
    return schema.EnergyWindow(
        window=row.index,
        input=row.input,
        inferences=row.inferences,
        valid=not window.reasons,
        reasons=list(window.reasons),
        energy_uj=reading.energy_j * UJ if told else None,
        u_uj=budget(reading, accuracy).expanded_j * UJ if told and accuracy else None,
        duration_s=reading.duration_s if told else None,
        device_us=row.window.duration_us if row.window else None,
        mean_mw=_mean_mw(reading) if told else None,
        clock_ratio=_clock_ratio(reading, pulse_s),
        samples=reading.samples,
        lost_samples=reading.lost,
        overloads=reading.overloads,
        range_switches=reading.range_switches,
    )


def _monitor(monitor: MonitorRecord, accuracy: Accuracy | None) -> schema.MonitorInfo:
    return schema.MonitorInfo(
        name=monitor.name,
        idn=monitor.idn,
        rate_hz=monitor.rate_hz,
        range_a=monitor.range_a,
        voltage="measured" if monitor.measures_voltage else "assumed",
        voltage_v=monitor.voltage_v,
        windows=monitor.windows,
        accuracy_source=accuracy.source if accuracy else None,
    )
