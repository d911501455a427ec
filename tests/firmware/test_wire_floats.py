"""Inputs that come as float32: the core quantises them, and scores the output against them, as numpy does."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from vectors.replay import TYPES, Lines, frame, send_input
from wireharness import Harness, build

from host.runner.seats import to_floats

SCALE, ZERO_POINT = np.float32(0.39101523), 89  # of the harness's models `quant` and `ad01`
OUTPUT_SCALE, OUTPUT_ZERO_POINT = np.float32(0.25), 3
floats = st.one_of(st.floats(width=32), st.floats(-100, 100, width=32))
steps = st.integers(-300, 300).map(lambda step: float(np.float32((step + 0.5) * float(SCALE))))  # ties, or next to one
windows = st.lists(st.one_of(floats, steps), min_size=4, max_size=4)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with Harness(build(tmp_path_factory.mktemp("wire"), "normal")) as running:
        running.sync()
        running.boot()
        running.ask(b"frames 1%")
        yield running


def quantised(values: np.ndarray) -> np.ndarray:
    """In single precision up to the rounding, which is half away from zero; what is no number is the zero point."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.nan_to_num((values / SCALE).astype(np.float64), nan=0.0, posinf=1e9, neginf=-1e9)
    rounded = np.trunc(scaled + np.copysign(0.5, scaled))
    return np.clip(rounded + ZERO_POINT, -128, 127).astype(np.int8)


def infer(harness: Harness, model: str, data: bytes) -> bytes:
    """The output tensor of one inference."""
    harness.ask(f"model {model}%frames 1%".encode())
    return send_input(harness, Lines(harness, 30.0), "run", data)[1]


@settings(max_examples=300)
@given(windows)
@example([0.5 * 0.39101523, -0.5 * 0.39101523, 0.49999997 * 0.39101523, 1.5 * 0.39101523])
@example([float("inf"), float("-inf"), float("nan"), -0.0])
def test_floats_are_quantised_as_numpy_does(harness: Harness, values: list[float]) -> None:
    data = np.array(values, dtype="<f4")
    assert infer(harness, "quant", data.tobytes()) == quantised(data).tobytes()


@given(st.lists(st.floats(-200, 200, width=32), min_size=4, max_size=4))
def test_the_error_is_the_official_recipes(harness: Harness, values: list[float]) -> None:
    data = np.array(values, dtype="<f4")
    infer(harness, "ad01", data.tobytes())
    real = OUTPUT_SCALE * (quantised(data).astype(np.float32) - np.float32(OUTPUT_ZERO_POINT))
    total = np.float32(0)
    for got, given_value in zip(real, data, strict=True):
        total += (got - given_value) * (got - given_value)
    said, _ = harness.ask(b"results%")
    assert said == f"m-results-[{total / np.float32(4):.3f}]\r\nm-ready\r\n".encode()


def test_every_int8_survives_the_way_as_a_float(harness: Harness) -> None:
    """What `host verify` does with a board whose image takes floats."""
    for start in range(-128, 128, 4):
        tensor = np.arange(start, start + 4, dtype=np.int8).tobytes()
        assert infer(harness, "quant", to_floats(tensor, float(SCALE), ZERO_POINT)) == tensor


def test_an_input_of_floats_has_four_bytes_a_value(harness: Harness) -> None:
    harness.ask(b"model quant%frames 1%")
    said, trace = harness.ask(frame(TYPES["run"], 0, bytes(4) + struct.pack("<I", zlib.crc32(bytes(4)))))
    assert b"The input has 4 bytes, model quant needs 16" in said
    assert "r" not in trace
