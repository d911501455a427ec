# SPDX-License-Identifier: Apache-2.0
"""Reads a log.txt that nobody trusts: its head, what the device said in it, and the lines of its record.

Written from the description in `layout` and not from what writes the file: a mistake there shall not be made here too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import msgspec

from host.submission.check_findings import Findings, shown
from host.submission.check_tree import Tree
from host.submission.layout import LogHead

MAX_LOG_BYTES: Final = 64 << 20
"""More than twice what the longest session leaves: 248 files of 196 windows, each sent alone."""
MAX_LINE_BYTES: Final = 64 << 10
MAX_BAD_LINES: Final = 5
"""After so many nothing more is read."""

_LINE = re.compile(
    rb"((?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])\.(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]) "
    rb"(tinyjoule|ulp-mlperf|host|dut|note)(?:\.([1-9][0-9]{0,3}))?: ([ -~]*)\n"
)
_ESCAPE = re.compile(r"\\(?:([\\tnr])|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|)")
_START = re.compile(r"m-infer-start-([0-9]{1,9})")
_LAP = re.compile(r"m-lap-us-([0-9]{1,12})")
_RESULTS = re.compile(r"m-results-\[([-+.,0-9e]*)\]")
_MODEL = re.compile(r"m-model-\[(.*)\]")
_INFO = re.compile(r"m-info-([a-z0-9-]+?)-\[(.*)\]")
_DAY_S = 86_400
_CLOCK_US = 1 << 32  # the device's clock of microseconds begins again


@dataclass(frozen=True, slots=True)
class Inference:
    """An `infer` that a device did. laps_us: between its two lines of time; None where it printed none. host_s: from
    its first line to its last one by the times of the log, which are whole seconds."""

    device: int
    inferences: int
    laps_us: int | None
    host_s: int


@dataclass(slots=True)
class Log:
    """What a log.txt says. record: its lines from the `ulp-mlperf` ones, whole and what is behind their source, with
    their numbers. results: of every `m-results-[..]` the device and the numbers. info: of every `m-info-` line the
    device, the key and the value, in order. models: of every `m-model-` line the device and the model. numbered:
    whether devices have numbers. complete: whether all was read."""

    head: LogHead | None = None
    record: list[tuple[int, str, str]] = field(default_factory=list)
    inferences: list[Inference] = field(default_factory=list)
    results: list[tuple[int, tuple[float, ...]]] = field(default_factory=list)
    info: list[tuple[int, str, str]] = field(default_factory=list)
    models: list[tuple[int, str]] = field(default_factory=list)
    numbered: bool = False
    sha256: str = ""
    complete: bool = True


@dataclass(slots=True)
class _Doing:
    """An inference whose end was not seen yet."""

    inferences: int
    begun_s: int
    laps: list[int] = field(default_factory=list)


def read(tree: Tree, path: str, found: Findings) -> Log | None:
    """The log, with a breach for every line that is not as it should be; None when it cannot be read."""
    if tree.files[path] > MAX_LOG_BYTES:
        found.add(path, "size", f"it has {tree.files[path]:,} bytes: no session leaves more than {MAX_LOG_BYTES:,}")
        return None
    if not tree.charge(path, found, weight=4):
        return None
    try:
        with tree.open(path) as file:
            return _Reader(path, found).read(file)
    except OSError as error:
        found.add(path, "unreadable", f"it cannot be read ({error.strerror or error})")
        return None


class _Reader:
    def __init__(self, path: str, found: Findings) -> None:
        self._path = path
        self._found = found
        self._log = Log()
        self._bad = 0
        self._stamp = b""
        self._time_s = 0
        self._new_years = 0
        self._doing: dict[int, _Doing] = {}

    def read(self, file: BinaryIO) -> Log:
        digest = hashlib.sha256()
        for number, line in enumerate(_lines(file), start=1):
            digest.update(line)
            self._line(number, line)
            if self._bad >= MAX_BAD_LINES:
                break
        while chunk := file.read(MAX_LINE_BYTES):  # what is left, for the hash alone
            digest.update(chunk)
        self._log.complete = self._bad < MAX_BAD_LINES
        self._log.sha256 = digest.hexdigest()
        if self._log.head is None and self._log.complete:
            self._found.add(self._path, "log-head", "it has no head: no log of `host package`")
            self._log.complete = False
        return self._log

    def _line(self, number: int, line: bytes) -> None:
        match = _LINE.fullmatch(line)
        if number == 1 and (match is None or match[2] != b"tinyjoule"):
            self._found.add(self._path, "log-head", f"it begins with {_start(line)}: no log of `host package`")
            self._bad = MAX_BAD_LINES  # what another tool writes has other lines altogether
            return
        if match is None:
            self._refuse(number, "log-form", f"is not of the form `MMDD.HHMMSS SOURCE: TEXT`: {_start(line)}")
            return
        stamp, source, device = match[1], match[2].decode(), int(match[3] or 0)
        self._check_time(number, stamp)
        text = unescaped(match[4].decode())
        if text is None:
            self._refuse(number, "log-form", f"has a backslash that begins no escape: {_start(line)}")
            return
        if source == "tinyjoule" and number > 1:
            self._refuse(number, "log-form", "the head is the first line of a log and no other one")
        elif source == "tinyjoule":
            self._head(text)
        elif device and source == "ulp-mlperf":
            self._refuse(number, "log-form", "the record is of no device")
        elif source == "ulp-mlperf":
            self._log.record.append((number, line[:-1].decode(), text))
        elif self._log.record:
            self._refuse(number, "log-form", f"a line of `{source}` is within or behind the record")
        else:
            self._session(number, source, device, text)

    def _check_time(self, number: int, stamp: bytes) -> None:
        if stamp < self._stamp:
            self._new_years += 1
            if self._new_years > 1 or not (self._stamp.startswith(b"12") and stamp.startswith(b"01")):
                self._refuse(number, "log-form", f"its time, {stamp.decode()}, is before the last one's")
        if stamp != self._stamp:
            self._stamp = stamp
            self._time_s = (int(stamp[5:7]) * 60 + int(stamp[7:9])) * 60 + int(stamp[9:])

    def _head(self, text: str) -> None:
        try:
            self._log.head = msgspec.json.decode(text, type=LogHead)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            self._refuse(1, "log-head", f"is no head of a log: {error}")

    def _session(self, number: int, source: str, device: int, text: str) -> None:
        if bool(device) != self._log.numbered:
            if self._log.numbered or self._log.inferences or self._log.info:
                self._refuse(number, "log-form", "either all lines of devices have a number, or none")
                return
            self._log.numbered = True
        if source == "host":
            self._doing.pop(device, None)  # whatever it did, it was told something else
        elif source == "dut":
            self._answer(device, text)

    def _answer(self, device: int, text: str) -> None:
        doing = self._doing.get(device)
        if match := _START.fullmatch(text):
            self._doing[device] = _Doing(int(match[1]), self._time_s)
        elif doing is not None and (match := _LAP.fullmatch(text)):
            doing.laps.append(int(match[1]))
        elif doing is not None and text == "m-infer-done":
            del self._doing[device]
            laps_us = (doing.laps[-1] - doing.laps[0]) % _CLOCK_US if len(doing.laps) > 1 else None
            host_s = (self._time_s - doing.begun_s) % _DAY_S
            self._log.inferences.append(Inference(device, doing.inferences, laps_us, host_s))
        elif match := _RESULTS.fullmatch(text):
            outputs = _numbers(match[1])
            if outputs is not None:
                self._log.results.append((device, outputs))
        elif match := _MODEL.fullmatch(text):
            self._log.models.append((device, match[1]))
        elif match := _INFO.fullmatch(text):
            self._log.info.append((device, match[1], match[2]))

    def _refuse(self, number: int, rule: str, what: str) -> None:
        self._bad += 1
        self._found.add(self._path, rule, f"line {number}: {what}")
        if self._bad == MAX_BAD_LINES:
            self._found.add(self._path, "log-form", f"line {number}: the rest was left: too much is wrong before it")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines with their ends; what is longer than MAX_LINE_BYTES comes in pieces, which have no end."""
    while line := file.readline(MAX_LINE_BYTES):
        yield line


def unescaped(text: str) -> str | None:
    """TEXT with its escapes read, or None where a backslash begins none."""
    if "\\" not in text:
        return text
    wrong = False

    def read_one(match: re.Match[str]) -> str:
        nonlocal wrong
        if match[1]:
            return {"t": "\t", "n": "\n", "r": "\r"}.get(match[1], "\\")
        code = int(match[2] or match[3] or match[4] or "110000", 16)
        wrong = wrong or code > 0x10FFFF or " " <= chr(code) <= "~"
        return "" if wrong else chr(code)

    read = _ESCAPE.sub(read_one, text)
    return None if wrong else read


def _start(line: bytes) -> str:
    return shown(repr(line[:60]))


def _numbers(text: str) -> tuple[float, ...] | None:
    """As a device prints them; some leave a comma behind the last."""
    try:
        return tuple(float(part) for part in text.removesuffix(",").split(","))
    except ValueError:
        return None
