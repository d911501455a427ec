# SPDX-License-Identifier: Apache-2.0
"""A serial port, or a TCP connection that stands for one, with the errors of this package.

Private to the instruments. A pyserial URL: `/dev/ttyACM1`, `COM5`, `socket://HOST:PORT`, `rfc2217://HOST:PORT`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import Any, Protocol
from urllib.parse import urlsplit

from energy.errors import InstrumentError, InstrumentLost, InstrumentTimeout, MonitorUnknown

CONNECT_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 5.0
POLL_S = 0.02
READ_BYTES = 1 << 18


class Port(Protocol):
    """Bytes in both directions. Used from one thread at a time."""

    name: str

    def write(self, data: bytes) -> None:
        """Send all of it. Raises InstrumentTimeout when nobody takes it, InstrumentLost when the line is gone."""

    def read(self, timeout_s: float) -> bytes:
        """What has arrived; b"" when nothing did within timeout_s. Raises InstrumentLost."""

    def close(self) -> None:
        """Hang up. May be called twice; raises nothing."""


def open_port(address: str, baud: int) -> Port:
    """Open a pyserial URL for ourselves alone, 8N1 at `baud`, which a socket ignores.

    Raises InstrumentError, saying what to do, or MonitorUnknown where the address is none.
    """
    if address.startswith("socket://"):
        return _TcpPort(address)
    return _SerialPort(address, baud)


def read_until(port: Port, deadline: float, buffer: bytearray, end: bytes) -> bytes | None:
    """Read into `buffer` until `end` is in it, and take what comes before and `end` itself out of it.

    None when the monotonic clock passes `deadline` first. Raises InstrumentLost.
    """
    searched = 0
    while (at := buffer.find(end, searched)) < 0:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return None
        searched = max(len(buffer) - len(end) + 1, 0)
        buffer += port.read(left_s)
    taken = bytes(buffer[: at + len(end)])
    del buffer[: at + len(end)]
    return taken


class _TcpPort:
    """A plain socket: pyserial's reads one byte at a time and leaves Nagle's algorithm on."""

    def __init__(self, address: str) -> None:
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or port is None:
            raise MonitorUnknown(f"{address!r} is not of the form socket://HOST:PORT, e.g. socket://127.0.0.1:5000.")
        self.name = address
        try:
            self._socket = socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S)
        except OSError as error:
            raise InstrumentError(
                f"{address}: cannot connect ({error}): check host and port, and that the instrument is on."
            ) from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(WRITE_TIMEOUT_S)

    def write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise InstrumentTimeout(f"{self.name}: takes no bytes any more: switch it off and on.") from None
        except OSError as error:
            raise self._lost(error) from None

    def read(self, timeout_s: float) -> bytes:
        try:
            if not select.select([self._socket], [], [], max(timeout_s, 0.0))[0]:
                return b""
            data = self._socket.recv(READ_BYTES)
        except (OSError, ValueError) as error:  # ValueError: it was closed
            raise self._lost(error) from None
        if not data:
            raise self._lost("the other end closed it")
        return data

    def close(self) -> None:
        self._socket.close()

    def _lost(self, why: object) -> InstrumentLost:
        return InstrumentLost(f"{self.name}: the connection is gone ({why}): check the instrument and start again.")


class _SerialPort:
    """A port of pyserial."""

    def __init__(self, address: str, baud: int) -> None:
        import serial  # noqa: PLC0415  (only who opens a real port pays for it)

        self.name = address
        self._port: Any = None
        try:
            self._port = serial.serial_for_url(
                address, baudrate=baud, timeout=POLL_S, write_timeout=WRITE_TIMEOUT_S, exclusive=True
            )
        except serial.SerialException as error:
            raise InstrumentError(
                f"{address}: cannot be opened ({error}): check the name (`host monitors` lists what is connected), the "
                "permission (on Debian: `sudo adduser $USER dialout`) and that no other program has it."
            ) from None
        except (OSError, ValueError) as error:
            raise MonitorUnknown(f"{address!r} at {baud} baud is nothing that pyserial can open: {error}.") from None

    def write(self, data: bytes) -> None:
        import serial  # noqa: PLC0415

        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            raise InstrumentTimeout(f"{self.name}: takes no bytes any more: replug the instrument.") from None
        except (OSError, TypeError) as error:  # pyserial lets TypeError out of a port closed in mid-call
            raise self._lost(error) from None

    def read(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        try:
            while not (waiting := self._port.in_waiting):
                first: bytes = self._port.read(1)
                if first:
                    return first + bytes(self._port.read(min(self._port.in_waiting, READ_BYTES)))
                if time.monotonic() >= deadline:
                    return b""
            return bytes(self._port.read(min(waiting, READ_BYTES)))
        except (OSError, TypeError) as error:
            raise self._lost(error) from None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._port.close()

    def _lost(self, error: Exception) -> InstrumentLost:
        return InstrumentLost(f"{self.name}: the port is gone ({error}): replug the instrument and start again.")
