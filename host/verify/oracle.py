"""tflite-micro, TFLM's own reference kernels: what a model's outputs have to be.

It runs in a process of its own: a model that is broken in a way nobody foresaw may take that process with it, not us.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import numpy as np

from host.errors import SetupError

PACKAGE = "tflite-micro"
TIMEOUT_S = 120.0
"""For one model with all its inputs: the largest of MLPerf Tiny takes under a second an input."""

_ARENA_BYTES = 64 << 20
_WORDS = 300  # of what tflite-micro says, in a message


class OracleFailed(SetupError):
    """tflite-micro cannot run this model: the message has its words."""


def oracle_version() -> str:
    """Name and version. Raises SetupError, saying how to install it, when it is not there."""
    if importlib.util.find_spec("tflite_micro") is None:
        raise SetupError(
            f"the Python package {PACKAGE} is missing, which outputs are compared with: `make setup` installs it, or "
            "`.venv/bin/pip install -c tools/constraints.txt -e '.[verify]'`"
        )
    return f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"


class Oracle:
    """A context manager: leaving it ends the process."""

    def __init__(self) -> None:
        """Raises SetupError when tflite-micro is not installed. Its process starts with the first question."""
        self.version = oracle_version()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._said = tempfile.NamedTemporaryFile(prefix="tinyjoule-oracle-")  # noqa: SIM115  (close() does)

    def outputs(self, model: bytes, inputs: Sequence[bytes]) -> list[bytes]:
        """The output tensor for each input tensor, both as they lie in memory. Raises OracleFailed."""
        pipe = self._started()
        self._said.truncate(0)
        try:
            pipe.send((model, list(inputs)))
            if not pipe.poll(TIMEOUT_S):
                raise OracleFailed(f"{PACKAGE} did not answer within {TIMEOUT_S:.0f} s")
            answer: list[bytes] | str = pipe.recv()
        except (EOFError, OSError) as error:
            self._stop()
            raise OracleFailed(f"{PACKAGE} died of this model. It said: {self._words()}") from error
        except BaseException:
            self._stop()
            raise
        if isinstance(answer, str):
            raise OracleFailed(f"{PACKAGE} cannot run this model: {answer}. It said: {self._words()}")
        return answer

    def close(self) -> None:
        """May be called twice."""
        self._stop()
        self._said.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def _started(self) -> Connection:
        if self._pipe is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs, self._said.name), daemon=True)
            self._process.start()
            theirs.close()
        return self._pipe

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def _words(self) -> str:
        with open(self._said.name, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
        return " / ".join(lines)[-_WORDS:] or "nothing"


def _serve(pipe: Connection, said: str) -> None:
    """The process: answers until the other end closes."""
    descriptor = os.open(said, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    while True:
        try:
            model, inputs = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        pipe.send(_run(model, inputs))


def _run(model: bytes, inputs: Sequence[bytes]) -> list[bytes] | str:
    from tflite_micro import runtime  # noqa: PLC0415  (only this process loads it)

    try:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=_ARENA_BYTES)
        details = interpreter.get_input_details(0)
        outputs = []
        for data in inputs:
            tensor: np.ndarray[Any, Any] = np.frombuffer(data, dtype=details["dtype"]).reshape(details["shape"])
            interpreter.set_input(tensor, 0)
            interpreter.invoke()
            outputs.append(np.array(interpreter.get_output(0), copy=True).tobytes())
    except (RuntimeError, ValueError, TypeError) as error:
        return str(error).rstrip(".")
    return outputs
