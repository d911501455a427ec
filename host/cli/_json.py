# SPDX-License-Identifier: Apache-2.0
"""--json, as every command and action has it: one document on stdout, and nothing else there."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence


def add_json_argument(
    parser: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup, instead: str = "the table"
) -> None:
    """--json of one command, or of one of its actions: it may stand behind either."""
    # "host monitors check": its default would undo what stands before it.
    action = isinstance(parser, argparse.ArgumentParser) and len(parser.prog.split()) > 2
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS if action else False,
        help=f"print JSON on stdout instead of {instead}",
    )


def print_record(record: bytes) -> None:
    """A record as its module in host/results encodes it, in UTF-8; escaped where stdout is something else."""
    text = record.decode()
    if not (sys.stdout.encoding or "utf-8").lower().startswith("utf"):
        text = "".join(char if char.isascii() else json.dumps(char)[1:-1] for char in text)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def print_json(document: Mapping[str, object], *, one_line: bool = False) -> None:
    """A document of dicts, lists, text, paths and numbers. A number that is none (NaN, infinity) is null.

    one_line: for a reader who does not wait for the end.
    """
    sys.stdout.write(json.dumps(_plain(document), indent=None if one_line else 2, allow_nan=False) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(held) for held in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float) else _text(str(value))


def _text(text: str) -> str:
    """Without halves of characters, which a path may hold and JSON may not."""
    return text.encode("utf-8", "backslashreplace").decode()
