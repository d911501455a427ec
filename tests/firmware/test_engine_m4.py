"""The engine as the firmware has it: compiled for a Cortex-M4F, in QEMU, the same bits and no more arena than TFLM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine_host import E_UNSUPPORTED, OK, Answer, EngineHost, build_m4, oracle, request, run_m4
from test_engine_kernels import ADDS, CONVOLUTIONS, DEPTHWISE, POOLS, SOFTMAXES, UNITS

from host import modelgen as gen
from host.modelgen import RELU6, Model, Window

# Bytes of arena that TFLM with CMSIS-NN needs on a Cortex-M4 (its recording allocator): ours is not to need more.
TFLM_ARENA = {
    "ad01_int8": 2580,
    "kws_ref_model": 22820,
    "pretrainedResnet_quant": 54996,
    "vww_96_int8": 100708,
    "str_ww_ref_model": 16596,
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_m4(tmp_path_factory.mktemp("engine_m4"))


def generated() -> list[Model]:
    models = [gen.conv_2d(window, seed=7) for window in CONVOLUTIONS.values()]
    models += [gen.depthwise_conv_2d(window, seed=8) for window in DEPTHWISE.values()]
    models += [gen.average_pool_2d(window) for window in POOLS.values()]
    models += [gen.fully_connected(seed=9, **choices) for choices in UNITS.values()]
    models += [gen.add(*choices) for choices in ADDS.values()]
    models += [gen.softmax(*choices) for choices in SOFTMAXES.values()]
    return [*models, gen.reshape((1, 4, 3, 5), (1, 60)), gen.residual()]


def test_generated_models_give_what_tflm_gives(program: Path, tmp_path: Path) -> None:
    models = generated()
    data = [gen.build(model) for model in models]
    inputs = [gen.inputs_for(model, 3) for model in models]
    raw = [[x.tobytes() for x in some] for some in inputs]
    answers = run_m4(program, list(map(request, data, raw)), [len(x) for x in raw], tmp_path)
    for number, answer in enumerate(answers):
        assert answer.status == OK, answer.text
        assert list(answer.outputs) == oracle(data[number], inputs[number]), models[number].operators


def test_refuses_in_the_same_words(engine: EngineHost, program: Path, tmp_path: Path) -> None:
    """The texts go through a formatter of our own, whose numbers are another C type there."""
    data = gen.build(gen.altered(gen.conv_2d(Window(activation=RELU6)), lambda t: gen.Tensor((70000, 70000)), 0))
    (answer,) = run_m4(program, [request(data, [])], [0], tmp_path)
    assert answer == engine.load(data)
    assert answer.text == "tensor 0: shape overflows"
    softmax = gen.build(gen.softmax((1, 5000), 0.1))
    (answer,) = run_m4(program, [request(softmax, [])], [0], tmp_path)
    assert answer == Answer(E_UNSUPPORTED, "operator 0 SOFTMAX: over 4095 classes", 0, 0, ())


def test_official_models_fit_where_tflm_fits(program: Path, data_dir: Path, tmp_path: Path) -> None:
    models = [(data_dir / "models" / f"{name}.tflite").read_bytes() for name in TFLM_ARENA]
    answers = run_m4(program, [request(model, []) for model in models], [0] * len(models), tmp_path)
    used = {name: answer.arena_used for name, answer in zip(TFLM_ARENA, answers, strict=True)}
    assert all(0 < used[name] <= TFLM_ARENA[name] for name in TFLM_ARENA), used


def test_kws01_gives_what_tflm_gives(program: Path, data_dir: Path, tmp_path: Path) -> None:
    names = [line.split(",")[0] for line in (data_dir / "kws01" / "y_labels.csv").read_text().split()[:10]]
    inputs = [(data_dir / "kws01" / name).read_bytes() for name in names]
    model = (data_dir / "models" / "kws_ref_model.tflite").read_bytes()
    (answer,) = run_m4(program, [request(model, inputs)], [len(inputs)], tmp_path)
    golden = np.load(data_dir / "golden" / "kws01_tflm.npy")[: len(inputs)]
    assert b"".join(answer.outputs) == golden.tobytes()
