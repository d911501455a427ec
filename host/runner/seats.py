"""Gets models onto a board: into an image for an emulated one, by flashing a real one, or as they are on it already."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from host import boards, catalog, flash
from host.build import Variant
from host.catalog import ModelFile
from host.catalog.spec import WireInput
from host.device import CheckedInference, Transcript
from host.embed import CODE_RESERVE_BYTES
from host.errors import DeviceRefused, SetupError, UsageError
from host.modelinfo import read_ends
from host.report.progress import Reporter
from host.runner.target import Target, open_target

ToWire = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Seat:
    """A board with models. `places`: each one's id on the board, and what makes wire bytes of its input tensor."""

    target: Target
    places: Mapping[str, tuple[str, ToWire]]

    def select(self, name: str) -> int:
        """Make a model the active one; returns the arena's bytes in use. Raises DeviceRefused with the reason."""
        self.target.device.select_model(self.places[name][0])
        info = self.target.device.info()
        return info.arena_bytes if info else 0

    def load(self, name: str, data: bytes) -> None:
        """Send an input tensor of the selected model."""
        self.target.device.load(self.places[name][1](data))

    def infer(self, name: str, data: bytes) -> CheckedInference:
        """One inference of the selected model on an input tensor."""
        self.load(name, data)
        return self.target.device.infer_crc(1, 0)

    def output(self, inference: CheckedInference) -> bytes:
        """The output tensor of the last inference."""
        return self.target.device.output(inference)


class Seats:
    """Where models can be run. board None: whatever the device at `port` says it is."""

    def __init__(
        self, board: boards.Board | None, port: str | None, reporter: Reporter, *, reflash: bool, variant: Variant
    ) -> None:
        """reflash: load images with the models into the real board at `port`. `variant` names the engine."""
        if reflash and (port is None or board is None):
            raise UsageError("--flash needs the name and the port of a real board: --board NAME --port URL")
        self._board = board
        self._port = port
        self._reporter = reporter
        self._variant = variant
        self.free = port is None or reflash
        """Whether any model can be brought onto the board."""
        if reflash and board is not None:
            flash.upload_command(board, Path("firmware.elf"))  # a board that cannot be flashed is told at once

    def split(self, models: Sequence[tuple[str, bytes]]) -> Iterator[dict[str, bytes]]:
        """The models by name, as many at a time as fit into one image."""
        room = self.room_bytes
        group: dict[str, bytes] = {}
        for name, data in models:
            if group and sum(map(len, group.values())) + len(data) > room:
                yield group
                group = {}
            group[name] = data
        if group:
            yield group

    @property
    def room_bytes(self) -> int:
        """What an image has for models; no limit where none is built."""
        return self._board.flash_bytes - CODE_RESERVE_BYTES if self.free and self._board else 1 << 40

    @contextmanager
    def having(
        self, models: Mapping[str, bytes], *, timed: bool = False, transcript: Transcript | None = None
    ) -> Iterator[Seat]:
        """A board with these models; where nothing can be brought onto it, with those of them that it has.

        timed: as in open_target.
        """
        if not self.free:
            with open_target(self._board, self._port, transcript, self._reporter, timed=timed) as target:
                yield Seat(target, _find(target, models))
            return
        with tempfile.TemporaryDirectory(prefix="tinyjoule-models-") as folder:
            files = [_write(Path(folder), f"v{number}", name, models[name]) for number, name in enumerate(models)]
            variant = replace(self._variant, models=tuple(files))
            if self._port is not None and self._board is not None:
                with self._reporter.step(f"flashing {self._board.name}"):
                    flash.flash(self._board, variant=variant)
            with open_target(
                self._board, self._port, transcript, self._reporter, timed=timed, variant=variant
            ) as target:
                yield Seat(target, {file.name: (file.task, as_is) for file in files})


def refusal(error: DeviceRefused) -> str:
    """Why a model was refused, without the id that it had on the board."""
    return error.text.partition(": ")[2] if error.kind == "model_refused" else error.text


def as_is(data: bytes) -> bytes:
    """The tensor's own bytes are what goes over the wire."""
    return data


def from_pixels(data: bytes) -> bytes:
    """uint8 pixels as int8, and back: less 128, which is one bit."""
    return (np.frombuffer(data, dtype=np.uint8) ^ np.uint8(0x80)).tobytes()


def to_floats(data: bytes, scale: float, zero_point: int) -> bytes:
    """An int8 tensor as float32 that the device quantises back to the same bytes."""
    steps = np.frombuffer(data, dtype=np.int8).astype(np.int32) - zero_point
    return (steps.astype("<f4") * np.float32(scale)).tobytes()


def _to_wire(wire_input: WireInput, model: bytes, name: str) -> ToWire:
    """What turns an input tensor of the model into what its task has on the wire."""
    if wire_input == "uint8":
        return from_pixels
    tensor, _ = read_ends(model, name)
    if wire_input == "float32" and tensor.dtype == "int8":
        return partial(to_floats, scale=tensor.scale, zero_point=tensor.zero_point)
    return as_is


def _write(folder: Path, place: str, name: str, data: bytes) -> ModelFile:
    path = folder / f"{place}.tflite"
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    # `input_bytes` and `outputs` are the host's to know; an image takes neither.
    return ModelFile(place, name, "this machine", path, digest, "int8", input_bytes=1, outputs=1)


def _find(target: Target, models: Mapping[str, bytes]) -> dict[str, tuple[str, ToWire]]:
    """Those of `models` that the board has, by their hashes."""
    if target.info is None:
        raise SetupError(
            "the firmware at this port is not tinyjoule's: it cannot give its outputs bit for bit. Flash ours first: "
            "`host boards` lists the boards it runs on."
        )
    wanted = {hashlib.sha256(data).hexdigest(): name for name, data in models.items()}
    known = catalog.default_catalog()
    places = {}
    for place in target.info.models:
        try:
            target.device.select_model(place)
        except DeviceRefused:
            continue  # the engine cannot run it: its hash is not told
        info = target.device.info()
        if info is not None and info.model_sha256 in wanted:
            name = wanted[info.model_sha256]
            wire_input = known.model_spec(place).wire_input if place in known.tasks() else "int8"
            places[name] = (place, _to_wire(wire_input, models[name], name))
    return places
