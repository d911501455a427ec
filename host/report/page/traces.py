# SPDX-License-Identifier: Apache-2.0
"""The traces of a result folder on a page. One that is missing or damaged is a note: nothing else of the page needs
it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from markupsafe import Markup

from energy.errors import EnergyError, TraceError
from energy.trace import Capture, TraceInfo, TraceReader
from host.report.page import figures
from host.report.page.pictures import Pictures
from host.report.page.pyramid import Mark, Pyramid, pyramid
from host.report.page.view import Stretch, Trace, shown
from host.report.trace import ORIGIN
from host.results.schema import Energy, Provenance


@dataclass(frozen=True, slots=True)
class Owner:
    """The run that traces belong to. key: what names of its figures begin with. where: "EMULATED on mps2_an386"; unit:
    "emulated " or "". provenance: of the run, which a trace's has to be. budget: bytes of each payload."""

    key: str
    task: str
    where: str
    unit: str
    provenance: Provenance
    energy: Energy
    budget: int


def is_of(path: Path, task: str) -> bool:
    """Whether a file is called as a trace of this task is: trace-TASK.jls, trace-TASK-2.jls."""
    return re.fullmatch(rf"trace-{re.escape(task)}(-[0-9]+)?\.jls", path.name) is not None


def traces_of(paths: Sequence[Path], owner: Owner, pictures: Pictures) -> tuple[list[Trace], list[str]]:
    """What can be shown, and what there is to say about the rest."""
    traces: list[Trace] = []
    notes: list[str] = []
    if not paths:
        notes.append("The folder holds no trace of this run: there is no power to be shown.")
    for number, path in enumerate(paths, start=1):
        try:
            traces.append(_trace(path, number, owner, pictures))
        except (EnergyError, OSError) as error:
            notes.append(shown(f"{path.name} is not shown: {str(error).replace(str(path), path.name)}"))
    return traces, notes


def _trace(path: Path, number: int, owner: Owner, pictures: Pictures) -> Trace:
    key = f"{owner.key}-trace" + (f"-{number}" if number > 1 else "")
    with TraceReader(path) as trace:
        info = _checked(trace, owner)
        voltage_v = info.voltage_v
        packed = pyramid(trace, _marks(trace, owner.energy), shown(owner.task), voltage_v, owner.budget)
        duration_s = trace.samples / trace.rate_hz
        heading = f"{ORIGIN[info.provenance]}, by {info.monitor} ({info.idn}); {trace.rate_hz:,.10g} samples/s"
        notes = _notes(trace, packed, voltage_v)
    windows = [mark for mark in packed.marks if mark.kind == "window"]
    text = (
        f"Power over {duration_s:.3f} s, between {_range(packed)} {owner.unit}mW. {len(windows)} windows, "
        f"{sum(mark.valid for mark in windows)} of them valid, are shaded."
    )
    figure = pictures.add(
        key,
        f"{owner.task}, power over the trace",
        owner.where,
        text,
        partial(figures.power, packed.overview, packed.marks, duration_s, owner.unit),
    )
    stretches = tuple(Stretch(mark.name, mark.from_s, mark.to_s, mark.valid) for mark in windows)
    return Trace(
        key,
        shown(path.name),
        shown(f"{heading}, {duration_s:.3f} s"),
        _script(packed.text),
        figure,
        stretches,
        tuple(map(shown, notes)),
    )


def _checked(trace: TraceReader, owner: Owner) -> TraceInfo:
    """A file that was put here from somewhere else is not shown as this run's. Raises TraceError."""
    info = trace.info
    if info is None:
        raise TraceError(f"{trace.path} was recorded by another program: `host trace {trace.path}` shows it.")
    if info.task != owner.task:
        raise TraceError(f"{trace.path} is a trace of {info.task}: was it renamed?")
    if owner.provenance not in (info.provenance, "replayed"):
        raise TraceError(f"{trace.path} was {ORIGIN[info.provenance]}, the run was {ORIGIN[owner.provenance]}.")
    return info


def _script(json_text: str) -> Markup:
    """JSON that no parser of HTML takes for anything else."""
    for char in "<>&":
        json_text = json_text.replace(char, f"\\u{ord(char):04x}")
    return Markup(json_text)  # noqa: S704  # there is no markup left in it


def _range(packed: Pyramid) -> str:
    low, high = packed.overview.low, packed.overview.high
    return f"{np.nanmin(low):.4g} and {np.nanmax(high):.4g}" if np.isfinite(low).any() else "nothing and nothing"


def _notes(trace: TraceReader, packed: Pyramid, voltage_v: float) -> list[str]:
    notes = []
    if not trace.has_voltage:
        notes.append(f"The voltage was not measured: {voltage_v:.3f} V is assumed.")
    if packed.lost:
        notes.append(f"{packed.lost:,} samples are not there: the places are marked as gaps.")
    if packed.overloads:
        notes.append(f"{packed.overloads:,} samples were overloaded: the places are marked as gaps.")
    if any(capture.end is None for capture in trace.captures):
        notes.append("The recording was cut off in a capture, which is not marked.")
    return notes


def _marks(trace: TraceReader, energy: Energy) -> list[Mark]:
    """Windows, idle stretches and operators, in seconds of the file. Whether a window is valid says the result."""
    valid = {window.window: window for window in energy.windows}
    last = {capture.begin.window: capture for capture in trace.captures if capture.begin.kind == "window"}
    marks: list[Mark] = []
    for capture in trace.captures:
        begin, end = capture.begin, capture.end
        first_s = capture.first / trace.rate_hz
        if end is not None and begin.kind == "idle":
            whole_s = capture.samples / trace.rate_hz
            marks.append(
                Mark("idle", "idle", first_s, first_s + whole_s, not end.reasons, shown("; ".join(end.reasons)))
            )
        elif end is not None and begin.kind == "window":
            told = valid.get(begin.window or 0)
            reasons = list(told.reasons) if told is not None else list(end.reasons)
            if capture is not last[begin.window]:
                reasons = ["it was measured again later"]
            marks.append(_window(trace, capture, reasons, counted=told is None or told.valid))
        for span in trace.operators(capture):
            shift_s = first_s - begin.t0_s
            name = shown(f"{span.index} {span.name}")
            marks.append(
                Mark("operator", name, _on_axis(trace, span.start_s + shift_s), _on_axis(trace, span.end_s + shift_s))
            )
    return [mark for mark in marks if mark.to_s > mark.from_s]


def _window(trace: TraceReader, capture: Capture, reasons: Sequence[str], *, counted: bool) -> Mark:
    """Between its edges; where they were not seen, all that was recorded."""
    first_s, end = capture.first / trace.rate_hz, capture.end
    from_s, to_s = first_s, first_s + capture.samples / trace.rate_hz
    if end is not None and end.start_s is not None and end.end_s is not None:
        shift_s = first_s - capture.begin.t0_s
        from_s, to_s = _on_axis(trace, end.start_s + shift_s), _on_axis(trace, end.end_s + shift_s)
    name = f"window {(capture.begin.window or 0) + 1}"
    note = "; ".join([capture.begin.input, *reasons]) if reasons else capture.begin.input
    return Mark("window", name, from_s, to_s, counted and not reasons, shown(note))


def _on_axis(trace: TraceReader, time_s: float) -> float:
    return min(max(time_s, 0.0), trace.samples / trace.rate_hz)
