# SPDX-License-Identifier: Apache-2.0
"""Results to compare: runs with the windows that a test asks for, and energies as an instrument would give them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

from host.results import compare, schema
from host.results.gate import parse_gate

SHA = "0123456789abcdef" * 4
OTHER_SHA = "f" * 64
INFERENCES = 10
MONITOR = schema.MonitorInfo(
    name="joulescope", idn="Jetperch,JS220,000415,1.2.3", rate_hz=1e6, range_a=0.18, voltage="measured",
    voltage_v=3.0, windows="marker", accuracy_source="a data sheet",
)  # fmt: skip
SIZES = schema.Sizes(text=90_000, data=500, bss=200_000, models=50_000)


def a_run(times_us: Sequence[int] = (300_001,) * 5, instructions: int | None = None, **changes: object) -> schema.Run:
    """Windows of INFERENCES on inputs 0.bin and on."""
    windows = [
        schema.Window(input=f"{number}.bin", inferences=INFERENCES, duration_us=time_us, instructions=instructions)
        for number, time_us in enumerate(times_us)
    ]
    each = [time_us / INFERENCES for time_us in times_us]
    latency = schema.Latency(median=statistics.median(each), min=min(each), max=max(each), unit="us") if each else None
    run = schema.Run(
        task="kws01", mode="performance", rules="quick", valid=True, reasons=[],
        model=schema.ModelInfo(name="kws", source="official", sha256=SHA, arena_bytes=20_000),
        dataset=schema.DatasetInfo(name="kws01", source="official", sha256=SHA, n=5),
        windows=windows, latency_us=latency, throughput_inf_per_s=None, instructions_per_inference=instructions,
        accuracy=None,
    )  # fmt: skip
    return msgspec.structs.replace(run, **changes)


def an_energy(
    energies_uj: Sequence[float],
    budget: dict[str, float] | None = None,
    monitor: schema.MonitorInfo = MONITOR,
    **changes: object,
) -> schema.Energy:
    """energies_uj: per inference, of each window. budget: standard uncertainties as parts of the value; None: no
    accuracy data."""
    value = statistics.median(energies_uj)
    terms = {} if budget is None else budget
    u = 2 * sum((part * value) ** 2 for part in terms.values()) ** 0.5
    windows = [
        schema.EnergyWindow(
            window=number, input=f"{number}.bin", inferences=INFERENCES, valid=True, reasons=[],
            energy_uj=energy * INFERENCES, u_uj=None if budget is None else u * INFERENCES, duration_s=0.3,
            device_us=300_000, mean_mw=None, clock_ratio=1.0, samples=300_000, lost_samples=0, overloads=0,
            range_switches=0,
        )
        for number, energy in enumerate(energies_uj)
    ]  # fmt: skip
    energy = schema.Energy(
        value=value, u=None if budget is None else u, k=2.0, gross=value, net=None, idle_mw=2.0, idle_before_mw=2.0,
        idle_after_mw=2.0, idle_drift=0.0, mean_mw=40.0, windows=windows,
        budget=[schema.BudgetTerm(term=name, u_uj=part * value) for name, part in terms.items()],
        monitor=monitor, lost_samples=0, clock_ratio=1.0,
    )  # fmt: skip
    return msgspec.structs.replace(energy, **changes)


def an_energy_run(energy: schema.Energy, **changes: object) -> schema.Run:
    return a_run(mode="energy", energy_uj=energy, **changes)


def an_accuracy_run(right: int, n: int, **changes: object) -> schema.Run:
    accuracy = schema.Accuracy(metric="top1", value=right / n, n=n, target=None, met=None)
    return a_run((), mode="accuracy", accuracy=accuracy, **changes)


def a_result(*runs: schema.Run, **changes: object) -> schema.Result:
    """Measured, unless a test says otherwise."""
    result = schema.Result(
        schema="tinyjoule.result/4", provenance="measured", created="2026-01-02T03:04:05+00:00",
        board=schema.BoardInfo(name="nucleo_l4r5zi", core="Cortex-M4F", clock_hz=120_000_000),
        firmware=schema.FirmwareInfo(
            version="0.1.0", engine="tflite_c", compiler="gcc 12", flags="-O2 -g", sha256=SHA, sizes=SIZES
        ),
        host=schema.HostInfo(version="0.1.0", python="3.11.2", platform="Linux"), runs=list(runs),
    )  # fmt: skip
    return msgspec.structs.replace(result, **changes)


def a_side(name: str, result: schema.Result, folder: Path | None = None) -> compare.Side:
    return compare.Side(name, folder, result)


def compared(a: schema.Result, b: schema.Result, *gates: str) -> compare.Comparison:
    return compare.compare(a_side("a", a), a_side("b", b), [parse_gate(text) for text in gates])


def row(comparison: compare.Comparison, quantity: str, task: str | None = "kws01") -> compare.RowRecord:
    (found,) = (one for one in comparison.rows if (one.quantity, one.task) == (quantity, task))
    return found
