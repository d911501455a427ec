# SPDX-License-Identifier: Apache-2.0
"""The virtual analyser on a TCP port: sockets, lines, replies, and the faults of the line.

One thread serves every connection. Nothing a client does or leaves undone holds up another one, or the load.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from energy.errors import EnergyError, MonitorUnknown
from energy.simulator import dialects
from energy.simulator.analyser import Analyser
from energy.simulator.current import load_model
from energy.simulator.dialect import Dialect, Samples, State
from energy.simulator.errors_model import of as errors_of
from energy.simulator.faults import LINE_KINDS, Faults, parse_faults
from energy.simulator.load import Load
from energy.simulator.scpi import ErrorQueue, commands_of, execute
from energy.simulator.supply import Supply
from energy.simulator.truth import Truth

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(dialects.__path__) if module.name[0] != "_"))
TICK_S = 0.01
MAX_CONNECTIONS = 8
MAX_LINE_BYTES = 1 << 16
MAX_WAITING_BYTES = 64 << 20  # of replies that a client does not take; then it is hung up on
RECEIVE_BYTES = 1 << 16
LONG_REPLY_BYTES = 64  # a line that is no SCPI streams short ones
ERROR = (-310, "System error; a fault that was asked for")


def dialect_class(name: str) -> type[Dialect]:
    """What a dialect's module has. Raises MonitorUnknown where there is none of that name."""
    if name not in NAMES:
        raise MonitorUnknown(f"the virtual analyser does not speak {name}: it speaks {', '.join(NAMES)}.")
    found: type[Dialect] = importlib.import_module(f"energy.simulator.dialects.{name}").Dialect
    return found


def address_of(dialect: str, host: str, port: int) -> str:
    """What an instrument's module opens to speak a dialect with the virtual analyser at this port."""
    return f"TCPIP0::{host}::{port}::SOCKET" if dialect_class(dialect).SCPI else f"socket://{host}:{port}"


@dataclass(slots=True)
class _Connection:
    line: socket.socket
    received: bytearray = field(default_factory=bytearray)
    waiting: bytearray = field(default_factory=bytearray)
    silent_until_s: float = 0.0
    overlong: bool = False
    dying: bool = False


class _Desk:
    """What a dialect sees (energy/simulator/dialect.py): the analyser, the error queue and the way out."""

    def __init__(self, analyser: Analyser, queue: ErrorQueue, server: _Server) -> None:
        self._analyser, self._queue, self._server = analyser, queue, server
        self.set_rate = analyser.set_rate
        self.set_range = analyser.set_range
        self.set_voltage = analyser.set_voltage
        self.set_supply = analyser.set_supply
        self.voltage = analyser.voltage
        self.supply = analyser.supply
        self.now_s = analyser.now_s
        self.push_error = queue.push

    @property
    def rate_hz(self) -> float:
        return self._analyser.rate_hz

    @property
    def range_a(self) -> float | None:
        return self._analyser.range_a

    @property
    def range_switches(self) -> int:
        return self._analyser.range_switches

    def arm(self, *, triggered: bool, limit: int | None = None) -> None:
        self._analyser.arm(triggered=triggered, limit=limit)
        self._server.tell_failure()

    def stop(self, *, keep: bool = False) -> None:
        self._analyser.stop(keep=keep)

    def state(self) -> State:
        return self._analyser.state()

    def available(self) -> int:
        return self._analyser.available()

    def take(self, count: int) -> Samples | None:
        return self._analyser.take(count)

    def send(self, data: bytes) -> None:
        self._server.send(data)

    def backlog(self) -> int:
        return self._server.backlog()


