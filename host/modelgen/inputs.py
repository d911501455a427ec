"""Inputs for a generated model, and small changes to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from host.modelgen.file import Array, Model, Tensor


def inputs_for(model: Model, count: int, seed: int = 0) -> list[Array]:
    """`count` random int8 inputs, after the two extremes."""
    shape = model.tensors[model.inputs[0]].shape
    rng = np.random.default_rng(seed)
    extremes = [np.full(shape, -128, dtype=np.int8), np.full(shape, 127, dtype=np.int8)]
    return [*extremes, *(rng.integers(-128, 128, shape, dtype=np.int8) for _ in range(count))]


def altered(model: Model, change: Callable[[Tensor], Tensor], number: int) -> Model:
    """The model with one tensor changed."""
    tensors = tuple(change(tensor) if i == number else tensor for i, tensor in enumerate(model.tensors))
    return replace(model, tensors=tensors)
