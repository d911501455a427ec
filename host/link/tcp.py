"""`socket://HOST:PORT`: the UART of an emulated board, or a serial port shared by a terminal server.

pyserial opens such URLs too, but reads a socket byte by byte and leaves Nagle's algorithm on: 40 ms for a command
that a loopback answers in 50 us, 16000 times for one data set. This is the same URL over a plain socket.
"""

from __future__ import annotations

import contextlib
import socket
from urllib.parse import urlsplit

from host.errors import LinkError, LinkTimeout, UsageError

CONNECT_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 10.0
READ_BYTES = 65536


def split_url(url: str) -> tuple[str, int]:
    """Host and port of `socket://HOST:PORT`. Raises UsageError when it is not of that form."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        port = None
    if port is None or parts.scheme != "socket" or not parts.hostname or parts.path not in ("", "/"):
        raise UsageError(f"{url!r} is not of the form socket://HOST:PORT, for example socket://127.0.0.1:5000")
    return parts.hostname, port


class TcpLink:
    """A Link over one TCP connection."""

    def __init__(self, url: str) -> None:
        """Connect. Raises LinkError when nobody listens there."""
        host, port = split_url(url)
        self._name = url
        try:
            self._socket = socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S)
        except ConnectionRefusedError:
            raise LinkError(
                f"{url}: connection refused: nothing listens there. Start an emulated board with `host emulate BOARD`, "
                "or leave --port out and one is started for you."
            ) from None
        except OSError as error:
            raise LinkError(f"{url}: cannot connect: {error}. Check the host name, the port and the network.") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def name(self) -> str:
        """The URL."""
        return self._name

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            self._socket.settimeout(WRITE_TIMEOUT_S)
            self._socket.sendall(data)
        except TimeoutError:
            raise LinkTimeout(f"{self._name}: the other end takes no bytes any more: is the board hung?") from None
        except OSError as error:
            raise self._broken(error) from None

    def read(self, timeout_s: float) -> bytes:
        """Whatever has arrived; b"" when nothing did."""
        try:
            self._socket.settimeout(max(timeout_s, 0.0))
            data = self._socket.recv(READ_BYTES)
        except (TimeoutError, BlockingIOError):
            return b""
        except OSError as error:
            raise self._broken(error) from None
        if not data:
            raise LinkError(f"{self._name}: the other end closed the connection: the emulator or bridge has ended.")
        return data

    @property
    def baud(self) -> int | None:
        """A socket has none."""
        return None

    def set_baud(self, baud: int) -> None:
        """Nothing to set."""

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _broken(self, error: OSError) -> LinkError:
        if self._socket.fileno() < 0:
            return LinkError(f"{self._name}: this link is closed already")
        return LinkError(f"{self._name}: connection lost: {error.strerror or error}. The emulator or bridge has ended.")
