# SPDX-License-Identifier: Apache-2.0
"""The record `tinyjoule.monitor-check/1` of `host monitors check`: what a power monitor says, and is it sane."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from host.results.schema import Provenance

SCHEMA: Final = "tinyjoule.monitor-check/1"

Verdict = Literal["ok", "bad", "not seen"]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Item(_Record, frozen=True):
    """One thing that was looked at. value: what was found, in `unit`; null where it could not be seen.

    verdict: "not seen" is no complaint: it could not be looked at, and `text` says why. text: for a person.
    """

    item: str
    verdict: Verdict
    text: str
    value: float | None = None
    unit: str = ""


class MonitorCheck(_Record, frozen=True):
    """All that was looked at. provenance: emulated where the virtual analyser took part. range_a: null is auto-range.

    voltage_v: what it supplies, or what is assumed where it does not measure.
    """

    schema: Literal["tinyjoule.monitor-check/1"]
    provenance: Provenance
    monitor: str
    idn: str
    model: str
    windows: Literal["marker", "trigger"]
    rate_hz: float
    range_a: float | None
    voltage_v: float
    board: str | None
    items: list[Item]

    @property
    def sane(self) -> bool:
        """Nothing is bad."""
        return all(item.verdict != "bad" for item in self.items)


def encode(check: MonitorCheck) -> bytes:
    """As JSON, with a line end."""
    return msgspec.json.format(msgspec.json.encode(check), indent=2) + b"\n"
