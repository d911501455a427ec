"""Frames as bytes: what was put in comes out, in whatever pieces, and nothing else ever does."""

import zlib

import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from host import frames
from host.frames import Damaged, Frame, Kind, Result, Splitter
from host.wire.spec import spec

some_frames = st.builds(Frame, st.sampled_from(Kind), st.integers(0, 255), st.binary(max_size=1100))
text = st.binary(min_size=1, max_size=40).map(lambda data: data.replace(b"\0", b"x"))


def split(data, sizes=()):
    """What a splitter makes of `data`, given in pieces of these sizes; text joined."""
    splitter, out, at = Splitter(), [], 0
    for size in (*sizes, len(data)):
        for part in splitter.feed(data[at : at + size]):
            if isinstance(part, bytes) and out and isinstance(out[-1], bytes):
                out[-1] += part
            else:
                out.append(part)
        at += size
    return out


def test_kinds_are_those_of_the_protocol():
    assert {kind.name.lower(): int(kind) for kind in Kind} == spec().frames.types


def test_a_frame_written_down_by_hand():
    body = b"\x13\x07"
    crc = zlib.crc32(body).to_bytes(4, "little")
    assert frames.encode(Frame(Kind.PING, 7)) == b"\0" + cobs.encode(body + crc) + b"\0"
    assert cobs.encode(b"\x13\x00\x07") == b"\x02\x13\x02\x07"


@given(some_frames)
def test_a_frame_has_no_mark_inside_and_its_size_is_known(frame):
    wire = frames.encode(frame)
    assert wire[0] == wire[-1] == 0
    assert 0 not in wire[1:-1]
    assert len(wire) <= frames.wire_bytes(len(frame.payload))
    assert frames.decode(wire[1:-1]) == frame


@given(st.lists(st.one_of(some_frames, text), max_size=6), st.lists(st.integers(0, 300), max_size=20))
def test_frames_and_text_come_out_as_they_went_in_however_they_were_cut(parts, sizes):
    wanted = []
    for part in parts:
        if isinstance(part, bytes) and wanted and isinstance(wanted[-1], bytes):
            wanted[-1] += part
        else:
            wanted.append(part)
    data = b"".join(frames.encode(part) if isinstance(part, Frame) else part for part in parts)
    assert split(data, sizes) == wanted


@given(some_frames, st.data())
def test_a_frame_with_any_bit_changed_is_none(frame, data):
    wire = bytearray(frames.encode(frame))
    at = data.draw(st.integers(1, len(wire) - 2))
    wire[at] ^= 1 << data.draw(st.integers(0, 7))
    assert not [part for part in split(bytes(wire)) if isinstance(part, Frame)]


@given(some_frames, some_frames, some_frames, st.data())
def test_after_a_lost_byte_the_last_frame_but_one_is_whole_again(first, second, third, data):
    wires = [frames.encode(frame) for frame in (first, second, third)]
    at = data.draw(st.integers(0, len(wires[0]) - 1))
    found = [
        part for part in split(wires[0][:at] + wires[0][at + 1 :] + wires[1] + wires[2]) if isinstance(part, Frame)
    ]
    assert found[-1] == third
    assert all(part in (first, second, third) for part in found)


def test_a_frame_that_never_ends_is_given_up():
    splitter = Splitter()
    assert list(splitter.feed(b"\0" + b"\x01" * 60_000)) == []
    assert [type(part) for part in splitter.feed(b"\x01" * 20_000)] == [Damaged]
    assert list(splitter.feed(b"text")) == [b"text"]


def test_what_an_open_frame_holds_can_be_taken_for_text():
    splitter = Splitter()
    assert list(splitter.feed(b"a\0m-init-done\r\n")) == [b"a"]
    assert splitter.drop() == b"m-init-done\r\n"
    assert splitter.drop() == b""
    assert list(splitter.feed(b"b")) == [b"b"]


@pytest.mark.parametrize("body", [b"", b"\x13", b"\x99\x00"])
def test_what_is_too_short_or_of_no_kind_is_no_frame(body):
    wire = cobs.encode(body + zlib.crc32(body).to_bytes(4, "little"))
    assert isinstance(frames.decode(wire), Damaged)


def test_results():
    result = Result(0xDEADBEEF, 2000, 1000, b"abc")
    assert frames.decode_result(frames.encode_result(result)) == result
    assert frames.encode_result(result)[:4] == bytes.fromhex("efbeadde")
    assert frames.decode_result(bytes(11)) is None
    assert frames.decode_result(frames.encode_result(Result(1, 2, 0, b"abc"))) is None
