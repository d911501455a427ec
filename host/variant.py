"""Variants of an image: other models than the catalogue's, or another engine under the same firmware.

host.build hands a variant to the PlatformIO builder as a JSON file that the environment variable VARIABLE names.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from host.catalog import ModelFile
from host.errors import SetupError

Engine = Literal["tflite_c", "tflm"]

VARIABLE = "TINYJOULE_VARIANT"


@dataclass(frozen=True, slots=True)
class Variant:
    """What an image is made of besides the board's sources.

    models: exactly these files, each under its `task` (a user's own .tflite as well); None: the catalogue's.
    tflm_dir: absolute; where the engine `tflm` comes from, and None with the other one.
    """

    models: tuple[ModelFile, ...] | None = None
    engine: Engine = "tflite_c"
    tflm_dir: Path | None = None

    @property
    def key(self) -> str:
        """Names this variant: the same models and engine have the same key wherever the model files are."""
        models = (
            None if self.models is None else [(m.task, m.name, m.sha256, m.wire_input, m.result) for m in self.models]
        )
        return _digest([models, *self._engine])

    @property
    def engine_key(self) -> str:
        """Names what is compiled: variants that differ in models alone share their objects."""
        return _digest(self._engine)

    @property
    def _engine(self) -> list[str | None]:
        return [self.engine, str(self.tflm_dir) if self.tflm_dir else None]

    def encode(self) -> bytes:
        """As the builder reads it."""
        return msgspec.json.encode(self, enc_hook=str)


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:16]


def _path(_kind: type, value: str) -> Path:
    return Path(value)


def read_variant(path: str | None) -> Variant:
    """The variant in the file that VARIABLE names; the default one when it is not set."""
    if not path:
        return Variant()
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Variant, dec_hook=_path)
    except (OSError, msgspec.DecodeError) as error:
        raise SetupError(f"{VARIABLE}={path}: {error}. The variable is host.build's: do not set it.") from error
