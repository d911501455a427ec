"""Binary frames on the firmware core under sanitizers, against an independent COBS: whatever happens to the bytes, an
inference runs on exactly what was sent or not at all, and the next host is answered."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors.replay import TYPES, frame, read_frame
from wireharness import INPUT_BYTES, LARGE_BYTES, Harness, build

from host.wire import codec
from host.wire.spec import spec

NAME = b"m-name-dut-[tinyjoule]\r\nm-ready\r\n"
ON = b"m-frames-[version 1, payload 1024, window 4096]\r\nm-ready\r\n"
PAYLOAD = spec().frames.payload_bytes
PAUSE_US = spec().frames.pause_ms * 1000
REVERT_US = spec().frames.revert_ms * 1000
MODEL_BYTES = 8  # of kws01, the harness's first model
NAMES = {value: name for name, value in TYPES.items()}
property_test = settings(max_examples=150)

Said = tuple[str, int, bytes]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(build(tmp_path_factory.mktemp("wire"), "normal"))


@pytest.fixture(scope="module")
def harness(program: str) -> Iterator[Harness]:
    with Harness(program) as running:
        running.sync()
        yield running


def boot(harness: Harness) -> None:
    """Frames on."""
    harness.boot()
    assert harness.ask(b"frames 1%")[0] == ON


def take_apart(said: bytes) -> tuple[list[Said], bytes]:
    """What the device said as frames, each of them whole, and the text between."""
    found = []
    text = b""
    pieces = said.split(b"\0")
    assert len(pieces) % 2 == 1, f"a frame that is not closed: {said!r}"
    for at, piece in enumerate(pieces):
        if at % 2 == 0:
            text += piece
        else:
            kind, number, payload = read_frame(piece)
            found.append((NAMES[kind], number, payload))
    return found, text


def crc(data: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(data))


def run(number: int, data: bytes) -> bytes:
    return frame(TYPES["run"], number % 256, data + crc(data))


def ping(number: int) -> bytes:
    return frame(TYPES["ping"], number % 256)


def outputs(tensor: bytes) -> bytes:
    """What the harness's engine makes of a tensor: the bytes of its CRC-32, minus 128."""
    return bytes(byte ^ 0x80 for byte in crc(tensor))


def result_of(data: bytes) -> bytes:
    return crc(data) + struct.pack("<II", 4, 0) + outputs(data)


# ---- frames and numbers against a model of the device ----


class DeviceModel:
    """What the device has to answer to whole frames, written down a second time. Of model kws01, without text."""

    def __init__(self) -> None:
        self.wanted = 0
        self.gap: int | None = None  # how far the last frame of a gap was beyond the wanted one
        self.data: bytes | None = None  # of an input that grows
        self.spoilt = False
        self.before = b""  # an input that was whole, of which the next one may keep a part

    def take(self, kind: str, number: int, payload: bytes) -> list[Said]:
        ahead = (number - self.wanted) % 256
        if ahead >= 128:
            return [("accepted", self.wanted, b"")]
        if ahead:
            told = self.gap is None or ahead <= self.gap
            self.gap = ahead
            return [("again", self.wanted, b"")] if told else []
        self.gap = None
        self.wanted = (self.wanted + 1) % 256
        accepted = ("accepted", self.wanted, b"")
        if kind == "data":
            error = self.grow(payload)
        elif kind == "ping":
            error = None
        elif kind == "keep":
            error = self.keep(payload)
        else:
            error = self.finish(kind, payload)
        if error:
            return [("refused", number, error.encode()), accepted]
        return [accepted, ("result", number, result_of(self.whole))] if kind == "run" else [accepted]

    def keep(self, payload: bytes) -> str | None:
        before, self.before = self.before, b""
        if self.spoilt:
            return None
        count = struct.unpack("<I", payload[:4])[0] if len(payload) >= 4 else 0
        self.spoilt = not 0 < count <= len(before)
        if len(payload) < 4:
            return f"The frame has {len(payload)} data bytes, its type at least 4"
        if self.spoilt:
            return f"No {count} bytes to keep: the input before this one has {len(before)}"
        self.data = before[-count:]
        return None

    def grow(self, payload: bytes) -> str | None:
        self.before = b""
        if self.spoilt:
            return None
        before = self.data or b""
        if len(before) + len(payload) > INPUT_BYTES:
            self.spoilt = True
            return f"Supplied buffer size {len(before) + len(payload)} exceeds maximum of {INPUT_BYTES}"
        self.data = before + payload
        return None

    def finish(self, kind: str, payload: bytes) -> str | None:
        spoilt, self.spoilt, self.before = self.spoilt, False, b""
        if len(payload) < 4:
            self.data = None
            return f"The frame has {len(payload)} data bytes, its type at least 4"
        if spoilt:
            self.data = None
            return "The load failed: start again with 'db load'"
        error = self.grow(payload[:-4])
        whole, self.data, self.spoilt = self.data or b"", None, False
        if error or not whole:
            return error or "Command 'db load' must be >0 bytes"
        if crc(whole) != payload[-4:]:
            meant = struct.unpack("<I", payload[-4:])[0]
            return f"The input has CRC-32 {zlib.crc32(whole):08x}, not {meant:08x}"
        self.before = whole
        if kind == "run" and len(whole) != MODEL_BYTES:
            return f"The input has {len(whole)} bytes, model kws01 needs {MODEL_BYTES}"
        self.whole = whole
        return None


