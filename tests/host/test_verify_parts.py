"""What `host verify` is made of: the cuts of a model, the inputs, the oracle in its process."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host import modelgen
from host.errors import SetupError, UsageError
from host.modelgen import Model, Operator, Tensor
from host.runner.seats import from_pixels
from host.verify.graph import before_saturation, read_graph, usable_ends
from host.verify.inputs import random_inputs, read_inputs
from host.verify.oracle import Oracle, OracleFailed

RESIDUAL = modelgen.build(modelgen.residual())
NAMES = ["CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]


def quantized(*names: str) -> bytes:
    """float32 in, QUANTIZE, the operators `names`, each from int8 to int8."""
    tensors = [Tensor((1, 6), (), 0, None, np.float32)]
    tensors += [Tensor((1, 6), (0.5,), 8) for _ in range(1 + len(names))]
    operators = [Operator(name, (at,), (at + 1,)) for at, name in enumerate(("QUANTIZE", *names))]
    return modelgen.build(Model(tuple(tensors), tuple(operators)))


def test_a_graph_is_read() -> None:
    graph = read_graph(RESIDUAL)
    assert [operator.name for operator in graph.operators] == NAMES
    assert (graph.input.shape, graph.output.shape) == ((1, 8, 8, 3), (1, 5))
    assert (graph.input.bytes, graph.output.scale, graph.output.zero_point) == (192, 1 / 256, -128)
    assert usable_ends(graph) == list(range(8))
    assert before_saturation(graph) == 6


def test_models_without_saturation_at_the_end() -> None:
    assert before_saturation(read_graph(quantized("RELU"))) is None
    assert before_saturation(read_graph(quantized("LOGISTIC", "DEQUANTIZE"))) == 0
    only = modelgen.build(modelgen.softmax((1, 5), 0.1))
    assert before_saturation(read_graph(only)) is None


def test_operators_in_a_row_are_the_model() -> None:
    """Each operator alone, on the output of the model that ends before it, gives that of the one that ends with it."""
    graph = read_graph(RESIDUAL)
    given = random_inputs(graph, 3, seed=1)
    with Oracle() as oracle:
        ends = [oracle.outputs(graph.until(end), [one.data for one in given]) for end in range(8)]
        assert ends[-1] == oracle.outputs(RESIDUAL, [one.data for one in given])
        assert len({b"".join(end) for end in ends}) == 7  # all but the RESHAPE change something
        for number in range(1, 8):
            alone = graph.alone(number)
            if NAMES[number] == "ADD":
                assert alone is None  # of two tensors
                continue
            assert alone is not None
            assert [operator.name for operator in read_graph(alone).operators] == [NAMES[number]]
            assert oracle.outputs(alone, ends[number - 1]) == ends[number], NAMES[number]


def test_cuts_of_the_official_models_run(data_dir: Path) -> None:
    with Oracle() as oracle:
        for name in ("kws_ref_model", "ad01_int8"):
            graph = read_graph((data_dir / "models" / f"{name}.tflite").read_bytes())
            (given,) = random_inputs(graph, 1, seed=0)
            whole = oracle.outputs(graph.data, [given.data])
            assert oracle.outputs(graph.until(len(graph.operators) - 1), [given.data]) == whole
            last = graph.operators[-1]
            before, alone = graph.producer(last.inputs[0]), graph.alone(last.index)
            assert before is not None
            assert alone is not None
            assert oracle.outputs(alone, oracle.outputs(graph.until(before.index), [given.data])) == whole


@pytest.mark.parametrize("damage", [b"", b"TFL3", RESIDUAL[:100], bytes(2000), b"\xff" * 64])
def test_what_is_no_model(damage: bytes) -> None:
    with pytest.raises(SetupError, match="cannot read the model's graph"):
        read_graph(damage)


def test_random_inputs_span_their_range_and_repeat() -> None:
    graph = read_graph(RESIDUAL)
    first, second = random_inputs(graph, 40, seed=3), random_inputs(graph, 40, seed=3)
    assert first == second
    assert first != random_inputs(graph, 40, seed=4)
    values = np.frombuffer(b"".join(one.data for one in first), dtype=np.int8)
    assert (values.min(), values.max()) == (-128, 127)


def test_random_floats_reach_a_little_beyond_the_quantisation() -> None:
    everything = b"".join(one.data for one in random_inputs(read_graph(quantized("RELU")), 1000, seed=0))
    values = np.frombuffer(everything, dtype=np.float32)
    low, high = (-128 - 8) * 0.5, (127 - 8) * 0.5
    assert low - 13 < values.min() < low < high < values.max() < high + 13


def test_inputs_of_a_folder(tmp_path: Path) -> None:
    tensor = read_graph(quantized("RELU")).tensors[1]  # six int8
    for name in ("b.bin", "a.bin", "c.bin", "notes.txt"):
        (tmp_path / name).write_bytes(name[:1].encode() * 6)
    assert [one.name for one in read_inputs(tmp_path, tensor, 2, pixels=False)] == ["a.bin", "b.bin"]
    assert read_inputs(tmp_path, tensor, None, pixels=False)[2].data == b"cccccc"
    assert read_inputs(tmp_path, tensor, None, pixels=True)[0].data == from_pixels(b"aaaaaa") == b"\xe1" * 6
    (tmp_path / "b.bin").write_bytes(b"short")
    with pytest.raises(UsageError, match=r"b.bin has 5 bytes; an input of this model has 6 \(shape \[1, 6\]\)"):
        read_inputs(tmp_path, tensor, None, pixels=False)
    with pytest.raises(UsageError, match=r"no folder with \.bin files"):
        read_inputs(tmp_path / "a.bin", tensor, None, pixels=False)


def test_an_oracle_that_refuses_has_its_words_told() -> None:
    unknown = modelgen.build(
        Model((Tensor((1, 4), (1.0,)), Tensor((1, 4), (1.0,))), (Operator("TOPK_V2", (0,), (1,)),))
    )
    with Oracle() as oracle:
        with pytest.raises(OracleFailed, match="cannot run this model"):
            oracle.outputs(unknown, [bytes(4)])
        assert oracle.outputs(modelgen.build(modelgen.softmax((1, 2), 1.0)), [bytes(2)]) == [b"\x00\x00"]


def test_an_oracle_that_dies_is_started_again() -> None:
    model = modelgen.build(modelgen.softmax((1, 2), 1.0))
    with Oracle() as oracle:
        assert oracle.outputs(model, [bytes(2)]) == [b"\x00\x00"]
        process: Any = oracle._process
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with pytest.raises(OracleFailed, match="died of this model"):
            oracle.outputs(model, [bytes(2)])
        assert oracle.outputs(model, [bytes(2)]) == [b"\x00\x00"]
        last: Any = oracle._process
    assert not last.is_alive()


def test_without_tflite_micro_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SetupError, match=r"tflite-micro is missing.*make setup.*\.\[verify\]"):
        Oracle()
