"""QEMU's control channel (QMP): commands and their answers as JSON lines over a unix socket."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import Any

from host.errors import LinkError

TIMEOUT_S = 10.0


class Qmp:
    """A client of one QEMU. Raises LinkError for everything that fails: QEMU has ended then, or hangs."""

    def __init__(self, path: Path) -> None:
        """Connect and say hello."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TIMEOUT_S)
        try:
            self._socket.connect(str(path))
            self._lines = self._socket.makefile("rb")
            self._read()  # the greeting
            self.execute("qmp_capabilities")
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise LinkError(f"QEMU's control channel does not open: {error}") from None
            raise

    def execute(self, command: str) -> Any:
        """Run `command` and return what QEMU returns."""
        try:
            self._socket.sendall(json.dumps({"execute": command}).encode() + b"\n")
            while True:
                message = self._read()
                if "return" in message:
                    return message["return"]
                if "error" in message:
                    raise LinkError(f"QEMU refuses {command}: {message['error'].get('desc', message['error'])}")
        except (OSError, ValueError) as error:
            raise LinkError(f"QEMU does not answer {command}: {error}") from None

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError, AttributeError):
            self._lines.close()
        self._socket.close()

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise LinkError("QEMU closed its control channel: it has ended")
        message = json.loads(line)
        return message if isinstance(message, dict) else {}
