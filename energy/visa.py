# SPDX-License-Identifier: Apache-2.0
"""One instrument over VISA, by pyvisa and its pure Python backend: commands, replies, definite blocks, the error queue.

Every wait has a deadline of our own, as the library's counts per low-level read. After a timeout the session is closed:
the next answer could be the late one of the question before.
"""

from __future__ import annotations

import math
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energy.errors import GarbledSamples, InstrumentError, InstrumentLost, InstrumentTimeout

Transcript = Callable[[str, str], None]
"""Called with ">" and every command, "<" and every reply; a block is told as `#<bytes>`."""

REPLY_LIMIT_BYTES = 4096
BLOCK_LIMIT_BYTES = 256 << 20
READ_BYTES = 1 << 16
QUEUE_LIMIT = 30  # SCPI asks for no more than an instrument can hold; one that never says 0 would keep us for ever
OPEN_TIMEOUT_S = 5.0
TIMEOUT_S = 3.0
HOST = re.compile(r"TCPIP\d*::([^:]+)::", re.IGNORECASE)
ADDRESS = re.compile(r"(?:TCPIP|USB|GPIB|ASRL)\d*::\S+", re.IGNORECASE)


class VisaSession:
    """An open instrument that said it is the right one. A context manager; several threads may call it.

    All methods raise InstrumentTimeout (it is closed then), InstrumentLost (likewise) or GarbledSamples.
    """

    idn: str

    def __init__(
        self,
        address: str,
        expected: str,
        *,
        timeout_s: float = TIMEOUT_S,
        transcript: Transcript | None = None,
        error_query: str = "SYST:ERR?",
    ) -> None:
        """Open it and ask *IDN?, which has to match the regular expression `expected` from its beginning.

        Raises InstrumentError when it cannot be opened or is something else.
        """
        self.address = address
        self._timeout_s = timeout_s
        self._transcript = transcript
        self._error_query = error_query
        self._lock = threading.RLock()
        self._resource: Any = _open(address)
        try:
            self.idn = self.query("*IDN?")
        except InstrumentError as error:
            self.close()
            raise type(error)(f"{error} Check the address, and that no other program holds the instrument.") from error
        if re.match(expected, self.idn) is None:
            self.close()
            raise InstrumentError(f"{address} is {self.idn!r}, which this monitor's module does not drive.")

    def __enter__(self) -> VisaSession:
        """Itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Hang up."""
        self.close()

    @property
    def is_open(self) -> bool:
        """False after a timeout, a lost line, or close."""
        return self._resource is not None

    def close(self) -> None:
        """Hang up. May be called twice; raises nothing."""
        with self._lock:
            resource, self._resource = self._resource, None
            if resource is not None:
                _close(resource)

    def write(self, command: str) -> None:
        """Send a command that is not answered."""
        with self._exchange(command):
            self._note(">", command)
            self._resource.write(command)

    def query(self, command: str, *, timeout_s: float | None = None) -> str:
        """Send a question; returns its one line of reply, stripped. timeout_s: for the whole of it."""
        with self._exchange(command, timeout_s) as deadline_s:
            self._note(">", command)
            self._resource.write(command)
            reply = self._read_line(deadline_s, command)
        self._note("<", reply)
        return reply

    def query_number(self, command: str) -> float:
        """A question answered by a finite number. GarbledSamples when it is none."""
        reply = self.query(command)
        try:
            number = float(reply)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise GarbledSamples(f"{command} was answered {reply[:80]!r}, which is no number.")
        return number

    def query_block(
        self, command: str, *, timeout_s: float | None = None, limit_bytes: int = BLOCK_LIMIT_BYTES
    ) -> bytes:
        """Send a question that is answered by one definite block; returns its bytes. timeout_s: for the whole of it.

        GarbledSamples, and closed, when it is no definite block or longer than limit_bytes: what follows is unknown.
        """
        with self._exchange(command, timeout_s) as deadline_s:
            self._note(">", command)
            self._resource.write(command)
            data = self._read_block(deadline_s, limit_bytes, command)
        self._note("<", f"#<{len(data)}>")
        return data

    def query_counted(self, command: str, count: int, *, timeout_s: float | None = None) -> bytes:
        """Send a question that is answered by `#0`, count bytes and a line end: Keithley tells no length, so that only
        who asked for so many numbers knows it. GarbledSamples, and closed, when it is anything else."""
        with self._exchange(command, timeout_s) as deadline_s:
            self._note(">", command)
            self._resource.write(command)
            with self._resource.read_termination_context(None):
                head = self._read(2, deadline_s, command)
                if head != b"#0":
                    raise GarbledSamples(f"{command} was answered with {head!r} instead of #0 and numbers.")
                data = self._read(count, deadline_s, command)
                self._read_end(deadline_s, command)
        self._note("<", f"#0<{len(data)}>")
        return data

    def errors(self) -> list[str]:
        """Take the error queue, oldest first, at most 30 entries."""
        found: list[str] = []
        while len(found) < QUEUE_LIMIT:
            entry = self.query(self._error_query)
            if re.match(r"[+-]?0+\b", entry):
                break
            found.append(entry[:200])
        return found

    def check(self, doing: str) -> None:
        """Raise InstrumentError when the error queue has entries; `doing` is what was asked of it, for the message."""
        found = self.errors()
        if found:
            raise InstrumentError(f"{self.address} reports {'; '.join(found)} after {doing}.")

    def _note(self, direction: str, text: str) -> None:
        if self._transcript is not None:
            self._transcript(direction, text)

    @contextmanager
    def _exchange(self, command: str, timeout_s: float | None = None) -> Iterator[float]:
        import pyvisa  # noqa: PLC0415  0.2 s that only a session with an instrument should take

        with self._lock:
            if self._resource is None:
                raise InstrumentLost(f"{self.address} was closed before {command!r}: open it again.")
            try:
                yield time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
            except (pyvisa.Error, OSError, RuntimeError) as error:
                self.close()
                if isinstance(error, pyvisa.VisaIOError) and error.error_code == pyvisa.constants.VI_ERROR_TMO:
                    raise _timeout(self.address, command) from error
                raise InstrumentLost(f"{self.address} was lost during {command!r}: {error}.") from error
            except (InstrumentError, UnicodeError) as error:
                self.close()
                if isinstance(error, UnicodeError):
                    raise GarbledSamples(f"{command} was answered with bytes that are no text.") from error
                raise

    def _read(self, count: int, deadline_s: float, command: str, *, to_the_line_end: bool = False) -> bytes:
        data = bytearray()
        while len(data) < count:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise _timeout(self.address, command)
            here = _wait_on_raw_socket(self._resource, left_s)
            if here == 0:
                continue
            size = min(count - len(data), READ_BYTES if here is None else here)
            self._resource.timeout = max(1, round(left_s * 1000))
            data += self._resource.read_bytes(size, chunk_size=size, break_on_termchar=to_the_line_end)
            if to_the_line_end and (here is None or data.endswith(b"\n")):
                break
        return bytes(data)

    def _read_line(self, deadline_s: float, command: str) -> str:
        data = self._read(REPLY_LIMIT_BYTES, deadline_s, command, to_the_line_end=True)
        if len(data) >= REPLY_LIMIT_BYTES and not data.endswith(b"\n"):
            raise GarbledSamples(f"{command} was answered with over {REPLY_LIMIT_BYTES} bytes and no line end.")
        return data.decode("ascii").strip()

    def _read_block(self, deadline_s: float, limit_bytes: int, command: str) -> bytes:
        with self._resource.read_termination_context(None):  # or the library stops at every byte that is a line end
            head = self._read(2, deadline_s, command)
            if not re.fullmatch(rb"#[1-9]", head):  # #0 has no length, and an error text is no block
                raise GarbledSamples(f"{command} was answered with {head!r}, which begins no definite block.")
            digits = self._read(int(head[1:]), deadline_s, command)
            if not digits.isdigit() or int(digits) > limit_bytes:
                raise GarbledSamples(
                    f"{command} announces a block of {digits!r} bytes: at most {limit_bytes} are sane."
                )
            data = self._read(int(digits), deadline_s, command)
            self._read_end(deadline_s, command)
        return data

    def _read_end(self, deadline_s: float, command: str) -> None:
        end = self._read(1, deadline_s, command)
        if end != b"\n":
            raise GarbledSamples(f"after the block of {command} came {end!r} instead of a line end.")


