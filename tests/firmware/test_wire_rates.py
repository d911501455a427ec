"""Another baud rate on the firmware core under sanitizers: it holds for a host that speaks, and for no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_wire_frames import MODEL_BYTES, NAME, REVERT_US, boot, ping, run, take_apart
from wireharness import Harness, build


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with Harness(build(tmp_path_factory.mktemp("wire"), "normal")) as running:
        running.sync()
        yield running


def test_the_rate_changes_when_the_answer_has_left(harness: Harness) -> None:
    harness.boot()
    said, trace = harness.ask(b"baud 921600%")
    assert said == b"m-baud-[921600]\r\nm-ready\r\n"
    assert trace.startswith("wwfb")
    assert harness.baud() == 921600
    assert harness.ask(b"baud 3000000%")[0] == b"e-[Baud 3000000 is not possible]\r\nm-ready\r\n"
    assert harness.baud() == 921600
    assert harness.ask(b"baud 115200%")[0] == b"m-baud-[115200]\r\nm-ready\r\n"
    harness.silence(REVERT_US * 1000)
    assert harness.ask(b"name%")[0] == NAME, "at the boot rate silence means nothing"


@pytest.mark.parametrize("baud", [9600, 921600])
@pytest.mark.parametrize("dead_in", [b"", b"nam", b"\0\x13", run(0, bytes(8))[:-1]])
def test_a_host_that_dies_at_another_rate_leaves_the_boot_rate(harness: Harness, baud: int, dead_in: bytes) -> None:
    boot(harness)
    harness.ask(b"baud %d%%" % baud)
    harness.ask(b"name%")
    harness.ask(dead_in)
    harness.silence(REVERT_US + 1)
    assert harness.ask(b"\xe6")[0] == b""  # what a byte of another rate looks like: dropped
    assert harness.baud() == 115200
    assert harness.ask(b"name%")[0] == NAME


def test_rubbish_at_another_rate_does_not_keep_it(harness: Harness) -> None:
    """A stock runner that calls again and again at the boot rate: what arrives is no command."""
    harness.boot()
    harness.ask(b"baud 921600%")
    for _ in range(4):
        harness.silence(REVERT_US // 3)
        harness.ask(b"\xe6\x80\x00%\xff")
    assert harness.baud() == 115200


@pytest.mark.parametrize("alive", [b"name%", "ping"])
def test_a_host_that_speaks_keeps_its_rate(harness: Harness, alive: bytes | str) -> None:
    boot(harness)
    harness.ask(b"baud 921600%")
    for number in range(10):
        harness.silence(REVERT_US - 1000)
        harness.ask(ping(number) if isinstance(alive, str) else alive)
    assert harness.baud() == 921600


def test_a_long_inference_at_another_rate_keeps_it(harness: Harness) -> None:
    boot(harness)
    harness.ask(b"model slow%baud 921600%")
    data = bytes(MODEL_BYTES)
    for number in range(3):
        assert take_apart(harness.ask(run(number, data))[0])[0][-1][0] == "result"
    assert harness.baud() == 921600


def test_frames_and_rate_are_gone_after_a_reset(harness: Harness) -> None:
    boot(harness)
    harness.ask(b"baud 921600%")
    harness.boot()
    assert harness.baud() == 115200
    assert harness.ask(b"\0%")[0] == b"e-[Invalid byte 0x00 in a command]\r\nm-ready\r\n"
