"""`host build BOARD`: the firmware image of one board."""

from __future__ import annotations

import argparse

from host.cli._engine import add_engine_arguments, engine_variant

SUMMARY = "build the firmware of a board"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """BOARD, --verbose and the engine."""
    parser.add_argument("board", metavar="BOARD", help="a name that `host boards` lists")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every compiler command")
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Build and print sizes, models and where the files are."""
    from host.boards import get_board
    from host.build import build
    from host.report.progress import Reporter
    from host.report.terminal import listing, show, stdout_console

    board = get_board(args.board)
    variant = engine_variant(args)
    with Reporter() as reporter, reporter.step(f"building the firmware for {board.name}"):
        image = build(board, variant=variant, verbose=args.verbose)
    flash_bytes = image.sizes["text"] + image.sizes["data"]
    ram_bytes = image.sizes["data"] + image.sizes["bss"]
    table = listing("part", "bytes", "what it is")
    table.add_row("flash", f"{flash_bytes:,}", f"code, constants, models: {flash_bytes / board.flash_bytes:.1%} of it")
    for model in image.models:
        table.add_row(f"  {model.id}", f"{model.bytes:,}", f"{model.name} ({model.source})")
    table.add_row("RAM", f"{ram_bytes:,}", f"arena, buffers, stack: {ram_bytes / board.ram_bytes:.1%} of it")
    show(stdout_console(), table)
    for what, text in (("engine", image.engine), ("build", image.build_id), ("image", image.elf), ("map", image.map)):
        print(f"{what}: {text}")
    return 0
