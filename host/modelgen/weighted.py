"""Single operators that slide a window over an image or have weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite

from host.modelgen.file import Model, Operator, Tensor

SAME: int = tflite.Padding.SAME
VALID: int = tflite.Padding.VALID
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3  # fused activations


def out_size(size: int, taps: int, stride: int, dilation: int, padding: int) -> int:
    """Of one axis of a window, as the schema's padding has it."""
    span = (taps - 1) * dilation + 1
    return -(-size // stride) if padding == SAME else (size - span) // stride + 1


@dataclass(frozen=True, slots=True)
class Window:
    """One convolution or pooling to generate. Pairs are (height, width), zero points (input, output)."""

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
    zero_points: tuple[int, int] = (-3, 5)
    gain: float = 1.0  # 1: the output mostly spans int8 without saturating; more: it saturates
    spread: float = 0.0  # scales of the weights are up to 2^spread larger or smaller
    bias_gain: float = 1.0  # 1: as large as the sums of products

    def out(self) -> tuple[int, int]:
        """Size of the output."""
        h, w = (out_size(self.size[i], self.taps[i], self.stride[i], self.dilation[i], self.padding) for i in range(2))
        return h, w


def _weighted(
    rng: np.random.Generator, shape: tuple[int, ...], dimension: int, window: Window, products: int
) -> tuple[float, Tensor, Tensor, float]:
    """Input scale, weights, bias and output scale of an operator with weights."""
    channels = shape[dimension]
    count = channels if window.per_channel else 1
    drawn = rng.uniform(0.002, 0.02, count)
    in_scale = float(np.float32(rng.uniform(0.01, 0.1)))
    if window.spread:
        drawn *= 2.0 ** rng.uniform(-window.spread, window.spread, count)
    scales = tuple(float(np.float32(s)) for s in drawn)
    out_scale = float(np.float32(in_scale * 0.01 * 73 * 73 * np.sqrt(products) / 48 / window.gain))
    weights = Tensor(shape, scales, 0, rng.integers(-127, 128, shape), dimension=dimension)
    bias_range = min(int(73 * 73 * np.sqrt(products) * window.bias_gain) + 1, 2**31 - 1)
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
    """CONV_2D with random weights, bias and scales. Tensors: input, weights, bias, output."""
    shape = (window.out_channels, *window.taps, window.channels)
    return _with_weights("CONV_2D", window, shape, 0, int(np.prod(shape[1:])), seed)


def depthwise_conv_2d(window: Window, seed: int = 0) -> Model:
    """DEPTHWISE_CONV_2D with random weights, bias and scales. Tensors: input, weights, bias, output."""
    shape = (1, *window.taps, window.channels * window.multiplier)
    return _with_weights("DEPTHWISE_CONV_2D", window, shape, 3, int(np.prod(window.taps)), seed)


def fully_connected(depth: int, units: int, *, rows: int = 1, seed: int = 0, **choices: Any) -> Model:
    """FULLY_CONNECTED; `choices` are those fields of Window that have a meaning here."""
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


def _pool(name: str, window: Window, scale: float) -> Model:
    options = _window_options(window) | {"FilterHeight": window.taps[0], "FilterWidth": window.taps[1]}
    quantization = ((scale,), window.zero_points[0])
    tensors = (
        Tensor((1, *window.size, window.channels), *quantization),
        Tensor((1, *window.out(), window.channels), *quantization),
    )
    return Model(tensors, (Operator(name, (0,), (1,), options),))


def average_pool_2d(window: Window, scale: float = 0.03) -> Model:
    """AVERAGE_POOL_2D; input and output have the input's quantization."""
    return _pool("AVERAGE_POOL_2D", window, scale)


def max_pool_2d(window: Window, scale: float = 0.03) -> Model:
    """MAX_POOL_2D; input and output have the input's quantization."""
    return _pool("MAX_POOL_2D", window, scale)
