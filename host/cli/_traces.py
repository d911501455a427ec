# SPDX-License-Identifier: Apache-2.0
"""What every command that opens a trace does first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def recover_traces(paths: Sequence[Path]) -> None:
    """Close those that a dead session left unclosed, and say so. Raises TraceError."""
    from energy.trace import recover
    from host.report.terminal import say, stderr_console

    for path in paths:
        if recover(path):
            say(stderr_console(), f"host: {path} had not been closed: it was recovered up to where it was cut off.")
