# SPDX-License-Identifier: Apache-2.0
"""The seam between the virtual analyser and the language it speaks: what a dialect has, and what it is given.

A dialect is one module in energy/simulator/dialects; its name is the module's name, and its class is called `Dialect`.
The server owns sockets, cuts lines at LF, CR or both, takes SCPI lines apart at `;`, and answers *IDN?, *CLS, *RST,
*OPC?, *WAI, *ESR?, *STB? and SYST:ERR? by itself; everything else goes to `command`. All calls come from one thread.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

State = Literal["off", "armed", "recording", "full"]

SCPI_OVERLOAD = 9.9e37
SCPI_NAN = 9.91e37


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the simulated instrument is made of; errors inside its accuracy are drawn on top of that.

    model: its key in accuracy.toml. rate_hz: at power-on; max_rate_hz: no request may exceed it. ranges_a: full
    scales, rising; the current reads overloaded above 1.05 of it. range_a: at power-on, None is auto-range. range_v:
    full scale of the voltage. noise_i: standard deviation of a sample at max_rate_hz, as a part of the range; noise_v
    in volts. Both fall with the root of the rate. bits: of the converters, over plus and minus full scale.
    measures_voltage: False: the true supply is then off by what accuracy.toml allows of an assumed one. fifo: how many
    samples it keeps when nobody fetches them.
    """

    model: str
    rate_hz: float
    max_rate_hz: float
    ranges_a: tuple[float, ...]
    range_a: float | None
    range_v: float = 20.0
    noise_i: float = 1e-5
    noise_v: float = 1e-4
    bits: int = 18
    measures_voltage: bool = True
    fifo: int = 4_000_000


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples in a row, n >= 1, as the instrument's converters saw them. Sample k covers [(first + k), (first + k + 1))
    / rate, in its own clock since the capture began.

    current_a, voltage_v: float32 (n,); NaN is a bad sample, +inf or -inf an overload: the dialect spells it.
    pin: bool (n,), the level at the end of each. edges: the timing pin's changes in these samples, (seconds since the
    capture began, level after it), exact, for dialects that tell them apart from samples.
    lost: samples missing right before `first`, for the dialect to report as its instrument does; 0 too where the fault
    is that nobody reports them: then `first` goes on as if nothing was missing.
    """

    first: int
    current_a: NDArray[np.float32]
    voltage_v: NDArray[np.float32]
    pin: NDArray[np.bool_]
    edges: tuple[tuple[float, bool], ...]
    lost: int


class Desk(Protocol):
    """What a dialect is given: the analyser behind it, and the way out."""

    @property
    def rate_hz(self) -> float:
        """What the instrument says its rate is."""

    @property
    def range_a(self) -> float | None:
        """None is auto-range."""

    @property
    def range_switches(self) -> int:
        """Since power-on."""

    def set_rate(self, rate_hz: float) -> float:
        """Ask for a rate the instrument has (the dialect rounds it to its grid); returns what to tell on a read-back,
        which a fault may have changed. Takes effect when the next capture is armed. ValueError: no rate it can do."""

    def set_range(self, range_a: float | None) -> float | None:
        """Take the smallest range that holds range_a; returns it. For the next capture. ValueError: there is none."""

    def set_voltage(self, volts: float) -> None:
        """Of the supply, at once, where the instrument is the supply. ValueError outside 0.5 to 5 V."""

    def voltage(self) -> float:
        """What the supply is set to."""

    def set_supply(self, on: bool) -> None:
        """Switch the supply on or off, at once; off: no current flows."""

    def supply(self) -> bool:
        """Whether it is on. It is at power-on: whoever is no supply never touches it."""

    def arm(self, *, triggered: bool, limit: int | None = None) -> None:
        """Begin a capture: at once, or at the next falling edge of the timing pin. It ends after `limit` samples, state
        `full`, or at stop. A running capture is stopped before, and what was not taken is gone."""

    def stop(self, *, keep: bool = False) -> None:
        """End the capture; keep: what was recorded can still be taken."""

    def state(self) -> State:
        """off: no capture, or stopped. armed: waits for the edge. recording. full: `limit` reached."""

    def available(self) -> int:
        """How many samples can be taken now."""

    def take(self, count: int) -> Samples | None:
        """The oldest samples, at most `count`, in a row: it ends before a reported gap. None: there are none."""

    def push_error(self, code: int, text: str) -> None:
        """Put an entry into the error queue, e.g. (-222, "Data out of range")."""

    def send(self, data: bytes) -> None:
        """To the connection that spoke last; of streaming dialects without being asked. Never blocks."""

    def backlog(self) -> int:
        """Bytes sent and not yet taken by the socket. A streaming dialect waits while it is over 64 kB."""

    def now_s(self) -> float:
        """The instrument's clock, seconds since power-on: goes with the load's time."""


class Dialect(Protocol):
    """One instrument's language. Made once per simulator: what it remembers is the instrument's, not a connection's."""

    HARDWARE: ClassVar[Hardware]
    SCPI: ClassVar[bool]
    """False: lines go to `command` as they are, nothing is answered for it (LPM01A)."""
    idn: str
    """What *IDN? says."""

    def __init__(self, desk: Desk, seed: int) -> None:
        """seed: goes into the serial number, so that two simulators can be told apart."""

    def command(self, line: str) -> bytes | None:
        """One command without its line end, of SCPI without `;` and with its whole header (`:A:B 1;C 2` comes as
        `:A:B 1` and `:A:C 2`). Returns the reply without its line end (the server adds LF for SCPI, and `;` between the
        replies of one line), or None. An unknown command: push_error(-113, "Undefined header"). A ValueError is pushed
        as -224 by the server. A definite block is `block(data)`."""

    def reset(self) -> None:
        """*RST; called by the server too when it makes the dialect. Ends with desk.stop()."""

    def tick(self) -> None:
        """Called at least every 20 ms, and after every command: the place to stream from."""

    def failed(self, code: int, text: str) -> None:
        """The fault `error` happens: only called where SCPI is False (there is no queue then)."""


def block(data: bytes) -> bytes:
    """IEEE 488.2 definite block: `#`, one digit, the length, the data."""
    length = str(len(data))
    return f"#{len(length)}{length}".encode() + data


@cache
def _header_pattern(pattern: str) -> re.Pattern[str]:
    parts = []
    for optional, node in re.findall(r"(\[)?:?([A-Za-z0-9*]+)\]?", pattern.rstrip("?")):
        short = "".join(letter for letter in node if not letter.islower())
        word = re.escape(short) if short == node else f"(?:{re.escape(short)}|{re.escape(node.upper())})"
        parts.append(f"(?::{word})?" if optional else f":{word}")
    return re.compile("".join(parts) + (r"\?" if pattern.endswith("?") else ""))


def is_header(header: str, pattern: str) -> bool:
    """Whether a header as typed is this command, in its short or long form: `[SENSe]:ELOG:PERiod?`, `[...]` may be left
    out. Query and command are different ones. A channel list or a suffix is part of the arguments, or of the node."""
    text = header.upper()
    return _header_pattern(pattern).fullmatch(text if text.startswith((":", "*")) else f":{text}") is not None


def split_command(line: str) -> tuple[str, list[str]]:
    """Header as typed, upper case, and its arguments, split at commas outside of quotes and parentheses, stripped."""
    header, _, rest = line.strip().partition(" ")
    pieces = re.findall(r'(?:"[^"]*"|\'[^\']*\'|\([^()]*\)|[^,"\'(])+', rest)
    return header.upper(), [piece.strip() for piece in pieces if piece.strip()]
