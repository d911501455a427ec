# SPDX-License-Identifier: Apache-2.0
"""What two runs share besides their windows: the errors of their power monitors, and of the boards' clocks.

Energy. The windows tell the random part (change.py). The rest is in the budget of each run (energy/uncertainty.py), a
standard uncertainty per term; as a part of the energy it is r_A in one run, r_B in the other:

- current gain, current offset, the instrument's clock, and where it measures the voltage that one's gain and offset,
  are errors of the instrument. The same instrument in the same setting has the same ones in both runs, and in the
  ratio B / A they cancel: what is left is |r_A - r_B|. That is 0 of a gain, and of an offset what it weighs more in
  one energy than in the other.
- where a window begins and ends, the idle level and clocks that disagree are of each run alone: they count in full, as
  the root of the sum of squares. So do all terms where the instrument is not the same one.
- noise and scatter are what the windows show: they are not counted a second time.

The same instrument is one with the same idn, with a serial number in it, the same fixed range (with auto-range nobody
knows which range a sample was in) and rate, and the voltage from the same source; within a year, as a specification
holds for one. A voltage that nobody measured may be another one in each run. That the instrument was not adjusted
between the two runs is taken on trust.

Latency. It is by the board's own clock. Where both runs tell how that went against a second one, the power monitor's or
the host's, and the two answers are not the same, nobody knows which of the clocks moved: the difference is a limit of
what the change may be off, and a / sqrt(3) of it a standard uncertainty. A clock that counts instructions has none.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from host.results.change import Change, Sample, of_windows, ratio
from host.results.schema import Energy, EnergyWindow, MonitorInfo, Result, Run

_CURRENT: Final = frozenset({"current gain", "current offset", "clock"})
_VOLTAGE: Final = frozenset({"voltage gain", "voltage offset"})
_RANDOM: Final = frozenset({"noise", "scatter"})
_YEAR_DAYS: Final = 365.0
_NO_SERIAL: Final = frozenset({"", "0", "unknown"})


def clock_u(a: Result, b: Result, one: Run, other: Run) -> tuple[float, str]:
    """Standard uncertainty of a ratio of times by the boards' clocks, and what to tell of it ("": nothing)."""
    if a.provenance == "emulated":
        if a.board.clock_hz is not None:
            return 0.0, ""
        return 0.0, "a process on a machine that does other things too: its windows do not tell how sure that is"
    by_monitor = (_monitor_ratio(one), _monitor_ratio(other))
    by_host = (one.clock.ratio if one.clock else None, other.clock.ratio if other.clock else None)
    for name, (first, second) in (("the power monitor's", by_monitor), ("the host's", by_host)):
        if first and second:
            moved = abs(math.log(second / first))
            return moved / math.sqrt(3), f"clocks held against {name}: {moved:.2g} apart"
    return 0.0, "nobody checked the boards' clocks: an error of theirs is not in the limits"


def _monitor_ratio(run: Run) -> float | None:
    return run.energy_uj.clock_ratio if run.energy_uj else None


def energy_change(one: Run, other: Run, *, same_inputs: bool, days: float) -> Change:
    """Of the energy of an inference: net where both are, else gross. days: between the two runs."""
    a, b = one.energy_uj, other.energy_uj
    if a is None or b is None or a.value is None or b.value is None:
        return Change(None, None, None, "a side has no valid window")
    net = is_net(one, other)
    mixed = not net and (a.net is not None or b.net is not None)
    figures = (a.net, b.net) if net else (a.gross, b.gross)
    windows = [[_sample(window, energy, net) for window in energy.windows if window.valid] for energy in (a, b)]
    u_shared, told = _systematic(a, b, days, mixed)
    found = of_windows(windows[0], windows[1], same_inputs=same_inputs, u_shared=u_shared or 0.0)
    if mixed:
        told = f"one is net of idle and the other is not: their gross is compared; {told}"
    found = replace(found, how=f"{found.how}; {told}")
    if u_shared is None:
        found = replace(found, low=None, high=None)
    return found.of_figures(ratio(*figures))


def is_net(one: Run | None, other: Run | None) -> bool:
    """Whether what is compared is net of idle: it is on every side that has a value."""
    there = [run.energy_uj for run in (one, other) if run is not None and run.energy_uj is not None]
    values = [energy for energy in there if energy.value is not None]
    return bool(values) and all(energy.net is not None for energy in values)


