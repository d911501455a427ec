# SPDX-License-Identifier: Apache-2.0
"""Keysight N6705C with an N6781A in channel 1: external data logging (ELOG), the output, the digital port.

By the N6705C and N6700C operating guides. The timing pin is wired to pin 1 of the digital port. At power-on the output
is off. A log is triggered by pin 1 only where that pin is a trigger input for falling edges; otherwise it waits, as the
instrument would. Its FIFO overwrites what is not fetched; the guides name no message
for it, so it is told as -310 here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np

from energy.instrument import VIRTUAL
from energy.simulator.dialect import Desk, Hardware, block
from energy.simulator.dialects._scpi import (
    Handler,
    Refused,
    Table,
    checked,
    flag,
    number,
    only,
    scientific,
    spelled,
    switch,
    whole,
    word,
)

PARAMETER_S = 102.4e-6
TICK_S = 20.48e-6
LONGEST_S = 60.0
MOST_RECORDS = 100_000
PINS = range(1, 8)


class Dialect:
    """One mainframe, one module."""

    HARDWARE: ClassVar[Hardware] = Hardware(
        model="N6781A",
        rate_hz=1 / (977 * TICK_S),
        max_rate_hz=1 / PARAMETER_S,
        ranges_a=(10e-6, 1e-3, 0.1, 3.0),
        range_a=3.0,
        range_v=20.0,
        noise_i=5e-6,
        fifo=round(20 / PARAMETER_S),
    )
    SCPI: ClassVar[bool] = True

    def __init__(self, desk: Desk, seed: int) -> None:
        """seed: goes into the serial number."""
        self.idn = f"Keysight Technologies,N6705C,{VIRTUAL}-{seed},E.02.11.3284"
        self._desk = desk
        asked = self._asked
        sense: dict[str, Handler] = {
            "SENSe:ELOG:PERiod": self._set_period,
            "SENSe:ELOG:PERiod?": asked(lambda: scientific(self._period_s)),
            "SENSe:ELOG:CURRent[:DC]:RANGe[:UPPer]": self._set_range,
            "SENSe:ELOG:CURRent[:DC]:RANGe[:UPPer]?": asked(lambda: scientific(self._range_a)),
            "SENSe:ELOG:CURRent[:DC]:RANGe:AUTO": self._set_auto,
            "SENSe:ELOG:CURRent[:DC]:RANGe:AUTO?": asked(lambda: flag(desk.range_a is None)),
            "SENSe:ELOG:VOLTage[:DC]:RANGe[:UPPer]": partial(self._number, 20.0),
            "SENSe:SWEep:TINTerval:RESolution": self._set_resolution,
            "SENSe:ELOG:FUNCtion:CURRent": partial(self._enable, "current"),
            "SENSe:ELOG:FUNCtion:CURRent:MINMax": partial(self._enable, "current minmax"),
            "SENSe:ELOG:FUNCtion:VOLTage": partial(self._enable, "voltage"),
            "SENSe:ELOG:FUNCtion:VOLTage:MINMax": partial(self._enable, "voltage minmax"),
        }
        output: dict[str, Handler] = {
            "EMULation": self._set_emulation,
            "EMULation?": asked(lambda: self._emulation),
            "[SOURce]:VOLTage[:LEVel][:IMMediate][:AMPLitude]": self._set_voltage,
            "[SOURce]:VOLTage[:LEVel][:IMMediate][:AMPLitude]?": asked(lambda: scientific(desk.voltage())),
            "[SOURce]:CURRent:LIMit[:POSitive][:IMMediate][:AMPLitude]": partial(self._number, 3.06),
            "OUTPut[:STATe]": self._set_output,
            "OUTPut[:STATe]?": asked(lambda: flag(desk.supply())),
            "SYSTem:CHANnel[:COUNt]?": lambda args: "1",
            "SYSTem:CHANnel:MODel?": asked(lambda: '"N6781A"'),
        }
        pins: dict[str, Handler] = {}
        for pin in PINS:
            for which, name in enumerate(("FUNCtion", "POLarity")):
                pins[f"[SOURce]:DIGital:PIN{pin}:{name}"] = partial(self._set_pin, pin, which)
                pins[f"[SOURce]:DIGital:PIN{pin}:{name}?"] = partial(self._tell_pin, pin, which)
        log: dict[str, Handler] = {
            "TRIGger:ELOG:SOURce": self._set_source,
            "TRIGger:ELOG:SOURce?": asked(lambda: self._source),
            "TRIGger:ELOG[:IMMediate]": self._trigger,
            "INITiate[:IMMediate]:ELOG": self._initiate,
            "ABORt:ELOG": self._abort,
            "FETCh:ELOG?": self._fetch,
            "FORMat[:DATA]": self._set_format,
            "FORMat[:DATA]?": lambda args: "REAL" if self._real else "ASC",
            "FORMat:BORDer": self._set_border,
            "FORMat:BORDer?": lambda args: "NORM" if self._normal else "SWAP",
        }
        self._table = Table(desk, {**sense, **output, **pins, **log})
        self.reset()

    def command(self, line: str) -> bytes | None:
        """One SCPI command."""
        return self._table.answer(line)

    def reset(self) -> None:
        """*RST: output off, no log."""
        self._on = {"current": True, "current minmax": False, "voltage": False, "voltage minmax": False}
        self._tick_s = TICK_S
        self._period_s = 977 * TICK_S
        self._range_a = 3.0
        self._source = "BUS"
        self._waiting = False
        self._real = False
        self._normal = True
        self._emulation = "PS4Q"
        self._pins = dict.fromkeys(PINS, ("DIO", "POS"))
        self._desk.set_range(3.0)
        self._desk.set_supply(False)
        self._desk.stop()

    def tick(self) -> None:
        """Streams nothing by itself."""

    def failed(self, code: int, text: str) -> None:
        """There is an error queue."""

    @staticmethod
    def _channel(args: list[str], values: int) -> list[str]:
        """The arguments before the channel list, which has to be there and to name the only module."""
        *before, channels = only(args, values + 1)
        if not re.fullmatch(r"\(@[\d,: ]+\)", channels):
            raise Refused(-109, "Missing parameter")
        if channels != "(@1)":
            raise Refused(-241, "Hardware missing")
        return before

    def _asked(self, tell: Callable[[], str]) -> Handler:
        """A query that needs the channel and nothing else."""

        def answer(args: list[str]) -> str:
            self._channel(args, 0)
            return tell()

        return answer

    def _number(self, high: float, args: list[str]) -> None:
        number(self._channel(args, 1)[0], 0, high)

    def _idle(self) -> None:
        """What belongs to a log cannot be changed while one runs."""
        if self._waiting or self._desk.state() != "off":
            raise Refused(-221, "Settings conflict")

    def _enable(self, key: str, args: list[str]) -> None:
        on = switch(self._channel(args, 1)[0])
        self._idle()
        self._on[key] = on

    def _set_period(self, args: list[str]) -> None:
        wanted_s = number(self._channel(args, 1)[0], PARAMETER_S * 0.999, LONGEST_S)
        self._idle()
        shortest_s = PARAMETER_S * max(1, self._parameters())
        ticks = max(round(wanted_s / self._tick_s), round(shortest_s / self._tick_s))
        self._period_s = 1 / self._desk.set_rate(1 / (ticks * self._tick_s))

    def _parameters(self) -> int:
        return sum(2 if "minmax" in key else 1 for key, on in self._on.items() if on)

    def _set_resolution(self, args: list[str]) -> None:
        (text,) = only(args, 1)
        self._tick_s = TICK_S if word(text, "RES20", "RES40") == "RES20" else 2 * TICK_S

    def _set_range(self, args: list[str]) -> None:
        value = number(self._channel(args, 1)[0], 0, 3.06)
        self._idle()
        self._range_a = self._desk.set_range(min(value, 3.0)) or 3.0

    def _set_auto(self, args: list[str]) -> None:
        on = switch(self._channel(args, 1)[0])
        self._idle()
        self._desk.set_range(None if on else self._range_a)

    def _set_emulation(self, args: list[str]) -> None:
        mode = word(self._channel(args, 1)[0], "PS4Q", "PS2Q", "PS1Q", "BATTery", "CHARger", "CCLoad", "CVLoad")
        if mode != self._emulation:  # the guide: the output is switched off, settings go to their reset values
            self._desk.set_supply(False)
        self._emulation = mode

    def _set_voltage(self, args: list[str]) -> None:
        checked(self._desk.set_voltage, number(self._channel(args, 1)[0], 0, 20.4))

    def _set_output(self, args: list[str]) -> None:
        self._desk.set_supply(switch(self._channel(args, 1)[0]))

    def _set_pin(self, pin: int, which: int, args: list[str]) -> None:
        (text,) = only(args, 1)
        function, polarity = self._pins[pin]
        if which == 0:
            function = word(text, "DIO", "DINPut", "TOUTput", "TINPut", "FAULt", "INHibit", "ONCouple", "OFFCouple")
        else:
            polarity = word(text, "POSitive", "NEGative")
        self._pins[pin] = (function, polarity)

    def _tell_pin(self, pin: int, which: int, args: list[str]) -> str:
        only(args, 0)
        return self._pins[pin][which]

    def _set_source(self, args: list[str]) -> None:
        text = self._channel(args, 1)[0]
        self._idle()
        self._source = word(text, "BUS", "EXTernal", "IMMediate", *(f"PIN{pin}" for pin in PINS))

    def _initiate(self, args: list[str]) -> None:
        self._channel(args, 0)
        if self._waiting or self._desk.state() != "off":
            raise Refused(-213, "Init ignored")
        if not (self._on["current"] or self._on["voltage"]):
            raise Refused(-221, "Settings conflict")
        wired = self._source in ("PIN1", "EXT") and self._pins[1] == ("TINP", "NEG")
        if self._source == "IMM" or wired:
            self._desk.arm(triggered=wired)
        else:
            self._waiting = True

    def _trigger(self, args: list[str]) -> None:
        self._channel(args, 0)
        if not self._waiting and self._desk.state() != "armed":
            raise Refused(-211, "Trigger ignored")
        self._waiting = False
        self._desk.arm(triggered=False)

    def _abort(self, args: list[str]) -> None:
        self._channel(args, 0)
        self._waiting = False
        self._desk.stop()

    def _set_format(self, args: list[str]) -> None:
        (text,) = only(args, 1)
        self._real = word(text, "ASCii", "REAL") == "REAL"

    def _set_border(self, args: list[str]) -> None:
        (text,) = only(args, 1)
        self._normal = word(text, "NORMal", "SWAPped") == "NORM"

    def _fetch(self, args: list[str]) -> bytes:
        most = whole(self._channel(args, 1)[0], 1, MOST_RECORDS)
        if not self._waiting and self._desk.state() == "off":
            raise Refused(303, "There is not a valid acquisition to fetch from")
        samples = None if self._waiting else self._desk.take(most)
        if samples is None:
            return block(b"") if self._real else b" "
        if samples.lost:
            self._desk.push_error(-310, "System error; data log overwritten")
        columns = []
        for key, values in (("current", samples.current_a), ("voltage", samples.voltage_v)):
            if self._on[key]:
                columns += [values] * (3 if self._on[f"{key} minmax"] else 1)  # one point: it is its own extremes
        records = spelled(np.column_stack(columns).ravel().astype(np.float32))
        if self._real:
            return block(records.astype(">f4" if self._normal else "<f4").tobytes())
        return ",".join(f"{value:.6E}" for value in records).encode()
