"""Models of several operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import tflite

from host.modelgen.file import Model, Operator, Tensor
from host.modelgen.weighted import RELU, VALID, Window, conv_2d, depthwise_conv_2d, fully_connected


def residual() -> Model:
    """Two convolutions whose results meet in an ADD, then pool, reshape, units and classes."""
    stem = conv_2d(Window(size=(8, 8), channels=3, out_channels=6, activation=RELU, zero_points=(2, -128)), 1)
    branch = conv_2d(Window(size=(8, 8), channels=6, out_channels=6, zero_points=(-128, 4)), 2)
    depth = depthwise_conv_2d(Window(size=(8, 8), channels=6, zero_points=(4, -7)), 3)
    end = fully_connected(6, 5, seed=4, zero_points=(9, 1))
    tensors: list[Tensor] = []
    operators: list[Operator] = []

    def tensor(tensor: Tensor) -> int:
        tensors.append(tensor)
        return len(tensors) - 1

    def weighted(part: Model, source: int) -> int:
        numbers = (source, tensor(part.tensors[1]), tensor(part.tensors[2]))
        result = tensor(part.tensors[3])
        operators.append(Operator(part.operators[0].name, numbers, (result,), part.operators[0].options))
        return result

    def plain(name: str, sources: tuple[int, ...], result: Tensor, options: dict[str, Any]) -> int:
        number = tensor(result)
        operators.append(Operator(name, sources, (number,), options))
        return number

    image = tensor(stem.tensors[0])
    trunk = weighted(stem, image)
    side = weighted(depth, weighted(branch, trunk))
    scale = end.tensors[0].scales[0]  # TFLM wants FULLY_CONNECTED's bias scale to be that of input times weights
    total = plain("ADD", (trunk, side), Tensor((1, 8, 8, 6), (scale,), 9), {"FusedActivationFunction": RELU})
    pool_options = {"Padding": VALID, "StrideH": 8, "StrideW": 8, "FilterHeight": 8, "FilterWidth": 8}
    pooled = plain("AVERAGE_POOL_2D", (total,), Tensor((1, 1, 1, 6), (scale,), 9), pool_options)
    shape = tensor(Tensor((2,), (), 0, np.array([1, 6]), np.int32))
    flat = plain("RESHAPE", (pooled, shape), Tensor((1, 6), (scale,), 9), {})
    units = weighted(end, flat)
    plain("SOFTMAX", (units,), Tensor((1, 5), (1 / 256,), -128), {"Beta": 1.0})
    return Model(tuple(tensors), tuple(operators))


def _numbers(*values: int) -> Tensor:
    return Tensor((len(values),), (), 0, np.array(values), np.int32)


def computed_reshape(shape: tuple[int, ...], units: int = 5) -> Model:
    """float32 in and out, around units behind a RESHAPE whose shape is computed from the input's: SHAPE, STRIDED_SLICE
    and PACK, as converters write it for a batch of unknown size. `shape` begins with the batch, 1.
    """
    depth = int(np.prod(shape))
    end = fully_connected(depth, units, seed=4, zero_points=(-5, 11))
    image, weights, bias, result = end.tensors
    tensors = (
        Tensor(shape, dtype=np.float32),
        replace(image, shape=shape),
        Tensor((len(shape),), dtype=np.int32),
        *(_numbers(0), _numbers(1), _numbers(1)),
        Tensor((), dtype=np.int32),
        Tensor((), (), 0, np.array(depth), np.int32),
        Tensor((2,), dtype=np.int32),
        *(image, weights, bias, result),
        Tensor(result.shape, dtype=np.float32),
    )
    operators = (
        Operator("QUANTIZE", (0,), (1,), {}),
        Operator("SHAPE", (1,), (2,), {"OutType": tflite.TensorType.INT32}),
        Operator("STRIDED_SLICE", (2, 3, 4, 5), (6,), {"ShrinkAxisMask": 1}),
        Operator("PACK", (6, 7), (8,), {"ValuesCount": 2, "Axis": 0}),
        Operator("RESHAPE", (1, 8), (9,), {}),
        Operator("FULLY_CONNECTED", (9, 10, 11), (12,), end.operators[0].options),
        Operator("DEQUANTIZE", (12,), (13,), {}),
    )
    return Model(tensors, operators)


def visible_shape(shape: tuple[int, ...], scale: float = 1.0) -> Model:
    """What SHAPE, STRIDED_SLICE and PACK compute of a shape, made visible by QUANTIZE from int32 to int8."""
    rank = len(shape)
    tensors = (
        Tensor(shape, (0.1,)),
        Tensor((rank,), dtype=np.int32),
        *(_numbers(-1), _numbers(0), _numbers(-1)),
        Tensor((rank,), dtype=np.int32),
        Tensor((rank,), (), 0, np.arange(-2, rank - 2) * 57, np.int32),
        Tensor((2, rank), (scale,), 3, dtype=np.int32),
        Tensor((2, rank), (1.5,), -7),
    )
    operators = (
        Operator("SHAPE", (0,), (1,), {"OutType": tflite.TensorType.INT32}),
        Operator("STRIDED_SLICE", (1, 2, 3, 4), (5,), {"EndMask": 1}),
        Operator("PACK", (5, 6), (7,), {"ValuesCount": 2, "Axis": 0}),
        Operator("QUANTIZE", (7,), (8,), {}),
    )
    return Model(tensors, operators)