class _Server:
    """Sockets and the thread that serves them."""

    def __init__(self, analyser: Analyser, make: Callable[[_Desk, int], Dialect], seed: int, where: tuple[str, int]):
        self._analyser = analyser
        self._queue = ErrorQueue()
        self._listener = socket.create_server(where)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[_Connection] = []
        self._console: _Connection | None = None
        self._closing = False
        self._die = False
        self._late_s = 0.0
        self._told_failure = False
        self.dialect = make(_Desk(analyser, self._queue, self), seed)
        self.dialect.reset()
        self._thread = threading.Thread(target=self._serve, name="server", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Hang up on everybody."""
        self._closing = True
        if self._thread.ident is not None:
            self._thread.join()
        self._listener.close()

    def is_serving(self) -> bool:
        """False when its thread has ended."""
        return self._thread.is_alive()

    def send(self, data: bytes) -> None:
        """To the connection that spoke last."""
        if self._console is not None:
            self._queue_reply(self._console, data)

    def backlog(self) -> int:
        """What it has not taken yet, in bytes."""
        return len(self._console.waiting) if self._console is not None else 0

    def _serve(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                while not self._closing:
                    self._turn(selector)
        finally:  # also where a dialect has a fault of ours: nobody shall wait for it
            self._listener.close()
            for connection in list(self._connections):
                self._drop(connection)

    def _turn(self, selector: selectors.BaseSelector) -> None:
        wanted: dict[socket.socket, int] = {self._listener: selectors.EVENT_READ}
        now_s = time.monotonic()
        for connection in self._connections:
            writes = bool(connection.waiting) and now_s >= connection.silent_until_s
            wanted[connection.line] = selectors.EVENT_READ | (selectors.EVENT_WRITE if writes else 0)
        _register(selector, wanted)
        ready = {key.fileobj: events for key, events in selector.select(TICK_S)}
        if self._listener in ready:
            self._accept()
        for connection in list(self._connections):
            events = ready.get(connection.line, 0)
            if events & selectors.EVENT_READ:
                self._receive(connection)
            if connection in self._connections and events & selectors.EVENT_WRITE:
                self._write(connection)
        self._happen()
        self.dialect.tick()

    def _accept(self) -> None:
        try:
            line, _ = self._listener.accept()
        except OSError:
            return  # it has gone again
        if len(self._connections) >= MAX_CONNECTIONS:
            line.close()
            return
        line.setblocking(False)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.append(_Connection(line))

    def _drop(self, connection: _Connection) -> None:
        connection.line.close()
        self._connections.remove(connection)
        if self._console is connection:
            self._console = None

    def _receive(self, connection: _Connection) -> None:
        try:
            data = connection.line.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        connection.received += data.replace(b"\r", b"\n")
        *lines, rest = connection.received.split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            rest, connection.overlong = bytearray(), True
        connection.received = bytearray(rest)
        for line in lines:
            if connection.overlong:
                connection.overlong = False
                self._queue.push(-363, "Input buffer overrun")
            elif line.strip() and connection in self._connections:
                self._console = connection
                self._run_line(connection, bytes(line))

    def _run_line(self, connection: _Connection, line: bytes) -> None:
        if not line.isascii():
            self._queue.push(-101, "Invalid character")
            return
        text = line.decode("ascii")
        if not self.dialect.SCPI:
            with contextlib.suppress(ValueError):
                reply = self.dialect.command(text.strip())
                if reply is not None:
                    self._queue_reply(connection, reply)
            return
        self._happen()  # before the reply is made, which may be the one that is to be late or to break off
        replies = [reply for command in commands_of(text) if (reply := execute(command, self.dialect, self._queue))]
        if replies:
            self._queue_reply(connection, b";".join(replies) + b"\n")

    def _queue_reply(self, connection: _Connection, data: bytes) -> None:
        if connection.dying:
            return
        if self._late_s:
            connection.silent_until_s, self._late_s = time.monotonic() + self._late_s, 0.0
        if self._die and len(data) >= (LONG_REPLY_BYTES if self.dialect.SCPI else 2):
            data, self._die, connection.dying = data[: len(data) // 2], False, True
        connection.waiting += data
        if time.monotonic() >= connection.silent_until_s:
            self._write(connection)

    def _write(self, connection: _Connection) -> None:
        try:
            sent = connection.line.send(connection.waiting)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(connection)
            return
        del connection.waiting[:sent]
        if len(connection.waiting) > MAX_WAITING_BYTES or (connection.dying and not connection.waiting):
            self._drop(connection)

    def _happen(self) -> None:
        """Let the faults of the line happen that are due."""
        while (fault := self._analyser.take_fault(LINE_KINDS)) is not None:
            if fault.kind == "late":
                self._late_s = fault.amount
            elif fault.kind == "die":
                self._die = True
            else:
                self._tell(*ERROR)
        if not self._told_failure:
            self.tell_failure()

    def tell_failure(self) -> None:
        """A load that cannot be followed is an error, once and at every capture that is begun."""
        if self._analyser.failure is not None:
            self._told_failure = True
            self._tell(-240, f"Hardware error; {self._analyser.failure}")

    def _tell(self, code: int, text: str) -> None:
        if self.dialect.SCPI:
            self._queue.push(code, text)
        else:
            self.dialect.failed(code, text)


def _register(selector: selectors.BaseSelector, wanted: dict[socket.socket, int]) -> None:
    for key in list(selector.get_map().values()):
        if key.fileobj not in wanted:
            selector.unregister(key.fileobj)
    for line, events in wanted.items():
        if line not in selector.get_map():
            selector.register(line, events)
        elif selector.get_key(line).events != events:
            selector.modify(line, events)


class Simulator:
    """A virtual analyser that listens, as a context manager; `analyser`, `supply` and `dialect` may be looked at."""

    def __init__(
        self,
        dialect: str,
        load: Load,
        *,
        seed: int = 1,
        faults: str = "",
        errors: str = "none",
        truth: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """port 0: any; see `port` then. truth: the file of true energies. The load is closed at the end.

        Raises EnergyError for a dialect, faults or errors that make no sense, and for a port that cannot be had.
        """
        make = dialect_class(dialect)
        self.supply = Supply(load_model().supply)
        model = errors_of(errors, make.HARDWARE, seed, self.supply.volts)
        keeper = Truth(truth, self.supply) if truth else None
        self.analyser = Analyser(load, self.supply, make.HARDWARE, model, Faults(parse_faults(faults)), seed, keeper)
        try:
            self._server = _Server(self.analyser, make, seed, (host, port))
        except OSError as error:
            raise EnergyError(f"port {port} of {host} cannot be had: {error.strerror}. Name another one.") from None
        self._stack = ExitStack()
        self.dialect: Dialect = self._server.dialect
        self.port = self._server.port
        self.address = address_of(dialect, host, self.port)

    def check(self) -> None:
        """Raise EnergyError when it cannot go on: the load, or a fault of its own, which is on stderr then."""
        if self.analyser.failure is not None:
            raise self.analyser.failure
        if not self._server.is_serving():
            raise EnergyError("the virtual analyser does not answer any more: what is said above is a fault of it.")

    def __enter__(self) -> Simulator:
        """Begin."""
        self._stack.enter_context(self.analyser)
        self._stack.callback(self._server.close)
        self._server.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Hang up on everybody, leave the load."""
        self._stack.close()
