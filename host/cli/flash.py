"""`host flash BOARD`: load a real board."""

from __future__ import annotations

import argparse

SUMMARY = "build the firmware and load it into a real board"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """BOARD."""
    parser.add_argument("board", metavar="BOARD", help="a real board that `host boards` lists")


def run(args: argparse.Namespace) -> int:
    """Flash and say so."""
    from rich.console import Console

    from host.boards import get_board
    from host.flash import flash

    board = get_board(args.board)
    with Console().status(f"building and loading {board.name}"):
        flash(board)
    print(f"{board.name} is loaded; it prints its banner on the virtual COM port at {board.baud} baud")
    return 0
