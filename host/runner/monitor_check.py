# SPDX-License-Identifier: Apache-2.0
"""Is a power monitor sane? Looks at it with the load off and on, and at the timing pin, without a measurement.

It is lenient on purpose: it finds a wrong range, a lead that is swapped, a board that is not powered, a pin that is not
connected. How good the numbers are is for the uncertainty of a measurement to say.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from energy.accuracy import lookup
from energy.capture import measure_reference, measure_window
from energy.errors import InstrumentError
from energy.instrument import Instrument, is_virtual
from energy.window import Reading
from host import build
from host.boards import Board, get_board
from host.device import Device, DeviceInfo
from host.errors import UsageError
from host.report.progress import Reporter
from host.results.journal import MonitorPlan
from host.results.monitor_check import SCHEMA, Item, MonitorCheck, Verdict
from host.runner.monitor import SIMULATED, Monitor, opened_monitor, parse_wanted
from host.runner.monitor_look import CAPTURE_S, PATIENCE_S, Seen, capture, read_on
from host.runner.target import DEFAULT_BOARD, Connection, Target

SETTLE_S = 0.5
"""After the supply was switched: capacitors empty and fill, firmware starts."""
PULSES = 3
PAUSE_S = 0.1
"""Between two pulses of the timing pin."""
WINDOW_S = 0.1
"""Length of the window by which the clocks are compared, at least: longer where samples are far apart."""
WALL_TOLERANCE = 0.25  # samples arrive in blocks, on a machine that does other things as well
CLOCK_TOLERANCE = 0.01  # as in a session
VOLTAGE_TOLERANCE = 0.05
ZERO_OF_RANGE = 1e-3
"""What passes for zero where nobody knows the instrument's accuracy."""
LEAST_ZERO_OF_RANGE = 1e-5
"""What passes for zero where a data sheet names no offset: it means readings far from zero."""


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """What a person asked for. board: of an emulated board, or what the one at `port` has to be."""

    monitor: MonitorPlan
    board: str | None = None
    port: str | None = None


def check_monitor(plan: CheckPlan, reporter: Reporter) -> MonitorCheck:
    """Look at everything. Blocks for some seconds; a supply is off afterwards.

    Raises UsageError, EnergyError where the instrument fails, and what a board raises.
    """
    image, board = _image(plan, reporter)
    wanted = parse_wanted(plan.monitor.monitor)
    simulated, virtual = wanted.simulated, wanted.simulated or wanted.name == SIMULATED
    with opened_monitor(plan.monitor, None) as monitor, _off_at_last(monitor.instrument):
        items = [Item(item="identity", verdict="ok", text=monitor.instrument.idn)]
        more = monitor.qemu_arguments(image) if image else ()
        with Connection(board, plan.port, None, timed=True, image=image, mode="both", qemu_arguments=more) as link:
            # What an emulated board does is all that the virtual analyser has to look at.
            target = link.open() if simulated else None
            with reporter.step("looking at the load off"):
                items.append(_zero(monitor))
            with reporter.step("looking at the load on"):
                target = target or (link.open() if plan.port is not None else None)
                items += _idle(plan.monitor, monitor, emulated=virtual)
            with reporter.step("looking at the timing pin"):
                items += _pin(monitor, target)
        virtual = virtual or is_virtual(monitor.instrument.idn)  # it may run by itself, at any address
        queue = monitor.instrument.errors()
        items += [Item(item="errors", verdict="bad" if queue else "ok", text="; ".join(queue) or "none reported")]
        return MonitorCheck(
            schema=SCHEMA,
            provenance="emulated" if virtual or (target and target.provenance == "emulated") else "measured",
            monitor=plan.monitor.monitor,
            idn=monitor.instrument.idn,
            model=monitor.instrument.model,
            windows=monitor.instrument.windows,
            rate_hz=monitor.settings.rate_hz,
            range_a=monitor.settings.range_a,
            voltage_v=monitor.settings.voltage_v,
            board=target.board.name if target and target.board else None,
            items=items,
        )


