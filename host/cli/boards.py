"""`host boards`: what can be measured."""

from __future__ import annotations

import argparse

SUMMARY = "list the boards"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(_args: argparse.Namespace) -> int:
    """Print the table."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from host.boards import find_boards

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("board", "core", "clock", "flash", "RAM", "emulated"):
        table.add_column(heading, no_wrap=True)
    table.add_column("description")
    for board in find_boards().values():
        clock = f"{board.clock_hz / 1e6:g} MHz" if board.clock_hz else "-"
        flash, ram = (f"{size // 1024}K" for size in (board.flash_bytes, board.ram_bytes))
        table.add_row(board.name, board.core, clock, flash, ram, board.emulator or "no", board.description)
    Console().print(table)
    return 0
