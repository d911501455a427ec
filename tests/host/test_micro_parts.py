"""`host bench --micro`: the sweeps, the table and the plot."""

from __future__ import annotations

import math

import msgspec
import pytest
from rich.console import Console

from host import modelgen
from host.boards import find_boards
from host.embed import CODE_RESERVE_BYTES
from host.errors import UsageError
from host.modelinfo import read_operators
from host.report.micro import draw, heading, plot, print_micro
from host.results.micro import SCHEMA, Micro, MicroCase, encode
from host.results.schema import BoardInfo, FirmwareInfo, HostInfo
from host.runner.sweeps import SWEEPS, cases_of

INPUT_BYTES = 16384
CASE = MicroCase(
    operator="conv_2d", series="1x1", axis="channels", x=4, shape="8x8x4", macs=1000, output_elements=250,
    instructions=3000, time_us=24.0, arena_bytes=900,
)  # fmt: skip


def record(*cases: MicroCase, provenance: str = "emulated") -> Micro:
    return Micro(
        schema=SCHEMA,
        provenance=provenance,  # type: ignore[arg-type]
        created="2026-01-01T00:00:00+00:00",
        board=BoardInfo(name="some_board", core="Cortex-M4F", clock_hz=1),
        firmware=FirmwareInfo(version="0", engine="tflite_c 0", compiler=None, flags=None, sha256=None),
        host=HostInfo(version="0", python="3", platform="none"),
        time_unit="us",
        cases=list(cases),
    )


def printed(micro: Micro) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        print_micro(micro, console)
    return capture.get()


@pytest.mark.parametrize("name", SWEEPS)
def test_every_case_is_one_operator_that_boards_can_take(name: str) -> None:
    cases = cases_of([name])
    assert len(cases) >= 7
    for case in cases:
        (operator,) = read_operators(modelgen.build(case.model), case.name)
        assert operator.name == name.upper()
        assert case.operator == name
        tensor = case.model.tensors[case.model.inputs[0]]
        assert math.prod(tensor.shape) <= INPUT_BYTES, case.name
        macs = name in ("conv_2d", "depthwise_conv_2d", "fully_connected")
        assert (operator.macs > 0) == macs


def test_all_cases_have_names_of_their_own_and_fit_into_one_image() -> None:
    cases = cases_of([])
    assert [case.operator for case in cases] == [name for name in SWEEPS for _ in SWEEPS[name]()]
    assert len({case.name for case in cases}) == len(cases)
    size = sum(len(modelgen.build(case.model)) for case in cases)
    assert size < min(board.flash_bytes for board in find_boards().values()) - CODE_RESERVE_BYTES


def test_a_series_varies_one_number() -> None:
    for name in SWEEPS:
        seen: dict[tuple[str, str], list[int]] = {}
        for case in cases_of([name]):
            seen.setdefault((case.series, case.axis), []).append(case.x)
        for values in seen.values():
            assert values == sorted(set(values)), name


def test_an_operator_without_a_sweep() -> None:
    with pytest.raises(UsageError, match="no sweep of 'conv_3d'; there are conv_2d, depthwise_conv_2d"):
        cases_of(["add", "conv_3d"])


def test_costs_are_per_mac_or_per_output_in_what_is_counted() -> None:
    plain = msgspec.structs.replace(CASE, macs=0)
    assert [record(CASE).cost(CASE), record(plain).cost(plain)] == [3.0, 12.0]
    timed = msgspec.structs.replace(CASE, instructions=None)
    assert (record(timed).cost(timed), record(timed).unit) == (24.0, "ns")
    refused = msgspec.structs.replace(CASE, instructions=None, time_us=None, refused="no such operator")
    assert record(CASE, refused).counted
    assert record(CASE, refused).cost(refused) is None


def test_the_record_survives_being_written() -> None:
    micro = record(CASE, msgspec.structs.replace(CASE, x=8, refused="too many", instructions=None, time_us=None))
    assert msgspec.json.decode(encode(micro), type=Micro) == micro


def test_the_table_marks_what_is_slow() -> None:
    text = printed(
        record(
            CASE,
            msgspec.structs.replace(CASE, x=5, shape="8x8x5", instructions=9000),
            msgspec.structs.replace(
                CASE, x=6, shape="8x8x6", instructions=None, time_us=None, refused="arena: too small"
            ),
        )
    )
    lines = {line.split()[1]: line for line in text.splitlines() if line.strip().startswith("1x1")}
    assert "3.00" in lines["8x8x4"]
    assert lines["8x8x4"].rstrip().endswith("1.0 x")
    assert lines["8x8x5"].rstrip().endswith("3.0 x <")
    assert "arena: too small" in lines["8x8x6"]


@pytest.mark.parametrize(("provenance", "words"), [("emulated", "EMULATED, not silicon"), ("measured", "measured on")])
def test_table_and_plot_say_what_the_numbers_are_worth(provenance: str, words: str) -> None:
    micro = record(CASE, msgspec.structs.replace(CASE, x=8, instructions=90000), provenance=provenance)
    assert words in heading(micro)
    assert words in printed(micro)
    figure = draw(micro)
    assert words in figure.get_suptitle()
    (axes,) = figure.axes
    assert (axes.get_title(), axes.get_ylabel(), axes.get_yscale()) == ("conv_2d", "instructions per MAC", "log")
    assert [list(map(float, line.get_ydata())) for line in axes.lines] == [[3.0, 90.0]]
    assert plot(micro).startswith(b"\x89PNG")


def test_a_plot_of_many_operators_and_of_a_refused_one() -> None:
    cases = [msgspec.structs.replace(CASE, operator=name) for name in "abcd"]
    cases.append(msgspec.structs.replace(CASE, operator="e", instructions=None, time_us=None, refused="no"))
    figure = draw(record(*cases))
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", "d", "e", ""]
    assert [len(axes.lines) for axes in figure.axes] == [1, 1, 1, 1, 0, 0]
    assert plot(record(*cases)).startswith(b"\x89PNG")
