"""The record `tinyjoule.verify/1` of `host verify`: which models gave the same bits on a board as in the oracle."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from host.results.schema import BoardInfo, Count, FirmwareInfo, HostInfo, Positive, Provenance, Sha256

SCHEMA: Final = "tinyjoule.verify/1"

Alone = Literal["differs", "equal"]
Outcome = Literal["equal", "differs", "refused", "failed"]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Difference(_Record, frozen=True):
    """The first operator whose output differs, and the first element of it that does.

    `expected` and `got` are text: an integer, or a float with its bits. `alone`: the operator as a model of its own, on
    the oracle's input for it; null when it could not be tried.
    """

    operator: Count
    name: str
    shape: list[Count]
    element: list[Count]
    expected: str
    got: str
    differing: Positive
    elements: Positive
    alone: Alone | None


class ModelCheck(_Record, frozen=True):
    """One model. `reason` is for every outcome but "equal"; `compared` names the tensors, the output last."""

    name: str
    source: str
    sha256: Sha256
    bytes: Positive
    operators: Count
    arena_bytes: Positive | None
    inputs: Count
    compared: list[str]
    outcome: Outcome
    reason: str
    input: str | None = None
    difference: Difference | None = None


class Verification(_Record, frozen=True):
    """One run of `host verify`. `inputs`: "random", or the folder."""

    schema: Literal["tinyjoule.verify/1"]
    provenance: Provenance
    created: str
    board: BoardInfo
    firmware: FirmwareInfo
    host: HostInfo
    oracle: str
    inputs: str
    seed: int
    models: list[ModelCheck]


def encode(verification: Verification) -> bytes:
    """As indented JSON."""
    return msgspec.json.format(msgspec.json.encode(verification), indent=2) + b"\n"
