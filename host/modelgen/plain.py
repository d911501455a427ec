"""Single operators without weights.

Quantizations are pairs (scale, zero point). Where an operator has several inputs, one is the model's input and the
others are constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from host.modelgen.file import Model, Operator, Tensor

Shape: TypeAlias = tuple[int, ...]
Quantization: TypeAlias = tuple[float, int]


def _int8(shape: Shape, quantization: Quantization, seed: int | None = None) -> Tensor:
    """With a seed: a constant of random values."""
    data = None if seed is None else np.random.default_rng(seed).integers(-128, 128, shape)
    return Tensor(shape, (quantization[0],), quantization[1], data)


def _list(values: Sequence[int]) -> Tensor:
    return Tensor((len(values),), (), 0, np.array(values), np.int32)


def binary(
    name: str,
    shapes: tuple[Shape, Shape],
    quantizations: tuple[Quantization, Quantization, Quantization],
    activation: int = 0,
    *,
    constant: int | None = 1,
    seed: int = 1,
) -> Model:
    """ADD, SUB or MUL; input number `constant` is one, with None both are the model's input (of shapes[0])."""
    operands = [_int8(shapes[i], quantizations[i], seed if i == constant else None) for i in range(2)]
    output = _int8(tuple(int(n) for n in np.broadcast_shapes(*shapes)), quantizations[2])
    options = {"FusedActivationFunction": activation}
    if constant is None:
        return Model((operands[0], output), (Operator(name, (0, 0), (1,), options),))
    model_input = 1 - constant
    return Model((*operands, output), (Operator(name, (0, 1), (2,), options),), inputs=(model_input,))


def add(shape: Shape, scales: tuple[float, float, float], zero_points: tuple[int, int, int], activation: int) -> Model:
    """The input and a constant of the same shape. Scales and zero points: input, constant, output."""
    first, second, third = zip(scales, zero_points, strict=True)
    return binary("ADD", (shape, shape), (first, second, third), activation)


def unary(name: str, shape: Shape, before: Quantization, after: Quantization) -> Model:
    """RELU, RELU6, LOGISTIC, or QUANTIZE from int8 to int8."""
    options: dict[str, Any] | None = {} if name == "QUANTIZE" else None
    return Model((_int8(shape, before), _int8(shape, after)), (Operator(name, (0,), (1,), options),))


def quantize(shape: Shape, after: Quantization) -> Model:
    """QUANTIZE from float32 to int8."""
    tensors = (Tensor(shape, dtype=np.float32), _int8(shape, after))
    return Model(tensors, (Operator("QUANTIZE", (0,), (1,), {}),))


def dequantize(shape: Shape, before: Quantization) -> Model:
    """DEQUANTIZE from int8 to float32."""
    tensors = (_int8(shape, before), Tensor(shape, dtype=np.float32))
    return Model(tensors, (Operator("DEQUANTIZE", (0,), (1,), {}),))


def softmax(shape: Shape, scale: float, beta: float = 1.0, zero_point: int = 0) -> Model:
    """SOFTMAX over the last dimension; the output's quantization is the only one there is."""
    tensors = (Tensor(shape, (scale,), zero_point), Tensor(shape, (1 / 256,), -128))
    return Model(tensors, (Operator("SOFTMAX", (0,), (1,), {"Beta": beta}),))