def from_scpi(values: NDArray[Any]) -> NDArray[np.float32]:
    """Samples as SCPI spells them: 9.91e37 becomes NaN, 9.9e37 and more +inf, -9.9e37 and less -inf; float32, native
    byte order."""
    samples: NDArray[np.float32] = values.astype(np.float32)
    nowhere = np.abs(samples - np.float32(9.91e37)) < 4e34
    samples[samples >= np.float32(9.89e37)] = np.inf
    samples[samples <= np.float32(-9.89e37)] = -np.inf
    samples[nowhere] = np.nan
    return samples


def _open(address: str) -> Any:
    """The pyvisa resource. Raises InstrumentError."""
    import pyvisa  # noqa: PLC0415

    if not ADDRESS.fullmatch(address):
        raise InstrumentError(f"{address!r} is no VISA address: type one like TCPIP0::192.0.2.7::5025::SOCKET.")
    try:
        if host := HOST.match(address):
            socket.gethostbyname(host[1])  # the library leaves a socket open when there is no such name
        resource: Any = pyvisa.ResourceManager("@py").open_resource(address, open_timeout=round(OPEN_TIMEOUT_S * 1000))
    except Exception as error:  # the library raises whatever it comes across here, also bare Exception
        raise InstrumentError(
            f"{address} cannot be opened: {error}. Check that it is switched on and its address."
        ) from error
    try:
        resource.write_termination = "\n"
        resource.read_termination = "\n"
        if line := _raw_socket(resource):  # or a command waits 40 ms until the one before it is acknowledged
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (pyvisa.Error, OSError, RuntimeError, AttributeError) as error:
        _close(resource)
        raise InstrumentError(f"{address} speaks no messages: {error}. Type the address of an instrument.") from error
    return resource


