# SPDX-License-Identifier: Apache-2.0
"""Reading a trace, and closing one that a dead process left behind: energy/_trace_format.py says what is in it."""

from __future__ import annotations

import fcntl
import math
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

import msgspec
import numpy as np
import pyjls
from numpy.typing import NDArray

from energy._trace_format import (
    CHUNK_ROW,
    CHUNKS,
    CURRENT,
    END,
    FORMAT,
    INFO,
    PIN,
    VOLTAGE,
    Begin,
    Capture,
    End,
    OperatorSpan,
    TraceInfo,
    checksum,
    is_unclosed,
)
from energy.errors import TraceError
from energy.instrument import SampleChunk

T = TypeVar("T")
_BLOCK = 1 << 17  # samples of a chunk where nobody knows how they came in
_CHUNK_HEAD = struct.Struct("<QQBBHIII")
_COPY_BYTES_PER_S = 2_000_000
_COPY = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[3]),) * 2)  # on some damaged files pyjls runs in circles
import pyjls
pyjls.copy(sys.argv[1], sys.argv[2])
"""
_NAMES = {"current": CURRENT, "voltage": VOLTAGE, "gpi[0]": PIN}


def recover(path: Path) -> bool:
    """Close a trace that was left unclosed, in place: True when that was needed. What was written is kept, but for the
    last tenth of a second or so. Raises TraceError where nothing can be saved, or where it is being recorded."""
    with _locked(path):
        if not is_unclosed(path):
            return False
        part = path.with_name(path.name + ".recovering")
        try:
            _cut_torn_end(path)
            limit_s = 20 + path.stat().st_size // _COPY_BYTES_PER_S
            copied = subprocess.run(
                [sys.executable, "-c", _COPY, str(path), str(part), str(limit_s)], check=False, capture_output=True
            )
            if copied.returncode:
                said = copied.stderr.decode(errors="replace").strip().rpartition("\n")[2]
                raise TraceError(
                    f"{path} was cut off and cannot be recovered ({said or 'pyjls failed'}): measure again."
                )
            os.replace(part, path)
        except OSError as error:
            raise TraceError(f"{path} was cut off and cannot be recovered: {error.strerror or error}.") from error
        finally:
            part.unlink(missing_ok=True)
    return True


def _cut_torn_end(path: Path) -> None:
    """Cut off what is behind the last whole chunk of an unclosed file: of a part of one, pyjls never finds the end."""
    with path.open("r+b") as file:
        size, end = path.stat().st_size, 32  # the file's own header
        while end + _CHUNK_HEAD.size <= size:
            file.seek(end)
            *_, payload, _before, _crc = _CHUNK_HEAD.unpack(file.read(_CHUNK_HEAD.size))
            after = end + _CHUNK_HEAD.size + (payload + 4 + 7 & ~7 if payload else 0)  # a checksum, then whole words
            if after > size:
                break
            end = after
        file.truncate(end)


def recover_folder(folder: Path) -> list[str]:
    """`recover` every trace of a result folder: what there is to tell about them, for a person. One that cannot be
    recovered is in nobody's way: the session goes on with a new one."""
    said = []
    for path in sorted(folder.glob("trace-*.jls")):
        try:
            if recover(path):
                said.append(f"{path}: it was cut off; what had reached the disk is readable again.")
        except TraceError as error:
            said.append(str(error))
    return said


