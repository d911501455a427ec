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
AD01_INFERENCE_S = 0.0035
INFERENCE_SOURCE = (
    "kws01 takes 32.8 emulated ms on mps2_an386 (Cortex-M4F, 4.1 million instructions at one per cycle and 125 MHz), "
    "a window of ad01 3.5"
)
CAPACITY_BYTES = 32_768  # the device's input buffer; and its UART queue, as on nucleo_l4r5zi


@dataclass(frozen=True, slots=True)
class Workload:
    """What goes over the line. infer: each input is run once, and its outputs come back; else it is loaded only.

    step_bytes: the inputs are windows of one file, that many bytes apart; 0: each is of its own. inference_s: of its
    own; None: that of the bench.
    """

    task: str
    inputs: int
    input_bytes: int
    infer: bool
    step_bytes: int = 0
    inference_s: float | None = None

    def data(self) -> list[bytes]:
        """The inputs: random bytes, the same ones every time."""
        generator = random.Random(self.task)  # noqa: S311  (repeatable, nothing secret)
        if not self.step_bytes:
            return [generator.randbytes(self.input_bytes) for _ in range(self.inputs)]
        starts = range(0, self.inputs * self.step_bytes, self.step_bytes)
        file = generator.randbytes(starts[-1] + self.input_bytes)
        return [file[start : start + self.input_bytes] for start in starts]


WORKLOADS = (
    Workload("vww01", 1, 27_648, infer=False),
    Workload("kws01", 50, 490, infer=True),
    Workload("ad01", 196, 2560, infer=True, step_bytes=512, inference_s=AD01_INFERENCE_S),
)
OUTPUTS = {"vww01": (2, 2), "kws01": (12, 12), "ad01": (1, 640)}  # values of a result, and bytes of the output tensor


def fake_link(protocol: Protocol, task: str) -> Link:
    """A device that speaks this protocol, with as many outputs as the task has."""
    values, output_bytes = OUTPUTS[task]
    if protocol == "stock":
        return FakeLink(StockDevice(model=task, capacity=CAPACITY_BYTES, outputs=values))
    return FakeLink(TinyjouleDevice(capacity=CAPACITY_BYTES, window=CAPACITY_BYTES, output_bytes=output_bytes))


def measure(
    inner: Link, protocol: Protocol, work: Workload, baud: int, inference_s: float, turnaround_s: float = TURNAROUND_S
) -> tuple[Entry, ThrottledLink]:
    """One entry, and the line afterwards. `inner` answers at once; naming and negotiating is not in the time."""
    line = ThrottledLink(inner, Line(baud, turnaround_s / 2), inference_s=inference_s)
    inputs = work.data()
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
        step_bytes=work.step_bytes,
    )
    return entry, line


def run_link_bench(
    bauds: Sequence[int] = BAUDS,
    inference_s: float = INFERENCE_S,
    turnaround_s: float = TURNAROUND_S,
    workloads: Sequence[Workload] = WORKLOADS,
) -> LinkBench:
    """Every workload at every rate, by both protocols. inference_s: of workloads that have none of their own."""
    protocols: tuple[Protocol, ...] = ("stock", "fast")
    return LinkBench(
        schema=SCHEMA,
        provenance="modelled",
        turnaround_s=turnaround_s,
        inference_source=INFERENCE_SOURCE if inference_s == INFERENCE_S else "as asked for",
        entries=[
            measure(
                fake_link(protocol, work.task),
                protocol,
                work,
                baud,
                inference_s if work.inference_s is None else work.inference_s,
                turnaround_s,
            )[0]
            for work in workloads
            for baud in bauds
            for protocol in protocols
        ],
    )
