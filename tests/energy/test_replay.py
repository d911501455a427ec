# SPDX-License-Identifier: Apache-2.0
"""A trace that is integrated again gives what the live session saw, to the last digit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyjls
import pytest
from trace_kit import board_chunks, info

from energy.accuracy import lookup, simulated
from energy.errors import TraceError
from energy.replay import Replay, measure_again
from energy.trace import TraceReader, TraceWriter
from energy.trigger import TriggerMeter, TriggerReference
from energy.window import PULSE_S, Idle, IdleMeter, MarkerMeter, Reading

RATE_HZ = 100e3
WINDOW_S = 0.3


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "trace-kws01.jls"


def replay(*paths: Path, voltage_v: float | None = None) -> Replay:
    traces = [TraceReader(path) for path in paths]
    try:
        return measure_again(traces, voltage_v=voltage_v)
    finally:
        for trace in traces:
            trace.close()


def record_idle(writer: TraceWriter, seed: int) -> Idle:
    meter = IdleMeter(writer.info.voltage_v)
    writer.begin_capture("idle")
    for chunk in board_chunks(seed, voltage=writer.info.voltage_measured, triggered=writer.info.windows == "trigger"):
        meter.feed(chunk)
        writer.write(chunk)
    writer.end_capture(None)
    return meter.finish()


def record_marker(writer: TraceWriter, number: int, device_s: float | None, lost_at: int | None = None) -> Reading:
    meter = MarkerMeter(writer.info.voltage_v)
    writer.begin_capture("window", window=number, input_name=f"{number}.bin", inferences=10 + number)
    for chunk in board_chunks(number, voltage=writer.info.voltage_measured, lost_at=lost_at):
        meter.feed(chunk)
        writer.write(chunk)
    reading = meter.finish(device_s, 0)
    writer.end_capture(reading)
    return reading


@pytest.mark.parametrize("voltage", [True, False])
def test_marker_windows_are_the_same_to_the_last_digit(path: Path, voltage: bool) -> None:
    with TraceWriter(path, info(rate_hz=RATE_HZ, voltage_measured=voltage, voltage_v=1.79)) as writer:
        before = record_idle(writer, 100)
        live = [record_marker(writer, number, WINDOW_S - PULSE_S) for number in range(3)]
        after = record_idle(writer, 101)
    again = replay(path)
    assert [again.windows[number].reading for number in range(3)] == live
    assert all(reading.valid for reading in live)
    assert (again.before, again.after, again.notes) == (before, after, [])
    assert [(window.input, window.inferences) for window in again.windows.values()] == [
        ("0.bin", 10), ("1.bin", 11), ("2.bin", 12),
    ]  # fmt: skip


def test_triggered_windows_are_the_same_to_the_last_digit(path: Path) -> None:
    told = info(rate_hz=RATE_HZ, windows="trigger", model=simulated("N6781A"), range_a=0.1)
    accuracy = lookup(told.model, 0.1, told.voltage_v)
    trigger_s = accuracy.trigger_s if accuracy else 0.0
    live: list[Reading] = []
    reference: TriggerReference | None = None
    with TraceWriter(path, told) as writer:
        for window_s in (0.02, WINDOW_S, WINDOW_S):
            meter = TriggerMeter(told.voltage_v, trigger_s)
            writer.begin_capture("window" if reference else "reference", window=len(live) if reference else None)
            for chunk in board_chunks(len(live), window_s=window_s, triggered=True):
                meter.feed(chunk)
                writer.write(chunk)
            if reference is None:
                reference = meter.reference(window_s - PULSE_S)
                writer.end_capture(None, device_s=reference.device_s)
            else:
                live.append(meter.finish(window_s - PULSE_S, reference, 0))
                writer.end_capture(live[-1])
    assert [window.reading for window in replay(path).windows.values()] == live
    assert all(reading.valid for reading in live)


def test_a_gap_stays_one(path: Path) -> None:
    with TraceWriter(path, info(rate_hz=RATE_HZ)) as writer:
        live = record_marker(writer, 0, None, lost_at=4)
    again = replay(path).windows[0].reading
    assert again == live
    assert again.lost == 3
    assert not again.valid


def test_a_window_that_was_made_again_counts_as_the_later_one(path: Path) -> None:
    """Also over the two traces of a session that was resumed, of which the first was cut off in a window."""
    other = path.with_name("trace-kws01-2.jls")
    with TraceWriter(path, info(rate_hz=RATE_HZ)) as writer:
        before = record_idle(writer, 7)
        record_marker(writer, 0, 0.2)
        record_marker(writer, 0, WINDOW_S - PULSE_S)
        writer.begin_capture("window", window=1, input_name="1.bin")
        writer.write(next(board_chunks(1)))
    with TraceWriter(other, info(rate_hz=RATE_HZ)) as writer:
        record_marker(writer, 1, WINDOW_S - PULSE_S)
        after = record_idle(writer, 8)
    again = replay(path, other)
    assert sorted(again.windows) == [0, 1]
    assert all(window.reading.valid for window in again.windows.values())
    assert (again.before, again.after) == (before, after)
    assert again.notes == ["trace-kws01.jls: window 2 (1.bin) was cut off and is left out"]


def test_a_damaged_window_is_there_and_not_valid(path: Path) -> None:
    with TraceWriter(path, info(rate_hz=RATE_HZ)) as writer:
        record_marker(writer, 0, None)
        whole = record_marker(writer, 1, None)
    data = bytearray(path.read_bytes())
    with TraceReader(path) as trace:
        current, _, _ = trace.read(trace.captures[0].first + 10_000, 64)
    at = data.index(current.tobytes())
    data[at + 8] ^= 1
    path.write_bytes(data)
    again = replay(path)
    assert again.windows[1].reading == whole
    damaged = again.windows[0].reading
    assert not damaged.valid
    assert "is damaged" in damaged.reasons[0]


def joulescope_file(path: Path, *, voltage: bool = True, pin: bool = True, cut: int | None = None) -> list[Reading]:
    """Two windows in a row, as another program would record them; what they are by themselves."""
    live, columns = [], []
    for seed in (1, 2):
        meter = MarkerMeter(1.8)
        chunks = list(board_chunks(seed, voltage=voltage))
        for chunk in chunks:
            meter.feed(chunk)
        live.append(meter.finish())
        columns.append(chunks)
    chunks = [chunk for part in columns for chunk in part]
    current = np.concatenate([chunk.current_a for chunk in chunks])[:cut]
    with pyjls.Writer(str(path)) as writer:
        writer.source_def(1, name="JS220", vendor="Jetperch", model="JS220", version="1", serial_number="1")
        for number, name, wanted in ((1, "current", True), (2, "voltage", voltage)):
            if wanted:
                writer.signal_def(
                    number, 1, signal_type=pyjls.SignalType.FSR, data_type=pyjls.DataType.F32,
                    sample_rate=100_000, name=name, units="",
                )  # fmt: skip
                values = [chunk.current_a if number == 1 else chunk.voltage_v for chunk in chunks]
                writer.fsr(number, 0, np.concatenate(values)[:cut])
        if pin:
            writer.signal_def(
                3, 1, signal_type=pyjls.SignalType.FSR, data_type=pyjls.DataType.U1, sample_rate=100_000,
                name="gpi[0]", units="",
            )  # fmt: skip
            levels = np.concatenate([chunk.marker for chunk in chunks])[:cut]
            writer.fsr(3, 0, np.packbits(np.append(levels, np.ones(-len(levels) % 8, np.bool_)), bitorder="little"))
    assert len(current)
    return live


@pytest.mark.parametrize("voltage", [True, False])
def test_a_recording_of_joulescope_has_a_window_between_every_two_falls(path: Path, voltage: bool) -> None:
    live = joulescope_file(path, voltage=voltage)
    if not voltage:
        with pytest.raises(TraceError, match="--voltage"):
            replay(path)
    again = replay(path, voltage_v=1.8)
    assert [window.reading.valid for window in again.windows.values()] == [True, True]
    for window, reading in zip(again.windows.values(), live, strict=True):
        assert window.reading.energy_j == pytest.approx(reading.energy_j, rel=1e-12)
        assert window.reading.duration_s == pytest.approx(reading.duration_s, rel=1e-12)


def test_a_recording_that_ends_in_a_window(path: Path) -> None:
    joulescope_file(path, cut=60_000)
    first, second = (window.reading for window in replay(path).windows.values())
    assert first.valid
    assert any("no second falling edge" in reason for reason in second.reasons)


def test_a_recording_without_the_pin(path: Path) -> None:
    joulescope_file(path, pin=False)
    with pytest.raises(TraceError, match="no timing pin"):
        replay(path)


def test_a_trace_without_a_window(path: Path) -> None:
    with TraceWriter(path, info(rate_hz=RATE_HZ)) as writer:
        record_idle(writer, 1)
    with pytest.raises(TraceError, match="no whole window"):
        replay(path)
