# SPDX-License-Identifier: Apache-2.0
"""Holds a results.json to its place, to the log beside it and to what the device said in that log."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Final

from host.results import schema
from host.runner.rules import NOT_OFFICIAL, UNDER_TARGET
from host.submission.check_figures import area_under_curve, labels_sha256
from host.submission.check_findings import Findings, shown
from host.submission.check_layout import Cell
from host.submission.check_log import Log
from host.submission.check_official import Official
from host.submission.check_record import Figure, Recorded
from host.submission.layout import LogHead, Record

_EXACT: Final = 1e-9
"""How far two ways to calculate with floating point may be apart, as a fraction."""

_STAMPS_S: Final = 2.0
_STAMPS_OFF: Final = 0.1
"""How far the log's own times, whole seconds of when a line came, may be off a window: so much and so much of it."""


def check_place(record: Record, cell: Cell, official: Official, found: Findings) -> None:
    """Whether the record is of the folder that it lies in, and of a run that may be handed in."""
    path, run = cell.file("results.json"), record.run
    for what, is_, wanted in (
        ("division", record.division, cell.division),
        ("organization", record.organization, cell.organization),
        ("system", record.system, cell.system),
        ("benchmark", record.benchmark, cell.benchmark),
        ("mode", record.mode, cell.mode),
        ("run's mode", run.mode, cell.mode),
        ("run's task", run.task, official.task),
    ):
        if is_ != wanted:
            found.add(path, "place", f"the {what} is {is_}, it lies with {wanted}")
    if run.rules != "mlperf":
        found.add(path, "rules", f"it was measured under the {run.rules} rules")
    forgiven = (NOT_OFFICIAL, UNDER_TARGET) if cell.division == "open" else ()
    against = [reason for reason in run.reasons if not any(one in reason for one in forgiven)]
    if against or run.valid == bool(run.reasons):
        found.add(path, "rules", f"the run is not valid: {'; '.join(against) or 'for no reason that is told'}")
    if run.unit is not None and run.unit >= len(record.units):
        found.add(path, "record", f"it ran on board {run.unit + 1} of {len(record.units)}")
    try:
        datetime.fromisoformat(record.created)
    except ValueError:
        found.add(path, "record", f"it was created at {record.created}, which is no time")
    if not record.units:
        found.add(path, "record", "it ran on no board")


def check_head(
    record: Record, head: LogHead, recorded: Recorded, cell: Cell, official: Official, found: Findings
) -> None:
    """The first line of the log against the record and against what follows it."""
    path = cell.file("log.txt")
    for what, is_, wanted in (
        ("benchmark", head.benchmark, cell.benchmark),
        ("mode", head.mode, cell.mode),
        ("task", head.task, official.task),
        ("session", head.session, record.session),
        ("board", head.board, record.board.name),
        ("model's sha256", head.model_sha256, record.run.model.sha256),
        ("data set's sha256", head.dataset_sha256, record.run.dataset.sha256),
        ("number of windows", head.windows, len(recorded.timed or recorded.metered)),
        ("number of inputs", head.inputs, len(recorded.inputs)),
    ):
        if is_ != wanted:
            found.add(path, "log-head", f"the {what} is {is_} in the first line, and {wanted} in the results")


def check_results(record: Record, recorded: Recorded, cell: Cell, official: Official, found: Findings) -> None:
    """Every figure of the record against the log's."""
    path = cell.file("results.json")
    if cell.mode == "accuracy":
        wrong = _accuracy(record.run, recorded, official)
    else:
        wrong = (_timed if cell.mode == "performance" else _energy)(record.run, recorded)
    for what in wrong:
        found.add(path, "log-results", f"{what}, which log.txt does not bear out")


def _differ(what: str, is_: object, wanted: object) -> Iterator[str]:
    if is_ != wanted:
        yield f"{what} is {shown(is_)} and not {shown(wanted)}"


def _off(what: str, is_: float | None, wanted: float | None) -> Iterator[str]:
    """Two numbers that were calculated in two ways."""
    if is_ is None or wanted is None:
        yield from _differ(what, is_, wanted)
    elif not math.isclose(is_, wanted, rel_tol=_EXACT, abs_tol=1e-12):
        yield f"{what} is {is_} and not {wanted}"


def _as_written(what: str, value: float | None, figure: Figure | None) -> Iterator[str]:
    """A number against its text."""
    if (value is None) != (figure is None):
        yield f"{what} is {value}"
    elif value is not None and figure is not None:
        half = Fraction(1, 2 * 10**figure.decimals)
        if not (math.isfinite(value) and abs(Fraction(value) - figure.value) <= half + Fraction(1, 10**9)):
            yield f"{what} is {value} and not {figure.text}"


def _nothing(run: schema.Run, *names: str) -> Iterator[str]:
    for name in names:
        if getattr(run, name):
            yield f"it has {name}"


