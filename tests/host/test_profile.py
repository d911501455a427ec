"""Profiles: how many inferences they take, what does not add up, and the table. Real devices are in tests/e2e."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from device_kit import DATA, answers, make
from rich.console import Console
from test_results import make_result

from host.device import Device, OperatorTimes
from host.emulator.counter import ObservedRun
from host.errors import DeviceError, DeviceRefused, GarbledReply, LoadIncomplete
from host.modelinfo import OperatorInfo, read_operators
from host.report.profile import print_profiles
from host.results import schema
from host.runner.profile import ATTEMPTS, MIN_INFERENCES, Counts, run_profile
from host.runner.rules import RULES
from host.wire import codec

QUICK = RULES["quick"]
MODEL = (
    OperatorInfo(0, "CONV_2D", (1, 5, 5, 8), 1800, 400),
    OperatorInfo(1, "RESHAPE", (1, 200), 0, 400),
    OperatorInfo(2, "SOFTMAX", (1, 200), 0, 400),
)


# ---- the wire ----

LINES = [
    "m-prof-operator-0-runs-2-us-502-cycles-500000",
    "m-prof-operator-2-runs-2-us-2002-cycles-2000000",
    "m-prof-whole-runs-2-us-2500-cycles-2490000",
    "m-output-[4 bytes, CRC-32 ef7f5dd7]",
]


def prof(*lines: str) -> OperatorTimes:
    device, _ = make(answers(prof_2_1=list(lines)))
    device.load(DATA)
    return device.prof(2, 1)


def test_an_answer_of_prof() -> None:
    times = prof(*LINES)
    assert times.operators == (codec.ProfOperator(0, 2, 502, 500_000), codec.ProfOperator(2, 2, 2002, 2_000_000))
    assert times.whole == codec.ProfWhole(2, 2500, 2_490_000)
    assert times.output_crc == 0xEF7F5DD7


@pytest.mark.parametrize(
    "lines",
    [
        [],
        LINES[:-1],
        LINES[:-2],
        [LINES[0], LINES[0], *LINES[2:]],
        [LINES[1], LINES[0], *LINES[2:]],
        [LINES[2], *LINES[:2], LINES[3]],
        [LINES[0].replace("runs-2", "runs-3"), *LINES[1:]],
        [*LINES[:2], LINES[2].replace("runs-2", "runs-3"), LINES[3]],
    ],
)
def test_an_answer_of_prof_that_is_not_one(lines: list[str]) -> None:
    with pytest.raises(GarbledReply):
        prof(*lines)


def test_prof_needs_an_input_and_our_firmware() -> None:
    device, _ = make()
    with pytest.raises(LoadIncomplete):
        device.prof(2, 1)
    device.load(DATA)
    with pytest.raises(DeviceRefused, match="Unknown command: prof"):  # the fake device's firmware is an older one
        device.prof(2, 1)


# ---- how many inferences, and what does not add up ----


@dataclass
class ClockDevice:
    """Answers `prof` as a clock that ticks every us would: each operator's time is cut to it in every run.

    operators_us: by index; whole_us: of an inference that is not observed.
    """

    operators_us: dict[int, float]
    whole_us: float
    cut: Callable[[int, float], float] = lambda inferences, us: us
    cycles_per_us: int = 0
    crc: int = 7
    infer_timeout_s: float = 30.0
    calls: list[tuple[int, int]] = field(default_factory=list)

    def load(self, data: bytes) -> None:
        pass

    def infer_crc(self, iterations: int, warmup: int) -> Any:
        return OperatorTimes((), codec.ProfWhole(1, 1, 0), 7)

    def prof(self, iterations: int, warmup: int, timeout_s: float) -> OperatorTimes:
        self.calls.append((iterations, warmup))
        rows = []
        for index, us in self.operators_us.items():
            total = round(self.cut(iterations, us) * iterations)
            rows.append(codec.ProfOperator(index, iterations, total, total * self.cycles_per_us))
        whole = round(self.whole_us * iterations)
        return OperatorTimes(tuple(rows), codec.ProfWhole(iterations, whole, whole * self.cycles_per_us), self.crc)


def measure(device: ClockDevice, counts: Counts | None = None, latency_us: float = 100_000) -> Any:
    none = Counts(list, list)
    return run_profile(cast(Device, device), MODEL, ("zeros", b"x"), QUICK, counts or none, latency_us)


def test_means_per_inference_beside_the_whole() -> None:
    device = ClockDevice({0: 80_000, 2: 20_100}, 100_000)
    outcome = measure(device)
    assert outcome.reasons == ()
    profile = outcome.profile
    assert device.calls == [(MIN_INFERENCES, QUICK.warmup)]
    assert [cost.us for cost in profile.operators] == [80_000, None, 20_100]
    assert [(cost.name, cost.macs, cost.bytes) for cost in profile.operators] == [
        (operator.name, operator.macs, operator.bytes) for operator in MODEL
    ]
    assert (profile.whole_us, profile.whole_cycles, profile.whole_instructions) == (100_000, None, None)
    assert profile.deviation == pytest.approx(0.001)


def test_short_inferences_are_many() -> None:
    device = ClockDevice({0: 80, 2: 20}, 100)
    measure(device, latency_us=100)
    assert device.calls == [(2000, QUICK.warmup)]


def test_cycles_are_the_better_witness() -> None:
    profile = measure(ClockDevice({0: 80_000, 2: 20_000}, 100_000, cycles_per_us=120)).profile
    assert profile.whole_cycles == 12_000_000
    assert [cost.cycles for cost in profile.operators] == [9_600_000, None, 2_400_000]


def test_more_inferences_until_it_adds_up() -> None:
    # The clock is 10 % wrong at first, and better the more inferences there are.
    device = ClockDevice({0: 50_000, 2: 50_000}, 100_000, cut=lambda inferences, us: us * (1 - 0.3 / inferences))
    assert measure(device).reasons == ()
    assert [inferences for inferences, _ in device.calls] == [3, 6, 12, 24]


def test_what_never_adds_up_says_so() -> None:
    device = ClockDevice({0: 50_000, 2: 40_000}, 100_000)
    outcome = measure(device)
    assert len(device.calls) == ATTEMPTS
    (reason,) = outcome.reasons
    assert "times add up to -10.0%" in reason
    assert outcome.profile.deviation == pytest.approx(-0.1)


def observed(*parts: int) -> ObservedRun:
    return ObservedRun(parts, 4, 100)


def test_instructions_are_those_of_most_runs() -> None:
    runs = [[1000, 1000, 1000, 1060]]  # one to warm up; an interrupt came in once
    parts = [[observed(805, 200), observed(803, 200), observed(803, 200)]]
    counts = Counts(lambda: runs.pop() if device.calls else [], lambda: parts.pop() if device.calls else [])
    device = ClockDevice({0: 80_000, 2: 20_000}, 100_000)
    profile = measure(device, counts).profile
    assert profile.whole_instructions == 1000
    assert [cost.instructions for cost in profile.operators] == [803, None, 200]
    assert profile.deviation == pytest.approx(0.003)


@pytest.mark.parametrize(
    ("runs", "parts"),
    [
        ([1000] * 3, [observed(1, 2)] * 3),  # the warm-up is missing
        ([1000] * 4, [observed(1, 2)] * 2),
        ([1000] * 4, []),
        ([1000] * 4, [observed(1, 2, 3)] * 3),  # more operators than the device tells of
    ],
)
def test_counts_of_another_firmware(runs: list[int], parts: list[ObservedRun]) -> None:
    device = ClockDevice({0: 80_000, 2: 20_000}, 100_000)
    with pytest.raises(DeviceError, match="ELF file is not what runs"):
        measure(device, Counts(lambda: runs, lambda: parts))


def test_another_model_or_other_outputs() -> None:
    with pytest.raises(DeviceError, match=r"operators \[3\].*has 3"):
        measure(ClockDevice({0: 50_000, 3: 50_000}, 100_000))
    with pytest.raises(DeviceError, match="CRC 00000008, at once 00000007"):
        measure(ClockDevice({0: 50_000, 2: 50_000}, 100_000, crc=8))


class BlindDevice(ClockDevice):
    """Its engine runs, but not under an observer."""

    def prof(self, iterations: int, warmup: int, timeout_s: float) -> OperatorTimes:
        raise DeviceRefused("refused", kind="engine_failed", text="Inference failed with engine status -3")


def test_an_engine_that_cannot_be_observed() -> None:
    with pytest.raises(DeviceError, match=r"does not tell its operators apart \(Inference failed.*leave out --profile"):
        measure(BlindDevice({}, 100_000))


# ---- the table ----


def table(result: schema.Result, width: int) -> list[str]:
    text = io.StringIO()
    print_profiles(result, Console(file=text, width=width))
    return text.getvalue().splitlines()


@pytest.mark.parametrize("measured", ["instructions", "cycles", "us"])
def test_the_table_fits_100_columns_and_cuts_nothing(measured: str, data_dir: Path) -> None:
    operators = read_operators((data_dir / "models" / "vww_96_int8.tflite").read_bytes(), "vww01")
    values: dict[str, Any] = {"us": 123_456.7, "cycles": None, "instructions": None, measured: 12_345_678}
    profile = schema.Profile(
        input="zeros",
        inferences=3,
        operators=[
            schema.OperatorCost(
                **{name: getattr(operator, name) for name in ("index", "name", "macs", "bytes")},
                shape=list(operator.shape),
                **values,
            )
            for operator in operators
        ],
        whole_us=123_456.7 * 31,
        whole_cycles=12_345_678 * 31 if measured == "cycles" else None,
        whole_instructions=12_345_678 * 31 if measured == "instructions" else None,
        resolution_us=1.0,
        deviation=0.0,
    )
    result = make_result()
    run = msgspec.structs.replace(result.runs[0], profile=profile)
    lines = table(make_result(runs=[run]), 100)
    assert max(map(len, lines)) <= 100
    assert not any("…" in line for line in lines)
    rows = [line for line in lines if line.split()[:1] in [[str(at)] for at in range(31)]]
    assert [row.split()[1] for row in rows] == [operator.name for operator in operators]
    assert "7,489,664" in "".join(lines)
    assert any("EMULATED" in line for line in lines)
    assert table(result, 100) == []


def test_of_several_profiles_the_heaviest_operators_are_shown_and_the_others_in_one_row() -> None:
    costs = [
        schema.OperatorCost(index=place, name=f"OP_{place}", shape=[1], macs=10, bytes=20, us=1.5, cycles=None,
                            instructions=instructions, uj=0.25)
        for place, instructions in enumerate((7, 300, None, 500, 20, 400, 100, 7))
    ]  # fmt: skip
    profile = schema.Profile(
        input="zeros", inferences=3, operators=costs, whole_us=12.0, whole_cycles=None, whole_instructions=1334,
        resolution_us=1.0, deviation=0.0, energy_deviation=0.0,
    )  # fmt: skip
    run = msgspec.structs.replace(make_result().runs[0], profile=profile)
    alone, beside = (table(make_result(runs=[run] * count), 100) for count in (1, 2))
    names = [[word for line in lines for word in line.split() if word.startswith("OP_")] for lines in (alone, beside)]
    assert names == [[f"OP_{place}" for place in range(8)], ["OP_1", "OP_3", "OP_4", "OP_5", "OP_6"] * 2]
    others, again = [line.split() for line in beside if " others " in line]
    assert others == again == ["3", "others", "30", "60", "4.5", "14", "1.0%", "0.75"]
    sums = [[line.split() for line in lines if line.split()[:1] == ["sum"]] for lines in (alone, beside)]
    assert sums == [[["sum", "80", "160", "12.0", "1,334", "100.0%", "2.00"]] * count for count in (1, 2)]
    assert [line for line in beside if line.startswith("Instructions are exact")] == [
        line for line in alone if line.startswith("Instructions are exact")
    ]
