"""Every operator's model, damaged in every place: the engine refuses it or runs it cleanly, and never hangs.

The harness runs under address and undefined-behaviour sanitizers, with model and arena at their exact size, and looks
at every error's text; whatever is wrong kills it and fails the test. tests/fuzz searches on from here.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tflite
from engine_host import E_ARENA, E_MODEL, E_UNSUPPORTED, OK, EngineHost
from random_models import OPERATORS, random_model

from host import modelgen as gen
from host.modelgen import Model

SMALL_ARENA = 16 * 1024  # enough for every model here, and little enough that no damaged one computes for long
NAMES = [*OPERATORS, "ALL"]


@functools.cache
def small(name: str) -> Model:
    """The smallest of some models of that operator; ALL: of the seven that the official models are made of."""
    if name == "ALL":
        return gen.residual()
    models = [random_model(name, seed) for seed in range(30)]
    return min(models, key=lambda model: len(gen.build(model)))


def survives(engine: EngineHost, data: bytes) -> int:
    """Load and, if it loads, run; the harness dies of whatever the sanitizers see."""
    return engine.load(data, [bytes(192)], arena=SMALL_ARENA).status


def flip(data: bytes, rng: np.random.Generator, bits: int) -> bytes:
    broken = bytearray(data)
    for at in rng.integers(0, len(data) * 8, bits):
        broken[at >> 3] ^= 1 << (at & 7)
    return bytes(broken)


def words(data: bytes, value: int | None) -> Iterator[bytes]:
    """The file with each word replaced in turn; None: by an offset that points to the file's first table."""
    (root,) = struct.unpack_from("<I", data)
    for at in range(0, len(data) - 3, 4):
        broken = bytearray(data)
        struct.pack_into("<I", broken, at, (root - at) & 0xFFFFFFFF if value is None else value)
        yield bytes(broken)


@pytest.mark.parametrize("name", NAMES)
def test_every_truncation(engine: EngineHost, name: str) -> None:
    """The builder pads the end to 16 bytes at most; before that a cut is always into something."""
    data = gen.build(small(name))
    assert survives(engine, data) == OK
    statuses = [survives(engine, data[:length]) for length in range(len(data))]
    assert all(status < 0 for status in statuses[:-16])


@pytest.mark.parametrize("name", NAMES)
def test_every_word_replaced(engine: EngineHost, name: str) -> None:
    """Each offset, count, dimension and scale, with the values that overflow, and with a way back to the start."""
    data = gen.build(small(name))
    values = (None, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x00010000, 0, 4)
    statuses = {survives(engine, broken) for value in values for broken in words(data, value)}
    assert {OK, E_MODEL, E_UNSUPPORTED} <= statuses


@pytest.mark.parametrize("name", NAMES)
def test_every_type(engine: EngineHost, name: str) -> None:
    """TFLite's types for each tensor in turn; only a few fit anywhere."""
    model = small(name)
    data = gen.build(model)
    statuses = []
    for number in range(len(model.tensors)):
        table = tflite.Model.GetRootAs(data, 0).Subgraphs(0).Tensors(number)._tab  # type: ignore[union-attr]
        for code in range(-1, 20):
            broken = bytearray(data)
            if table.Offset(6) == 0:
                break  # FLOAT32, the default, is not written
            struct.pack_into("<b", broken, table.Pos + table.Offset(6), code)
            statuses.append(survives(engine, bytes(broken)))
    assert {OK, E_UNSUPPORTED} <= set(statuses)


@pytest.mark.parametrize("name", NAMES)
def test_every_dimension(engine: EngineHost, name: str) -> None:
    model = small(name)
    used = {number for operator in model.operators for number in (*operator.inputs, *operator.outputs)}
    for number, tensor in enumerate(model.tensors):
        for axis in range(len(tensor.shape)):
            for size in (-1, 0, -(2**31), 2**31 - 1, 2**16, 32768, tensor.shape[axis] + 1):
                shape = (*tensor.shape[:axis], size, *tensor.shape[axis + 1 :])
                broken = gen.altered(model, lambda t, shape=shape: replace(t, shape=shape), number)  # type: ignore[misc]
                answer = engine.load(gen.build(broken), [bytes(192)], arena=SMALL_ARENA)
                if size < 1 and number in used:
                    text = f"tensor {number}: dimension {axis} is not positive"
                    assert (answer.status, answer.text) == (E_UNSUPPORTED, text)


@pytest.mark.parametrize("name", NAMES)
def test_every_operand(engine: EngineHost, name: str) -> None:
    """Tensors that do not exist, are not computed yet, or are the operator's own output."""
    model = small(name)
    count = len(model.tensors)
    for i, operator in enumerate(model.operators):
        for slot in range(len(operator.inputs)):
            for number in (-2, count, 2**31 - 1, -(2**31), operator.outputs[0], model.operators[-1].outputs[0], -1):
                inputs = (*operator.inputs[:slot], number, *operator.inputs[slot + 1 :])
                broken = (*model.operators[:i], replace(operator, inputs=inputs), *model.operators[i + 1 :])
                status = survives(engine, gen.build(replace(model, operators=broken)))
                assert number == -1 or status == E_MODEL
        for number in (-2, -1, count, 2**31 - 1, model.inputs[0]):
            broken = (*model.operators[:i], replace(operator, outputs=(number,)), *model.operators[i + 1 :])
            assert survives(engine, gen.build(replace(model, operators=broken, outputs=(0,)))) < 0


@pytest.mark.parametrize("name", NAMES)
def test_every_arena(engine: EngineHost, name: str) -> None:
    data = gen.build(small(name))
    needed = engine.load(data).arena_used
    assert engine.load(data, [bytes(192)], arena=needed).status == OK
    for arena in {*range(0, needed, 29), 1, 15, 16, needed - 1}:
        answer = engine.load(data, arena=arena)
        assert answer.status == E_ARENA
        assert answer.text.startswith(f"arena: {arena} bytes, ")


@pytest.mark.parametrize("name", NAMES)
def test_bit_flips(engine: EngineHost, name: str) -> None:
    data = gen.build(small(name))
    rng = np.random.default_rng(20)
    statuses = {survives(engine, flip(data, rng, 1 + i % 8)) for i in range(300)}
    assert {OK, E_MODEL, E_UNSUPPORTED} <= statuses


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_many_bit_flips(engine: EngineHost, name: str) -> None:
    data = gen.build(small(name))
    rng = np.random.default_rng(21)
    for i in range(4000):
        survives(engine, flip(data, rng, 1 + i % 16))


def test_bit_flips_of_a_real_model(engine: EngineHost, data_dir: Path) -> None:
    """Eight at a time, so that most files have one in a table and not only in the weights."""
    data = (data_dir / "models" / "kws_ref_model.tflite").read_bytes()
    rng = np.random.default_rng(22)
    statuses = {engine.load(flip(data, rng, 8), arena=32 * 1024).status for _ in range(400)}
    assert {OK, E_MODEL, E_UNSUPPORTED} <= statuses
