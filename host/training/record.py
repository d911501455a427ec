# SPDX-License-Identifier: Apache-2.0
"""The training record: a JSON file beside a trained model that says what it came from and how well it does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from host.errors import SetupError

_Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How well a model does on a set. `value` is a fraction: of samples that are right (top1), or the area (auc).

    sha256: of the set's bytes, where it is one of the catalogue.
    """

    set: str
    model: Literal["float", "int8"]
    metric: Literal["top1", "auc"]
    value: float
    count: int
    right: int | None = None
    official: bool = False
    sha256: _Hash | None = None


class DataFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What it was trained with: counts of samples; sha256 over training and test samples with their labels."""

    name: str
    sha256: _Hash
    train: int
    test: int
    calibration: int


class Edge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Input or output of the model: real = (int8 - zero_point) * scale."""

    shape: list[int]
    scale: float
    zero_point: int


class TrainingRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of it. `scores`: on its own test set, and on the catalogue's sets that were on the machine."""

    schema: Literal["tinyjoule.training/1"] = "tinyjoule.training/1"
    task: str
    file: str
    sha256: _Hash
    bytes: int
    trained_by: str
    data: DataFacts
    seed: int
    epochs: int
    batch: int
    parameters: int
    training_s: float
    operators: list[str]
    input: Edge
    output: Edge
    scores: list[Score]
    versions: dict[str, str]


def record_path(model: Path) -> Path:
    """Where the record of the model in `model` is."""
    return model.with_suffix(".json")


def write_record(record: TrainingRecord, path: Path) -> None:
    """One value a line, so that a change can be read."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def read_record(path: Path) -> TrainingRecord:
    """Raises SetupError when it is no training record."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=TrainingRecord)
    except (OSError, msgspec.DecodeError) as error:
        raise SetupError(f"{path}: no training record ({error}). Train the model again to make one.") from error
