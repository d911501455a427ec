# SPDX-License-Identifier: Apache-2.0
"""The LPM01A against the virtual analyser on a socket: text and binary, its dialogue, and all that goes wrong."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy import capture
from energy.errors import GarbledSamples, InstrumentError, InstrumentLost, InstrumentTimeout
from energy.instrument import SampleChunk, Settings
from energy.instruments import lpm01a, open_monitor
from energy.instruments._lpm01a import AsciiDecoder, Assembler, BinaryDecoder
from energy.simulator.load import LoadPiece
from energy.simulator.pacing import GatedLoad
from energy.simulator.recording import RandomLoad, random_load
from energy.simulator.server import Simulator
from energy.window import MarkerMeter, Reading

TEXT = Settings(1000.0, 0.05, 1.8)
BINARY = Settings(100_000.0, 0.05, 1.8)
SPEED = 20.0  # idle seconds per second: a time stamp comes once a second of the instrument's clock
COUNTS = (20, 20, 40)
TRANSCRIPTS = Path(__file__).with_name("transcripts")


class Bench:
    """A simulated LPM01A at a board that idles, runs windows when told to, and keeps what was said."""

    def __init__(self, faults: str = "", inference_s: float = 0.05, speed: float = SPEED) -> None:
        self.make = lambda: random_load(7, 3, inferences=COUNTS, inference_s=inference_s)
        self.made: RandomLoad = self.make()
        self.load = GatedLoad(self.made, speed=speed)
        self.simulator = Simulator("lpm01a", self.load, faults=faults)
        self.said: list[str] = []
        act = self.simulator.dialect.command

        def command(line: str) -> bytes | None:
            self.said.append(line)
            return act(line)

        self.simulator.dialect.command = command  # type: ignore[method-assign]

    def __enter__(self) -> Bench:
        self.simulator.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.simulator.__exit__(*exc)

    def pieces(self) -> list[LoadPiece]:
        """The load again, from its begin: idle, three windows, idle."""
        fresh = self.make()
        return [piece for _ in range(5) if (piece := fresh.read(0.0)) is not None]

    def open(self) -> lpm01a.Lpm01a:
        instrument = open_monitor(f"lpm01a@{self.simulator.address}")
        assert isinstance(instrument, lpm01a.Lpm01a)
        return instrument

    def ready(self, settings: Settings) -> lpm01a.Lpm01a:
        instrument = self.open()
        instrument.configure(settings)
        instrument.set_supply(True)
        return instrument


def collect(instrument: lpm01a.Lpm01a, enough: Callable[[list[SampleChunk]], bool]) -> list[SampleChunk]:
    chunks: list[SampleChunk] = []
    deadline = time.monotonic() + 20
    while not enough(chunks):
        assert time.monotonic() < deadline, f"{len(chunks)} chunks"
        chunk = instrument.read(0.5)
        if chunk is not None:
            chunks.append(chunk)
    return chunks


def until(stream_s: float) -> Callable[[list[SampleChunk]], bool]:
    return lambda chunks: bool(chunks) and chunks[-1].t0_s + len(chunks[-1].current_a) / chunks[-1].rate_hz > stream_s


def window(bench: Bench, instrument: lpm01a.Lpm01a, number: int = 0) -> Reading:
    """One window in text, read until the instrument is some seconds behind it."""
    instrument.start(triggered=False, duration_s=5.0)
    began_s = bench.simulator.analyser.now_s()
    meter = MarkerMeter(1.8)
    played = False
    while bench.simulator.analyser.now_s() < began_s + 10.0:
        chunk = instrument.read(0.05)
        if chunk is not None:
            meter.feed(chunk)
        if not played and bench.simulator.analyser.now_s() > began_s + 1.5:
            played = True
            bench.load.play()
    for _ in range(12):  # a chunk is a second: those that are still on their way, and one more
        chunk = instrument.read(0.1)
        if chunk is not None:
            meter.feed(chunk)
    instrument.stop()
    return meter.finish(bench.made.windows[number].device_s)


def expected_j(bench: Bench, number: int) -> float:
    """Between the edges of a window, at 1.8 V."""
    piece, seen = bench.pieces()[1 + number], bench.made.windows[number]
    knots = np.clip(np.concatenate(([piece.begin_s], piece.ends_s)), seen.start_s, seen.end_s)
    return 1.8 * float(np.sum(piece.current_a * np.diff(knots)))


def test_the_set_up_is_sent_in_the_order_that_is_known_to_work() -> None:
    with Bench() as bench:
        with bench.ready(TEXT) as instrument:
            assert instrument.windows == "marker"
            assert instrument.idn == "STMicroelectronics,X-NUCLEO-LPM01A,TINYJOULE-VIRTUAL-1,1.0.6"
            instrument.start(triggered=False, duration_s=1.0)
            collect(instrument, bool)
        with bench.ready(BINARY) as instrument:
            assert instrument.windows == "trigger"
            instrument.start(triggered=False, duration_s=1.0)
            collect(instrument, bool)
            instrument.start(triggered=True, duration_s=1.0)
    assert bench.said == (TRANSCRIPTS / "lpm01a.txt").read_text(encoding="utf-8").splitlines()


def test_a_window_in_text_has_the_energy_that_flowed_between_its_edges() -> None:
    with Bench() as bench, bench.ready(TEXT) as instrument:
        for number in range(2):
            reading = window(bench, instrument, number)
            assert reading.valid, reading.reasons
            assert reading.duration_s == pytest.approx(bench.made.windows[number].device_s, abs=1.1e-3)
            assert reading.energy_j == pytest.approx(expected_j(bench, number), rel=1.2e-3)


def test_text_at_the_highest_rate_that_it_can_go_on_with() -> None:
    with Bench() as bench, bench.ready(Settings(4000.0, None, 1.8)) as instrument:
        instrument.start(triggered=False, duration_s=1.0)
        bench.load.play()
        chunk = collect(instrument, bool)[0]
        assert chunk.rate_hz == len(chunk.current_a) == 5000


def test_a_triggered_capture_in_binary_begins_with_the_edge() -> None:
    with Bench() as bench, bench.ready(BINARY) as instrument:
        instrument.start(triggered=True, duration_s=2.0)
        assert instrument.read(0.1) is None
        bench.load.play()
        chunks = collect(instrument, until(bench.made.windows[0].device_s + 0.02))
        piece, seen = bench.pieces()[1], bench.made.windows[0]
        current = np.concatenate([chunk.current_a for chunk in chunks])
        assert chunks[0].t0_s == 0
        assert not any(chunk.lost for chunk in chunks)
        assert all(now.t0_s + len(now.current_a) / 1e5 == pytest.approx(after.t0_s) for now, after in pairwise(chunks))
        # The charge up to 10 sample middles inside single segments agrees with the load's own.
        middles = (np.arange(len(current)) + 0.5) / 1e5 + seen.start_s
        level = np.searchsorted(piece.ends_s, middles)
        inside = (level == np.searchsorted(piece.ends_s, middles - 6e-6)) & (
            level == np.searchsorted(piece.ends_s, middles + 6e-6)
        )
        inside &= level < len(piece.ends_s)
        wanted = piece.current_a[level[inside]]
        assert np.count_nonzero(inside) > 90_000
        assert np.abs(current[inside] / wanted - 1).max() < 5e-3  # 12 bits, 256 steps at the least, and its noise


# What becomes of a window of 3 s in text. A second in which samples are missing is lost as a whole.
FAULTS = {
    "drop@w0:1.5": "1000 samples were lost in the window",
    "drop@w0:0.0": "no second falling edge",
    "nan@w0:1.5": "1 sample",
    "edge_lost@w0": "no second falling edge",
    "edge_doubled@w0": "3 falling edges",
    "rate=0.5": "no falling edge",
    "rate_lie=0.97": "clock",
    "silent_drop@w0:1.5=0.05": "clock",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_makes_the_window_invalid_with_its_reason(fault: str) -> None:
    with Bench(faults=fault, inference_s=0.15) as bench, bench.ready(TEXT) as instrument:
        reading = window(bench, instrument)
    assert not reading.valid
    assert FAULTS[fault] in "; ".join(reading.reasons)


# The same in binary, through the capture that a session makes. None: the window is valid, and right.
TRIGGERED_FAULTS = {
    "drop@w1:0.2": "1000 samples were lost",
    "nan@w1:0.2": "1000 samples were lost",
    "overload@w1:0.2": "overloaded",
    "silent_drop@w1:0.2=0.05": "no clear fall",
    "edge_lost@w1": "no clear fall",  # it began with the second one
    "edge_doubled@w1": None,
    "rate=0.5": "short capture before the windows is no use",
    "rate_lie=0.97": "short capture before the windows is no use",
    "error@w1:0.2": "System error",
    "die@w1:0.2": "closed",
    "late@w1:0.2=1": None,
}


@pytest.mark.parametrize("fault", TRIGGERED_FAULTS)
def test_a_fault_in_binary_never_makes_a_wrong_number(fault: str) -> None:
    with Bench(faults=fault, inference_s=0.01, speed=1.0) as bench, bench.ready(BINARY) as instrument:
        settings = instrument.configure(BINARY)
        instrument.set_supply(True)

        def work(number: int) -> Callable[[], float]:
            def run() -> float:
                bench.load.play()
                return bench.made.windows[number].device_s

            return run

        try:
            reference = capture.measure_reference(instrument, settings, work(0), 0.1)
            bench.load.play()
            reading = capture.measure_window(instrument, settings, work(2), 1.0, reference=reference)
            told = "; ".join(reading.reasons)
        except InstrumentError as error:
            told = str(error)
        expected = TRIGGERED_FAULTS[fault]
        if expected is None:
            assert told == ""
            assert reading.energy_j == pytest.approx(expected_j(bench, 2), rel=3e-4)
        else:
            assert expected in told


@pytest.mark.parametrize("settings", [TEXT, BINARY], ids=["text", "binary"])
def test_an_overload_stops_it_and_is_an_infinite_sample(settings: Settings) -> None:
    with Bench(faults="overload@w0:0.3") as bench, bench.ready(settings) as instrument:
        instrument.start(triggered=False, duration_s=5.0)
        bench.load.play()
        chunks = collect(instrument, lambda chunks: any(np.isinf(chunk.current_a).any() for chunk in chunks))
        assert np.array_equal(chunks[-1].current_a, [np.inf])
        assert instrument.read(0.2) is None
        instrument.stop()
        instrument.start(triggered=False, duration_s=1.0)
        assert np.isfinite(collect(instrument, bool)[0].current_a).all()


def test_samples_that_are_missing_in_binary_are_counted_where_they_are() -> None:
    with Bench(faults="drop@w0:0.3=0.0001") as bench, bench.ready(BINARY) as instrument:
        instrument.start(triggered=True, duration_s=2.0)
        bench.load.play()
        chunks = collect(instrument, until(0.6))
        gaps = [(chunk.t0_s, chunk.lost) for chunk in chunks if chunk.lost]
        assert gaps == [(pytest.approx(0.31), 1000)], "the whole stretch between two time stamps"


@pytest.mark.parametrize("settings", [TEXT, BINARY], ids=["text", "binary"])
def test_what_it_reports_in_the_middle_is_raised(settings: Settings) -> None:
    with Bench(faults="error@w0:0.3") as bench, bench.ready(settings) as instrument:
        instrument.start(triggered=False, duration_s=5.0)
        bench.load.play()
        with pytest.raises(InstrumentError, match="System error"):
            collect(instrument, lambda _: False)
        assert instrument.errors() == []


@pytest.mark.parametrize("settings", [TEXT, BINARY], ids=["text", "binary"])
def test_a_connection_that_dies_in_the_middle_is_lost(settings: Settings) -> None:
    with Bench(faults="die@w0:0.3") as bench, bench.ready(settings) as instrument:
        instrument.start(triggered=False, duration_s=5.0)
        bench.load.play()
        with pytest.raises(InstrumentLost, match="closed"):
            collect(instrument, lambda _: False)
        instrument.close()


def test_a_late_answer_is_not_waited_for_and_never_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lpm01a, "COMMAND_S", 0.3)
    with Bench(faults="late@0=2") as bench:
        with pytest.raises(InstrumentTimeout, match="no answer to 'powershield'"):
            bench.open()
        with bench.open() as instrument:
            assert instrument.idn.startswith("STM")


def test_one_that_does_not_answer_any_more_is_still_told_to_switch_the_board_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Bench() as bench, bench.ready(TEXT) as instrument:
        assert bench.simulator.supply.on
        monkeypatch.setattr(lpm01a, "COMMAND_S", 0.0)
        with pytest.raises(InstrumentTimeout, match="no answer"):
            instrument.set_supply(True)
        deadline = time.monotonic() + 20
        while bench.said[-1] != "hrc" and time.monotonic() < deadline:
            time.sleep(0.02)
        assert bench.said[-3:] == ["stop", "pwr off", "hrc"]
        assert not bench.simulator.supply.on


def test_an_exception_leaves_the_board_off_and_the_buttons_in_control() -> None:
    def break_off(bench: Bench) -> None:
        with bench.ready(TEXT) as instrument:
            instrument.start(triggered=False, duration_s=1.0)
            assert bench.simulator.supply.on
            raise ZeroDivisionError

    with Bench() as bench:
        with pytest.raises(ZeroDivisionError):
            break_off(bench)
        assert bench.said[-3:] == ["stop", "pwr off", "hrc"]
        assert not bench.simulator.supply.on
        assert bench.simulator.analyser.state() == "off"


def test_a_stream_that_somebody_left_running_is_ended_first() -> None:
    with Bench(speed=1.0) as bench:
        left = bench.ready(BINARY)
        left.start(triggered=False, duration_s=1.0)
        collect(left, bool)
        port = left._wire()
        lpm01a.Lpm01a(port).close()
        assert bench.said[-4:] == ["version", "htc", "pwr off", "hrc"]
        assert bench.simulator.analyser.state() == "off"


def test_what_it_cannot_do_is_refused() -> None:
    with Bench() as bench, bench.open() as instrument:
        with pytest.raises(InstrumentError, match="configure it first"):
            instrument.start(triggered=False, duration_s=1.0)
        with pytest.raises(InstrumentError, match="50 mA at most"):
            instrument.configure(Settings(1000.0, 0.1, 1.8))
        with pytest.raises(InstrumentError, match=r"1\.8 to 3\.3 V"):
            instrument.configure(Settings(1000.0, None, 5.0))
        with pytest.raises(InstrumentError, match="refuses 'volt 9m': Voltage out of range"):
            instrument._command("volt 9m")
        with pytest.raises(InstrumentError, match="records nothing"):
            instrument.read(0.1)
        assert instrument.configure(Settings(3.0, None, 3.3)) == Settings(5.0, 0.05, 3.3)
        assert instrument.configure(Settings(1e6, None, 3.0)) == Settings(100_000.0, 0.05, 3.0)
        instrument.start(triggered=False, duration_s=1.0)
        with pytest.raises(InstrumentError, match="stop this one first"):
            instrument.set_supply(False)


def test_with_the_supply_off_no_current_flows() -> None:
    with Bench() as bench, bench.ready(TEXT) as instrument:
        instrument.set_supply(False)
        instrument.start(triggered=False, duration_s=1.0)
        assert collect(instrument, bool)[0].current_a.max() < 5e-6


def fed(decoder: type[AsciiDecoder | BinaryDecoder], data: bytes, cuts: list[int]) -> tuple[Assembler, list[float]]:
    out = Assembler(1000.0, 1.0, markers=decoder is AsciiDecoder)
    taking = decoder(out)
    at = 0
    for cut in cuts:
        taking.feed(data[at : at + cut])
        at += cut
    taking.feed(data[at:])
    return out, [float(value) for chunk in out.ready for value in chunk.current_a]


STAMPED_TEXT = (
    b"TimeStamp: 000s 000ms, buff 00%\r\n6409-07\r\n0001+00\r\nevent 01 ris\r\n12\r\n0005-03\r\n"
    b"TimeStamp: 000s 004ms, buff 00%\r\n0007-03\r\nTimeStamp: 000s 006ms, buff 00%\r\nevent 02 ris\r\n"
    b"event 03 ris\r\n0001-03\r\n0002-03\r\n0003-03\r\nTimeStamp: 000s 009ms, buff 00%\r\n"
)
STAMPED_WORDS = bytes.fromhex("f0f30000000000ffff 52a0 1001 f0f26f6bffff f0f30000000200ffff f0f70708ffff 2001 f0f4ffff")


@given(st.lists(st.integers(1, 9), max_size=40))
def test_a_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    out, values = fed(AsciiDecoder, STAMPED_TEXT, cuts)
    assert values == pytest.approx([640.9e-6, 1.0, np.nan, 5e-3, 1e-3, 2e-3, 3e-3], nan_ok=True)
    assert [(chunk.t0_s, chunk.lost) for chunk in out.ready] == [(0.0, 0), (pytest.approx(0.006), 2)]
    levels = [chunk.marker.tolist() for chunk in out.ready if chunk.marker is not None]
    assert levels == [[True, True, False, True], [False, True, False]], "two edges in one slot stay two"
    out, values = fed(BinaryDecoder, STAMPED_WORDS, cuts)
    assert values == pytest.approx([640.869e-6, 1 / 16], rel=1e-4)
    assert out.ended


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_bytes_that_are_nothing_are_told_and_break_nothing(before: bytes, after: bytes) -> None:
    for decoder, good in ((AsciiDecoder, STAMPED_TEXT), (BinaryDecoder, STAMPED_WORDS)):
        with contextlib.suppress(GarbledSamples):  # and nothing else
            out, values = fed(decoder, before + good[:40] + after + good[40:], [7] * 30)
            assert len(values) == sum(len(chunk.current_a) for chunk in out.ready)


@pytest.mark.parametrize(
    ("decoder", "data", "why"),
    [
        (
            AsciiDecoder,
            b"TimeStamp: 001s 000ms\r\n" + b"0001-03\r\n" * 5 + b"TimeStamp: 001s 004ms\r\n",
            "another rate",
        ),
        (AsciiDecoder, b"TimeStamp: 001s 000ms\r\nTimeStamp: 000s 004ms\r\n", "another rate"),
        (AsciiDecoder, b"x" * 5000, "line end"),
        (BinaryDecoder, b"\x52\xa0\x52\xa0\xf0\xf3", "begin with a time stamp"),
        (BinaryDecoder, bytes.fromhex("f0f26f6bffff 52a0 f0f30000000000ffff"), "begin with a time stamp"),
        (BinaryDecoder, bytes.fromhex("f0f30000000000ffff f5a0"), "neither a sample"),
        (BinaryDecoder, bytes.fromhex("f0f30000000000ff00"), "without an end"),
        (BinaryDecoder, bytes.fromhex("f0f30000000000ffff f0f1") + b"a" * 2000, "message without an end"),
    ],
)
def test_a_stream_without_sense_is_named(decoder: type[AsciiDecoder | BinaryDecoder], data: bytes, why: str) -> None:
    with pytest.raises(GarbledSamples, match=why):
        fed(decoder, data, [])
