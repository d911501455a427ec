# SPDX-License-Identifier: Apache-2.0
"""Energy: windows of inferences between two falling edges of the timing pin, watched by a power monitor.

The board is the one of a performance run; in mode `both` it gives its own times as well. Before the windows and after
them it is left alone for a moment: what it takes then is idle.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from energy.capture import measure_idle, measure_reference, measure_window
from energy.errors import EnergyError
from energy.trace import OperatorSpan, TraceInfo, TraceWriter, free_trace_path
from energy.trigger import TriggerReference
from energy.window import PULSE_S, Idle, Reading
from host.catalog import Item, ModelFile
from host.device import Device
from host.errors import DeviceError, DeviceReset
from host.modelinfo import read_operators
from host.results import schema
from host.results.journal import (
    CalibratedRow,
    EnergyWindowRow,
    IdleRecord,
    IdleRow,
    Journal,
    ProfileRow,
    ReadingRecord,
)
from host.runner.energy_figures import reading_of
from host.runner.energy_profile import add_energy, shares
from host.runner.monitor import Monitor
from host.runner.performance import (
    Pace,
    Timed,
    Timing,
    calibrate,
    is_real_time,
    next_count,
    summarise,
    time_inferences,
    timed_window,
)
from host.runner.profile import Counts, run_profile
from host.runner.rules import Rules, long_enough
from host.runner.target import Target
from host.runner.work import TellBoard

IDLE_S = {"quick": 0.5, "mlperf": 3.0}
SETTLE_S = 0.05  # after its last answer a board may have something left to do before it sleeps
SHOWN_INFERENCES = 3  # whose operators are marked in the trace
UNSEEN_TIMEOUT_S = 600.0  # for as many inferences as a window has, on a board that tells no times


class EnergyJob:
    """Idle, a window on each of the first inputs, idle again; then the profile, if one is wanted.

    A context manager: it closes the trace. Only one board at a time has energy: its number is 0.
    """

    def __init__(
        self,
        model: ModelFile,
        items: Sequence[Item],
        journal: Journal,
        rules: Rules,
        profile: bool,
        tell: TellBoard,
        monitor: Monitor,
        folder: Path,
    ) -> None:
        """tell: how many of its windows a board has made, and of how many. folder: where the trace goes."""
        self.model = model
        self._inputs = [(item.name, item.windows()[0]) for item in items]
        self._journal = journal
        self._rules = rules
        self._profile = profile
        self._tell = tell
        self._monitor = monitor
        self._folder = folder
        self._stopped = threading.Event()
        self._trace: TraceWriter | None = None
        self._captures: dict[int, int] = {}  # of the trace that is open, by the input's number
        self._reference: TriggerReference | None = None

    def more(self, unit: int) -> bool:
        """As in fleet.Job."""
        return not self._stopped.is_set() and bool(
            self._left(unit) or self._wants_idle(unit, "after") or self._wants_profile(unit)
        )

    def work(self, unit: int, target: Target) -> None:
        """As in fleet.Job."""
        timing = _timing(target)
        if self._wants_idle(unit, "before"):
            self._idle(unit, "before")
        for index in self._left(unit):
            if self._stopped.is_set():
                return
            self._tell(unit, self.finished_by(unit), len(self._inputs))
            self._window(unit, target, timing, index)
        self._tell(unit, len(self._inputs), len(self._inputs))
        if self._wants_idle(unit, "after"):
            self._idle(unit, "after")
        if self._wants_profile(unit) and not self._stopped.is_set():
            self._run_profile(unit, target)

    def finished_by(self, unit: int) -> int:
        """As in fleet.Job."""
        return len(self._journal.of(EnergyWindowRow, self.model.task, unit))

    def stop(self) -> None:
        """As in fleet.Job."""
        self._stopped.set()

    def close(self) -> None:
        """Close the trace. Raises TraceError when it is not whole on disk."""
        trace, self._trace = self._trace, None
        if trace is not None:
            trace.close()

    def __enter__(self) -> Self:
        """The job itself."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the trace; what ended the job comes first."""
        with contextlib.suppress(*((EnergyError,) if error else ())):
            self.close()

    def _left(self, unit: int) -> list[int]:
        done = {row.index for row in self._journal.of(EnergyWindowRow, self.model.task, unit)}
        return [index for index in range(len(self._inputs)) if index not in done]

    def _wants_idle(self, unit: int, when: Literal["before", "after"]) -> bool:
        return all(row.when != when for row in self._journal.of(IdleRow, self.model.task, unit))

    def _wants_profile(self, unit: int) -> bool:
        return self._profile and not self._journal.of(ProfileRow, self.model.task, unit)

    def _recorder(self) -> TraceWriter:
        """The trace of this task, begun with its first capture."""
        if self._trace is None:
            info = TraceInfo.of(
                self._monitor.instrument,
                self._monitor.settings,
                task=self.model.task,
                provenance="measured" if self._journal.header.base.provenance == "measured" else "emulated",
            )
            info = msgspec.structs.replace(info, model=self._monitor.record.model)  # by whose accuracy it is judged
            self._trace = TraceWriter(free_trace_path(self._folder, self.model.task), info)
        return self._trace

    def _idle(self, unit: int, when: Literal["before", "after"]) -> None:
        """What the board takes while nobody asks it anything."""
        time.sleep(SETTLE_S)
        trace = self._recorder()
        trace.begin_capture("idle")
        monitor = self._monitor
        idle = measure_idle(monitor.instrument, monitor.settings, IDLE_S[self._rules.name], sink=trace.write)
        trace.end_capture(None)
        row = IdleRow(task=self.model.task, unit=unit, when=when, idle=IdleRecord(**fields(idle)))
        self._journal.append(row)

    def _window(self, unit: int, target: Target, timing: Timing, index: int) -> None:
        """One window that is as long as the rules ask, by the monitor's clock where it could be seen whole."""
        name, data = self._inputs[index]
        target.device.load(data)
        pace = self._pace(unit, target, timing)
        self._prepare_trigger(target, timing, pace)
        while True:
            if target.info is not None:
                target.device.set_mode("both")  # a board that was reset without a word is in its first mode
            reading, timed = self._capture(target, timing, pace, index)
            duration_us = _duration_us(reading, timed.timed)
            if duration_us is None or long_enough(pace.inferences, duration_us, self._rules):
                break
            pace = Pace(next_count(pace.inferences, duration_us, self._rules), timed.slowest_us)
            self._calibrated(unit, pace)
        if not reading.complete and target.info is not None:
            _check_mode(target.device)
        self._journal.append(
            EnergyWindowRow(
                task=self.model.task,
                index=index,
                unit=unit,
                input=name,
                inferences=pace.inferences,
                reading=ReadingRecord(**fields(reading)),
                window=timed_window(name, timed.timed, timing) if timed.timed else None,
            )
        )

    def _capture(self, target: Target, timing: Timing, pace: Pace, index: int) -> tuple[Reading, _Done]:
        """The inferences of one window, with the monitor looking on."""
        done: list[_Done] = []

        def work() -> float | None:
            done.append(_infer(target, timing, pace, self._rules.warmup))
            return done[0].device_s

        trace = self._recorder()
        self._captures[index] = trace.begin_capture(
            "window", window=index, input_name=self._inputs[index][0], inferences=pace.inferences
        )
        self._monitor.label(self.model.task, index, pace.inferences)
        timing.take_counts()  # what calibration and short windows left behind
        reading = measure_window(
            self._monitor.instrument,
            self._monitor.settings,
            work,
            (pace.inferences + self._rules.warmup) * pace.slowest_us / 1e6,
            sink=trace.write,
            reference=self._reference,
            trigger_s=self._monitor.trigger_s,
        )
        trace.end_capture(reading)
        return reading, done[0]

    def _prepare_trigger(self, target: Target, timing: Timing, pace: Pace) -> None:
        """A monitor without the timing pin needs to have seen, once, how a window of one inference ends."""
        if self._monitor.instrument.windows != "trigger" or self._reference is not None:
            return
        one = Pace(1, pace.slowest_us)
        trace = self._recorder()
        trace.begin_capture("reference")
        if target.info is not None:
            target.device.set_mode("both")
        self._reference = measure_reference(
            self._monitor.instrument,
            self._monitor.settings,
            lambda: _infer(target, timing, one, self._rules.warmup).device_s,
            (1 + self._rules.warmup) * one.slowest_us / 1e6,
            sink=trace.write,
            trigger_s=self._monitor.trigger_s,
        )
        trace.end_capture(None, device_s=self._reference.device_s)

    def _pace(self, unit: int, target: Target, timing: Timing) -> Pace:
        """How many inferences fill a window: as before, or found on the input that is loaded."""
        rows = self._journal.of(CalibratedRow, self.model.task, unit)
        if rows:
            return Pace(rows[-1].inferences, rows[-1].slowest_us)
        if target.info is not None:
            target.device.set_mode("both")
            pace = calibrate(target.device, self._rules, timing)
        else:
            pace = calibrate_unseen(target.device, self._rules)
        self._calibrated(unit, pace)
        return pace

    def _calibrated(self, unit: int, pace: Pace) -> None:
        self._journal.append(
            CalibratedRow(task=self.model.task, unit=unit, inferences=pace.inferences, slowest_us=pace.slowest_us)
        )

    def _run_profile(self, unit: int, target: Target) -> None:
        """The board's profile, with what each operator takes by the power trace of a window."""
        windows = [row.window for row in self._journal.of(EnergyWindowRow, self.model.task, unit) if row.window]
        outcome = run_profile(
            target.device,
            read_operators(self.model.path.read_bytes(), self.model.name),
            self._inputs[0],
            self._rules,
            Counts(target.take_counts, target.take_observed),
            latency_us=summarise(windows, "us").latency.median,
        )
        profile, reasons = self._with_energy(outcome.profile)
        self._journal.append(
            ProfileRow(task=self.model.task, unit=unit, profile=profile, reasons=[*outcome.reasons, *reasons])
        )

    def _with_energy(self, profile: schema.Profile) -> tuple[schema.Profile, list[str]]:
        """Lay the operators over the trace of the first valid window, and say if they do not add up to it."""
        rows = self._journal.of(EnergyWindowRow, self.model.task)
        row = next((row for row in rows if reading_of(row.reading).valid), None)
        if row is None:
            return profile, ["profile: no window is valid, so no operator's energy can be told"]
        reading = reading_of(row.reading)
        trace, self._trace = self._trace, None
        if trace is not None:
            if row.index in self._captures:
                trace.operators(_spans(profile, reading, row.inferences, self._captures[row.index]))
            trace.close()  # who writes it does not let others read
        return add_energy(profile, reading, row, self._folder)


