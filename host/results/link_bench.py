"""The record `tinyjoule.link-bench/1` of `host link-bench`: one line, two protocols, in modelled time."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from host.results.schema import Positive

SCHEMA: Final = "tinyjoule.link-bench/1"

Protocol = Literal["stock", "fast"]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Entry(_Record, frozen=True):
    """`inputs` inputs of one task over one line by one protocol.

    inferences: none where only the transfer counts. seconds: modelled, from the first byte until the host knows that
    everything went well. wire_bytes: from the host to the device. step_bytes: the inputs are windows of one file, so
    far apart; 0: they are not.
    """

    task: str
    inputs: Positive
    inferences: Annotated[int, msgspec.Meta(ge=0)]
    input_bytes: Positive
    baud: Positive
    protocol: Protocol
    seconds: PositiveFloat
    wire_bytes: Positive
    inference_s: NotNegative
    step_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def wire_per_payload(self) -> float:
        """Bytes on the wire for each byte of an input."""
        return self.wire_bytes / (self.inputs * self.input_bytes)

    @property
    def computing(self) -> float:
        """The share of the time in which the device computes: 1 is bound by inference alone."""
        return self.inferences * self.inference_s / self.seconds


class LinkBench(_Record, frozen=True):
    """All entries, a stock one and a fast one of each kind, and what the line adds to a question and its answer."""

    schema: Literal["tinyjoule.link-bench/1"]
    provenance: Literal["modelled"]
    turnaround_s: NotNegative
    inference_source: str
    entries: list[Entry]

    def pairs(self) -> list[tuple[Entry, Entry]]:
        """(stock, fast) of each task and baud."""
        by_kind: dict[tuple[str, int], dict[str, Entry]] = {}
        for entry in self.entries:
            by_kind.setdefault((entry.task, entry.baud), {})[entry.protocol] = entry
        return [(both["stock"], both["fast"]) for both in by_kind.values()]


def encode(bench: LinkBench) -> bytes:
    """As JSON, with a line end."""
    return msgspec.json.format(msgspec.json.encode(bench), indent=2) + b"\n"
