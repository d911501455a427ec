"""TFLM_DIR: what is missing is said, a library for another core is refused, and the right one is found.

The libraries here hold an object or two, made for the core in question. What is done with upstream's own library is
tested in tests/e2e/test_bench_tflm.py. That our adapter (firmware/engine/tflm) compiles cannot be tested here: it takes
upstream's headers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from host import tflm
from host.boards import get_board
from host.build import build
from host.errors import SetupError, UsageError
from host.paths import PROJECT_DIR
from host.variant import Variant

ARM = "arm-none-eabi-"
M3 = "-mcpu=cortex-m3 -mthumb"
M4F = "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16"
M4_SOFT = "-mcpu=cortex-m4+nofp -mthumb -mfloat-abi=soft"
M4_SOFTFP = "-mcpu=cortex-m4 -mthumb -mfloat-abi=softfp -mfpu=fpv4-sp-d16"
M7F = "-mcpu=cortex-m7 -mthumb -mfloat-abi=hard -mfpu=fpv5-d16"
M33F = "-mcpu=cortex-m33 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16"
M33_NO_DSP = "-mcpu=cortex-m33+nodsp -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16"
M55 = "-mcpu=cortex-m55 -mthumb -mfloat-abi=hard"
M55_NO_MVE = "-mcpu=cortex-m55+nomve -mthumb -mfloat-abi=hard"

PRINTF = 'void name(void) __asm__("_Z11MicroPrintfPKcz"); void name(void) {}'
HEADERS = ("flatbuffers/include/flatbuffers/flatbuffers.h", "gemmlowp/fixedpoint/fixedpoint.h")


def library(folder: Path, flags: str, *sources: str, prefix: str = ARM) -> Path:
    """lib/libtensorflow-microlite.a in `folder`, with one object for each source."""
    path = folder / "lib" / tflm.LIBRARY
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, source in enumerate(sources or (PRINTF,)):
        built = path.with_name(f"part{len(list(path.parent.iterdir()))}_{number}.o")
        command = [f"{prefix}gcc", *flags.split(), "-x", "c", "-c", "-", "-o", built]
        subprocess.run(command, input=source, text=True, check=True)
        subprocess.run([f"{prefix}ar", "rcs", path, built], check=True)
    return path


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which upstream's downloads are there, but no library yet."""
    folder = tmp_path / "upstream"
    touch(folder / "tensorflow/lite/micro/micro_interpreter.h")
    for header in HEADERS:
        touch(folder / "tensorflow/lite/micro/tools/make/downloads" / header)
    return folder


def find(folder: Path, flags: str) -> tflm.Tflm:
    return tflm.find_tflm(folder, board="a_board", prefix=ARM, machine=flags.split())


def refusal(folder: Path, flags: str = M4F) -> str:
    with pytest.raises(SetupError) as caught:
        find(folder, flags)
    return str(caught.value)