@st.composite
def sent_frames(draw: st.DrawFn) -> list[tuple[str, int, bytes]]:
    """Frames of a host, mostly in order, with inputs that are mostly right."""
    frames: list[tuple[str, int, bytes]] = []
    number = draw(st.sampled_from([0, 0, 0, 1, 250]))
    data, before = b"", b""
    for _ in range(draw(st.integers(1, 16))):
        kind = draw(st.sampled_from(["data", "load", "run", "run", "ping", "keep", "keep"]))
        payload = b""
        if kind == "keep":
            count = draw(st.sampled_from([3, 5, MODEL_BYTES, 0, len(before), len(before) + 1, 2**32 - 1]))
            payload = struct.pack("<I", count)[: draw(st.sampled_from([4] * 9 + [3]))]
            data = before[len(before) - count :] if count <= len(before) else b""
        elif kind == "data":
            payload = draw(st.binary(max_size=40))
            data += payload
        elif kind != "ping":
            size = draw(st.sampled_from([max(0, MODEL_BYTES - len(data)), MODEL_BYTES, 0, 3]))
            last = draw(st.binary(min_size=size, max_size=size))
            payload = last + draw(st.sampled_from([crc(data + last)] * 5 + [b"\1\2\3\4", b"\0\0"]))
            data, before = b"", data + last
        frames.append((kind, number % 256, payload))
        number += draw(st.sampled_from([1] * 12 + [0, 2, 3, -1, -2, 130]))
    return frames


@property_test
@given(sent_frames(), st.lists(st.integers(0, 400), max_size=8))
def test_frames_are_answered_as_the_model_says_however_they_arrive(
    harness: Harness, frames: list[tuple[str, int, bytes]], cuts: list[int]
) -> None:
    boot(harness)
    model = DeviceModel()
    expected = [answer for one in frames for answer in model.take(*one)]
    data = b"".join(frame(TYPES[kind], number, payload) for kind, number, payload in frames)
    for start, end in pairwise(sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})):
        harness.write(data[start:end])
    said, trace = harness.sync()
    assert take_apart(said) == (expected, b"")
    assert trace.count("r") == sum(kind == "result" for kind, _, _ in expected)
    assert harness.ask(b"name%")[0] == NAME


@property_test
@given(st.binary(max_size=1200))
def test_any_bytes_come_through_cobs(harness: Harness, data: bytes) -> None:
    """Into the buffer when they fit a frame and the buffer; refused, or no frame at all, when they do not."""
    boot(harness)
    said, _ = take_apart(harness.ask(frame(TYPES["load"], 0, data + crc(data)))[0])
    if len(data) + 4 > PAYLOAD:
        assert said == [("again", 0, b"")]
    elif 0 < len(data) <= INPUT_BYTES:
        assert said == [("accepted", 1, b"")]
        assert f"m-crc32-[{zlib.crc32(data):08x}]".encode() in harness.ask(b"db crc%")[0]
    else:
        assert [kind for kind, _, _ in said] == ["refused", "accepted"]


