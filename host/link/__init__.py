"""The line between host and device: a transport `Protocol` and what implements it.

`open_link` opens any pyserial URL (`/dev/ttyACM0`, `socket://127.0.0.1:5000`, `rfc2217://...`).
`FakeLink` (fake.py) is a line to a device in memory: a script, a stock device (stock.py) or our own firmware
(tinyjoule.py). `FaultyLink` (faulty.py) wraps another link and corrupts, drops or stalls bytes on purpose.
"""

from __future__ import annotations

from typing import Protocol


class Link(Protocol):
    """A byte stream to one device. Not thread-safe. `close` may be called twice."""

    @property
    def name(self) -> str:
        """What a person would call it: the port's URL."""

    def write(self, data: bytes) -> None:
        """Send all of `data`; blocks. Raises LinkError when the line is closed or broken."""

    def read(self, timeout_s: float) -> bytes:
        """Whatever has arrived, at least one byte; b"" when nothing came within `timeout_s` seconds.

        Raises LinkError when the line is closed or broken.
        """

    @property
    def baud(self) -> int | None:
        """Bits a second on the line; None where there is nothing to choose (a socket)."""

    def set_baud(self, baud: int) -> None:
        """Send and receive at `baud` from now on, once everything written is out. Nothing happens where baud is None.

        Raises LinkError when the line is closed or broken, or the port cannot do it: it keeps its rate then.
        """

    def close(self) -> None:
        """Give the port back."""


# Below the Protocol, which these modules import.
from host.link.fake import FakeLink  # noqa: E402
from host.link.faulty import Fault, FaultyLink  # noqa: E402
from host.link.serial import open_link  # noqa: E402

__all__ = ["FakeLink", "Fault", "FaultyLink", "Link", "open_link"]
