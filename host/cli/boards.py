"""`host boards`: what can be measured."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from host.cli._json import add_json_argument, print_json

if TYPE_CHECKING:
    from host.boards import Board

SUMMARY = "list the boards"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--json alone."""
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from host.boards import find_boards
    from host.report.terminal import listing, show, stdout_console

    boards = find_boards().values()
    if args.json:
        print_json({"boards": [_document(board) for board in boards]})
        return 0
    numbers = ("clock", "flash", "RAM")
    table = listing("board", "core", *numbers, "emulated", "description", numbers=numbers)
    for board in boards:
        clock = f"{board.clock_hz / 1e6:g} MHz" if board.clock_hz else "-"
        flash, ram = (f"{size // 1024}K" for size in (board.flash_bytes, board.ram_bytes))
        table.add_row(board.name, board.core, clock, flash, ram, board.emulator or "no", board.description)
    show(stdout_console(), table)
    return 0


def _document(board: Board) -> dict[str, object]:
    return {
        "name": board.name,
        "description": board.description,
        "core": board.core,
        "clock_hz": board.clock_hz,
        "emulator": board.emulator,
        "flash_bytes": board.flash_bytes,
        "ram_bytes": board.ram_bytes,
        "arena_bytes": board.arena_bytes,
        "baud": board.baud,
        "wiring": {
            "uart": board.wiring.uart,
            "timing_pin": board.wiring.timing_pin,
            "power": board.wiring.power,
        },
    }