@contextmanager
def _locked(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[BinaryIO]:
    """Whoever writes a trace holds its lock until it ends or dies: pyjls "repairs" even what is being written."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}.") from error
    with file:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except OSError as error:
            raise TraceError(f"{path} is being recorded: wait until that session has ended.") from error
        yield file


class TraceReader:
    """A trace, opened. A context manager. All methods raise TraceError where the file is damaged.

    info: None for a file that is not ours: then there is one capture, of the whole file, marked as a window.
    rate_hz: of the file's axis. samples: on it. An unclosed file is refused: `recover` it first.
    """

    info: TraceInfo | None
    captures: tuple[Capture, ...]
    rate_hz: float
    samples: int

    def __init__(self, path: Path) -> None:
        """Open and read everything but the samples."""
        self.path = path
        self._locked = _locked(path, fcntl.LOCK_SH)
        self._locked.__enter__()
        self._jls: pyjls.Reader | None = None
        try:
            if is_unclosed(path):
                raise TraceError(f"{path} was cut off: `host trace {path}` recovers it.")
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        try:
            self._jls = pyjls.Reader(str(self.path))
            self._find_signals()
            tagged: list[tuple[int, str | bytes]] = []
            self._jls.user_data(lambda tag, data: tagged.append((tag, data)))
            self._texts: list[tuple[int, str]] = []
            self._jls.annotations(self._signals[CURRENT][0], 0, self._take_annotation)
        except (RuntimeError, ValueError) as error:
            raise self._damaged(str(error)) from error
        info = [data for tag, data in tagged if tag == INFO and FORMAT.encode() in _bytes(data)]
        self.info = self._decode(info[0], TraceInfo) if info else None
        if self.info is None:
            begin = Begin(number=0, kind="window", window=0, input="", inferences=1, rate_hz=self.rate_hz, t0_s=0.0)
            self.captures = (
                Capture(begin=begin, end=End(number=0, samples=self.samples), first=0, samples=self.samples),
            )
            self._rows: dict[int, NDArray[np.void]] = {}
            self.spans: tuple[OperatorSpan, ...] = ()
        else:
            if (self.has_voltage, self.has_pin) != (self.info.voltage_measured, self.info.windows == "marker"):
                raise self._damaged("a signal is missing")
            self.rate_hz = self.info.rate_hz
            self._read_records(tagged)

    def _take_annotation(self, sample: int, _y: float, _kind: int, _group: int, data: str | bytes) -> bool:
        if isinstance(data, str) and data.startswith("{"):
            self._texts.append((sample, data))
        return False

    def _find_signals(self) -> None:
        """Where current, voltage and pin are: (signal's number, its sample that is the first of the axis)."""
        found = {}
        for signal in sorted(self._reader.signals.values(), key=lambda signal: signal.signal_id, reverse=True):
            if signal.signal_type == pyjls.SignalType.FSR and signal.name in _NAMES and signal.length > 0:
                found[_NAMES[signal.name]] = signal
        if CURRENT not in found:
            raise TraceError(f"{self.path} holds no samples of a signal `current`: there is nothing to integrate.")
        rates = {signal.name: signal.sample_rate for signal in found.values()}
        if len(set(rates.values())) != 1 or min(rates.values()) <= 0:
            raise TraceError(f"{self.path} has signals with different rates ({rates}): record all of them at one rate.")
        types = {CURRENT: pyjls.DataType.F32, VOLTAGE: pyjls.DataType.F32, PIN: pyjls.DataType.U1}
        for number, signal in found.items():
            if signal.data_type & 0xFFFF != types[number] & 0xFFFF:
                raise TraceError(f"signal {signal.name} of {self.path} is of a type that is not read here.")
        begin = max(signal.sample_id_offset for signal in found.values())
        self._signals = {
            number: (signal.signal_id, begin - signal.sample_id_offset) for number, signal in found.items()
        }
        self.samples = min(signal.length - begin + signal.sample_id_offset for signal in found.values())
        self.rate_hz = float(rates["current"])
        if self.samples <= 0:
            raise TraceError(f"the signals of {self.path} do not overlap: there is nothing to integrate.")

    def _read_records(self, tagged: Sequence[tuple[int, str | bytes]]) -> None:
        ends = {end.number: end for tag, data in tagged if tag == END for end in [self._decode(data, End)]}
        records = [(sample, self._decode_text(text)) for sample, text in self._texts]
        begins = sorted(
            ((sample, record) for sample, record in records if isinstance(record, Begin)), key=lambda pair: pair[0]
        )
        self.spans = tuple(record for _, record in records if isinstance(record, OperatorSpan))
        bounds = [sample for sample, _ in begins] + [self.samples]
        captures = []
        for (first, begin), limit in zip(begins, bounds[1:], strict=True):
            end = ends.get(begin.number)
            if end is not None and end.samples > limit - first:
                end = None
            samples = end.samples if end is not None else limit - first
            if samples > 0:
                captures.append(Capture(begin=begin, end=end, first=first, samples=samples))
        if len({capture.begin.number for capture in captures}) != len(captures):
            raise self._damaged("a capture is there twice")
        self.captures = tuple(captures)
        parts: dict[int, list[NDArray[np.void]]] = {}
        for data in (_bytes(data) for tag, data in tagged if tag == CHUNKS):
            if len(data) < 4 or (len(data) - 4) % CHUNK_ROW.itemsize:
                raise self._damaged("a table of chunks is cut short")
            parts.setdefault(int.from_bytes(data[:4], "little"), []).append(np.frombuffer(data, CHUNK_ROW, offset=4))
        self._rows = {number: np.concatenate(part) for number, part in parts.items()}

    def operators(self, capture: Capture) -> tuple[OperatorSpan, ...]:
        """Where operators ran in a capture, in the order of time."""
        spans = (span for span in self.spans if span.capture == capture.begin.number)
        return tuple(sorted(spans, key=lambda span: span.start_s))

    def lost(self, capture: Capture) -> int:
        """How many samples of a capture the instrument lost, by its own word."""
        rows = self._rows.get(capture.begin.number)
        return 0 if rows is None else sum(rows["lost"].tolist())

    def chunks(self, capture: Capture, size: int | None = None) -> Iterator[SampleChunk]:
        """The samples as they came in: the same chunks with the same times, and how many were lost before each.

        size: longer ones are cut into pieces of so many samples; sums may then differ in their last digit.
        """
        for chunk in self._recorded(capture):
            yield from (chunk,) if size is None else _cut(chunk, size)

    def _recorded(self, capture: Capture) -> Iterator[SampleChunk]:
        rate_hz, done, time_s = capture.begin.rate_hz, 0, capture.begin.t0_s
        for row in self._rows.get(capture.begin.number, ()):
            gap, samples, lost, begin_s, crc = row.item()
            if gap + samples > capture.samples - done or not samples or not math.isfinite(begin_s):
                break  # what follows did not reach the disk
            current, voltage, marker = self.read(capture.first + done + gap, samples)
            if checksum(current, voltage, marker) != crc:
                raise self._damaged(f"the samples at {begin_s:.6f} s of capture {capture.begin.number}")
            yield SampleChunk(current, voltage, marker, begin_s, rate_hz, lost)
            done, time_s = done + gap + samples, begin_s + samples / rate_hz
        while done < capture.samples:
            part = min(capture.samples - done, _BLOCK)
            yield SampleChunk(*self.read(capture.first + done, part), time_s, rate_hz)
            done, time_s = done + part, time_s + part / rate_hz

    def read(
        self, first: int, samples: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.bool_] | None]:
        """Current, voltage and pin of `samples` >= 1 samples from `first` of the file's axis, which must be there."""
        values = {
            number: self._fsr(signal, first + shift, samples)
            for number, (signal, shift) in self._signals.items()
            if number != PIN
        }
        levels = None
        if PIN in self._signals:
            signal, shift = self._signals[PIN]
            cut = (first + shift) % 8  # pyjls 0.17.0 mixes up the last bits when it begins inside of a byte
            packed = self._fsr(signal, first + shift - cut, samples + cut)
            levels = np.unpackbits(packed, count=samples + cut, bitorder="little")[cut:].view(np.bool_)
        return values[CURRENT], values.get(VOLTAGE), levels

    def _fsr(self, signal: int, first: int, samples: int) -> NDArray[Any]:
        try:
            values: NDArray[Any] = self._reader.fsr(signal, first, samples)
        except (RuntimeError, ValueError, IndexError) as error:
            raise self._damaged(str(error)) from error
        return values

    @property
    def has_voltage(self) -> bool:
        """Whether the voltage was measured."""
        return VOLTAGE in self._signals

    @property
    def has_pin(self) -> bool:
        """Whether the timing pin was streamed."""
        return PIN in self._signals

    @property
    def _reader(self) -> pyjls.Reader:
        if self._jls is None:
            raise TraceError(f"{self.path} was closed: this is a bug in tinyjoule.")
        return self._jls

    def _decode(self, data: str | bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(_bytes(data), type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._damaged(str(error)) from error

    def _decode_text(self, text: str) -> Begin | OperatorSpan:
        try:
            record: Begin | OperatorSpan = msgspec.json.decode(text, type=Begin | OperatorSpan)
        except msgspec.DecodeError as error:
            raise self._damaged(str(error)) from error
        return record

    def _damaged(self, what: str) -> TraceError:
        return TraceError(f"{self.path} is damaged ({what}): measure again.")

    def close(self) -> None:
        """May be called twice; closing pyjls' reader twice would end the process."""
        reader, self._jls = self._jls, None
        if reader is not None:
            reader.close()
        self._locked.__exit__(None, None, None)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _cut(chunk: SampleChunk, size: int) -> Iterator[SampleChunk]:
    for first in range(0, len(chunk.current_a), size):
        part = slice(first, first + size)
        yield SampleChunk(
            chunk.current_a[part],
            None if chunk.voltage_v is None else chunk.voltage_v[part],
            None if chunk.marker is None else chunk.marker[part],
            chunk.t0_s + first / chunk.rate_hz,
            chunk.rate_hz,
            0 if first else chunk.lost,
        )
