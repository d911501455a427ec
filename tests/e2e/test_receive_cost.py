"""What a received byte costs the core, counted in QEMU: interrupt, queue, COBS and both CRCs together. At 2 Mbaud a
byte comes every 600 cycles of the 120 MHz reference board, and no byte may cost a large part of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from vectors.replay import Lines, read_facts, send_input

from host.build import Image
from host.emulator import start
from host.emulator.counter import InstructionCounter
from host.link import Link, open_link
from host.wire import codec

BOARD = "mps2_an386"
CYCLES_PER_BYTE = 120_000_000 * 10 // 2_000_000
# Instructions, where the core sleeps before each byte: about 230, and some more when it is woken for nothing, which the
# load of this machine decides. When it is busy bytes come in batches and cost less.
MOST = CYCLES_PER_BYTE // 2
Counted = tuple[Link, Lines, InstructionCounter]


@pytest.fixture(scope="module")
def device(firmware_image: Callable[[str], Image], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    image = firmware_image(BOARD)
    counter = InstructionCounter(image.elf, tmp_path_factory.mktemp("count"), ("device_poll",))
    with start(image, timed=False, qemu_arguments=counter.qemu_arguments) as emulator:
        link = open_link(emulator.url, image.board.baud)
        lines = Lines(link, 30.0)
        lines.reply()
        yield link, lines, counter
        link.close()


def per_byte(device: Counted, work: Callable[[], int]) -> float:
    """Instructions of the whole firmware for each byte that `work` says it sent."""
    link, _, counter = device
    read_facts(link)
    counter.take("device_poll")
    sent = work()
    return sum(counter.take("device_poll")) / sent


@pytest.mark.parametrize("fill", ["zeros", "mixed"])
def test_a_byte_of_a_frame(device: Counted, fill: str) -> None:
    link, lines, _ = device
    data = bytes(20_000) if fill == "zeros" else bytes(at * 167 % 251 for at in range(20_000))

    def frames() -> int:
        link.write(codec.encode("frames", 1))
        lines.reply()
        send_input(link, lines, "load", data)
        return len(data)

    assert 50 < per_byte(device, frames) <= MOST


def test_a_byte_of_text(device: Counted) -> None:
    link, lines, _ = device
    data = bytes(at % 251 for at in range(2000))

    def text() -> int:
        sent = 0
        for command in codec.encode_load(data):
            link.write(command)
            lines.reply()
            sent += len(command)
        return sent

    assert 50 < per_byte(device, text) <= MOST
