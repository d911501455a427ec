"""Random models of one operator each: random_model(operator, seed) is the same model every time.

Sizes are drawn so that they meet the cases kernels are specialised for: channels that are a multiple of 16, 8 or 4, and
odd ones; widths from 1; more filters than a block has; 1x1 with stride 1; images whose output has their own size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from host import modelgen as gen
from host.modelgen import NONE, SAME, VALID, Model, Quantization, Shape, Window


class Draw:
    """Random choices of one model."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.seed = seed

    def below(self, count: int, start: int = 0) -> int:
        return start + int(self.rng.integers(count))

    def one_of(self, *choices: int) -> int:
        return choices[self.below(len(choices))]

    def often(self) -> bool:
        return bool(self.rng.random() < 0.75)

    def rarely(self) -> bool:
        return bool(self.rng.random() < 0.2)

    def channels(self) -> int:
        return self.one_of(1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 20, 24, 32, 40, 64, self.below(40, 1))

    def zero_point(self) -> int:
        return self.one_of(-128, 127, 0, *(self.below(256, -128) for _ in range(5)))

    def scale(self) -> float:
        """Mostly such as models have, now and then extreme."""
        exponent = self.rng.uniform(-20, 12) if self.rarely() else self.rng.uniform(-8, 0)
        return float(np.float32(2.0**exponent))

    def quantization(self) -> Quantization:
        return self.scale(), self.zero_point()

    def near(self, other: Quantization, spread: float = 2.0) -> Quantization:
        """A scale within 2^spread of the other's."""
        return float(np.float32(other[0] * 2 ** self.rng.uniform(-spread, spread))), self.zero_point()

    def shape(self, rank: int | None = None, elements: int = 3000, most: int = 6) -> Shape:
        """Of `rank` dimensions, or of any number up to `most`, but more than 4 only now and then."""
        sizes: list[int] = []
        for _ in range(rank or self.below(most if self.rarely() else 4, 1)):
            sizes.append(min(self.one_of(1, 2, 3, self.below(9, 1), self.channels()), max(1, elements)))
            elements //= sizes[-1]
        return tuple(sizes)


def extremes(draw: Draw) -> dict[str, float]:
    """Fields of Window: scales and biases, now and then such that a scale is over 1, or 0, and a bias is very large."""
    return {
        "gain": float(2 ** draw.rng.uniform(*((-12, 14) if draw.rarely() else (-3, 3)))),
        "spread": 12.0 if draw.rarely() else 0.0,
        "bias_gain": float(2 ** draw.rng.uniform(0, 20)) if draw.rarely() else 1.0,
    }


