# SPDX-License-Identifier: Apache-2.0
"""Gates on a comparison: `energy>2%` and what becomes of it.

    GATE      ::=  QUANTITY ( ">" | "<" ) LIMIT "%"
    QUANTITY  ::=  latency | instructions | energy | accuracy | arena | size
    LIMIT     ::=  a decimal number with or without a sign, e.g. 2, +0.5, -1.25

`energy>2%` fails where B takes over 2 % more energy than A; `accuracy<-0.5%` where B's accuracy is more than half a
point below A's: of an accuracy the limit is in points, 89.5 % is 0.6 below 90.1 %. Spaces may stand between the parts.

A gate is held against every row of its quantity. A row

- fails when its change is beyond the limit and its limits of confidence exclude that nothing changed; also where the
  change is beyond and nobody knows any limits, and where B has no value or either run is not valid. Where no change at
  all is beyond the limit (`latency>-5%`: B has to be 5 % faster), it fails whenever its change is beyond.
- cannot be told where it does not fail, but its limits of confidence hold changes on the other side of the limit, or A
  has no value. That is a warning.
- passes otherwise.

A gate without any row on both sides fails: it would watch over nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from host.errors import UsageError

Quantity = Literal["latency", "instructions", "energy", "accuracy", "arena", "size"]
QUANTITIES: Final[tuple[Quantity, ...]] = get_args(Quantity)
"""What is compared, in the order in which it is told."""

Outcome = Literal["passes", "fails", "cannot tell"]
_GRAMMAR = re.compile(r"[ \t]*([a-z]+)[ \t]*([<>])[ \t]*([+-]?[0-9]{1,6}(?:\.[0-9]{1,6})?)[ \t]*%[ \t]*")
_LONGEST = 60
_ROUNDING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Gate:
    """limit: a fraction, 0.02 for 2 %."""

    quantity: Quantity
    side: Literal["<", ">"]
    limit: float

    @property
    def text(self) -> str:
        """As a person types it."""
        limit = f"{self.limit * 100:.6f}".rstrip("0").rstrip(".")
        return f"{self.quantity}{self.side}{limit}%"

    def beyond(self, change: float) -> bool:
        """Whether a change is on the side of the limit where it fails. One that is the limit itself is not, although
        102 / 100 - 1 is a little more than 0.02 in binary."""
        change = self.limit if abs(change - self.limit) < _ROUNDING else change
        return change > self.limit if self.side == ">" else change < self.limit

    def judge(self, value: float | None, low: float | None, high: float | None) -> tuple[Outcome, str]:
        """What becomes of a change between valid runs, and why in a few words. None: not known."""
        if value is None:
            return "fails", "the change has no number"
        if low is None or high is None:
            unsure = "nobody knows how sure that is: measure more windows or inputs"
            return ("fails", f"beyond the limit, and {unsure}") if self.beyond(value) else ("cannot tell", unsure)
        if self.beyond(value):
            return self._judge_beyond(low, high)
        if self.beyond(low) or self.beyond(high):
            return "cannot tell", "within the limit, but it may be beyond"
        return "passes", "within the limit"

    def _judge_beyond(self, low: float, high: float) -> tuple[Outcome, str]:
        if self.beyond(0.0):
            return "fails", "not as far from A as the limit asks"
        if low <= 0 <= high:
            return "cannot tell", "beyond the limit, but it may be that nothing changed"
        return "fails", "beyond the limit"


def parse_gate(text: str) -> Gate:
    """Read one `--fail-if`. Raises UsageError with what may be written."""
    match = _GRAMMAR.fullmatch(text)
    if match is None or match[1] not in QUANTITIES:
        shown = ascii(text if len(text) <= _LONGEST else text[:_LONGEST] + "...")
        raise UsageError(
            f'--fail-if {shown} is no gate: write QUANTITY>LIMIT% or QUANTITY<LIMIT%, e.g. "energy>2%" or '
            f'"accuracy<-0.5%", with one of {", ".join(QUANTITIES)}.'
        )
    quantity = next(name for name in QUANTITIES if name == match[1])
    return Gate(quantity, ">" if match[2] == ">" else "<", float(match[3]) / 100)
