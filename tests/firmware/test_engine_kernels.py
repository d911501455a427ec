"""Operators of the engine against tflite-micro, TFLM's own kernels, bit for bit on models chosen one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from engine_host import OK, EngineHost, oracle

from host import modelgen as gen
from host.modelgen import NONE, RELU, RELU6, RELU_N1_TO_1, VALID, Model, Window


def agree(engine: EngineHost, model: Model, *, runs: int = 6) -> None:
    """Bit for bit."""
    data = gen.build(model)
    inputs = gen.inputs_for(model, runs)
    answer = engine.load(data, [x.tobytes() for x in inputs])
    assert answer.status == OK, answer.text
    expected = oracle(data, inputs)
    for number, (got, want) in enumerate(zip(answer.outputs, expected, strict=True)):
        assert got == want, f"input {number}: {np.frombuffer(got, np.int8)} != {np.frombuffer(want, np.int8)}"
    assert len(set(expected)) > 1, "the model answers the same to everything: the comparison shows nothing"


CONVOLUTIONS = {
    "plain": Window(),
    "one_by_one": Window(taps=(1, 1), channels=7, out_channels=9),
    "kws_first": Window(size=(49, 10), channels=1, out_channels=6, taps=(10, 4), stride=(2, 2), activation=RELU),
    "stride_2": Window(size=(9, 12), stride=(2, 2), activation=RELU6),
    "stride_2_even": Window(size=(8, 8), stride=(2, 2), channels=5),
    "stride_3_by_1": Window(size=(11, 7), stride=(3, 1), taps=(2, 5)),
    "stride_over_kernel": Window(size=(10, 10), stride=(3, 3), taps=(1, 2)),
    "valid": Window(padding=VALID, activation=RELU_N1_TO_1),
    "valid_stride": Window(size=(13, 10), padding=VALID, stride=(2, 3), taps=(5, 4)),
    "kernel_7": Window(size=(12, 9), taps=(7, 7), channels=2, out_channels=3),
    "kernel_over_image": Window(size=(3, 2), taps=(7, 5)),
    "dilation": Window(size=(12, 11), dilation=(2, 3)),
    "dilation_over_image": Window(size=(5, 4), dilation=(3, 3)),
    "image_between_taps": Window(size=(6, 8), taps=(4, 3), dilation=(7, 1)),
    "dilation_of_one_tap": Window(taps=(1, 3), dilation=(9, 2)),
    "dilation_valid": Window(size=(13, 12), dilation=(3, 2), padding=VALID, taps=(3, 4)),
    "per_tensor": Window(per_channel=False, activation=RELU),
    "no_bias": Window(bias=False),
    "saturating": Window(gain=40.0),
    "multiplier_over_one": Window(channels=1, taps=(1, 1), gain=200.0),
    "tiny_multiplier": Window(gain=0.01, channels=16),
    "zero_points_low": Window(zero_points=(-128, -128)),
    "zero_points_high": Window(zero_points=(127, 127)),
    "zero_points_mixed": Window(zero_points=(-128, 127), padding=VALID),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_conv_2d(engine: EngineHost, name: str) -> None:
    agree(engine, gen.conv_2d(CONVOLUTIONS[name], seed=len(name)))


DEPTHWISE = {
    "plain": Window(channels=7),
    "stride_2": Window(channels=6, stride=(2, 2), activation=RELU),
    "valid_columns": Window(size=(30, 1), channels=10, taps=(15, 1), padding=VALID),
    "kernel_over_image": Window(size=(4, 3), taps=(7, 7)),
    "multiplier_3": Window(channels=5, multiplier=3, activation=RELU6),
    "multiplier_from_one": Window(channels=1, multiplier=9, taps=(5, 2)),
    "dilation": Window(size=(10, 9), dilation=(2, 2), multiplier=2),
    "dilation_stride_3": Window(size=(14, 13), dilation=(3, 2), stride=(3, 3), padding=VALID),
    "per_tensor": Window(channels=9, per_channel=False),
    "no_bias": Window(channels=4, bias=False, activation=RELU_N1_TO_1),
    "zero_points": Window(zero_points=(127, -128), taps=(4, 4), stride=(1, 2)),
}


@pytest.mark.parametrize("name", DEPTHWISE)
def test_depthwise_conv_2d(engine: EngineHost, name: str) -> None:
    agree(engine, gen.depthwise_conv_2d(DEPTHWISE[name], seed=len(name)))


POOLS = {
    "whole_image": Window(size=(5, 5), taps=(5, 5), padding=VALID, channels=9),
    "same": Window(size=(7, 6), taps=(3, 2), stride=(2, 2)),
    "same_stride_1": Window(size=(5, 8), taps=(4, 3), activation=RELU, zero_points=(-20, 0)),
    "kernel_over_image": Window(size=(2, 3), taps=(5, 7)),
    "relu6": Window(size=(8, 8), taps=(2, 2), stride=(2, 2), padding=VALID, activation=RELU6, zero_points=(-128, 0)),
}


@pytest.mark.parametrize("name", POOLS)
def test_average_pool_2d(engine: EngineHost, name: str) -> None:
    agree(engine, gen.average_pool_2d(POOLS[name]))


UNITS = {
    "plain": {"depth": 64, "units": 12},
    "odd": {"depth": 37, "units": 11, "activation": RELU, "zero_points": (4, -128)},
    "one": {"depth": 1, "units": 1, "gain": 3.0},
    "rows": {"depth": 10, "units": 3, "rows": 4},
    "per_channel": {"depth": 21, "units": 6, "per_channel": True},
    "no_bias": {"depth": 16, "units": 5, "bias": False, "activation": RELU6},
    "zero_points": {"depth": 30, "units": 7, "zero_points": (-128, 127)},
    "near_one": {"depth": 1, "units": 200, "gain": 60.0},  # little right shift: shows which rounding is used
}


@pytest.mark.parametrize("name", UNITS)
def test_fully_connected(engine: EngineHost, name: str) -> None:
    agree(engine, gen.fully_connected(seed=len(name), **UNITS[name]), runs=24)


@pytest.mark.parametrize("make", [gen.fully_connected, gen.conv_2d])
def test_scales_are_multiplied_in_double(engine: EngineHost, make: Callable[..., Model]) -> None:
    """Scales whose product is 1/256 in float but a little less in double: halves below 0 then round apart.

    TFLM's sources have had it both ways for FULLY_CONNECTED; the oracle's word is what counts.
    """
    product = np.float32(1 / 256)
    pairs = [(s, product / s) for s in np.linspace(0.01, 0.1, 999, dtype=np.float32)]
    first, second = next((s, w) for s, w in pairs if s * w == product and float(s) * float(w) < float(product))
    choices = {"bias": False, "zero_points": (0, 0)}
    one = Window(size=(1, 1), channels=1, out_channels=1, taps=(1, 1), per_channel=False, **choices)
    model = make(one) if make is gen.conv_2d else make(1, 1, **choices)
    model = gen.altered(model, lambda t: replace(t, scales=(float(first),)), 0)
    model = gen.altered(model, lambda t: replace(t, scales=(float(second),), data=np.ones(t.shape)), 1)
    model = gen.altered(model, lambda t: replace(t, scales=(1 / 128,)), 3)
    agree(engine, model, runs=200)


ADDS = {
    "alike": ((1, 6, 5, 3), (0.05, 0.05, 0.1), (0, 0, 0), NONE),
    "unlike": ((1, 7, 3, 5), (0.02, 0.9, 0.5), (-100, 90, 17), RELU),
    "far_apart": ((1, 300), (0.00002, 0.7, 0.8), (127, -128, -128), NONE),
    "saturating": ((40,), (0.5, 0.3, 0.01), (-128, 127, 3), RELU_N1_TO_1),
    "relu6": ((1, 9, 9), (0.06, 0.11, 0.03), (-7, 7, -110), RELU6),
}


@pytest.mark.parametrize("name", ADDS)
def test_add(engine: EngineHost, name: str) -> None:
    agree(engine, gen.add(*ADDS[name]), runs=12)


SOFTMAXES = {
    "kws": ((1, 12), 0.14469251, 1.0),
    "steep": ((1, 10), 3.7, 1.0),
    "flat": ((1, 256), 0.01, 1.0),
    "beta": ((1, 33), 0.05, 0.37),
    "rows": ((3, 4, 5), 0.08, 1.0),
    "one_class": ((4, 2), 0.02, 2.5),
    "limit": ((1, 6), 40.0, 1.0),
}


@pytest.mark.parametrize("name", SOFTMAXES)
def test_softmax(engine: EngineHost, name: str) -> None:
    agree(engine, gen.softmax(*SOFTMAXES[name]), runs=24)


def test_reshape_keeps_the_bytes(engine: EngineHost) -> None:
    agree(engine, gen.reshape((1, 4, 3, 5), (1, 60)))
    agree(engine, gen.reshape((30,), (1, 5, 3, 2, 1, 1)))


def test_all_operators_in_one_model(engine: EngineHost) -> None:
    agree(engine, gen.residual(), runs=20)


@pytest.mark.parametrize("codes", ["old", "new"])
def test_both_places_of_the_operator_code(engine: EngineHost, codes: str) -> None:
    model = gen.average_pool_2d(POOLS["same"])
    agree(engine, Model(model.tensors, model.operators, codes=codes))
