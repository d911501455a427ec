"""wire_harness.c as a `host.link.Link`: the firmware core in a process, under address and UB sanitizers."""

from __future__ import annotations

import hashlib
import os
import select
import struct
import subprocess
from pathlib import Path
from typing import Self

from flags import FIRMWARE, WARNINGS

from host.errors import LinkError

INCLUDES = [f"-I{FIRMWARE / folder}" for folder in ("core", "engine", "boards")]
CORE = sorted((FIRMWARE / "core").glob("*.c"))
IMAGES = {"normal": [], "empty": ["-DNO_MODELS"], "refused": ["-DFIRST_REFUSED"]}
INPUT_BYTES = 64  # of the harness's buffer
LARGE_BYTES = 27648  # of the harness's model vww01
MODELS = {"kws01": 8, "ic01": 4}  # input bytes


_built: dict[str, Path] = {}


def build(folder: Path, image: str) -> Path:
    """Compile the harness with one table of models, once for all tests of a session: in the folder of the first."""
    if image not in _built:
        _built[image] = _compile(folder, image)
    return _built[image]


def _compile(folder: Path, image: str) -> Path:
    program = folder / f"wire_{image}"
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g"]
    sources = [str(path) for path in (Path(__file__).with_name("wire_harness.c"), *CORE)]
    command = ["gcc", "-std=c11", *WARNINGS, *sanitizers, *INCLUDES, *IMAGES[image], *sources, "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


class Harness:
    """One process; `reset` boots the device in it anew. `write` is delivered in one piece.

    `ask` is the device in lockstep: it returns when all bytes were worked on and the answer is complete.
    """

    name = "harness"

    def __init__(self, program: Path, input_bytes: int = INPUT_BYTES) -> None:
        """input_bytes: of the device's buffer for inputs; LARGE_BYTES holds one of vww01."""
        self._process = subprocess.Popen(
            [program, str(input_bytes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._syncs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _frame(self, kind: bytes, payload: bytes = b"") -> None:
        try:
            self._process.stdin.write(kind + struct.pack("<I", len(payload)) + payload)
            self._process.stdin.flush()
        except BrokenPipeError as why:
            raise self._died() from why

    def _died(self) -> LinkError:
        return LinkError(f"the harness died: {self._process.stderr.read().decode(errors='replace')[-4000:]}")

    def write(self, data: bytes) -> None:
        self._frame(b"D", data)

    def read(self, timeout_s: float) -> bytes:
        stdout = self._process.stdout.fileno()
        if not select.select([stdout], [], [], timeout_s)[0]:
            return b""
        data = os.read(stdout, 65536)
        if not data:
            raise self._died()
        return data

    def close(self) -> None:
        """End of input ends the process; a leak or a sanitizer's finding makes that fail."""
        if self._process.stdin.closed:
            return
        self._process.stdin.close()
        errors = self._process.stderr.read().decode(errors="replace")
        self._process.stdout.close()
        self._process.stderr.close()
        assert self._process.wait() == 0, errors

    def reset(self, clock_us: int = 0) -> None:
        self._frame(b"R", struct.pack("<Q", clock_us))

    def overrun(self) -> None:
        self._frame(b"O")

    def silence(self, us: int) -> None:
        """The bytes of the next `write` come that much later."""
        self._frame(b"W", struct.pack("<Q", us))

    def baud(self) -> int:
        """The rate of the device's line. Everything it said before has been read."""
        self._frame(b"B")
        return int(self.read(60.0))

    def sync(self) -> tuple[bytes, str]:
        """Everything the device said until it had worked on all that was sent, and what happened on the board."""
        self._syncs += 1
        marker = hashlib.sha256(b"end of what was said %d" % self._syncs).digest()
        self._frame(b"S", marker)
        data = b""
        while marker not in data or not data.endswith(b"\n"):
            data += self.read(60.0)
        said, _, trace = data.partition(marker)
        return said, trace.decode("ascii").strip()

    def ask(self, data: bytes) -> tuple[bytes, str]:
        """Send, and sync()."""
        self.write(data)
        return self.sync()

    def boot(self, clock_us: int = 0) -> None:
        """Reset, and take the banner off the line."""
        self.reset(clock_us)
        said, _ = self.sync()
        assert said.endswith(b"m-init-done\r\nm-ready\r\n")

    def format(self, kind: str, numbers: bytes) -> list[str]:
        """Packed float32 ("F") or 64-bit unsigned ("U") numbers as the device writes them."""
        self._frame(kind.encode(), numbers)
        return self.sync()[0].decode("ascii").split("\r\n")[:-1]
