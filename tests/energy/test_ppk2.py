# SPDX-License-Identifier: Apache-2.0
"""The Nordic PPK2: calibration, words, losses, and the adapter at a pty. No real one was here."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from ppk2_peer import UPPER_A, Peer, words_of

from energy.errors import GarbledSamples, InstrumentError, InstrumentLost, InstrumentTimeout
from energy.instrument import SampleChunk, Settings
from energy.instruments import open_monitor, ppk2
from energy.instruments._ppk2 import CODES, DEFAULTS, Decoder, parse_calibration

SETTINGS = Settings(100_000.0, None, 3.3)
# By hand, uncalibrated: 100 steps of four in range 3 are 400 * 1.8 / 163840 V over 0.94 ohm, x = 4.675033 mA, and the
# gain that goes with the square adds x * x = 0.021856 mA.
BY_HAND = (3 << 14 | 100, 4.696889e-3)


def load(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A made-up load over all ranges, and a timing pin with two pulses of three samples."""
    rng = np.random.default_rng(5)
    level = np.repeat(rng.choice([2e-6, 30e-6, 2e-3, 20e-3, 0.3], size=count // 500), 500)
    marker = np.ones(count, bool)
    marker[count // 4 : count // 4 + 3] = marker[3 * count // 4 : 3 * count // 4 + 3] = False
    return level * rng.uniform(0.9, 1.1, len(level)), marker


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


def read_all(instrument: ppk2.Ppk2, count: int) -> list[SampleChunk]:
    chunks: list[SampleChunk] = []
    deadline = time.monotonic() + 20
    while sum(len(chunk.current_a) + chunk.lost for chunk in chunks) < count:
        assert time.monotonic() < deadline
        chunk = instrument.read(1.0)
        if chunk is not None:
            chunks.append(chunk)
    return chunks


def current_of(chunks: list[SampleChunk]) -> np.ndarray:
    return np.concatenate([chunk.current_a for chunk in chunks])


def test_the_words_of_a_load_over_all_ranges_become_its_currents_and_its_timing_pin(peer: Peer) -> None:
    current, marker = load(40_000)
    peer.words = words_of(current, marker, 3.3)
    with ppk2.open_instrument(peer.path) as instrument:
        assert instrument.configure(SETTINGS) == SETTINGS
        instrument.start(triggered=False, duration_s=1.0)
        chunks = read_all(instrument, len(current))
        got = current_of(chunks)
        step_a = np.array([4 * 1.8 / 163840 / shunt for shunt in (1003.35, 101.12, 10.1, 0.98, 0.051)])
        ranges = np.searchsorted(UPPER_A, current)
        assert np.all(np.abs(got - current) <= 0.51 * step_a[ranges] + 1e-6 * current)
        assert np.array_equal(np.concatenate([chunk.marker for chunk in chunks]), marker)
        assert {chunk.lost for chunk in chunks} == {0}
        ends = np.cumsum([len(chunk.current_a) for chunk in chunks])
        assert [round(chunk.t0_s * 1e5) for chunk in chunks] == [0, *ends[:-1]]
        assert instrument.range_switches == np.count_nonzero(np.diff(ranges)) > 50


def test_what_is_sent_is_what_the_vendor_s_device_takes(peer: Peer) -> None:
    peer.words = words_of(np.full(100, 1e-3), np.ones(100, bool), 1.8)
    with open_monitor(f"ppk2@{peer.path}") as instrument:
        assert instrument.idn == "Nordic Semiconductor,PPK2,unknown,HW 9173"
        instrument.configure(Settings(1000.0, None, 1.8))
        instrument.set_supply(True)
        instrument.start(triggered=False, duration_s=1.0)
        read_all(instrument, 100)  # type: ignore[arg-type]
        assert peer.on
    assert bytes(peer.received) == b"\x07\x19\x11\x02\x0d\x07\x08\x19\x0c\x01\x06\x07"
    assert peer.on, "it goes on supplying the board"


def test_a_second_capture_begins_with_a_whole_word_and_at_zero(peer: Peer) -> None:
    current, marker = load(200_000)
    peer.words = words_of(current, marker, 3.3)
    with ppk2.open_instrument(peer.path) as instrument:
        instrument.configure(SETTINGS)
        for _ in range(3):
            instrument.start(triggered=False, duration_s=1.0)
            chunks = read_all(instrument, 5000)
            assert chunks[0].t0_s == 0
            assert np.allclose(current_of(chunks)[:5000], current[:5000], rtol=0.2)
            instrument.stop()


@pytest.mark.parametrize("missing", [1, 17, 63])
def test_missing_words_are_counted_and_the_time_goes_on(peer: Peer, missing: int) -> None:
    current, marker = load(10_000)
    words = words_of(current, marker, 3.3)
    peer.words = np.concatenate((words[:4321], words[4321 + missing :]))
    with ppk2.open_instrument(peer.path) as instrument:
        instrument.configure(SETTINGS)
        instrument.start(triggered=False, duration_s=1.0)
        chunks = read_all(instrument, len(words))
    after = next(chunk for chunk in chunks if chunk.lost)
    assert sum(chunk.lost for chunk in chunks) == missing
    assert round(after.t0_s * 1e5) == 4321 + missing
    assert after.current_a[0] == pytest.approx(current[4321 + missing], rel=0.1)


def test_bytes_that_were_lost_within_a_word_are_told_and_not_decoded() -> None:
    current, marker = load(10_000)
    data = words_of(current, marker, 3.3).tobytes()
    decoder = Decoder(parse_calibration("R0: 1000\nEND").table(3.3))
    assert sum(len(chunk.current_a) for chunk in decoder.feed(data[:20_001])) == 5000
    with pytest.raises(GarbledSamples, match="do not count up"):
        decoder.feed(data[20_002:])


def test_a_word_is_decoded_as_by_hand_and_the_converter_s_end_is_an_overload() -> None:
    table = parse_calibration("Calibrated: 0\nEND").table(3.3)
    word, amperes = BY_HAND
    assert table[word] == pytest.approx(amperes, rel=1e-6)
    assert all(np.isinf(table[index << 14 | CODES - 1]) for index in range(5))
    assert np.isnan(table[5 << 14 :]).all()
    assert len(table) == 1 << 17


def test_a_calibration_with_nothing_for_a_shunt_takes_the_default_s_place() -> None:
    calibration = parse_calibration("R0: 0\nR1: -nan\nR2: 10.5\nS3: -nan\nVDD: 3700\nEND")
    assert calibration.by_range["R"] == (*DEFAULTS["R"][:2], 10.5, *DEFAULTS["R"][3:])
    assert calibration.by_range["S"] == DEFAULTS["S"]
    assert calibration.voltage_v == 3.7
    with pytest.raises(GarbledSamples, match="R2"):
        parse_calibration("R2: ten\nEND")
    with pytest.raises(GarbledSamples, match="holds nothing"):
        parse_calibration("END")


def test_settings_that_it_cannot_have_are_refused(peer: Peer) -> None:
    with ppk2.open_instrument(peer.path) as instrument:
        with pytest.raises(InstrumentError, match="--range"):
            instrument.configure(Settings(100_000.0, 0.1, 3.3))
        with pytest.raises(InstrumentError, match=r"0\.8 to 5 V"):
            instrument.configure(Settings(100_000.0, None, 6.0))
        with pytest.raises(InstrumentError, match="not set up"):
            instrument.start(triggered=False, duration_s=1.0)
        with pytest.raises(InstrumentError, match="no trigger"):
            instrument.start(triggered=True, duration_s=1.0)
        peer.says_mv = 3000
        with pytest.raises(InstrumentError, match="supplies 3 V where"):
            instrument.configure(SETTINGS)


def test_who_does_not_answer_is_closed(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ppk2, "ANSWER_S", 0.2)
    peer.mute = True
    with pytest.raises(InstrumentTimeout, match="no calibration"):
        ppk2.open_instrument(peer.path)
    with pytest.raises(InstrumentError, match="cannot be opened"):
        ppk2.open_instrument(f"{peer.path}-not-there")


def test_a_device_that_goes_away_is_lost_and_leaves_nothing_open() -> None:
    with Peer(words_of(*load(2000), 3.3)) as peer:
        instrument = ppk2.open_instrument(peer.path)
        instrument.configure(SETTINGS)
        instrument.start(triggered=False, duration_s=1.0)
        read_all(instrument, 2000)
    with pytest.raises(InstrumentLost, match="replug"):
        instrument.read(1.0)
    instrument.close()
    instrument.close()
    with pytest.raises(InstrumentError, match="open it again"):
        instrument.set_supply(True)


def test_an_exception_ends_the_capture(peer: Peer) -> None:
    peer.words = words_of(*load(100_000), 3.3)

    def break_off() -> None:
        with ppk2.open_instrument(peer.path) as instrument:
            instrument.configure(SETTINGS)
            instrument.start(triggered=False, duration_s=1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert peer.received[-1] == 0x07
