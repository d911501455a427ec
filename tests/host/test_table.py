"""The table on the terminal: what is emulated says so wherever its numbers stand."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console
from test_results import make_result

from host.report.table import print_result
from host.results import schema


def rendered(result: schema.Result, width: int = 200) -> str:
    stream = io.StringIO()
    print_result(result, Console(width=width, file=stream, force_terminal=True, color_system=None, _environ={}))
    return stream.getvalue()


def with_run(**changes: object) -> schema.Result:
    result = make_result()
    return msgspec.structs.replace(result, runs=[msgspec.structs.replace(result.runs[0], **changes)])


def test_emulated_is_in_the_title_and_in_every_unit() -> None:
    text = rendered(make_result())
    assert "EMULATED: time is instructions at one per cycle" in text
    assert text.count("emulated ms") == 1
    assert "emulated s" in text
    assert "100.000" in text
    assert "12,345,678" in text


def test_a_host_process_is_not_called_a_microcontroller() -> None:
    board = schema.BoardInfo(name="native", core="host", clock_hz=None)
    assert "say nothing of a microcontroller" in rendered(make_result(board=board))


def test_measured_is_never_called_emulated() -> None:
    text = rendered(make_result(provenance="measured"))
    assert "measured on the board" in text
    assert "emulated" not in text.lower()


def test_an_invalid_run_says_why() -> None:
    assert "INVALID: too short" in rendered(with_run(valid=False, reasons=["too short"]))


@pytest.mark.parametrize(
    ("accuracy", "says"),
    [
        (schema.Accuracy(metric="top1", value=0.901, n=1000, target=0.9, met=True), ("901 of 1000", "target 90% met")),
        (
            schema.Accuracy(metric="top1", value=0.5, n=1000, target=0.9, met=False),
            ("500 of 1000", "target 90% MISSED"),
        ),
        (schema.Accuracy(metric="top1", value=0.9, n=20, target=None, met=None), ("18 of 20", "no target")),
    ],
)
def test_accuracy_is_held_against_a_target_only_where_there_is_one(accuracy: schema.Accuracy, says: tuple[str]) -> None:
    text = rendered(with_run(accuracy=accuracy, latency_us=None, throughput_inf_per_s=None, windows=[]))
    assert all(part in text for part in says)
    assert "latency" not in text


def test_model_and_data_are_named() -> None:
    text = rendered(make_result())
    assert "kws01: kws (official) on 5 inputs (official)" in text


def test_a_narrow_terminal_loses_nothing() -> None:
    text = rendered(make_result(), width=80)
    assert "12,345,678" in text
    assert "100.000" in text
    assert max(map(len, text.splitlines())) <= 80