def _spans(profile: schema.Profile, reading: Reading, inferences: int, capture: int) -> list[OperatorSpan]:
    """Where the operators of the first inferences are in a window, for whoever looks at its trace."""
    one_s = (reading.duration_s - PULSE_S) / inferences
    spans = []
    for number in range(min(inferences, SHOWN_INFERENCES)):
        at_s = reading.start_s + PULSE_S + number * one_s
        for cost, share in zip(profile.operators, shares(profile), strict=True):
            if share > 0:
                spans.append(
                    OperatorSpan(
                        capture=capture, index=cost.index, name=cost.name, start_s=at_s, end_s=at_s + share * one_s
                    )
                )
                at_s += share * one_s
    return spans


@dataclasses.dataclass(frozen=True, slots=True)
class _Done:
    """Inferences that were made. timed: by the board's clock; None where it tells no time."""

    slowest_us: float
    timed: Timed | None

    @property
    def device_s(self) -> float | None:
        """By the board's clock."""
        return self.timed.duration_us / 1e6 if self.timed else None


def _timing(target: Target) -> Timing:
    clock_hz = target.board.clock_hz if target.board else None
    return Timing(is_real_time(target.provenance, clock_hz), clock_hz, target.take_counts)


def _infer(target: Target, timing: Timing, pace: Pace, warmup: int) -> _Done:
    """On the input that is loaded. A stock firmware for energy tells no times."""
    if target.info is not None:
        timed = time_inferences(target.device, timing, pace, warmup, quiet_s=SETTLE_S)
        return _Done(timed.pace.slowest_us, timed)
    silent_s = 3 * max(pace.inferences, warmup) * pace.slowest_us / 1e6
    timeout_s = max(silent_s, target.device.infer_timeout_s)
    inference = target.device.infer(pace.inferences, warmup, timeout_s=timeout_s, quiet_s=SETTLE_S)
    if inference.duration_us is not None:
        raise DeviceError(
            "the firmware at this port tells its times (m-lap-us): it was built for performance and does not move the "
            "timing pin. Build it for energy, or flash ours with `host flash BOARD`."
        )
    return _Done(pace.slowest_us, None)


