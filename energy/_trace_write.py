# SPDX-License-Identifier: Apache-2.0
"""Writing a trace: energy/_trace_format.py says what is in it."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Self

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
    MAX_SPANS,
    PIN,
    VOLTAGE,
    Begin,
    CaptureKind,
    End,
    OperatorSpan,
    TraceInfo,
    block_samples,
    checksum,
    is_unclosed,
    words,
)
from energy.errors import TraceError
from energy.instrument import SampleChunk
from energy.window import Reading

_GAP_SAMPLES = 1 << 20  # a longer gap is written as one of this length; `lost` keeps the truth
_ROWS = 1024  # chunks remembered before they are written down
_ROOM_BYTES = 32 << 20


class TraceWriter:
    """Writes a trace. A context manager; `write` can be a sink of energy.capture.

    Not for two threads at once. Raises TraceError when the disk is full or the samples are not what `info` says.
    """

    def __init__(self, path: Path, info: TraceInfo) -> None:
        """Create `path`, which must not exist yet."""
        if path.exists():
            raise TraceError(f"{path} exists already: move it away, it is not overwritten.")
        self.path, self.info = path, info
        self._block = block_samples(info.rate_hz)
        try:
            self._jls = pyjls.Writer(str(path))
        except RuntimeError as error:
            raise TraceError(f"{path} cannot be written ({error}). Does its folder exist, and is it yours?") from error
        self._open = True
        self._lock = path.open("rb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._define()
        except RuntimeError as error:
            self._lock.close()
            self._jls.close()
            raise TraceError(f"{path} cannot be written ({error}): is its disk full?") from error
        self._begin: Begin | None = None
        self._begun = False  # its annotation, which tells rate and time, waits for the first chunk
        self._captures: dict[int, tuple[Begin, int]] = {}
        self._next = self._first = self._packed = 0
        self._checked = 0
        self._level = True
        self._bits = np.zeros(0, np.bool_)
        self._rows: list[tuple[int, int, int, float, int]] = []

    def _define(self) -> None:
        info = self.info
        self._jls.source_def(1, name="tinyjoule", vendor="", model=info.model, version=FORMAT, serial_number="")
        signals = [(CURRENT, pyjls.DataType.F32, "current", "A")]
        if info.voltage_measured:
            signals.append((VOLTAGE, pyjls.DataType.F32, "voltage", "V"))
        if info.windows == "marker":
            signals.append((PIN, pyjls.DataType.U1, "gpi[0]", ""))
        for number, data_type, name, units in signals:
            self._jls.signal_def(
                number, 1, signal_type=pyjls.SignalType.FSR, data_type=data_type,
                sample_rate=max(round(info.rate_hz), 1), samples_per_data=self._block, name=name, units=units,
            )  # fmt: skip
        self._jls.user_data(INFO, msgspec.json.encode(info))

    def begin_capture(
        self, kind: CaptureKind, *, window: int | None = None, input_name: str = "", inferences: int = 1
    ) -> int:
        """The samples that follow are of a new capture; returns its number."""
        self._abandon()
        number = len(self._captures)
        self._begin = Begin(
            number=number, kind=kind, window=window, input=words(input_name), inferences=inferences, rate_hz=0, t0_s=0
        )
        self._begun, self._first = False, self._next
        self._captures[number] = self._begin, self._next
        return number

    def write(self, chunk: SampleChunk) -> None:
        """The next samples of the capture; those that were lost before them become NaN."""
        begin = self._check(chunk)
        gap = min(chunk.lost, _GAP_SAMPLES)
        if not self._begun:
            self._annotate_begin(begin, chunk, gap)
        if gap:
            self._fill(gap)
        if chunk.marker is not None:
            self._write_pin(chunk.marker)
        self._write_samples(chunk.current_a, chunk.voltage_v)
        crc = checksum(chunk.current_a, chunk.voltage_v, chunk.marker)
        self._rows.append((gap, len(chunk.current_a), chunk.lost, chunk.t0_s, crc))
        if len(self._rows) >= _ROWS:
            self._write_rows()
        if self._next - self._checked > _GAP_SAMPLES:
            self._check_room()

    def end_capture(self, reading: Reading | None, *, device_s: float | None = None) -> None:
        """The capture is whole. `reading`: what was found in it, None for idle and for the short reference of triggered
        windows; device_s: the board's own time of the reference."""
        begin = self._begin
        if begin is None or not self._begun:
            self._begin = None
            return
        end = End(number=begin.number, samples=self._next - self._first, device_s=device_s)
        if reading is not None:
            found = {"start_s": reading.start_s, "end_s": reading.end_s, "energy_j": reading.energy_j}
            end = msgspec.structs.replace(
                end,
                device_s=reading.device_s,
                range_switches=reading.range_switches,
                reasons=tuple(map(words, reading.reasons)),
                **(found if reading.complete else {}),
            )
            if reading.complete:
                for time_s, letter in ((reading.start_s, "a"), (reading.end_s, "b")):
                    self._annotate(begin.number, time_s, pyjls.AnnotationType.VMARKER, f"{begin.number}{letter}")
        self._write_rows()
        self._jls.user_data(END, msgspec.json.encode(end))
        self._abandon()

    def operators(self, spans: Sequence[OperatorSpan]) -> None:
        """Where operators ran, in captures of this file that have begun. Any time before `close`; at most MAX_SPANS."""
        if len(spans) > MAX_SPANS:
            raise TraceError(f"{len(spans)} operators are too many for a trace: give those of the first inferences.")
        for span in spans:
            self._annotate(span.capture, span.start_s, pyjls.AnnotationType.TEXT, msgspec.json.encode(span).decode())

    def close(self) -> None:
        """End the file; a capture that was not ended counts as cut off. May be called twice.

        Raises TraceError when it is not whole on disk.
        """
        if not self._open:
            return
        try:
            self._abandon()
        finally:
            self._open = False
            self._jls.close()
            self._lock.close()
        if is_unclosed(self.path):
            raise TraceError(f"{self.path} is not whole: is the disk full?")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()

    def _abandon(self) -> None:
        """No more samples for this capture; without its `End` it counts as cut off."""
        if self._begin is not None:
            self._write_rows()
            self._begin = None
        self._fill(-self._next % self._block)
        self._check_room()

    def _check(self, chunk: SampleChunk) -> Begin:
        begin = self._begin
        if not self._open or begin is None:
            raise TraceError("samples came outside of a capture: this is a bug in tinyjoule.")
        if (chunk.voltage_v is not None, chunk.marker is not None) != (
            self.info.voltage_measured, self.info.windows == "marker",
        ):  # fmt: skip
            raise TraceError(f"{self.info.monitor} sends other signals than it said: this is a bug in its adapter.")
        if self._begun and chunk.rate_hz != begin.rate_hz:
            raise TraceError(f"{self.info.monitor} changed its rate in the middle of a capture: measure again.")
        return begin

    def _annotate_begin(self, begin: Begin, chunk: SampleChunk, gap: int) -> None:
        begin = msgspec.structs.replace(begin, rate_hz=chunk.rate_hz, t0_s=chunk.t0_s - gap / chunk.rate_hz)
        self._begin, self._begun = begin, True
        self._captures[begin.number] = begin, self._first
        self._annotate(begin.number, begin.t0_s, pyjls.AnnotationType.TEXT, msgspec.json.encode(begin).decode())

    def _annotate(self, capture: int, time_s: float, kind: pyjls.AnnotationType, text: str) -> None:
        begin, first = self._captures[capture]
        sample = first + max(round((time_s - begin.t0_s) * begin.rate_hz), 0)
        self._jls.annotation(CURRENT, sample, float("nan"), kind, 0, text)

    def _write_samples(self, current: NDArray[np.float32], voltage: NDArray[np.float32] | None) -> None:
        self._jls.fsr(CURRENT, self._next, np.ascontiguousarray(current, np.float32))
        if voltage is not None:
            self._jls.fsr(VOLTAGE, self._next, np.ascontiguousarray(voltage, np.float32))
        self._next += len(current)

    def _write_pin(self, levels: NDArray[np.bool_]) -> None:
        """JLS packs eight samples into a byte and takes whole bytes: up to seven wait for the next ones."""
        self._level = bool(levels[-1])
        bits = np.concatenate((self._bits, levels))
        whole = len(bits) & ~7
        self._bits = bits[whole:]
        if whole:
            self._jls.fsr(PIN, self._packed, np.packbits(bits[:whole], bitorder="little"))
            self._packed += whole

    def _fill(self, samples: int) -> None:
        """NaN: nothing was measured here."""
        if not samples:
            return
        nothing = np.full(samples, np.nan, np.float32)
        if self.info.windows == "marker":
            self._write_pin(np.full(samples, self._level))
        self._write_samples(nothing, nothing if self.info.voltage_measured else None)

    def _write_rows(self) -> None:
        if self._rows and self._begin is not None:
            rows = np.array(self._rows, CHUNK_ROW).tobytes()
            self._jls.user_data(CHUNKS, struct.pack("<I", self._begin.number) + rows)
        self._rows = []

    def _check_room(self) -> None:
        """pyjls writes in a thread of its own and keeps it to itself when that fails."""
        self._checked = self._next
        self._jls.flush()
        state = os.statvfs(self.path)
        written = self.path.stat().st_size
        if state.f_bavail * state.f_frsize < _ROOM_BYTES or written < 4 * (self._next - self._block):
            raise TraceError(f"the disk of {self.path} is full: make room, then go on with `host bench --resume`.")
