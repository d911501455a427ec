"""Whatever arrives on the wire, under sanitizers: one reply per terminator, no inference on anything but the truth."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from vectors.replay import dialogues
from wireharness import INPUT_BYTES, MODELS, Harness, build

from host.errors import GarbledReply
from host.wire import codec
from host.wire.spec import spec

NAME = b"m-name-dut-[tinyjoule]\r\nm-ready\r\n"
property_test = settings(max_examples=300)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with Harness(build(tmp_path_factory.mktemp("wire"), "normal")) as running:
        running.sync()
        yield running


def sends() -> list[bytes]:
    """Every command that a vector sends, and one whole load for it to work on."""
    texts = [step["send"].encode() for dialogue in dialogues() for step in dialogue.steps if "send" in step]
    texts = [text.replace(b"{model}", b"kws01").replace(b"{input_bytes}", b"8") for text in texts]
    return [*sorted(set(texts)), b"db load 8%db 0001020304050607%"]


# A long window takes time under sanitizers and shows nothing more.
LONG = re.compile(rb"infer\s+\d{3,}|infer\s+\d+\s+\d{3,}")
SENDS = [text for text in sends() if not LONG.search(text)]

dialogue_bytes = st.lists(st.sampled_from(SENDS), min_size=1, max_size=8).map(b"".join)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A dialogue with bytes changed, removed, doubled or put in."""
    data = bytearray(draw(dialogue_bytes))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["change", "remove", "double", "insert"]))
        if kind == "change" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "remove":
            del data[at : at + draw(st.integers(1, 9))]
        elif kind == "double":
            data[at:at] = data[at : at + 20]
        else:
            data[at:at] = draw(st.binary(min_size=1, max_size=5))
    return bytes(data)


rubbish = st.one_of(
    st.binary(max_size=300), mutated(), st.text("db 0123456789abcdefload%zinfer", max_size=200).map(str.encode)
)
rubbish = rubbish.filter(lambda data: not LONG.search(data))
FRAMED = re.compile(rb"frames\s+1.*%.*\0", re.DOTALL)


def replies(said: bytes) -> list[list[codec.Reply]]:
    """Split at m-ready; fails on anything that is not a line of the protocol."""
    found: list[list[codec.Reply]] = [[]]
    assert said == b"" or said.endswith(b"\r\n")
    for line in said.split(b"\r\n")[:-1]:
        reply = codec.decode(line)
        if isinstance(reply, codec.Ready):
            assert reply.rest == ""
            found.append([])
        else:
            found[-1].append(reply)
    assert found.pop() == []
    return found


@property_test
@given(rubbish)
def test_one_sound_reply_per_terminator(harness: Harness, data: bytes) -> None:
    assume(not FRAMED.search(data))  # in a frame it is no terminator
    harness.boot()
    said, _ = harness.ask(data)
    assert len(replies(said)) == data.count(b"%")


@property_test
@given(rubbish)
def test_name_works_after_anything(harness: Harness, data: bytes) -> None:
    harness.boot()
    harness.ask(data)
    harness.silence(spec().frames.pause_ms * 1000 + 1)  # it may have begun a frame
    harness.ask(b"%")
    assert harness.ask(b"name%")[0] == NAME


def test_a_frame_that_was_begun_takes_in_a_command_until_it_pauses(harness: Harness) -> None:
    harness.boot()
    harness.ask(b"frames 1%\0")
    assert harness.ask(b"name%")[0] == b""
    harness.silence(spec().frames.pause_ms * 1000 + 1)
    assert harness.ask(b"name%")[0] == NAME


def without_looks(trace: str, data: bytes) -> str:
    """At a raised rate the clock is looked at whenever bytes come, as three seconds without a command end it."""
    return trace.replace("c", "") if b"baud" in data else trace


@property_test
@given(rubbish, st.lists(st.integers(0, 300), max_size=8))
@example(bytes(15) + b"%baud 010000%\0", [28])
def test_answers_do_not_depend_on_how_bytes_arrive(harness: Harness, data: bytes, cuts: list[int]) -> None:
    harness.boot()
    whole, whole_trace = harness.ask(data)
    harness.boot()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in pairwise(places):
        harness.write(data[start:end])
    answer, trace = harness.sync()
    assert answer == whole
    assert without_looks(trace, data) == without_looks(whole_trace, data)