def calibrate_unseen(device: Device, rules: Rules) -> Pace:
    """How many inferences fill a window on a board that tells no times: by our clock, around whole exchanges.

    What is before and after the inferences is the same in each, so a difference of two is inferences alone.
    Raises LinkError and DeviceError as the device does, and DeviceError when it does not take longer for more of them.
    """
    one_us = _exchange_us(device, 1)
    inferences = 2
    while True:
        exchange_us = _exchange_us(device, inferences)
        more_us = max(exchange_us - one_us, 0.0)
        wanted = next_count(inferences - 1, round(more_us), rules)
        if wanted <= 10 * inferences:
            return Pace(max(wanted, rules.min_inferences), exchange_us / inferences)
        inferences = wanted


def _exchange_us(device: Device, inferences: int) -> float:
    begin_s = time.monotonic()
    device.infer(inferences, 0, timeout_s=UNSEEN_TIMEOUT_S)
    return (time.monotonic() - begin_s) * 1e6


def _duration_us(reading: Reading, timed: Timed | None) -> int | None:
    """How long a window was: by the monitor if it saw it well, else by the board; None when nobody can tell."""
    if reading.valid:
        return max(round(reading.duration_s * 1e6), 1)
    return timed.duration_us if timed else None


def _check_mode(device: Device) -> None:
    """A window without edges may be one of a board that started again. Raises DeviceReset."""
    info = device.info()
    if info is None or info.mode != "both":
        raise DeviceReset("the device started again during a window: its mode is gone. Check its power supply.")


def fields(measured: Reading | Idle) -> dict[str, Any]:
    """As the journal keeps them: JSON has no NaN and no infinity."""
    values = {field.name: getattr(measured, field.name) for field in dataclasses.fields(measured)}
    nulls = {name: None for name, value in values.items() if isinstance(value, float) and not math.isfinite(value)}
    return {**values, **nulls, "reasons": list(measured.reasons)}
