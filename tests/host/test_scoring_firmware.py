"""The host's numbers and the firmware's: bench.c, compiled for this machine, prints what `values` computes."""

from __future__ import annotations

import itertools
import math
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from host.device import Output
from host.errors import DeviceError
from host.modelinfo import read_ends
from host.paths import PROJECT_DIR
from host.runner.outputs import OutputFormat, values

FIRMWARE = PROJECT_DIR / "firmware"
MODELS = ("ad01_int8", "kws_ref_model", "pretrainedResnet_quant", "str_ww_ref_model", "vww_96_int8")
Say = Callable[[Sequence[tuple[OutputFormat, bytes, bytes]]], list[str]]


@pytest.fixture(scope="module")
def say(tmp_path_factory: pytest.TempPathFactory) -> Say:
    """The m-results line of each (format, input, output tensor)."""
    program = tmp_path_factory.mktemp("harness") / "results"
    sources = [FIRMWARE / "core" / f"{name}.c" for name in ("bench", "reply", "input", "crc")]
    command = [
        *("gcc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"),
        *(f"-I{FIRMWARE / folder}" for folder in ("core", "engine", "boards")),
        *map(str, (Path(__file__).with_name("results_harness.c"), *sources, "-o", program)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    def ask(tensors: Sequence[tuple[OutputFormat, bytes, bytes]]) -> list[str]:
        frames = [
            struct.pack(
                "<IfiIII",
                *(form.dtype != "int8", form.scale, form.zero_point, form.result == "mse", len(raw), len(data)),
            )
            + raw
            + data
            for form, data, raw in tensors
        ]
        answer = subprocess.run([program], input=b"".join(frames), capture_output=True, check=True, timeout=60)
        return answer.stdout.decode("ascii").split("\r\n")[:-1]

    return ask


def line(numbers: Sequence[float]) -> str:
    return f"m-results-[{','.join(f'{number:.3f}' for number in numbers)}]"


def official(name: str, data_dir: Path) -> OutputFormat:
    tensor = read_ends((data_dir / "models" / f"{name}.tflite").read_bytes(), name)[1]
    return OutputFormat("int8", 256, tensor.scale, tensor.zero_point)


@pytest.mark.parametrize("name", MODELS)
def test_every_int8_of_the_official_models(name: str, say: Say, data_dir: Path) -> None:
    form, raw = official(name, data_dir), bytes(range(256))
    assert say([(form, b"", raw)]) == [line(values(form, b"", Output(raw=raw)))]


def test_a_whole_ad01_file_window_by_window(say: Say, data_dir: Path) -> None:
    tensor = read_ends((data_dir / "models" / "ad01_int8.tflite").read_bytes(), "ad01")[1]
    form = OutputFormat("int8", 640, tensor.scale, tensor.zero_point, "mse")
    data = (data_dir / "ad01" / "normal_id_01_00000000_hist_librosa.bin").read_bytes()
    golden = np.load(data_dir / "golden" / "ad01_196windows_tflm.npy")
    tensors = [(form, data[512 * i : 512 * i + 2560], row.tobytes()) for i, row in enumerate(golden)]
    assert say(tensors) == [line(values(form, given_, Output(raw=raw))) for _, given_, raw in tensors]


@settings(max_examples=40)
@given(
    raw=st.binary(min_size=1, max_size=64),
    scale=st.floats(min_value=2.0**-20, max_value=2.0**20, width=32),
    zero_point=st.integers(-128, 127),
)
def test_any_scale_and_zero_point(say: Say, raw: bytes, scale: float, zero_point: int) -> None:
    form = OutputFormat("int8", len(raw), scale, zero_point)
    assert say([(form, b"", raw)]) == [line(values(form, b"", Output(raw=raw)))]


reals = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=40)
@given(st.lists(reals, min_size=1, max_size=16))
def test_a_float_tensor(say: Say, numbers: list[float]) -> None:
    form, raw = OutputFormat("float32", len(numbers), 1.0, 0), struct.pack(f"<{len(numbers)}f", *numbers)
    assert values(form, b"", Output(raw=raw)) == tuple(numbers)
    assert say([(form, b"", raw)]) == [line(numbers)]


@settings(max_examples=40)
@given(st.lists(st.tuples(reals, reals), min_size=1, max_size=16))
@example([(3e38, -3e38)])
def test_the_error_of_a_float_tensor(say: Say, pairs: list[tuple[float, float]]) -> None:
    form = OutputFormat("float32", len(pairs), 1.0, 0, "mse")
    data, raw = (struct.pack(f"<{len(pairs)}f", *column) for column in zip(*pairs, strict=True))
    (said,) = say([(form, data, raw)])
    if said in ("m-results-[inf]", "m-results-[nan]"):
        with pytest.raises(DeviceError, match="not a number"):
            values(form, data, Output(raw=raw))
        return
    assert said == line(values(form, data, Output(raw=raw)))


def test_the_order_of_adding_is_the_firmwares(say: Say) -> None:
    # Added in pairs, as numpy does by itself, the small ones would not be lost beside the large one.
    numbers = [4096.0, *itertools.repeat(1.0, 1000)]
    form = OutputFormat("float32", len(numbers), 1.0, 0, "mse")
    data, raw = struct.pack("<1001f", *itertools.repeat(0.0, 1001)), struct.pack("<1001f", *numbers)
    (got,) = values(form, data, Output(raw=raw))
    assert got == np.float32(2.0**24 / 1001)
    assert got != np.float32(math.fsum(number**2 for number in numbers) / 1001)
    assert say([(form, data, raw)]) == [line([got])]
