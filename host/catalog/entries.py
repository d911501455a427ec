"""What the catalogue hands out: model files and data sets, verified."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from host.catalog.files import sha256
from host.catalog.spec import Metric, ModelResult, WireInput


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A .tflite on this machine, verified. `input_bytes` is one input on the wire.

    result: what `m-results` says, see ModelSpec. quality_target: a fraction that takes the place of the data set's
    target; None: that one counts. added: a user's own (`host models add`).
    """

    task: str
    name: str
    source: str
    path: Path
    sha256: str
    wire_input: WireInput
    input_bytes: int
    outputs: int
    official: bool = False
    result: ModelResult = "outputs"
    quality_target: float | None = None
    added: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One file of inputs and the class it belongs to. `data`: one input on the wire, or several that overlap.

    window_bytes: one input; stride_bytes: from one to the next; 0: all of `data` is one input.
    """

    name: str
    label: int
    data: bytes
    window_bytes: int = 0
    stride_bytes: int = 0

    def windows(self) -> tuple[bytes, ...]:
        """The inputs on the wire, in order; a rest that is shorter than a window is none."""
        size = self.window_bytes or len(self.data)
        if len(self.data) <= size:
            return (self.data,)
        return tuple(self.data[at : at + size] for at in range(0, len(self.data) - size + 1, self.stride_bytes or size))


@dataclass(frozen=True, slots=True)
class Dataset:
    """A set of inputs, verified. `target` (a fraction) is defined on the official set only: see `official`.

    `sha256` is over the bytes of all items in order. window_bytes, stride_bytes: of every item, see Item.
    """

    task: str
    name: str
    source: str
    sha256: str
    classes: int
    metric: Metric
    target: float
    items: tuple[Item, ...]
    official: bool = False
    window_bytes: int = 0
    stride_bytes: int = 0

    @property
    def labels_sha256(self) -> str:
        """Of `name,label` of every item, a line each, in order: `sha256` says nothing of the labels."""
        return sha256("".join(f"{item.name},{item.label}\n" for item in self.items).encode())
