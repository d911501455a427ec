"""Upstream TFLM behind engine.h, in QEMU: exact, its input kept, and no model or arena makes it fault or hang.

These take upstream's headers and library: TFLM_DIR names them (firmware/engine/tflm/README.md). Without, nothing here
runs, and not even that the adapter compiles can be tested.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from cores import CORES, Core, run_core
from engine_host import E_ARENA, E_ARGUMENT, E_MODEL, E_UNSUPPORTED, OK, Answer, oracle, request
from flags import FIRMWARE, WARNINGS
from test_engine_cores import generated
from test_engine_models import ad, ic, kws, sww, vww

from host import modelgen as gen
from host import tflm
from host.errors import SetupError
from host.modelgen import RELU6, Window

HERE = Path(__file__).parent
ADAPTER = sorted((FIRMWARE / "engine" / "tflm").glob("*.cc"))
CXX_WARNINGS = [flag for flag in WARNINGS if flag != "-Wmissing-prototypes"]  # gcc has it for C alone


def build_tflm(folder: Path, core: Core, found: tflm.Tflm) -> Path:
    """Adapter, upstream's library and the harness for `core`, in `folder`, compiled as the firmware is."""
    includes = [f"-isystem{path}" for path in found.includes]
    command = ["-O2", "-g", *core.flags, f"-I{FIRMWARE}"]
    cxx = ["arm-none-eabi-g++", *command, *CXX_WARNINGS, *tflm.CXX_FLAGS, *found.defines, *includes]
    objects = []
    for source in ADAPTER:
        objects.append(str(folder / f"{source.stem}.o"))
        subprocess.run([*cxx, "-c", str(source), "-o", objects[-1]], check=True)
    program = folder / f"tflm_{core}.elf"
    layout = f"-Wl,--section-start=.vectors={core.vectors:#x},-Ttext-segment={core.text:#x}"
    harness = [str(HERE / "engine_harness.c"), str(HERE / "engine_core.c")]
    link = ["arm-none-eabi-gcc", "-std=c99", *command, *WARNINGS, "--specs=rdimon.specs", layout]
    subprocess.run([*link, "-o", str(program), *harness, *objects, str(found.library), "-lm"], check=True)
    return program


@pytest.fixture(scope="module", params=CORES.values(), ids=str)
def core(request: pytest.FixtureRequest) -> Core:
    return request.param


