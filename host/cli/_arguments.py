# SPDX-License-Identifier: Apache-2.0
"""What is typed behind options of several commands, checked."""

from __future__ import annotations

import argparse


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
