"""`host emulate BOARD`: an emulated board for any runner, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from host.cli._json import add_json_argument, print_json

if TYPE_CHECKING:
    from host.emulator.pty import PtyBridge

SUMMARY = "start an emulated board that any MLPerf Tiny runner can open"
POLL_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host emulate`."""
    parser.add_argument("board", metavar="BOARD", nargs="?", help="an emulated board that `host boards` lists")
    parser.add_argument(
        "--stock", metavar="TASK", help="instead of a board: a fake device with stock firmware's behaviour, e.g. kws01"
    )
    parser.add_argument("--pty", metavar="PATH", type=Path, help="be a serial device at PATH instead of a socket")
    parser.add_argument("--fast", action="store_true", help="as fast as it goes: the board's clock means nothing then")
    add_json_argument(parser, "a line")


def run(args: argparse.Namespace) -> int:
    """Build, start, say where it is, and wait to be ended."""
    from host import emulator
    from host.boards import get_board
    from host.build import build
    from host.errors import UsageError
    from host.lifeline import end_with_parent
    from host.report.progress import Reporter

    end_with_parent()
    if (args.board is None) == (args.stock is None):
        raise UsageError("name a board that `host boards` lists, or a task with --stock: one of them")
    if args.stock is not None:
        return _run_stock(args.stock, args.pty, as_json=args.json)
    board = get_board(args.board)
    if board.emulator is None:
        raise UsageError(f"{board.name} has no emulator: it is a real board, `host flash {board.name}` loads it")
    try:
        with Reporter() as reporter, reporter.step(f"building the firmware for {board.name}"):
            image = build(board)
        with emulator.start(image, timed=not args.fast) as running:
            _offer(running.url, args.pty, running.diagnosis, what={"board": board.name} if args.json else None)
    except KeyboardInterrupt:
        return 0  # the way to end it


def _run_stock(task: str, pty: Path | None, *, as_json: bool) -> int:
    """A fake device, in this process."""
    from host.errors import UsageError
    from host.link.server import TASKS, StockServer, stock_device

    if task not in TASKS:
        raise UsageError(f"there is no stock firmware for {task!r}; there is for {', '.join(TASKS)}")
    try:
        with StockServer(stock_device(task)) as server:
            _offer(server.url, pty, lambda: "", what={"stock": task} if as_json else None)
    except KeyboardInterrupt:
        return 0


def _offer(url: str, pty: Path | None, diagnosis: Callable[[], str], what: dict[str, object] | None) -> NoReturn:
    """Say where the device is, and hold it there. what: the device itself, for --json."""
    from host.emulator.pty import PtyBridge

    if pty is None:
        _say(what, "url", url)
        _serve(diagnosis, None)
    with PtyBridge(url, pty) as bridge:
        _say(what, "pty", str(pty))
        _serve(diagnosis, bridge)


def _say(what: dict[str, object] | None, key: str, place: str) -> None:
    if what is None:
        print(place, flush=True)
    else:
        print_json({**what, key: place}, one_line=True)
        sys.stdout.flush()


def _serve(diagnosis: Callable[[], str], bridge: PtyBridge | None) -> NoReturn:
    """Until a signal ends it. Raises LinkError when the board ends first."""
    from host.errors import LinkError

    while not (obituary := diagnosis()):
        if bridge:
            bridge.carry(POLL_S)
        else:
            time.sleep(POLL_S)
    raise LinkError(f"the emulated board has ended: {obituary}")