def _close(resource: Any) -> None:
    import pyvisa  # noqa: PLC0415

    with suppress(pyvisa.Error, OSError, RuntimeError, AttributeError):  # a line that died has nothing left to say
        resource.close()


def _session(resource: Any) -> Any:
    """The library's inside of a resource."""
    return getattr(resource.visalib, "sessions", {}).get(resource.session)


def _raw_socket(resource: Any) -> socket.socket | None:
    """The socket of a `::SOCKET` resource; None for all others."""
    line = getattr(_session(resource), "interface", None)
    return line if isinstance(line, socket.socket) else None


def _wait_on_raw_socket(resource: Any, timeout_s: float) -> int | None:
    """How many bytes can be read at once, 0 after timeout_s; None: it is no raw socket, the library has to wait itself.

    The library's own wait on a raw socket spins at full load when the other end has hung up, tells it as a timeout, and
    has no end where bytes trickle in. Raises ConnectionResetError when it has hung up.
    """
    line = _raw_socket(resource)
    if line is None:
        return None
    pending = len(getattr(_session(resource), "_pending_buffer", b""))
    if pending:
        return pending
    readable, _, _ = select.select([line], [], [], timeout_s)
    if not readable:
        return 0
    ready = len(line.recv(READ_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    if ready == 0:
        raise ConnectionResetError("the other end closed the connection")
    return ready


def _timeout(address: str, command: str) -> InstrumentTimeout:
    return InstrumentTimeout(f"{address} did not answer {command!r} in time and was closed: check it and start again.")