def _image(plan: CheckPlan, reporter: Reporter) -> tuple[build.Image | None, Board | None]:
    """What is emulated, and the board that is meant."""
    simulated = parse_wanted(plan.monitor.monitor).simulated
    if not simulated:
        if plan.port is None and plan.board is not None:
            raise UsageError(f"--board {plan.board}: say where it is with --port, or leave both out.")
        return None, get_board(plan.board) if plan.board else None
    if plan.port is not None:
        raise UsageError("the virtual analyser measures a board that is emulated here: leave out --port.")
    board = get_board(plan.board or DEFAULT_BOARD)
    if board.qemu_machine is None:
        raise UsageError(f"{board.name} is no emulated Cortex-M: `host boards` lists them.")
    with reporter.step(f"building the firmware for {board.name}"):
        return build.build(board), board


@contextmanager
def _off_at_last(instrument: Instrument) -> Iterator[None]:
    try:
        yield
    finally:
        if instrument.is_supply:
            with suppress(InstrumentError):  # what went wrong before is what a person has to know
                instrument.set_supply(False)


def _zero_limit(monitor: Monitor) -> tuple[float, str]:
    """How far from zero a mean current may be with nothing connected, in amperes, and by what."""
    settings, instrument = monitor.settings, monitor.instrument
    known = lookup(
        monitor.record.model, settings.range_a, settings.voltage_v, voltage_measured=instrument.measures_voltage
    )
    if known is not None:
        limit_a = known.current.offset + 5 * known.current.noise / math.sqrt(settings.rate_hz * CAPTURE_S)
        return max(limit_a, LEAST_ZERO_OF_RANGE * (settings.range_a or 0.0)), "its accuracy"
    return (settings.range_a or 1.0) * ZERO_OF_RANGE, "0.1 % of the range: no accuracy data"


def _zero(monitor: Monitor) -> Item:
    instrument = monitor.instrument
    if not instrument.is_supply:
        text = "it does not power the board: switch the board's own supply off, and see what `host monitors check` says"
        return Item(item="zero offset", verdict="not seen", text=text)
    instrument.set_supply(False)
    time.sleep(SETTLE_S)
    seen = capture(monitor, CAPTURE_S)
    instrument.set_supply(True)
    time.sleep(SETTLE_S)
    limit_a, by = _zero_limit(monitor)
    if not seen.good:
        return Item(item="zero offset", verdict="bad", text="no sample came with the supply off")
    text = f"{_amperes(seen.mean_a)} with the supply off, at most {_amperes(limit_a)} by {by}"
    verdict: Verdict = "ok" if abs(seen.mean_a) <= limit_a else "bad"
    if verdict == "bad":
        text += ": zero it, or look for what else feeds the board"
    return Item(item="zero offset", verdict=verdict, text=text, value=seen.mean_a, unit="A")


def _idle(plan: MonitorPlan, monitor: Monitor, *, emulated: bool) -> list[Item]:
    """Power, voltage, rate and the samples themselves, with the load on."""
    second = CAPTURE_S * monitor.settings.rate_hz
    # Longer where samples come a second's at a time.
    seen = capture(monitor, 3 * CAPTURE_S, lambda seen: seen.samples >= second and seen.pace is not None)
    if not seen.samples:
        return [Item(item="samples", verdict="bad", text="no sample came: see its display, and its trigger's setting")]
    return [
        _power(monitor, seen),
        _voltage(plan, monitor, seen),
        _rate(plan, monitor, seen, emulated=emulated),
        _samples(seen),
    ]