def test_the_command_says_what_to_name(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != tflm.VARIABLE}
    for words, code, said in (
        (["--engine", "tflm"], 2, "name a build of upstream with --tflm-dir or TFLM_DIR"),
        (["--tflm-dir", str(tmp_path)], 2, "--tflm-dir is for --engine tflm"),
        (["--engine", "tflm", "--tflm-dir", str(tmp_path)], 1, "no checkout of tensorflow/tflite-micro"),
    ):
        command = [sys.executable, "-m", "host", "bench", "kws01", "--out", str(tmp_path / "results"), *words]
        answer = subprocess.run(
            command, cwd=PROJECT_DIR, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert (answer.returncode, answer.stdout) == (code, "")
        assert said in answer.stderr
    assert not (tmp_path / "results").exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a build of upstream"):
        tflm.require_tree(None)
    with pytest.raises(SetupError, match="nowhere is no folder") as caught:
        tflm.require_tree(tmp_path / "nowhere")
    assert "cortex_m_generic/README.md" in str(caught.value)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    said = refusal(tmp_path)
    assert "no checkout of tensorflow/tflite-micro" in said
    assert "cortex_m_generic/README.md" in said


@pytest.mark.parametrize("header", HEADERS)
def test_a_checkout_without_downloads(checkout: Path, header: str) -> None:
    library(checkout / "gen" / "one", M4F)
    (checkout / "tensorflow/lite/micro/tools/make/downloads" / header).unlink()
    said = refusal(checkout)
    assert f"has no {header.removeprefix('flatbuffers/include/').removeprefix('gemmlowp/')}" in said
    assert "cortex_m_generic/README.md" in said


def test_a_checkout_without_a_library(checkout: Path) -> None:
    for folder in (checkout, checkout / "gen" / "one"):
        folder.mkdir(parents=True, exist_ok=True)
        said = refusal(folder)
        assert f"has no {tflm.LIBRARY}" in said
        assert "cortex_m_generic/README.md" in said


def test_an_installed_tree(tmp_path: Path) -> None:
    touch(tmp_path / "include/tensorflow/lite/micro/micro_interpreter.h")
    touch(tmp_path / "include/flatbuffers/flatbuffers.h")
    touch(tmp_path / "include/third_party/gemmlowp/fixedpoint/fixedpoint.h")
    assert f"has no {tflm.LIBRARY}" in refusal(tmp_path)
    built = library(tmp_path, M4F)
    found = find(tmp_path, M4F)
    assert found.library == built
    assert found.version == "unknown"
    assert found.includes == (tmp_path / "include", tmp_path / "include/third_party/gemmlowp")


@pytest.mark.parametrize(
    ("made_for", "board", "said"),
    [
        (M4F, M3, "v7E-M, VFPv4-D16, floats passed the hard way"),
        (M4_SOFT, M3, "v7E-M, no FPU, floats passed the soft way"),
        (M3, M4F, "v7, no FPU, floats passed the soft way"),
        (M4_SOFT, M4F, "v7E-M, no FPU, floats passed the soft way"),
        (M4_SOFTFP, M4F, "v7E-M, VFPv4-D16, floats passed the soft way"),
        (M7F, M4F, "v7E-M, FPv5/FP-D16 for ARMv8, floats passed the hard way"),
        (M4F, M7F, "v7E-M, VFPv4-D16, floats passed the hard way"),
        (M33_NO_DSP, M33F, "v8-M.mainline, FPv5/FP-D16 for ARMv8, floats passed the hard way"),
        (M33F, M55, "v8-M.mainline, FPv5/FP-D16 for ARMv8, DSP, floats passed the hard way"),
        (M55_NO_MVE, M55, "v8.1-M.mainline, FPv5/FP-D16 for ARMv8, DSP, floats passed the hard way"),
    ],
)
def test_a_library_for_another_core_is_refused(checkout: Path, made_for: str, board: str, said: str) -> None:
    library(checkout / "gen" / "other", made_for)
    text = refusal(checkout, board)
    assert text.startswith("no library for a_board (v")
    assert f"part0_0.o is made for {said}. Build upstream for it: " in text
    assert "cortex_m_generic/README.md" in text
    assert find(checkout, made_for).library.is_file()


def test_one_foreign_object_is_enough(checkout: Path) -> None:
    built = library(checkout / "gen" / "mixed", M4F, "int one;", "int two;")
    assert find(checkout, M4F).library == built
    library(checkout / "gen" / "mixed", M4_SOFTFP, "int three;")
    assert "_0.o is made for v7E-M, VFPv4-D16, floats passed the soft way" in refusal(checkout)


def test_a_library_for_no_arm_at_all(checkout: Path) -> None:
    library(checkout / "gen" / "linux", "", prefix="")
    assert "part0_0.o is not for Arm" in refusal(checkout)


def test_a_library_that_is_cut_or_empty(checkout: Path) -> None:
    built = library(checkout / "gen" / "one", M4F)
    whole = built.read_bytes()
    for rest in (whole[: len(whole) // 2], b"!<arch>\n", b""):
        built.write_bytes(rest)
        assert "no library for a_board" in refusal(checkout)


def test_the_right_one_of_several_is_taken(checkout: Path) -> None:
    wanted = {flags: library(checkout / "gen" / f"target{n}", flags) for n, flags in enumerate((M3, M4F, M55))}
    for flags, built in wanted.items():
        assert find(checkout, flags).library == built


def test_two_that_fit_want_a_choice(checkout: Path) -> None:
    first, second = (library(checkout / "gen" / name, M4F) for name in ("cmsis_nn", "reference"))
    said = refusal(checkout)
    assert said.startswith("2 libraries fit a_board")
    assert str(first) in said
    assert str(second) in said
    for built in (first, second):
        assert find(built.parent.parent, M4F).library == built


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.invalid"]
    done = subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_version_is_the_checkouts_commit(checkout: Path) -> None:
    library(checkout / "gen" / "one", M4F)
    git(checkout.parent, "init", "-q")
    assert find(checkout, M4F).version == "unknown"  # a repository around it is not it
    git(checkout, "init", "-q")
    git(checkout, "add", "tensorflow")
    git(checkout, "commit", "-q", "-m", "a commit")
    commit = git(checkout, "rev-parse", "HEAD")[:12]
    found = find(checkout, M4F)
    assert found.version == commit
    assert f"-DTJ_TFLM_VERSION={commit}" in found.defines
    (checkout / "tensorflow/lite/micro/micro_interpreter.h").write_text("// another\n")
    assert find(checkout, M4F).version == f"{commit}-dirty"


def test_what_is_defined_follows_the_library(checkout: Path) -> None:
    """The headers' layout and inline code depend on how upstream was built."""
    folder = checkout / "gen" / "one"
    library(folder, M4F)
    logs = find(checkout, M4F)
    assert logs.defines[:2] == ("-DTF_LITE_STATIC_MEMORY", "-DTF_LITE_MCU_DEBUG_LOG")
    assert "-DTF_LITE_STRIP_ERROR_STRINGS" not in logs.defines
    shutil.rmtree(folder)
    library(folder, M4F, "void arm_convolve_s8(void) {}", "void MicroPrintf(void) {}")
    stripped = find(checkout, M4F)
    assert "-DTF_LITE_STRIP_ERROR_STRINGS" in stripped.defines
    assert stripped.version == "unknown+cmsis_nn"
    libraries = {define for found in (logs, stripped) for define in found.defines if "TJ_TFLM_LIBRARY" in define}
    assert len(libraries) == 2  # so that another library makes another build id
    library(folder, M4F, "void TfLiteTensorFree(void) {}\nvoid TfLiteIntArrayCreate(void) {}")
    assert "without TF_LITE_STATIC_MEMORY" in refusal(checkout)


def test_missing_cxx_headers_name_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.which(f"{ARM}gcc")
    script = tmp_path / f"{ARM}g++"
    script.write_text(f'#!/bin/sh\nexec {real} -nostdinc "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(SetupError, match="apt-get install libstdc\\+\\+-arm-none-eabi-newlib"):
        tflm.require_cxx(ARM, M4F.split())


@pytest.mark.parametrize(
    ("board", "said"),
    [("mps2_an386", "part0_0.o is made for v7, no FPU"), ("native", "native is no Cortex-M board")],
)
def test_a_build_is_refused_before_it_starts(checkout: Path, board: str, said: str) -> None:
    library(checkout / "gen" / "m3", M3)
    with pytest.raises(SetupError, match=f"building {board} failed: .*{said}"):
        build(get_board(board), variant=Variant(engine="tflm", tflm_dir=checkout))
