"""Where a window begins and ends, and what lies in between: fed chunk by chunk, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """One window as an instrument saw it; all of it is in the instrument's clock, nothing per inference.

    energy_j, charge_c (the integral of i), flux_vs (the integral of v), start_s, end_s: float64; they mean nothing
    when `complete` is False. start_w, end_w: mean power right around each edge (a sample before and after).
    u_start_s, u_end_s: standard uncertainty of where the edges are. samples: in the window. lost: missing in it.
    nans, overloads: bad ones in it. range_switches: in the capture. device_s: the board's own time of the window; None
    where it does not tell.
    voltage_measured: else energy_j was made with the assumed one. reasons: why the window is not valid, for a person.
    """

    complete: bool
    start_s: float
    end_s: float
    energy_j: float
    charge_c: float
    flux_vs: float
    start_w: float
    end_w: float
    u_start_s: float
    u_end_s: float
    rate_hz: float
    samples: int
    lost: int
    nans: int
    overloads: int
    range_switches: int
    device_s: float | None
    voltage_measured: bool
    reasons: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether its energy may be used."""
        return self.complete and not self.reasons

    @property
    def duration_s(self) -> float:
        """By the instrument's clock."""
        return self.end_s - self.start_s

    @property
    def clock_ratio(self) -> float | None:
        """The board's time over the instrument's."""
        return self.device_s / self.duration_s if self.device_s is not None and self.duration_s > 0 else None
