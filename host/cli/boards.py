"""`host boards`: what can be measured."""

from __future__ import annotations

import argparse

SUMMARY = "list the boards"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(_args: argparse.Namespace) -> int:
    """Print the table."""
    from host.boards import find_boards
    from host.report.terminal import listing, show, stdout_console

    table = listing("board", "core", "clock", "flash", "RAM", "emulated", "description")
    for board in find_boards().values():
        clock = f"{board.clock_hz / 1e6:g} MHz" if board.clock_hz else "-"
        flash, ram = (f"{size // 1024}K" for size in (board.flash_bytes, board.ram_bytes))
        table.add_row(board.name, board.core, clock, flash, ram, board.emulator or "no", board.description)
    show(stdout_console(), table)
    return 0
