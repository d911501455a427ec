# SPDX-License-Identifier: Apache-2.0
"""The power monitor of a session: what a person typed, the open instrument, and the virtual analyser where it is one.

It is opened before the board, which it may power, and left safe after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from energy.accuracy import lookup, simulated
from energy.errors import EnergyError, MonitorUnknown
from energy.instrument import Instrument, Settings, is_virtual
from energy.instruments import module_of, open_monitor, parse_monitor
from host.errors import DeviceError, LinkError, SetupError, UsageError
from host.results import schema
from host.results.journal import MonitorPlan, MonitorRecord
from host.runner.plan import Place

if TYPE_CHECKING:
    from host.build import Image
    from host.emulator.analyser import VirtualAnalyser

SIMULATED = "simulated"
"""The address, and the instrument, of the virtual analyser that measures an emulated board."""
ASSUMED_V = 3.3  # of a board whose voltage nobody measures or states
SUPPLIED_V = 1.8  # by a monitor that is the supply, when nobody states more: it harms no microcontroller
TRUTH_FILE = "truth.json"
_VIRTUAL = "virtual"  # the dialect of `simulated`
_OPTIONS = ("seed", "faults", "errors")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A monitor as typed. address: "" where we start the virtual analyser, with these options of it."""

    name: str
    address: str
    seed: int = 1
    faults: str = ""
    errors: str = "drawn"

    @property
    def simulated(self) -> bool:
        """Whether it measures an emulated board of this session."""
        return not self.address


@dataclass(frozen=True, slots=True)
class Monitor:
    """An instrument that is open and set up. voltage_v: what it supplies, or what is assumed where nobody measures."""

    instrument: Instrument
    settings: Settings
    record: MonitorRecord
    analyser: VirtualAnalyser | None = None

    @property
    def trigger_s(self) -> float:
        """From the edge that triggers a capture to its first sample, +- limit, as far as anybody knows."""
        record = self.record
        accuracy = lookup(record.model, record.range_a, record.voltage_v, voltage_measured=record.measures_voltage)
        return accuracy.trigger_s if accuracy else 0.0

    def qemu_arguments(self, image: Image) -> Sequence[str]:
        """What an emulated board needs so that the virtual analyser sees what it does."""
        return self.analyser.qemu_arguments(image) if self.analyser else ()

    def label(self, task: str, window: int, inferences: int) -> None:
        """Tell the virtual analyser which window comes now, for its list of true energies."""
        if self.analyser:
            self.analyser.label(task, window, inferences)


def wanted_monitor(text: str | None, at_port: bool) -> str:
    """NAME@ADDRESS in full, of what was typed, or of nothing. at_port: the board is at a port, not emulated by us.

    Raises UsageError when it makes no sense, or when nobody can tell which monitor is meant.
    """
    if text is None and at_port:
        raise UsageError(
            "energy of a board at a port needs a power monitor: --monitor NAME@ADDRESS, e.g. --monitor "
            "lpm01a@/dev/ttyACM1. `host monitors` lists what is supported and connected."
        )
    wanted = parse_wanted(text or SIMULATED)
    if wanted.simulated and at_port:
        raise UsageError(
            f"--monitor {text} measures an emulated board that the session starts itself: leave out --port, or name "
            "the address of a real monitor (`host monitors`)."
        )
    name, _, address = (text or SIMULATED).partition("@")
    return f"{name}@{address or SIMULATED}"


def parse_wanted(text: str) -> Wanted:
    """What NAME@ADDRESS means. Raises UsageError."""
    try:
        name, address = parse_monitor(text)
    except MonitorUnknown as error:
        raise UsageError(str(error)) from error
    address = address or (SIMULATED if name == SIMULATED else "")
    if not address:
        raise UsageError(
            f"{name} needs an address: --monitor {name}@{module_of(name).ADDRESS}; or --monitor {name}@{SIMULATED}, "
            "which has it measure an emulated board."
        )
    where, _, query = address.partition("?")
    if where != SIMULATED:
        return Wanted(name, address)
    options = parse_qs(query, keep_blank_values=True, separator="&")
    unknown = [option for option in options if option not in _OPTIONS]
    seed = options.get("seed", ["1"])[-1]
    if unknown or not seed.isdecimal():
        raise UsageError(
            f"--monitor {text}: {unknown[0] if unknown else f'seed={seed}'} is no option of the virtual analyser: "
            "seed=NUMBER, faults=KIND[@S][,...], errors=none|drawn|FILE.toml, with & between them."
        )
    return Wanted(name, "", int(seed), ",".join(options.get("faults", [])), options.get("errors", ["drawn"])[-1])


def moved(was: str, now: str | None) -> str:
    """The monitor of a session that goes on, which may be at another address. Raises UsageError for another one."""
    if now is None:
        return was
    if now.partition("@")[0] != (name := was.partition("@")[0]):
        raise UsageError(f"--monitor {now} is not the session's, which is {name}: start a new session with it.")
    return wanted_monitor(now, not parse_wanted(was).simulated)


