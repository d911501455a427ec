"""Fake devices for the tests of Device and of its exchanges."""

from host.device import Device
from host.link import FakeLink, FaultyLink
from host.link.tinyjoule import TinyjouleDevice

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
