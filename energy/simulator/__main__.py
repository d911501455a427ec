# SPDX-License-Identifier: Apache-2.0
"""`python -m energy.simulator`: a virtual analyser on a TCP port, for scripts that are to be tried without hardware.

On stdout: `ready tcp ADDRESS:PORT` once. With --until-eof it is the host's: it ends with its stdin, and takes there
labels of windows, one JSON object a line ({"task", "window", "inferences"}), each answered by `labelled` once it holds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from energy.errors import EnergyError
from energy.simulator.activity import ActivityLoad
from energy.simulator.load import Load
from energy.simulator.pacing import PacedLoad
from energy.simulator.recording import RecordedLoad, random_load
from energy.simulator.server import NAMES, Simulator
from energy.simulator.truth import parse_label

POLL_S = 0.1
BUILT_IN_WINDOWS = 5
MAX_LABEL_BYTES = 1 << 16


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m energy.simulator",
        description="A virtual power analyser on a TCP port. Nothing it says was measured.",
    )
    parser.add_argument("--dialect", choices=NAMES, default="virtual", help="the instrument it pretends to be")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--host", default="127.0.0.1", help="where it listens; whoever reaches it may use it")
    parser.add_argument(
        "--load", metavar="unix:PATH|FILE",
        help="an emulated board's socket, which is made, or a recording, repeated; without: a made-up board, repeated",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of noise, drawn errors and the made-up board")
    parser.add_argument(
        "--faults", default="", metavar="KIND[@WHEN][=AMOUNT],...", help="see energy/simulator/faults.py"
    )
    parser.add_argument("--errors", default="drawn", metavar="none|drawn|FILE.toml", help="of gain, offset, clock, ...")
    parser.add_argument("--truth", type=Path, help="where the true energies of labelled windows go")
    parser.add_argument("--until-eof", action="store_true", help="end with stdin, and take labels from it")
    return parser


def _load(text: str | None, seed: int) -> Load:
    if text is None:
        return PacedLoad(random_load(seed, BUILT_IN_WINDOWS, idle_s=0.5, repeat=True))
    if text.startswith("unix:"):
        return ActivityLoad(Path(text.removeprefix("unix:")))
    return PacedLoad(RecordedLoad(Path(text), repeat=True))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _serve(simulator: Simulator, until_eof: bool) -> None:
    """Until somebody ends it. Raises EnergyError when it cannot go on, or a label makes no sense."""
    received = b""
    while True:
        simulator.check()
        if not until_eof:
            time.sleep(POLL_S)
            continue
        if not select.select([sys.stdin], [], [], POLL_S)[0]:
            continue
        data = os.read(sys.stdin.fileno(), MAX_LABEL_BYTES)
        *lines, received = (received + data).split(b"\n")
        if not data or len(received) > MAX_LABEL_BYTES:
            return
        for line in lines:
            label = parse_label(line.decode("utf-8", "replace"))
            simulator.analyser.label(label.task, label.window, label.inferences)
            _say("labelled")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns what the process answers: 0, 1 for whatever failed, 130 after Ctrl-C, 2 for a senseless line."""
    options = _parser().parse_args(arguments)
    if not 0 <= options.seed < 1 << 64 or not 0 <= options.port < 1 << 16:
        _parser().error("--seed is below 2^64, --port below 65536, and neither is negative")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.closing(_load(options.load, options.seed)) as load, Simulator(
            options.dialect, load, seed=options.seed, faults=options.faults, errors=options.errors,
            truth=options.truth, host=options.host, port=options.port,
        ) as simulator:  # fmt: skip
            _say(f"ready tcp {options.host}:{simulator.port}")
            _serve(simulator, options.until_eof)
    except EnergyError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
