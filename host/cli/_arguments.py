# SPDX-License-Identifier: Apache-2.0
"""What is typed behind options of several commands, checked."""

from __future__ import annotations

import argparse
import math
import re

_PREFIXES = {"": 1.0, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6}


def positive(text: str) -> int:
    """A whole number, at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1, not {text!r}")
    return int(text)


def fraction(text: str) -> float:
    """Above 0, at most 1. 0.9, 90% and 90 are the same; 1 is all."""
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if text.endswith("%") or value > 1:
        value /= 100
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be a fraction or percents, e.g. 0.9 or 90%, not {text!r}")
    return value


def quantity(text: str) -> float:
    """Above 0, with a prefix or without one: 0.05 and 50m are the same; so are 100000 and 100k."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)([umkM]?)", text)
    value = float(match[1]) * _PREFIXES[match[2]] if match else 0.0
    if not 0 < value < 1e12:
        raise argparse.ArgumentTypeError(f"must be a number above 0, e.g. 0.05, 50m or 100k, not {text!r}")
    return value


def seconds(text: str) -> float:
    """A point in time: any number that is one."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a number of seconds, e.g. 0.25, not {text!r}")
    return value


def current_range(text: str) -> float | str:
    """A `quantity`, or "auto"."""
    return text if text == "auto" else quantity(text)
