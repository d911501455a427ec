# SPDX-License-Identifier: Apache-2.0
"""What every command that opens a trace does first."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def recover_traces(paths: Sequence[Path]) -> None:
    """Close those that a dead session left unclosed, and say so. Raises TraceError."""
    from energy.trace import recover

    for path in paths:
        if recover(path):
            print(f"host: {path} had not been closed: it was recovered up to where it was cut off.", file=sys.stderr)