@pytest.fixture(scope="module")
def program(core: Core, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not os.environ.get(tflm.VARIABLE):
        pytest.skip("TFLM_DIR does not name a build of upstream TFLM")
    tree = tflm.require_tree(Path(os.environ[tflm.VARIABLE]))
    try:
        found = tflm.find_tflm(tree, board=str(core), prefix="arm-none-eabi-", machine=core.flags)
    except SetupError as error:
        pytest.skip(f"TFLM_DIR has no library for this core: {error}")
    tflm.require_cxx("arm-none-eabi-", core.flags)
    return build_tflm(tmp_path_factory.mktemp(f"tflm_{core}"), core, found)


def test_generated_models_give_what_tflm_gives(core: Core, program: Path, tmp_path: Path) -> None:
    requests = [request(data, inputs) for _, data, inputs, _ in generated()]
    answers = run_core(core, program, requests, [len(inputs) for _, _, inputs, _ in generated()], tmp_path)
    for (name, _, _, outputs), answer in zip(generated(), answers, strict=True):
        assert answer.status == OK, f"{name}: {answer.text}"
        assert list(answer.outputs) == outputs, name


def test_official_models_give_what_tflm_gives(core: Core, program: Path, data_dir: Path, tmp_path: Path) -> None:
    tasks = [(task(data_dir), count) for task, count in ((ad, 20), (kws, 10), (ic, 3), (vww, 3), (sww, 10))]
    models = [(data_dir / "models" / f"{task.model}.tflite").read_bytes() for task, _ in tasks]
    requests = [request(model, task.inputs[:count]) for model, (task, count) in zip(models, tasks, strict=True)]
    answers = run_core(core, program, requests, [count for _, count in tasks], tmp_path)
    for (task, count), answer in zip(tasks, answers, strict=True):
        assert answer.status == OK, f"{task.model}: {answer.text}"
        golden = np.load(data_dir / "golden" / f"{task.golden}_tflm.npy")[:count]
        assert b"".join(answer.outputs) == golden.tobytes(), task.model


def loads(core: Core, program: Path, models: Sequence[bytes], folder: Path, **choices: int) -> list[Answer]:
    return run_core(core, program, [request(model, [], **choices) for model in models], [0] * len(models), folder)


def residual() -> bytes:
    return gen.build(gen.residual())


def test_refuses_what_it_has_no_operator_or_type_for(core: Core, program: Path, tmp_path: Path) -> None:
    convolution = gen.conv_2d(Window(activation=RELU6))
    overflow = gen.build(gen.altered(convolution, lambda t: gen.Tensor((70000, 70000)), 0))
    negative = gen.build(gen.altered(convolution, lambda t: gen.Tensor((1, -4, 4, 3)), 0))
    answers = loads(core, program, [overflow, negative, b"TFL3" * 20, b""], tmp_path)
    assert [(answer.status, answer.text) for answer in answers] == [
        (E_MODEL, "tensor 0: shape overflows"),
        (E_MODEL, "tensor 0: a dimension of -4"),
        (E_MODEL, "no .tflite file, or a damaged one: an offset does not hold"),
        (E_MODEL, "no .tflite file, or a damaged one: an offset does not hold"),
    ]


def test_wants_alignment(core: Core, program: Path, tmp_path: Path) -> None:
    for skew in ("model_skew", "arena_skew"):
        (answer,) = loads(core, program, [residual()], tmp_path, **{skew: 4})
        assert (answer.status, answer.text) == (E_ARGUMENT, "model or arena: not aligned to 16 bytes")


def test_an_arena_of_any_size_is_served_or_refused(core: Core, program: Path, tmp_path: Path) -> None:
    model, inputs = residual(), [x.tobytes() for x in gen.inputs_for(gen.residual(), 2)]
    sizes = [*range(0, 8192, 48), 16384]
    requests = [request(model, inputs, arena=size) for size in sizes]
    answers = run_core(core, program, requests, [len(inputs)] * len(sizes), tmp_path)
    served = [answer.status == OK for answer in answers]
    assert served == sorted(served)
    assert not served[0]
    assert served[-1]
    expected = oracle(
        model, [np.frombuffer(x, np.int8).reshape(gen.inputs_for(gen.residual(), 1)[0].shape) for x in inputs]
    )
    for size, answer in zip(sizes, answers, strict=True):
        if answer.status == OK:
            assert answer.arena_used <= size
            assert list(answer.outputs) == expected
        else:
            assert answer.status == E_ARENA, answer.text
            assert answer.text.startswith("arena: "), answer.text


def test_every_truncation_is_refused(core: Core, program: Path, tmp_path: Path) -> None:
    model = residual()
    for answer in loads(core, program, [model[:end] for end in range(0, len(model), 3)], tmp_path):
        assert answer.status == E_MODEL, answer.text


def test_damaged_models_are_answered(core: Core, program: Path, tmp_path: Path) -> None:
    """Bytes changed at random: refused with a reason or run, but no fault, halt or hang (the harness would not end)."""
    random = np.random.default_rng(3)
    model = np.frombuffer(residual(), np.uint8)
    damaged = []
    for _ in range(300):
        other = model.copy()
        other[random.integers(0, len(model), 3)] = random.integers(0, 256, 3)
        damaged.append(other.tobytes())
    answers = loads(core, program, damaged, tmp_path)
    assert len(answers) == len(damaged)
    assert {answer.status for answer in answers} >= {OK, E_MODEL, E_UNSUPPORTED}
