"""Inputs for a generated model, and small changes to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from host.modelgen.file import Array, Model, Tensor


def inputs_for(model: Model, count: int, seed: int = 0) -> list[Array]:
    """`count` random inputs of the model's type, after the two extremes.

    Float inputs lie where the first int8 tensor with a scale has its values, and many of them half way between two.
    """
    tensor = model.tensors[model.inputs[0]]
    rng = np.random.default_rng(seed)
    if tensor.dtype is np.float32:
        return _floats(model, tensor.shape, count, rng)
    extremes = [np.full(tensor.shape, -128, dtype=np.int8), np.full(tensor.shape, 127, dtype=np.int8)]
    return [*extremes, *(rng.integers(-128, 128, tensor.shape, dtype=np.int8) for _ in range(count))]


def _floats(model: Model, shape: tuple[int, ...], count: int, rng: np.random.Generator) -> list[Array]:
    scaled = [tensor for tensor in model.tensors if tensor.dtype is np.int8 and tensor.scales]
    scale, zero_point = (np.float32(scaled[0].scales[0]), scaled[0].zero_point) if scaled else (np.float32(1), 0)

    def values() -> Array:
        whole = rng.integers(-140, 141, shape) - zero_point
        part = rng.choice(np.array([0.0, 0.5, -0.5, 0.25, rng.uniform(-0.5, 0.5)]), shape)
        result: Array = ((whole + part) * scale).astype(np.float32)
        return result

    low, high = (np.full(shape, x * scale, dtype=np.float32) for x in (-1e6, 1e6))
    return [low, high, *(values() for _ in range(count))]


def altered(model: Model, change: Callable[[Tensor], Tensor], number: int) -> Model:
    """The model with one tensor changed."""
    tensors = tuple(change(tensor) if i == number else tensor for i, tensor in enumerate(model.tensors))
    return replace(model, tensors=tensors)
