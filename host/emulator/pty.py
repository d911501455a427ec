"""A serial device for runners that open nothing else: a pseudo-terminal joined to an emulated board's socket."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import tty
from pathlib import Path
from typing import Self

from host.errors import LinkError, UsageError
from host.link.tcp import CONNECT_TIMEOUT_S, split_url

CHUNK_BYTES = 4096


class PtyBridge:
    """Carries bytes both ways. A context manager: leaving it removes the device.

    QEMU's own pty is no use here: its node has a name of its own and goes away with the first client.
    """

    def __init__(self, url: str, path: Path) -> None:
        """Join `url` to a new pseudo-terminal, which a symbolic link at `path` names."""
        self._path = path
        _clear_stale(path)
        # The slave stays open here: else the master fails whenever no client has it open.
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)  # no echo, no line editing, until a client sets it up for itself
        self._target = os.ttyname(self._slave)
        try:
            self._socket = socket.create_connection(split_url(url), timeout=CONNECT_TIMEOUT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setblocking(False)
            os.set_blocking(self._master, False)
            path.symlink_to(self._target)
        except OSError as error:
            self.close()
            raise LinkError(f"cannot make {path}, a terminal joined to {url}: {error.strerror or error}") from None
        self._to_device = self._to_client = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._master, selectors.EVENT_READ)
        self._selector.register(self._socket, selectors.EVENT_READ)

    def carry(self, timeout_s: float) -> None:
        """Pass on what is there, after waiting `timeout_s` at most. Raises LinkError when the board has gone."""
        # A side is read only when the other one has taken what came before: no memory grows, nothing is lost.
        self._watch(self._master, read=not self._to_device, write=bool(self._to_client))
        self._watch(self._socket.fileno(), read=not self._to_client, write=bool(self._to_device))
        self._selector.select(timeout_s)
        try:
            with contextlib.suppress(BlockingIOError):
                self._to_device = self._to_device or os.read(self._master, CHUNK_BYTES)
            with contextlib.suppress(BlockingIOError):
                self._to_client = self._to_client or self._receive()
            with contextlib.suppress(BlockingIOError):
                self._to_device = self._to_device[self._socket.send(self._to_device) :]
            with contextlib.suppress(BlockingIOError):
                self._to_client = self._to_client[os.write(self._master, self._to_client) :]
        except OSError as error:
            raise LinkError(f"the emulated board has gone: {error.strerror or error}") from None

    def close(self) -> None:
        """Remove the link (if it is still ours) and the terminal. May be called twice."""
        with contextlib.suppress(OSError):
            if self._path.readlink() == Path(self._target):
                self._path.unlink()
        with contextlib.suppress(AttributeError):  # the constructor failed before there was one
            self._socket.close()
            self._selector.close()
        for name in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(name)

    def __enter__(self) -> Self:
        """The bridge itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()

    def _receive(self) -> bytes:
        data = self._socket.recv(CHUNK_BYTES)
        if not data:
            raise LinkError("the emulated board has gone: it closed the connection")
        return data

    def _watch(self, file: int, *, read: bool, write: bool) -> None:
        self._selector.modify(file, (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0))


def _clear_stale(path: Path) -> None:
    """Remove a link that a killed host left behind. Raises UsageError when anything else is there."""
    if path.is_symlink() and not path.exists():
        path.unlink()
    if path.is_symlink():
        raise UsageError(f"{path} is a link to {path.readlink()}, which is in use: choose another name or remove it")
    if path.exists():
        raise UsageError(f"{path} exists and is not ours to replace: choose another name")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is no folder: make it first, or choose another name")
