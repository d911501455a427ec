"""`host flash BOARD`: load a real board."""

from __future__ import annotations

import argparse

from host.cli._engine import add_engine_arguments, engine_variant
from host.cli._json import add_json_argument, print_json

SUMMARY = "build the firmware and load it into a real board"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """BOARD and the engine."""
    parser.add_argument("board", metavar="BOARD", help="a real board that `host boards` lists")
    add_engine_arguments(parser)
    add_json_argument(parser, "a sentence")


def run(args: argparse.Namespace) -> int:
    """Flash and say so."""
    from host.boards import get_board
    from host.flash import flash
    from host.report.progress import Reporter
    from host.report.terminal import say, stdout_console

    board = get_board(args.board)
    variant = engine_variant(args)
    with Reporter() as reporter, reporter.step(f"building the firmware for {board.name} and loading it"):
        flash(board, variant=variant)
    if args.json:
        print_json({"board": board.name, "loaded": True, "engine": variant.engine, "baud": board.baud})
    else:
        said = f"{board.name} is loaded; it prints its banner on the virtual COM port at {board.baud} baud"
        say(stdout_console(), said)
    return 0
