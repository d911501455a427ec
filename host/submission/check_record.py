# SPDX-License-Identifier: Apache-2.0
"""Reads the record of a log.txt, line after line as `layout` describes it: its figures, as numbers and as they stand
there. Whether they are right is not asked here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import msgspec

from host.submission.check_findings import Findings, shown
from host.submission.check_log import Log
from host.submission.layout import RULER, LogInput

MAX_WINDOWS: Final = 1000

_NUMBER = r" *((?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,12})?)"
_INPUT = re.compile(r'  Input        : ("(?:[^"\\]|\\.){0,1000}")')
_INFERENCES = re.compile(r"  # Inferences : *([1-9][0-9]{0,8})")
_MET: Final = "Runtime requirements have been met."


def _field(label: str, unit: str) -> re.Pattern[str]:
    return re.compile(f"  {label:<13}:{_NUMBER} {re.escape(unit)}")


_RUNTIME = _field("Runtime", "sec.")
_THROUGHPUT = _field("Throughput", "inf./sec.")
_DURATION = _field("Duration", "sec.")
_DEVICE_TIME = _field("Device time", "sec.")
_ENERGY = _field("Energy", "uJ")
_UNCERTAINTY = _field("Uncertainty", "uJ")
_PER_INFERENCE = _field("Energy/Inf.", "uJ/inf.")
_MEDIAN_THROUGHPUT = re.compile(f"Median throughput is{_NUMBER} inf\\./sec\\.")
_MEDIAN_ENERGY = re.compile(f"Median energy cost is{_NUMBER} uJ/inf\\.")
_MEDIAN_U = re.compile(f"Expanded uncertainty is{_NUMBER} uJ/inf\\., k = 2\\.")
_TOP1 = re.compile(f"Top 1% ={_NUMBER}")
_AUC = re.compile(f"AUC ={_NUMBER}")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as it is written: exactly what the text says, and how many decimals it has."""

    text: str

    @property
    def value(self) -> Fraction:
        """The number."""
        return Fraction(self.text)

    @property
    def decimals(self) -> int:
        """How many digits are behind the point."""
        return len(self.text.partition(".")[2])


@dataclass(frozen=True, slots=True)
class TimedWindow:
    """A window of a performance run."""

    input: str
    inferences: int
    runtime_s: Figure
    throughput: Figure