def _timed(run: schema.Run, recorded: Recorded) -> Iterator[str]:
    wanted = [(one.input, one.inferences, int(one.runtime_s.value * 10**6)) for one in recorded.timed]
    yield from _windows(run.windows, wanted)
    yield from _summary(run)
    yield from _nothing(run, "accuracy", "energy_uj", "profile")


def _windows(windows: Sequence[schema.Window], wanted: Sequence[tuple[str, int, int]]) -> Iterator[str]:
    yield from _differ("the number of windows", len(windows), len(wanted))
    for number, (is_, was) in enumerate(zip(windows, wanted, strict=False), start=1):
        yield from _differ(f"window {number}", (is_.input, is_.inferences, is_.duration_us), was)


def _summary(run: schema.Run) -> Iterator[str]:
    """Latency and throughput against the record's own windows."""
    times = [window.duration_us / window.inferences for window in run.windows]
    latency = run.latency_us
    if not times or latency is None:
        yield f"latency_us is {latency}"
        return
    yield from _off("the median latency", latency.median, statistics.median(times))
    yield from _off("the least latency", latency.min, min(times))
    yield from _off("the largest latency", latency.max, max(times))
    spread = statistics.stdev(times) / statistics.fmean(times) if len(times) > 1 else None
    yield from _off("the latency's coefficient of variation", latency.cv, spread)
    if latency.interval is not None and not min(times) <= latency.interval.low <= latency.interval.high <= max(times):
        yield f"the interval of the latency is {latency.interval}"
    yield from _differ("the unit of latency", latency.unit, "us")
    rate = statistics.median(window.inferences * 1e6 / window.duration_us for window in run.windows)
    yield from _off("the throughput", run.throughput_inf_per_s, rate)


def _energy(run: schema.Run, recorded: Recorded) -> Iterator[str]:
    energy = run.energy_uj
    if energy is None:
        yield "energy_uj is null"
        return
    yield from _differ("the number of energy windows", len(energy.windows), len(recorded.metered))
    for number, (is_, was) in enumerate(zip(energy.windows, recorded.metered, strict=False), start=1):
        where = f"energy window {number}"
        yield from _differ(where, (is_.window, is_.input, is_.inferences), (number - 1, was.input, was.inferences))
        yield from _as_written(f"{where}: duration_s", is_.duration_s, was.duration_s)
        yield from _as_written(f"{where}: energy_uj", is_.energy_uj, was.energy_uj)
        yield from _as_written(f"{where}: u_uj", is_.u_uj, was.u_uj)
        device = None if was.device_s is None else int(was.device_s.value * 10**6)
        yield from _differ(f"{where}: device_us", is_.device_us, device)
        if is_.energy_uj is not None and is_.duration_s:
            yield from _off(f"{where}: mean_mw", is_.mean_mw, is_.energy_uj / is_.duration_s / 1e3)
        if not is_.valid or is_.reasons or is_.lost_samples or is_.overloads:
            yield f"{where} is not valid: {'; '.join(is_.reasons) or 'samples are lost or cut off'}"
    told = [(one.input, one.inferences, int(one.device_s.value * 10**6)) for one in recorded.metered if one.device_s]
    yield from _windows(run.windows, told)
    if told:
        yield from _summary(run)
    yield from _figures(energy)
    yield from _nothing(run, "accuracy", "profile")


def _figures(energy: schema.Energy) -> Iterator[str]:
    """The energy of the run against its own windows; U against the terms of its budget."""
    costs = [window.energy_uj / window.inferences for window in energy.windows if window.energy_uj is not None]
    if costs:
        yield from _off("the median energy", energy.value, statistics.median(costs))
    powers = [window.mean_mw for window in energy.windows if window.mean_mw is not None]
    yield from _off("the mean power", energy.mean_mw, statistics.median(powers) if powers else None)
    yield from _off("the gross energy", energy.gross, energy.value)
    yield from _differ("the energy net of idle", energy.net, None)
    yield from _differ("the coverage factor", energy.k, 2)
    terms = math.sqrt(math.fsum(term.u_uj**2 for term in energy.budget))
    yield from _off("the expanded uncertainty", energy.u, energy.k * terms if energy.budget else None)
    yield from _differ("the number of lost samples", energy.lost_samples, 0)