@pytest.mark.parametrize("size", [1, 253, 254, 255, 507, 508, 509, 1020, 1021, 1024])
@pytest.mark.parametrize("fill", [0, 1, 255])
def test_blocks_of_cobs_at_their_limits(program: str, size: int, fill: int) -> None:
    with Harness(program, input_bytes=2048) as harness:
        harness.sync()
        boot(harness)
        data = bytes([fill]) * size
        said, _ = harness.ask(frame(TYPES["data"], 0, data) + frame(TYPES["load"], 1, crc(data)))
        assert take_apart(said) == ([("accepted", 1, b""), ("accepted", 2, b"")], b"")
        said, _ = harness.ask(frame(TYPES["data"], 2, data + bytes(1025 - size)))
        assert take_apart(said)[0] == [("again", 2, b"")], "one byte too many"


def test_a_large_input_and_numbers_that_wrap(program: str) -> None:
    """A vww01 input takes 28 frames: after ten of them the numbers have begun anew."""
    with Harness(program, input_bytes=LARGE_BYTES) as harness:
        harness.sync()
        harness.boot()
        harness.ask(b"model vww01%frames 1%")
        number = 0
        for seed in range(10):
            data = bytes((at * 7 + seed) % 256 for at in range(LARGE_BYTES))
            pieces = [data[at : at + 1020] for at in range(0, LARGE_BYTES, 1020)]
            sent = [frame(TYPES["data"], (number + at) % 256, piece) for at, piece in enumerate(pieces[:-1])]
            number += len(sent)
            sent.append(frame(TYPES["run"], number % 256, pieces[-1] + crc(data)))
            number += 1
            assert len(b"".join(sent)) <= 1.03 * LARGE_BYTES
            said, _ = take_apart(harness.ask(b"".join(sent))[0])
            assert [kind for kind, _, _ in said] == ["accepted"] * len(sent) + ["result"]
            assert said[-2][1] == number % 256
            tensor = bytes(byte ^ 0x80 for byte in data)
            assert said[-1][2] == crc(data) + struct.pack("<II", 4, 0) + outputs(tensor)
        assert number > 256


# ---- damage ----


@property_test
@given(st.binary(min_size=MODEL_BYTES, max_size=MODEL_BYTES), st.data())
def test_a_frame_with_any_bit_changed_is_never_worked_on(harness: Harness, data: bytes, draw: st.DataObject) -> None:
    boot(harness)
    sent = bytearray(run(0, data))
    for at in draw.draw(st.sets(st.integers(0, len(sent) - 1), min_size=1, max_size=3)):
        sent[at] ^= 1 << draw.draw(st.integers(0, 7))
    said, trace = harness.ask(bytes(sent))
    assert "r" not in trace
    # The host asks again, after a pause that makes text of whatever is open.
    harness.silence(PAUSE_US + 1)
    harness.write(b"%")
    harness.sync()
    said, trace = harness.ask(run(0, data) + ping(1))
    frames, text = take_apart(said)
    assert text == b""
    assert frames == [("accepted", 1, b""), ("result", 0, result_of(data)), ("accepted", 2, b"")]
    assert trace.count("r") == 1


