"""The one reader of a link: lines of text, and the frames between them where the device sends such."""

from __future__ import annotations

from collections import deque

from host.frames import Damaged, Frame, Splitter
from host.link import Link

MAX_FRAMES = 8192  # kept: more than one read of any link holds


class Reader:
    """Takes in what a link gives. `text` is what has come and was not taken yet; so are `frames`, damaged ones too."""

    def __init__(self, link: Link) -> None:
        """Text only, until `frames_on` is set."""
        self.link = link
        self.text = bytearray()
        self.frames: deque[Frame | Damaged] = deque(maxlen=MAX_FRAMES)
        self.frames_on = False
        self.heard = False
        self._splitter = Splitter()

    def pull(self, timeout_s: float) -> bool:
        """Wait for bytes and sort them. Returns whether there are new ones.

        Silence ends a frame that is open: what it held is text, e.g. the banner of a device that started again.
        """
        data = self.link.read(timeout_s)
        if not data:
            held = self._splitter.drop() if timeout_s > 0 else b""
            self.text += held
            return bool(held)
        self.heard = True
        if not self.frames_on:
            self.text += data
            return True
        for part in self._splitter.feed(data):
            if isinstance(part, bytes):
                self.text += part
            else:
                self.frames.append(part)
        return True

    def clear(self) -> bytes:
        """Forget everything that has come, the bytes of an open frame included. Returns its text."""
        text = bytes(self.text) + self._splitter.drop()
        self.text.clear()
        self.frames.clear()
        return text
