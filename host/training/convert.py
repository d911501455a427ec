# SPDX-License-Identifier: Apache-2.0
"""From a Keras model to a .tflite of the official kind: int8 throughout, weights of a convolution by channel."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.training.checks import Quantisation

Floats = NDArray[np.float32]


def spanning(samples: Floats, wanted: Quantisation) -> Floats:
    """`samples` within the range of `wanted`, with its two ends in them.

    The converter takes an input's range from the calibration set. Whole samples at the ends would widen the ranges of
    every layer behind; so the smallest and the largest value of the set are moved there, which are next to it anyway.
    """
    moved = np.clip(samples, np.float32(wanted.low), np.float32(wanted.high))
    flat = moved.reshape(-1)
    flat[flat.argmin()] = np.float32(wanted.low)
    flat[flat.argmax()] = np.float32(wanted.high)
    return moved


def to_int8(tensorflow: Any, model: Any, calibration: Floats) -> bytes:
    """The .tflite of `model`, quantised with the ranges that `calibration` (samples, in the model's shape) gives.

    What keeps the operators those of the official files: the batch is left open, else the converter takes a RESHAPE
    before FULLY_CONNECTED out; weights of FULLY_CONNECTED have one scale, as everywhere before TensorFlow 2.17.
    """
    shape = (None, *model.input_shape[1:])
    answer = tensorflow.function(lambda x: model(x, training=False), autograph=False)
    traced = answer.get_concrete_function(tensorflow.TensorSpec(shape, tensorflow.float32, name="input"))
    # Keras 3 keeps its variables outside of what the converter looks at: they become constants first.
    freezing = importlib.import_module("tensorflow.python.framework.convert_to_constants")
    frozen = freezing.convert_variables_to_constants_v2(traced)
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([frozen], model)

    def samples() -> Iterator[list[Floats]]:
        for sample in calibration:
            yield [sample[np.newaxis]]

    converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tensorflow.int8
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own old parts
        return bytes(converter.convert())