def _accuracy(run: schema.Run, recorded: Recorded, official: Official) -> Iterator[str]:
    inputs, accuracy = recorded.inputs, run.accuracy
    if accuracy is None:
        yield "accuracy is null"
        return
    area = area_under_curve(inputs, official.classes)
    right = sum(one.predicted == one.label for one in inputs) / len(inputs)
    value = right if official.metric == "top1" else area
    yield from _differ("the metric", accuracy.metric, official.metric)
    yield from _differ("the number of inputs", (accuracy.n, run.dataset.n), (len(inputs), len(inputs)))
    yield from _off("the accuracy", accuracy.value, value)
    yield from _off("the area under the curve", accuracy.auc, area)
    if accuracy.target_source == "official":
        yield from _differ("the target", accuracy.target, official.target)
    if accuracy.target is not None and accuracy.value is not None:
        yield from _differ("whether the target is met", accuracy.met, accuracy.value >= accuracy.target)
    yield from _differ("labels_sha256", run.dataset.labels_sha256, labels_sha256(inputs))
    yield from _nothing(run, "windows", "energy_uj", "profile", "latency_us")


def check_device(record: Record, recorded: Recorded, log: Log, cell: Cell, official: Official, found: Findings) -> None:
    """Whether the device said what the record has: who it is, and its times and outputs, in that order."""
    path = cell.file("log.txt")
    if log.numbered != (len(record.units) > 1):
        found.add(path, "log-device", f"the lines of {len(record.units)} boards are not numbered as they should be")
        return
    for what in _identity(record, log, official):
        found.add(path, "log-device", what)
    device = (record.run.unit or 0) + 1 if log.numbered else 0
    if cell.mode == "accuracy":
        if len(record.units) == 1 and record.units[0].link == "stock":
            _check_outputs(recorded, log, path, found)
        return
    said = iter([one for one in log.inferences if one.device == device])
    for number, (inferences, laps_us, time_s) in enumerate(_windows_said(recorded), start=1):
        # Behind the one that was found for the window before.
        match = next((one for one in said if (one.inferences, one.laps_us) == (inferences, laps_us)), None)
        if match is None:
            found.add(
                path,
                "log-device",
                f"window {number}: the device has no {inferences} inferences in {laps_us} us where they should be",
            )
            return
        if abs(match.host_s - time_s) > _STAMPS_S + time_s * _STAMPS_OFF:
            found.add(
                path, "clocks", f"window {number}: {time_s:.3f} s, in which the log's own time goes on {match.host_s} s"
            )


def _windows_said(recorded: Recorded) -> Iterator[tuple[int, int | None, float]]:
    """Inferences and microseconds as the device says them (None: it does not), and about how many seconds passed."""
    for one in recorded.timed:
        yield one.inferences, int(one.runtime_s.value * 10**6), float(one.runtime_s.value)
    for each in recorded.metered:
        device_us = None if each.device_s is None else int(each.device_s.value * 10**6)
        yield each.inferences, device_us, float(each.duration_s.value)


def _check_outputs(recorded: Recorded, log: Log, path: str, found: Findings) -> None:
    """On a line of text every output is among the device's lines, in the order of the inputs."""
    said = iter([outputs for _, outputs in log.results])
    for number, one in enumerate(recorded.inputs, start=1):
        for output in [(value,) for value in one.outputs] if one.score is not None else [tuple(one.outputs)]:
            if output not in said:
                found.add(path, "log-device", f"input {number}: the device never said that it gives {shown(output)}")
                return


def _identity(record: Record, log: Log, official: Official) -> Iterator[str]:
    """What the boards say of themselves, and the record does not say of them."""
    if record.firmware.version is None:  # a stock firmware has one model, and says no more of it than this
        told = {model for _, model in log.models}
        if told != {official.task}:
            yield f"the device says that its model is {shown(', '.join(told) or 'nothing')}, not {official.task}"
        return
    wanted = {
        "version": record.firmware.version,
        "board": record.board.name,
        "core-hz": str(record.board.clock_hz or 0),
        "engine": record.firmware.engine,
        "compiler": record.firmware.compiler,
        "flags": record.firmware.flags,
    }
    for device, key, value in log.info:
        number = max(device, 1)
        if number > len(record.units):
            yield f"the device is board {number}, results.json has {len(record.units)}"
            return
        expected = record.units[number - 1].build_id if key == "build-id" else wanted.get(key, value)
        if value != expected:
            yield f"board {number} says that its {key} is {shown(value)}, results.json says {shown(expected)}"
            return
    missing = {*wanted, "build-id"} - {key for _, key, _ in log.info}
    if missing:
        yield f"no board has said its {', '.join(sorted(missing))}, though the firmware is one that can"
    hashes = _model_hashes(log, official.task)
    if hashes != {record.run.model.sha256}:
        said = ", ".join(map(shown, hashes)) or "nothing"
        yield f"the device says of its model's sha256 {said}, results.json says {record.run.model.sha256}"


def _model_hashes(log: Log, task: str) -> set[str]:
    """What every board has last said of the model of a task."""
    hashes: dict[int, str] = {}
    selected = ""
    for device, key, value in log.info:
        if key == "model":
            selected = value
        elif key == "model-sha256" and selected == task:
            hashes[device] = value
    return set(hashes.values())
