"""Makes small .tflite files: single operators and short graphs, with chosen shapes and quantization.

Describe a model with Model, Tensor and Operator, or let one of the functions below do it, and build() writes it. The
same seed gives the same file, byte for byte.
"""

from __future__ import annotations

from host.modelgen.file import Array, Model, Operator, Tensor, build
from host.modelgen.graphs import computed_reshape, residual, visible_shape
from host.modelgen.inputs import altered, inputs_for
from host.modelgen.plain import (
    Quantization,
    Shape,
    add,
    binary,
    concatenation,
    dequantize,
    mean,
    pack,
    pad,
    quantize,
    reshape,
    softmax,
    strided_slice,
    unary,
)
from host.modelgen.weighted import (
    NONE,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    SAME,
    VALID,
    Window,
    average_pool_2d,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    max_pool_2d,
    out_size,
)

__all__ = [
    "NONE",
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "SAME",
    "VALID",
    "Array",
    "Model",
    "Operator",
    "Quantization",
    "Shape",
    "Tensor",
    "Window",
    "add",
    "altered",
    "average_pool_2d",
    "binary",
    "build",
    "computed_reshape",
    "concatenation",
    "conv_2d",
    "depthwise_conv_2d",
    "dequantize",
    "fully_connected",
    "inputs_for",
    "max_pool_2d",
    "mean",
    "out_size",
    "pack",
    "pad",
    "quantize",
    "reshape",
    "residual",
    "softmax",
    "strided_slice",
    "unary",
    "visible_shape",
]
