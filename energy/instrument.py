# SPDX-License-Identifier: Apache-2.0
"""The seam between a power monitor and everything that computes: what an instrument module has to offer.

An instrument is one module in energy/instruments; its name is the module's name. It has

    SUMMARY: str                                     one line for `host monitors`
    ADDRESS: str                                     what an address looks like, e.g. "TCPIP0::HOST::5025::SOCKET"
    def open_instrument(address: str) -> Instrument  opens it and asks who it is; raises EnergyError
    USB_IDS: tuple[tuple[int, int], ...]             vendors and products, where it has USB: `host monitors` finds it
    USB_SHARED: tuple[tuple[int, int], ...]          those of them that stand for other things too

A measurement is made of captures: `start`, `read` until there is enough, `stop`. One capture holds one window, or idle.
Times are in seconds of the instrument's own clock since the capture began (a triggered one: since its trigger).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

WindowKind = Literal["marker", "trigger"]

VIRTUAL: Final = "TINYJOULE-VIRTUAL"
"""In the serial number of whatever the virtual analyser says it is, so that nothing of it is ever called measured."""


def is_virtual(idn: str) -> bool:
    """Whether who says this is the virtual analyser, in any of its languages."""
    return VIRTUAL in idn or idn.startswith("tinyjoule,")


@dataclass(frozen=True, slots=True)
class SampleChunk:
    """Samples in a row, n >= 1. Sample k is the mean over [t0_s + k / rate_hz, t0_s + (k + 1) / rate_hz).

    current_a: float32 (n,); NaN where the instrument gave no number, +inf or -inf where it was overloaded.
    voltage_v: float32 (n,), likewise; None: not measured.
    marker: bool (n,), the level of the timing pin at the end of each sample, True is high; None: not streamed. A fall
        lies between two samples, True then False.
    rate_hz: of the instrument's own clock, as it says. lost: how many samples are missing right before the first one.
    """

    current_a: NDArray[np.float32]
    voltage_v: NDArray[np.float32] | None
    marker: NDArray[np.bool_] | None
    t0_s: float
    rate_hz: float
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """What is wanted of an instrument, and what it answers that it really does.

    rate_hz: samples per second. range_a: full scale; None is auto-range. voltage_v: what it supplies where it is the
    supply; otherwise what the supply is assumed to give, used where the voltage is not measured.
    """

    rate_hz: float
    range_a: float | None
    voltage_v: float


class Instrument(Protocol):
    """A power monitor. A context manager: leaving it, also by an exception, stops a capture and leaves the instrument
    safe (measuring nothing, its inputs as they were; a supply stays as `set_supply` left it, so that a board is not cut
    off in the middle, except where the instrument's README says otherwise).

    Methods are called from one thread at a time. They raise InstrumentError and its kin, and nothing else.
    """

    name: str
    """The module's."""
    idn: str
    """Who it says it is: vendor, model, serial number, firmware."""
    model: str
    """Its key in accuracy.toml."""
    windows: WindowKind
    """marker: the chunks carry the timing pin. trigger: a capture begins at a falling edge of it."""
    measures_voltage: bool
    is_supply: bool
    default_rate_hz: float
    default_range_a: float | None
    range_switches: int
    """How often it changed its range since it was configured; 0 where it cannot tell with a fixed range."""

    def configure(self, wanted: Settings) -> Settings:
        """Set range, rate and trigger, and read back what it really took. Blocks; raises when it refuses."""

    def start(self, *, triggered: bool, duration_s: float) -> None:
        """Begin a capture: at once, or armed for the next falling edge. It returns when the instrument records or is
        armed. duration_s: how long it has to be able to record at least (a buffer's size)."""

    def read(self, timeout_s: float) -> SampleChunk | None:
        """The next samples, in order; None when there are none within about `timeout_s`. Never waits for more than
        is there. Raises InstrumentError when the error queue has an entry, InstrumentLost when the line is gone."""

    def stop(self) -> None:
        """End the capture; what was not read is gone. May be called twice."""

    def set_supply(self, on: bool) -> None:
        """Switch the board's supply. Raises InstrumentError where the instrument is none."""

    def errors(self) -> list[str]:
        """Take what is in the error queue."""

    def close(self) -> None:
        """Leave it safe and hang up. May be called twice; raises nothing."""

    def __enter__(self) -> Self:
        """The instrument itself."""

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
