"""Two ends of a UART in memory: bytes come out as rubbish when the ends' rates differ, or where the cable ends."""

from __future__ import annotations

import random

from host import frames
from host.errors import LinkError
from host.link.fake import FakeLink
from host.link.stock import Answer
from host.link.tinyjoule import TinyjouleDevice
from host.wire.spec import spec

REVERT_S = spec().frames.revert_ms / 1000


class FakeUart:
    """A Link to a fake device over a line with a rate, in modelled time: waiting takes none.

    best_baud: above it, one byte in `one_in` is damaged in each direction. port_max: what the host's port can do.
    boot_baud: of both ends; default: what the device has now. The device goes back to it as ours does.
    """

    def __init__(
        self,
        device: TinyjouleDevice,
        *,
        best_baud: int = 10**9,
        one_in: int = 20,
        port_max: int = 10**9,
        boot_baud: int | None = None,
        seed: int = 0,
    ) -> None:
        """The host's end is at the boot rate."""
        self.device, self.now_s = device, 0.0
        self._inner = FakeLink(device)
        self._boot_baud = self._baud = boot_baud or device.baud
        self._best_baud, self._one_in, self._port_max = best_baud, one_in, port_max
        self._random = random.Random(seed)  # noqa: S311  (repeatable, nothing secret)
        self._pending: list[tuple[int, bytes]] = []  # with the rate at which the device sent it
        self._good_s = 0.0
        self.rates: list[int] = []

    @property
    def name(self) -> str:
        """Always the same."""
        return "uart:"

    @property
    def baud(self) -> int | None:
        """Of the host's end."""
        return self._baud

    @property
    def commands(self) -> list[str]:
        """What the device was asked."""
        return self._inner.commands

    def set_baud(self, baud: int) -> None:
        """Of the host's end."""
        if baud > self._port_max:
            raise LinkError(f"uart: the port cannot do {baud} baud")
        self._baud = baud
        self.rates.append(baud)

    def write(self, data: bytes) -> None:
        """Give bytes to the device, as it sees them at its own rate."""
        device = self.device
        if device.baud != self._boot_baud and self.now_s - self._good_s > REVERT_S:
            device.baud = self._boot_baud
            device.framing.pause()
            data = data[1:]
        if not data:
            return
        self._inner.write(self._through(data, self._baud, device.baud))
        said = self._inner.read(0.0)
        if said:
            self._pending.append((device.baud, said))
        if _is_good(said):
            self._good_s = self.now_s
        if device.next_baud is not None:
            device.baud, device.next_baud = device.next_baud, None

    def read(self, timeout_s: float) -> bytes:
        """What the device said, as the host sees it at its rate; silence takes `timeout_s` of modelled time."""
        data = b"".join(self._through(said, baud, self._baud) for baud, said in self._pending)
        self._pending.clear()
        if not data:
            self.now_s += timeout_s
            self._inner.read(timeout_s)
        return data

    def say(self, answer: Answer) -> None:
        """Make the device speak without being asked."""
        self._inner.say(answer)
        self._pending.append((self.device.baud, self._inner.read(0.0)))

    def close(self) -> None:
        """Close it."""
        self._inner.close()

    def _through(self, data: bytes, sent_baud: int, read_baud: int) -> bytes:
        """Bytes sent at one rate and read at another."""
        if sent_baud != read_baud:  # edges in the wrong places: other bytes, more or fewer of them
            count = max(len(data) * read_baud // sent_baud, 1)
            return bytes(self._random.choice((0x00, 0x80, 0xE0, 0xF8, 0xFE, 0xFF)) for _ in range(count))
        if sent_baud <= self._best_baud:
            return data
        return bytes(byte ^ (1 << self._random.randrange(8)) if self._random.randrange(self._one_in) == 0 else byte
                     for byte in data)  # fmt: skip


def _is_good(said: bytes) -> bool:
    """Whether this answers a good command or frame: neither an error nor a damaged frame."""
    return any(
        part.kind != frames.Kind.AGAIN if isinstance(part, frames.Frame) else not bytes(part).startswith(b"e-")
        for part in frames.Splitter().feed(said)
        if not isinstance(part, frames.Damaged)
    )
