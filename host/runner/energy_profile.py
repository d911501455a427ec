# SPDX-License-Identifier: Apache-2.0
"""Energy by operator: the times of a profile, laid over the power trace of a window."""

from __future__ import annotations

from pathlib import Path

import msgspec

from energy.errors import TraceError
from energy.operators import operator_energy
from energy.trace import TraceReader
from energy.window import Reading
from host.results import schema
from host.results.journal import EnergyWindowRow
from host.runner.profile import MAX_DEVIATION

UJ = 1e6


def shares(profile: schema.Profile) -> list[float]:
    """What part of an inference each operator takes, by the time that an unwatched inference takes. They may add up to
    a little more or less than 1; an operator without a time has 0."""
    total_us = sum(cost.us or 0.0 for cost in profile.operators)
    whole_us = max(profile.whole_us, total_us, 1e-9)
    return [(cost.us or 0.0) / whole_us for cost in profile.operators]


def _with_rest(parts: list[float]) -> list[float]:
    """With what is left of an inference as one more, so that it is nobody's."""
    return [*parts, max(1.0 - sum(parts), 0.0)]


def add_energy(
    profile: schema.Profile, reading: Reading, row: EnergyWindowRow, folder: Path
) -> tuple[schema.Profile, list[str]]:
    """The profile with each operator's energy, gross, by the trace of the window in `row`, and what speaks against it.

    Raises TraceError when the trace is gone or damaged.
    """
    energies = _over_trace(profile, reading, row, folder)
    costs = [
        msgspec.structs.replace(cost, uj=energy_j * UJ if cost.us is not None else None)
        for cost, energy_j in zip(profile.operators, energies, strict=True)
    ]
    deviation = sum(energies) * row.inferences / reading.energy_j - 1
    reasons = []
    if abs(deviation) > MAX_DEVIATION:
        reasons.append(
            f"profile: the operators' energies add up to {deviation:+.1%} beside the window's, at most "
            f"{MAX_DEVIATION:.0%} are right"
        )
    return msgspec.structs.replace(profile, operators=costs, energy_deviation=deviation), reasons


def _over_trace(profile: schema.Profile, reading: Reading, row: EnergyWindowRow, folder: Path) -> list[float]:
    """Joules per inference of each operator."""
    for path in sorted(folder.glob(f"trace-{row.task}*.jls"), key=lambda path: path.stat().st_mtime, reverse=True):
        with TraceReader(path) as trace:
            found = [
                capture
                for capture in trace.captures
                if capture.end and capture.begin.kind == "window" and capture.begin.window == row.index
            ]
            if found:  # the last one is the one that counted
                energies = operator_energy(
                    trace.chunks(found[-1]),
                    reading.start_s,
                    reading.end_s,
                    row.inferences,
                    _with_rest(shares(profile)),
                    assumed_v=trace.info.voltage_v if trace.info else 0.0,
                )
                return energies[:-1]
    raise TraceError(f"{folder} has no trace of window {row.index + 1} of {row.task}: was it moved away?")
