# SPDX-License-Identifier: Apache-2.0
"""Keithley DMM7510 as a digitiser of current: reading buffers, a small part of the trigger model, the external trigger.

By the DMM7510 reference manual (DMM7510-901-01). The timing pin is wired to EXT TRIG IN. Binary readings come as `#0`,
the numbers, and a line end, without a length. The trigger model may be: clear the buffer, wait for the external
trigger, digitise. A digitiser loses nothing; where a fault drops samples, it tells so as event 4915.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from energy.instrument import VIRTUAL
from energy.simulator.dialect import Desk, Hardware
from energy.simulator.dialects._scpi import (
    Handler,
    Refused,
    Table,
    number,
    only,
    scientific,
    spelled,
    string,
    whole,
    word,
)

READINGS = 27_500_000  # of the compact style, in the whole memory
BLOCKS = 63


class Dialect:
    """One meter; its voltage terminals are not connected."""

    HARDWARE: ClassVar[Hardware] = Hardware(
        model="DMM7510",
        rate_hz=100e3,
        max_rate_hz=1e6,
        ranges_a=(100e-6, 1e-3, 0.01, 0.1, 1.0, 3.0),
        range_a=3.0,
        noise_i=3e-5,
        measures_voltage=False,
    )
    SCPI: ClassVar[bool] = True

    def __init__(self, desk: Desk, seed: int) -> None:
        """seed: goes into the serial number."""
        self.idn = f"KEITHLEY INSTRUMENTS,MODEL DMM7510,{VIRTUAL}-{seed},1.7.7b"
        self._desk = desk
        self._table = Table(desk, self._measure_rows() | self._trigger_rows())
        self.reset()

    def _measure_rows(self) -> dict[str, Handler]:
        current = "[SENSe]:DIGitize:CURRent"
        return {
            "[SENSe]:DIGitize:FUNCtion[:ON]": self._set_function,
            "[SENSe]:DIGitize:FUNCtion[:ON]?": lambda args: f'"{self._function}"',
            f"{current}:RANGe[:UPPer]": self._set_range,
            f"{current}:RANGe[:UPPer]?": lambda args: scientific(self._range_a),
            f"{current}:SRATe": self._set_rate,
            f"{current}:SRATe?": lambda args: f"{self._rate_hz:.9g}",
            f"{current}:APERture": self._set_aperture,
            "FORMat[:DATA]": partial(self._set_word, "format", ("ASCii", "REAL", "SREal")),
            "FORMat[:DATA]?": lambda args: self._words["format"],
            "FORMat:BORDer": partial(self._set_word, "order", ("NORMal", "SWAPped")),
            "FORMat:BORDer?": lambda args: self._words["order"],
            "TRACe:MAKE": self._make,
            "TRACe:DELete": self._delete,
            "TRACe:POINts?": lambda args: str(self._buffer(args)),
            "TRACe:ACTual?": lambda args: str(self._filled if self._buffer(args) and self._used(args) else 0),
            "TRACe:DATA?": self._data,
        }

    def _trigger_rows(self) -> dict[str, Handler]:
        return {
            "TRIGger:LOAD": self._load,
            "TRIGger:BLOCk:BUFFer:CLEar": self._block_clear,
            "TRIGger:BLOCk:WAIT": self._block_wait,
            "TRIGger:BLOCk:MDIGitize": self._block_digitize,
            "TRIGger:EXTernal:IN:EDGE": partial(self._set_word, "edge", ("FALLing", "RISing", "EITHer")),
            "TRIGger:EXTernal:IN:EDGE?": lambda args: self._words["edge"],
            "TRIGger:STATe?": self._state,
            "INITiate[:IMMediate]": self._initiate,
            "ABORt": self._abort,
        }

    def command(self, line: str) -> bytes | None:
        """One SCPI command."""
        return self._table.answer(line)

    def reset(self) -> None:
        """*RST: the user's buffers are gone, the trigger model is empty."""
        self._function = "VOLT"
        self._range_a = 3.0
        self._rate_hz = 100e3
        self._words = {"format": "ASC", "order": "SWAP", "edge": "FALL"}
        self._buffers: dict[str, int] = {}
        self._blocks: dict[int, tuple[str, str, int]] = {}
        self._into = ""
        self._readings: NDArray[np.float32] = np.empty(0, np.float32)
        self._filled = 0
        self._waits_for_ever = False
        self._desk.set_range(3.0)
        self._desk.stop()

    def tick(self) -> None:
        """Move what was converted into the buffer."""
        while self._filled < len(self._readings):
            samples = self._desk.take(len(self._readings) - self._filled)
            if samples is None:
                return
            if samples.lost:
                self._desk.push_error(4915, "Attempting to store past the capacity of reading buffer")
            count = len(samples.current_a)
            self._readings[self._filled : self._filled + count] = spelled(samples.current_a)
            self._filled += count

    def failed(self, code: int, text: str) -> None:
        """There is an error queue."""

    def _set_word(self, key: str, choices: tuple[str, ...], args: list[str]) -> None:
        self._words[key] = word(only(args, 1)[0], *choices)

    def _set_function(self, args: list[str]) -> None:
        self._function = word(string(only(args, 1)[0]), "CURRent", "VOLTage")

    def _set_range(self, args: list[str]) -> None:
        value = number(only(args, 1)[0], 0, 3.0)  # no AUTO: digitising knows none
        self._range_a = self._desk.set_range(value) or 3.0

    def _set_rate(self, args: list[str]) -> None:
        self._rate_hz = self._desk.set_rate(number(only(args, 1)[0], 1e3, 1e6))

    def _set_aperture(self, args: list[str]) -> None:
        (text,) = only(args, 1)
        if text.upper() != "AUTO" and number(text, 1e-6, 1e-3) > 1 / self._rate_hz:
            raise Refused(-222, "Data out of range")

    def _buffer(self, args: list[str]) -> int:
        """The capacity of the buffer that is named last. Raises Refused where there is none of that name."""
        name = string(args[-1]) if args else "defbuffer1"
        if name not in self._buffers:
            raise Refused(-200, "Execution error; no such reading buffer")
        return self._buffers[name]

    def _used(self, args: list[str]) -> bool:
        self.tick()
        return string(args[-1]) == self._into

    def _make(self, args: list[str]) -> None:
        name, size, *style = only(args, max(2, min(3, len(args))))
        if string(name) in self._buffers:
            raise Refused(-200, "Execution error; reading buffer exists")
        if style:
            word(style[0], "COMPact", "STANdard", "FULL", "WRITable", "FULLWRITable")
        self._buffers[string(name)] = whole(size, 10, READINGS - sum(self._buffers.values()))

    def _delete(self, args: list[str]) -> None:
        self._buffer(only(args, 1))
        if self._desk.state() in ("armed", "recording"):
            raise Refused(-221, "Settings conflict")
        name = string(args[0])
        del self._buffers[name]
        if name == self._into:
            self._into, self._filled, self._readings = "", 0, np.empty(0, np.float32)

    def _data(self, args: list[str]) -> bytes:
        first, last, name, *elements = only(args, max(3, min(4, len(args))))
        self._buffer([name])
        filled = self._filled if self._used([name]) else 0
        begin = whole(first, 1, max(filled, 1))
        end = whole(last, begin, filled)
        if elements and word(elements[0], "READing", "RELative", "FORMatted", "DATE") != "READ":
            raise Refused(1133, "Parameter 4, Syntax error, expected valid name parameters")
        values = self._readings[begin - 1 : end]
        if self._words["format"] == "ASC":
            return ", ".join(f"{value:.6E}" for value in values).encode()
        order = "<" if self._words["order"] == "SWAP" else ">"
        size = "f4" if self._words["format"] == "SRE" else "f8"
        return b"#0" + values.astype(order + size).tobytes()

    def _load(self, args: list[str]) -> None:
        word(string(only(args, 1)[0]), "EMPTY")
        self._blocks = {}

    def _block_clear(self, args: list[str]) -> None:
        index, name = only(args, 2)
        self._buffer([name])
        self._blocks[whole(index, 1, BLOCKS)] = ("clear", string(name), 0)

    def _block_wait(self, args: list[str]) -> None:
        index, event, *clear = only(args, max(2, min(3, len(args))))
        if clear:
            word(clear[0], "ENTer", "NEVer")
        self._blocks[whole(index, 1, BLOCKS)] = ("wait", word(event, "EXTernal", "COMMand", "DISPlay"), 0)

    def _block_digitize(self, args: list[str]) -> None:
        index, name, count = only(args, 3)
        self._buffer([name])
        self._blocks[whole(index, 1, BLOCKS)] = ("digitize", string(name), whole(count, 1, READINGS))

    def _initiate(self, args: list[str]) -> None:
        only(args, 0)
        kinds = [self._blocks[index][0] for index in sorted(self._blocks)]
        if sorted(self._blocks) != list(range(1, len(kinds) + 1)) or kinds not in (
            ["clear", "digitize"],
            ["clear", "wait", "digitize"],
        ):
            raise Refused(-281, "Cannot create program")
        if self._function != "CURR" or self._desk.state() in ("armed", "recording"):
            raise Refused(-213, "Init ignored")
        _, name, count = self._blocks[len(kinds)]
        self._into = name
        self._readings = np.empty(min(count, self._buffers[name]), np.float32)
        self._filled = 0
        waits = "wait" in kinds
        self._waits_for_ever = waits and not (self._blocks[2][1] == "EXT" and self._words["edge"] == "FALL")
        if not self._waits_for_ever:
            self._desk.arm(triggered=waits, limit=len(self._readings))

    def _state(self, args: list[str]) -> str:
        only(args, 0)
        self.tick()
        state = self._desk.state()
        if self._waits_for_ever or state == "armed":
            return "WAITING;WAITING;2"
        if state == "recording":
            return f"RUNNING;RUNNING;{len(self._blocks)}"
        return f"IDLE;IDLE;{len(self._blocks)}" if self._blocks else "EMPTY;EMPTY;0"

    def _abort(self, args: list[str]) -> None:
        only(args, 0)
        self.tick()
        self._waits_for_ever = False
        self._desk.stop()
