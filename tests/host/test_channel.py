"""Inputs in, output tensors out, over frames: whatever the line does, an output is right or there is an error."""

import json
from itertools import islice

import pytest
from device_kit import fast, lose, raws, right, sliding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host import frames
from host.channel import _TRANSIENT, ATTEMPTS, FRAMES_AHEAD, INPUTS_AHEAD
from host.device import Transcript
from host.errors import (
    DeviceError,
    DeviceRefused,
    DeviceReset,
    GarbledReply,
    HostError,
    LinkError,
    LinkTimeout,
    UsageError,
)
from host.frames import Frame, Kind
from host.link import Fault
from host.link.faulty import random_faults
from host.link.stock import StockDevice
from host.link.tinyjoule import TinyjouleDevice
from host.wire.spec import spec

INPUTS = [bytes([index % 256, index // 256]) * 245 for index in range(400)]


def test_transient_refusals_are_of_the_protocol():
    assert set(_TRANSIENT) <= set(spec().errors)


def test_numbers_wrap_and_outputs_are_in_order():
    device, _ = fast()
    assert raws(device.stream(iter(INPUTS))) == right(INPUTS)


def test_a_device_without_frames_is_not_sped_up():
    for fake in (StockDevice(), TinyjouleDevice(has_frames=False)):
        device, _ = fast(fake, expected=False)
        (output,) = device.stream(INPUTS[:1])
        assert (output.values, output.raw) != (None, None)
        assert output.raw is None


@pytest.mark.parametrize("size", [1, 4, 5, 1020, 1021, 1024, 1025, 2044, 27648, 100_000])
def test_inputs_of_every_size(size):
    fake = TinyjouleDevice(capacity=120_000)
    device, _ = fast(fake)
    inputs = [bytes((at * 7 + seed) % 256 for at in range(size)) for seed in range(3)]
    assert raws(device.stream(inputs)) == right(inputs)
    device.load(inputs[0])
    assert fake.tensor == inputs[0]
    assert device.infer(1, 0).iterations == 1


def test_an_input_of_no_bytes_is_refused_before_it_is_sent():
    device, _ = fast()
    with pytest.raises(UsageError):
        list(device.stream([INPUTS[0], b""]))
    assert raws(device.stream(INPUTS[:2])) == right(INPUTS[:2])


@pytest.mark.parametrize("size", [0, 1, 1012, 1013, 5000])
def test_outputs_of_every_size(size):
    device, _ = fast(TinyjouleDevice(output_bytes=size))
    assert raws(device.stream(INPUTS[:5])) == right(INPUTS[:5], size)


@pytest.mark.parametrize("window", [64, 100, 512, 1100])
def test_small_windows(window):
    device, _ = fast(TinyjouleDevice(window=window))
    assert raws(device.stream(INPUTS[:9])) == right(INPUTS[:9])


def test_inputs_are_taken_no_earlier_than_they_can_be_sent():
    device, _ = fast()
    taken = []
    stream = device.stream(taken.append(index) or data for index, data in enumerate(INPUTS))
    for count in range(1, 20):
        next(stream)
        assert len(taken) <= count + INPUTS_AHEAD


def test_the_next_input_is_sent_before_the_result_of_this_one_has_come():
    device, cable = fast()
    cable.add(Fault("rx", cable.passed("rx"), "stall"))
    before = cable.passed("tx")
    with pytest.raises(LinkTimeout):
        next(device.stream(INPUTS))
    assert cable.passed("tx") - before > 2 * 490


def test_a_failing_source_is_the_callers_business():
    def source():
        yield INPUTS[0]
        raise KeyError("no more")

    device, _ = fast()
    with pytest.raises(KeyError):
        list(device.stream(source()))
    assert device.name() == "fake"


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_stream_that_is_left_early(taken):
    device, _ = fast()
    stream = device.stream(INPUTS)
    assert raws(islice(stream, taken)) == right(INPUTS[:taken])
    stream.close()
    assert device.profile().model == "kws01"
    device.load(INPUTS[7])
    device.infer(1, 0)
    assert raws(device.stream(INPUTS[5:9])) == right(INPUTS[5:9])


def test_after_a_stream_an_input_has_to_be_loaded():
    device, _ = fast()
    device.load(INPUTS[0])
    list(device.stream(INPUTS[:1]))
    with pytest.raises(DeviceError):
        device.infer(1, 0)


# ---- damage ----


@pytest.mark.parametrize("kind", ["flip", "drop", "duplicate"])
@pytest.mark.parametrize("direction", ["tx", "rx"])
def test_any_single_fault_is_mended(direction, kind):
    """Bytes of three inputs, and all of their results, one at a time."""
    device, cable = fast()
    start = cable.passed(direction)
    list(device.stream(INPUTS[:3]))
    step = 13 if direction == "tx" else 1
    for at in range(0, cable.passed(direction) - start, step):
        device, cable = fast()
        cable.add(Fault(direction, cable.passed(direction) + at, kind, at % 8))
        assert raws(device.stream(INPUTS[:3])) == right(INPUTS[:3])
        assert device.name() == "fake"


@pytest.mark.parametrize("seed", range(30))
def test_a_bad_line_gives_right_outputs(seed):
    fake = TinyjouleDevice(output_bytes=1500)
    device, cable = fast(fake)
    for direction in ("tx", "rx"):
        for fault in random_faults(seed, direction, cable.passed(direction), 60_000, 0.0006):
            cable.add(fault)
    assert raws(device.stream(INPUTS[:30])) == right(INPUTS[:30], 1500)


def test_a_line_that_loses_everything_ends_in_a_timeout():
    for direction in ("tx", "rx"):
        device, cable = fast()
        cable.add(Fault(direction, cable.passed(direction) + 600 * (direction == "tx"), "stall"))
        with pytest.raises(LinkTimeout, match="no answer to"):
            list(device.stream(INPUTS[:20]))


def test_a_line_that_damages_every_large_frame_ends_in_a_timeout():
    device, cable = fast()
    for at in range(cable.passed("tx"), cable.passed("tx") + 200_000, 300):
        cable.add(Fault("tx", at, "flip"))
    with pytest.raises(LinkTimeout):
        list(device.stream(INPUTS[:20]))


def test_a_device_that_babbles_ends_in_an_error():
    fake = TinyjouleDevice()
    device, cable = fast(fake)
    fake.framing.take = lambda _byte: b"x" * 50
    with pytest.raises(LinkError):
        list(device.stream(INPUTS[:2]))
    assert cable.passed("rx") < 10_000_000


def test_a_line_that_is_cut():
    device, cable = fast()
    cable.add(Fault("tx", cable.passed("tx") + 1700, "close"))
    with pytest.raises(LinkError, match="cut"):
        list(device.stream(INPUTS[:20]))


@pytest.mark.parametrize("lost", [{1}, {2}, {7}, {6, 7}, {1, 2, 3, 4, 5, 6, 7}])
def test_lost_results_are_noticed_and_their_inputs_sent_again(lost, tmp_path):
    fake = TinyjouleDevice()
    with Transcript(tmp_path / "log.jsonl") as transcript:
        device, _ = fast(fake, transcript=transcript)
        lose(fake, lambda kind, count: kind != Kind.RESULT or count not in lost)
        assert raws(device.stream(INPUTS[:7])) == right(INPUTS[:7])
    assert fake.runs == 7 + len(lost)
    notes = [line["line"] for line in map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())]
    assert sum("its result is lost: sending the input" in note for note in notes) == len(lost)


def test_a_result_that_never_comes_ends_in_an_error():
    fake = TinyjouleDevice()
    device, _ = fast(fake)
    lose(fake, lambda kind, _count: kind != Kind.RESULT)
    with pytest.raises(GarbledReply, match=f"went out {ATTEMPTS} times"):
        list(device.stream(INPUTS[:2]))


@pytest.mark.parametrize("kind", [Kind.ACCEPTED, Kind.AGAIN])
def test_lost_answers_cost_time_only(kind):
    fake = TinyjouleDevice()
    device, cable = fast(fake)
    cable.add(Fault("tx", cable.passed("tx") + 700, "flip"))
    lose(fake, lambda found, count: found != kind or count % 2 == 0)
    assert raws(device.stream(INPUTS[:9])) == right(INPUTS[:9])


def test_frames_that_come_twice_are_taken_once():
    fake = TinyjouleDevice(output_bytes=1500)
    device, _ = fast(fake)
    real = fake.framing.take
    fake.framing.take = lambda byte: None if (answer := real(byte)) is None else answer * 2
    assert raws(device.stream(INPUTS[:20])) == right(INPUTS[:20], 1500)


def test_a_result_of_another_input_is_never_taken():
    fake = TinyjouleDevice()
    device, _ = fast(fake)
    real = fake.framing._end

    def confused(frame):
        answer = real(frame)
        if frame.number == 2:
            other = frames.encode_result(frames.Result(123, 12, 0, bytes(12)))
            return frames.encode(Frame(Kind.RESULT, frame.number, other)) + answer
        return answer

    fake.framing._end = confused
    assert raws(device.stream(INPUTS[:6])) == right(INPUTS[:6])


@pytest.mark.parametrize("size", [12, 1 << 22])
def test_a_device_that_makes_up_parts_of_an_output_does_not_eat_memory(size):
    """Parts that overlap, are empty, or belong to an output of another size: never more than the output in all."""
    fake = TinyjouleDevice()
    device, _ = fast(fake)
    real = fake.framing._end

    def end(frame):
        crc = int.from_bytes(frame.payload[-4:], "little")
        made_up = [frames.Result(crc, size, at, bytes(at % 2)) for at in range(1, 12)]
        return b"".join(
            frames.encode(Frame(Kind.RESULT, frame.number, frames.encode_result(part))) for part in made_up
        ) + real(frame)

    fake.framing._end = end
    with pytest.raises(GarbledReply):
        list(device.stream(INPUTS[:2]))


def test_a_reset_in_the_middle():
    fake = TinyjouleDevice()
    device, cable = fast(fake)
    stream = device.stream(INPUTS)
    assert next(stream).raw == right(INPUTS[:1])[0]
    cable._link.say(fake.reset())
    with pytest.raises(DeviceReset):
        list(stream)
    assert device.name() == "fake"
    assert raws(device.stream(INPUTS[:3])) == right(INPUTS[:3])


def test_a_reset_in_the_middle_of_a_frame_of_the_device():
    fake = TinyjouleDevice()
    device, _ = fast(fake)
    real = fake.framing.take

    def take(byte):
        answer = real(byte)
        if answer and len(answer) > 30:
            fake.framing.enabled = False
            return answer[:20] + b"m-timestamp-mode-performance\r\nm-init-done\r\nm-ready\r\n"
        return answer

    fake.framing.take = take
    with pytest.raises(DeviceReset):
        list(device.stream(INPUTS[:3]))


def test_an_input_that_the_device_refuses_for_good():
    device, _ = fast(TinyjouleDevice(capacity=600))
    with pytest.raises(DeviceRefused, match="5000 exceeds maximum of 600"):
        list(device.stream([INPUTS[0], bytes(5000)]))
    with pytest.raises(DeviceRefused, match="5000 exceeds maximum of 600"):
        device.load(bytes(5000))
    assert raws(device.stream(INPUTS[:3])) == right(INPUTS[:3])


def test_an_input_that_is_refused_once_goes_out_again():
    fake = TinyjouleDevice()
    device, _ = fast(fake)
    real, refused = fake.framing._end, []

    def end(frame):
        if frame.number in (1, 3) and frame.number not in refused:
            refused.append(frame.number)
            return fake.framing._refuse(frame, "The load failed: start again with 'db load'") + fake.framing._accepted()
        return real(frame)

    fake.framing._end = end
    assert raws(device.stream(INPUTS[:6])) == right(INPUTS[:6])
    assert refused == [1, 3]


def test_a_load_whose_refusal_is_lost_is_found_by_its_crc():
    fake = TinyjouleDevice()
    device, _ = fast(fake)
    real, times = fake.framing._end, []

    def end(frame):
        times.append(frame)
        return fake.framing._accepted() if len(times) == 1 else real(frame)

    fake.framing._end = end
    device.load(INPUTS[3])
    assert len(times) == 2
    assert fake.tensor == INPUTS[3]


def test_no_more_frames_are_on_their_way_than_numbers_can_tell_apart():
    fake = TinyjouleDevice(capacity=500_000, window=1 << 30, payload=16)
    device, _ = fast(fake)
    data = bytes(range(256)) * 40
    channel = device._fast.channel()
    held = []
    real = channel._step
    channel._step = lambda: (held.append(len(channel._flight)), real())
    assert raws(device.stream([data] * 3)) == right([data] * 3)
    assert max(held) == FRAMES_AHEAD


faults = st.lists(
    st.builds(
        Fault,
        direction=st.sampled_from(["tx", "rx"]),
        at=st.integers(0, 4000),
        kind=st.sampled_from(["flip", "drop", "duplicate", "flip", "drop", "duplicate", "stall", "close"]),
        bit=st.integers(0, 7),
    ),
    max_size=25,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    damage=faults,
    output_bytes=st.sampled_from([1, 12, 1500]),
    window=st.sampled_from([600, 1024, 32768]),
    reset_at=st.one_of(st.none(), st.integers(0, 8)),
    inputs=st.sampled_from([INPUTS[:8], sliding(8, 490, 98), sliding(8, 2560, 512)]),
)
def test_an_output_is_the_right_one_or_there_is_an_error(damage, output_bytes, window, reset_at, inputs):
    fake = TinyjouleDevice(output_bytes=output_bytes, window=window)
    device, cable = fast(fake)
    for fault in damage:
        cable.add(Fault(fault.direction, cable.passed(fault.direction) + fault.at, fault.kind, fault.bit))
    came = []
    try:
        for output in device.stream(inputs):
            came.append(output.raw)
            if len(came) == reset_at:
                cable._link.say(fake.reset())
    except HostError:
        pass
    else:
        assert len(came) == len(inputs)
    assert came == right(inputs, output_bytes)[: len(came)]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(damage=faults, data=st.binary(min_size=1, max_size=2500))
def test_a_load_over_frames_is_whole_or_an_error(damage, data):
    fake = TinyjouleDevice()
    device, cable = fast(fake)
    for fault in damage:
        cable.add(Fault(fault.direction, cable.passed(fault.direction) + fault.at, fault.kind, fault.bit))
    try:
        device.load(data)
    except HostError:
        return
    assert fake.tensor == data