def figure(run: Run | None, *, net: bool) -> tuple[float | None, float | None]:
    """The energy that is compared, with its expanded uncertainty; of a net one held against a gross one that is its
    gross, with that of its least certain window."""
    energy = run.energy_uj if run is not None else None
    if energy is None:
        return None, None
    if net or energy.net is None or energy.gross is None:
        return energy.value, energy.u
    return energy.gross, None if energy.u is None else energy.k * _whole(energy) * abs(energy.gross)


def _sample(window: EnergyWindow, energy: Energy, net: bool) -> Sample:
    """Microjoules per inference; NaN where they are not known, which no comparison takes."""
    gross_uj = math.nan if window.energy_uj is None else window.energy_uj
    if net:
        idle_mw = math.nan if energy.idle_mw is None else energy.idle_mw
        gross_uj -= idle_mw * 1e3 * (math.nan if window.duration_s is None else window.duration_s)
    return Sample(window.input, gross_uj / window.inferences)


def _systematic(a: Energy, b: Energy, days: float, mixed: bool) -> tuple[float | None, str]:
    """Standard uncertainty of the ratio by what the windows share, None where nobody knows it; and what to tell."""
    apart = _why_apart(a.monitor, b.monitor, days)
    if a.u is None or b.u is None:
        no_data = "no accuracy data" if a.u is None and b.u is None else "no accuracy data on one side"
        if apart and not _only_without_serial(a.monitor, b.monitor, days):
            return None, f"{no_data}, and the monitors' errors do not cancel: {apart}"
        return 0.0, f"{no_data}: the monitor's errors are taken to cancel, only the windows' scatter counts"
    if mixed:
        return math.hypot(_whole(a), _whole(b)), "U of both counts in full"
    measured = a.monitor.voltage == b.monitor.voltage == "measured"
    shared = frozenset() if apart else _CURRENT | (_VOLTAGE if measured else frozenset())
    terms_a, terms_b = _parts(a), _parts(b)
    parts = []
    for name in sorted(terms_a.keys() | terms_b.keys()):
        first, second = terms_a.get(name, 0.0), terms_b.get(name, 0.0)
        parts.append(abs(first - second) if name in shared else math.hypot(first, second))
    if apart:
        return math.hypot(*parts), f"U of both monitors counts in full: {apart}"
    assumed = "" if measured else "; the voltage was assumed, and may have been another one in each"
    return math.hypot(*parts), f"the same monitor so set: its errors cancel{assumed}"


def _parts(energy: Energy) -> dict[str, float]:
    """The terms of the budget as parts of the value, without what the windows show."""
    value = abs(energy.value or 0.0)
    return {term.term: term.u_uj / value if value else math.inf for term in energy.budget if term.term not in _RANDOM}


def _whole(energy: Energy) -> float:
    """Of the gross energy: the largest of the windows' own uncertainties, as a part of it."""
    parts = [
        window.u_uj / energy.k / abs(window.energy_uj)
        for window in energy.windows
        if window.valid and window.u_uj is not None and window.energy_uj and energy.k
    ]
    return max(parts, default=math.inf)


def _why_apart(a: MonitorInfo, b: MonitorInfo, days: float) -> str:
    """Why the errors of the two are not the same; "" where they are."""
    if a.idn != b.idn or a.name != b.name:
        return "another instrument"
    if _serial(a.idn) in _NO_SERIAL:
        return "the instrument tells no serial number"
    return _why_set_apart(a, b, days)


def _why_set_apart(a: MonitorInfo, b: MonitorInfo, days: float) -> str:
    if a.range_a is None or b.range_a is None:
        return "auto-range"
    if a.range_a != b.range_a:
        return "another range"
    if a.rate_hz != b.rate_hz:
        return "another rate"
    if a.voltage != b.voltage or (a.voltage == "assumed" and a.voltage_v != b.voltage_v):
        return "another source of the voltage"
    if days > _YEAR_DAYS:
        return "more than a year between the two"
    return ""


def _only_without_serial(a: MonitorInfo, b: MonitorInfo, days: float) -> bool:
    """Whether nothing but a serial number is missing to say that the instrument is the same one."""
    return a.idn == b.idn and a.name == b.name and a.idn != "" and not _why_set_apart(a, b, days)


def _serial(idn: str) -> str:
    """The third field, as IEEE 488.2 has it; "" without one."""
    fields = idn.split(",")
    return fields[2].strip() if len(fields) > 2 else ""
