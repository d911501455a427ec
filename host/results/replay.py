# SPDX-License-Identifier: Apache-2.0
"""The record `tinyjoule.replay/1` of `host energy`: what a recorded trace gives when it is integrated again."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from host.results.schema import Energy

SCHEMA: Final = "tinyjoule.replay/1"


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """traces: names of the files. of: where their samples came from; null where a file does not tell.

    task: null where a file does not tell. valid: there is a value. notes: what was left out.
    """

    schema: Literal["tinyjoule.replay/1"]
    provenance: Literal["replayed"]
    of: Literal["measured", "emulated"] | None
    traces: list[str]
    task: str | None
    valid: bool
    energy_uj: Energy
    notes: list[str]


def encode(replay: Replay) -> bytes:
    """As JSON, with a line end."""
    return msgspec.json.format(msgspec.json.encode(replay), indent=2) + b"\n"
