"""A bad cable on purpose: FaultyLink passes bytes on and damages the ones it is told to."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from host.errors import LinkError
from host.link import Link

Direction = Literal["tx", "rx"]  # as the host sees it: tx goes to the device
Kind = Literal["flip", "drop", "duplicate", "stall", "close"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one byte.

    at: its position among all bytes of that direction, from 0. bit: 0 to 7, for `flip`.
    `stall` swallows this byte and all that follow in its direction; `close` ends the line in its place.
    """

    direction: Direction
    at: int
    kind: Kind
    bit: int = 0


def random_faults(seed: int, direction: Direction, first: int, count: int, probability: float) -> list[Fault]:
    """Faults on single bytes (flip, drop, duplicate), each byte of [first, first + count) with `probability`."""
    generator = random.Random(seed)  # noqa: S311  (repeatable, nothing secret)
    kinds: tuple[Kind, ...] = ("flip", "drop", "duplicate")
    return [
        Fault(direction, at, generator.choice(kinds), generator.randrange(8))
        for at in range(first, first + count)
        if generator.random() < probability
    ]


class FaultyLink:
    """A Link around another one."""

    def __init__(self, link: Link, faults: Iterable[Fault] = ()) -> None:
        """`faults` may be added to later with `add`."""
        self._link = link
        self._faults: dict[tuple[Direction, int], Fault] = {}
        self._passed: dict[Direction, int] = {"tx": 0, "rx": 0}
        self._stalled: set[Direction] = set()
        self._closed = False
        for fault in faults:
            self.add(fault)

    @property
    def name(self) -> str:
        """The other link's name, marked."""
        return f"faulty:{self._link.name}"

    @property
    def baud(self) -> int | None:
        """The other link's."""
        return self._link.baud

    def set_baud(self, baud: int) -> None:
        """Set the other link's."""
        self._check_open()
        self._link.set_baud(baud)

    def add(self, fault: Fault) -> None:
        """One more fault; positions that have passed already do nothing."""
        self._faults[(fault.direction, fault.at)] = fault

    def passed(self, direction: Direction) -> int:
        """How many bytes came in so far, damaged ones included: `at` of the next one."""
        return self._passed[direction]

    def write(self, data: bytes) -> None:
        """Send `data`, damaged."""
        self._check_open()
        damaged = self._damage("tx", data)
        self._check_open()
        if damaged:
            self._link.write(damaged)

    def read(self, timeout_s: float) -> bytes:
        """Receive, damaged."""
        self._check_open()
        deadline = time.monotonic() + timeout_s
        while True:
            data = self._link.read(max(deadline - time.monotonic(), 0.0))
            damaged = self._damage("rx", data)
            if damaged or not data:
                return damaged
            self._check_open()

    def close(self) -> None:
        """Close the other link too."""
        self._closed = True
        self._link.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LinkError(f"{self.name}: the line was cut")

    def _damage(self, direction: Direction, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            fault = self._faults.get((direction, self._passed[direction]))
            self._passed[direction] += 1
            if fault is not None and fault.kind == "stall":
                self._stalled.add(direction)
            elif fault is not None and fault.kind == "close":
                self.close()
            if self._closed or direction in self._stalled:
                continue
            if fault is None:
                out.append(byte)
            elif fault.kind == "flip":
                out.append(byte ^ (1 << fault.bit))
            elif fault.kind == "duplicate":
                out += bytes((byte, byte))
        return bytes(out)
