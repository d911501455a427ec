"""Single operators without weights."""

from __future__ import annotations

import numpy as np

from host.modelgen.file import Model, Operator, Tensor


def add(
    shape: tuple[int, ...], scales: tuple[float, float, float], zero_points: tuple[int, int, int], activation: int
) -> Model:
    """The input and a constant of the same shape. Scales and zero points: input, constant, output."""
    other = np.random.default_rng(1).integers(-128, 128, shape)
    tensors = (
        Tensor(shape, scales[:1], zero_points[0]),
        Tensor(shape, scales[1:2], zero_points[1], other),
        Tensor(shape, scales[2:], zero_points[2]),
    )
    return Model(tensors, (Operator("ADD", (0, 1), (2,), {"FusedActivationFunction": activation}),))


def softmax(shape: tuple[int, ...], scale: float, beta: float = 1.0, zero_point: int = 0) -> Model:
    """SOFTMAX over the last dimension; the output's quantization is the only one there is."""
    tensors = (Tensor(shape, (scale,), zero_point), Tensor(shape, (1 / 256,), -128))
    return Model(tensors, (Operator("SOFTMAX", (0,), (1,), {"Beta": beta}),))


def reshape(before: tuple[int, ...], after: tuple[int, ...]) -> Model:
    """A RESHAPE between two ADDs, so that its bytes are seen to be the right ones."""
    one = np.full(before, 7)
    quantization = ((0.05,), 3)
    tensors = (
        Tensor(before, *quantization),
        Tensor(before, *quantization, one),
        Tensor(before, (0.07,), -9),
        Tensor((len(after),), (), 0, np.array(after), np.int32),
        Tensor(after, (0.07,), -9),
        Tensor(after, *quantization, one.reshape(after)),
        Tensor(after, (0.09,), 4),
    )
    operators = (
        Operator("ADD", (0, 1), (2,), {}),
        Operator("RESHAPE", (2, 3), (4,), {}),
        Operator("ADD", (4, 5), (6,), {}),
    )
    return Model(tensors, operators)
