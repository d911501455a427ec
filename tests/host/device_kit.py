"""Fake devices for the tests of Device and of its exchanges."""

import random

from host import frames
from host.device import Device
from host.frames import Kind
from host.link import FakeLink, FaultyLink
from host.link.tinyjoule import TinyjouleDevice, checksum_output

DATA = bytes(range(256)) + bytes(234)  # 490 bytes, as kws01 has


def make(device=None, faults=(), **options):
    """A Device over a fake one (ours unless given), and the cable between them."""
    cable = FaultyLink(FakeLink(device or TinyjouleDevice()), faults)
    return Device(cable, **options), cable


def answers(**by_command):
    """A device that gives these answers, to the words given with _ for a space, and else those of ours."""
    real = TinyjouleDevice()
    scripted = {command.replace("_", " "): answer for command, answer in by_command.items()}
    return lambda command: scripted[command] if command in scripted else real(command)


def fast(device=None, *, expected=True, **options):
    """As `make`, sped up; `expected`: whether that works."""
    made, cable = make(device, timeout_s=0.05, infer_timeout_s=0.05, **options)
    made.wait_boot()
    assert (made.speed_up() is not None) == expected
    return made, cable


def right(inputs, output_bytes=12):
    return [checksum_output(data, output_bytes) for data in inputs]


def raws(stream):
    return [output.raw for output in stream]


def sliding(count, window=2560, stride=512, seed=1):
    """As ad01's windows: each begins with what the one before it ends with."""
    data = random.Random(seed).randbytes(window + (count - 1) * stride)
    return [data[at * stride : at * stride + window] for at in range(count)]


def lose(fake, wanted):
    """A device whose answer to some frames loses the frames of a kind: `wanted(kind, count)` tells which are kept."""
    real, counts = fake.framing.take, dict.fromkeys(Kind, 0)

    def take(byte):
        answer = real(byte)
        if not answer:
            return answer
        kept = b""
        for part in frames.Splitter().feed(answer):
            counts[part.kind] += 1
            if wanted(part.kind, counts[part.kind]):
                kept += frames.encode(part)
        return kept

    fake.framing.take = take
