"""The record `tinyjoule.micro/1` of `host bench --micro`: what single operators cost, against their shapes."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from host.results.schema import BoardInfo, Count, FirmwareInfo, HostInfo, Positive, Provenance

SCHEMA: Final = "tinyjoule.micro/1"
FILE: Final = "micro.json"
PLOT: Final = "micro.png"


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class MicroCase(_Record, frozen=True):
    """One operator of one shape. `x` on `axis` is what its series varies.

    `instructions` is exact, null where nothing counts them; `time_us` is null where the board's clock says nothing.
    `work` is `macs`, or where an operator has none, `output_elements`. `refused`: the engine's reason; then the rest is
    null.
    """

    operator: str
    series: str
    axis: str
    x: Positive
    shape: str
    macs: Count
    output_elements: Positive
    instructions: Positive | None
    time_us: Annotated[float, msgspec.Meta(ge=0)] | None
    arena_bytes: Positive | None
    refused: str = ""

    @property
    def work(self) -> int:
        """What the cost is held against."""
        return self.macs or self.output_elements

    @property
    def per(self) -> str:
        """What `work` is made of."""
        return "MAC" if self.macs else "output element"


class Micro(_Record, frozen=True):
    """One sweep. `time_unit` says what a microsecond of `time_us` is worth."""

    schema: Literal["tinyjoule.micro/1"]
    provenance: Provenance
    created: str
    board: BoardInfo
    firmware: FirmwareInfo
    host: HostInfo
    time_unit: str
    cases: list[MicroCase]

    @property
    def counted(self) -> bool:
        """Whether costs are instructions; else they are times."""
        return all(case.instructions is not None for case in self.cases if not case.refused)

    def cost(self, case: MicroCase) -> float | None:
        """Instructions, or nanoseconds, for one unit of work; None for a case that was refused."""
        value = case.instructions if self.counted else None if case.time_us is None else case.time_us * 1e3
        return None if value is None else value / case.work

    @property
    def unit(self) -> str:
        """Of `cost`."""
        return "instructions" if self.counted else "ns"


def encode(micro: Micro) -> bytes:
    """As indented JSON."""
    return msgspec.json.format(msgspec.json.encode(micro), indent=2) + b"\n"