@dataclass(frozen=True, slots=True)
class MeteredWindow:
    """A window of an energy run. device_s: None where the device does not say; u_uj: None where it is not known."""

    input: str
    inferences: int
    duration_s: Figure
    device_s: Figure | None
    energy_uj: Figure
    u_uj: Figure | None
    per_inference_uj: Figure


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a record says: windows or inputs, and the figures at its end."""

    timed: tuple[TimedWindow, ...] = ()
    metered: tuple[MeteredWindow, ...] = ()
    inputs: tuple[LogInput, ...] = ()
    throughput: Figure | None = None
    energy_uj: Figure | None = None
    u_uj: Figure | None = None
    top1: Figure | None = None
    auc: Figure | None = None


class _Broken(Exception):
    """A line that is not the one that comes next."""


def parse(log: Log, mode: str, path: str, found: Findings) -> Recorded | None:
    """The record of a log in a mode, or None and a breach that says at which line it is no record."""
    lines = _Lines(log.record)
    try:
        recorded = {"performance": _performance, "energy": _energy, "accuracy": _accuracy}[mode](lines)
        lines.end()
    except _Broken as error:
        found.add(path, "log-record", str(error))
        return None
    return recorded


def result_lines(log: Log) -> tuple[str, ...]:
    """The lines of the record that results.txt has too."""
    return tuple(line for _, line, text in log.record if not text.startswith(("  Input ", "Input ")))


class _Lines:
    def __init__(self, lines: list[tuple[int, str, str]]) -> None:
        self._lines = lines
        self._at = 0

    @property
    def text(self) -> str:
        return self._lines[self._at][2] if self._at < len(self._lines) else ""

    def skip(self, text: str) -> None:
        """The next line, which has to be this one."""
        if self._at >= len(self._lines) or self.text != text:
            raise self.broken(f"`{text}`")
        self._at += 1

    def take(self, pattern: re.Pattern[str], example: str) -> str:
        """The one group of the next line."""
        match = pattern.fullmatch(self.text) if self._at < len(self._lines) else None
        if match is None:
            raise self.broken(f"`{example}`")
        self._at += 1
        return match[1]

    def figure(self, pattern: re.Pattern[str], example: str) -> Figure:
        return Figure(self.take(pattern, example))

    def figure_or(self, label: str, absent: str, pattern: re.Pattern[str], example: str) -> Figure | None:
        """A figure, or None where the line says that there is none."""
        if self.text.startswith(label) and self.text[len(label) :].strip() == absent:
            self._at += 1
            return None
        return self.figure(pattern, example)

    def end(self) -> None:
        if self._at < len(self._lines):
            raise self.broken("its end")

    def broken(self, wanted: str) -> _Broken:
        if self._at >= len(self._lines):
            return _Broken(f"the record ends where {wanted} should follow")
        number, _, text = self._lines[self._at]
        return _Broken(f"line {number}: `{shown(text[:80])}` where the record should go on with {wanted}")


def _window_start(lines: _Lines, opening: str, number: int) -> tuple[str, int]:
    lines.skip(f"{opening} for window {number}:")
    quoted = lines.take(_INPUT, '  Input        : "NAME"')
    try:
        name = str(json.loads(quoted))
    except ValueError as error:
        raise _Broken(f"window {number}: {quoted} is no JSON string: {error}") from error
    return name, int(lines.take(_INFERENCES, "  # Inferences : N"))


def _performance(lines: _Lines) -> Recorded:
    windows: list[TimedWindow] = []
    while lines.text.startswith("Performance") and len(windows) < MAX_WINDOWS:
        name, inferences = _window_start(lines, "Performance results", len(windows) + 1)
        runtime = lines.figure(_RUNTIME, "  Runtime      : T sec.")
        windows.append(
            TimedWindow(name, inferences, runtime, lines.figure(_THROUGHPUT, "  Throughput   : N inf./sec."))
        )
        lines.skip(_MET)
    lines.skip(RULER)
    median = lines.figure(_MEDIAN_THROUGHPUT, "Median throughput is N inf./sec.")
    lines.skip(RULER)
    return Recorded(timed=tuple(windows), throughput=median)


def _energy(lines: _Lines) -> Recorded:
    windows: list[MeteredWindow] = []
    while lines.text.startswith("Energy") and len(windows) < MAX_WINDOWS:
        name, inferences = _window_start(lines, "Energy data", len(windows) + 1)
        windows.append(
            MeteredWindow(
                name,
                inferences,
                duration_s=lines.figure(_DURATION, "  Duration     : T sec."),
                device_s=lines.figure_or("  Device time  :", "not told", _DEVICE_TIME, "  Device time  : T sec."),
                energy_uj=lines.figure(_ENERGY, "  Energy       : E uJ"),
                u_uj=lines.figure_or("  Uncertainty  :", "not known", _UNCERTAINTY, "  Uncertainty  : U uJ"),
                per_inference_uj=lines.figure(_PER_INFERENCE, "  Energy/Inf.  : E uJ/inf."),
            )
        )
    lines.skip(RULER)
    median = lines.figure(_MEDIAN_ENERGY, "Median energy cost is E uJ/inf.")
    u_uj = lines.figure_or(
        "Expanded uncertainty is", "not known.", _MEDIAN_U, "Expanded uncertainty is U uJ/inf., k = 2."
    )
    lines.skip(RULER)
    return Recorded(metered=tuple(windows), energy_uj=median, u_uj=u_uj)


def _accuracy(lines: _Lines) -> Recorded:
    inputs: list[LogInput] = []
    total = ""
    while match := re.match(r"Input ([1-9][0-9]{0,6}) of ([1-9][0-9]{0,6}): ", lines.text):
        if int(match[1]) != len(inputs) + 1 or match[2] != (total := total or match[2]):
            raise lines.broken(f"`Input {len(inputs) + 1} of {total or 'N'}: {{...}}`")
        try:
            inputs.append(msgspec.json.decode(lines.text[match.end() :], type=LogInput))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise lines.broken(f"the JSON object of an input ({error})") from error
        lines.skip(lines.text)
    if not inputs or int(total) != len(inputs):
        raise lines.broken(f"`Input {len(inputs) + 1} of {total or 'N'}: {{...}}`")
    top1 = lines.figure(_TOP1, "Top 1% = P") if lines.text.startswith("Top") else None
    auc = lines.figure(_AUC, "AUC = A") if lines.text.startswith("AUC") else None
    return Recorded(inputs=tuple(inputs), top1=top1, auc=auc)
