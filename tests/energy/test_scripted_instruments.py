# SPDX-License-Identifier: Apache-2.0
"""34465A and 2450 against a peer that knows their dialogue by heart: there is no simulator of them, and no real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from visa_kit import VOLTS, read_some, scripted_peer, written

from energy.errors import EnergyError, GarbledSamples, InstrumentError
from energy.instrument import SampleChunk, Settings
from energy.instruments import open_monitor

COUNTED = next(line for line in written("keithley_2450") if line.startswith("< counted"))
DURATION_S = {"keysight_34465a": 10 / 50e3, "keithley_2450": 10 / 1000}


def session(
    name: str, script: list[str], *, until: Callable[[list[SampleChunk]], bool], hangs_up: bool = False
) -> list[SampleChunk]:
    """Open, set up, switch on, one triggered capture; what it gave. Fails when something else is said."""
    with scripted_peer(script, hangs_up=hangs_up) as (address, wrong):
        try:
            with open_monitor(f"{name}@{address}") as instrument:
                took = instrument.configure(Settings(instrument.default_rate_hz, instrument.default_range_a, VOLTS))
                assert took == Settings(pytest.approx(instrument.default_rate_hz), 0.1, VOLTS)
                if instrument.is_supply:
                    instrument.set_supply(True)
                instrument.start(triggered=True, duration_s=DURATION_S[name])
                chunks = read_some(instrument, until)
                instrument.stop()
        finally:
            said = list(wrong)
    assert said + wrong == []
    return chunks


def test_34465a() -> None:
    chunks = session("keysight_34465a", written("keysight_34465a"), until=lambda chunks: len(chunks) == 2)
    assert chunks[0].current_a.dtype == np.float32
    assert chunks[0].current_a == pytest.approx([0.01, 0.02, np.inf, np.nan], nan_ok=True)
    assert chunks[1].current_a == pytest.approx([-np.inf, 0.03])
    assert [chunk.t0_s for chunk in chunks] == pytest.approx([0, 4 / 50e3])
    assert [chunk.voltage_v for chunk in chunks] == [None, None]


def test_2450_tells_what_is_missing_by_its_time_stamps() -> None:
    chunks = session("keithley_2450", written("keithley_2450"), until=lambda chunks: len(chunks) == 2)
    assert [list(chunk.current_a) for chunk in chunks] == [pytest.approx([0.01, 0.02]), pytest.approx([0.03, 0.04])]
    assert [chunk.lost for chunk in chunks] == [0, 1]
    assert [chunk.t0_s for chunk in chunks] == pytest.approx([0, 3e-3])
    assert chunks[1].voltage_v == pytest.approx([1.83, 1.84])


def changed(name: str, old: str, new: str) -> list[str]:
    """The dialogue up to a reply that is another one."""
    script = written(name)
    at = script.index(old)
    return [*script[:at], new]


@pytest.mark.parametrize(
    ("name", "old", "new", "error"),
    [
        ("keysight_34465a", "< REAL,64", "< ASC,+9", GarbledSamples),
        ("keysight_34465a", "< +2.00000000E-05", "< 0", GarbledSamples),
        ("keysight_34465a", "< +4", "< -4", GarbledSamples),
        ("keysight_34465a", "< +4", "< nan", GarbledSamples),
        ("keysight_34465a", "< block >f8 0.01 0.02 9.9e37 9.91e37", "< block >f8 0.01", GarbledSamples),
        ("keysight_34465a", "< block >f8 0.01 0.02 9.9e37 9.91e37", "< block >f4 0.01", GarbledSamples),
        ("keysight_34465a", "< block >f8 0.01 0.02 9.9e37 9.91e37", "< counted >f8 1 2 3 4", GarbledSamples),
        ("keysight_34465a", '< +0,"No error"', '< -222,"Data out of range"', EnergyError),
        ("keithley_2450", "< 0.001", "< fast", GarbledSamples),
        ("keithley_2450", "< 4", "< 1e300", GarbledSamples),
        ("keithley_2450", COUNTED, "< block <f4 1 2 3", GarbledSamples),
        ("keithley_2450", COUNTED, "< counted <f4" + " 0.01 1.8 nan" * 4, GarbledSamples),
        ("keithley_2450", COUNTED, "< counted <f4 1 1 0 1 1 .001 1 1 .0001 1 1 .002", GarbledSamples),
        ("keithley_2450", COUNTED, "< counted <f4" + " 0.01 1.8 0" * 5, GarbledSamples),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, old: str, new: str, error: type[EnergyError]) -> None:
    with pytest.raises(error):
        session(name, changed(name, old, new), until=lambda chunks: False, hangs_up=True)


@pytest.mark.parametrize("name", DURATION_S)
def test_auto_range_is_refused(name: str) -> None:
    script = written(name)
    asked = next(k for k, line in enumerate(script) if line == "> ABOR")

    def open_it(address: str) -> Any:
        return open_monitor(f"{name}@{address}")

    with (
        scripted_peer([*script[:asked], *(["> ABOR"] if name == "keithley_2450" else [])], hangs_up=True) as (
            address,
            _,
        ),
        open_it(address) as instrument,
        pytest.raises(InstrumentError, match="auto-range"),
    ):
        instrument.configure(Settings(1000.0, None, VOLTS))
