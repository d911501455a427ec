"""Inputs that begin with bytes the device has, on the firmware core under sanitizers: kept exactly, or refused."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_wire_frames import (
    MODEL_BYTES,
    boot,
    crc,
    damaged,
    property_test,
    recover,
    result_of,
    run,
    take_apart,
    text_inferences,
)
from vectors.replay import TYPES, frame
from wireharness import Harness, build


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with Harness(build(tmp_path_factory.mktemp("wire"), "normal")) as running:
        running.sync()
        yield running


def keep(number: int, count: int) -> bytes:
    return frame(TYPES["keep"], number % 256, struct.pack("<I", count))


@property_test
@given(st.data())
def test_every_result_is_of_an_input_that_was_sent_in_part_or_whole(harness: Harness, draw: st.DataObject) -> None:
    """Each one begins with what the one before it ends with, on a line that loses, doubles and changes bytes."""
    boot(harness)
    steps = draw.draw(st.lists(st.integers(0, MODEL_BYTES - 1), min_size=1, max_size=6))
    data = draw.draw(st.binary(min_size=MODEL_BYTES, max_size=MODEL_BYTES))
    inputs, stream = [data], run(0, data)
    for number, step in enumerate(steps):
        new = draw.draw(st.binary(min_size=step, max_size=step))
        data = data[step:] + new
        inputs.append(data)
        stream += keep(2 * number + 1, MODEL_BYTES - step) + frame(TYPES["run"], 2 * number + 2, new + crc(data))
    said, _ = take_apart(harness.ask(stream)[0])
    assert [payload for kind, _, payload in said if kind == "result"] == [result_of(data) for data in inputs]
    boot(harness)
    said, trace = harness.ask(draw.draw(st.composite(damaged)(stream)))
    frames, _ = take_apart(said)
    results = [payload for kind, _, payload in frames if kind == "result"]
    assert set(results) <= {result_of(data) for data in inputs}
    assert trace.count("r") - text_inferences(said) == len(results)
    recover(harness, inputs[0])


@pytest.mark.parametrize(
    "between", [b"db load 8%", b"db load 8%db 0001020304050607%", b"db load x%", b"frames 1%", b"frames 0%frames 1%"]
)
def test_nothing_is_kept_of_an_input_that_text_has_come_behind(harness: Harness, between: bytes) -> None:
    boot(harness)
    data = bytes(range(MODEL_BYTES))
    harness.ask(run(0, data) + between)
    number = 0 if b"frames" in between else 1
    said, trace = harness.ask(keep(number, 3) + frame(TYPES["run"], number + 1, data[3:] + crc(data)))
    assert [(kind, payload) for kind, _, payload in take_apart(said)[0] if payload] == [
        ("refused", b"No 3 bytes to keep: the input before this one has 0"),
        ("refused", b"The load failed: start again with 'db load'"),
    ]
    assert "r" not in trace
    recover(harness, data)


def test_nothing_is_kept_after_bytes_were_lost(harness: Harness) -> None:
    boot(harness)
    data = bytes(range(MODEL_BYTES))
    harness.ask(run(0, data))
    harness.overrun()
    said, _ = harness.ask(keep(1, MODEL_BYTES))
    assert take_apart(said)[0] == [
        ("refused", 1, b"No 8 bytes to keep: the input before this one has 0"),
        ("accepted", 2, b""),
    ]
