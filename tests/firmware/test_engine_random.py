"""Random models of every operator against tflite-micro, bit for bit. test_engine_cores.py has a sample of them."""

from __future__ import annotations

import numpy as np
import pytest
from engine_host import OK, EngineHost, oracle
from random_models import OPERATORS, random_model

from host import modelgen as gen
from host.modelgen import Model

RUNS = 3  # random inputs of each model, besides the two extremes
CONSTANT = {"SHAPE"}  # whose answers do not depend on the values of the input


def unlike(model: Model, got: tuple[bytes, ...], want: list[bytes]) -> str:
    """Where two answers differ, in a few words."""
    dtype = np.dtype(model.tensors[(model.outputs or model.operators[-1].outputs)[0]].dtype)
    for run, (g, w) in enumerate(zip(got, want, strict=True)):
        ours, theirs = np.frombuffer(g, dtype), np.frombuffer(w, dtype)
        if g != w:
            at = int(np.flatnonzero(ours != theirs)[0])
            return (
                f"run {run}: {int((ours != theirs).sum())} of {ours.size} differ, [{at}] is {ours[at]} not {theirs[at]}"
            )
    return ""


def check(engine: EngineHost, operator: str, seeds: range) -> None:
    """Each in an arena of exactly the size it says it needs."""
    shows = 0
    for seed in seeds:
        model = random_model(operator, seed)
        name = f"random_model({operator!r}, {seed})"
        data, inputs = gen.build(model), gen.inputs_for(model, RUNS, seed)
        answer = engine.load(data, [x.tobytes() for x in inputs], arena=engine.load(data).arena_used)
        assert answer.status == OK, f"{name}: {answer.text}"
        want = oracle(data, inputs)
        assert list(answer.outputs) == want, f"{name}: {unlike(model, answer.outputs, want)}"
        shows += len(set(want)) > 1
    # A narrow activation on a wide scale leaves one value to some of them; most must show something.
    assert operator in CONSTANT or shows > len(seeds) // 2, f"{operator}: only {shows} models answer differently"


@pytest.mark.parametrize("operator", OPERATORS)
def test_random_models(engine: EngineHost, operator: str) -> None:
    check(engine, operator, range(10))


@pytest.mark.long
@pytest.mark.parametrize("operator", OPERATORS)
def test_many_random_models(engine: EngineHost, operator: str) -> None:
    check(engine, operator, range(1000, 1100))


def test_logistic_of_every_value_and_many_scales(engine: EngineHost) -> None:
    """All 256 inputs, from scales where every result is one half to those where even 0 is out of range."""
    values = np.arange(-128, 128, dtype=np.int8)
    rng = np.random.default_rng(9)
    scales = [*(2.0 ** np.arange(-27, 8)), *(2.0 ** rng.uniform(-10, 3, 60)), 0.0625, 1 / 16.5, 15 / 127]
    for scale in map(float, np.array(scales, dtype=np.float32)):
        for zero_point, shape in ((int(rng.integers(-128, 128)), (256,)), (0, (2, 256))):  # with and without a table
            model = gen.unary("LOGISTIC", shape, (scale, zero_point), (1 / 256, -128))
            data, x = gen.build(model), np.broadcast_to(values, shape).copy()
            assert list(engine.load(data, [x.tobytes()]).outputs) == oracle(data, [x]), (scale, zero_point)


def test_quantize_at_every_half(engine: EngineHost) -> None:
    """Halves and their float neighbours, where roundings part; and the largest values that TFLM defines."""
    for scale in (1.0, 0.5, 0.1, 0.007843138, 3e-38, 1e30):
        step = np.float32(scale)
        halves = (np.arange(-150, 150, dtype=np.float32) + np.float32(0.5)) * step
        x = np.concatenate(
            [halves, np.nextafter(halves, np.float32(np.inf)), np.nextafter(halves, -np.float32(np.inf))]
        )
        with np.errstate(over="ignore"):
            x = np.concatenate([x, np.array([2e9, -2e9, 0.0, -0.0], dtype=np.float32) * step])
        x = x[np.isfinite(x)]
        model = gen.quantize(x.shape, (float(step), 3))
        data = gen.build(model)
        assert list(engine.load(data, [x.tobytes()]).outputs) == oracle(data, [x]), scale


def test_quantize_where_tflm_is_undefined(engine: EngineHost) -> None:
    """Saturates; TFLM converts to an int32 that cannot hold the value."""
    x = np.array([3e38, -3e38, np.inf, -np.inf, np.nan], dtype=np.float32)
    (output,) = engine.load(gen.build(gen.quantize(x.shape, (0.01, 5))), [x.tobytes()]).outputs
    assert np.frombuffer(output, np.int8).tolist() == [127, -128, 127, -128, -128]
