# SPDX-License-Identifier: Apache-2.0
"""Windows and idle stretches of traces, measured again with the meters of a live session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from energy.accuracy import lookup
from energy.errors import InstrumentError, TraceError
from energy.instrument import SampleChunk
from energy.integrate import Sums
from energy.trace import Capture, TraceInfo, TraceReader
from energy.trigger import TriggerMeter, TriggerReference
from energy.window import Idle, IdleMeter, MarkerMeter, Reading, incomplete

_BLOCK = 1 << 17
_FALLS = 10_000
"""More edges than that are noise on the pin, or no timing pin."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window. number: in the run, from 0. input, inferences: as the trace tells; "" and 1 where it does not."""

    number: int
    input: str
    inferences: int
    reading: Reading


@dataclass(slots=True)
class Replay:
    """What traces hold. before, after: idle stretches; None where there is none, or where it is damaged. notes: what
    was left out, for a person."""

    windows: dict[int, Window] = field(default_factory=dict)
    before: Idle | None = None
    after: Idle | None = None
    notes: list[str] = field(default_factory=list)


def measure_again(traces: Sequence[TraceReader], *, voltage_v: float | None = None) -> Replay:
    """All of one run, in the order of time: of a window that was measured twice the later one counts.

    voltage_v: taken where the voltage was not measured, instead of what the trace says; a file that is not ours needs
    it then. A damaged window is there and says so. Raises TraceError where there is none.
    """
    replay = Replay()
    for trace in traces:
        if trace.info is None:
            _replay_foreign(trace, voltage_v, replay)
        else:
            _replay_own(trace, trace.info, voltage_v, replay)
    if not replay.windows:
        raise TraceError(f"{traces[0].path} holds no whole window: there is nothing to integrate.")
    return replay


def _replay_own(trace: TraceReader, info: TraceInfo, voltage_v: float | None, replay: Replay) -> None:
    assumed_v = info.voltage_v if voltage_v is None else voltage_v
    accuracy = lookup(info.model, info.range_a, assumed_v, voltage_measured=info.voltage_measured)
    trigger_s = accuracy.trigger_s if accuracy else 0.0
    reference: TriggerReference | None = None
    for capture in trace.captures:
        begin, end = capture.begin, capture.end
        if end is None:
            replay.notes.append(f"{trace.path.name}: {describe(capture)} was cut off and is left out")
        elif begin.kind == "idle":
            idle = _idle(trace, capture, assumed_v, replay.notes)
            if replay.windows:
                replay.after = idle
            else:
                replay.before = idle
        elif begin.kind == "reference":
            reference = _reference(trace, capture, assumed_v, trigger_s, replay.notes)
        else:
            reading = _window(trace, capture, assumed_v, trigger_s, reference)
            number = begin.window if begin.window is not None else len(replay.windows)
            replay.windows[number] = Window(number, begin.input, max(begin.inferences, 1), reading)


def describe(capture: Capture) -> str:
    """A capture in words."""
    begin = capture.begin
    if begin.kind == "window":
        return f"window {(begin.window or 0) + 1}" + (f" ({begin.input})" if begin.input else "")
    return "the idle stretch" if begin.kind == "idle" else "the short reference"


def _idle(trace: TraceReader, capture: Capture, assumed_v: float, notes: list[str]) -> Idle | None:
    meter = IdleMeter(assumed_v)
    try:
        for chunk in trace.chunks(capture):
            meter.feed(chunk)
    except TraceError as error:
        notes.append(str(error))
        return None
    return meter.finish()


def _reference(
    trace: TraceReader, capture: Capture, assumed_v: float, trigger_s: float, notes: list[str]
) -> TriggerReference | None:
    meter = TriggerMeter(assumed_v, trigger_s)
    device_s = capture.end.device_s if capture.end else None
    try:
        for chunk in trace.chunks(capture):
            meter.feed(chunk)
        return meter.reference(device_s) if device_s is not None else None
    except (InstrumentError, TraceError) as error:
        notes.append(f"{trace.path.name}: {error}")
        return None


def _window(
    trace: TraceReader, capture: Capture, assumed_v: float, trigger_s: float, reference: TriggerReference | None
) -> Reading:
    device_s = capture.end.device_s if capture.end else None
    switches = capture.end.range_switches if capture.end else 0
    try:
        if trace.has_pin:
            marker = MarkerMeter(assumed_v)
            for chunk in trace.chunks(capture):
                marker.feed(chunk)
            return marker.finish(device_s, switches)
        trigger = TriggerMeter(assumed_v, trigger_s)
        for chunk in trace.chunks(capture):
            trigger.feed(chunk)
        return trigger.finish(device_s, reference, switches)
    except TraceError as error:
        rate_hz = capture.begin.rate_hz
        return incomplete(rate_hz, [str(error)], Sums(), 0, 0, device_s, voltage_measured=trace.has_voltage)


def _replay_foreign(trace: TraceReader, voltage_v: float | None, replay: Replay) -> None:
    """A recording of another program: every two falls of its pin are a window."""
    if not trace.has_pin:
        raise TraceError(f"{trace.path} has no timing pin, a signal gpi[0] of one bit: nobody knows its windows.")
    if not trace.has_voltage and voltage_v is None:
        raise TraceError(f"{trace.path} has no voltage: say what it was with --voltage.")
    falls = _falls(trace)
    if len(falls) > _FALLS:
        raise TraceError(f"{trace.path} has {len(falls)} falling edges or more: is gpi[0] the timing pin?")
    bounds = [0, *((one + two) // 2 for one, two in zip(falls[1::2], falls[2::2], strict=False)), trace.samples]
    first = len(replay.windows)
    for number, (begin, end) in enumerate(pairwise(bounds), start=first):
        meter = MarkerMeter(0.0 if voltage_v is None else voltage_v)
        for chunk in _pieces(trace, begin, end):
            meter.feed(chunk)
        replay.windows[number] = Window(number, "", 1, meter.finish())


def _falls(trace: TraceReader) -> list[int]:
    falls: list[int] = []
    before = False
    for chunk in _pieces(trace, 0, trace.samples):
        if chunk.marker is None:
            break
        levels = np.concatenate((np.array([before]), chunk.marker))
        at = round(chunk.t0_s * chunk.rate_hz)
        falls += (np.flatnonzero(levels[:-1] & ~levels[1:]) + at).tolist()
        before = bool(levels[-1])
        if len(falls) > _FALLS:
            break
    return falls


def _pieces(trace: TraceReader, begin: int, end: int) -> Iterator[SampleChunk]:
    for first in range(begin, end, _BLOCK):
        values = trace.read(first, min(_BLOCK, end - first))
        yield SampleChunk(*values, first / trace.rate_hz, trace.rate_hz)
