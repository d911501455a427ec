# SPDX-License-Identifier: Apache-2.0
"""Other measurements in a package, with everything that follows from them: lines, medians, shares, hashes, and where
asked for what the device says. What is left to find is the measurement itself."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence

from msgspec.json import encode
from msgspec.structs import replace
from submission_mutants import Lines, Package, number_of

from host.results.schema import EnergyWindow, Latency, Window
from host.submission import layout
from host.submission.check_figures import area_under_curve, labels_sha256
from host.submission.layout import LogInput


def timed(package: Package) -> list[Window]:
    return package.record("performance").run.windows


def metered(package: Package) -> list[EnergyWindow]:
    energy = package.record("energy").run.energy_uj
    assert energy is not None
    return energy.windows


def scored(package: Package) -> list[LogInput]:
    """The inputs as they are in the log of the accuracy run."""
    lines = (line.partition(": ")[2] for line in package.lines("accuracy"))
    return [
        layout.msgspec.json.decode(line.partition(": ")[2], type=LogInput) for line in lines if line[:6] == "Input "
    ]


def miss(one: LogInput) -> LogInput:
    """The same input, taken for another class."""
    outputs = [0.0] * len(one.outputs)
    outputs[(one.label + 1) % len(outputs)] = 0.75
    outputs[(one.label + 2) % len(outputs)] = 0.25
    return replace(one, outputs=outputs, predicted=(one.label + 1) % len(outputs))


def edit_number(lines: Lines, before: str, number: str, nth: int = 0) -> None:
    """Another number behind some words."""
    at = number_of(lines, before, nth)
    head, _, tail = lines[at].partition(before)
    lines[at] = head + before + re.sub(r"[0-9.]*[0-9]", number, tail, count=1)


def put_windows(package: Package, windows: Sequence[Window], *, device: bool = True) -> None:
    """Another performance run. device: its laps go with it, as far as they are of windows that were there."""
    record = package.record("performance")
    old = record.run.windows
    times = [one.duration_us / one.inferences for one in windows] or [1.0]
    spread = statistics.stdev(times) / statistics.fmean(times) if len(times) > 1 else None
    rate = statistics.median([one.inferences * 1e6 / one.duration_us for one in windows] or [1.0])
    latency = Latency(median=statistics.median(times), min=min(times), max=max(times), unit="us", cv=spread)
    run = replace(record.run, windows=list(windows), latency_us=latency, throughput_inf_per_s=rate)
    package.put_record("performance", replace(record, run=run))

    def change(lines: Lines) -> Lines:
        begin = number_of(lines, "ulp-mlperf: ")
        session = [re.sub(r'"windows":\d+', f'"windows":{len(windows)}', lines[0]), *lines[1:begin]]
        at = 0
        for was, is_ in zip(old, windows, strict=False) if device else ():
            at = _device_did(session, at, was, is_)
        return session + [f"{lines[-1][:11]} ulp-mlperf: {text}" for text in _timed_lines(windows, rate)]

    package.relog("performance", change)


def _device_did(lines: Lines, at: int, was: Window, is_: Window) -> int:
    """The device's lines of a window, from line `at` on, for another one; where they end."""
    while True:
        at += 1
        if not lines[at].endswith(f"dut: m-infer-start-{was.inferences}"):
            continue
        begin, end = (int(lines[line].rpartition("-")[2]) for line in (at + 1, at + 2))
        if (end - begin) % 2**32 == was.duration_us:
            lines[at] = lines[at].replace(f"-{was.inferences}", f"-{is_.inferences}")
            lines[at + 2] = lines[at + 2].replace(str(end), str((begin + is_.duration_us) % 2**32))
            return at + 3


