"""`host build BOARD`: the firmware image of one board."""

from __future__ import annotations

import argparse

SUMMARY = "build the firmware of a board"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """BOARD and --verbose."""
    parser.add_argument("board", metavar="BOARD", help="a name that `host boards` lists")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every compiler command")


def run(args: argparse.Namespace) -> int:
    """Build and print sizes, models and where the files are."""
    from rich.table import Table

    from host.boards import get_board
    from host.build import build
    from host.paths import PROJECT_DIR
    from host.report.table import stdout_console

    board = get_board(args.board)
    console = stdout_console()
    with console.status(f"building {board.name}"):
        image = build(board, verbose=args.verbose)
    flash_bytes = image.sizes["text"] + image.sizes["data"]
    ram_bytes = image.sizes["data"] + image.sizes["bss"]
    table = Table("", "bytes", "of", title=f"{board.name}, build {image.build_id}", title_justify="left")
    table.add_row("flash (code, constants, models)", f"{flash_bytes}", f"{flash_bytes / board.flash_bytes:.1%}")
    for model in image.models:
        table.add_row(f"  model {model.id}", f"{model.bytes}", model.source)
    table.add_row("RAM (arena, buffers, stack)", f"{ram_bytes}", f"{ram_bytes / board.ram_bytes:.1%}")
    console.print(table)
    for what, path in (("image", image.elf), ("map", image.map)):
        print(f"{what}: {path.relative_to(PROJECT_DIR)}")
    return 0
