"""`host emulate BOARD`: an emulated board for any runner, until Ctrl-C."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from host.emulator import Emulator
    from host.emulator.pty import PtyBridge

SUMMARY = "start an emulated board that any MLPerf Tiny runner can open"
POLL_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host emulate`."""
    parser.add_argument("board", metavar="BOARD", help="an emulated board that `host boards` lists")
    parser.add_argument("--pty", metavar="PATH", type=Path, help="be a serial device at PATH instead of a socket")
    parser.add_argument("--fast", action="store_true", help="as fast as it goes: the board's clock means nothing then")


def run(args: argparse.Namespace) -> int:
    """Build, start, say where it is, and wait to be ended."""
    from host import emulator
    from host.boards import get_board
    from host.build import build
    from host.emulator.pty import PtyBridge
    from host.errors import UsageError
    from host.lifeline import end_with_parent
    from host.report.progress import Reporter

    end_with_parent()
    board = get_board(args.board)
    if board.emulator is None:
        raise UsageError(f"{board.name} has no emulator: it is a real board, `host flash {board.name}` loads it")
    try:
        with Reporter() as reporter, reporter.step(f"building the firmware for {board.name}"):
            image = build(board)
        with emulator.start(image, timed=not args.fast) as running:
            if args.pty is None:
                print(running.url, flush=True)
                _serve(running, None)
            else:
                with PtyBridge(running.url, args.pty) as bridge:
                    print(args.pty, flush=True)
                    _serve(running, bridge)
    except KeyboardInterrupt:
        return 0  # the way to end it


def _serve(running: Emulator, bridge: PtyBridge | None) -> NoReturn:
    """Until a signal ends it. Raises LinkError when the board ends first."""
    from host.errors import LinkError

    while not (obituary := running.diagnosis()):
        if bridge:
            bridge.carry(POLL_S)
        else:
            time.sleep(POLL_S)
    raise LinkError(f"the emulated board has ended: {obituary}")
