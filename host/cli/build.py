"""`host build BOARD`: the firmware image of one board."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from host.cli._engine import add_engine_arguments, engine_variant
from host.cli._json import add_json_argument, print_json

if TYPE_CHECKING:
    from host.build import Image

SUMMARY = "build the firmware of a board"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """BOARD, --verbose and the engine."""
    parser.add_argument("board", metavar="BOARD", help="a name that `host boards` lists")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every compiler command")
    add_engine_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Build and print sizes, models and where the files are."""
    from host.boards import get_board
    from host.build import build
    from host.errors import UsageError
    from host.report.progress import Reporter

    if args.json and args.verbose:
        raise UsageError("--json prints one document, --verbose what the compilers print: use one of them.")
    board = get_board(args.board)
    variant = engine_variant(args)
    with Reporter() as reporter, reporter.step(f"building the firmware for {board.name}"):
        image = build(board, variant=variant, verbose=args.verbose)
    if args.json:
        print_json(_document(image))
    else:
        _print(image)
    return 0


def _flash_bytes(image: Image) -> int:
    return image.sizes["text"] + image.sizes["data"]


def _ram_bytes(image: Image) -> int:
    return image.sizes["data"] + image.sizes["bss"]


def _document(image: Image) -> dict[str, object]:
    models = [
        {"task": model.id, "name": model.name, "source": model.source, "bytes": model.bytes} for model in image.models
    ]
    return {
        "board": image.board.name,
        "build": image.build_id,
        "version": image.version,
        "engine": image.engine,
        "compiler": image.compiler,
        "flags": image.flags,
        "image": image.elf,
        "map": image.map,
        "sha256": image.sha256,
        "flash_bytes": _flash_bytes(image),
        "ram_bytes": _ram_bytes(image),
        "models": models,
    }


def _print(image: Image) -> None:
    from host.report.terminal import listing, point, show, stdout_console

    flash, ram = _flash_bytes(image), _ram_bytes(image)
    table = listing("part", "bytes", "what it is")
    table.add_row("flash", f"{flash:,}", f"code, constants, models: {flash / image.board.flash_bytes:.1%} of it")
    for model in image.models:
        table.add_row(f"  {model.id}", f"{model.bytes:,}", f"{model.name} ({model.source})")
    table.add_row("RAM", f"{ram:,}", f"arena, buffers, stack: {ram / image.board.ram_bytes:.1%} of it")
    console = stdout_console()
    show(console, table)
    for what, text in (("engine", image.engine), ("build", image.build_id), ("image", image.elf), ("map", image.map)):
        point(console, what, text)