def window(draw: Draw, products: int = 150_000) -> Window:
    """No more than that many multiplications: the tests are many."""
    one_by_one = draw.rng.random() < 0.3
    taps = (1, 1) if one_by_one else (draw.below(7, 1), draw.below(7, 1))
    stride = (1, 1) if one_by_one and draw.often() else (draw.below(3, 1), draw.below(3, 1))
    dilation = (draw.below(3, 1), draw.below(3, 1)) if draw.rarely() else (1, 1)
    padding = draw.one_of(SAME, VALID)
    low = [(taps[i] - 1) * dilation[i] + 1 if padding == VALID else 1 for i in range(2)]
    result = Window(
        size=(low[0] + draw.below(9), low[1] + draw.below(9)),
        channels=draw.channels(),
        out_channels=draw.one_of(draw.channels(), draw.below(70, 1)),
        multiplier=1 if draw.often() else draw.below(4, 1),
        taps=taps,
        stride=stride,
        dilation=dilation,
        padding=padding,
        activation=draw.below(4) if draw.rarely() else NONE,
        per_channel=draw.often(),
        bias=draw.often(),
        zero_points=(draw.zero_point(), draw.zero_point()),
        **extremes(draw),
    )
    cost = int(np.prod([*result.out(), *result.taps, result.channels, result.out_channels]))
    if cost > products:
        result = replace(result, out_channels=max(1, result.out_channels * products // cost))
    return result


def convolution(draw: Draw) -> Model:
    return gen.conv_2d(window(draw), draw.seed)


def depthwise(draw: Draw) -> Model:
    chosen = window(draw)
    if draw.rarely():  # from one channel to many: TFLM's own special case
        chosen = replace(chosen, channels=1, multiplier=draw.below(12, 2))
    return gen.depthwise_conv_2d(chosen, draw.seed)


def in_place(draw: Draw) -> Model:
    """A chain of windows that leave the size as it is, so that each may be written over its input."""
    channels = draw.channels()
    chain = []
    for _ in range(draw.below(3, 2)):
        plain = window(draw)
        alike = {"channels": channels, "out_channels": channels, "multiplier": 1}
        chain.append(replace(plain, stride=(1, 1), padding=SAME, **alike))
    size = (draw.below(9, 1), draw.below(9, 1))
    make = [gen.conv_2d if draw.below(2) else gen.depthwise_conv_2d for _ in chain]
    return chained([m(replace(w, size=size), draw.seed + i) for i, (m, w) in enumerate(zip(make, chain, strict=True))])


def chained(parts: list[Model]) -> Model:
    """Models of one operator, input first and output last among their tensors, one behind the other."""
    tensors = [parts[0].tensors[0]]
    operators = []
    last = 0
    for part in parts:
        first = len(tensors)
        tensors += part.tensors[1:]
        numbers = tuple(last if n == 0 else first + n - 1 for n in part.operators[0].inputs)
        # The next one takes the values as if they had its input's quantization: only the zero point matters to it.
        tensors[last] = replace(tensors[last], scales=part.tensors[0].scales, zero_point=part.tensors[0].zero_point)
        last = len(tensors) - 1
        operators.append(replace(part.operators[0], inputs=numbers, outputs=(last,)))
    return Model(tuple(tensors), tuple(operators))


def units(draw: Draw) -> Model:
    depth = draw.one_of(draw.below(300, 1), draw.channels(), 2 * draw.below(150) + 1)
    return gen.fully_connected(
        depth,
        draw.below(40, 1),
        rows=1 if draw.often() else draw.below(6, 1),
        seed=draw.seed,
        per_channel=draw.rarely(),
        bias=draw.often(),
        activation=draw.below(4) if draw.rarely() else NONE,
        zero_points=(draw.zero_point(), draw.zero_point()),
        **extremes(draw),
    )


def pool(draw: Draw) -> Model:
    make = gen.average_pool_2d if draw.below(2) else gen.max_pool_2d
    return make(replace(window(draw), dilation=(1, 1)), draw.scale())


def stretched(draw: Draw) -> tuple[Shape, Shape]:
    """Two shapes that go together: alike, or one or both with dimensions of 1 or missing."""
    shape = draw.shape()
    if draw.below(2):
        return shape, shape

    def cut() -> Shape:
        some = tuple(1 if draw.rarely() else n for n in shape)
        return some[draw.below(len(some)) :] if draw.rarely() else some

    return (shape, cut()) if draw.below(2) else (cut(), cut())


def binary(name: str) -> Callable[[Draw], Model]:
    def make(draw: Draw) -> Model:
        shapes = stretched(draw)
        first = draw.quantization()
        second = draw.near(first, 10 if draw.rarely() else 3)
        if name == "MUL":
            result = draw.near((first[0] * second[0] * 2.0 ** draw.below(7), 0))
        else:
            result = draw.near((max(first[0], second[0]), 0))
        constant = draw.below(2)
        if shapes[0] == shapes[1] and draw.rarely():
            constant = None
        activation = draw.below(4) if draw.rarely() else NONE
        return gen.binary(name, shapes, (first, second, result), activation, constant=constant, seed=draw.seed)

    return make


def unary(name: str) -> Callable[[Draw], Model]:
    def make(draw: Draw) -> Model:
        before = draw.quantization()
        after = (1 / 256, -128) if name == "LOGISTIC" else draw.near(before, 6 if draw.rarely() else 2)
        return gen.unary(name, draw.shape(), before, after)

    return make


def softmax(draw: Draw) -> Model:
    shape = (*draw.shape(elements=200, most=5), draw.below(20, 1 if draw.rarely() else 2))
    return gen.softmax(shape, draw.scale(), float(np.float32(draw.rng.uniform(0.1, 3))), draw.zero_point())


def pad(draw: Draw) -> Model:
    shape = draw.shape(elements=800, most=5)  # TFLM's limit
    paddings = [(0, 0) if draw.rarely() else (draw.below(4), draw.below(4)) for _ in shape]
    return gen.pad(shape, paddings, draw.quantization(), draw.below(256, -128) if draw.below(2) else None)


def mean(draw: Draw) -> Model:
    shape = draw.shape()
    axes = [draw.below(2 * len(shape), -len(shape)) for _ in range(draw.below(len(shape), 1))]
    if len(shape) == 4 and draw.often():
        axes = [1, 2]
    before = draw.quantization()
    return gen.mean(shape, axes, before, draw.near(before), keep_dims=bool(draw.below(2)))


def concatenation(draw: Draw) -> Model:
    shape = draw.shape(elements=800)
    sizes = [draw.below(9, 1) for _ in range(draw.below(6, 1))]
    axis = draw.below(2 * len(shape), -len(shape))
    return gen.concatenation(shape, sizes, axis, draw.quantization(), draw.below(len(sizes)), seed=draw.seed)


def pack(draw: Draw) -> Model:
    shape = draw.shape(draw.below(3, 1), elements=500)
    count = draw.below(5, 1)
    axis = draw.below(2 * (len(shape) + 1), -len(shape) - 1)
    return gen.pack(shape, count, axis, draw.quantization(), draw.below(count), seed=draw.seed)


def strided_slice(draw: Draw) -> Model:
    shape = draw.shape(most=4)  # TFLM's limit

    def part(size: int) -> slice | int:
        if draw.rarely():
            return draw.below(2 * size, -size) if len(shape) > 1 else slice(None)
        bounds = [None if draw.rarely() else draw.below(2 * size + 4, -size - 2) for _ in range(2)]
        result = slice(*bounds, draw.one_of(1, 1, 2, 3, -1, -2))
        return result if range(size)[result] else slice(None)

    slices = [part(size) for size in shape]
    if all(isinstance(one, int) for one in slices):
        slices[0] = slice(None)
    # -1 as an index from the end, and 0 as an end, mean something else in NumPy than in TFLM's masks.
    slices = [one % shape[i] if isinstance(one, int) else one for i, one in enumerate(slices)]
    dtype = np.float32 if draw.rarely() else np.int8
    return gen.strided_slice(shape, slices, draw.quantization(), dtype=dtype)


def quantize(draw: Draw) -> Model:
    return gen.quantize(draw.shape(), draw.quantization())


def dequantize(draw: Draw) -> Model:
    return gen.dequantize(draw.shape(), draw.quantization())


def reshape(draw: Draw) -> Model:
    shape = draw.shape()
    size = int(np.prod(shape))
    divisor = draw.one_of(*(n for n in range(1, size + 1) if size % n == 0))
    return gen.reshape(shape, (1, divisor, size // divisor))


def computed_reshape(draw: Draw) -> Model:
    return gen.computed_reshape((1, *draw.shape(2, 200)), draw.below(20, 1))


def visible_shape(draw: Draw) -> Model:
    return gen.visible_shape(draw.shape(), draw.scale())


OPERATORS: dict[str, Callable[[Draw], Model]] = {
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": depthwise,
    "in place": in_place,
    "FULLY_CONNECTED": units,
    "POOL_2D": pool,
    "ADD": binary("ADD"),
    "SUB": binary("SUB"),
    "MUL": binary("MUL"),
    "RELU": unary("RELU"),
    "RELU6": unary("RELU6"),
    "LOGISTIC": unary("LOGISTIC"),
    "SOFTMAX": softmax,
    "PAD": pad,
    "MEAN": mean,
    "CONCATENATION": concatenation,
    "PACK": pack,
    "STRIDED_SLICE": strided_slice,
    "QUANTIZE": quantize,
    "requantize": unary("QUANTIZE"),
    "DEQUANTIZE": dequantize,
    "RESHAPE": reshape,
    "computed shape": computed_reshape,
    "SHAPE": visible_shape,
}


def random_model(operator: str, seed: int) -> Model:
    """A model of that operator (a key of OPERATORS)."""
    return OPERATORS[operator](Draw(seed))
