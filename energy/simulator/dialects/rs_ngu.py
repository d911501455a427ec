# SPDX-License-Identifier: Apache-2.0
"""Rohde & Schwarz NGU201: FastLog to the SCPI client, the output, the trigger system, the status registers of FastLog.

By the R&S NGU user manual (1179.2531) and the vendor's package RsNgx. The timing pin is wired to pin 3 of the digital
connector (`IN`). At power-on the output is off, and no change of a status bit makes an event before that is asked for.
A log comes in chunks of 250 ms. Chunks that are not fetched are skipped here when memory ends, not after 20 ms: what
the virtual analyser measures does not go by the wall clock.
"""

from __future__ import annotations

import time
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

CHUNK_S = 0.25
ENDED_S = 0.5  # of the wall clock, without a new sample
RATES = {"S500K": 500e3, "S250K": 250e3, "S050K": 50e3, "S010K": 10e3, "S001K": 1e3, "S100": 100.0}
DATA_READY = 1 << 12  # of the channel's operation register
DATA_SKIPPED = 1 << 11  # of the channel's questionable register
RANGES_A = (10e-6, 100e-6, 1e-3, 0.01, 0.1, 1.0, 10.0)


class Dialect:
    """One supply with one channel."""

    HARDWARE: ClassVar[Hardware] = Hardware(
        model="NGU201",
        rate_hz=10e3,
        max_rate_hz=500e3,
        ranges_a=RANGES_A,
        range_a=None,
        range_v=20.0,
        noise_i=2e-5,
    )
    SCPI: ClassVar[bool] = True

    def __init__(self, desk: Desk, seed: int) -> None:
        """seed: goes into the serial number."""
        self.idn = f"Rohde&Schwarz,NGU201,3639.3763k02/{VIRTUAL}-{seed},05.000"
        self._desk = desk
        self._table = Table(desk, self._supply_rows() | self._log_rows() | self._status_rows())
        self.reset()

    def _supply_rows(self) -> dict[str, Handler]:
        desk = self._desk
        return {
            "[SOURce]:VOLTage[:LEVel][:IMMediate][:AMPLitude]": self._set_voltage,
            "[SOURce]:VOLTage[:LEVel][:IMMediate][:AMPLitude]?": lambda args: f"{desk.voltage():.4f}",
            "[SOURce]:CURRent[:LEVel][:IMMediate][:AMPLitude]": self._set_limit,
            "[SOURce]:CURRent[:LEVel][:IMMediate][:AMPLitude]?": lambda args: f"{self._limit_a:.4f}",
            "OUTPut[:STATe]": lambda args: desk.set_supply(switch(only(args, 1)[0])),
            "OUTPut[:STATe]?": lambda args: flag(desk.supply()),
            "SENSe:CURRent:RANGe[:UPPer]": self._set_range,
            "SENSe:CURRent:RANGe[:UPPer]?": lambda args: scientific(self._range_a),
            "SENSe:CURRent:RANGe:AUTO": self._set_auto,
            "SENSe:CURRent:RANGe:AUTO?": lambda args: flag(desk.range_a is None),
            "SENSe:VOLTage:RANGe:AUTO": self._set_voltage_auto,
        }

    def _log_rows(self) -> dict[str, Handler]:
        source = "TRIGger[:SEQuence][:IMMediate]:SOURce"
        return {
            "FLOG[:STATe]": self._set_log,
            "FLOG[:STATe]?": lambda args: flag(self._desk.state() == "recording"),
            "FLOG:TARGet": partial(self._set_word, "target", ("SCPI", "USB")),
            "FLOG:TARGet?": partial(self._tell_word, "target"),
            "FLOG:SRATe": self._set_rate,
            "FLOG:SRATe?": lambda args: _rate_name(self._rate_hz),
            "FLOG:TRIGgered": partial(self._set_trigger, "log"),
            "FLOG:TRIGgered?": lambda args: flag(self._armed["log"]),
            "FLOG:DATA?": self._data,
            "TRIGger[:STATe]": partial(self._set_trigger, "system"),
            "TRIGger[:STATe]?": lambda args: flag(self._armed["system"]),
            source: partial(self._set_word, "source", ("OUTPut", "OMODe", "DIO")),
            f"{source}?": partial(self._tell_word, "source"),
            f"{source}:DIO:CHANnel": partial(self._set_word, "channel", ("OUT1", "OUTP1", "OUTPut1")),
            f"{source}:DIO:PIN": partial(self._set_word, "pin", ("IN", "EXT")),
            f"{source}:DIO:PIN?": partial(self._tell_word, "pin"),
        }

    def _status_rows(self) -> dict[str, Handler]:
        rows: dict[str, Handler] = {}
        for register, events in (("OPERation", self._operation), ("QUEStionable", self._questionable)):
            base = f"STATus:{register}:INSTrument:ISUMmary1"
            rows[f"{base}:PTRansition"] = partial(self._set_filter, register)
            rows[f"{base}:NTRansition"] = lambda args: None
            rows[f"{base}[:EVENt]?"] = partial(self._tell_events, register, events)
        return rows

    def command(self, line: str) -> bytes | None:
        """One SCPI command."""
        return self._table.answer(line)

    def reset(self) -> None:
        """*RST: output off, no log."""
        self._limit_a = 0.1
        self._range_a = 10.0
        self._rate_hz = 10e3
        self._words = {"target": "USB", "source": "OUTP", "channel": "OUT1", "pin": "EXT"}
        self._armed = {"log": False, "system": False}
        self._filters = {"OPERation": 0, "QUEStionable": 0}
        self._announced = False
        self._skipped = False
        self._there = 0
        self._since_s = time.monotonic()
        self._desk.set_range(None)
        self._desk.set_supply(False)
        self._desk.stop()

    def tick(self) -> None:
        """See whether the load goes on: a recorded one ends, and the last chunk is then as long as it is."""
        now_s, there = time.monotonic(), self._desk.available()
        if there != self._there:
            self._there, self._since_s = there, now_s

    def failed(self, code: int, text: str) -> None:
        """There is an error queue."""

    def _idle(self) -> None:
        if self._desk.state() != "off":
            raise Refused(-221, "Settings conflict")

    def _set_word(self, key: str, choices: tuple[str, ...], args: list[str]) -> None:
        self._words[key] = word(only(args, 1)[0], *choices)

    def _tell_word(self, key: str, args: list[str]) -> str:
        only(args, 0)
        return self._words[key]

    def _set_voltage(self, args: list[str]) -> None:
        checked(self._desk.set_voltage, number(only(args, 1)[0], -20, 20))

    def _set_limit(self, args: list[str]) -> None:
        self._limit_a = number(only(args, 1)[0], 0.001, 8)

    def _set_range(self, args: list[str]) -> None:
        value = number(only(args, 1)[0], 10e-6, 10)
        self._idle()
        self._range_a = self._desk.set_range(value) or 10.0

    def _set_auto(self, args: list[str]) -> None:
        on = switch(only(args, 1)[0])
        self._idle()
        self._desk.set_range(None if on else self._range_a)

    def _set_voltage_auto(self, args: list[str]) -> None:
        switch(only(args, 1)[0])  # nothing here depends on it

    def _set_rate(self, args: list[str]) -> None:
        name = only(args, 1)[0].upper()
        if name not in RATES:
            raise Refused(-141, "Invalid character data")
        self._idle()
        self._rate_hz = self._desk.set_rate(RATES[name])

    def _set_log(self, args: list[str]) -> None:
        if not switch(only(args, 1)[0]):
            self._desk.stop()
        elif self._desk.state() == "off":
            self._start(triggered=False)

    def _set_trigger(self, part: str, args: list[str]) -> None:
        self._armed[part] = switch(only(args, 1)[0])
        wired = self._words["source"] == "DIO" and self._words["pin"] == "IN"
        if all(self._armed.values()) and wired and self._desk.state() == "off":
            self._start(triggered=True)
        elif not all(self._armed.values()) and self._desk.state() == "armed":
            self._desk.stop()

    def _start(self, *, triggered: bool) -> None:
        if self._words["target"] != "SCPI":
            raise Refused(-250, "Mass storage error")  # there is no stick to write to
        self._announced = False
        self._desk.arm(triggered=triggered)

    def _chunk(self) -> int:
        return max(1, round(self._desk.rate_hz * CHUNK_S))

    def _operation(self) -> int:
        """A chunk is announced once."""
        there = self._desk.available()
        ended = 0 < there == self._there and time.monotonic() - self._since_s > ENDED_S
        if self._announced or (there < self._chunk() and not ended):
            return 0
        self._announced = True
        return DATA_READY

    def _questionable(self) -> int:
        skipped, self._skipped = self._skipped, False
        return DATA_SKIPPED if skipped else 0

    def _set_filter(self, register: str, args: list[str]) -> None:
        self._filters[register] = whole(only(args, 1)[0], 0, 65535)

    def _tell_events(self, register: str, events: Callable[[], int], args: list[str]) -> str:
        only(args, 0)
        return str(events() & self._filters[register])

    def _data(self, args: list[str]) -> bytes:
        only(args, 0)
        samples = self._desk.take(self._chunk())
        if samples is None:
            raise Refused(-230, "Data corrupt or stale")
        self._announced = False
        self._skipped = self._skipped or samples.lost > 0
        pairs = np.column_stack([spelled(samples.voltage_v), spelled(samples.current_a)])
        return block(pairs.astype("<f4").tobytes())


def _rate_name(rate_hz: float) -> str:
    """How the instrument writes a rate: of its own list, or 62K5 for 62,500 where it tells another one."""
    for name, value in RATES.items():
        if value == rate_hz:
            return name
    if rate_hz < 1000:
        return f"{rate_hz:.0f}"
    kilo, _, rest = f"{rate_hz / 1000:g}".partition(".")
    return f"{kilo}K{rest}"
