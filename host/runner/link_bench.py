"""The stock protocol against the fast link, side by side: the host's own code over a modelled line to a fake device."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from host.device import Device
from host.errors import DeviceError
from host.link import FakeLink, Link
from host.link.stock import StockDevice
from host.link.throttled import Line, ThrottledLink
from host.link.tinyjoule import TinyjouleDevice
from host.results.link_bench import SCHEMA, Entry, LinkBench, Protocol

BAUDS = (115_200, 921_600)
TURNAROUND_S = 0.001
INFERENCE_S = 0.033
INFERENCE_SOURCE = (
    "kws01 takes 32.8 emulated ms on mps2_an386 (Cortex-M4F, 4.1 million instructions at one per cycle and 125 MHz)"
)
CAPACITY_BYTES = 32_768  # the device's input buffer; and its UART queue, as on nucleo_l4r5zi


@dataclass(frozen=True, slots=True)
class Workload:
    """What goes over the line. infer: each input is run once, and its outputs come back; else it is loaded only."""

    task: str
    inputs: int
    input_bytes: int
    infer: bool


WORKLOADS = (Workload("vww01", 1, 27_648, infer=False), Workload("kws01", 50, 490, infer=True))


def fake_link(protocol: Protocol, task: str) -> Link:
    """A device that speaks this protocol, with as many outputs as the task has."""
    if protocol == "stock":
        return FakeLink(StockDevice(model=task, capacity=CAPACITY_BYTES, outputs=12 if task == "kws01" else 2))
    return FakeLink(TinyjouleDevice(capacity=CAPACITY_BYTES, window=CAPACITY_BYTES, output_bytes=12))


def measure(
    inner: Link, protocol: Protocol, work: Workload, baud: int, inference_s: float, turnaround_s: float = TURNAROUND_S
) -> tuple[Entry, ThrottledLink]:
    """One entry, and the line afterwards. `inner` answers at once; naming and negotiating is not in the time."""
    line = ThrottledLink(inner, Line(baud, turnaround_s / 2), inference_s=inference_s)
    generator = random.Random(work.task)  # noqa: S311  (repeatable, nothing secret)
    inputs = [generator.randbytes(work.input_bytes) for _ in range(work.inputs)]
    with Device(line) as device:
        device.wait_boot()
        if (device.speed_up() is not None) != (protocol == "fast"):
            raise DeviceError(f"the device does not speak the {protocol} protocol: it cannot be measured")
        device.name()  # in step again, where a question was refused
        start_s, start_bytes = line.now_s, line.carried["tx"]
        if work.infer:
            outputs = list(device.stream(inputs))
            if len(outputs) != work.inputs:
                raise DeviceError(f"{len(outputs)} outputs of {work.inputs} inputs")
        else:
            for data in inputs:
                device.load(data)
        seconds, sent = line.now_s - start_s, line.carried["tx"] - start_bytes
    entry = Entry(
        task=work.task,
        inputs=work.inputs,
        inferences=work.inputs if work.infer else 0,
        input_bytes=work.input_bytes,
        baud=baud,
        protocol=protocol,
        seconds=round(seconds, 9),
        wire_bytes=sent,
        inference_s=inference_s if work.infer else 0.0,
    )
    return entry, line


def run_link_bench(
    bauds: Sequence[int] = BAUDS, inference_s: float = INFERENCE_S, turnaround_s: float = TURNAROUND_S
) -> LinkBench:
    """Every workload at every rate, by both protocols."""
    protocols: tuple[Protocol, ...] = ("stock", "fast")
    return LinkBench(
        schema=SCHEMA,
        provenance="modelled",
        turnaround_s=turnaround_s,
        inference_source=INFERENCE_SOURCE if inference_s == INFERENCE_S else "as asked for",
        entries=[
            measure(fake_link(protocol, work.task), protocol, work, baud, inference_s, turnaround_s)[0]
            for work in WORKLOADS
            for baud in bauds
            for protocol in protocols
        ],
    )
