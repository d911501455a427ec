"""A link to a device in memory, for tests without a port. Its time does not pass: a read that finds nothing returns
at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from host.errors import LinkError
from host.link.stock import Answer
from host.link.tinyjoule import Framing

PAUSE_S = 0.2  # a wait so long without a byte is a pause inside a frame, to a device that takes frames


class FakeLink:
    """A Link to `device`, which is asked once for every command, `%` removed.

    It is a function or a mapping of command to answer; a mapping stays silent when the command is not in it. An answer
    is lines, to which line ends and `m-ready` are added, or bytes, sent as they are: b"" is silence. A device with an
    attribute `framing` (TinyjouleDevice) is given the bytes of frames, too.
    """

    def __init__(self, device: Callable[[str], Answer] | Mapping[str, Answer], *, banner: Answer = b"") -> None:
        """`banner` is waiting when the link opens."""
        self._device = device
        self._framing: Framing | None = getattr(device, "framing", None)
        self._command = bytearray()
        self._pending = bytearray(_encode(banner))
        self._closed = False
        self.commands: list[str] = []

    @property
    def name(self) -> str:
        """Always the same."""
        return "fake:"

    @property
    def baud(self) -> int | None:
        """Memory has no rate."""
        return None

    def set_baud(self, baud: int) -> None:
        """Nothing to set."""

    def write(self, data: bytes) -> None:
        """Give `data` to the device, which answers at once."""
        self._check_open()
        for byte in data:
            answer = self._framing.take(byte) if self._framing else None
            if answer is not None:
                self._pending += answer
            elif byte == ord("%"):
                self._answer()
            else:
                self._command.append(byte)

    def read(self, timeout_s: float) -> bytes:
        """Everything the device said since the last read."""
        self._check_open()
        data = bytes(self._pending)
        self._pending.clear()
        if not data and timeout_s >= PAUSE_S and self._framing:
            self._framing.pause()
        return data

    def say(self, answer: Answer) -> None:
        """Make the device speak without being asked, e.g. print its banner after a reset."""
        self._pending += _encode(answer)

    def close(self) -> None:
        """Everything raises LinkError from now on."""
        self._closed = True

    def _answer(self) -> None:
        command = self._command.decode("latin-1")
        self._command.clear()
        self.commands.append(command)
        device = self._device
        self._pending += _encode(device.get(command, b"") if isinstance(device, Mapping) else device(command))

    def _check_open(self) -> None:
        if self._closed:
            raise LinkError("fake: this link is closed already")


def _encode(answer: Answer) -> bytes:
    if isinstance(answer, bytes):
        return answer
    return "".join(f"{line}\r\n" for line in (*answer, "m-ready")).encode("latin-1")