def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes changed, removed, doubled, put in; zeros above all."""
    spoilt = bytearray(data)
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, max(0, len(spoilt) - 1)))
        kind = draw(st.sampled_from(["change", "remove", "double", "insert", "zeros", "text"]))
        if kind == "change" and spoilt:
            spoilt[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "remove":
            del spoilt[at : at + draw(st.integers(1, 60))]
        elif kind == "double":
            spoilt[at:at] = spoilt[at : at + draw(st.integers(1, 60))]
        elif kind == "zeros":
            spoilt[at:at] = bytes(draw(st.integers(1, 9)))
        elif kind == "text":
            spoilt[at:at] = draw(
                st.sampled_from([b"name%", b"%", b"db load 8%", b"db 0102%", b"infer 1 0%", b"frames 1%"])
            )
        else:
            spoilt[at:at] = draw(st.binary(min_size=1, max_size=5))
    return bytes(spoilt)


@property_test
@given(st.data())
def test_every_result_is_of_an_input_that_was_sent(harness: Harness, draw: st.DataObject) -> None:
    """A line that loses, doubles and changes bytes: no result but of the exact bytes of an input, no broken answer."""
    boot(harness)
    inputs = draw.draw(st.lists(st.binary(min_size=MODEL_BYTES, max_size=MODEL_BYTES), min_size=1, max_size=6))
    stream = b""
    for number, data in enumerate(inputs):
        half = data[:3]
        stream += frame(TYPES["data"], 2 * number, half)
        stream += frame(TYPES["run"], 2 * number + 1, data[3:] + crc(data))
    stream = draw.draw(st.composite(damaged)(stream))
    said, trace = harness.ask(stream)
    frames, _ = take_apart(said)
    possible = {result_of(data) for data in inputs}
    results = [payload for kind, _, payload in frames if kind == "result"]
    assert set(results) <= possible
    assert trace.count("r") - text_inferences(said) == len(results)
    recover(harness, inputs[0])


def text_inferences(said: bytes) -> int:
    return said.count(b"m-infer-start-")


def recover(harness: Harness, data: bytes) -> None:
    """What a host does after anything: a pause, a terminator, frames anew."""
    harness.silence(PAUSE_US + 1)
    harness.write(b"%")
    harness.sync()
    assert harness.ask(b"name%")[0] == NAME
    assert harness.ask(b"model kws01%")[0] == b"m-model-[kws01]\r\nm-ready\r\n"
    assert harness.ask(b"frames 1%")[0] == ON
    said, trace = harness.ask(run(0, data))
    assert take_apart(said) == ([("accepted", 1, b""), ("result", 0, result_of(data))], b"")
    assert trace.count("r") == 1


@property_test
@given(st.binary(max_size=3000))
def test_nothing_that_comes_from_outside_breaks_the_core(harness: Harness, data: bytes) -> None:
    """The sanitizers look."""
    boot(harness)
    harness.ask(data)
    recover(harness, bytes(MODEL_BYTES))


@pytest.mark.parametrize("count", [1, 2, 3, 1000, 5001])
def test_zeros_between_frames_change_nothing(harness: Harness, count: int) -> None:
    boot(harness)
    data = bytes(range(MODEL_BYTES))
    said, _ = harness.ask(bytes(count) + run(0, data) + bytes(count) + ping(1))
    assert take_apart(said)[0] == [("accepted", 1, b""), ("result", 0, result_of(data)), ("accepted", 2, b"")]


def test_a_frame_that_never_ends_is_one_frame(harness: Harness) -> None:
    boot(harness)
    assert harness.ask(b"\0" + b"\x05aaaa" * 20000)[0] == b""
    assert take_apart(harness.ask(b"\0" + ping(0))[0])[0] == [("again", 0, b""), ("accepted", 1, b"")]


@property_test
@given(st.integers(0, 60), st.data())
def test_after_an_overrun_anywhere_frames_go_on(harness: Harness, at: int, draw: st.DataObject) -> None:
    """Bytes are lost after any byte of a stream; the host goes back, and each input is worked on once or not at all."""
    boot(harness)
    data = draw.draw(st.binary(min_size=MODEL_BYTES, max_size=MODEL_BYTES))
    stream = run(0, data) + frame(TYPES["data"], 1, data[:2]) + frame(TYPES["run"], 2, data[2:] + crc(data))
    at = min(at, len(stream) - 1)
    lost = draw.draw(st.integers(1, 20))
    harness.write(stream[:at])
    harness.overrun()
    first, _ = take_apart(harness.ask(stream[at + lost :])[0])
    assert all(payload == result_of(data) for kind, _, payload in first if kind == "result")
    harness.silence(PAUSE_US + 1)
    said, _ = harness.ask(b"%" + bytes(1) + stream + ping(3))
    frames, _ = take_apart(said)
    assert frames[-1] == ("accepted", 4, b"")
    done = [number for kind, number, payload in [*first, *frames] if kind == "result" and payload == result_of(data)]
    assert sorted(done) == [0, 2]


# ---- hosts that die, and the rest ----


@property_test
@given(st.data())
def test_a_stock_runner_after_a_host_killed_in_mid_frame_is_answered(harness: Harness, draw: st.DataObject) -> None:
    boot(harness)
    stream = frame(TYPES["data"], 0, draw.draw(st.binary(max_size=30))) + run(1, bytes(MODEL_BYTES))
    cut = draw.draw(st.integers(0, len(stream)))
    harness.ask(stream[:cut])
    harness.silence(draw.draw(st.sampled_from([PAUSE_US + 1, PAUSE_US * 100])))
    assert harness.ask(b"name%")[0] == NAME
    assert harness.ask(b"db load 8%db 0001020304050607%infer 1 0%")[1].count("r") == 1


@pytest.mark.parametrize(("pause_us", "text"), [(PAUSE_US - 10, b""), (PAUSE_US + 1, NAME)])
def test_a_pause_makes_text_of_a_frame_only_when_it_is_long(harness: Harness, pause_us: int, text: bytes) -> None:
    boot(harness)
    harness.write(ping(0)[:-3])
    harness.silence(pause_us)
    assert harness.ask(b"name%")[0] == text


def test_a_long_inference_is_no_pause(harness: Harness) -> None:
    """The bytes behind it waited in the queue: five seconds, and in the middle of a frame."""
    boot(harness)
    harness.ask(b"model slow%")
    data = bytes(range(MODEL_BYTES))
    stream = run(0, data) + run(1, data)
    harness.write(stream)
    frames, _ = take_apart(harness.sync()[0])
    assert [(kind, number) for kind, number, _ in frames] == [
        ("accepted", 1),
        ("result", 0),
        ("accepted", 2),
        ("result", 1),
    ]


def test_an_output_of_several_frames(harness: Harness) -> None:
    boot(harness)
    harness.ask(b"model wide%")
    data = bytes(range(MODEL_BYTES))
    frames, _ = take_apart(harness.ask(run(0, data))[0])
    parts = [payload for kind, _, payload in frames if kind == "result"]
    assert [struct.unpack("<III", part[:12])[1:] for part in parts] == [(2500, 0), (2500, 1012), (2500, 2024)]
    assert b"".join(part[12:] for part in parts) == outputs(data) * 625


def test_what_a_refusal_says_is_what_the_text_says(harness: Harness) -> None:
    """The same spelling for both: whatever the reason, it can be read as an error of wire.toml."""
    boot(harness)
    harness.ask(b"model bad01%")
    frames, _ = take_apart(harness.ask(run(0, bytes(8)))[0])
    told = frames[0][2].decode()
    assert harness.ask(b"infer 1 0%")[0].decode() == f"e-[{told}]\r\nm-ready\r\n"
    assert codec.decode(f"e-[{told}]") == codec.Error(told, "model_refused")


def test_cobs_that_announces_more_than_comes_is_damage(harness: Harness) -> None:
    """Everything else about the frame is right: its bytes, and their CRC."""
    boot(harness)
    content = bytes([TYPES["ping"], 0])
    content += crc(content)
    assert 0 not in content[2:]
    good = b"\0" + bytes([2, content[0], 5]) + content[2:] + b"\0"
    assert good == ping(0)
    assert take_apart(harness.ask(good.replace(b"\x05", b"\x06", 1))[0])[0] == [("again", 0, b"")]
    assert take_apart(harness.ask(good)[0])[0] == [("accepted", 1, b"")]


def test_a_frame_with_an_overrun_in_it_is_damaged_whatever_its_bytes_say(harness: Harness) -> None:
    boot(harness)
    harness.write(ping(0)[:4])
    harness.overrun()
    assert take_apart(harness.ask(ping(0)[4:])[0])[0] == [("again", 0, b"")]
