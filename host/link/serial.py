"""Real ports: any pyserial URL (`/dev/ttyACM0`, `COM3`, `rfc2217://...`, `hwgrep://...`), and `open_link`."""

from __future__ import annotations

import contextlib
import errno
import time
from typing import Any

from host.errors import LinkError, LinkTimeout, UsageError
from host.link import Link
from host.link.tcp import TcpLink

try:
    from termios import error as _TerminalError  # noqa: N812  (pyserial lets it out; it is no OSError)
except ImportError:  # no POSIX
    _TerminalError = OSError  # type: ignore[misc,assignment]

# One read of pyserial blocks so long at most. Fixed, because changing it makes an RFC 2217 port negotiate again.
POLL_S = 0.02
WRITE_TIMEOUT_S = 10.0


def open_link(url: str, baud: int) -> Link:
    """Open `url`, 8N1 at `baud` (which a socket ignores).

    Raises LinkError, saying what to do, when the port is missing, busy, forbidden or refused; UsageError when the URL
    is none.
    """
    if not url:
        raise UsageError("the port's name is empty: say where the board is, e.g. --port /dev/ttyACM0")
    if url.startswith("socket://"):
        return TcpLink(url)
    return SerialLink(url, baud)


class SerialLink:
    """A Link over a port of pyserial."""

    def __init__(self, url: str, baud: int) -> None:
        """Open the port for ourselves alone."""
        import serial  # noqa: PLC0415  (only who opens a real port pays for it)

        self._name = url
        self._port: Any = None
        try:
            self._port = serial.serial_for_url(
                url, baudrate=baud, timeout=POLL_S, write_timeout=WRITE_TIMEOUT_S, exclusive=True
            )
        except serial.SerialException as error:
            raise LinkError(_why_not_open(url, error)) from None
        except ValueError as error:
            raise UsageError(f"{url!r} at {baud} baud is nothing that pyserial can open: {error}") from None
        except OSError as error:
            raise LinkError(_why_not_open(url, error)) from None

    @property
    def name(self) -> str:
        """The port's URL."""
        return self._name

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        import serial  # noqa: PLC0415

        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            raise LinkTimeout(f"{self._name}: the port takes no bytes any more: replug the board.") from None
        except (OSError, TypeError) as error:  # pyserial lets TypeError out of a port closed in mid-call
            raise self._broken(error) from None

    def read(self, timeout_s: float) -> bytes:
        """Whatever has arrived; b"" when nothing did."""
        deadline = time.monotonic() + timeout_s
        try:
            if timeout_s <= 0:  # no waiting at all: what read() would do for POLL_S
                return bytes(self._port.read(self._port.in_waiting))
            while True:
                data: bytes = self._port.read(1)
                if data:
                    return bytes(data + self._port.read(self._port.in_waiting))
                if time.monotonic() >= deadline:
                    return b""
        except (OSError, TypeError) as error:
            raise self._broken(error) from None

    @property
    def baud(self) -> int | None:
        """The port's rate."""
        baud: int = self._port.baudrate
        return baud

    def set_baud(self, baud: int) -> None:
        """Change the port's rate, once everything written is out."""
        before = self._port.baudrate
        try:
            self._port.flush()
            self._port.baudrate = baud
        except ValueError as error:
            self._port.baudrate = before
            raise LinkError(f"{self._name}: the port cannot do {baud} baud: {error}") from None
        except (OSError, TypeError, _TerminalError) as error:
            raise self._broken(error) from None

    def close(self) -> None:
        """Give the port back."""
        with contextlib.suppress(OSError):
            self._port.close()

    def _broken(self, error: Exception) -> LinkError:
        return LinkError(f"{self._name}: the port is gone ({error}): replug the board and check that it has power.")


def _why_not_open(url: str, error: OSError) -> str:
    """What a person can do about a port that does not open."""
    number = error.errno
    text = str(error)
    if number == errno.ENOENT or "FileNotFoundError" in text:
        return f"{url}: no such port. {_known_ports()}"
    if number in (errno.EACCES, errno.EPERM) or "PermissionError" in text:
        return (
            f"{url}: no permission. Join the group that owns the port (`sudo adduser $USER dialout` on Debian) and "
            "log in again."
        )
    if number in (errno.EISDIR, errno.ENOTTY) or "Could not configure port" in text:
        return f"{url}: not a serial port. {_known_ports()}"
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in text:
        return f"{url}: busy: another program has it open. Close the other terminal or runner."
    if number == errno.ECONNREFUSED or "refused" in text:
        return f"{url}: connection refused: nothing listens there."
    return f"{url}: cannot be opened: {text}. {_known_ports()}"


def _known_ports() -> str:
    from serial.tools import list_ports  # noqa: PLC0415

    ports = sorted(port.device for port in list_ports.comports() if port.vid is not None)
    if not ports:
        return "No USB serial port is there at all: is the board plugged in, with a cable that carries data?"
    return "USB serial ports that are there: " + ", ".join(ports)
