"""What each operator without weights refuses, by name. test_engine_hostile.py has the older operators and the file."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from engine_host import E_MODEL, E_UNSUPPORTED, OK, EngineHost, oracle
from random_models import OPERATORS, random_model

from host import modelgen as gen
from host.modelgen import Model

Q = (0.1, 3)
ADD = gen.binary("ADD", ((2, 3), (2, 3)), (Q, Q, Q))
MUL = gen.binary("MUL", ((2, 3), (1, 3)), (Q, Q, Q))
SUB = gen.binary("SUB", ((2, 3), (3,)), (Q, Q, Q))
RELU = gen.unary("RELU", (2, 3), Q, Q)
LOGISTIC = gen.unary("LOGISTIC", (2, 3), Q, (1 / 256, -128))
QUANTIZE = gen.quantize((2, 3), Q)
REQUANTIZE = gen.unary("QUANTIZE", (2, 3), Q, Q)
DEQUANTIZE = gen.dequantize((2, 3), Q)
MAX_POOL = gen.max_pool_2d(gen.Window())
PAD = gen.pad((2, 3), [(1, 0), (0, 2)], Q)
PADV2 = gen.pad((2, 3), [(1, 0), (0, 2)], Q, 9)
MEAN = gen.mean((2, 3, 4), [1], Q, Q)
CONCATENATION = gen.concatenation((2, 3), [3, 2], 1, Q)
PACK = gen.pack((2, 3), 2, 0, Q)
SLICE = gen.strided_slice((4, 5), [slice(1, 3), slice(None, None, 2)], Q)
SHAPE = gen.visible_shape((2, 3, 4))


def tensor(model: Model, number: int, **changes: object) -> Model:
    return gen.altered(model, lambda t: replace(t, **changes), number)  # type: ignore[arg-type]


def numbers(model: Model, number: int, *values: int) -> Model:
    """With other values, and as many, in a constant of the operator."""
    return tensor(model, number, data=np.array(values), shape=(len(values),))


def options(model: Model, number: int = 0, **changes: object) -> Model:
    changed = [
        replace(one, options={**(one.options or {}), **changes}) if i == number else one
        for i, one in enumerate(model.operators)
    ]
    return replace(model, operators=tuple(changed))


def inputs(model: Model, *numbers: int) -> Model:
    (only,) = model.operators
    return replace(model, operators=(replace(only, inputs=numbers),))


HUGE, LEAST = 2**31 - 1, -(2**31)

REFUSED: dict[str, tuple[Model, int, str]] = {
    "one input to add": (inputs(ADD, 0), E_MODEL, "operator 0 ADD: no second input"),
    "float to add": (
        tensor(ADD, 0, dtype=np.float32, scales=()),
        E_UNSUPPORTED,
        "operator 0 ADD: first input is FLOAT32, want INT8",
    ),
    "shapes to multiply": (
        tensor(MUL, 1, shape=(1, 2), data=np.zeros(2)),
        E_MODEL,
        "operator 0 MUL: shapes of the inputs do not go together",
    ),
    "product of another rank": (
        tensor(MUL, 2, shape=(1, 2, 3)),
        E_MODEL,
        "operator 0 MUL: output has not the shape of both inputs together",
    ),
    "product of tiny scale": (
        tensor(MUL, 2, scales=(1e-30,)),
        E_UNSUPPORTED,
        "operator 0 MUL: scales of inputs and output are too far apart",
    ),
    "activation of a product": (
        options(MUL, FusedActivationFunction=4),
        E_UNSUPPORTED,
        "operator 0 MUL: fused activation not supported",
    ),
    "difference of huge scales": (
        tensor(SUB, 0, scales=(3e38,)),
        E_UNSUPPORTED,
        "operator 0 SUB: scales of inputs and output are too far apart",
    ),
    "difference of tiny scales": (
        tensor(SUB, 2, scales=(1e-30,)),
        E_UNSUPPORTED,
        "operator 0 SUB: scales of inputs and output are too far apart",
    ),
    "relu of another shape": (
        tensor(RELU, 1, shape=(3, 2)),
        E_MODEL,
        "operator 0 RELU: shapes of input and output differ",
    ),
    "relu without scale": (tensor(RELU, 0, scales=()), E_MODEL, "operator 0 RELU: input has not one scale > 0"),
    "relu of far scales": (
        tensor(RELU, 0, scales=(1e30,)),
        E_UNSUPPORTED,
        "operator 0 RELU: scales of input and output are too far apart",
    ),
    "logistic to another scale": (
        tensor(LOGISTIC, 1, scales=(0.01,)),
        E_UNSUPPORTED,
        "operator 0 LOGISTIC: output has not scale 1/256 and zero point -128",
    ),
    "quantize to float": (
        tensor(QUANTIZE, 1, dtype=np.float32, scales=()),
        E_UNSUPPORTED,
        "operator 0 QUANTIZE: output is FLOAT32, want INT8",
    ),
    "quantize of int16": (
        tensor(REQUANTIZE, 0, dtype=np.int16),
        E_UNSUPPORTED,
        "operator 0 QUANTIZE: input is neither FLOAT32, INT32 nor INT8",
    ),
    "quantize of another shape": (
        tensor(QUANTIZE, 1, shape=(2, 4)),
        E_MODEL,
        "operator 0 QUANTIZE: shapes of input and output differ",
    ),
    "quantize without a scale": (
        tensor(REQUANTIZE, 0, scales=()),
        E_MODEL,
        "operator 0 QUANTIZE: input has not one scale > 0",
    ),
    "dequantize to int8": (
        tensor(DEQUANTIZE, 1, dtype=np.int8, scales=(0.1,)),
        E_UNSUPPORTED,
        "operator 0 DEQUANTIZE: output is not FLOAT32",
    ),
    "dequantize of float": (
        tensor(DEQUANTIZE, 0, dtype=np.float32),
        E_UNSUPPORTED,
        "operator 0 DEQUANTIZE: input is FLOAT32, want INT8",
    ),
    "stride 0 of a pool": (
        options(MAX_POOL, StrideH=0),
        E_UNSUPPORTED,
        "operator 0 MAX_POOL_2D: kernel, stride or dilation not in 1 to 32767",
    ),
    "pool to another zero point": (
        tensor(MAX_POOL, 1, zero_point=9),
        E_UNSUPPORTED,
        "operator 0 MAX_POOL_2D: quantization of input and output differs",
    ),
    "negative padding": (
        numbers(PAD, 1, -1, 2, 0, 2),
        E_MODEL,
        "operator 0 PAD: output size does not follow from input and paddings",
    ),
    "paddings that wrap around": (
        numbers(PAD, 1, HUGE, 2, HUGE, HUGE),
        E_MODEL,
        "operator 0 PAD: output size does not follow from input and paddings",
    ),
    "too few paddings": (numbers(PAD, 1, 1, 0), E_MODEL, "operator 0 PAD: not one pair of paddings per dimension"),
    "paddings of int8": (
        tensor(PAD, 1, dtype=np.int8, scales=(0.1,)),
        E_UNSUPPORTED,
        "operator 0 PAD: paddings is INT8, want INT32",
    ),
    "computed paddings": (inputs(PAD, 0, 0), E_UNSUPPORTED, "operator 0 PAD: paddings is INT8, want INT32"),
    "value of another scale": (
        tensor(PADV2, 3, scales=(0.2,)),
        E_UNSUPPORTED,
        "operator 0 PADV2: quantization of input and output differs",
    ),
    "two values": (
        tensor(PADV2, 3, shape=(2,), data=np.array([1, 2])),
        E_UNSUPPORTED,
        "operator 0 PADV2: value is not one constant",
    ),
    "no value": (inputs(PADV2, 0, 1), E_MODEL, "operator 0 PADV2: no value"),
    "axis beyond the input": (numbers(MEAN, 1, 3), E_MODEL, "operator 0 MEAN: axis is no dimension of the input"),
    "axis before the input": (numbers(MEAN, 1, LEAST), E_MODEL, "operator 0 MEAN: axis is no dimension of the input"),
    "mean of another shape": (
        tensor(MEAN, 2, shape=(2, 4, 1)),
        E_MODEL,
        "operator 0 MEAN: output shape does not follow from input and axes",
    ),
    "mean of another rank": (
        tensor(MEAN, 2, shape=(8,)),
        E_MODEL,
        "operator 0 MEAN: output shape does not follow from input and axes",
    ),
    "concatenation axis": (
        options(CONCATENATION, Axis=2),
        E_MODEL,
        "operator 0 CONCATENATION: axis is no dimension of the output",
    ),
    "least concatenation axis": (
        options(CONCATENATION, Axis=LEAST),
        E_MODEL,
        "operator 0 CONCATENATION: axis is no dimension of the output",
    ),
    "concatenation too small": (
        tensor(CONCATENATION, 2, shape=(2, 4)),
        E_MODEL,
        "operator 0 CONCATENATION: inputs together have not the size of the output",
    ),
    "concatenation of unlike shapes": (
        options(CONCATENATION, Axis=0),
        E_MODEL,
        "operator 0 CONCATENATION: shapes of inputs and output do not go together",
    ),
    "concatenation of unlike scales": (
        tensor(CONCATENATION, 1, scales=(0.3,)),
        E_UNSUPPORTED,
        "operator 0 CONCATENATION: quantization of input and output differs",
    ),
    "concatenation of nothing": (
        inputs(CONCATENATION),
        E_MODEL,
        "operator 0 CONCATENATION: inputs together have not the size of the output",
    ),
    "concatenation of an absent input": (inputs(CONCATENATION, 0, -1), E_MODEL, "operator 0 CONCATENATION: no input"),
    "activation of a concatenation": (
        options(CONCATENATION, FusedActivationFunction=1),
        E_UNSUPPORTED,
        "operator 0 CONCATENATION: fused activation not supported",
    ),
    "pack of another count": (
        options(PACK, ValuesCount=3),
        E_MODEL,
        "operator 0 PACK: number of inputs is not the option's",
    ),
    "pack along no axis": (options(PACK, Axis=-4), E_MODEL, "operator 0 PACK: axis is no dimension of the output"),
    "pack of another shape": (
        tensor(PACK, 1, shape=(3, 2)),
        E_MODEL,
        "operator 0 PACK: shapes of inputs and output do not go together",
    ),
    "stride 0 of a slice": (
        numbers(SLICE, 3, 1, 0),
        E_MODEL,
        "operator 0 STRIDED_SLICE: nothing is taken along a dimension",
    ),
    "empty slice": (numbers(SLICE, 1, 3, 0), E_MODEL, "operator 0 STRIDED_SLICE: nothing is taken along a dimension"),
    "slice of another size": (
        numbers(SLICE, 3, LEAST + 1, 2),
        E_MODEL,
        "operator 0 STRIDED_SLICE: nothing is taken along a dimension",
    ),
    "slice with the largest stride": (
        numbers(SLICE, 3, HUGE, 2),
        E_MODEL,
        "operator 0 STRIDED_SLICE: output shape does not follow from begin, end and strides",
    ),
    "slice of one dimension too few": (
        numbers(SLICE, 2, 3),
        E_UNSUPPORTED,
        "operator 0 STRIDED_SLICE: begin, end or strides not one per dimension",
    ),
    "slice of another rank": (
        options(SLICE, ShrinkAxisMask=1),
        E_MODEL,
        "operator 0 STRIDED_SLICE: output shape does not follow from begin, end and strides",
    ),
    "slice at an index beyond": (
        options(numbers(SLICE, 1, 4, 0), ShrinkAxisMask=1),
        E_MODEL,
        "operator 0 STRIDED_SLICE: nothing is taken along a dimension",
    ),
    "slice with an ellipsis": (
        options(SLICE, EllipsisMask=1),
        E_UNSUPPORTED,
        "operator 0 STRIDED_SLICE: ellipsis, new axis or offset not supported",
    ),
    "slice to another type": (
        tensor(SLICE, 4, dtype=np.float32, scales=()),
        E_MODEL,
        "operator 0 STRIDED_SLICE: types of input and output differ",
    ),
    "slice of int16": (
        tensor(tensor(SLICE, 0, dtype=np.int16), 4, dtype=np.int16),
        E_UNSUPPORTED,
        "operator 0 STRIDED_SLICE: input is INT16, want INT8, INT32 or FLOAT32",
    ),
    "shape as int8": (tensor(SHAPE, 1, dtype=np.int8), E_UNSUPPORTED, "operator 0 SHAPE: output is not INT32"),
    "shape of too many dimensions": (
        tensor(SHAPE, 1, shape=(4,)),
        E_MODEL,
        "operator 0 SHAPE: output has not one element per dimension of the input",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(engine: EngineHost, name: str) -> None:
    model, status, text = REFUSED[name]
    answer = engine.load(gen.build(model))
    assert (answer.status, answer.text) == (status, text)


@pytest.mark.parametrize(
    "value",
    [0x7FFFFFFF, *(pytest.param(other, marks=pytest.mark.long) for other in (0xFFFFFFFF, 0x80000000, 0x00010000, 0))],
)
def test_every_word_replaced(engine: EngineHost, value: int) -> None:
    """Each offset, count, dimension, option and scale of every operator in turn, with the values that overflow."""
    statuses = set()
    for operator in OPERATORS:
        data = gen.build(random_model(operator, 4))
        # The constants of a model with weights are long, come first, and mean nothing when they are other numbers.
        for at in range(max(0, len(data) - 1500), len(data) - 3, 4):
            broken = bytearray(data)
            struct.pack_into("<I", broken, at, value)
            statuses.add(engine.load(bytes(broken), [bytes(64)], arena=64 * 1024).status)
    assert {OK, E_MODEL, E_UNSUPPORTED} <= statuses


def with_type(model: Model, number: int, dtype: type) -> Model:
    old = model.tensors[number].data
    return tensor(model, number, dtype=dtype, data=None if old is None else np.array(old))


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_tensor_in_every_other_type(engine: EngineHost, operator: str) -> None:
    """Nearly all are refused; RESHAPE's list is not read, and some operators only move their values."""
    model = random_model(operator, 4)
    statuses = []
    for number, old in enumerate(model.tensors):
        for dtype in (np.int8, np.uint8, np.int16, np.int32, np.float32):
            if dtype is not old.dtype:
                answer = engine.load(gen.build(with_type(model, number, dtype)), [bytes(64)], arena=256 * 1024)
                statuses.append(answer.status)
    assert statuses.count(OK) <= len(statuses) // 4


def test_as_many_dimensions_as_there_can_be(engine: EngineHost) -> None:
    """Six, none of which joins its neighbour."""
    shape = (2, 3, 2, 3, 2, 3)
    model = gen.binary("ADD", (shape, (1, 3, 1, 3, 1, 3)), (Q, Q, (0.2, 1)))
    data, x = gen.build(model), gen.inputs_for(model, 1)
    assert list(engine.load(data, [one.tobytes() for one in x]).outputs) == oracle(data, x)