@contextmanager
def opened_monitor(plan: MonitorPlan, folder: Path | None) -> Iterator[Monitor]:
    """The monitor of the plan, set up and, where it is the board's supply, on. It is left safe at the end.

    folder: where the virtual analyser writes the true energies. Raises EnergyError, UsageError and SetupError. A board
    that does not answer although the monitor feeds it gets that told in its LinkError.
    """
    wanted = parse_wanted(plan.monitor)
    with ExitStack() as stack:
        analyser = stack.enter_context(_analyser(wanted, folder)) if wanted.simulated else None
        address = analyser.address if analyser else wanted.address
        instrument = stack.enter_context(open_monitor(f"{wanted.name}@{address}"))
        voltage_v = _simulated_v() if analyser else SUPPLIED_V if instrument.is_supply else ASSUMED_V
        if analyser and not instrument.is_supply and plan.voltage_v not in (None, voltage_v):
            raise UsageError(
                f"--voltage {plan.voltage_v:g}: the emulated board runs at {voltage_v:g} V, and {wanted.name} is not "
                "what feeds it: leave it out, or take a monitor that is the supply (`host monitors`)."
            )
        settings = instrument.configure(
            Settings(
                rate_hz=plan.rate_hz or instrument.default_rate_hz,
                range_a=None if plan.range_a == "auto" else plan.range_a or instrument.default_range_a,
                voltage_v=plan.voltage_v or voltage_v,
            )
        )
        if instrument.is_supply:
            instrument.set_supply(True)
        record = MonitorRecord(
            name=wanted.name,
            idn=instrument.idn,
            model=simulated(instrument.model) if analyser else instrument.model,
            windows=instrument.windows,
            measures_voltage=instrument.measures_voltage,
            rate_hz=settings.rate_hz,
            range_a=settings.range_a,
            voltage_v=settings.voltage_v,
        )
        try:
            yield Monitor(instrument, settings, record, analyser)
        except LinkError as error:
            if instrument.is_supply and analyser is None:
                error.add_note(
                    f"{wanted.name} is set to feed the board with {settings.voltage_v:g} V: if that is not what it "
                    "needs, look up what it bears and say so with --voltage."
                )
            raise


def check_measurable(plan: MonitorPlan | None, pairs: Sequence[Place]) -> None:
    """Raises UsageError when nobody can measure the energy of these boards with this monitor."""
    if plan is None:
        return
    if len(pairs) != 1:
        raise UsageError("energy is measured on one board at a time: name one --board or --port, and no --emulators.")
    (place,) = pairs
    wanted = parse_wanted(plan.monitor)
    if wanted.simulated:
        _check_simulated(wanted)
    if place.port is None and not wanted.simulated:
        raise UsageError(
            f"{plan.monitor} measures a real board: name its --port; an emulated one takes --monitor "
            f"{wanted.name}@{SIMULATED}."
        )
    if place.port is None and place.board is not None and place.board.qemu_machine is None:
        raise UsageError(
            f"{place.board.name} is a process of this machine, whose power nobody models: take an emulated Cortex-M, "
            "`host boards` lists them."
        )


def _check_simulated(wanted: Wanted) -> None:
    """Raises UsageError for what the virtual analyser cannot be."""
    from energy.simulator.faults import parse_faults  # noqa: PLC0415 - only where nothing real is measured
    from energy.simulator.server import NAMES  # noqa: PLC0415

    if _dialect(wanted) not in NAMES:
        known = ", ".join(SIMULATED if name == _VIRTUAL else name for name in NAMES)
        raise UsageError(f"the virtual analyser cannot be a {wanted.name}: an emulated board is measured by {known}.")
    try:
        parse_faults(wanted.faults)
    except EnergyError as error:
        raise UsageError(f"--monitor: {error}") from error


def _dialect(wanted: Wanted) -> str:
    return _VIRTUAL if wanted.name == SIMULATED else wanted.name


def check_provenance(monitor: Monitor, provenance: schema.Provenance) -> None:
    """Emulated power is never told of a board that was measured. Raises DeviceError."""
    if is_virtual(monitor.record.idn) and provenance != "emulated":
        raise DeviceError(
            "the board at this port is a real one, and the monitor is the virtual analyser, which cannot measure it: "
            "name the power monitor that measures it (`host monitors`)."
        )


def check_same(was: MonitorRecord | None, now: MonitorRecord) -> None:
    """A session goes on with the monitor it had, set up as it was. Raises SetupError."""
    for field in MonitorRecord.__struct_fields__:
        old, new = getattr(was, field, None), getattr(now, field)
        if old != new:
            raise SetupError(
                f"this session cannot go on: the {field} of its power monitor is {new}, it was {old}. Numbers of both "
                "would be mixed: connect and set up the one it was, or start a new session."
            )


def _simulated_v() -> float:
    """What the emulated board's current model is made for."""
    from energy.simulator.current import load_model  # noqa: PLC0415 - only where nothing real is measured

    return load_model().supply.volts


def _analyser(wanted: Wanted, folder: Path | None) -> VirtualAnalyser:
    from host.emulator.analyser import VirtualAnalyser  # noqa: PLC0415 - only where nothing real is measured

    return VirtualAnalyser(
        _dialect(wanted),
        seed=wanted.seed,
        faults=wanted.faults,
        errors=wanted.errors,
        truth=folder / TRUTH_FILE if folder else None,
    )
