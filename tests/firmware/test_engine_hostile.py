"""Models that are damaged, or ask for what the engine has not: each is refused by name or runs cleanly.

Everything runs under address and undefined-behaviour sanitizers, with model and arena allocated at their exact size: a
single byte read or written outside them kills the harness and fails the test.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import tflite
from engine_host import E_ARENA, E_ARGUMENT, E_MODEL, E_UNSUPPORTED, OK, EngineHost

from host import modelgen as gen
from host.modelgen import VALID, Model, Operator, Tensor, Window

SMALL_ARENA = 32 * 1024  # enough for every model here, and little enough that no damaged one computes for long
CONV = gen.conv_2d(Window())
DEPTHWISE = gen.depthwise_conv_2d(Window(multiplier=2))
POOL = gen.average_pool_2d(Window(taps=(3, 3), padding=VALID))
UNITS = gen.fully_connected(12, 5)
ADD = gen.add((1, 4, 4, 2), (0.1, 0.2, 0.3), (0, 0, 0), gen.NONE)
SOFTMAX = gen.softmax((1, 12), 0.1)
RESHAPE = gen.reshape((1, 6), (2, 3))


def tensor(model: Model, number: int, **changes: object) -> Model:
    return gen.altered(model, lambda t: replace(t, **changes), number)  # type: ignore[arg-type]


def options(model: Model, **changes: object) -> Model:
    (operator,) = model.operators
    return replace(model, operators=(replace(operator, options={**(operator.options or {}), **changes}),))


def operator(model: Model, **changes: object) -> Model:
    (only,) = model.operators
    return replace(model, operators=(replace(only, **changes),))  # type: ignore[arg-type]


REFUSED: dict[str, tuple[Model, int, str]] = {
    "unknown operator": (
        replace(RESHAPE, operators=(*RESHAPE.operators[:2], Operator("TRANSPOSE_CONV", (4, 5), (6,)))),
        E_UNSUPPORTED,
        "operator 2 TRANSPOSE_CONV: not supported",
    ),
    "operator with a new code": (
        replace(operator(SOFTMAX, name="GELU", options=None), codes="new"),
        E_UNSUPPORTED,
        "operator 0 GELU: not supported",
    ),
    "custom operator": (
        operator(SOFTMAX, name="CUSTOM", options=None, custom="Mine"),
        E_UNSUPPORTED,
        "operator 0 CUSTOM: not supported",
    ),
    "two subgraphs": (replace(SOFTMAX, subgraphs=2), E_UNSUPPORTED, "model: 2 subgraphs, want 1"),
    "no subgraph": (replace(SOFTMAX, subgraphs=0), E_UNSUPPORTED, "model: 0 subgraphs, want 1"),
    "two inputs": (replace(SOFTMAX, inputs=(0, 0)), E_UNSUPPORTED, "model: 2 inputs, want 1"),
    "two outputs": (replace(SOFTMAX, outputs=(1, 1)), E_UNSUPPORTED, "model: 2 outputs, want 1"),
    "input that is no tensor": (replace(SOFTMAX, inputs=(7,), outputs=(1,)), E_MODEL, "model: inputs: no tensor 7"),
    "old schema": (replace(SOFTMAX, version=2), E_UNSUPPORTED, "model: schema version 2, want 3"),
    "batch": (
        tensor(tensor(CONV, 0, shape=(2, 9, 8, 3)), 3, shape=(2, 9, 8, 5)),
        E_UNSUPPORTED,
        "operator 0 CONV_2D: input has a batch other than 1",
    ),
    "huge shape": (tensor(SOFTMAX, 0, shape=(1 << 16, 1 << 16)), E_MODEL, "tensor 0: shape overflows"),
    "huge shape, product 0 in 32 bits": (
        tensor(SOFTMAX, 1, shape=(1 << 16, 1 << 16, 12)),
        E_MODEL,
        "tensor 1: shape overflows",
    ),
    "tensor larger than any arena": (
        tensor(tensor(SOFTMAX, 0, shape=(1 << 20, 1024)), 1, shape=(1 << 20, 1024)),
        E_ARENA,
        "arena: tensors need over 2 GB",
    ),
    "negative dimension": (tensor(SOFTMAX, 0, shape=(1, -12)), E_UNSUPPORTED, "tensor 0: dimension 1 is not positive"),
    "zero dimension": (tensor(SOFTMAX, 0, shape=(0, 12)), E_UNSUPPORTED, "tensor 0: dimension 0 is not positive"),
    "rank": (tensor(SOFTMAX, 0, shape=(1,) * 7), E_UNSUPPORTED, "tensor 0: 7 dimensions, at most 6"),
    "variable tensor": (tensor(SOFTMAX, 0, variable=True), E_UNSUPPORTED, "tensor 0: variable or sparse"),
    "infinite scale": (tensor(SOFTMAX, 0, scales=(float("inf"),)), E_MODEL, "tensor 0: scale is not a number >= 0"),
    "scale is no number": (
        tensor(SOFTMAX, 0, scales=(float("nan"),)),
        E_MODEL,
        "tensor 0: scale is not a number >= 0",
    ),
    "zero point": (tensor(SOFTMAX, 0, zero_point=1 << 40), E_MODEL, "tensor 0: zero point over 32 bits"),
    "zero point outside int8": (
        tensor(SOFTMAX, 0, zero_point=128),
        E_MODEL,
        "operator 0 SOFTMAX: input has a zero point outside INT8",
    ),
    "no scale": (tensor(SOFTMAX, 0, scales=()), E_MODEL, "operator 0 SOFTMAX: input has not one scale > 0"),
    "float": (tensor(SOFTMAX, 0, dtype=np.float32), E_UNSUPPORTED, "operator 0 SOFTMAX: input is FLOAT32, want INT8"),
    "unsigned": (tensor(UNITS, 0, dtype=np.uint8), E_UNSUPPORTED, "operator 0 FULLY_CONNECTED: input is UINT8"),
    "weights of 16 bits": (
        tensor(CONV, 1, dtype=np.int16),
        E_UNSUPPORTED,
        "operator 0 CONV_2D: weights are INT16, want INT8",
    ),
    "weights computed": (
        operator(CONV, inputs=(0, 0, 2)),
        E_UNSUPPORTED,
        "operator 0 CONV_2D: weights are not constant",
    ),
    "weights' zero point": (
        tensor(UNITS, 1, zero_point=1),
        E_UNSUPPORTED,
        "operator 0 FULLY_CONNECTED: weights have a zero point other than 0",
    ),
    "weights for another depth": (
        tensor(CONV, 0, shape=(1, 9, 8, 4)),
        E_UNSUPPORTED,
        "operator 0 CONV_2D: weights' input channels differ from the input's",
    ),
    "weights shorter than their shape": (
        tensor(CONV, 1, shape=(5, 3, 3, 4)),
        E_MODEL,
        "tensor 1: 135 bytes of data, its shape wants 180",
    ),
    "scales for some channels": (
        tensor(CONV, 1, scales=(0.1, 0.2)),
        E_MODEL,
        "operator 0 CONV_2D: weights have neither one scale nor one per output channel",
    ),
    "scales along another dimension": (
        tensor(CONV, 1, dimension=3),
        E_MODEL,
        "operator 0 CONV_2D: weights have neither one scale nor one per output channel",
    ),
    "scales too far apart": (
        tensor(CONV, 3, scales=(1e-20,)),
        E_UNSUPPORTED,
        "operator 0 CONV_2D: scales of input, weights and output are too far apart",
    ),
    "one channel's scale is no number": (
        tensor(CONV, 1, scales=(0.1, 0.1, float("nan"), 0.1, 0.1)),
        E_UNSUPPORTED,
        "operator 0 CONV_2D: scales of input, weights and output are too far apart or none",
    ),
    "dilation beyond memory": (
        gen.conv_2d(Window(size=(1, 32767), channels=5, dilation=(16000, 1))),
        E_UNSUPPORTED,
        "operator 0 CONV_2D: dilation over 2 GB of input",
    ),
    "many inputs": (
        operator(SOFTMAX, inputs=(0,) * 65),
        E_UNSUPPORTED,
        "operator 0 SOFTMAX: 65 inputs, at most 64",
    ),
    "bias of 8 bits": (tensor(CONV, 2, dtype=np.int8), E_UNSUPPORTED, "operator 0 CONV_2D: bias is INT8, want INT32"),
    "bias for other channels": (
        tensor(UNITS, 2, shape=(4,), data=np.zeros(4)),
        E_MODEL,
        "operator 0 FULLY_CONNECTED: bias is not one constant per output channel",
    ),
    "stride 0": (options(CONV, StrideW=0), E_UNSUPPORTED, "operator 0 CONV_2D: kernel, stride or dilation not in 1 to"),
    "stride below 0": (options(CONV, StrideH=-2), E_UNSUPPORTED, "operator 0 CONV_2D: kernel, stride or dilation"),
    "huge dilation": (options(CONV, DilationWFactor=30000), E_UNSUPPORTED, "operator 0 CONV_2D: dilated kernel over"),
    "no padding": (options(CONV, Padding=9), E_UNSUPPORTED, "operator 0 CONV_2D: padding neither SAME nor VALID"),
    "another output size": (
        options(CONV, StrideH=2),
        E_MODEL,
        "operator 0 CONV_2D: output size does not follow from input, kernel and stride",
    ),
    "no options": (operator(CONV, options=None), E_UNSUPPORTED, "operator 0 CONV_2D: kernel, stride or dilation"),
    "activation": (
        options(CONV, FusedActivationFunction=4),
        E_UNSUPPORTED,
        "operator 0 CONV_2D: fused activation not supported",
    ),
    "depth multiplier": (
        options(DEPTHWISE, DepthMultiplier=3),
        E_MODEL,
        "operator 0 DEPTHWISE_CONV_2D: output channels are not input channels * depth multiplier",
    ),
    "huge pool": (options(POOL, FilterWidth=1 << 30), E_UNSUPPORTED, "operator 0 AVERAGE_POOL_2D: kernel, stride or"),
    "pool that requantizes": (
        tensor(POOL, 1, scales=(0.5,)),
        E_UNSUPPORTED,
        "operator 0 AVERAGE_POOL_2D: quantization of input and output differs",
    ),
    "shuffled weights": (
        options(UNITS, WeightsFormat=1),
        E_UNSUPPORTED,
        "operator 0 FULLY_CONNECTED: shuffled weights",
    ),
    "depth that does not divide": (
        tensor(UNITS, 0, shape=(1, 13)),
        E_MODEL,
        "operator 0 FULLY_CONNECTED: input is not whole rows of the weights' depth",
    ),
    "shapes that do not go together": (
        tensor(ADD, 1, shape=(1, 4, 4, 3), data=np.zeros((1, 4, 4, 3))),
        E_MODEL,
        "operator 0 ADD: shapes of the inputs do not go together",
    ),
    "sum of another shape": (
        tensor(ADD, 2, shape=(1, 4, 8, 1)),
        E_MODEL,
        "operator 0 ADD: output has not the shape of both inputs together",
    ),
    "softmax to another scale": (
        tensor(SOFTMAX, 1, scales=(0.01,)),
        E_UNSUPPORTED,
        "operator 0 SOFTMAX: output has not scale 1/256 and zero point -128",
    ),
    "softmax without beta": (
        options(SOFTMAX, Beta=0.0),
        E_UNSUPPORTED,
        "operator 0 SOFTMAX: beta * input scale is too small",
    ),
    "softmax of many": (gen.softmax((1, 4096), 0.1), E_UNSUPPORTED, "operator 0 SOFTMAX: over 4095 classes"),
    "reshape to another size": (
        tensor(RESHAPE, 4, shape=(2, 4)),
        E_MODEL,
        "operator 1 RESHAPE: input and output differ in size",
    ),
    "reshape of a constant": (
        replace(RESHAPE, operators=(Operator("RESHAPE", (1, 3), (4,), {}),)),
        E_UNSUPPORTED,
        "operator 0 RESHAPE: its input is a constant or missing",
    ),
    "missing input": (operator(SOFTMAX, inputs=()), E_MODEL, "operator 0 SOFTMAX: no input"),
    "absent input": (operator(ADD, inputs=(0, -1)), E_MODEL, "operator 0 ADD: no second input"),
    "input out of range": (operator(SOFTMAX, inputs=(99,)), E_MODEL, "operator 0 SOFTMAX: no tensor 99"),
    "input below -1": (operator(SOFTMAX, inputs=(-2,)), E_MODEL, "operator 0 SOFTMAX: no tensor 4294967294"),
    "own output as input": (
        operator(SOFTMAX, inputs=(1,)),
        E_MODEL,
        "operator 0 SOFTMAX: tensor 1 is used before it is computed",
    ),
    "output onto the input": (
        operator(SOFTMAX, outputs=(0,)),
        E_MODEL,
        "tensor 0: written twice, or a constant",
    ),
    "output onto a constant": (operator(ADD, outputs=(1,)), E_MODEL, "tensor 1: written twice, or a constant"),
    "two results": (
        replace(operator(SOFTMAX, outputs=(1, 1)), outputs=(1,)),
        E_UNSUPPORTED,
        "operator 0 SOFTMAX: 2 outputs, want 1",
    ),
    "output nobody computes": (
        replace(SOFTMAX, tensors=(*SOFTMAX.tensors, SOFTMAX.tensors[1]), outputs=(2,)),
        E_MODEL,
        "model: no operator computes the output, tensor 2",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(engine: EngineHost, name: str) -> None:
    model, status, text = REFUSED[name]
    answer = engine.load(gen.build(model))
    assert (answer.status, answer.text[: len(text)]) == (status, text)


def test_not_a_model(engine: EngineHost) -> None:
    whole = gen.build(SOFTMAX)
    for data in (b"", b"TFL3", whole[:7], whole[:4] + b"TFL2" + whole[8:], bytes(64)):
        assert engine.load(data).status == E_MODEL


def test_options_of_another_operator(engine: EngineHost) -> None:
    data = bytearray(gen.build(SOFTMAX))
    model = tflite.Model.GetRootAs(data, 0)
    table = model.Subgraphs(0).Operators(0)._tab  # type: ignore[union-attr]
    data[table.Pos + table.Offset(10)] = tflite.BuiltinOptions.AddOptions
    answer = engine.load(bytes(data))
    assert (answer.status, answer.text) == (E_MODEL, "operator 0 SOFTMAX: options of another operator")


def test_bias_that_is_not_aligned(engine: EngineHost) -> None:
    data = bytearray(gen.build(UNITS))
    model = tflite.Model.GetRootAs(data, 0)
    number = model.Subgraphs(0).Tensors(2).Buffer()  # type: ignore[union-attr]
    table = model.Buffers(number)._tab  # type: ignore[union-attr]
    field = table.Pos + table.Offset(4)
    bias = bytes(model.Buffers(number).DataAsNumpy())  # type: ignore[union-attr]
    data += b"\0" * (-len(data) % 4) + b"\0\0"  # a copy of the vector, two bytes off
    struct.pack_into("<I", data, field, len(data) - field)
    data += struct.pack("<I", len(bias)) + bias
    answer = engine.load(bytes(data))
    assert (answer.status, answer.text) == (
        E_MODEL,
        "operator 0 FULLY_CONNECTED: bias is not aligned to 4 bytes in the file",
    )


@pytest.mark.parametrize("skews", [(4, 0), (0, 8), (1, 1)])
def test_model_or_arena_that_is_not_aligned(engine: EngineHost, skews: tuple[int, int]) -> None:
    answer = engine.load(gen.build(SOFTMAX), model_skew=skews[0], arena_skew=skews[1])
    assert (answer.status, answer.text) == (E_ARGUMENT, "model or arena: NULL or not aligned to 16 bytes")


@pytest.mark.parametrize("make", [gen.residual, lambda: CONV, lambda: SOFTMAX])
def test_arena_one_byte_too_small(engine: EngineHost, make: Callable[[], Model]) -> None:
    """The bytes the engine says it uses are the bytes it needs, and a refusal says how many those are."""
    model = make()
    data = gen.build(model)
    inputs = [x.tobytes() for x in gen.inputs_for(model, 2)]
    roomy = engine.load(data, inputs)
    exact = engine.load(data, inputs, arena=roomy.arena_used)
    assert (exact.status, exact.arena_used) == (OK, roomy.arena_used)
    assert exact.outputs == roomy.outputs
    less = engine.load(data, inputs, arena=roomy.arena_used - 1)
    assert (less.status, less.text) == (
        E_ARENA,
        f"arena: {roomy.arena_used - 1} bytes, {roomy.arena_used} needed",
    )


def test_any_smaller_arena(engine: EngineHost) -> None:
    data = gen.build(gen.residual())
    needed = engine.load(data).arena_used
    for arena in [*range(0, needed, 37), 1, 15, 16]:
        assert engine.load(data, arena=arena).status == E_ARENA


def test_too_many_tensors(engine: EngineHost) -> None:
    """Planning is quadratic in tensors: a file may not make it long."""
    spare = Tensor((1,), (0.1,), 0)
    model = replace(SOFTMAX, tensors=(*SOFTMAX.tensors, *[spare] * 4095))
    answer = engine.load(gen.build(model))
    assert (answer.status, answer.text) == (E_UNSUPPORTED, "model: 4097 tensors and 1 operators, at most 4096")


def test_longest_chain_that_is_planned(engine: EngineHost) -> None:
    """As many tensors as there may be, all alive until the end: the planner's worst case, and it ends."""
    count = 1500
    tensors = [Tensor((1, 4), (0.1,), 0) for _ in range(2 * count + 1)]
    operators = [Operator("ADD", (0, 0), (i,), {}) for i in range(1, count + 1)]
    operators += [Operator("ADD", (i, count + i - 1 if i > 1 else i), (count + i,), {}) for i in range(1, count + 1)]
    model = Model(tuple(tensors), tuple(operators))
    answer = engine.load(gen.build(model), [bytes([1, 2, 3, 4])], arena=1 << 20)
    assert answer.status == OK, answer.text


def test_one_long_table_asked_for_again_and_again(engine: EngineHost) -> None:
    """Refusing costs what the arena can hold, not channels times operators: over 6 s once, minutes on a chip."""
    units, count = 50_000, 2000
    weights = Tensor((units, 1), (0.01,) * units, 0, np.ones((units, 1)))
    tensors = (Tensor((1, 1), (0.1,)), weights, *[Tensor((1, units), (0.1,))] * count)
    operators = tuple(Operator("FULLY_CONNECTED", (0, 1), (2 + i,), {}) for i in range(count))
    answer = engine.load(gen.build(Model(tensors, operators)), arena=256 * 1024, limit_s=2.0)
    assert answer.status == E_ARENA
    assert answer.text.endswith(" needed")
