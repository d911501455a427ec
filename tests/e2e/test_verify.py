"""`host verify`: equal models are called equal, broken kernels are found by name, and what cannot run says why."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host import modelgen
from host.boards import get_board
from host.build import Variant, build
from host.catalog import ModelFile
from host.embed import CODE_RESERVE_BYTES
from host.emulator import start
from host.errors import DeviceError
from host.modelgen import Model, Operator, Tensor
from host.paths import PROJECT_DIR
from host.report.progress import Reporter
from host.report.verification import verdict
from host.verify import VerifyPlan, verify

QEMU = "mps2_an386"
RESIDUAL = modelgen.build(modelgen.residual())


def run(plan: VerifyPlan) -> Any:
    with Reporter() as reporter:
        return verify(plan, reporter)


def command(*arguments: object, cwd: Path = PROJECT_DIR) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(cwd)}
    if cwd != PROJECT_DIR:
        environment.pop("PLATFORMIO_BUILD_DIR", None)
    return subprocess.run(
        [sys.executable, "-m", "host", "verify", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("board", [QEMU, "native"])
def test_equal_models(tmp_path: Path, board: str) -> None:
    paths = [
        write(tmp_path, "residual.tflite", RESIDUAL),
        write(tmp_path, "units.tflite", modelgen.build(modelgen.fully_connected(70, 9, seed=5))),
        write(tmp_path, "floats.tflite", modelgen.build(modelgen.computed_reshape((1, 4, 3, 2)))),
    ]
    found = run(VerifyPlan(models=tuple(paths), board=board, count=3, seed=7))
    assert [check.outcome for check in found.models] == ["equal"] * 3, list(map(verdict, found.models))
    assert found.models[0].compared == ["before saturation", "output"]
    assert found.models[1].compared == ["output"]
    assert [check.inputs for check in found.models] == [3, 3, 3]
    assert found.models[0].arena_bytes > 0
    assert (found.provenance, found.board.name, found.seed) == ("emulated", board, 7)
    assert found.oracle.startswith("tflite-micro 0.")
    assert found.firmware.engine.startswith("tflite_c ")


def test_the_official_keyword_model_on_its_own_inputs(data_dir: Path, tmp_path: Path) -> None:
    for path in sorted((data_dir / "kws01").glob("*.bin"))[:3]:
        shutil.copyfile(path, tmp_path / path.name)
    model = data_dir / "models" / "kws_ref_model.tflite"
    done = command(model, "--board", QEMU, "--inputs", tmp_path, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout)
    assert record["schema"] == "tinyjoule.verify/1"
    (check,) = record["models"]
    assert (check["outcome"], check["operators"], check["inputs"]) == ("equal", 13, 3)


def too_large(folder: Path) -> Path:
    """A sound model with more bytes behind it than the board has flash."""
    return write(folder, "large.tflite", RESIDUAL + bytes(get_board(QEMU).flash_bytes - CODE_RESERVE_BYTES))


def test_models_that_cannot_run_say_why(tmp_path: Path) -> None:
    """One of each; a sound one among them is compared all the same."""
    four = (Tensor((1, 4), (1.0,)), Tensor((1, 4), (1.0,)))
    deep = (Tensor((1, 64, 64, 4), (1.0,)), *(Tensor((1, 64, 64, 200), (1.0,)) for _ in range(3)))
    weights = Tensor((200, 1, 1, 4), (0.01,), 0, np.ones((200, 1, 1, 4)))
    square = Tensor((200, 1, 1, 200), (0.01,), 0, np.ones((200, 1, 1, 200)))
    conv = {"Padding": modelgen.SAME, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
    models = {
        "garbage": (b"this is no model" * 9, "refused", ""),
        "cut": (RESIDUAL[: len(RESIDUAL) // 2], "refused", ""),
        "unknown": (modelgen.build(Model(four, (Operator("TOPK_V2", (0,), (1,)),))), "refused", "operator 0 TOPK_V2"),
        "wide": (
            modelgen.build(modelgen.unary("RELU", (1, 140000), (1.0, 0), (1.0, 0))),
            "refused",
            "the input is larger than the buffer for it",
        ),
        "hungry": (
            modelgen.build(
                Model(
                    (*deep, weights, square),
                    (
                        Operator("CONV_2D", (0, 4), (1,), conv),
                        Operator("CONV_2D", (1, 5), (2,), conv),
                        Operator("ADD", (1, 2), (3,), {}),
                    ),
                )
            ),
            "refused",
            "arena: 1048576 bytes",
        ),
        "sound": (RESIDUAL, "equal", ""),
    }
    paths = [write(tmp_path, f"{name}.tflite", data) for name, (data, _, _) in models.items()]
    done = command(*paths, too_large(tmp_path), "--board", QEMU, "--count", 1, "--json")
    assert done.returncode == 1, done.stderr
    checks = json.loads(done.stdout)["models"]
    assert len(checks) == 7
    for check, (_, outcome, words) in zip(checks, models.values(), strict=False):
        assert check["outcome"] == outcome, check
        assert words in check["reason"]
        assert bool(check["reason"]) == (outcome != "equal"), check
    assert checks[-1]["outcome"] == "failed"
    assert "do not fit: the board has 4,063,232 for models" in checks[-1]["reason"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nosuch.tflite"], "nosuch.tflite: No such file"),
        (["/dev/null"], "is empty"),
        ([PROJECT_DIR / "README.md", "--board", "nosuch"], "there is no board"),
        ([PROJECT_DIR / "README.md", "--board", "nucleo_l4r5zi"], "is a real board"),
        ([PROJECT_DIR / "README.md", "--flash"], "--flash needs the name and the port of a real board"),
        ([PROJECT_DIR / "README.md", "--flash", "--port", "loop://", "--board", QEMU], "nothing to flash"),
        ([PROJECT_DIR / "README.md", "--count", "0"], "at least 1"),
    ],
)
def test_requests_that_make_no_sense(arguments: Sequence[object], complaint: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr


def test_inputs_of_another_size_are_told_before_anything_is_built(tmp_path: Path) -> None:
    write(tmp_path, "a.bin", bytes(5))
    done = command(write(tmp_path, "residual.tflite", RESIDUAL), "--inputs", tmp_path)
    assert done.returncode == 2
    assert "a.bin has 5 bytes; an input of this model has 192 (shape [1, 8, 8, 3])" in done.stderr


def test_a_board_at_a_port_is_asked_for_the_very_file(tmp_path: Path) -> None:
    path = write(tmp_path, "residual.tflite", RESIDUAL)
    digest = hashlib.sha256(RESIDUAL).hexdigest()
    other = write(tmp_path, "other.tflite", modelgen.build(modelgen.fully_connected(4, 3)))
    board = get_board("native")
    file = ModelFile("own", "residual", "a test", path, digest, "int8", input_bytes=192, outputs=5)
    with start(build(board, variant=Variant((file,))), timed=False) as emulator:
        found = run(VerifyPlan(models=(path, other), port=emulator.url, count=2))
    first, second = found.models
    assert (first.outcome, first.compared) == ("equal", ["output"])  # the shorter model is not on it
    assert second.outcome == "failed"
    assert f"`host verify {path} {other} --board NAME --port {emulator.url} --flash` brings it there" in second.reason


def test_a_real_board_gets_an_image_with_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flasher is one that keeps what it is given; the device that answers then is another board, and is told so."""
    flashed = tmp_path / "flashed.elf"
    flasher = tmp_path / "bin" / "openocd"
    flasher.parent.mkdir()
    flasher.write_text(f'#!/bin/sh\neval last=\\${{$#}}\npath=${{last#*\\{{}}\ncp "${{path%%\\}}*}}" {flashed}\n')
    flasher.chmod(0o755)
    monkeypatch.setenv("PATH", f"{flasher.parent}{os.pathsep}{os.environ['PATH']}")
    path = write(tmp_path, "residual.tflite", RESIDUAL)
    with (
        start(build(get_board("native")), timed=False) as emulator,
        pytest.raises(DeviceError, match="the device says it is native, not nucleo_l4r5zi"),
    ):
        run(VerifyPlan(models=(path,), board="nucleo_l4r5zi", port=emulator.url, flash=True))
    content = flashed.read_bytes()
    assert RESIDUAL in content
    assert b"nucleo_l4r5zi" in content


