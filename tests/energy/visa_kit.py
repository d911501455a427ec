# SPDX-License-Identifier: Apache-2.0
"""What the tests of VISA instruments share: a bench with a simulated instrument, dialogues, and a scripted peer."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from energy.capture import Sink, measure_reference, measure_window
from energy.instrument import Instrument, SampleChunk, Settings
from energy.instruments import module_of
from energy.simulator.pacing import GatedLoad
from energy.simulator.recording import RandomLoad, random_load
from energy.simulator.server import Simulator
from energy.window import Reading

TRANSCRIPTS = Path(__file__).with_name("transcripts")
VOLTS = 1.8
SPEED = 8.0  # idle seconds per second of the wall clock
SLOWER_HZ = {"rs_ngu": 50e3, "keithley_dmm7510": 100e3}
"""Where the highest rate is not what a test is about, and would cost time."""
Dialogue = list[str]


class Bench:
    """A simulated instrument at a board that idles, and runs a window when told to. `said` is the dialogue."""

    def __init__(self, dialect: str, faults: str = "", errors: str = "none", windows: int = 3) -> None:
        """The first window has one inference, the others 100: 0.3 s."""
        self.dialect = dialect
        self.made: RandomLoad = random_load(7, windows, inferences=[1] + [100] * (windows - 1), inference_s=3e-3)
        self.load = GatedLoad(self.made, speed=SPEED)
        self.simulator = Simulator(dialect, self.load, faults=faults, errors=errors)
        self.said: Dialogue = []
        self.window = 0

    def __enter__(self) -> Self:
        self.simulator.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.simulator.__exit__(kind, error, trace)

    def open(self) -> Any:
        return module_of(self.dialect).open_instrument(
            self.simulator.address, transcript=lambda way, text: self.said.append(f"{way} {text}")
        )

    def ready(self, instrument: Instrument, rate_hz: float | None = None) -> Settings:
        """Set up at this rate, or at the instrument's own, and supplying the board where it can."""
        rate_hz = rate_hz or instrument.default_rate_hz
        settings = instrument.configure(Settings(rate_hz, instrument.default_range_a, VOLTS))
        if instrument.is_supply:
            instrument.set_supply(True)
        return settings

    def work(self) -> float:
        """One window of the board; its own time of it."""
        self.load.play()
        self.window += 1
        return self.made.windows[self.window - 1].device_s

    def measure(self, instrument: Instrument, settings: Settings, sink: Sink | None = None) -> Reading:
        """A window, with the short capture before it. sink: gets the window's samples."""
        reference = measure_reference(instrument, settings, self.work, 0.01)
        return measure_window(instrument, settings, self.work, 0.3, reference=reference, sink=sink)


def read_some(instrument: Instrument, enough: Callable[[list[SampleChunk]], bool]) -> list[SampleChunk]:
    """Chunks until there are enough; the test fails when they do not come."""
    chunks: list[SampleChunk] = []
    until_s = time.monotonic() + 20
    while not enough(chunks):
        assert time.monotonic() < until_s, f"{len(chunks)} chunks"
        chunk = instrument.read(0.2)
        if chunk is not None:
            chunks.append(chunk)
    return chunks


def tidied(said: Dialogue) -> Dialogue:
    """A dialogue without what depends on time: how many samples came at once, and how often it was asked for them."""
    text = "\n".join(said)
    text = re.sub(r"#(0?)<\d+>", r"#\1<n>", text)
    text = re.sub(r"(TRAC:ACT\? .*\n<) \d+", r"\1 n", text)
    text = re.sub(r"TRAC:DATA\? \d+,\d+", "TRAC:DATA? i,j", text)
    exchanges = [exchange.strip() for exchange in re.split(r"^(?=> )", text, flags=re.MULTILINE) if exchange.strip()]
    start = next((k for k, one in enumerate(exchanges) if one.startswith("> FLOG:TRIG 1")), len(exchanges))
    quiet = "> STAT:OPER:INST:ISUM1:EVEN?\n< 0"
    exchanges = exchanges[:start] + [one for one in exchanges[start:] if one != quiet]
    kept: list[str] = []
    for exchange in exchanges:
        kept.append(exchange)
        for size in (1, 2, 3, 4):
            if exchange.startswith(("> FETC", "> SYST:ERR?", "> TRAC", "> STAT")) and (
                kept[-size:] == kept[-2 * size : -size]
            ):
                del kept[-size:]
                break
    return "\n".join(kept).split("\n")


def written(name: str) -> Dialogue:
    """A dialogue of tests/energy/transcripts: lines of `> command` and `< reply`; `# ...` says what is going on."""
    lines = (TRANSCRIPTS / f"{name}.txt").read_text(encoding="ascii").splitlines()
    return [line for line in lines if line and not line.startswith("# ")]


def reply_bytes(text: str) -> bytes:
    """A reply of a script: text; `block >f8 0.1 0.2`: a definite block; `counted <f4 0.1`: Keithley's, no length."""
    kind, _, numbers = text.partition(" ")
    if kind not in ("block", "counted"):
        return text.encode() + b"\n"
    order = numbers[0] + {"f4": "f", "f8": "d"}[numbers[1:3]]
    values = [float(word) for word in numbers.split()[1:]]
    data = b"".join(struct.pack(order, value) for value in values)
    length = str(len(data))
    return (b"#0" if kind == "counted" else f"#{len(length)}{length}".encode()) + data + b"\n"


@contextmanager
def scripted_peer(script: Dialogue, *, hangs_up: bool = False) -> Iterator[tuple[str, Dialogue]]:
    """An instrument that knows one dialogue by heart: its address, and what it was told instead of what it expected.

    It takes one connection, and hangs up at the first line that is another one. hangs_up: at the end of the script too,
    where it otherwise waits for what comes too much.
    """
    wrong: Dialogue = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        address = f"TCPIP0::127.0.0.1::{listener.getsockname()[1]}::SOCKET"
        thread = threading.Thread(target=_play, args=(listener, list(script), wrong, hangs_up))
        thread.start()
        try:
            yield address, wrong
        finally:
            thread.join()


def _play(listener: socket.socket, script: Dialogue, wrong: Dialogue, hangs_up: bool) -> None:
    line, _ = listener.accept()
    listener.close()
    with line, line.makefile("rb") as incoming, contextlib.suppress(OSError):
        line.settimeout(10)
        while script:
            expected = script.pop(0)
            told = incoming.readline().decode().rstrip("\n")
            if f"> {told}" != expected:
                wrong.append(f"told {told!r} instead of {expected!r}")
                return
            while script and script[0].startswith("< "):
                line.sendall(reply_bytes(script.pop(0)[2:]))
        if not hangs_up and (rest := incoming.read()) != b"":
            wrong.append(f"told {rest!r} after the end")
