# SPDX-License-Identifier: Apache-2.0
"""What the SCPI dialects have in common: a table of commands, and arguments that are refused as instruments do it."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from energy.simulator.dialect import SCPI_NAN, SCPI_OVERLOAD, Desk, is_header, split_command

Handler = Callable[[list[str]], bytes | str | None]


class Refused(Exception):  # never leaves the dialect: it becomes an entry of the error queue
    """A command that the instrument does not take, with the SCPI error it reports."""

    def __init__(self, code: int, text: str) -> None:
        """The entry of the error queue."""
        super().__init__(code, text)
        self.code = code
        self.text = text


class Table:
    """Commands by their SCPI pattern; the first that fits is called with the arguments."""

    def __init__(self, desk: Desk, rows: dict[str, Handler]) -> None:
        """rows: `SENSe:CURRent:RANGe[:UPPer]?` and its handler, which may raise Refused."""
        self._desk = desk
        self._rows = rows

    def answer(self, line: str) -> bytes | None:
        """Carry out one command; whatever is wrong with it goes into the error queue."""
        header, args = split_command(line)
        for pattern, handler in self._rows.items():
            if is_header(header, pattern):
                try:
                    reply = handler(args)
                except Refused as refused:
                    self._desk.push_error(refused.code, refused.text)
                    return None
                return reply.encode() if isinstance(reply, str) else reply
        self._desk.push_error(-113, "Undefined header")
        return None


def only(args: list[str], count: int) -> list[str]:
    """The arguments, exactly `count` of them."""
    if len(args) > count:
        raise Refused(-108, "Parameter not allowed")
    if len(args) < count:
        raise Refused(-109, "Missing parameter")
    return args


def number(text: str, low: float, high: float) -> float:
    """A number within its limits."""
    try:
        value = float(text)
    except ValueError:
        raise Refused(-104, "Data type error") from None
    if not low <= value <= high:
        raise Refused(-222, "Data out of range")
    return value


def whole(text: str, low: int, high: int) -> int:
    """A whole number within its limits."""
    return round(number(text, low, high))


def switch(text: str) -> bool:
    """ON, OFF, 1 or 0."""
    if text.upper() not in {"ON", "OFF", "1", "0"}:
        raise Refused(-141, "Invalid character data")
    return text.upper() in {"ON", "1"}


def word(text: str, *choices: str) -> str:
    """One of the words, in its short or its long form; returned as the short one. `SWAPped` is SWAP or SWAPPED."""
    for choice in choices:
        short = re.sub("[a-z]", "", choice)
        if text.upper() in {short, choice.upper()}:
            return short
    raise Refused(-141, "Invalid character data")


def string(text: str) -> str:
    """What is in quotes."""
    if len(text) < 2 or text[0] not in "\"'" or text[-1] != text[0]:
        raise Refused(-151, "Invalid string data")
    return text[1:-1]


def checked(setter: Callable[[float], object], value: float) -> None:
    """Hand a value to the hardware, which may not be able to do it."""
    try:
        setter(value)
    except ValueError:
        raise Refused(-222, "Data out of range") from None


def spelled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Numbers as SCPI writes them: 9.91e37 is no number, +-9.9e37 an overload."""
    return np.nan_to_num(values, nan=SCPI_NAN, posinf=SCPI_OVERLOAD, neginf=-SCPI_OVERLOAD)


def flag(value: bool) -> str:
    """How a switch is told."""
    return "1" if value else "0"


def scientific(value: float) -> str:
    """How a number is told."""
    return f"{value:+.8E}"