# ---- a firmware that is broken on purpose ----


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files in another place, to be broken there."""
    folder = tmp_path_factory.mktemp("broken")
    ignored = shutil.ignore_patterns(".*", "results", "tests", "__pycache__")
    shutil.copytree(PROJECT_DIR, folder / "checkout", ignore=ignored, symlinks=True)
    return folder / "checkout"


def sabotage(checkout: Path, *changes: tuple[str, str]) -> None:
    """Replace text in the copy's engine.c; each must be there."""
    text = (PROJECT_DIR / "firmware" / "engine" / "tflite_c" / "engine.c").read_text()
    for before, after in changes:
        assert before in text, f"engine.c has no {before!r} any more: sabotage something else"
        text = text.replace(before, after)
    (checkout / "firmware" / "engine" / "tflite_c" / "engine.c").write_text(text)


def broken(checkout: Path, model: Path) -> dict[str, Any]:
    done = command(model, "--board", QEMU, "--count", 2, "--json", cwd=checkout)
    assert done.returncode == 1, done.stderr
    (check,) = json.loads(done.stdout)["models"]
    assert check["outcome"] == "differs"
    assert check["input"] == "random 0 (seed 0)"
    return dict(check)


def test_a_broken_kernel_is_named(copy: Path, tmp_path: Path) -> None:
    """Every depthwise convolution (builtin operator 4) does nothing."""
    sabotage(
        copy,
        ("int load_keep(", "static void idle(const struct step *step)\n{\n    (void)step;\n}\n\nint load_keep("),
        (
            "        kept->operator_index =",
            "        kept->run = load->operation.code == 4 ? idle : kept->run;\n        kept->operator_index =",
        ),
    )
    check = broken(copy, write(tmp_path, "residual.tflite", RESIDUAL))
    assert check["reason"] == "operator 2 DEPTHWISE_CONV_2D is the first whose output differs"
    difference = check["difference"]
    assert (difference["operator"], difference["name"]) == (2, "DEPTHWISE_CONV_2D")
    assert (difference["shape"], difference["elements"]) == ([1, 8, 8, 6], 384)
    assert 0 < difference["differing"] <= 384
    assert difference["expected"] != difference["got"]
    assert difference["alone"] == "differs"


def test_a_fault_of_the_whole_is_not_blamed_on_an_operator(copy: Path, tmp_path: Path) -> None:
    """Only in a model of eight operators is the third one's output lost, as a bad memory plan would lose it."""
    sabotage(
        copy,
        ("struct engine {\n", "static bool whole;\n\nstruct engine {\n"),
        ("    *engine = arena;\n", "    whole = load.graph.operators.count == 8;\n    *engine = arena;\n"),
        ("        step->run(step);\n", "        if (!whole || step->operator_index != 2) { step->run(step); }\n"),
    )
    check = broken(copy, write(tmp_path, "residual.tflite", RESIDUAL))
    assert check["reason"] == (
        "operator 7 SOFTMAX is the first whose output differs, yet alone it gives the right output: "
        "memory planning suspected"
    )
    assert check["compared"] == ["before saturation", "output"]  # the former was equal
    assert check["difference"]["alone"] == "equal"
