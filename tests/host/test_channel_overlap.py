"""Inputs that overlap over frames: what the device has of one already is not sent again, and never used wrongly."""

import pytest
from device_kit import fast, lose, raws, right, sliding
from hypothesis import given
from hypothesis import strategies as st

from host import frames
from host.channel import INPUTS_AHEAD
from host.frames import Kind
from host.link.faulty import random_faults
from host.link.tinyjoule import TinyjouleDevice

KWS = bytes([3, 0]) * 245


def spied(fake):
    """The kinds of the frames that the device takes, in order; and how long the inputs' own bytes are."""
    real, kinds = fake.framing._frame, []
    fake.framing._frame = lambda frame: kinds.append((frame.kind, len(frame.payload))) or real(frame)
    return kinds


def test_only_the_new_bytes_of_a_window_go_out():
    fake = TinyjouleDevice()
    device, cable = fast(fake)
    kinds, before = spied(fake), cable.passed("tx")
    inputs = sliding(196)
    assert raws(device.stream(inputs)) == right(inputs)
    assert kinds[:5] == [(Kind.DATA, 1024), (Kind.DATA, 1024), (Kind.RUN, 516), (Kind.KEEP, 4), (Kind.RUN, 516)]
    assert sum(kind == Kind.KEEP for kind, _ in kinds) == 195
    assert cable.passed("tx") - before < 0.25 * 196 * 2560


def test_an_input_that_comes_twice_goes_out_once():
    fake = TinyjouleDevice()
    device, _ = fast(fake)
    kinds = spied(fake)
    assert raws(device.stream([KWS] * 3)) == right([KWS] * 3)
    assert kinds == [(Kind.RUN, 494), (Kind.KEEP, 4), (Kind.RUN, 4), (Kind.KEEP, 4), (Kind.RUN, 4), (Kind.PING, 0)]


@pytest.mark.parametrize(
    ("before", "data", "overlap"),
    [
        (bytes(range(200)), bytes(range(100, 200)), 100),
        (bytes(range(200)), bytes(range(100, 250)), 100),
        (bytes(range(200)), bytes(range(136, 200)), 64),
        (bytes(range(200)), bytes(range(137, 240)), 0),
        (bytes(range(200)), bytes(range(200)), 200),
        (bytes(range(64)) * 3, bytes(range(64)) * 2, 128),
        (bytes(range(100)) + b"x", bytes(range(100)) + b"y", 0),
        (bytes(1000), bytes(999) + b"x", 999),
        (bytes(1000) + b"x", bytes(1000), 0),
        (bytes(63), bytes(63), 0),
        (b"", bytes(100), 0),
    ],
)
def test_the_overlap_is_the_longest_one(before, data, overlap):
    assert frames.overlap_bytes(before, data, 64) == overlap


@given(st.binary(max_size=30), st.binary(max_size=30), st.integers(1, 4))
def test_an_overlap_is_one(before, data, least):
    overlap = frames.overlap_bytes(before, data, least)
    assert overlap == 0 or overlap >= least
    assert before[len(before) - overlap :] == data[:overlap]


def test_a_new_stream_and_a_load_begin_with_a_whole_input():
    fake = TinyjouleDevice()
    device, _ = fast(fake)
    inputs = sliding(1) * 2
    kinds = spied(fake)
    for _ in range(2):
        assert raws(device.stream(inputs[:1])) == right(inputs[:1])
        device.load(inputs[0])
    assert {kind for kind, _ in kinds} == {Kind.DATA, Kind.LOAD, Kind.RUN, Kind.PING}


@pytest.mark.parametrize("damage", ["lost", "spoilt"])
def test_what_the_device_has_lost_goes_out_whole(damage):
    """And so does what was on its way by then and keeps a part of it; what comes after that overlaps again."""
    fake = TinyjouleDevice()
    device, _ = fast(fake)
    kinds = spied(fake)
    real, done = fake.framing._frame, []

    def take(frame):
        if frame.kind == Kind.KEEP and fake.runs == 10 and not done:
            done.append(frame.number)
            if damage == "lost":
                fake.framing.before = b""
            else:
                fake.framing._spoilt = True
        return real(frame)

    fake.framing._frame = take
    inputs = sliding(60)
    assert raws(device.stream(inputs)) == right(inputs)
    assert done
    assert fake.runs == 60
    assert 2 <= sum(kind == (Kind.DATA, 1024) for kind in kinds) / 2 <= 1 + 2 * INPUTS_AHEAD
    assert kinds[-3:] == [(Kind.KEEP, 4), (Kind.RUN, 516), (Kind.PING, 0)]


@pytest.mark.parametrize("lost", [{1}, {2}, {7}, {6, 7}, {1, 2, 3, 4, 5, 6, 7}])
def test_a_lost_result_of_an_overlapping_input(lost):
    fake = TinyjouleDevice()
    device, _ = fast(fake)
    lose(fake, lambda kind, count: kind != Kind.RESULT or count not in lost)
    inputs = sliding(7)
    assert raws(device.stream(inputs)) == right(inputs)
    assert fake.runs == 7 + len(lost)


@pytest.mark.parametrize("seed", range(20))
def test_a_bad_line_gives_right_outputs_of_overlapping_inputs(seed):
    device, cable = fast(TinyjouleDevice(output_bytes=640))
    for direction in ("tx", "rx"):
        for fault in random_faults(seed, direction, cable.passed(direction), 60_000, 0.0003):
            cable.add(fault)
    inputs = sliding(40)
    assert raws(device.stream(inputs)) == right(inputs, 640)
