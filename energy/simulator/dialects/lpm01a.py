# SPDX-License-Identifier: Apache-2.0
"""ST X-NUCLEO-LPM01A: commands in lines, answered by `PowerShield > ack ...`, and a stream of text or binary words.

By UM2243 and what people recorded of real boards: a time stamp before the first sample and then every second in text,
before every 1000 samples in binary; `event NN ris` before the sample in whose slot the edge lies. No number is spelled
when a sample is bad: half a line in text, nothing in binary. What is not simulated: acquisition times other than `inf`,
static mode, thresholds, and the summary after an acquisition.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from energy.instrument import VIRTUAL
from energy.simulator.dialect import Desk, Hardware, Samples

RATES = {
    **{str(rate): rate for rate in (1, 2, 5, 10, 20, 50, 100, 200, 500)},
    **{f"{rate}k": rate * 1000 for rate in (1, 2, 5, 10, 20, 50, 100)},
}
TEXT_RATE_HZ = 5000
"""The highest rate at which text goes on without an end."""
BLOCK = 1000
"""Samples between two time stamps in binary."""
MAX_TAKEN = 20_000
MAX_TAKES = 4
MAX_BACKLOG = 1 << 16
OVERCURRENT = "Overcurrent >59mA, dynamic acquisition stopped"
WORDS = {
    "acqmode": ("dyn",),
    "acqtime": ("inf", "0"),
    "trigdelay": ("0",),
    "trigsrc": ("sw", "d7"),
    "eventsrc": ("d7 fal",),
    "output": ("current", "energy"),
    "format": ("ascii_dec", "bin_hexa"),
    "pwrend": ("on", "off"),
}
"""What may follow a command that is only remembered."""


class Dialect:
    """One LPM01A."""

    HARDWARE: ClassVar[Hardware] = Hardware(
        model="LPM01A",
        rate_hz=100.0,
        max_rate_hz=100_000.0,
        ranges_a=(0.05,),
        range_a=0.05,
        measures_voltage=False,
    )
    SCPI: ClassVar[bool] = False

    def __init__(self, desk: Desk, seed: int) -> None:
        """As energy.simulator.dialect says."""
        self._desk = desk
        self._serial = f"{VIRTUAL}-{seed}"
        self.idn = f"PowerShield present: {self._serial}"
        self._host = False
        self._streaming = False
        self._next = 0
        self._event = 0
        self._words: dict[str, str] = {}
        self._actions: dict[str, Callable[[str], str | None]] = {
            "htc": self._take_control,
            "hrc": self._release_control,
            "powershield": lambda _: self.idn,
            "version": lambda _: "1.0.6",
            "status": lambda _: "ok",
            "lcd": self._lcd,
            "freq": self._freq,
            "volt": self._volt,
            "pwr": self._pwr,
            "start": self._start,
        }

    def reset(self) -> None:
        """As after power-on."""
        self._streaming = False
        self._words = {"trigsrc": "sw", "output": "current", "format": "ascii_dec", "eventsrc": ""}
        self._desk.set_rate(100.0)
        self._desk.set_range(0.05)
        self._desk.stop()

    def command(self, line: str) -> bytes | None:
        """One command; everything is answered by an acknowledgement or an error in two lines."""
        text = " ".join(line.split())
        if not text:
            return None
        verb, _, rest = text.partition(" ")
        if verb == "stop":
            return self._stop()
        try:
            answer = self._act(verb, rest)
        except (ValueError, KeyError) as error:
            detail = error.args[0] if isinstance(error, ValueError) and error.args else "Command argument unknown"
            return f"PowerShield > error {text}\r\nError detail: {detail}\r\n".encode()
        if verb == "start":
            self._desk.send(f"PowerShield > ack {text}\r\n".encode())
            self.tick()
            return None
        return f"PowerShield > ack {text}{f' {answer}' if answer else ''}\r\n".encode()

    def tick(self) -> None:
        """Stream what is there, unless nobody reads; not so much that a command has to wait."""
        for _ in range(MAX_TAKES):
            if not self._streaming or self._desk.backlog() > MAX_BACKLOG:
                return
            samples = self._desk.take(MAX_TAKEN)
            if samples is None:
                return
            self._stream(samples)

    def failed(self, code: int, text: str) -> None:
        """An error in the middle of whatever it does."""
        del code
        if self._streaming and self._words["format"] == "bin_hexa":
            self._desk.send(b"\xf0\xf1" + text.encode() + b"\xff\xff")
        else:
            self._desk.send(f"error: {text}\r\n".encode())

    def _act(self, verb: str, rest: str) -> str | None:
        if verb not in self._actions and verb not in WORDS:
            raise ValueError("Command unknown")
        if not self._host and verb not in ("htc", "powershield", "version", "status"):
            raise ValueError("Command not available in standalone mode")
        if verb in self._actions:
            return self._actions[verb](rest)
        if rest not in WORDS[verb]:
            raise ValueError("Command argument unknown")
        self._words[verb] = rest
        return None

    def _take_control(self, _rest: str) -> None:
        self._host = True

    def _release_control(self, _rest: str) -> None:
        self._host = False

    def _lcd(self, rest: str) -> None:
        if not re.fullmatch(r'[12] "[^"]{0,16}"', rest):
            raise ValueError("Command argument unknown")

    def _freq(self, rest: str) -> None:
        self._desk.set_rate(float(RATES[rest]))

    def _volt(self, rest: str) -> str | None:
        if rest == "get":
            return _number(np.array([self._desk.voltage()]))[0]
        match = re.fullmatch(r"(\d{1,4})m", rest)
        if not match or not 1800 <= int(match[1]) <= 3300:
            raise ValueError("Voltage out of range")
        self._desk.set_voltage(int(match[1]) / 1000)
        return None

    def _pwr(self, rest: str) -> str | None:
        if rest == "get":
            return "on" if self._desk.supply() else "off"
        if rest not in ("on", "off", "on nostatus", "off nostatus"):
            raise ValueError("Command argument unknown")
        self._desk.set_supply(rest.startswith("on"))
        return None

    def _start(self, _rest: str) -> None:
        text = self._words["format"] == "ascii_dec"
        if text and self._desk.rate_hz > TEXT_RATE_HZ:
            raise ValueError("Sampling frequency too high for this format")
        if not text and self._words["output"] == "energy":
            raise ValueError("Energy is sent in ascii_dec only")
        self._next = self._event = 0
        self._streaming = True
        self._desk.arm(triggered=self._words["trigsrc"] == "d7")

    def _stop(self) -> bytes:
        end = b""
        if self._streaming and self._words["format"] == "bin_hexa":
            end = b"\xf0\xf4\xff\xff"
        self._streaming = False
        self._desk.stop()
        return end + b"PowerShield > ack stop\r\nPowerShield > Acquisition completed\r\n"

    def _stream(self, samples: Samples) -> None:
        """Send samples in pieces between time stamps, up to an overload if there is one."""
        text = self._words["format"] == "ascii_dec"
        step = round(self._desk.rate_hz) if text else BLOCK
        over = np.flatnonzero(np.isinf(samples.current_a))
        end = samples.first + (int(over[0]) if len(over) else len(samples.current_a))
        falls = [int(at_s * self._desk.rate_hz + 1e-9) for at_s, level in samples.edges if not level]
        out = []
        at = samples.first
        while at < end:
            while self._next <= at:
                out.append(self._stamp(self._next, text))
                self._next += step
            until = min(end, self._next)
            piece = slice(at - samples.first, until - samples.first)
            out.append(self._piece(samples, piece, falls) if text else _words(samples.current_a[piece]))
            at = until
        if len(over):
            out.append(f"error: {OVERCURRENT}\r\n".encode() if text else b"\xf0\xf5\xff\xff")
            self._streaming = False
            self._desk.stop()
        self._desk.send(b"".join(out))

    def _stamp(self, index: int, text: bool) -> bytes:
        time_ms = round(index * 1000 / self._desk.rate_hz)
        if text:
            return f"TimeStamp: {time_ms // 1000:03d}s {time_ms % 1000:03d}ms, buff 00%\r\n".encode()
        return b"\xf0\xf3" + time_ms.to_bytes(4, "big") + b"\x00\xff\xff"

    def _piece(self, samples: Samples, piece: slice, falls: list[int]) -> bytes:
        """Lines of samples, each behind the events in its slot. falls: the slots that have one."""
        values = samples.current_a[piece].astype(np.float64)
        if self._words["output"] == "energy":
            values *= self._desk.voltage() / self._desk.rate_hz
        lines = _number(values)
        if self._words["eventsrc"]:
            for slot in falls:
                at = slot - samples.first - piece.start
                if 0 <= at < len(lines):
                    self._event += 1
                    lines[at] = f"event {self._event:02d} ris\r\n{lines[at]}"
        return "".join(f"{line}\r\n" for line in lines).encode()


def _number(values: NDArray[np.float64]) -> list[str]:
    """`6409-07`: four digits and a power of ten. Nothing is negative; a bad sample is half a number."""
    clipped = np.nan_to_num(np.maximum(values, 0.0))
    exponent = np.full(len(values), -9, np.int64)
    some = clipped > 0
    exponent[some] = np.maximum(np.floor(np.log10(clipped[some])).astype(np.int64) - 3, -99)
    mantissa = np.rint(clipped * 10.0**-exponent).astype(np.int64)
    over = mantissa > 9999
    mantissa[over] = np.rint(mantissa[over] / 10)
    exponent[over] += 1
    pairs = zip(mantissa.tolist(), exponent.tolist(), np.isnan(values).tolist(), strict=True)
    return [f"{m % 100:02d}" if bad else f"{m:04d}{e:+03d}" for m, e, bad in pairs]


def _words(current_a: NDArray[np.float32]) -> bytes:
    """Twelve bits and a negative power of sixteen, 14 at most; nothing for a bad sample."""
    values = np.maximum(current_a[~np.isnan(current_a)].astype(np.float64), 0.0)
    with np.errstate(divide="ignore"):
        exponent = np.clip(np.floor(np.log2(4095.0 / values) / 4), 0, 14).astype(np.int64)
    mantissa = np.minimum(np.rint(values * np.exp2(4.0 * exponent)), 4095).astype(np.int64)
    return bytes((exponent << 12 | mantissa).astype(">u2").tobytes())
