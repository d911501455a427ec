"""What `host verify` found, on the terminal."""

from __future__ import annotations

from rich.console import Console

from host.report.terminal import listing, say, show
from host.results.verification import ModelCheck, Verification

_VERDICTS = {"equal": "equal, bit for bit", "differs": "DIFFERS", "refused": "REFUSED", "failed": "FAILED"}


def difference(check: ModelCheck) -> str:
    """Where a model differs, in one line; "" when nobody knows."""
    found = check.difference
    if found is None:
        return ""
    return (
        f"{found.name} (operator {found.operator}, shape {found.shape}): element {found.element} is {found.got}, "
        f"expected {found.expected}; {found.differing} of {found.elements} differ; input: {check.input}"
    )


def verdict(check: ModelCheck) -> str:
    """Outcome, reason and place."""
    lines = [_VERDICTS[check.outcome], check.reason, difference(check)]
    return ";\n".join(line for line in lines if line)


def print_verification(verification: Verification, console: Console) -> None:
    """Print what was compared with what, and a row per model."""
    board = verification.board
    say(
        console,
        f"{board.name} ({board.core}, {verification.provenance}), engine {verification.firmware.engine or 'unknown'}, "
        f"against {verification.oracle}; inputs: {verification.inputs}",
        style="bold",
    )
    table = listing(
        "model", "operators", "inputs", "arena,\nbytes", "verdict", numbers=("operators", "inputs"), boxed=True
    )
    for check in verification.models:
        arena = "-" if check.arena_bytes is None else f"{check.arena_bytes:,}"
        table.add_row(check.name, str(check.operators), str(check.inputs), arena, verdict(check))
    show(console, table)
