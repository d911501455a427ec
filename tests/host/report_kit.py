# SPDX-License-Identifier: Apache-2.0
"""Result folders for the tests of reports: records with everything in them, and traces that fit."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from energy.instrument import SampleChunk
from energy.trace import OperatorSpan, TraceWriter
from host.results import record, schema

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "energy"))

from trace_kit import info, reading

SHA = "0123456789abcdef" * 4
RATE_HZ = 20_000.0
NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
WINDOW_S = 0.5
IDLE_S = 0.25


def operators(count: int = 3) -> list[schema.OperatorCost]:
    return [
        schema.OperatorCost(
            index=number, name=f"CONV_{number}D", shape=[1, 4, 4, 8], macs=1000 * number, bytes=64 + number,
            us=100.5 + number, cycles=None, instructions=12_345 + number, uj=1.23456 + number,
        )
        for number in range(count)
    ]  # fmt: skip


def energy_window(number: int, **changes: Any) -> schema.EnergyWindow:
    fields: dict[str, Any] = {
        "window": number, "input": f"in_{number}.bin", "inferences": 40, "valid": True, "reasons": [],
        "energy_uj": 5628.1 + number, "u_uj": 4.9, "duration_s": WINDOW_S, "device_us": 499_970, "mean_mw": 40.361,
        "clock_ratio": 1.000001, "samples": round(WINDOW_S * RATE_HZ), "lost_samples": 0, "overloads": 0,
        "range_switches": 0,
    }  # fmt: skip
    return schema.EnergyWindow(**(fields | changes))


def energy(**changes: Any) -> schema.Energy:
    fields: dict[str, Any] = {
        "value": 140.7049786, "u": 0.12245945, "k": 2.0, "gross": 140.7049786, "net": None,
        "idle_mw": 2.16722, "idle_before_mw": 2.16719, "idle_after_mw": 2.16725, "idle_drift": 2.6e-05,
        "mean_mw": 40.3564213, "windows": [energy_window(number) for number in range(3)],
        "budget": [
            schema.BudgetTerm(term="noise", u_uj=0.0009), schema.BudgetTerm(term="current gain", u_uj=0.0412),
            schema.BudgetTerm(term="current offset", u_uj=0.0361),
        ],
        "monitor": schema.MonitorInfo(
            name="simulated", idn="tinyjoule,VA1,1,1", rate_hz=RATE_HZ, range_a=0.1, voltage="measured", voltage_v=1.8,
            windows="marker", accuracy_source="by definition",
        ),
        "lost_samples": 0, "clock_ratio": 0.999996,
    }  # fmt: skip
    return schema.Energy(**(fields | changes))


def profile(count: int = 3) -> schema.Profile:
    return schema.Profile(
        input="in_0.bin", inferences=40, operators=operators(count), whole_us=304.5, whole_cycles=None,
        whole_instructions=37_040, resolution_us=1.0, deviation=1e-4, energy_deviation=-2e-4,
    )  # fmt: skip


def run(task: str = "kws01", **changes: Any) -> schema.Run:
    fields: dict[str, Any] = {
        "task": task, "mode": "energy", "rules": "quick", "valid": True, "reasons": [],
        "model": schema.ModelInfo(name=f"{task}.tflite", source="official", sha256=SHA, arena_bytes=20_000),
        "dataset": schema.DatasetInfo(name=task, source="official", sha256=SHA, n=5, labels_sha256=SHA),
        "windows": [
            schema.Window(input=f"in_{number}.bin", inferences=40, duration_us=499_970 + number, instructions=435_757)
            for number in range(3)
        ],
        "latency_us": schema.Latency(
            median=12_499.275, min=12_499.25, max=12_499.3, unit="us", cv=2e-6,
            interval=schema.Interval(low=12_499.25, high=12_499.3, level=0.95),
        ),
        "throughput_inf_per_s": 80.00464, "instructions_per_inference": 435_757, "accuracy": None,
        "energy_uj": energy(), "profile": profile(),
    }  # fmt: skip
    return schema.Run(**(fields | changes))


def result(*runs: schema.Run, **changes: Any) -> schema.Result:
    fields: dict[str, Any] = {
        "schema": schema.SCHEMA, "provenance": "emulated", "created": "2026-01-02T03:04:05+00:00",
        "board": schema.BoardInfo(
            name="mps2_an386", core="Cortex-M4F", clock_hz=125_000_000,
            wiring=schema.Wiring(uart="UART0", timing_pin="LED 0", power="a current model"),
        ),
        "firmware": schema.FirmwareInfo(
            version="0.1.0", engine="tflite_c 0.1.0", compiler="gcc 12.2.1", flags="-O2 -std=c99", sha256=SHA,
            sizes=schema.Sizes(text=1000, data=20, bss=300, models=400),
        ),
        "host": schema.HostInfo(version="0.1.0", python="3.11.2", platform="Linux"),
        "runs": list(runs) or [run()],
        "units": [
            schema.Unit(name="mps2_an386", port=None, build_id="abc", link="frames", baud=None, inputs=5)
        ],
    }  # fmt: skip
    return schema.Result(**(fields | changes))


def folder(path: Path, made: schema.Result | None = None, *, traces: bool = True) -> Path:
    """A result folder with its record, and a trace for every task whose energy was measured."""
    path.mkdir(parents=True)
    made = result() if made is None else made
    record.write_result(path, made)
    for task in dict.fromkeys(run.task for run in made.runs if run.energy_uj is not None):
        if traces:
            write_trace(path / f"trace-{task}.jls", task)
    return path


def samples(seed: int, seconds: float, level_a: float, rate_hz: float = RATE_HZ) -> SampleChunk:
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    current = (level_a * (1 + 0.02 * rng.standard_normal(count))).astype(np.float32)
    return SampleChunk(current, np.full(count, 1.8, np.float32), np.ones(count, np.bool_), 0.0, rate_hz)


def write_trace(
    path: Path, task: str, windows: int = 3, window_s: float = WINDOW_S, rate_hz: float = RATE_HZ, **changes: Any
) -> None:
    """Idle, windows of 0.022 A with 50 ms of 0.0012 A around them, idle; three operators marked in the first window."""
    with TraceWriter(path, info(task=task, rate_hz=rate_hz, **changes)) as trace:
        idle(trace, 1, rate_hz)
        for number in range(windows):
            capture = trace.begin_capture("window", window=number, input_name=f"in_{number}.bin", inferences=40)
            low, busy = samples(5, 0.05, 0.0012, rate_hz), samples(10 + number, window_s, 0.022, rate_hz)
            for at_s, chunk in ((0.0, low), (0.05, busy), (0.05 + window_s, low)):
                trace.write(shifted(chunk, at_s))
            trace.end_capture(reading(start_s=0.05, end_s=0.05 + window_s, rate_hz=rate_hz))
            if number == 0:
                trace.operators(
                    [OperatorSpan(capture=capture, index=index, name=f"CONV_{index}D", start_s=0.05 + 0.004 * index,
                                  end_s=0.054 + 0.004 * index) for index in range(3)]
                )  # fmt: skip
        idle(trace, 2, rate_hz)


def idle(trace: TraceWriter, seed: int, rate_hz: float) -> None:
    trace.begin_capture("idle")
    trace.write(samples(seed, IDLE_S, 0.0012, rate_hz))
    trace.end_capture(None)


def shifted(chunk: SampleChunk, t0_s: float) -> SampleChunk:
    return SampleChunk(chunk.current_a, chunk.voltage_v, chunk.marker, t0_s, chunk.rate_hz)


def raw(path: Path) -> Any:
    return json.loads((path / record.RESULT_FILE).read_text())


def with_energy(**changes: Any) -> schema.Run:
    return run(energy_uj=msgspec.structs.replace(energy(), **changes))


FULL = [
    run("ad01", accuracy=schema.Accuracy(metric="auc", value=0.8612, n=5, target=0.85, met=True)),
    run("kws01", clock=schema.ClockCheck(ratio=1.0001, drift=1e-4, limit=0.01, windows=3, worst=2e-4)),
    run("ic01", mode="accuracy", energy_uj=None, profile=None, latency_us=None, windows=[], throughput_inf_per_s=None,
        accuracy=schema.Accuracy(metric="top1", value=0.845, n=200, target=0.85, met=False, auc=0.99)),
]  # fmt: skip
"""Runs of all kinds."""


class Tags(HTMLParser):
    """Elements, their ids, and what stands in their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "action", "data", "srcset"):
                self.links.append(value or "")
