# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on demand: `KIND[@WHEN][=AMOUNT]`, several with commas between them.

WHEN   S     seconds of the load's time
       wN    in the N-th capture, from 0, that had a falling edge of the timing pin: 1 ms after it; edges: with it
       wN:S  S seconds after that edge
       cN:S  S seconds after capture N began, `:S` may be left out
       none  w0

drop          samples are lost and the instrument reports it; AMOUNT: seconds
silent_drop   samples are lost and it does not
nan           it gives no number for a while; seconds
overload      its converter is at its end for a while; seconds
error         an entry in its error queue
late          its next reply is late; seconds
die           the connection dies in the middle of the next long reply
rate          it takes AMOUNT times the rate asked for, and says so
rate_lie      it takes AMOUNT times the rate asked for, and does not say so
edge_lost     the next falling edge does not reach its input
edge_doubled  the next falling edge reaches it twice

Faults act behind the truth: what truth.json says never changes with them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from energy.errors import EnergyError

SAMPLE_KINDS = ("drop", "silent_drop", "nan", "overload")
EDGE_KINDS = ("edge_lost", "edge_doubled")
LINE_KINDS = ("error", "late", "die")
RATE_KINDS = ("rate", "rate_lie")
AMOUNTS = {
    "drop": 0.005, "silent_drop": 0.005, "nan": 0.001, "overload": 0.001, "late": 6.0, "rate": 0.5, "rate_lie": 0.97,
}  # fmt: skip
KINDS = (*SAMPLE_KINDS, *EDGE_KINDS, *LINE_KINDS, *RATE_KINDS)
AFTER_EDGE_S = 0.001
_NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_FAULT = re.compile(
    rf"(?P<kind>[a-z_]+)(?:@(?:(?P<count>[wc]\d+)(?::(?P<after>{_NUMBER}))?|(?P<at>{_NUMBER})))?(?:=(?P<amount>{_NUMBER}))?"
)


@dataclass(slots=True)
class Fault:
    """One of them. scope: "w", "c", or "" for a time. due_s: when, in the load's time; None until that is known.

    amount: see the module. first: the first sample it hits, once that is known.
    """

    kind: str
    scope: str
    number: int
    after_s: float
    amount: float
    due_s: float | None = None
    done: bool = False
    first: int | None = field(default=None)

    def happens(self, now_s: float) -> bool:
        """Whether it is due and has not happened."""
        return not self.done and self.due_s is not None and self.due_s <= now_s


def parse_faults(text: str) -> list[Fault]:
    """Faults as typed. Raises EnergyError."""
    return [_parse(part.strip()) for part in text.split(",") if part.strip()]


def _parse(text: str) -> Fault:
    match = _FAULT.fullmatch(text)
    if match is None or match["kind"] not in KINDS:
        raise EnergyError(f"{text!r} is no fault: type KIND[@WHEN][=AMOUNT], KIND one of {', '.join(KINDS)}.")
    kind = match["kind"]
    amount = float(match["amount"] or AMOUNTS.get(kind, 0.0))
    if not math.isfinite(amount) or amount > 100 or (kind in AMOUNTS and amount <= 0):
        raise EnergyError(f"{text!r}: {amount:g} is too much, or nothing.")
    if match["at"] is not None:
        return Fault(kind, "", 0, 0.0, amount, due_s=float(match["at"]))
    count = match["count"] or "w0"
    default_s = AFTER_EDGE_S if count[0] == "w" and kind not in EDGE_KINDS else 0.0
    after_s = default_s if match["after"] is None else float(match["after"])
    return Fault(kind, count[0], int(count[1:]), after_s, amount)


class Faults:
    """The faults of a session; the analyser tells it what happens, and asks."""

    def __init__(self, faults: list[Fault]) -> None:
        """The list's own entries are changed."""
        self._faults = faults

    def began(self, scope: str, number: int, at_s: float) -> None:
        """Capture "c" or window "w" `number` began at a time of the load."""
        for fault in self._faults:
            if (fault.scope, fault.number) == (scope, number) and fault.due_s is None:
                fault.due_s = at_s + fault.after_s

    def of_samples(self, until_s: float) -> list[Fault]:
        """Those that begin to hit samples before this time, and are not done."""
        return [fault for fault in self._faults if fault.kind in SAMPLE_KINDS and fault.happens(until_s)]

    def take(self, kinds: tuple[str, ...], now_s: float) -> Fault | None:
        """The next one of these kinds that is due; it has happened then."""
        for fault in self._faults:
            if fault.kind in kinds and fault.happens(now_s):
                fault.done = True
                return fault
        return None

    def rate(self, wanted_hz: float) -> tuple[float, float]:
        """The rate that is really taken, and what is said about it."""
        for fault in self._faults:
            if fault.kind in RATE_KINDS:
                real_hz = wanted_hz * fault.amount
                return real_hz, real_hz if fault.kind == "rate" else wanted_hz
        return wanted_hz, wanted_hz
