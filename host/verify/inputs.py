"""Inputs to compare outputs on: random ones, or a folder of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from host.errors import UsageError
from host.runner.seats import from_pixels
from host.verify.graph import Graph, TensorFacts

RANDOM_COUNT = 5
"""How many random inputs, when nobody says."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input tensor, as it lies in memory."""

    name: str
    data: bytes


def random_inputs(graph: Graph, count: int, seed: int) -> list[Input]:
    """int8: every value alike. float32: as far as the first quantisation reaches, and a little farther."""
    rng = np.random.default_rng(seed)
    tensor = graph.input
    low, high = _float_range(graph)
    made = []
    for number in range(count):
        if tensor.dtype == np.dtype(np.float32):
            data = rng.uniform(low, high, tensor.shape).astype(np.float32).tobytes()
        else:
            data = rng.integers(-128, 128, tensor.shape, dtype=np.int8).tobytes()
        made.append(Input(f"random {number} (seed {seed})", data))
    return made


def _float_range(graph: Graph) -> tuple[float, float]:
    """What the QUANTIZE behind the input can hold, a tenth more on either side; -1 to 1 where there is none."""
    for operator in graph.operators:
        if operator.name == "QUANTIZE" and operator.inputs[:1] == (graph.input.index,):
            target = graph.tensors[operator.output]
            low, high = ((limit - target.zero_point) * target.scale for limit in (-128, 127))
            margin = (high - low) / 10
            return low - margin, high + margin
    return -1.0, 1.0


def read_inputs(folder: Path, tensor: TensorFacts, count: int | None, *, pixels: bool) -> list[Input]:
    """The first `count` .bin files of a folder, by name; each holds one input.

    pixels: they hold uint8, as the wire of this task does; else the tensor as it lies in memory.
    Raises UsageError when there is none, or one of another size.
    """
    paths = sorted(folder.glob("*.bin"))[:count] if folder.is_dir() else []
    if not paths:
        raise UsageError(f"--inputs {folder}: no folder with .bin files in it. Without it, inputs are random.")
    found = []
    for path in paths:
        data = path.read_bytes()
        if len(data) != tensor.bytes:
            raise UsageError(
                f"{path} has {len(data)} bytes; an input of this model has {tensor.bytes} (shape {list(tensor.shape)})."
            )
        found.append(Input(path.name, from_pixels(data) if pixels else data))
    return found
