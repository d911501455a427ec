# SPDX-License-Identifier: Apache-2.0
"""The virtual analyser on its socket: SCPI as instruments speak it, clients of all manners, loads that end or fail."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest
from simulator_kit import SETTINGS, ask, bench, dial, read_line

from energy.capture import measure_idle
from energy.errors import EnergyError, GarbledSamples, InstrumentError, MonitorUnknown
from energy.instrument import Settings
from energy.instruments.simulated import Simulated, open_instrument
from energy.simulator.analyser import Analyser
from energy.simulator.current import load_model
from energy.simulator.dialect import Hardware, block, is_header, split_command
from energy.simulator.errors_model import ideal
from energy.simulator.faults import Faults
from energy.simulator.load import LoadPiece
from energy.simulator.pacing import GatedLoad, PacedLoad
from energy.simulator.recording import random_load
from energy.simulator.scpi import ErrorQueue, commands_of
from energy.simulator.server import MAX_CONNECTIONS, Simulator
from energy.simulator.supply import Supply


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator("virtual", GatedLoad(random_load(1, 1)), seed=42) as running:
        yield running


@pytest.fixture
def line(simulator: Simulator) -> Iterator[socket.socket]:
    with dial(simulator.port) as connection:
        yield connection


def test_headers_in_short_and_long_form() -> None:
    for header in ("SENS:ELOG:PER", ":sense:elog:period", "ELOG:PER", "Elog:Period"):
        assert is_header(header, "[SENSe]:ELOG:PERiod")
    for header in ("SENS:ELOG:PERI", "SENS:ELOG", "SENS:ELOG:PER?", "XSENS:ELOG:PER", "ELOG:PER:X"):
        assert not is_header(header, "[SENSe]:ELOG:PERiod")
    assert is_header("SYST:ERR:NEXT?", "SYSTem:ERRor[:NEXT]?")
    assert split_command('TRAC:DATA? 1, 10 ,"a,b",READ,(@1,2)') == (
        "TRAC:DATA?",
        ["1", "10", '"a,b"', "READ", "(@1,2)"],
    )
    assert split_command("A (@1,2") == ("A", ["@1", "2"])  # an open one is none
    assert split_command("A " + "(" * 65_000) == ("A", [])  # this took 15 s
    assert block(b"x" * 12) == b"#212" + b"x" * 12


def test_several_commands_in_a_line() -> None:
    assert list(commands_of(":A:B 1;C 2;*CLS;D?;:E 3")) == [":A:B 1", ":A:C 2", "*CLS", ":A:D?", ":E 3"]
    assert list(commands_of('A "x;y";;B \'')) == ['A "x;y"', "B '"]
    assert list(commands_of(";;")) == []


def test_the_error_queue_is_bounded_and_says_so() -> None:
    queue = ErrorQueue()
    for number in range(50):
        queue.push(-number, 'it says "no"')
    assert len(queue) == 20
    assert queue.take() == "0,\"it says 'no'\""
    assert [queue.take() for _ in range(19)][-1] == '-350,"Queue overflow"'
    assert queue.take() == '0,"No error"'


def test_common_commands(line: socket.socket) -> None:
    assert ask(line, "*IDN?") == "tinyjoule,VA1,42,1"
    assert ask(line, "*OPC?;*ESR?;:SENS:RATE?") == "1;0;100000"
    line.sendall(b"FOO:BAR 1\nSENS:RATE fast\n:SENS:RANG 5;RATE -1\n")
    assert ask(line, "SYST:ERR:COUN?") == "4"
    assert ask(line, "SYST:ERR?").startswith("-113,")
    assert ask(line, "syst:err:next?").startswith("-224,")
    line.sendall(b"*CLS\n")
    assert ask(line, "SYSTEM:ERROR?") == '0,"No error"'
    line.sendall(b"SENS:RATE 3e5;RANG 0.02\r\n")
    assert ask(line, "SENS:RATE?;RANG?") == "333333.333;0.1"
    line.sendall(b"*RST\n")
    assert ask(line, "SENS:RATE?") == "100000"


def test_what_is_no_line_of_text(line: socket.socket) -> None:
    line.sendall(b"\xff\xfe\n\n\r\n  \n")
    assert ask(line, "SYST:ERR?").startswith("-101,")
    line.sendall(b"A" * 300_000 + b"\n")
    assert ask(line, "SYST:ERR?").startswith("-363,")
    assert ask(line, "*IDN?").startswith("tinyjoule")


def test_a_line_in_pieces_and_many_in_one(line: socket.socket) -> None:
    for byte in b"*IDN?\n":
        line.sendall(bytes([byte]))
    assert read_line(line).startswith("tinyjoule")
    line.sendall(b"*OPC?\n" * 100)
    assert [read_line(line) for _ in range(100)] == ["1"] * 100


def test_rude_clients_disturb_nobody(simulator: Simulator) -> None:
    for ending in (b"", b"FETC? 100000\n", b"*IDN", b"INIT\n" * 10, b"\x00" * 1000):
        with dial(simulator.port) as rude:
            rude.sendall(ending)
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends with a reset
    with dial(simulator.port) as deaf, dial(simulator.port) as polite:
        deaf.setblocking(False)
        try:
            for _ in range(2000):
                deaf.send(b"*IDN?\n" * 1000)
        except BlockingIOError:
            pass
        assert ask(polite, "*IDN?").startswith("tinyjoule")


def test_so_many_connections_and_no_more(simulator: Simulator) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            assert ask(stack.enter_context(dial(simulator.port)), "*OPC?") == "1"
        with dial(simulator.port) as one_more, pytest.raises((EOFError, ConnectionError)):
            ask(one_more, "*OPC?")


def test_it_is_the_supply_and_switches_the_board_off_and_on() -> None:
    with bench() as board:
        monitor = board.monitor
        on = measure_idle(monitor, board.settings, 0.1)
        monitor.set_supply(False)
        off = measure_idle(monitor, board.settings, 0.1)
        monitor.set_supply(True)
        again = measure_idle(monitor, board.settings, 0.1)
    assert on.mean_a == pytest.approx(again.mean_a, rel=1e-3)
    assert 0.4e-3 < on.mean_a < 2.1e-3
    assert off.mean_a == 0
    assert off.mean_w == 0


def test_the_monitor_reads_back_what_it_set(simulator: Simulator) -> None:
    said: list[tuple[str, str]] = []
    with Simulated(simulator.address, lambda direction, text: said.append((direction, text))) as monitor:
        assert monitor.configure(Settings(150_000, 0.02, 2.5)) == Settings(pytest.approx(142857.143), 0.1, 2.5)
        assert monitor.configure(Settings(1e5, None, 1.8)).range_a is None
        assert simulator.supply.volts == 1.8
        for wanted in (Settings(2e6, 0.1, 1.8), Settings(1e5, 2.0, 1.8), Settings(1e5, 0.1, 12.0)):
            with pytest.raises(InstrumentError, match=r"-224.*after being set up"):
                monitor.configure(wanted)
        assert monitor.errors() == []
    assert said[:6] == [
        (">", "*IDN?"), ("<", "tinyjoule,VA1,42,1"), (">", "*CLS"), (">", "ABOR"),
        (">", "SENS:RATE 150000"), (">", "SENS:RANG 0.02"),
    ]  # fmt: skip
    assert simulator.analyser.state() == "off"


def test_an_exception_leaves_it_measuring_nothing(simulator: Simulator) -> None:
    def interrupted() -> None:
        with open_instrument(simulator.address) as monitor:
            monitor.configure(SETTINGS)
            monitor.start(triggered=False, duration_s=1)
            assert simulator.analyser.state() == "recording"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert simulator.analyser.state() == "off"
    assert simulator.supply.on


def test_a_triggered_capture_begins_at_the_edge() -> None:
    with bench() as board:
        monitor = board.monitor
        monitor.start(triggered=True, duration_s=1)
        assert monitor.read(0.05) is None
        board.work()
        chunk = monitor.read(1.0)
        assert chunk is not None
        assert chunk.t0_s == 0
        made_up = board.load.windows[0]
        samples = [chunk.marker]
        while (following := monitor.read(0.02)) is not None and following.t0_s < 0.1:
            samples.append(following.marker)
        pin = np.concatenate([part for part in samples if part is not None])
        falls = np.flatnonzero(pin[:-1] & ~pin[1:])
        assert not pin[0]
        assert falls[0] + 1 == pytest.approx((made_up.end_s - made_up.start_s) * 1e5, abs=1)
        monitor.stop()
        monitor.stop()


def test_range_switches_are_counted() -> None:
    with bench() as board:
        settings = board.monitor.configure(Settings(1e5, None, 1.8))
        board.settings = settings
        reading = board.window()
        assert settings.range_a is None
        assert reading.range_switches >= 2
        assert board.monitor.range_switches >= 2


def test_the_load_waits_for_whoever_does_not_fetch_and_then_samples_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("energy.simulator.analyser.PATIENCE_S", 0.3)
    hardware = Hardware("VA1", 1e5, 1e6, (0.1,), 0.1, fifo=1000)
    load = random_load(1, 1, inferences=(2,), idle_s=0.05, repeat=True)
    with Analyser(PacedLoad(load), Supply(load_model().supply), hardware, ideal(hardware), Faults([]), 1) as analyser:
        analyser.arm(triggered=False)
        while analyser.available() < 1000:
            time.sleep(0.005)
        time.sleep(0.5)
        held = analyser.available()
        assert held < 2500  # the FIFO, and what one piece of the load had in it
        lost = 0
        taken = 0
        deadline = time.monotonic() + 5
        while not lost and time.monotonic() < deadline:
            samples = analyser.take(100)
            if samples is None:
                time.sleep(0.01)
                continue
            lost += samples.lost
            assert samples.first == taken + lost
            taken += len(samples.pin)
        assert lost > 0


def test_a_buffer_of_so_many_samples_is_full_then(simulator: Simulator) -> None:
    analyser = simulator.analyser
    analyser.arm(triggered=False, limit=700)
    while analyser.state() != "full":
        time.sleep(0.005)
    assert analyser.available() == 700
    samples = analyser.take(10_000)
    assert samples is not None
    assert len(samples.pin) == 700
    assert analyser.take(1) is None
    analyser.arm(triggered=False)
    while not analyser.available():
        time.sleep(0.005)
    analyser.stop(keep=True)
    left = analyser.available()
    assert left > 0
    assert analyser.state() == "off"
    time.sleep(0.05)
    assert analyser.available() == left


class Failing:
    """A load that goes wrong after its first piece."""

    def __init__(self) -> None:
        self.closed = False
        self._read = False

    def read(self, _timeout_s: float) -> LoadPiece | None:
        if self._read:
            raise GarbledSamples("the board speaks in tongues")
        self._read = True
        return LoadPiece(0.0, np.array([0.01]), np.array([0.001]), ())

    def pending(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


def test_a_load_that_fails_is_in_the_error_queue() -> None:
    load = Failing()
    with Simulator("virtual", load) as simulator, open_instrument(simulator.address) as monitor:
        monitor.configure(SETTINGS)
        with pytest.raises(InstrumentError, match="the board speaks in tongues"):
            monitor.start(triggered=False, duration_s=1)
        assert monitor.read(0.05) is None
    assert load.closed


def test_a_load_that_ends_leaves_an_instrument_without_samples() -> None:
    with Simulator("virtual", random_load(1, 1)) as simulator, open_instrument(simulator.address) as monitor:
        monitor.configure(SETTINGS)
        time.sleep(0.1)
        monitor.start(triggered=False, duration_s=1)
        assert monitor.read(0.05) is None
        assert monitor.errors() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_its_own_hangs_up_and_is_told(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_line: str) -> bytes:
        raise KeyError("a fault in a dialect")

    monkeypatch.setattr(simulator.dialect, "command", broken)
    simulator.check()
    with dial(simulator.port) as line, pytest.raises((EOFError, ConnectionError)):
        ask(line, "SENS:RATE?")
    with pytest.raises(ConnectionRefusedError):
        dial(simulator.port)

    def check_until_it_has_ended() -> None:
        while True:
            simulator.check()

    with pytest.raises(EnergyError, match="does not answer any more"):
        check_until_it_has_ended()


def test_what_it_does_not_do() -> None:
    load = Failing()
    with pytest.raises(MonitorUnknown, match=r"does not speak klingon: it speaks .*virtual"):
        Simulator("klingon", load)
    with pytest.raises(EnergyError, match="is no fault"):
        Simulator("virtual", load, faults="boredom")
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(EnergyError, match=r"port \d+ of 127.0.0.1 cannot be had"),
    ):
        Simulator("virtual", load, port=taken.getsockname()[1])
