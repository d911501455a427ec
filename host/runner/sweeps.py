"""The models of `host bench --micro`: one operator each, over shapes that tell where a kernel is slow.

A series varies one number and leaves the rest as it is. Channel counts that are no multiple of 4, few channels, small
images and long rows are in it, because kernels differ there. An input takes at most 16 KB, so that every board's
buffer holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from host import modelgen
from host.errors import UsageError
from host.modelgen import VALID, Model, Window

CHANNELS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
ELEMENTS = (16, 64, 100, 256, 1024, 4096, 16384)
_IN, _OTHER, _OUT = (0.05, 3), (0.07, -9), (0.09, 4)


@dataclass(frozen=True, slots=True)
class Case:
    """One model. `x` is the number that its series varies, `axis` what that number is."""

    operator: str
    series: str
    axis: str
    x: int
    shape: str
    model: Model

    @property
    def name(self) -> str:
        """Of the model in an image: no two cases have the same."""
        return f"{self.operator}, {self.series}, {self.x}"


def _conv_2d() -> Iterator[Case]:
    def case(series: str, axis: str, x: int, window: Window) -> Case:
        taps, stride, size = window.taps[0], window.stride[0], window.size[0]
        shape = f"{size}x{size}x{window.channels} to {window.out_channels}, {taps}x{taps}, stride {stride}"
        return Case("conv_2d", series, axis, x, shape, modelgen.conv_2d(window))

    for taps in (1, 3):
        for channels in CHANNELS:
            window = Window(size=(8, 8), channels=channels, out_channels=channels, taps=(taps, taps))
            yield case(f"{taps}x{taps}, 8x8 image", "channels in and out", channels, window)
    for out in CHANNELS:
        yield case("1x1, 16 in", "channels out", out, Window(size=(8, 8), channels=16, out_channels=out, taps=(1, 1)))
    for size in (1, 2, 3, 5, 8, 16, 24):
        yield case("3x3, 16 channels", "image size", size, Window(size=(size, size), channels=16, out_channels=16))
    for taps in (1, 2, 3, 4, 5, 7):
        window = Window(size=(16, 16), channels=3, out_channels=16, taps=(taps, taps), stride=(2, 2))
        yield case("3 to 16, stride 2", "kernel size", taps, window)


def _depthwise_conv_2d() -> Iterator[Case]:
    for taps, stride in ((3, 1), (3, 2), (5, 1)):
        for channels in (*CHANNELS, 128):
            size = 8 if channels > 64 else 12
            window = Window(size=(size, size), channels=channels, taps=(taps, taps), stride=(stride, stride))
            shape = f"{size}x{size}x{channels}, {taps}x{taps}, stride {stride}"
            series = f"{taps}x{taps}, stride {stride}"
            model = modelgen.depthwise_conv_2d(window)
            yield Case("depthwise_conv_2d", series, "channels", channels, shape, model)
    for multiplier in (1, 2, 3, 4, 8):
        window = Window(size=(8, 8), channels=4, multiplier=multiplier)
        shape = f"8x8x4 to {4 * multiplier}, 3x3, stride 1"
        model = modelgen.depthwise_conv_2d(window)
        yield Case("depthwise_conv_2d", "4 channels", "multiplier", multiplier, shape, model)


def _fully_connected() -> Iterator[Case]:
    for depth in (1, 3, 4, 10, 16, 30, 64, 128, 256, 640):
        model = modelgen.fully_connected(depth, 64)
        yield Case("fully_connected", "64 units", "inputs", depth, f"{depth} to 64", model)
    for units in (1, 2, 3, 4, 8, 12, 32, 128):
        model = modelgen.fully_connected(128, units)
        yield Case("fully_connected", "128 inputs", "units", units, f"128 to {units}", model)


def _binary(name: str) -> Callable[[], Iterator[Case]]:
    def cases() -> Iterator[Case]:
        for elements in ELEMENTS:
            model = modelgen.binary(name.upper(), ((1, elements), (1, elements)), (_IN, _OTHER, _OUT))
            yield Case(name, "two alike", "elements", elements, f"{elements} and {elements}", model)
        for elements in ELEMENTS:
            model = modelgen.binary(name.upper(), ((1, elements), (1, 1)), (_IN, _OTHER, _OUT))
            yield Case(name, "with one number", "elements", elements, f"{elements} and 1", model)

    return cases


def _unary(name: str, after: tuple[float, int]) -> Callable[[], Iterator[Case]]:
    def cases() -> Iterator[Case]:
        for elements in ELEMENTS:
            model = modelgen.unary(name.upper(), (1, elements), _IN, after)
            yield Case(name, "one row", "elements", elements, str(elements), model)

    return cases


def _pool(name: str, make: Callable[[Window], Model]) -> Callable[[], Iterator[Case]]:
    def cases() -> Iterator[Case]:
        for channels in CHANNELS:
            window = Window(size=(8, 8), channels=channels, taps=(2, 2), stride=(2, 2), padding=VALID)
            yield Case(name, "2x2, stride 2", "channels", channels, f"8x8x{channels}", make(window))
        for channels in CHANNELS:
            window = Window(size=(8, 8), channels=channels, taps=(8, 8), padding=VALID)
            yield Case(name, "all of 8x8", "channels", channels, f"8x8x{channels}", make(window))

    return cases


def _softmax() -> Iterator[Case]:
    for classes in (2, 3, 4, 10, 12, 35, 100, 256):
        yield Case("softmax", "one row", "classes", classes, str(classes), modelgen.softmax((1, classes), 0.1))
    for rows in (1, 4, 16, 64):
        yield Case("softmax", "10 classes", "rows", rows, f"{rows} x 10", modelgen.softmax((rows, 10), 0.1))


def _mean() -> Iterator[Case]:
    for channels in CHANNELS:
        model = modelgen.mean((1, 8, 8, channels), (1, 2), _IN, _OUT)
        yield Case("mean", "over 8x8", "channels", channels, f"8x8x{channels}", model)


def _pad() -> Iterator[Case]:
    for channels in CHANNELS:
        model = modelgen.pad((1, 8, 8, channels), ((0, 0), (1, 1), (1, 1), (0, 0)), _IN)
        yield Case("pad", "8x8 to 10x10", "channels", channels, f"8x8x{channels}", model)


def _concatenation() -> Iterator[Case]:
    for channels in CHANNELS:
        model = modelgen.concatenation((1, 8, 8, channels), (channels, channels), 3, _IN)
        yield Case("concatenation", "along channels", "channels", channels, f"2 of 8x8x{channels}", model)


SWEEPS: dict[str, Callable[[], Iterator[Case]]] = {
    "conv_2d": _conv_2d,
    "depthwise_conv_2d": _depthwise_conv_2d,
    "fully_connected": _fully_connected,
    "add": _binary("add"),
    "sub": _binary("sub"),
    "mul": _binary("mul"),
    "average_pool_2d": _pool("average_pool_2d", modelgen.average_pool_2d),
    "max_pool_2d": _pool("max_pool_2d", modelgen.max_pool_2d),
    "softmax": _softmax,
    "logistic": _unary("logistic", (1 / 256, -128)),
    "relu": _unary("relu", _IN),
    "mean": _mean,
    "pad": _pad,
    "concatenation": _concatenation,
}


def cases_of(operators: Sequence[str]) -> list[Case]:
    """The cases of these operators, or of all. Raises UsageError for one that has none."""
    for name in operators:
        if name not in SWEEPS:
            raise UsageError(f"there is no sweep of {name!r}; there are {', '.join(SWEEPS)}")
    return [case for name in dict.fromkeys(operators or SWEEPS) for case in SWEEPS[name]()]
