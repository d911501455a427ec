# SPDX-License-Identifier: Apache-2.0
"""Qoitech Otii: the vendor's own client package, at a small server of our own. No real one was here."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest
from otii_peer import Peer

from energy.errors import GarbledSamples, InstrumentError, InstrumentTimeout, MonitorMissing, MonitorUnknown
from energy.instrument import SampleChunk, Settings
from energy.instruments import open_monitor, otii

pytest.importorskip("otii_tcp_client", reason="the extra `otii` is not installed")
SETTINGS = Settings(4000.0, 5.0, 3.3)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        rng = np.random.default_rng(2)
        peer.current = rng.uniform(1e-3, 20e-3, 9000)
        peer.voltage = rng.uniform(3.29, 3.31, 2250)
        peer.changes = [(0.0, True), (0.50001, False), (0.500035, True), (1.75, False), (1.8, True)]
        yield peer


def read_all(instrument: otii.Otii) -> list[SampleChunk]:
    chunks = []
    while (chunk := instrument.read(0.05)) is not None:
        chunks.append(chunk)
    return chunks


def test_an_arc_s_recording_becomes_samples_with_the_timing_pin(peer: Peer) -> None:
    with otii.open_instrument(peer.address) as instrument:
        assert isinstance(instrument, otii.Otii)
        assert instrument.configure(SETTINGS) == SETTINGS
        instrument.set_supply(True)
        instrument.start(triggered=False, duration_s=1.0)
        assert peer.state == {"main": True, "voltage": 3.3, "range": "high", "recording": True}
        chunks = read_all(instrument)
        current = np.concatenate([chunk.current_a for chunk in chunks])
        voltage = np.concatenate([chunk.voltage_v for chunk in chunks if chunk.voltage_v is not None])
        marker = np.concatenate([chunk.marker for chunk in chunks if chunk.marker is not None])
        assert len(current) == 8600, "a tenth of a second is held back"
        assert np.array_equal(current, peer.current[:8600].astype(np.float32))
        assert np.array_equal(voltage[::4], peer.voltage[:2150].astype(np.float32))
        assert np.array_equal(voltage[3::4], voltage[::4])
        assert np.flatnonzero(~marker).tolist() == [2000, 7000], "a pulse shorter than a sample is seen"
        assert not any(chunk.lost for chunk in chunks)
        instrument.stop()
        instrument.start(triggered=False, duration_s=1.0)
        assert read_all(instrument)[0].t0_s == 0
    assert peer.state["main"], "it goes on supplying the board"
    assert not peer.state["recording"]
    assert peer.commands[-3:] == ["project_stop_recording", "recording_delete", "otii_return_license"]


def test_an_ace_is_set_to_the_rate_and_read_back() -> None:
    with Peer("Ace") as peer, otii.open_instrument(f"{peer.address}/Arc0001") as instrument:
        assert instrument.idn == "Qoitech,Otii Ace,Arc0001,2.0.4"
        assert instrument.configure(Settings(20_000.0, None, 1.8)) == Settings(25_000.0, None, 1.8)
        peer.says_rate = 10_000.0
        assert instrument.configure(Settings(20_000.0, None, 1.8)).rate_hz == 10_000.0
        peer.current, peer.voltage = np.ones(5000), np.ones(5000)
        instrument.start(triggered=False, duration_s=1.0)
        with pytest.raises(GarbledSamples, match="not 10000 samples per second"):
            instrument.read(0.1)


def test_a_gap_between_timestamps_is_lost_samples(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otii, "MAX_SAMPLES", 4000)
    peer.skip_s = 0.01
    with otii.open_instrument(peer.address) as instrument:
        instrument.configure(SETTINGS)
        instrument.start(triggered=False, duration_s=1.0)
        chunks = read_all(instrument)  # type: ignore[arg-type]
    assert [(chunk.t0_s, chunk.lost) for chunk in chunks] == [(0.0, 0), (1.01, 40), (pytest.approx(2.01), 0)]


def test_what_cannot_be_is_told(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MonitorUnknown, match="not of the form"):
        open_monitor("otii@nowhere")
    with pytest.raises(InstrumentError, match="no Otii server"):
        open_monitor("otii@127.0.0.1:1")
    with pytest.raises(InstrumentError, match="1 Otii devices"):
        otii.open_instrument(f"{peer.address}/Other")
    with open_monitor(f"otii@{peer.address}") as instrument:
        with pytest.raises(InstrumentError, match="5 A at most"):
            instrument.configure(Settings(4000.0, 6.0, 3.3))
        with pytest.raises(InstrumentError, match="not set up"):
            instrument.start(triggered=False, duration_s=1.0)
        with pytest.raises(InstrumentError, match="not armed"):
            instrument.start(triggered=True, duration_s=1.0)
    peer.devices = []
    with pytest.raises(InstrumentError, match="none"):
        otii.open_instrument(peer.address)
    monkeypatch.setitem(sys.modules, "otii_tcp_client", None)
    with pytest.raises(MonitorMissing, match=r"tinyjoule\[otii\]"):
        otii.open_instrument(peer.address)


def test_a_server_that_stops_to_answer_is_a_timeout(peer: Peer) -> None:
    with otii.open_instrument(peer.address) as instrument:
        instrument.configure(SETTINGS)
        peer.mute = True
        with pytest.raises(InstrumentTimeout, match="start the Otii server again"):
            instrument.set_supply(False)
        peer.mute = False


def test_an_exception_ends_the_recording(peer: Peer) -> None:
    def break_off() -> None:
        with otii.open_instrument(peer.address) as instrument:
            instrument.configure(SETTINGS)
            instrument.start(triggered=False, duration_s=1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert not peer.state["recording"]
