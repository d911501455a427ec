# SPDX-License-Identifier: Apache-2.0
"""How accurate an instrument is, by its data sheet: energy/accuracy.toml, read.

Every figure is a limit of a specification: the true value lies within +- limit of what is read. As a standard
uncertainty a limit a counts as a / sqrt(3), every value inside being as likely as another.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from energy.errors import EnergyError

TABLE = Path(__file__).with_name("accuracy.toml")
ASSUMED = "assumed"
"""Key of what holds for a voltage that nobody measured, and for what no table tells."""

_SIMULATED = " (simulated)"
_KEEPS_TO = "the virtual analyser keeps to these limits; those of the real instrument are not confirmed"


def simulated(model: str) -> str:
    """The key of a model that the virtual analyser plays: it keeps to limits that nobody confirmed of the real one."""
    return model.removesuffix(_SIMULATED) + _SIMULATED


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one function in one range: +- (gain * |reading| + offset), full_scale and offset in amperes or volts.

    noise: root mean square of one sample at the instrument's highest rate, in the same unit; 0: not stated.
    source: where it is written.
    """

    full_scale: float
    gain: float
    offset: float
    noise: float
    source: str


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of one instrument with one setting. clock: of its time base, a fraction. trigger_s: from the edge to the first
    sample, +- limit in seconds; 0 where the timing pin is streamed. voltage_assumed: the voltage's limits are those of
    a stated constant. auto_range: the limits are the worst of all ranges, as nobody knows which one a sample was in."""

    model: str
    current: Limits
    voltage: Limits
    clock: float
    trigger_s: float
    voltage_assumed: bool
    auto_range: bool

    @property
    def source(self) -> str:
        """All sources, each once, for a person."""
        return "; ".join(dict.fromkeys((self.current.source, self.voltage.source)))


def lookup(model: str, range_a: float | None, voltage_v: float, *, voltage_measured: bool = True) -> Accuracy | None:
    """What is known of a model, by its key in accuracy.toml, in the smallest current range that holds `range_a` (None:
    auto-range) and the smallest voltage range that holds `voltage_v`; None where the table does not tell all of it.

    voltage_measured: False takes the limits of a voltage that is only stated, by the model's own entry where it has
    one (an instrument that is the supply), else the general one. Of a real instrument only what has a source counts;
    `simulated(model)` takes all of it.
    """
    table = _table()
    played = model.endswith(_SIMULATED)
    entry = table.get(model.removesuffix(_SIMULATED))
    if entry is None or "current" not in entry or model == ASSUMED:
        return None
    stated = entry if ASSUMED in entry else table
    current = _pick(entry["current"], "range_a", range_a, played)
    voltages = entry.get("voltage", []) if voltage_measured else [stated[ASSUMED]]
    voltage = _pick(voltages, "range_v", abs(voltage_v), played)
    if current is None or voltage is None:
        return None
    return Accuracy(
        model=model,
        current=current,
        voltage=voltage,
        clock=entry.get("clock_ppm", table[ASSUMED]["clock_ppm"]) * 1e-6,
        trigger_s=entry.get("trigger_s", 0.0),
        voltage_assumed=not voltage_measured,
        auto_range=range_a is None or entry.get("auto_range", False),
    )


def models() -> tuple[str, ...]:
    """Every model that has an entry."""
    return tuple(name for name in _table() if name != ASSUMED)


def _pick(rows: list[dict[str, Any]], key: str, wanted: float | None, played: bool) -> Limits | None:
    """The smallest range that holds what is wanted, one part in a thousand being rounding; the worst of all without."""
    known = [_limits(row, key) for row in rows if played or "source" in row]
    ranges = sorted(known, key=lambda limits: limits.full_scale)
    if wanted is None:  # nobody knows which ranges were used: one that is not confirmed may have been
        return _worst(ranges) if ranges and len(known) == len(rows) else None
    return next((limits for limits in ranges if limits.full_scale >= wanted * 0.999), None)


def _limits(row: dict[str, Any], key: str) -> Limits:
    return Limits(
        full_scale=row.get(key, math.inf),
        gain=row["gain_percent"] / 100,
        offset=row.get("offset", 0.0),
        noise=row.get("noise", 0.0),
        source=row.get("source", _KEEPS_TO),
    )


def _worst(ranges: list[Limits]) -> Limits:
    return Limits(
        full_scale=ranges[-1].full_scale,
        gain=max(limits.gain for limits in ranges),
        offset=max(limits.offset for limits in ranges),
        noise=max(limits.noise for limits in ranges),
        source="; ".join(dict.fromkeys(limits.source for limits in ranges)),
    )


@cache
def _table() -> dict[str, Any]:
    try:
        table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise EnergyError(f"{TABLE} cannot be read: {error}. Take it from the repository again.") from error
    return table
