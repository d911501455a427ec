# SPDX-License-Identifier: Apache-2.0
"""A virtual analyser in this process with a made-up board, and its own monitor, for the tests of both."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from energy.capture import measure_window
from energy.instrument import Settings
from energy.instruments.simulated import Simulated, open_instrument
from energy.simulator.pacing import GatedLoad
from energy.simulator.recording import RandomLoad, random_load
from energy.simulator.server import Simulator
from energy.window import Reading

SETTINGS = Settings(rate_hz=100_000, range_a=0.1, voltage_v=1.8)
INFERENCES = 8


class Bench:
    """A board, its analyser and a monitor."""

    def __init__(self, simulator: Simulator, board: GatedLoad, load: RandomLoad, monitor: Simulated) -> None:
        self.simulator, self.board, self.load, self.monitor = simulator, board, load, monitor
        self.settings = monitor.configure(SETTINGS)
        self.done = 0

    def work(self) -> float:
        """Run the next window; returns the board's own time of it."""
        self.board.play()
        self.done += 1
        return self.load.windows[self.done - 1].device_s

    def window(self) -> Reading:
        """Measure the next window, as a session does."""
        return measure_window(self.monitor, self.settings, self.work, 0.1)


@contextmanager
def bench(
    faults: str = "", *, seed: int = 5, errors: str = "none", windows: int = 3, truth: Path | None = None
) -> Iterator[Bench]:
    """All of it, with a board of so many windows of 8 inferences."""
    load = random_load(seed, windows, inferences=(INFERENCES,) * windows, inference_s=0.004)
    board = GatedLoad(load)
    with (
        Simulator("virtual", board, seed=seed, faults=faults, errors=errors, truth=truth) as simulator,
        open_instrument(simulator.address) as monitor,
    ):
        yield Bench(simulator, board, load, monitor)


def dial(port: int) -> socket.socket:
    """A bare connection."""
    line = socket.create_connection(("127.0.0.1", port), timeout=10)
    line.settimeout(10)
    return line


def ask(line: socket.socket, question: str) -> str:
    """One question, one line of reply."""
    line.sendall(question.encode() + b"\n")
    return read_line(line)


def read_line(line: socket.socket) -> str:
    """Up to and without the next line end; EOFError when the other end hangs up."""
    data = b""
    while not data.endswith(b"\n"):
        some = line.recv(1)
        if not some:
            raise EOFError(data)
        data += some
    return data[:-1].decode()