def _timed_lines(windows: Sequence[Window], rate: float) -> list[str]:
    lines = []
    for number, one in enumerate(windows, start=1):
        lines += [
            f"Performance results for window {number}:",
            f"  Input        : {layout.quoted(one.input)}",
            f"  # Inferences : {one.inferences:12d}",
            f"  Runtime      : {one.duration_us / 1e6:12.6f} sec.",
            f"  Throughput   : {layout.throughput_text(one.inferences * 1e6 / one.duration_us):>12} inf./sec.",
            "Runtime requirements have been met.",
        ]
    return [*lines, layout.RULER, f"Median throughput is {layout.throughput_text(rate)} inf./sec.", layout.RULER]


def put_metered(package: Package, windows: Sequence[EnergyWindow]) -> None:
    """Another energy run, of windows with the device's times as they were and the same median energy."""
    record = package.record("energy")
    energy = record.run.energy_uj
    assert energy is not None
    costs = [(one.energy_uj or 0.0) / one.inferences for one in windows]
    value = statistics.median(costs)
    run = record.run
    timings = [replace(was, input=one.input) for was, one in zip(run.windows, windows, strict=False)]
    times = [one.duration_us / one.inferences for one in timings]
    spread = statistics.stdev(times) / statistics.fmean(times)
    latency = Latency(median=statistics.median(times), min=min(times), max=max(times), unit="us", cv=spread)
    rate = statistics.median(one.inferences * 1e6 / one.duration_us for one in timings)
    windows = [replace(one, mean_mw=(one.energy_uj or 0.0) / (one.duration_s or 1.0) / 1e3) for one in windows]
    power = statistics.median(one.mean_mw or 0.0 for one in windows)
    energy = replace(energy, windows=windows, value=value, gross=value, mean_mw=power)
    run = replace(run, windows=timings, latency_us=latency, throughput_inf_per_s=rate, energy_uj=energy)
    package.put_record("energy", replace(record, run=run))

    def change(lines: Lines) -> Lines:
        begin = number_of(lines, "ulp-mlperf: ")
        end = number_of(lines, layout.RULER)
        each = (end - begin) // 5
        kept = lines[: begin + each * len(windows)]
        kept[0] = re.sub(r'"windows":\d+', f'"windows":{len(windows)}', kept[0])
        for number, one in enumerate(windows):
            at = begin + each * number
            kept[at + 1] = kept[at + 1].partition('"')[0] + layout.quoted(one.input)
            kept[at + 3] = kept[at + 3].partition("Duration")[0] + f"Duration     : {one.duration_s:12.6f} sec."
        tail = lines[end:]
        edit_number(tail, "Median energy cost is", layout.energy_text(value, energy.u)[0])
        return kept + tail

    package.relog("energy", change)


def put_inputs(package: Package, inputs: Sequence[LogInput]) -> None:
    """Another accuracy run; the list of labels goes into the records of all runs."""
    labels = labels_sha256(inputs)
    for mode in package.modes():
        package.change(mode, run__dataset__labels_sha256=labels)
    right = sum(one.predicted == one.label for one in inputs)
    area = area_under_curve([one for one in inputs if len(one.outputs) == 12], 12)
    package.change(
        "accuracy",
        run__dataset__n=len(inputs),
        run__accuracy__n=len(inputs),
        run__accuracy__value=right / len(inputs),
        run__accuracy__auc=area,
        run__accuracy__met=right / len(inputs) >= 0.9,
    )

    def change(lines: Lines) -> Lines:
        stamp = lines[-1][:11]
        begin = number_of(lines, "ulp-mlperf: ")
        texts = [f"Input {n} of {len(inputs)}: {encode(one).decode()}" for n, one in enumerate(inputs, start=1)]
        texts += [f"Top 1% = {layout.percent_text(right, len(inputs))}", f"AUC = {layout.fraction_text(area or 0.0)}"]
        head = re.sub(r'"inputs":\d+', f'"inputs":{len(inputs)}', lines[0])
        return [head, *lines[1:begin], *(f"{stamp} ulp-mlperf: {layout.escaped(text)}" for text in texts)]

    package.relog("accuracy", change)
