"""The host's fast link against the firmware's core under sanitizers, in lockstep over a modelled or a damaged line."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_wire_frames import outputs
from wireharness import LARGE_BYTES, Harness, build

from host.device import Device
from host.errors import HostError
from host.link import Fault, FaultyLink
from host.runner.link_bench import WORKLOADS, Workload, measure

KWS_BYTES = 8  # of the harness's kws01
PAUSE_S = 0.2


class Lockstep:
    """A Link to the harness: what the device says to the bytes of a `write` is there when it returns."""

    name = "core"
    baud = None

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self._said = b""
        self._silent_s = 0.0

    def set_baud(self, baud: int) -> None:
        del baud

    def write(self, data: bytes) -> None:
        if self._silent_s:
            self._harness.silence(round(self._silent_s * 1e6))
            self._silent_s = 0.0
        self._said += self._harness.ask(data)[0]

    def read(self, timeout_s: float) -> bytes:
        said, self._said = self._said, b""
        if not said:
            self._silent_s += timeout_s
        return said

    def close(self) -> None:
        """The harness goes on: it boots anew for the next test."""


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with Harness(build(tmp_path_factory.mktemp("core"), "normal"), LARGE_BYTES) as running:
        running.sync()
        yield running


def opened(harness: Harness) -> Lockstep:
    harness.boot()
    return Lockstep(harness)


def test_one_vww01_input(harness: Harness) -> None:
    """The core's own window is 4 KB here, and it is enough."""
    work = WORKLOADS[0]
    fast, line = measure(opened(harness), "fast", work, 921_600, 0.0)
    assert fast.seconds <= 0.33
    assert fast.wire_per_payload <= 1.03
    assert line.unread_bytes_max <= 4096


def test_inference_hides_the_line(harness: Harness) -> None:
    work = Workload("kws01", 30, KWS_BYTES, infer=True)
    fast, line = measure(opened(harness), "fast", work, 115_200, 0.01)
    assert line.inferences == 30
    assert 0.3 <= fast.seconds <= 0.31


def kws_inputs(count: int) -> list[bytes]:
    return [bytes((seed * 31 + at * 7) % 256 for at in range(KWS_BYTES)) for seed in range(count)]


def test_every_output_is_the_cores(harness: Harness) -> None:
    inputs = kws_inputs(300)
    with Device(opened(harness)) as device:
        device.wait_boot()
        assert device.speed_up() is not None
        assert [output.raw for output in device.stream(inputs)] == [outputs(data) for data in inputs]
        device.load(bytes(LARGE_BYTES))


def sliding(count: int) -> list[bytes]:
    """Of the harness's vww01, most of whose bytes are those of the input before."""
    data = random.Random(5).randbytes(LARGE_BYTES + (count - 1) * 512)
    return [data[at * 512 : at * 512 + LARGE_BYTES] for at in range(count)]


def large_output(data: bytes) -> bytes:
    return outputs(bytes(byte ^ 0x80 for byte in data))


def test_of_inputs_that_overlap_only_the_rest_is_sent(harness: Harness) -> None:
    inputs = sliding(30)
    cable = FaultyLink(opened(harness))
    with Device(cable) as device:
        device.wait_boot()
        device.speed_up()
        device.select_model("vww01")
        before = cable.passed("tx")
        assert [output.raw for output in device.stream(inputs)] == [large_output(data) for data in inputs]
        assert cable.passed("tx") - before < 1.03 * LARGE_BYTES + 29 * 550


faults = st.lists(
    st.builds(
        Fault,
        direction=st.sampled_from(["tx", "rx"]),
        at=st.integers(0, 900),
        kind=st.sampled_from(["flip", "drop", "duplicate"]),
        bit=st.integers(0, 7),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(faults)
def test_damage_is_mended_or_told(harness: Harness, damage: list[Fault]) -> None:
    inputs = kws_inputs(12)
    cable = FaultyLink(opened(harness))
    came = []
    with Device(cable, timeout_s=0.3, infer_timeout_s=0.3) as device:
        device.wait_boot()
        device.speed_up()
        for fault in damage:
            cable.add(Fault(fault.direction, cable.passed(fault.direction) + fault.at, fault.kind, fault.bit))
        try:
            came.extend(output.raw for output in device.stream(inputs))
            assert len(came) == len(inputs)
        except HostError:
            pass
    assert came == [outputs(data) for data in inputs][: len(came)]


@settings(max_examples=60)
@given(faults, st.booleans())
def test_damage_to_overlapping_inputs_is_mended_or_told(harness: Harness, damage: list[Fault], late: bool) -> None:
    inputs = sliding(6)
    cable = FaultyLink(opened(harness))
    came = []
    with Device(cable, timeout_s=0.3, infer_timeout_s=0.3) as device:
        device.wait_boot()
        device.speed_up()
        device.select_model("vww01")
        for fault in damage:
            start = cable.passed(fault.direction) + (LARGE_BYTES if late and fault.direction == "tx" else 0)
            cable.add(Fault(fault.direction, start + 3 * fault.at, fault.kind, fault.bit))
        try:
            came.extend(output.raw for output in device.stream(inputs))
            assert len(came) == len(inputs)
        except HostError:
            pass
    assert came == [large_output(data) for data in inputs][: len(came)]
