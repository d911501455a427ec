# SPDX-License-Identifier: Apache-2.0
"""Power monitors that are plugged in here, by their USB numbers. Nothing is opened, and no network is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from energy.instruments import NAMES, module_of

USB_DEVICES = Path("/sys/bus/usb/devices")

Usb = tuple[int, int]
"""Vendor and product."""


@dataclass(frozen=True, slots=True)
class Connected:
    """One that is plugged in. address: what to type behind its name, "" where it is no serial port. where: for a
    person. sure: False when these USB numbers stand for other things too."""

    name: str
    address: str
    where: str
    sure: bool


def find_connected(usb_devices: Path = USB_DEVICES) -> list[Connected]:
    """What is plugged in and supported: serial ports, and what Linux lists on USB. None on a network is looked for."""
    ports = dict(_serial_ports())
    serial = set(ports.values())
    others = [(path.name, usb) for path, usb in _usb_devices(usb_devices) if usb not in serial]
    found = []
    for name in NAMES:
        module = module_of(name)
        known: tuple[Usb, ...] = getattr(module, "USB_IDS", ())
        shared: tuple[Usb, ...] = getattr(module, "USB_SHARED", ())
        found += [Connected(name, port, port, usb not in shared) for port, usb in ports.items() if usb in known]
        found += [Connected(name, "", f"USB {place}", usb not in shared) for place, usb in others if usb in known]
    return found


def _serial_ports() -> Iterator[tuple[str, Usb]]:
    from serial.tools import list_ports  # noqa: PLC0415 - importing it looks for the machine's kind

    for port in sorted(list_ports.comports()):
        if port.vid is not None and port.pid is not None:
            yield port.device, (port.vid, port.pid)


def _usb_devices(folder: Path) -> Iterator[tuple[Path, Usb]]:
    for device in sorted(folder.glob("*")):
        try:
            vendor, product = (int((device / part).read_text(), 16) for part in ("idVendor", "idProduct"))
        except (OSError, ValueError):
            continue  # an interface, or gone
        yield device, (vendor, product)
