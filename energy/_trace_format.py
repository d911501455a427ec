# SPDX-License-Identifier: Apache-2.0
"""Traces on disk: what an instrument sent, sample by sample, in a JLS file, so that it can be integrated again.

A file holds the captures of one task after each other, on one axis of samples:

    signal 1  current   float32, A   NaN where there is no sample: a gap, or the rest of a block after a capture
    signal 2  voltage   float32, V   only where the instrument measures it
    signal 3  gpi[0]    u1           the timing pin, only where the instrument streams it; at a gap its last level
    annotations of signal 1, JSON texts: `Begin` at a capture's first sample, `OperatorSpan` where an operator runs;
        and the markers "1a" and "1b" at the edges of window 1
    user data, by its tag: INFO (`TraceInfo`), END (`End`, one per finished capture), CHUNKS (rows of CHUNK_ROW: how
        the samples came in, so that adding them up again gives the same last digit)

The names of the signals are those of Joulescope's files, which `TraceReader` reads too, as one capture without `info`.
A finished capture is filled up to whole blocks, so that it is on disk even when the process is killed afterwards.
Such a file was never closed: `recover` closes it.
"""

from __future__ import annotations

import logging
import struct
import zlib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from energy.errors import TraceError
from energy.instrument import Instrument, Settings, WindowKind

logging.getLogger("pyjls").addHandler(logging.NullHandler())  # else what it says of files goes to stderr

FORMAT: Final = "tinyjoule.trace/1"
CURRENT, VOLTAGE, PIN = 1, 2, 3
INFO, END, CHUNKS = 1, 2, 3
CHUNK_ROW = np.dtype([("gap", "<u4"), ("samples", "<u4"), ("lost", "<u8"), ("t0_s", "<f8"), ("crc", "<u4")])
"""One chunk: NaN samples written before it, its own samples, what was really lost before it, its time, `checksum`."""
MAX_SPANS = 4096
_MAGIC = bytes.fromhex("6a6c73666d740d0a200a201a2020b21c")

CaptureKind = Literal["idle", "window", "reference"]
Rate = Annotated[float, msgspec.Meta(gt=0, le=1e12)]
Time = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
Words = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*$", max_length=1000)]
"""What reaches a terminal unchanged: nothing that moves its cursor."""
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


class TraceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a trace was made with. rate_hz, range_a (None: auto-range), voltage_v: as read back from the instrument."""

    task: Words
    provenance: Literal["measured", "emulated"]
    monitor: Words
    idn: Words
    model: Words
    rate_hz: Rate
    range_a: Rate | None
    voltage_v: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    voltage_measured: bool
    windows: WindowKind
    format: Literal["tinyjoule.trace/1"] = FORMAT

    @classmethod
    def of(
        cls, instrument: Instrument, settings: Settings, *, task: str, provenance: Literal["measured", "emulated"]
    ) -> TraceInfo:
        """Of an instrument that was configured; `settings` is what `configure` answered."""
        return cls(
            task=task, provenance=provenance, monitor=instrument.name, idn=words(instrument.idn),
            model=instrument.model,
            rate_hz=settings.rate_hz, range_a=settings.range_a, voltage_v=settings.voltage_v,
            voltage_measured=instrument.measures_voltage, windows=instrument.windows,
        )  # fmt: skip


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag="begin"):
    """Where a capture begins. number: from 0, in the file. window: its number in the run; None for idle. inferences:
    in the window. t0_s: time of its first sample by the instrument's clock."""

    number: Count
    kind: CaptureKind
    window: Count | None
    input: Words
    inferences: Count
    rate_hz: Rate
    t0_s: Time


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a finished capture. samples: on the file's axis, without the filling. device_s: the board's
    own time of the window. The rest is of the live `Reading`; None where it means nothing, and for idle."""

    number: Count
    samples: Count
    device_s: Rate | None = None
    start_s: Time | None = None
    end_s: Time | None = None
    energy_j: float | None = None
    range_switches: Count = 0
    reasons: tuple[Words, ...] = ()


class OperatorSpan(msgspec.Struct, frozen=True, kw_only=True, tag="operator"):
    """When an operator ran, in seconds of its capture. capture: the capture's number."""

    capture: Count
    index: Count
    name: Words
    start_s: Time
    end_s: Time


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """A capture of a file. first, samples: its place on the file's axis. end: None when the recording was cut off."""

    begin: Begin
    end: End | None
    first: int
    samples: int

    @property
    def duration_s(self) -> float:
        """Of its samples."""
        return self.samples / self.begin.rate_hz


def free_trace_path(folder: Path, task: str) -> Path:
    """Where the next trace of a task goes: trace-TASK.jls, or trace-TASK-2.jls when that exists, and so on."""
    path, number = folder / f"trace-{task}.jls", 1
    while path.exists():
        number += 1
        path = folder / f"trace-{task}-{number}.jls"
    return path


def words(text: str) -> str:
    """A text from outside as `Words`."""
    return "".join(char if char.isprintable() else "?" for char in text[:1000])


def block_samples(rate_hz: float) -> int:
    """Samples that are written down at once: about a tenth of a second, within what JLS packs well."""
    return 1024 << min(max(round(rate_hz / 10240).bit_length() - 1, 0), 6)


def is_unclosed(path: Path) -> bool:
    """Whether a trace was left behind by a process that died. Raises TraceError where it is no JLS file."""
    try:
        with path.open("rb") as file:
            head = file.read(24)
            size = path.stat().st_size
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(head) < 24 or not head.startswith(_MAGIC):
        raise TraceError(f"{path} is no JLS file: traces are called trace-TASK.jls, in the folder of a result.")
    length: int = struct.unpack_from("<Q", head, 16)[0]
    return length != size


def checksum(
    current: NDArray[np.float32], voltage: NDArray[np.float32] | None, marker: NDArray[np.bool_] | None
) -> int:
    """Of a chunk's samples. JLS has its own, but what recovers a file puts made-up samples where one is wrong."""
    crc = 0
    for values in (current, voltage, marker):
        if values is not None:
            crc = zlib.crc32(np.ascontiguousarray(values).data, crc)
    return crc
