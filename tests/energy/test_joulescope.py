# SPDX-License-Identifier: Apache-2.0
"""Joulescope: the vendor's real driver, which finds no device here, and messages in its format for what comes after."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from energy.errors import InstrumentError, InstrumentLost, InstrumentTimeout, MonitorMissing
from energy.instrument import SampleChunk, Settings
from energy.instruments import open_monitor
from energy.instruments.joulescope import Aligner, Joulescope

SETTINGS = Settings(1_000_000.0, 0.18, 3.3)
PATH = "u/js220/000415"


class Driver:
    """Stands for the vendor's driver, whose far end is a USB device: keeps what is published, plays messages."""

    def __init__(self) -> None:
        self.published: dict[str, Any] = {}
        self.listeners: dict[str, Callable[[str, Any], None]] = {}
        self.opened = self.finalized = False
        self.hung = False

    def device_paths(self) -> list[str]:
        return [PATH]

    def open(self, path: str, mode: str) -> None:
        assert (path, mode) == (PATH, "defaults")
        self.opened = True

    def close(self, path: str) -> None:
        assert path == PATH
        self.opened = False

    def finalize(self) -> None:
        self.finalized = True

    def publish(self, topic: str, value: object) -> None:
        if self.hung:
            raise TimeoutError("jsdrv_publish timed out")
        self.published[topic.removeprefix(f"{PATH}/")] = value

    def query(self, topic: str) -> object:
        name = topic.removeprefix(f"{PATH}/")
        return 0x01020001 if name == "c/fw/version" else self.published[name]

    def subscribe(self, topic: str, flags: str, function: Callable[[str, Any], None]) -> None:
        assert flags == "pub"
        self.listeners[topic.removeprefix(f"{PATH}/")] = function

    def unsubscribe(self, topic: str, function: Callable[[str, Any], None]) -> None:
        assert self.listeners.pop(topic.removeprefix(f"{PATH}/")) is function

    def play(self, signal: str, index: int, data: np.ndarray) -> None:
        self.listeners[f"s/{signal}/!data"](signal, message(index, data))


def message(index: int, data: np.ndarray) -> dict[str, Any]:
    """As the driver hands it on: numbers count at 2 MHz, every second one is there; eight bits in a byte."""
    packed = np.packbits(data, bitorder="little") if data.dtype == bool else data
    return {"sample_id": 2 * index, "decimate_factor": 2, "sample_rate": 2_000_000, "data": packed}