class LoadModel:
    """Says, independently of the firmware, which input a dialogue has loaded whole: a line at a time."""

    def __init__(self) -> None:
        self.model: str | None = "kws01"
        self.drop()

    def drop(self) -> None:
        self.size: int | None = None
        self.data = b""

    @property
    def whole(self) -> bytes | None:
        return self.data if self.size is not None and len(self.data) == self.size else None

    def line(self, line: bytes) -> None:
        line = line.lstrip(b"\r\n")
        if len(line) > 80 or not re.fullmatch(rb"[\x20-\x7e]*", line):
            return
        words = line.split()
        if words[:1] == [b"db"]:
            self._db(words[1:])
        elif words[:1] == [b"model"] and len(words) == 2:
            self.drop()
            # the other models of the harness cannot run or are not predicted here
            self.model = words[1].decode() if words[1].decode() in MODELS else None

    def _db(self, words: list[bytes]) -> None:
        if words[:1] == [b"load"]:
            self.drop()
            if len(words) == 2 and re.fullmatch(rb"[0-9]+", words[1]) and 0 < int(words[1]) <= INPUT_BYTES:
                self.size = int(words[1])
        elif words and words[0] not in (b"print", b"crc") and self.size is not None:
            if len(words) > 1:
                self.drop()
            elif self.whole is None:
                self._data(words[0])

    def _data(self, digits: bytes) -> None:
        wanted = digits[: 2 * ((self.size or 0) - len(self.data))]
        if len(digits) % 2 or not re.fullmatch(rb"[0-9a-fA-F]+", wanted):
            self.drop()
        else:
            self.data += bytes.fromhex(wanted.decode())

    def tensor(self) -> bytes | None:
        """The input tensor that an inference may run on now."""
        if self.model is None or self.whole is None or len(self.whole) != MODELS[self.model]:
            return None
        return self.whole if self.model == "kws01" else bytes(byte ^ 0x80 for byte in self.whole)


loads = st.one_of(
    st.binary(min_size=1, max_size=12).map(lambda data: b"".join(codec.encode_load(data))),
    st.binary(min_size=8, max_size=8).map(lambda data: b"".join(codec.encode_load(data))),
    st.binary(min_size=4, max_size=4).map(lambda data: b"model ic01%" + b"".join(codec.encode_load(data))),
    st.sampled_from([b"model kws01%", b"db load 8%", b"db 0011%", b"db zz%", b"db 001%", b"db load 65%", b"db load%"]),
    st.sampled_from([b"db 00 11%", b"infer 0%", b"results%", b"\x00%", b"%", b"infer 1 0%", b"infer 2 1%"]),
    st.sampled_from([b"db load 2%", b"db 00112233%", b"model nosuch%", b"db", b" ", b"x" * 81, b"db print%"]),
)


def spoil(draw: st.DrawFn, data: bytes) -> bytes:
    if draw(st.booleans()) and data:
        at = draw(st.integers(0, len(data) - 1))
        return data[:at] + draw(st.sampled_from([b"", b"\xff", b"%", b"5", b"db"])) + data[at + 1 :]
    return data


@property_test
@given(st.data())
def test_infer_only_on_the_exact_input_loaded_whole(harness: Harness, data: st.DataObject) -> None:
    harness.boot()
    stream = b"".join(data.draw(st.lists(loads, min_size=1, max_size=10)))
    stream = data.draw(st.composite(spoil)(stream)) + b"%"
    stream = stream if not LONG.search(stream) else b"%"
    model = LoadModel()
    for line in stream.split(b"%")[:-1]:
        said, trace = harness.ask(line + b"%")
        tensor = model.tensor()
        model.line(line)
        if re.match(rb"[\r\n]*\s*infer\b", line):
            results = [reply for reply in replies(said)[0] if isinstance(reply, codec.Results)]
            assert ("r" in trace) == bool(results)
            assert not results or tensor is not None, f"an inference on no input: {line!r}"
            assert all(reply.values == crc_values(tensor or b"") for reply in results)
        else:
            assert "r" not in trace
    said, trace = harness.ask(b"infer 1 0%")
    tensor = model.tensor()
    assert ("r" in trace) == (tensor is not None)
    if tensor is not None:
        assert crc_values(tensor) in [reply.values for reply in replies(said)[0] if isinstance(reply, codec.Results)]


def crc_values(tensor: bytes) -> tuple[float, ...]:
    """What the harness's engine makes of a tensor, as three decimals tell it."""
    return tuple(float(f"{byte / 256:.3f}") for byte in zlib.crc32(tensor).to_bytes(4, "little"))


@property_test
@given(st.binary(min_size=1, max_size=INPUT_BYTES))
def test_crc_and_print_give_back_what_was_loaded(harness: Harness, data: bytes) -> None:
    harness.boot()
    said, _ = harness.ask(b"".join(codec.encode_load(data)) + b"db crc%db print%")
    *_, loaded, crc, printed = replies(said)
    assert loaded == [codec.LoadDone()]
    assert crc == [codec.Crc32(zlib.crc32(data))]
    assert b"".join(reply.data for reply in printed if isinstance(reply, codec.Buffer)) == data


@property_test
@given(dialogue_bytes.filter(lambda data: not LONG.search(data)), st.integers(0, 400))
def test_overrun_anywhere_drops_line_and_load(harness: Harness, data: bytes, at: int) -> None:
    harness.boot()
    at = min(at, len(data))
    harness.write(data[:at])
    harness.sync()
    harness.overrun()
    said, _ = harness.ask(b"rest of a line%infer 1 0%name%")
    told, infer, name = replies(said)
    assert told == [codec.Error("UART overrun: the command and the load were dropped", "overrun")]
    assert isinstance(infer[0], codec.Error)
    assert name == [codec.Name("tinyjoule")]


