# SPDX-License-Identifier: Apache-2.0
"""What the simulated instrument does wrong: gain and offset of both converters, its clock, its trigger, its noise.

`drawn` errors lie evenly inside what energy/accuracy.toml promises of the model, as a data sheet means it; they stay
the same as long as the simulator runs.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from energy import accuracy
from energy.errors import EnergyError
from energy.simulator.dialect import Hardware


@dataclass(frozen=True, slots=True)
class FunctionErrors:
    """Of one function in one range: reading = (1 + gain) * true + offset + noise. offset, noise (standard deviation of
    a sample at the highest rate): amperes or volts."""

    gain: float = 0.0
    offset: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """current: of each of the hardware's ranges. clock: the instrument's clock runs at (1 + clock) times true time.
    trigger_s: from the edge to the first sample. supply_gain: what the supply gives is (1 + supply_gain) of what is
    set or assumed. quantised: whether readings come in steps of the converter."""

    current: tuple[FunctionErrors, ...]
    voltage: FunctionErrors
    clock: float = 0.0
    trigger_s: float = 0.0
    supply_gain: float = 0.0
    quantised: bool = True


def ideal(hardware: Hardware) -> ErrorModel:
    """No errors at all."""
    return ErrorModel((FunctionErrors(),) * len(hardware.ranges_a), FunctionErrors(), quantised=False)


def drawn(hardware: Hardware, seed: int, supply_v: float) -> ErrorModel:
    """Errors inside the model's accuracy, the same for the same seed. Raises EnergyError without an entry for it."""
    draw = np.random.Generator(np.random.Philox(key=[seed, 0xE7707]))
    measured = hardware.measures_voltage
    key = accuracy.simulated(hardware.model)
    entries = [accuracy.lookup(key, range_a, supply_v, voltage_measured=measured) for range_a in hardware.ranges_a]
    first = next((entry for entry in entries if entry is not None), None)
    if first is None:
        raise EnergyError(
            f"energy/accuracy.toml does not say how accurate {hardware.model} is at {supply_v} V: start the analyser "
            "with --errors none, or with a file of your own."
        )
    # One draw for each error, in this order: the clock's does not change with the number of ranges.
    units = draw.uniform(-1.0, 1.0, 5 + 2 * len(entries)).tolist()
    volts = first.voltage
    return ErrorModel(
        current=tuple(
            _of_range(hardware, range_a, entry, units[5 + 2 * index : 7 + 2 * index])
            for index, (entry, range_a) in enumerate(zip(entries, hardware.ranges_a, strict=True))
        ),
        voltage=FunctionErrors(units[0] * volts.gain, units[1] * volts.offset, volts.noise or hardware.noise_v)
        if measured
        else FunctionErrors(),
        clock=units[2] * first.clock,
        trigger_s=units[3] * first.trigger_s,
        supply_gain=0.0 if measured else units[4] * volts.gain,
    )


def _of_range(
    hardware: Hardware, range_a: float, entry: accuracy.Accuracy | None, units: list[float]
) -> FunctionErrors:
    """A range without an entry only has noise: what is measured in it has no uncertainty to be held to."""
    noise = hardware.noise_i * range_a
    if entry is None:
        return FunctionErrors(noise=noise)
    limits = entry.current
    return FunctionErrors(units[0] * limits.gain, units[1] * limits.offset, limits.noise or noise)


_KEYS = ("gain_i", "offset_i", "noise_i", "gain_v", "offset_v", "noise_v", "clock", "trigger_s", "supply_gain")


def from_file(hardware: Hardware, path: Path) -> ErrorModel:
    """Errors as a TOML file states them: any of gain_i, offset_i (A), noise_i (A), gain_v, offset_v (V), noise_v (V),
    clock, trigger_s, supply_gain; what is left out is 0. Gains and clock are fractions. Raises EnergyError."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EnergyError(f"{path} gives no errors of an instrument: {error}.") from error
    for key, value in table.items():
        sane = isinstance(value, int | float) and math.isfinite(value) and abs(value) < 0.5
        if key not in _KEYS or not sane or (key.startswith("noise") and value < 0):
            raise EnergyError(f"{path}: {key} = {value!r} is no error of an instrument: there are {', '.join(_KEYS)}.")
    given = {key: float(table.get(key, 0.0)) for key in _KEYS}
    current = FunctionErrors(given["gain_i"], given["offset_i"], given["noise_i"])
    return ErrorModel(
        current=(current,) * len(hardware.ranges_a),
        voltage=FunctionErrors(given["gain_v"], given["offset_v"], given["noise_v"]),
        clock=given["clock"],
        trigger_s=given["trigger_s"],
        supply_gain=given["supply_gain"],
    )


def of(text: str, hardware: Hardware, seed: int, supply_v: float) -> ErrorModel:
    """`none`, `drawn` or a TOML file's name. Raises EnergyError."""
    if text == "none":
        return ideal(hardware)
    return drawn(hardware, seed, supply_v) if text == "drawn" else from_file(hardware, Path(text))
