"""The engine built for this machine with sanitizers, served by engine_harness.c over a pipe."""

from __future__ import annotations

import struct
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from flags import FIRMWARE, WARNINGS

ENGINE = FIRMWARE / "engine" / "tflite_c"
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g"]

OK, E_ARGUMENT, E_MODEL, E_UNSUPPORTED, E_ARENA = 0, -1, -2, -3, -4
ROOMY_ARENA = 512 * 1024
ORACLE_ARENA = 4 * 1024 * 1024  # by default it gets ten times the size of the model, too little for large tensors


def build(folder: Path, *options: str) -> Path:
    """Compile engine and harness into `folder`; a warning is an error, as in the firmware. `options`: more for gcc."""
    program = folder / "engine_harness"
    sources = [*sorted(ENGINE.rglob("*.c")), Path(__file__).with_name("engine_harness.c")]
    command = ["gcc", "-std=c99", "-O1", *WARNINGS, *SANITIZERS, f"-I{FIRMWARE}", "-o", program, *sources]
    subprocess.run([*command, *options], check=True)
    return program


@dataclass(frozen=True, slots=True)
class Answer:
    """What one load said, and the raw output bytes of each run."""

    status: int
    text: str
    arena_used: int
    input_bytes: int
    outputs: tuple[bytes, ...]


def request(
    model: bytes, inputs: Sequence[bytes], *, arena: int = ROOMY_ARENA, model_skew: int = 0, arena_skew: int = 0
) -> bytes:
    """One request to engine_harness.c: load `model`, run it on each of `inputs` (all of one size)."""
    size = len(inputs[0]) if inputs else 0
    header = struct.pack("<6I", len(model), arena, model_skew, arena_skew, len(inputs), size)
    return b"".join([header, model, *inputs])


def receive(stream: IO[bytes], runs: int) -> Answer:
    """The reply to a request with that many inputs; EOFError if the harness died."""

    def take(count: int) -> bytes:
        data = stream.read(count)
        if len(data) != count:
            raise EOFError
        return data

    status, text_bytes, arena_used, input_bytes, output_bytes = struct.unpack("<i4I", take(20))
    text = take(text_bytes).decode("ascii")
    outputs = tuple(take(output_bytes) for _ in range(runs)) if status == OK else ()
    return Answer(status, text, arena_used, input_bytes, outputs)


class EngineHost:
    """One harness process; a sanitizer report or a hang ends it and fails the test with its words."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def load(
        self,
        model: bytes,
        inputs: Sequence[bytes] = (),
        *,
        arena: int = ROOMY_ARENA,
        model_skew: int = 0,
        arena_skew: int = 0,
        limit_s: float = 60.0,
    ) -> Answer:
        """Load `model`, run it on each of `inputs`."""
        if self._process is None:
            self._process = subprocess.Popen(
                [self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        process = self._process
        data = request(model, inputs, arena=arena, model_skew=model_skew, arena_skew=arena_skew)
        watchdog = threading.Timer(limit_s, process.kill)
        watchdog.start()
        writer = threading.Thread(target=self._send, args=(process, data))
        writer.start()
        try:
            assert process.stdout is not None
            return receive(process.stdout, len(inputs))
        except EOFError:
            self._process = None
            process.kill()
            words = process.stderr.read().decode(errors="replace") if process.stderr else ""
            raise AssertionError(f"the engine died or hung:\n{words[-4000:]}") from None
        finally:
            watchdog.cancel()
            writer.join()
            if self._process is None:
                for pipe in (process.stdin, process.stdout, process.stderr):
                    if pipe is not None:
                        pipe.close()
                process.wait()

    @staticmethod
    def _send(process: subprocess.Popen[bytes], data: bytes) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(data)
            process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return  # the reader tells what happened


def oracle(model: bytes, inputs: Sequence[np.ndarray]) -> list[bytes]:
    """The outputs of tflite-micro, TFLM's own reference kernels."""
    from tflite_micro import runtime  # noqa: PLC0415  slow to import, and only some tests need it

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=ORACLE_ARENA)
    outputs = []
    for data in inputs:
        interpreter.set_input(data, 0)
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_output(0), copy=True).tobytes())
    return outputs
