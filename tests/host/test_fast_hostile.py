"""The fast link at a line that is bad one way only, at a port that goes, and at a device that means harm."""

import os
import pty
import random
import tty

import pytest

from host.device import Device
from host.errors import LinkError
from host.frames import Frame, Kind, encode
from host.link import FakeLink, open_link
from host.link.tinyjoule import TinyjouleDevice, checksum_output
from host.link.uart import FakeUart

OUTPUT_BYTES = 1000


class DamagedAnswers:
    """A Link at which one byte in `one_in` comes damaged from the device above `best_baud`; commands arrive whole."""

    name = "answers:"

    def __init__(self, uart, best_baud, one_in, seed):
        self._uart, self._best_baud, self._one_in = uart, best_baud, one_in
        self._random = random.Random(seed)

    @property
    def baud(self):
        return self._uart.baud

    def set_baud(self, baud):
        self._uart.set_baud(baud)

    def write(self, data):
        self._uart.write(data)

    def read(self, timeout_s):
        data = self._uart.read(timeout_s)
        if self.baud <= self._best_baud:
            return data
        return bytes(byte ^ 4 if self._random.randrange(self._one_in) == 0 else byte for byte in data)

    def close(self):
        self._uart.close()


@pytest.mark.parametrize(("one_in", "seed"), [(300, 1), (500, 1), (500, 3), (1000, 0), (1000, 3), (2000, 2)])
def test_a_rate_at_which_only_large_answers_are_damaged_is_left(one_in, seed):
    """Short frames came through when the rate was proved; no result of 1000 bytes does, or hardly any."""
    inputs = [index.to_bytes(2, "little") * 245 for index in range(300)]
    fake = TinyjouleDevice(capacity=65_536, baud_max=2_000_000, output_bytes=OUTPUT_BYTES)
    line = DamagedAnswers(FakeUart(fake), 115_200, one_in, seed)
    with Device(line, timeout_s=0.05, infer_timeout_s=0.05) as device:
        device.wait_boot()
        device.speed_up()
        raised = line.baud
        came = [output.raw for output in device.stream(inputs)]
        assert raised > line.baud, "else this tests nothing"
    assert came == [checksum_output(data, OUTPUT_BYTES) for data in inputs]


def test_a_port_that_goes_while_its_rate_changes_is_a_link_error():
    master, slave = pty.openpty()
    tty.setraw(slave)
    link = open_link(os.ttyname(slave), 115_200)
    os.close(slave)
    os.close(master)
    with pytest.raises(LinkError, match="replug"):
        link.set_baud(230_400)
    link.close()


@pytest.mark.parametrize("window", [64, 4096, 2**32 - 1])
def test_any_frame_size_may_be_announced(window):
    """Four gigabytes of payload: neither time nor memory is spent on it, and inputs go through."""
    fake = TinyjouleDevice(capacity=500_000, payload=2**32 - 1, window=window)
    with Device(FakeLink(fake), timeout_s=0.2) as device:
        device.wait_boot()
        fast = device.speed_up()
        assert fast.payload_bytes <= 65_536
        fake.payload = 1024  # of its results
        inputs = [bytes([seed]) * 490 for seed in range(5)]
        assert [output.raw for output in device.stream(inputs)] == [checksum_output(data, 12) for data in inputs]


def test_frames_that_come_while_text_is_waited_for_are_not_kept():
    """As a device would send that means harm, or that has something left of a stream before."""
    fake = TinyjouleDevice()
    with Device(FakeLink(fake), timeout_s=0.2) as device:
        device.wait_boot()
        device.speed_up()
        flood = encode(Frame(Kind.RESULT, 0, bytes(60_000))) * 20
        device._reader.link.write(b"name")
        read, first = device._reader.link.read, [flood]
        device._reader.link.read = lambda timeout_s: first.pop() if first else read(timeout_s)
        device._reader.link.write(b"%")
        device._exchange._line(float("inf"))
        assert not device._reader.frames
