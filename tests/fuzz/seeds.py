"""The seeds of the corpus: small sound models, at least one for every operator, from which the fuzzer sets out.

python tests/fuzz/seeds.py FOLDER     writes them, as <operator>-<n>.tflite
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from host import modelgen as gen
from host.modelgen import VALID, Model, Window


def windows() -> Iterator[Window]:
    """What the kernels tell apart: whole channel quads or not, 1x1, stride, dilation, padding, one scale or many."""
    yield Window(size=(5, 4), channels=3, out_channels=5)
    yield Window(size=(4, 4), channels=8, out_channels=8, taps=(1, 1), bias=False)
    yield Window(size=(5, 5), channels=4, out_channels=4, stride=(2, 2), padding=VALID, per_channel=False)
    yield Window(size=(7, 6), channels=2, out_channels=3, dilation=(2, 2), activation=gen.RELU6)
    yield Window(size=(1, 12), channels=1, out_channels=4, taps=(1, 4), multiplier=4)
    yield Window(size=(3, 3), channels=5, out_channels=2, multiplier=2, taps=(3, 2), activation=gen.RELU)


def seeds() -> Iterator[tuple[str, Model]]:
    for window in windows():
        yield "conv_2d", gen.conv_2d(window)
        yield "depthwise_conv_2d", gen.depthwise_conv_2d(window)
        if window.dilation == (1, 1):
            yield "average_pool_2d", gen.average_pool_2d(window)
            yield "max_pool_2d", gen.max_pool_2d(window)
    yield "fully_connected", gen.fully_connected(12, 5)
    yield "fully_connected", gen.fully_connected(16, 8, rows=3, per_channel=True)
    yield "fully_connected", gen.fully_connected(7, 9, bias=False, activation=gen.RELU)
    yield from elementwise()
    yield from moving()
    yield "residual", gen.residual()
    yield "computed_reshape", gen.computed_reshape((1, 2, 3))
    yield "visible_shape", gen.visible_shape((3, 1, 4))


def elementwise() -> Iterator[tuple[str, Model]]:
    same = ((1, 4, 4, 2), (1, 4, 4, 2))
    spread = ((2, 1, 5, 3), (4, 1, 3))
    quantizations = ((0.1, 3), (0.2, -5), (0.3, 7))
    for name in ("ADD", "SUB", "MUL"):
        yield name.lower(), gen.binary(name, same, quantizations, constant=None)
        yield name.lower(), gen.binary(name, spread, quantizations, gen.RELU6)
        yield name.lower(), gen.binary(name, spread, quantizations, constant=0)
    for name in ("RELU", "RELU6", "QUANTIZE"):
        yield name.lower(), gen.unary(name, (3, 7), (0.05, -7), (0.04, 9))
    yield "logistic", gen.unary("LOGISTIC", (3, 7), (0.05, -7), (1 / 256, -128))
    yield "quantize", gen.quantize((2, 5), (0.1, 3))
    yield "dequantize", gen.dequantize((2, 5), (0.1, 3))
    yield "softmax", gen.softmax((1, 12), 0.1)
    yield "softmax", gen.softmax((3, 5), 0.05, beta=2.0)


def moving() -> Iterator[tuple[str, Model]]:
    quantization = (0.1, 3)
    yield "reshape", gen.reshape((1, 6), (2, 3))
    yield "pad", gen.pad((1, 3, 2, 4), ((0, 0), (1, 2), (0, 1), (0, 0)), quantization)
    yield "padv2", gen.pad((3, 5), ((2, 0), (0, 3)), quantization, -100)
    yield "mean", gen.mean((1, 4, 3, 5), (1, 2), quantization, (0.05, -9))
    yield "mean", gen.mean((2, 3, 4), (-1,), quantization, quantization, keep_dims=False)
    yield "concatenation", gen.concatenation((2, 3, 4), (1, 3, 2), 1, quantization, 1)
    yield "concatenation", gen.concatenation((5,), (5, 4), -1, quantization)
    yield "pack", gen.pack((3, 2), 3, 1, quantization, 2)
    yield "strided_slice", gen.strided_slice((4, 6, 3), (slice(1, 3), slice(None, None, 2), 1), quantization)
    yield (
        "strided_slice",
        gen.strided_slice((3, 5), (slice(None, None, -1), slice(-1, 0, -2)), quantization, dtype=np.float32),
    )


def write(folder: Path) -> None:
    numbers: dict[str, int] = {}
    for name, model in seeds():
        numbers[name] = numbers.get(name, 0) + 1
        (folder / f"{name}-{numbers[name]}.tflite").write_bytes(gen.build(model))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