# What the board sees from the last line before the window to the first one after it.
PULSE = r"_c{27}\^"  # the harness's clock moves on by 1 us each time it is read: low for 25 whole ones at least
EDGES = rf"f{PULSE}yc(r+)cy{PULSE}"
WINDOWS = {"performance": r"fyc(r+)cy", "energy": EDGES, "both": EDGES}


@pytest.mark.parametrize("mode", WINDOWS)
@pytest.mark.parametrize(("runs", "warmup"), [(1, 0), (1, 1), (7, 3)])
def test_order_of_events_in_a_measurement(harness: Harness, mode: str, runs: int, warmup: int) -> None:
    """Flush, edge, cycles, clock, the inferences and nothing else, clock, cycles, edge; 25 us of clock in a pulse."""
    harness.boot()
    harness.ask(f"mode {mode}%db load 8%db 0011223344556677%".encode())
    said, trace = harness.ask(f"infer {runs} {warmup}%".encode())
    match = re.fullmatch(rf"w+({'r' * warmup})w+{WINDOWS[mode]}w+", trace)
    assert match, trace
    assert len(match[2]) == runs
    laps = [reply for reply in replies(said)[0] if isinstance(reply, codec.Lap)]
    if mode == "energy":
        assert laps == []
    else:
        assert codec.lap_us(laps[0], laps[1]) == 1000 * runs + 1  # the harness's clock: 1000 us a run, 1 us a look


@pytest.mark.parametrize(("runs", "warmup"), [(1, 0), (3, 2)])
def test_order_of_events_in_a_profile(harness: Harness, runs: int, warmup: int) -> None:
    """Flush, warm-up; then by turns an inference and nothing else between the clocks, and one that stops them after
    each operator and starts them again when it has dealt with it."""
    harness.boot()
    harness.ask(b"db load 8%db 0011223344556677%")
    _, trace = harness.ask(f"prof {runs} {warmup}%".encode())
    start, stop = "cy", "yc"
    observed = f"{start}{stop}{start}r{stop}{start}"  # the harness's first operator is no run of its own
    assert re.fullmatch(f"f{'r' * warmup}({start}r{stop}{observed}){{{runs}}}w+", trace), trace


def test_pulse_of_timestamp(harness: Harness) -> None:
    harness.boot()
    assert re.fullmatch(r"w+", harness.ask(b"mode energy%")[1])
    assert re.fullmatch(rf"c{PULSE}w", harness.ask(b"timestamp%")[1])


def test_cycles_are_told_only_while_32_bits_hold_them(harness: Harness) -> None:
    harness.boot()
    harness.ask(b"db load 8%db 0011223344556677%infer 5 0%")
    assert b"m-info-cycles-[5002000]\r\n" in harness.ask(b"info%")[0]
    harness.ask(b"infer 4294 0%")
    assert b"m-info-cycles-[4294002000]\r\n" in harness.ask(b"info%")[0]
    harness.ask(b"infer 4295 0%")
    assert b"m-info-cycles-[none]\r\n" in harness.ask(b"info%")[0]
    harness.ask(b"infer 1 0%model kws01%")
    assert b"m-info-cycles-[none]\r\n" in harness.ask(b"info%")[0]


def reference(value: float) -> str:
    return f"{value:.3f}"


@property_test
@given(st.lists(st.floats(width=32), max_size=200))
def test_floats_as_printf_writes_them(harness: Harness, values: list[float]) -> None:
    assert harness.format("F", struct.pack(f"<{len(values)}f", *values)) == [reference(value) for value in values]


def test_floats_of_every_exponent_and_all_ties(harness: Harness) -> None:
    """Each exponent with the extreme and some odd mantissas; sixteenths and less, where ties are exact."""
    mantissas = (0, 1, 0x400000, 0x2AAAAA, 0x7FFFFF)
    bits = [sign << 31 | exponent << 23 | m for sign in (0, 1) for exponent in range(256) for m in mantissas]
    packed = struct.pack(f"<{len(bits)}I", *bits)
    packed += struct.pack("<40000f", *(at / 16384 for at in range(-20000, 20000)))
    values = struct.unpack(f"<{len(packed) // 4}f", packed)
    assert harness.format("F", packed) == [reference(value) for value in values]


@property_test
@given(st.lists(st.integers(0, 2**64 - 1), max_size=50))
def test_decimals(harness: Harness, values: list[int]) -> None:
    assert harness.format("U", struct.pack(f"<{len(values)}Q", *values)) == [str(value) for value in values]


def test_unprintable_output_would_be_seen() -> None:
    """The helper that all of the above rests on does object."""
    with pytest.raises(GarbledReply):
        replies(b"m-nonsense\r\nm-ready\r\n")
