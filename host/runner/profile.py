"""The profile: what each operator of a model costs on the device, beside the whole that they have to add up to.

How many inferences it takes is found here: more and more of them, until the operators' times add up to the whole's.
Instructions, where they are counted, are exact from the first inference on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from host.device import Device, OperatorTimes
from host.emulator.counter import ObservedRun
from host.errors import DeviceError, DeviceRefused
from host.modelinfo import OperatorInfo
from host.results.schema import OperatorCost, Profile
from host.runner.rules import Rules

MAX_DEVIATION = 0.02
MIN_INFERENCES = 3
MAX_WINDOW_US = 1_000_000  # of the first attempt: each further one is twice as long
ATTEMPTS = 5
RESOLUTION_US = 1.0  # of board_clock_us()


@dataclass(frozen=True, slots=True)
class Counts:
    """What the emulator counts, taken as host.emulator.Emulator gives it; [] where nothing counts."""

    take_runs: Callable[[], list[int]]
    take_observed: Callable[[], list[ObservedRun]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A profile, and why it is not to be relied on."""

    profile: Profile
    reasons: tuple[str, ...]


def run_profile(
    device: Device,
    operators: Sequence[OperatorInfo],
    work: tuple[str, bytes],
    rules: Rules,
    counts: Counts,
    latency_us: float,
) -> Outcome:
    """Profile the model that is selected, on `work`: an input's name and its wire bytes.

    operators: of the model's file. latency_us: of one inference by the device's clock, about. Blocks.
    Raises LinkError and DeviceError as the device does, and DeviceError when the answer is not this model's.
    """
    name, data = work
    device.load(data)
    output_crc = device.infer_crc(1, 0).output_crc
    window_us = min(rules.min_window_us, MAX_WINDOW_US)
    inferences = max(MIN_INFERENCES, math.ceil(window_us / max(latency_us, 1.0)))
    for attempt in range(ATTEMPTS):
        counts.take_runs()
        counts.take_observed()
        silent_s = 3 * (rules.warmup + 2 * inferences) * latency_us / 1e6
        times = _ask(device, inferences, rules.warmup, max(silent_s, device.infer_timeout_s))
        if times.output_crc != output_crc:
            raise DeviceError(
                f"operator by operator the model's output has CRC {times.output_crc:08x}, at once {output_crc:08x}: "
                "a mistake in the engine on the device, or bits changed on the line. Try again."
            )
        profile = _profile(operators, name, times, _Counted.of(counts, rules.warmup, times))
        deviations = _deviations(profile)
        if attempt == ATTEMPTS - 1 or all(abs(value) <= MAX_DEVIATION for value in deviations.values()):
            break
        inferences *= 2
    reasons = [
        f"profile: the operators' {what} add up to {value:+.1%} beside the whole, at most {MAX_DEVIATION:.0%} are right"
        for what, value in deviations.items()
        if abs(value) > MAX_DEVIATION
    ]
    return Outcome(profile, tuple(reasons))


def _ask(device: Device, inferences: int, warmup: int, timeout_s: float) -> OperatorTimes:
    try:
        return device.prof(inferences, warmup, timeout_s=timeout_s)
    except DeviceRefused as error:
        if error.kind != "engine_failed":  # it has just run the same input, unobserved
            raise
        raise DeviceError(
            f"the engine on the board does not tell its operators apart ({error.text}): an upstream "
            "library built with TF_LITE_STRIP_ERROR_STRINGS has no profiler. Use another, or leave out --profile."
        ) from error


@dataclass(frozen=True, slots=True)
class _Counted:
    """Instructions per inference: of the whole, and of the operators in the order of `prof`."""

    whole: int
    operators: tuple[int, ...]

    @classmethod
    def of(cls, counts: Counts, warmup: int, times: OperatorTimes) -> _Counted | None:
        runs, observed = counts.take_runs(), counts.take_observed()
        if not runs and not observed:
            return None
        wanted = {len(times.operators)}
        if (len(runs), len(observed)) != (warmup + times.whole.runs, times.whole.runs) or {
            len(run.parts) for run in observed
        } != wanted:
            raise DeviceError(
                f"the plugin has counted {len(runs)} inferences and {len(observed)} operator by operator, the device "
                f"made {warmup + times.whole.runs} and {times.whole.runs}: the firmware's ELF file is not what runs."
            )
        # One input: they differ only where an interrupt came in between.
        parts = zip(*(run.parts for run in observed), strict=True)
        return cls(_middle(runs), tuple(_middle(part) for part in parts))


def _middle(values: Sequence[int]) -> int:
    return sorted(values)[(len(values) - 1) // 2]


def _profile(operators: Sequence[OperatorInfo], name: str, times: OperatorTimes, counted: _Counted | None) -> Profile:
    by_index = {operator.index: number for number, operator in enumerate(times.operators)}
    unknown = by_index.keys() - {operator.index for operator in operators}
    if unknown:
        raise DeviceError(
            f"the device has run operators {sorted(unknown)}, the model's file has {len(operators)}: another model is "
            "on the board, or the line lost bytes."
        )
    runs, whole = times.whole.runs, times.whole
    costs = []
    for operator in operators:
        number = by_index.get(operator.index)
        time = None if number is None else times.operators[number]
        costs.append(
            OperatorCost(
                index=operator.index,
                name=operator.name,
                shape=list(operator.shape),
                macs=operator.macs,
                bytes=operator.bytes,
                us=time.us / runs if time else None,
                cycles=time.cycles / runs if time and whole.cycles else None,
                instructions=counted.operators[number] if counted and number is not None else None,
            )
        )
    profile = Profile(
        input=name,
        inferences=runs,
        operators=costs,
        whole_us=whole.us / runs,
        whole_cycles=whole.cycles / runs if whole.cycles else None,
        whole_instructions=counted.whole if counted else None,
        resolution_us=RESOLUTION_US,
        deviation=0.0,
    )
    return msgspec.structs.replace(profile, deviation=next(iter(_deviations(profile).values())))


def _deviations(profile: Profile) -> dict[str, float]:
    """What the operators add up to, less the whole, as a part of it; the best witness first."""
    costs = profile.operators
    sums: dict[str, tuple[float | None, Sequence[float | None]]] = {
        "instructions": (profile.whole_instructions, [cost.instructions for cost in costs]),
        "cycles": (profile.whole_cycles, [cost.cycles for cost in costs]),
        "times": (profile.whole_us, [cost.us for cost in costs]),
    }
    return {
        what: sum(value for value in values if value is not None) / max(whole, 1e-9) - 1
        for what, (whole, values) in sums.items()
        if whole is not None
    }
