# SPDX-License-Identifier: Apache-2.0
"""The virtual analyser as itself, model VA1: current, voltage and the timing pin in one stream, and the board's supply.

    *IDN?                        tinyjoule,VA1,<seed>,1
    SENSe:RATE <Hz>|?            1,000,000 Hz through a whole number
    SENSe:RANGe <A>|AUTO|?       the smallest range that holds it: 1 mA, 10 mA, 100 mA, 1 A
    SENSe:RANGe:SWITches?        how often it changed its range since power-on
    SOURce:VOLTage <V>|?         of the supply
    OUTPut ON|OFF|?              switches it
    TRIGger:SOURce IMM|PIN|?     INITiate begins to record at once, or at the next falling edge of the timing pin
    INITiate, ABORt              begin and end a capture
    FETCh? <n>                   at most n samples, those that are there, as a definite block, all little-endian:
                                 index of the first one u64, how many u32, zero u32, amperes f32 (n,), volts f32 (n,),
                                 level of the timing pin after each u8 (n,)

The index counts from the capture's begin; where it jumps, samples were lost. A number that could not be measured is
9.91e37, an overload +-9.9e37.
"""

from __future__ import annotations

import struct
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from energy.simulator.dialect import (
    SCPI_NAN,
    SCPI_OVERLOAD,
    Desk,
    Hardware,
    Samples,
    block,
    is_header,
    split_command,
)

CLOCK_HZ = 1_000_000
VERSION = 1
FETCH_SAMPLES = 1 << 20
HEAD = struct.Struct("<QII")


class Dialect:
    """See above."""

    SCPI: ClassVar[bool] = True
    HARDWARE: ClassVar[Hardware] = Hardware(
        model="VA1",
        rate_hz=100_000,
        max_rate_hz=CLOCK_HZ,
        ranges_a=(0.001, 0.01, 0.1, 1.0),
        range_a=0.1,
        range_v=6.0,
    )

    def __init__(self, desk: Desk, seed: int) -> None:
        """See energy/simulator/dialect.py."""
        self.idn = f"tinyjoule,VA1,{seed},{VERSION}"
        self._desk = desk
        self._triggered = False

    def reset(self) -> None:
        """Power-on settings; the supply stays on."""
        self._desk.stop()
        self._desk.set_rate(self.HARDWARE.rate_hz)
        self._desk.set_range(self.HARDWARE.range_a)
        self._triggered = False

    def tick(self) -> None:
        """Nothing is sent without being asked for."""

    def failed(self, code: int, text: str) -> None:
        """There is an error queue."""
        self._desk.push_error(code, text)

    def command(self, line: str) -> bytes | None:
        """See above."""
        header, arguments = split_command(line)
        if header.endswith("?"):
            return self._answer(header, arguments)
        self._obey(header, arguments)
        return None

    def _answer(self, header: str, arguments: list[str]) -> bytes | None:
        desk = self._desk
        if is_header(header, "FETCh?"):
            return self._fetch(int(arguments[0]) if arguments else FETCH_SAMPLES)
        answers = {
            "SENSe:RATE?": f"{desk.rate_hz:.9g}",
            "SENSe:RANGe?": "AUTO" if desk.range_a is None else f"{desk.range_a:.9g}",
            "SENSe:RANGe:SWITches?": str(desk.range_switches),
            "SOURce:VOLTage?": f"{desk.voltage():.9g}",
            "OUTPut?": "1" if desk.supply() else "0",
            "TRIGger:SOURce?": "PIN" if self._triggered else "IMM",
        }
        for pattern, answer in answers.items():
            if is_header(header, pattern):
                return answer.encode()
        desk.push_error(-113, f"Undefined header;{header[:60]}")
        return None

    def _obey(self, header: str, arguments: list[str]) -> None:
        desk = self._desk
        word = arguments[0].upper() if arguments else ""
        if is_header(header, "INITiate"):
            desk.arm(triggered=self._triggered)
        elif is_header(header, "ABORt"):
            desk.stop()
        elif is_header(header, "SENSe:RATE"):
            wanted_hz = _positive(word)
            desk.set_rate(CLOCK_HZ / max(1, round(CLOCK_HZ / wanted_hz)) if wanted_hz <= CLOCK_HZ else wanted_hz)
        elif is_header(header, "SENSe:RANGe"):
            desk.set_range(None if word == "AUTO" else _positive(word))
        elif is_header(header, "SOURce:VOLTage"):
            desk.set_voltage(_positive(word))
        elif is_header(header, "OUTPut") and word in ("ON", "OFF", "1", "0"):
            desk.set_supply(word in ("ON", "1"))
        elif is_header(header, "TRIGger:SOURce") and word in ("IMM", "PIN"):
            self._triggered = word == "PIN"
        else:
            desk.push_error(-113, f"Undefined header;{header[:60]}")

    def _fetch(self, count: int) -> bytes:
        samples = self._desk.take(min(max(count, 0), FETCH_SAMPLES))
        return block(HEAD.pack(0, 0, 0) if samples is None else _pack(samples))


def _positive(word: str) -> float:
    number = float(word)
    if not 0 < number < 1e9:
        raise ValueError(word)
    return number


def _pack(samples: Samples) -> bytes:
    count = len(samples.pin)
    return b"".join((
        HEAD.pack(samples.first, count, 0),
        _scpi(samples.current_a).astype("<f4").tobytes(),
        _scpi(samples.voltage_v).astype("<f4").tobytes(),
        samples.pin.astype("u1").tobytes(),
    ))  # fmt: skip


def _scpi(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.nan_to_num(values, copy=True, nan=SCPI_NAN, posinf=SCPI_OVERLOAD, neginf=-SCPI_OVERLOAD)
