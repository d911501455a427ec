"""Makes small .tflite files: single operators and short graphs, with chosen shapes and quantization.

Describe a model with Model, Tensor and Operator, or let one of the functions below do it, and build() writes it. The
same seed gives the same file, byte for byte.
"""

from __future__ import annotations

from host.modelgen.file import Array, Model, Operator, Tensor, build
from host.modelgen.graphs import residual
from host.modelgen.inputs import altered, inputs_for
from host.modelgen.plain import add, reshape, softmax
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
    "Tensor",
    "Window",
    "add",
    "altered",
    "average_pool_2d",
    "build",
    "conv_2d",
    "depthwise_conv_2d",
    "fully_connected",
    "inputs_for",
    "max_pool_2d",
    "out_size",
    "reshape",
    "residual",
    "softmax",
]
