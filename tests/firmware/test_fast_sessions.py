"""Several streams on one device under sanitizers, with other models between, over a line that damages and a device that
loses bytes or starts again at any time: no output is ever another input's, another model's or an older one's."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from test_fast_core import Lockstep
from test_wire_frames import outputs
from wireharness import LARGE_BYTES, Harness, build

from host.device import Device
from host.errors import HostError
from host.link import Fault, FaultyLink

RIGHT = {
    "kws01": outputs,
    "ic01": lambda data: outputs(bytes(byte ^ 0x80 for byte in data)),
    "wide": lambda data: outputs(data) * 625,  # three frames of results
}


class Unreliable(Lockstep):
    """A device that loses bytes or starts again in the middle of what it is sent, each write with a probability."""

    def __init__(self, harness: Harness, generator: random.Random, overrun: float, reset: float) -> None:
        super().__init__(harness)
        self._random, self._overrun, self._reset = generator, overrun, reset

    def write(self, data: bytes) -> None:
        if self._random.random() < self._overrun:
            cut = self._random.randrange(len(data) + 1)
            super().write(data[:cut])
            self._harness.overrun()
            data = data[cut + self._random.randrange(5) :]
        if self._random.random() < self._reset:
            self._harness.reset()
            self._said += self._harness.sync()[0]
        super().write(data)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with Harness(build(tmp_path_factory.mktemp("sessions"), "normal"), LARGE_BYTES) as running:
        running.sync()
        yield running


@pytest.mark.parametrize("block", range(4))
def test_no_output_is_anothers(harness: Harness, block: int) -> None:
    streams = 0
    for seed in range(block * 40, block * 40 + 40):
        generator = random.Random(seed)
        harness.boot()
        device_end = Unreliable(
            harness, generator, generator.choice([0, 0, 0.02, 0.2]), generator.choice([0, 0, 0, 0.01])
        )
        line = FaultyLink(device_end)
        with Device(line, timeout_s=0.2, infer_timeout_s=0.2) as device:
            try:
                device.wait_boot()
                device.speed_up()
                for _ in range(3):
                    streams += session(device, line, generator)
            except HostError:
                pass  # told; nothing wrong came
    assert streams > 10


def session(device: Device, line: FaultyLink, generator: random.Random) -> int:
    """One model, one stream, perhaps left early; every output that comes is held against its input's."""
    model = generator.choice(sorted(RIGHT))
    count = generator.choice([1, 3, 12, 150])
    pool = [generator.randbytes(4 if model == "ic01" else 8) for _ in range(generator.choice([1, 2, count]))]
    inputs = [generator.choice(pool) for _ in range(count)]
    device.select_model(model)
    for direction in ("tx", "rx"):
        for _ in range(generator.choice([0, 1, 3, 20])):
            at = line.passed(direction) + generator.randrange(generator.choice([200, 3000]))
            kind = generator.choice(["flip", "drop", "duplicate"])
            line.add(Fault(direction, at, kind, generator.randrange(8)))
    leave_at = generator.choice([None, None, generator.randrange(count)])
    for index, output in enumerate(device.stream(inputs)):
        assert output.raw == RIGHT[model](inputs[index])
        if index == leave_at:
            break
    return 1
