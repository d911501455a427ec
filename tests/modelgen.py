"""Builds small .tflite files for tests: single operators and short chains, with chosen shapes and quantization."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import tflite

TYPES = {
    np.dtype(np.int8): tflite.TensorType.INT8,
    np.dtype(np.uint8): tflite.TensorType.UINT8,
    np.dtype(np.int16): tflite.TensorType.INT16,
    np.dtype(np.int32): tflite.TensorType.INT32,
    np.dtype(np.float32): tflite.TensorType.FLOAT32,
}
SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3

# Which options table an operator has.
OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "SOFTMAX": "SoftmaxOptions",
    "ADD": "AddOptions",
    "RESHAPE": "ReshapeOptions",
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """`data` makes it a constant. `scales`: none, one, or one per slice of `dimension`."""

    shape: tuple[int, ...]
    scales: tuple[float, ...] = ()
    zero_point: int = 0
    data: np.ndarray | None = None
    dtype: type = np.int8
    dimension: int = 0
    variable: bool = False


@dataclass(frozen=True, slots=True)
class Operator:
    """`inputs` and `outputs` are tensor numbers, -1 for an absent one; `options` are the schema's names."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] | None = None
    custom: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """What build() writes; the fields with defaults are for files that must be refused."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...] = (0,)
    outputs: tuple[int, ...] = ()
    version: int = 3
    subgraphs: int = 1
    codes: str = "both"  # "old": only the 8-bit builtin code, "new": only the 32-bit one


class _Writer:
    def __init__(self) -> None:
        self.b = flatbuffers.Builder(1024)

    def vector(self, data: np.ndarray) -> int:
        return int(self.b.CreateNumpyVector(data))

    def offsets(self, items: Sequence[int]) -> int:
        self.b.StartVector(4, len(items), 4)
        for item in reversed(items):
            self.b.PrependUOffsetTRelative(item)
        return int(self.b.EndVector())

    def table(self, name: str, fields: Mapping[str, Any]) -> int:
        getattr(tflite, f"{name}Start")(self.b)
        for key, value in fields.items():
            getattr(tflite, f"{name}Add{key}")(self.b, value)
        return int(getattr(tflite, f"{name}End")(self.b))

    def tensor(self, tensor: Tensor, buffer: int) -> int:
        shape = self.vector(np.array(tensor.shape, dtype=np.int32))
        fields: dict[str, Any] = {"Shape": shape, "Type": TYPES[np.dtype(tensor.dtype)], "Buffer": buffer}
        if tensor.scales:
            zero_points = np.full(len(tensor.scales), tensor.zero_point, dtype=np.int64)
            fields["Quantization"] = self.table(
                "QuantizationParameters",
                {
                    "Scale": self.vector(np.array(tensor.scales, dtype=np.float32)),
                    "ZeroPoint": self.vector(zero_points),
                    "QuantizedDimension": tensor.dimension,
                },
            )
        if tensor.variable:
            fields["IsVariable"] = True
        return self.table("Tensor", fields)

    def operator(self, operator: Operator, code: int) -> int:
        fields: dict[str, Any] = {"OpcodeIndex": code}
        if operator.options is not None:
            name = OPTIONS[operator.name]
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, name)
            fields["BuiltinOptions"] = self.table(name, operator.options)
        fields["Inputs"] = self.vector(np.array(operator.inputs, dtype=np.int32))
        fields["Outputs"] = self.vector(np.array(operator.outputs, dtype=np.int32))
        return self.table("Operator", fields)

    def code(self, operator: Operator, codes: str) -> int:
        number = getattr(tflite.BuiltinOperator, operator.name)
        fields: dict[str, Any] = {"Version": 1}
        if operator.custom:
            fields["CustomCode"] = self.b.CreateString(operator.custom)
        if codes in {"both", "old"}:
            fields["DeprecatedBuiltinCode"] = min(number, 127)
        if codes in {"both", "new"}:
            fields["BuiltinCode"] = number
        return self.table("OperatorCode", fields)


def build(model: Model) -> bytes:
    """The flatbuffer; one operator code per operator, one buffer per constant."""
    w = _Writer()
    buffers = [w.table("Buffer", {})]
    tensors = []
    for tensor in model.tensors:
        number = 0
        if tensor.data is not None:
            raw = np.frombuffer(np.ascontiguousarray(tensor.data, dtype=tensor.dtype).tobytes(), dtype=np.uint8)
            buffers.append(w.table("Buffer", {"Data": w.vector(raw)}))
            number = len(buffers) - 1
        tensors.append(w.tensor(tensor, number))
    outputs = model.outputs or model.operators[-1].outputs
    graph = {
        "Tensors": w.offsets(tensors),
        "Inputs": w.vector(np.array(model.inputs, dtype=np.int32)),
        "Outputs": w.vector(np.array(outputs, dtype=np.int32)),
        "Operators": w.offsets([w.operator(operator, i) for i, operator in enumerate(model.operators)]),
    }
    fields = {
        "Version": model.version,
        "OperatorCodes": w.offsets([w.code(operator, model.codes) for operator in model.operators]),
        "Subgraphs": w.offsets([w.table("SubGraph", graph) for _ in range(model.subgraphs)]),
        "Buffers": w.offsets(buffers),
    }
    w.b.Finish(w.table("Model", fields), file_identifier=b"TFL3")
    return bytes(w.b.Output())


def out_size(size: int, taps: int, stride: int, dilation: int, padding: int) -> int:
    """Of one axis of a window, as the schema's padding has it."""
    span = (taps - 1) * dilation + 1
    return -(-size // stride) if padding == SAME else (size - span) // stride + 1


@dataclass(frozen=True, slots=True)
class Window:
    """One convolution or pooling to generate."""

    size: tuple[int, int] = (9, 8)
    channels: int = 3
    out_channels: int = 5  # of a convolution; a depthwise one has channels * multiplier
    multiplier: int = 1
    taps: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: int = SAME
    activation: int = NONE
    per_channel: bool = True
    bias: bool = True
    zero_points: tuple[int, int] = (-3, 5)  # input, output
    gain: float = 1.0  # 1: the output mostly spans int8 without saturating; more: it saturates

    def out(self) -> tuple[int, int]:
        h, w = (out_size(self.size[i], self.taps[i], self.stride[i], self.dilation[i], self.padding) for i in range(2))
        return h, w


def _weighted(
    rng: np.random.Generator, shape: tuple[int, ...], dimension: int, window: Window, products: int
) -> tuple[float, Tensor, Tensor, float]:
    """Input scale, weights, bias and output scale of an operator with weights."""
    channels = shape[dimension]
    count = channels if window.per_channel else 1
    scales = tuple(float(np.float32(s)) for s in rng.uniform(0.002, 0.02, count))
    in_scale = float(np.float32(rng.uniform(0.01, 0.1)))
    out_scale = float(np.float32(in_scale * 0.01 * 73 * 73 * np.sqrt(products) / 48 / window.gain))
    weights = Tensor(shape, scales, 0, rng.integers(-127, 128, shape), dimension=dimension)
    bias_range = int(73 * 73 * np.sqrt(products)) + 1
    bias_scales = tuple(in_scale * s for s in scales)
    bias = Tensor((channels,), bias_scales, 0, rng.integers(-bias_range, bias_range, channels), np.int32)
    return in_scale, weights, bias, out_scale


def _window_options(window: Window) -> dict[str, Any]:
    return {
        "Padding": window.padding,
        "StrideH": window.stride[0],
        "StrideW": window.stride[1],
        "FusedActivationFunction": window.activation,
    }


def _with_weights(name: str, window: Window, shape: tuple[int, ...], dimension: int, products: int, seed: int) -> Model:
    rng = np.random.default_rng(seed)
    in_scale, weights, bias, out_scale = _weighted(rng, shape, dimension, window, products)
    options = _window_options(window) | {"DilationHFactor": window.dilation[0], "DilationWFactor": window.dilation[1]}
    if name == "DEPTHWISE_CONV_2D":
        options["DepthMultiplier"] = window.multiplier
    out_shape = (1, *window.out(), shape[dimension])
    tensors = (
        Tensor((1, *window.size, window.channels), (in_scale,), window.zero_points[0]),
        weights,
        bias,
        Tensor(out_shape, (out_scale,), window.zero_points[1]),
    )
    inputs = (0, 1, 2) if window.bias else (0, 1)
    return Model(tensors, (Operator(name, inputs, (3,), options),))


def conv_2d(window: Window, seed: int = 0) -> Model:
    shape = (window.out_channels, *window.taps, window.channels)
    return _with_weights("CONV_2D", window, shape, 0, int(np.prod(shape[1:])), seed)


def depthwise_conv_2d(window: Window, seed: int = 0) -> Model:
    shape = (1, *window.taps, window.channels * window.multiplier)
    return _with_weights("DEPTHWISE_CONV_2D", window, shape, 3, int(np.prod(window.taps)), seed)


def average_pool_2d(window: Window) -> Model:
    options = _window_options(window) | {"FilterHeight": window.taps[0], "FilterWidth": window.taps[1]}
    quantization = ((0.03,), window.zero_points[0])
    tensors = (
        Tensor((1, *window.size, window.channels), *quantization),
        Tensor((1, *window.out(), window.channels), *quantization),
    )
    return Model(tensors, (Operator("AVERAGE_POOL_2D", (0,), (1,), options),))


def fully_connected(depth: int, units: int, *, rows: int = 1, seed: int = 0, **choices: Any) -> Model:
    """`choices` are those fields of Window that have a meaning here."""
    window = Window(**{"per_channel": False, **choices})
    rng = np.random.default_rng(seed)
    in_scale, weights, bias, out_scale = _weighted(rng, (units, depth), 0, window, depth)
    tensors = (
        Tensor((rows, depth), (in_scale,), window.zero_points[0]),
        weights,
        bias,
        Tensor((rows, units), (out_scale,), window.zero_points[1]),
    )
    inputs = (0, 1, 2) if window.bias else (0, 1, -1)
    options = {"FusedActivationFunction": window.activation}
    return Model(tensors, (Operator("FULLY_CONNECTED", inputs, (3,), options),))


def add(
    shape: tuple[int, ...], scales: tuple[float, float, float], zero_points: tuple[int, int, int], activation: int
) -> Model:
    """The input and a constant of the same shape."""
    other = np.random.default_rng(1).integers(-128, 128, shape)
    tensors = (
        Tensor(shape, scales[:1], zero_points[0]),
        Tensor(shape, scales[1:2], zero_points[1], other),
        Tensor(shape, scales[2:], zero_points[2]),
    )
    return Model(tensors, (Operator("ADD", (0, 1), (2,), {"FusedActivationFunction": activation}),))


def softmax(shape: tuple[int, ...], scale: float, beta: float = 1.0, zero_point: int = 0) -> Model:
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


def residual() -> Model:
    """Two convolutions whose results meet in an ADD, then pool, reshape, units and classes: every operator at once."""
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


def inputs_for(model: Model, count: int, seed: int = 0) -> list[np.ndarray]:
    """Random int8 inputs, after the two extremes."""
    shape = model.tensors[model.inputs[0]].shape
    rng = np.random.default_rng(seed)
    extremes = [np.full(shape, -128, dtype=np.int8), np.full(shape, 127, dtype=np.int8)]
    return [*extremes, *(rng.integers(-128, 128, shape, dtype=np.int8) for _ in range(count))]


def altered(model: Model, change: Callable[[Tensor], Tensor], number: int) -> Model:
    """The model with one tensor changed."""
    tensors = tuple(change(t) if i == number else t for i, t in enumerate(model.tensors))
    return Model(tensors, model.operators, model.inputs, model.outputs)