def made(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    marker = np.ones(count, bool)
    marker[500:525] = False
    return rng.uniform(0, 0.1, count).astype(np.float32), rng.uniform(3, 3.3, count).astype(np.float32), marker


def joined(chunks: list[SampleChunk]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    assert all(chunk.voltage_v is not None and chunk.marker is not None for chunk in chunks)
    return tuple(np.concatenate([getattr(c, name) for c in chunks]) for name in ("current_a", "voltage_v", "marker"))  # type: ignore[return-value]


def test_the_real_driver_without_a_device_says_what_to_do() -> None:
    pytest.importorskip("pyjoulescope_driver", reason="the extra `joulescope` is not installed")
    with pytest.raises(InstrumentError, match=r"no Joulescope u/js220/999999: .*`python -m pyjoulescope_driver scan`"):
        open_monitor("joulescope@u/js220/999999")


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", None)
    with pytest.raises(MonitorMissing, match=r"pip install 'tinyjoule\[joulescope\]'"):
        open_monitor("joulescope@u/js220/1")


def test_signals_that_come_in_pieces_of_their_own_are_put_side_by_side() -> None:
    current, voltage, marker = made(3000)
    aligner = Aligner()
    chunks = []
    rng = np.random.default_rng(9)
    cuts = {"i": [0, 700, 1413, 3000], "v": [0, 1000, 2000, 3000], "gpi/0": [0, 803, 1600, 2400, 3000]}
    data = {"i": current, "v": voltage, "gpi/0": marker}
    waiting = [(signal, a, b) for signal, at in cuts.items() for a, b in pairwise(at)]
    order = sorted(range(len(waiting)), key=lambda at: waiting[at][1] + int(rng.integers(0, 200)))
    for at in order:
        signal, begin, end = waiting[at]
        aligner.push(signal, message(100 + begin, data[signal][begin:end]))
        while (chunk := aligner.take()) is not None:
            chunks.append(chunk)
    got = joined(chunks)
    count = len(got[0])
    assert count == 3000 - 7, "the last bits of a byte may be padding"
    assert all(np.array_equal(mine, theirs[:count]) for mine, theirs in zip(got, made(3000), strict=True))
    assert {chunk.lost for chunk in chunks} == {0}
    assert chunks[0].t0_s == 0
    assert chunks[-1].t0_s + len(chunks[-1].current_a) / 1e6 == pytest.approx(count / 1e6)


@pytest.mark.parametrize("signal", ["i", "v", "gpi/0"])
def test_a_message_that_is_missing_is_lost_samples(signal: str) -> None:
    data = dict(zip(("i", "v", "gpi/0"), made(2400), strict=True))
    aligner = Aligner()
    chunks = []
    for begin in range(0, 2400, 400):
        for name, values in data.items():
            if (name, begin) != (signal, 800):
                aligner.push(name, message(begin, values[begin : begin + 400]))
        while (chunk := aligner.take()) is not None:
            chunks.append(chunk)
    gaps = [(round(chunk.t0_s * 1e6), chunk.lost) for chunk in chunks if chunk.lost]
    assert gaps in ([(1200, 400)], [(1200, 407)])  # 407: the bits that might be padding went with it
    assert len(joined(chunks)[0]) + gaps[0][1] == 2400 - 7


def test_a_signal_that_never_comes_does_not_fill_the_memory() -> None:
    aligner = Aligner()

    def flood() -> None:
        for at in range(10_000):
            aligner.push("v", message(at, np.ones(1, np.float32)))

    with pytest.raises(InstrumentError, match="not all of"):
        flood()


def test_it_is_set_up_streams_and_is_left_as_it_was() -> None:
    driver = Driver()
    with Joulescope(driver, PATH.upper()) as instrument:
        assert instrument.idn == "Jetperch,JS220,000415,1.2.1"
        assert instrument.configure(SETTINGS) == SETTINGS
        assert driver.published == {"h/fs": 1_000_000, "s/i/range/mode": "manual", "s/i/range/select": "180 mA"}
        instrument.start(triggered=False, duration_s=1.0)
        assert {driver.published[f"s/{signal}/ctrl"] for signal in ("i", "v", "gpi/0")} == {1}
        current, voltage, marker = made(1600)
        current[700], current[701] = 0.2, -0.5
        for signal, data in (("i", current), ("v", voltage), ("gpi/0", marker)):
            driver.play(signal, 7, data)
        chunk = instrument.read(1.0)
        assert chunk is not None
        assert np.flatnonzero(np.isinf(chunk.current_a)).tolist() == [700, 701]
        assert chunk.current_a[701] == -np.inf
        assert chunk.marker is not None
        assert np.flatnonzero(~chunk.marker)[[0, -1]].tolist() == [500, 524]
        assert instrument.read(0.01) is None
        driver.listeners["@/!remove"]("@/!remove", PATH)
        with pytest.raises(InstrumentLost, match="unplugged"):
            instrument.read(0.01)
    assert {driver.published[f"s/{signal}/ctrl"] for signal in ("i", "v", "gpi/0")} == {0}
    assert driver.listeners == {}
    assert (driver.opened, driver.finalized) == (False, True)


def test_with_auto_range_its_changes_are_counted() -> None:
    driver = Driver()
    with Joulescope(driver, PATH) as instrument:
        assert instrument.configure(Settings(300_000.0, None, 3.3)) == Settings(500_000.0, None, 3.3)
        instrument.start(triggered=False, duration_s=1.0)
        driver.play("i/range", 0, np.array([4, 4, 5, 5, 4], np.uint8))
        driver.play("i/range", 5, np.array([4, 3], np.uint8))
        assert instrument.read(0.01) is None
        assert instrument.range_switches == 3


def test_what_it_cannot_do_is_refused_and_a_driver_that_hangs_is_told() -> None:
    driver = Driver()
    with Joulescope(driver, PATH) as instrument:
        with pytest.raises(InstrumentError, match="10 A at most"):
            instrument.configure(Settings(1e6, 20.0, 3.3))
        with pytest.raises(InstrumentError, match="is no supply"):
            instrument.set_supply(True)
        with pytest.raises(InstrumentError, match="not set up"):
            instrument.start(triggered=False, duration_s=1.0)
        instrument.configure(SETTINGS)
        instrument.start(triggered=False, duration_s=1.0)
        driver.hung = True
        with pytest.raises(InstrumentTimeout, match="does not stop"):
            instrument.stop()
        assert driver.listeners == {}
    assert driver.finalized
