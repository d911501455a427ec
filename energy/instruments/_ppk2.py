# SPDX-License-Identifier: Apache-2.0
"""What a PPK2 sends: its calibration as text, and 32-bit little-endian words, 100,000 a second.

Bits 0 to 13: ADC. 14 to 16: range. 18 to 23: a counter, one more in each word. 24 to 31: the logic inputs.
A word's current depends on 17 of its bits only, so all of them are worked out once, and decoding is one look-up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy.errors import GarbledSamples
from energy.instrument import SampleChunk

RATE_HZ = 100_000.0
RANGES = 5
VOLTS_PER_STEP = 1.8 / 163840  # the ADC counts in steps of four
CODES = 1 << 14
DEFAULTS = {
    "R": (1031.64, 101.65, 10.15, 0.94, 0.043),
    "GS": (1.0,) * RANGES,
    "GI": (1.0,) * RANGES,
    "O": (0.0,) * RANGES,
    "S": (0.0,) * RANGES,
    "I": (0.0,) * RANGES,
    "UG": (1.0,) * RANGES,
}
"""Of a device that was never calibrated: shunts in ohms, gains, and offsets, by range."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a device's own text says: coefficients by name and range, and the rest of its lines."""

    by_range: dict[str, tuple[float, ...]]
    fields: dict[str, str]

    @property
    def voltage_v(self) -> float | None:
        """What it says it supplies; None where it does not say."""
        try:
            return float(self.fields["VDD"]) / 1000
        except (KeyError, ValueError):
            return None

    def table(self, voltage_v: float) -> NDArray[np.float32]:
        """Amperes of every combination of range and ADC code, float32 (131072,): index is the word's low 17 bits.

        +inf at the converter's end; NaN in the three ranges that there are not.
        """
        codes = 4.0 * np.arange(CODES, dtype=np.float64)
        rows = np.full((8, CODES), np.nan)
        for index in range(RANGES):
            of = {name: values[index] for name, values in self.by_range.items()}
            bare = (codes - of["O"]) * (VOLTS_PER_STEP / of["R"])
            rows[index] = of["UG"] * (bare * (of["GS"] * bare + of["GI"]) + of["S"] * voltage_v + of["I"])
            rows[index, -1] = np.inf
        return rows.reshape(-1).astype(np.float32)


def parse_calibration(text: str) -> Calibration:
    """Read the text up to END. Raises GarbledSamples when it is none."""
    lines = [line.partition(":") for line in text.split("END", maxsplit=1)[0].splitlines() if ":" in line]
    fields = {name.strip(): value.strip() for name, _, value in lines}
    by_range = {}
    for name, defaults in DEFAULTS.items():
        by_range[name] = tuple(_number(fields, f"{name}{index}", defaults[index]) for index in range(RANGES))
    if not fields:
        raise GarbledSamples("the PPK2's calibration holds nothing: replug it.")
    return Calibration(by_range, fields)


def _number(fields: dict[str, str], name: str, default: float) -> float:
    """A coefficient. Devices are known that say `-nan`, or 0 for a shunt: both mean that there is none."""
    try:
        value = float(fields.get(name, "nan"))
    except ValueError:
        raise GarbledSamples(f"the PPK2's calibration says {name}: {fields[name]!r}: replug it.") from None
    bad = not math.isfinite(value) or (value == 0 and name.startswith("R"))
    return default if bad else value


class Decoder:
    """Words to chunks, with an account of what is missing."""

    def __init__(self, table: NDArray[np.float32]) -> None:
        """table: of Calibration.table."""
        self.range_switches = 0
        self._table = table
        self._rest = b""
        self._taken = 0
        self._lost = 0
        self._counter = -1
        self._range = -1

    def feed(self, data: bytes) -> list[SampleChunk]:
        """Take bytes as they come; a chunk ends where samples are missing. Raises GarbledSamples.

        Only a loss of a multiple of 64 words does not show here: it shows in the window's clock.
        """
        buffer = self._rest + data
        words = np.frombuffer(buffer, "<u4", count=len(buffer) // 4)
        self._rest = buffer[4 * len(words) :]
        if not len(words):
            return []
        current = self._table[words & 0x1FFFF]
        marker = (words & (1 << 24)) != 0
        self._count_ranges(words)
        chunks = []
        begin = 0
        for end, lost in self._gaps(words):
            if end > begin:
                chunks.append(self._chunk(current[begin:end], marker[begin:end]))
            begin = end
            self._lost += lost
            self._taken += lost
        chunks.append(self._chunk(current[begin:], marker[begin:]))
        return chunks

    def _chunk(self, current: NDArray[np.float32], marker: NDArray[np.bool_]) -> SampleChunk:
        chunk = SampleChunk(current, None, marker, self._taken / RATE_HZ, RATE_HZ, self._lost)
        self._taken += len(current)
        self._lost = 0
        return chunk

    def _gaps(self, words: NDArray[np.uint32]) -> list[tuple[int, int]]:
        """Before which words some are missing, and how many."""
        counters = (words >> 18).astype(np.uint8) & 63
        before = np.empty_like(counters)
        before[0] = self._counter if self._counter >= 0 else (int(counters[0]) - 1) & 63
        before[1:] = counters[:-1]
        self._counter = int(counters[-1])
        missing = (counters - before - 1) & 63
        at = np.flatnonzero(missing)
        if len(at) > 4 + len(words) // 64:
            raise GarbledSamples("the PPK2's words do not count up: bytes were lost on the way. Replug it.")
        return [(int(index), int(missing[index])) for index in at]

    def _count_ranges(self, words: NDArray[np.uint32]) -> None:
        ranges = (words >> 14).astype(np.uint8) & 7
        self.range_switches += int(np.count_nonzero(ranges[1:] != ranges[:-1]))
        self.range_switches += int(self._range >= 0 and self._range != ranges[0])
        self._range = int(ranges[-1])