def reshape(before: Shape, after: Shape) -> Model:
    """A RESHAPE between two ADDs, so that its bytes are seen to be the right ones."""
    one = np.full(before, 7)
    quantization = ((0.05,), 3)
    tensors = (
        Tensor(before, *quantization),
        Tensor(before, *quantization, one),
        Tensor(before, (0.07,), -9),
        _list(after),
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


def pad(
    shape: Shape, paddings: Sequence[tuple[int, int]], quantization: Quantization, value: int | None = None
) -> Model:
    """PAD, or with an int8 `value` PADV2; one pair of paddings (before, after) per dimension."""
    after = tuple(size + sum(pair) for size, pair in zip(shape, paddings, strict=True))
    pairs = Tensor((len(shape), 2), (), 0, np.array(paddings), np.int32)
    tensors = [_int8(shape, quantization), pairs, _int8(after, quantization)]
    if value is None:
        return Model(tuple(tensors), (Operator("PAD", (0, 1), (2,), {}),))
    tensors.append(Tensor((1,), (quantization[0],), quantization[1], np.array([value])))
    return Model(tuple(tensors), (Operator("PADV2", (0, 1, 3), (2,), {}),))


def mean(
    shape: Shape, axes: Sequence[int], before: Quantization, after: Quantization, *, keep_dims: bool = True
) -> Model:
    """MEAN along `axes`, which may be negative or repeat."""
    reduced = {axis % len(shape) for axis in axes}
    sizes = [1 if i in reduced else size for i, size in enumerate(shape) if keep_dims or i not in reduced]
    tensors = (_int8(shape, before), _list(axes), _int8(tuple(sizes), after))
    return Model(tensors, (Operator("MEAN", (0, 1), (2,), {"KeepDims": keep_dims}),))


def concatenation(
    shape: Shape, sizes: Sequence[int], axis: int, quantization: Quantization, number: int = 0, *, seed: int = 1
) -> Model:
    """CONCATENATION of tensors of `shape` but for the axis, where they have `sizes`; `number` is the model's input."""

    def sized(size: int) -> Shape:
        return tuple(size if i == axis % len(shape) else n for i, n in enumerate(shape))

    pieces = [_int8(sized(n), quantization, seed + i if i != number else None) for i, n in enumerate(sizes)]
    tensors = (*pieces, _int8(sized(sum(sizes)), quantization))
    numbers = tuple(range(len(pieces)))
    return Model(tensors, (Operator("CONCATENATION", numbers, (len(pieces),), {"Axis": axis}),), inputs=(number,))


def pack(shape: Shape, count: int, axis: int, quantization: Quantization, number: int = 0, *, seed: int = 1) -> Model:
    """PACK of `count` tensors of one shape along a new axis; `number` is the model's input."""
    at = axis % (len(shape) + 1)
    pieces = [_int8(shape, quantization, seed + i if i != number else None) for i in range(count)]
    tensors = (*pieces, _int8((*shape[:at], count, *shape[at:]), quantization))
    options = {"ValuesCount": count, "Axis": axis}
    return Model(tensors, (Operator("PACK", tuple(range(count)), (count,), options),), inputs=(number,))


def strided_slice(
    shape: Shape, slices: Sequence[slice | int], quantization: Quantization, *, dtype: type = np.int8
) -> Model:
    """STRIDED_SLICE as NumPy has it: one slice per dimension, or an index, which takes the dimension away.

    The output's shape is NumPy's, and must not be empty. dtype: int8 or float32.
    """
    begin, end, strides = [], [], []
    masks = {"BeginMask": 0, "EndMask": 0, "ShrinkAxisMask": 0}
    for axis, taken in enumerate(slices):
        if isinstance(taken, int):
            masks["ShrinkAxisMask"] |= 1 << axis
        part = slice(taken, taken + 1) if isinstance(taken, int) else taken
        masks["BeginMask"] |= (part.start is None) << axis
        masks["EndMask"] |= (part.stop is None) << axis
        begin.append(part.start or 0)
        end.append(part.stop or 0)
        strides.append(part.step or 1)
    after = np.empty(shape, dtype=np.int8)[tuple(slices)].shape
    scales = (quantization[0],) if dtype is np.int8 else ()
    tensors = (
        Tensor(shape, scales, quantization[1], dtype=dtype),
        *map(_list, (begin, end, strides)),
        Tensor(after, scales, quantization[1], dtype=dtype),
    )
    return Model(tensors, (Operator("STRIDED_SLICE", (0, 1, 2, 3), (4,), masks),))
