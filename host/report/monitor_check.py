# SPDX-License-Identifier: Apache-2.0
"""What `host monitors check` found, on the terminal."""

from __future__ import annotations

from rich.console import Console

from host.report.terminal import listing, say, show
from host.results.monitor_check import MonitorCheck

_WORDS = {"ok": "ok", "bad": "NOT SANE", "not seen": "not seen"}


def print_check(check: MonitorCheck, console: Console) -> None:
    """Print what was looked at, a row per item, and the sum of it."""
    emulated = "EMULATED: " if check.provenance == "emulated" else ""
    board = f", with {check.board}" if check.board else ""
    range_a = f"range {check.range_a:g} A" if check.range_a else "auto-range"
    windows = "the timing pin is streamed" if check.windows == "marker" else "a capture begins at the timing pin"
    title = f"{emulated}{check.monitor}{board}: {range_a}, {check.rate_hz:,.10g} samples per second, {windows}"
    say(console, title, style="bold")
    table = listing("item", "verdict", "what was seen")
    for item in check.items:
        table.add_row(item.item, _WORDS[item.verdict], item.text)
    show(console, table)
    bad = [item.item for item in check.items if item.verdict == "bad"]
    say(console, f"NOT SANE: {', '.join(bad)}." if bad else "Nothing about it is wrong.")