def _power(monitor: Monitor, seen: Seen) -> Item:
    limit_a, by = _zero_limit(monitor)
    value = seen.mean_w if seen.good else None
    if value is None or seen.overloads:
        range_a = monitor.settings.range_a
        held = f"{range_a:g} A" if range_a else "auto-range"
        text = f"{seen.overloads} of {seen.samples} samples are overloaded: take a larger --range than {held}"
        return Item(item="idle power", verdict="bad", text=text, value=value, unit="W")
    text = f"{_watts(seen.mean_w)}, {_amperes(seen.mean_a)}"
    if seen.mean_a < -limit_a:
        return Item(item="idle power", verdict="bad", text=f"{text}: the leads are swapped", value=value, unit="W")
    if seen.mean_a <= limit_a:
        text += (
            f", not more than what passes for zero ({_amperes(limit_a)}, {by}): is the board on, is a smaller --range"
        )
        return Item(item="idle power", verdict="bad", text=f"{text} enough?", value=value, unit="W")
    return Item(item="idle power", verdict="ok", text=text, value=value, unit="W")


def _voltage(plan: MonitorPlan, monitor: Monitor, seen: Seen) -> Item:
    set_v = monitor.settings.voltage_v
    if not monitor.instrument.measures_voltage:
        what = "set" if monitor.instrument.is_supply else "assumed"
        return Item(
            item="voltage", verdict="not seen", text=f"not measured: {what}, {set_v:.3f} V", value=set_v, unit="V"
        )
    if not seen.good:
        return Item(item="voltage", verdict="bad", text="no good sample")
    expected = monitor.instrument.is_supply or plan.voltage_v is not None
    sane = abs(seen.mean_v - set_v) <= VOLTAGE_TOLERANCE * set_v if expected else 0.5 <= seen.mean_v <= 60
    text = f"{seen.mean_v:.3f} V" + (f", {set_v:.3f} V expected" if expected else "")
    if not sane:
        text += ": look at the sense leads and at what the supply is set to"
    return Item(item="voltage", verdict="ok" if sane else "bad", text=text, value=seen.mean_v, unit="V")


def _rate(plan: MonitorPlan, monitor: Monitor, seen: Seen, *, emulated: bool) -> Item:
    asked_hz = plan.rate_hz or monitor.instrument.default_rate_hz
    got_hz, pace = monitor.settings.rate_hz, seen.pace
    text = f"asked for {asked_hz:,.10g} per second, it says {got_hz:,.10g}"
    if pace is None:
        return Item(item="rate", verdict="not seen", text=f"{text}; they came all at once: nobody can count them")
    text += f", {got_hz * pace:,.0f} counted in a second of this machine's clock"
    verdict: Verdict = "ok" if abs(pace - 1) <= WALL_TOLERANCE else "bad"
    if emulated and pace < 1 - WALL_TOLERANCE:
        verdict, text = "not seen", f"{text}: does the virtual analyser keep up on this machine?"
    return Item(item="rate", verdict=verdict, text=text, value=got_hz * pace, unit="Hz")


def _samples(seen: Seen) -> Item:
    wrong = {"lost": seen.lost, "NaN": seen.nans, "overloaded": seen.overloads}
    text = ", ".join(f"{count:,} {what}" for what, count in wrong.items() if count) or "none lost, NaN or overloaded"
    verdict: Verdict = "bad" if any(wrong.values()) else "ok"
    return Item(item="samples", verdict=verdict, text=f"{seen.samples:,}: {text}", value=float(seen.samples))


def _pin(monitor: Monitor, target: Target | None) -> list[Item]:
    """The timing pin, and by it the clocks where the board tells the time."""
    if target is None:
        text = "nobody moved it: say where the board is, --port URL"
        return [Item(item="timing pin", verdict="not seen", text=text)]
    items = [(_trigger if monitor.instrument.windows == "trigger" else _pulses)(monitor, target)]
    if items[0].verdict == "ok" and target.info is not None:  # our firmware
        items.append(_clock(monitor, target.device, target.info))
    return items


def _pulses(monitor: Monitor, target: Target) -> Item:
    seen = Seen()
    monitor.instrument.start(triggered=False, duration_s=PULSES * PAUSE_S + PATIENCE_S)
    try:
        read_on(monitor, seen, PAUSE_S)
        for _ in range(PULSES):
            target.device.timestamp_us()
            read_on(monitor, seen, PAUSE_S)
        read_on(monitor, seen, CAPTURE_S, lambda seen: len(seen.falls) >= PULSES)
        read_on(monitor, seen, PAUSE_S)  # does it fall more often?
    finally:
        monitor.instrument.stop()
    return _judged_falls(len(seen.falls), target)


