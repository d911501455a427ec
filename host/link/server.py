"""A stock device behind a TCP port, so that any runner can be tried on it without a board."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from typing import Self

from host.link.fake import FakeLink
from host.link.stock import BANNER, StockDevice

READ_BYTES = 4096
POLL_S = 0.1
# Of each task's stock firmware: bytes of its input buffer, numbers in m-results.
TASKS = {"ad01": (2560, 1), "ic01": (3072, 10), "ic02": (3072, 10), "kws01": (490, 12), "vww01": (27648, 2)}
_RUNS = re.compile(rb"m-(warmup|infer)-start-([0-9]+)\r\n")


def stock_device(task: str, **options: object) -> StockDevice:
    """The device of one of TASKS; options: StockDevice's."""
    capacity, outputs = TASKS[task]
    return StockDevice(task, **{"capacity": capacity, "outputs": outputs, **options})  # type: ignore[arg-type]


class StockServer:
    """Serves one client after the other, in a thread. A context manager; `url` is where it listens.

    The device keeps its state from one client to the next, and an inference takes its `run_us` for real.
    """

    def __init__(self, device: StockDevice) -> None:
        """Listen. The first client hears the banner."""
        self._device = device
        self._link = FakeLink(device, banner=BANNER)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(POLL_S)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """What `--port` takes."""
        return f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """End."""
        self._ended.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                with client, contextlib.suppress(OSError):
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    client.settimeout(POLL_S)
                    self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        """Until the client goes."""
        while not self._ended.is_set():
            self._say(client, self._link.read(0.0))
            with contextlib.suppress(TimeoutError):
                data = client.recv(READ_BYTES)
                if not data:
                    return
                self._link.write(data)

    def _say(self, client: socket.socket, said: bytes) -> None:
        """Line by line, with the time between that the inferences take: a window starts behind its first lap."""
        runs = 0
        for line in said.splitlines(keepends=True):
            client.sendall(line)
            if match := _RUNS.fullmatch(line):
                runs = int(match[2])
                if match[1] == b"infer" and self._device.mode == "performance":
                    continue
            time.sleep(runs * self._device.run_us / 1e6)
            runs = 0
