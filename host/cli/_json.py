# SPDX-License-Identifier: Apache-2.0
"""--json, as every command has it: one document on stdout, and nothing else there."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


def add_json_argument(parser: argparse.ArgumentParser, instead: str = "the table") -> None:
    """--json of one command."""
    parser.add_argument("--json", action="store_true", help=f"print JSON on stdout instead of {instead}")


def print_record(record: bytes) -> None:
    """A record as its module in host/results encodes it, in UTF-8; escaped where stdout is something else."""
    text = record.decode()
    if not (sys.stdout.encoding or "utf-8").lower().startswith("utf"):
        text = "".join(char if char.isascii() else json.dumps(char)[1:-1] for char in text)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def print_json(document: Any) -> None:
    """A document of dicts, lists, text and finite numbers. Raises ValueError for NaN: JSON has none."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