def _judged_falls(falls: int, target: Target) -> Item:
    text = f"{PULSES} times moved, seen to fall {falls} times"
    if falls < PULSES:
        text += ": look at its wire" + ("" if target.info else ", and whether the firmware is in energy mode")
    elif falls > PULSES:
        text += ": it bounces, or another signal is on that input"
    return Item(item="timing pin", verdict="ok" if falls == PULSES else "bad", text=text, value=float(falls))


def _trigger(monitor: Monitor, target: Target) -> Item:
    instrument = monitor.instrument
    instrument.start(triggered=True, duration_s=CAPTURE_S)
    try:
        early = Seen()
        until = time.monotonic() + 3 * PAUSE_S
        while time.monotonic() < until and not early.samples:
            chunk = instrument.read(PAUSE_S)
            if chunk is not None:
                early.add(chunk, monitor.settings.voltage_v)
        if early.samples:
            text = "it triggers before the pin moves: look at its wire, and at what else is on that input"
            return Item(item="timing pin", verdict="bad", text=text)
        target.device.timestamp_us()
        seen = read_on(monitor, Seen(), CAPTURE_S, lambda seen: seen.samples > 0)
    finally:
        instrument.stop()
    if seen.samples:
        return Item(item="timing pin", verdict="ok", text="a capture began when it fell", value=1.0)
    text = "moved, but no capture began: look at its wire" + ("" if target.info else ", and at the firmware's mode")
    return Item(item="timing pin", verdict="bad", text=text, value=0.0)


def _clock(monitor: Monitor, device: Device, info: DeviceInfo) -> Item:
    """The board's time of a window against the instrument's."""
    if not info.models:
        return Item(item="clock", verdict="not seen", text="the board has no model to run")
    if info.model is None:
        device.select_model(info.models[0])
    device.load(bytes((device.info() or info).input_bytes))
    one_s = (device.infer(1, 1).duration_us or 0) / 1e6
    if not one_s:
        return Item(item="clock", verdict="not seen", text="the board tells no time in this mode")
    count = math.ceil(max(WINDOW_S, 4 / (CLOCK_TOLERANCE * monitor.settings.rate_hz)) / one_s)

    def infer(count: int) -> float:
        # The next command would wake it while a triggered window's end is being looked for.
        return (device.infer(count, 1, quiet_s=PAUSE_S).duration_us or 0) / 1e6

    instrument, settings, reference = monitor.instrument, monitor.settings, None
    time.sleep(PAUSE_S)
    if instrument.windows == "trigger":
        reference = measure_reference(instrument, settings, lambda: infer(1), one_s)
        time.sleep(PAUSE_S)
    reading = measure_window(instrument, settings, lambda: infer(count), count * one_s, reference=reference)
    return _judged_window(reading)


def _judged_window(reading: Reading) -> Item:
    ratio = reading.clock_ratio if reading.complete else None
    if ratio is None or not reading.valid:
        return Item(item="clock", verdict="bad", text="; ".join(reading.reasons) or "no window was seen", value=ratio)
    text = f"the board says {reading.device_s:.6f} s, the monitor {reading.duration_s:.6f} s"
    verdict: Verdict = "ok" if abs(ratio - 1) <= CLOCK_TOLERANCE else "bad"
    return Item(item="clock", verdict=verdict, text=text, value=ratio)


def _amperes(value: float) -> str:
    return _scaled(value, "A")


def _watts(value: float) -> str:
    return _scaled(value, "W")


def _scaled(value: float, unit: str) -> str:
    if value == 0:
        return f"0 {unit}"
    for factor, prefix in ((1.0, ""), (1e3, "m"), (1e6, "u")):
        if abs(value) * factor >= 1:
            return f"{value * factor:.4g} {prefix}{unit}"
    return f"{value * 1e9:.4g} n{unit}"
