"""The engine compiled for each kind of core as the firmware is, in QEMU: TFLM's bits in no more arena than TFLM."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cores import CORES, Core, build_core, run_core
from engine_host import E_UNSUPPORTED, OK, Answer, EngineHost, oracle, request
from random_models import OPERATORS, random_model
from test_engine_kernels import ADDS, CONVOLUTIONS, DEPTHWISE, POOLS, SOFTMAXES, UNITS
from test_engine_models import ad, ic, kws, sww, vww

from host import modelgen as gen
from host.modelgen import NONE, RELU6, VALID, Model, Window

# Bytes of arena that TFLM with CMSIS-NN needs on a Cortex-M4 (its recording allocator): ours is not to need more.
TFLM_ARENA = {
    "ad01_int8": 2580,
    "kws_ref_model": 22820,
    "pretrainedResnet_quant": 54996,
    "vww_96_int8": 100708,
    "str_ww_ref_model": 16596,
}


@pytest.fixture(scope="module", params=CORES.values(), ids=str)
def core(request: pytest.FixtureRequest) -> Core:
    return request.param


@pytest.fixture(scope="module")
def program(core: Core, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_core(tmp_path_factory.mktemp(f"engine_{core}"), core)


@functools.cache
def generated() -> list[tuple[str, bytes, list[bytes], list[bytes]]]:
    """Models: what to call one, its file, inputs, and the outputs that TFLM gives."""
    models = [gen.conv_2d(window, seed=7) for window in CONVOLUTIONS.values()]
    models += [gen.depthwise_conv_2d(window, seed=8) for window in DEPTHWISE.values()]
    models += [gen.average_pool_2d(window) for window in POOLS.values()]
    models += [gen.fully_connected(seed=9, **choices) for choices in UNITS.values()]
    models += [gen.add(*choices) for choices in ADDS.values()]
    models += [gen.softmax(*choices) for choices in SOFTMAXES.values()]
    models += [gen.reshape((1, 4, 3, 5), (1, 60)), gen.residual()]
    return [case(str(model.operators), model) for model in models]


def lowest(model: Model) -> Model:
    """With -128 for every second weight: products that TFLite's own weights, from -127 on, do not make."""
    return gen.altered(
        model, lambda t: replace(t, data=np.where(np.arange(t.data.size).reshape(t.shape) % 2, t.data, -128)), 1
    )


@functools.cache
def whole_vectors() -> list[tuple[str, bytes, list[bytes], list[bytes]]]:
    """Channels around 16, which one instruction takes on a Cortex-M55; one to four positions left at the end."""
    models = []
    for channels, width in ((8, 5), (15, 6), (16, 7), (17, 8), (40, 4)):
        window = Window(size=(4, width), channels=channels, out_channels=5, gain=0.2)
        point = replace(window, taps=(1, 1))
        square = gen.depthwise_conv_2d(window, seed=width)
        models += [gen.conv_2d(window, seed=width), gen.conv_2d(point, seed=width), square]
        models += [lowest(square), lowest(gen.conv_2d(point, seed=width))]
        models += [gen.depthwise_conv_2d(replace(window, taps=(1, 4), padding=VALID), seed=width)]
        models += [gen.fully_connected(channels, width, seed=width, gain=0.2)]
        models += [gen.add((3, channels), (0.05, 0.05 / width, 0.07), (-128, 127, 3), NONE)]
    return [case(str(model.tensors), model) for model in models]


@functools.cache
def drawn(seeds: range) -> list[tuple[str, bytes, list[bytes], list[bytes]]]:
    """Random models of every operator."""
    return [case(f"random_model({name!r}, {n})", random_model(name, n)) for name in OPERATORS for n in seeds]


def case(name: str, model: Model) -> tuple[str, bytes, list[bytes], list[bytes]]:
    data, inputs = gen.build(model), gen.inputs_for(model, 3)
    return name, data, [x.tobytes() for x in inputs], oracle(data, inputs)


def compare(core: Core, program: Path, cases: list[tuple[str, bytes, list[bytes], list[bytes]]], folder: Path) -> None:
    requests = [request(data, inputs) for _, data, inputs, _ in cases]
    answers = run_core(core, program, requests, [len(inputs) for _, _, inputs, _ in cases], folder)
    for (name, _, _, outputs), answer in zip(cases, answers, strict=True):
        assert answer.status == OK, f"{name}: {answer.text}"
        assert list(answer.outputs) == outputs, name


def test_generated_models_give_what_tflm_gives(core: Core, program: Path, tmp_path: Path) -> None:
    compare(core, program, generated() + whole_vectors() + drawn(range(3)), tmp_path)


@pytest.mark.long
def test_many_random_models_give_what_tflm_gives(core: Core, program: Path, tmp_path: Path) -> None:
    compare(core, program, drawn(range(2000, 2040)), tmp_path)


def test_refuses_in_the_same_words(core: Core, engine: EngineHost, program: Path, tmp_path: Path) -> None:
    """The texts go through a formatter of our own, whose numbers are another C type there."""
    data = gen.build(gen.altered(gen.conv_2d(Window(activation=RELU6)), lambda t: gen.Tensor((70000, 70000)), 0))
    softmax = gen.build(gen.softmax((1, 5000), 0.1))
    overflow, classes = run_core(core, program, [request(data, []), request(softmax, [])], [0, 0], tmp_path)
    assert overflow == engine.load(data)
    assert overflow.text == "tensor 0: shape overflows"
    assert classes == Answer(E_UNSUPPORTED, "operator 0 SOFTMAX: over 4095 classes", 0, 0, ())


def test_official_models_fit_where_tflm_fits(core: Core, program: Path, data_dir: Path, tmp_path: Path) -> None:
    models = [(data_dir / "models" / f"{name}.tflite").read_bytes() for name in TFLM_ARENA]
    answers = run_core(core, program, [request(model, []) for model in models], [0] * len(models), tmp_path)
    used = {name: answer.arena_used for name, answer in zip(TFLM_ARENA, answers, strict=True)}
    assert all(0 < used[name] <= TFLM_ARENA[name] for name in TFLM_ARENA), used


def test_official_models_give_what_tflm_gives(core: Core, program: Path, data_dir: Path, tmp_path: Path) -> None:
    tasks = [(task(data_dir), count) for task, count in ((ad, 20), (kws, 10), (ic, 3), (vww, 3), (sww, 10))]
    models = [(data_dir / "models" / f"{task.model}.tflite").read_bytes() for task, _ in tasks]
    requests = [request(model, task.inputs[:count]) for model, (task, count) in zip(models, tasks, strict=True)]
    answers = run_core(core, program, requests, [count for _, count in tasks], tmp_path)
    for (task, count), answer in zip(tasks, answers, strict=True):
        assert answer.status == OK, f"{task.model}: {answer.text}"
        golden = np.load(data_dir / "golden" / f"{task.golden}_tflm.npy")[:count]
        assert b"".join(answer.outputs) == golden.tobytes(), task.model
