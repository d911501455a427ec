# SPDX-License-Identifier: Apache-2.0
#!/usr/bin/env python3
"""How fast the energy side computes on this machine, on one core: a line for each part, with its bar.

Integration of marker and triggered windows, and the memory it takes; the PPK2's decoder; writing a trace, measuring it
again, and plotting ten million samples. Other work on the machine spoils it.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from energy.instrument import SampleChunk
from energy.instruments import _ppk2
from energy.trace import TraceInfo, TraceReader, TraceWriter
from energy.trigger import TriggerMeter, TriggerReference
from energy.uncertainty import rounded
from energy.window import PULSE_S, MarkerMeter, Reading
from host.report.trace import plot, stretch

T = TypeVar("T")
RATE_HZ = 1e6
SAMPLES = 100_000_000
TRACE_SAMPLES = 10_000_000
CHUNK = 50_000
VOLTS = 1.8
CALIBRATION = "Calibrated: 0\nR0: 1000\nR1: 100\nR2: 10\nR3: 1\nR4: 0.05\nEND"  # any will do


def chunks(samples: int, *, marker: bool) -> Iterator[SampleChunk]:
    """A busy board, then 100,000 samples of sleep; a pulse 0.1 s after the begin and 0.1 s before the sleep."""
    rng = np.random.default_rng(1)
    amperes = (0.02 + 1e-4 * rng.standard_normal(CHUNK)).astype(np.float32)
    volts = np.full(CHUNK, VOLTS, dtype=np.float32)
    high = np.ones(CHUNK, dtype=np.bool_)
    pulse = high.copy()
    pulse[:25] = False
    count = samples // CHUNK
    for number in range(count):
        edge = number in (2, count - 4)
        yield SampleChunk(
            current_a=amperes / 20 if number >= count - 2 else amperes,
            voltage_v=volts,
            marker=(pulse if edge else high) if marker else None,
            t0_s=number * CHUNK / RATE_HZ,
            rate_hz=RATE_HZ,
        )


def marker_window() -> Reading:
    """Feed a marker meter."""
    meter = MarkerMeter(VOLTS)
    for chunk in chunks(SAMPLES, marker=True):
        meter.feed(chunk)
    return meter.finish((SAMPLES - 6 * CHUNK) / RATE_HZ - PULSE_S)


def trigger_window() -> Reading:
    """Feed a trigger meter: the board answers for 0.1 s before it sleeps."""
    meter = TriggerMeter(VOLTS)
    for chunk in chunks(SAMPLES, marker=False):
        meter.feed(chunk)
    device_s = (SAMPLES - 4 * CHUNK) / RATE_HZ - PULSE_S
    return meter.finish(device_s, TriggerReference(0.01, 0.01 + PULSE_S + 2 * CHUNK / RATE_HZ, 1e-7))


def decode_ppk2() -> int:
    """Random readings in one range, their counter as it should be."""
    words = np.arange(5_000_000, dtype=np.uint32)
    words = (words % 1000) | (3 << 14) | ((words % 64) << 18) | (0xFF << 24)
    decoder = _ppk2.Decoder(_ppk2.parse_calibration(CALIBRATION).table(VOLTS))
    data = words.astype("<u4").tobytes()
    return sum(
        len(chunk.current_a) for at in range(0, len(data), 65536) for chunk in decoder.feed(data[at : at + 65536])
    )


def write_trace(path: Path) -> int:
    """A window of ten million samples with voltage and pin."""
    info = TraceInfo(
        task="bench",
        provenance="emulated",
        monitor="simulated",
        idn="none",
        model="VA1",
        rate_hz=RATE_HZ,
        range_a=0.1,
        voltage_v=VOLTS,
        voltage_measured=True,
        windows="marker",
    )
    with TraceWriter(path, info) as trace:
        trace.begin_capture("window", window=0, input_name="bench", inferences=1)
        for chunk in chunks(TRACE_SAMPLES, marker=True):
            trace.write(chunk)
        trace.end_capture(None)
    return TRACE_SAMPLES


def measure_again(path: Path) -> Reading:
    """The same window out of the trace."""
    meter = MarkerMeter(VOLTS)
    with TraceReader(path) as trace:
        for chunk in trace.chunks(trace.captures[0], size=1 << 17):
            meter.feed(chunk)
    return meter.finish((TRACE_SAMPLES - 6 * CHUNK) / RATE_HZ - PULSE_S)


def plot_trace(path: Path) -> bytes:
    """A picture of all of it."""
    with TraceReader(path) as trace:
        return plot(trace, stretch(trace, None, None))


def timed(what: Callable[[], T]) -> tuple[float, T]:
    """Seconds of this process, and what it returned."""
    begin = time.process_time()
    found = what()
    return time.process_time() - begin, found


def say(line: str) -> None:
    """A line of the answer."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def rate(name: str, samples: int, seconds: float, bar: float | None) -> bool:
    """Say how fast something was; whether it is fast enough."""
    fast = samples / seconds / 1e6
    say(f"{name}: {fast:.0f} MS/s" + (f" (at least {bar:.0f})" if bar else ""))
    return bar is None or fast >= bar


def main() -> int:
    """Print every figure; 1 when one is under its bar."""
    good = True
    for name, window in (("marker window", marker_window), ("triggered window", trigger_window)):
        seconds, reading = timed(window)
        if not reading.valid:
            say(f"{name}: not valid: {reading.reasons}")
            good = False
        good &= rate(f"{name} of {reading.duration_s:.0f} s, {rounded(reading.energy_j, None)} J", SAMPLES, seconds, 50)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"memory, the whole of Python in it: {peak_mb:.0f} MB (under 200)")
    good &= peak_mb < 200
    seconds, count = timed(decode_ppk2)
    good &= rate("PPK2 decoder", count, seconds, 5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace-bench.jls"
        seconds, count = timed(lambda: write_trace(path))
        good &= rate("trace written", count, seconds, None)
        seconds, reading = timed(lambda: measure_again(path))
        good &= rate("trace measured again", TRACE_SAMPLES, seconds, None)
        plot_trace(path)  # loads matplotlib, and its fonts
        seconds, _ = timed(lambda: plot_trace(path))
        say(f"plot of {TRACE_SAMPLES / 1e6:.0f} M samples: {seconds:.2f} s (under 1)")
        good &= seconds < 1 and reading.valid
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
