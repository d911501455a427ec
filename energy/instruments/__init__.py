# SPDX-License-Identifier: Apache-2.0
"""Power monitors: one module each, found by its name. The contract is energy/instrument.py."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from energy.errors import MonitorUnknown
from energy.instrument import Instrument

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


def module_of(name: str) -> ModuleType:
    """The module of an instrument. Raises MonitorUnknown."""
    if name not in NAMES:
        raise MonitorUnknown(f"no power monitor is called {name}: there are {', '.join(NAMES)} (`host monitors`).")
    return importlib.import_module(f"energy.instruments.{name}")


def parse_monitor(text: str) -> tuple[str, str]:
    """NAME@ADDRESS as typed, taken apart; the address is "" where there is none. Raises MonitorUnknown."""
    name, _, address = text.partition("@")
    module_of(name)
    return name, address


def open_monitor(text: str) -> Instrument:
    """Open NAME@ADDRESS and ask it who it is. Raises EnergyError."""
    name, address = parse_monitor(text)
    module = module_of(name)
    if not address:
        raise MonitorUnknown(f"{name} needs an address: --monitor {name}@{module.ADDRESS}")
    instrument: Instrument = module.open_instrument(address)
    return instrument
