"""The table on the terminal: what is emulated says so wherever its numbers stand."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console
from test_results import SHA, make_result

from host.report.table import milliseconds, print_result
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


def test_a_replayed_result_is_neither_measured_nor_emulated() -> None:
    text = rendered(make_result(provenance="replayed"))
    assert "REPLAYED from a recording" in text
    assert "measured" not in text
    assert "emulated" not in text.lower()


def test_an_invalid_run_says_why_and_what_to_do_below_the_table() -> None:
    reasons = ["too short: run it again", "another model: use --rules quick"]
    lines = rendered(with_run(valid=False, reasons=reasons)).splitlines()
    assert "kws01 INVALID: too short: run it again" in lines
    assert "kws01 INVALID: another model: use --rules quick" in lines


def accuracy_text(accuracy: schema.Accuracy, **changes: object) -> str:
    none = {"latency_us": None, "throughput_inf_per_s": None, "windows": []}
    return rendered(with_run(accuracy=accuracy, **none, **changes))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"value": 0.901, "n": 1000, "target": 0.9, "met": True, "target_source": "official", "auc": 0.99507},
            ("top-1 90.10% (901 of 1000)", "AUC 0.9951", "the official target, top-1 90.00%: met"),
        ),
        # A record of before there were other targets.
        ({"value": 0.901, "n": 1000, "target": 0.9, "met": True}, ("the official target, top-1 90.00%: met",)),
        ({"value": 0.5, "n": 1000, "target": 0.9, "met": False}, ("500 of 1000", "top-1 90.00%: MISSED")),
        (
            {"value": 0.5, "n": 10, "target": 0.9, "met": False, "target_source": "user"},
            ("5 of 10", "your target, top-1 90.00%: MISSED"),
        ),
        (
            {"value": 0.7, "n": 10, "target": 0.6, "met": True, "target_source": "model"},
            ("the model's target, top-1 60.00%: met",),
        ),
        ({"value": 0.9, "n": 20, "target": None, "met": None}, ("18 of 20", "no target: not the official")),
        (
            {"metric": "auc", "value": 0.86144, "n": 248, "target": 0.85, "met": True, "target_source": "official"},
            ("AUC 0.8614 on 248 inputs", "the official target, AUC 0.8500: met"),
        ),
        (
            {"metric": "auc", "value": None, "n": 1, "target": 0.85, "met": None, "reason": "needs both classes"},
            ("no AUC on 1 inputs", "AUC 0.8500: not comparable", "kws01: needs both classes"),
        ),
    ],
)
def test_accuracy_is_held_against_a_target_only_where_there_is_one(
    fields: dict[str, object], says: tuple[str, ...]
) -> None:
    text = accuracy_text(schema.Accuracy(**{"metric": "top1", **fields}))  # type: ignore[arg-type]
    assert [part for part in says if part not in text] == []
    assert "latency" not in text


def test_synthetic_inputs_are_called_so_wherever_a_figure_is() -> None:
    data = schema.DatasetInfo(name="ad01-synthetic", source="machine sound made here", sha256=SHA, n=40)
    text = accuracy_text(schema.Accuracy(metric="top1", value=0.9, n=20, target=None, met=None), dataset=data)
    assert "SYNTHETIC inputs" in text
    assert "on 40 SYNTHETIC inputs (machine sound made here)" in text
    assert "on 40 SYNTHETIC inputs" in rendered(with_run(dataset=data))
    assert "SYNTHETIC" not in rendered(make_result())


# ---- statistics ----


def test_the_spread_over_windows_is_shown() -> None:
    interval = schema.Interval(low=99_900.0, high=100_200.4, level=0.95)
    latency = schema.Latency(median=1e5, min=99_900.0, max=1e5, unit="us", cv=0.0123456, interval=interval)
    text = rendered(with_run(latency_us=latency))
    assert [part for part in ("variation", "95 %", "1.235%", "99.900 to", "100.200") if part not in text] == []
    assert "variation" not in rendered(make_result())  # one window


@pytest.mark.parametrize(
    ("ratio", "says"),
    [(1.0081, "0.81% fast"), (0.9919, "0.81% slow"), (1.0049, None)],
)
def test_a_drift_is_told_above_its_limit_only(ratio: float, says: str | None) -> None:
    clock = schema.ClockCheck(ratio=ratio, drift=abs(ratio - 1), limit=0.005, windows=5)
    text = rendered(
        make_result(provenance="measured", runs=[msgspec.structs.replace(make_result().runs[0], clock=clock)])
    )
    assert ("CLOCKS DISAGREE" in text) == (says is not None)
    assert says is None or says in text
    assert "valid" in text
    assert "INVALID" not in text


@pytest.mark.parametrize(("worst", "told"), [(0.0071, True), (0.0049, False), (None, False)])
def test_a_single_window_whose_clocks_disagree_is_told_too(worst: float | None, told: bool) -> None:
    clock = schema.ClockCheck(ratio=1.001, drift=0.001, limit=0.005, windows=5, worst=worst)
    text = rendered(with_run(clock=clock))
    assert ("one window or more of 5 where CLOCKS DISAGREE, by 0.71%" in text) == told
    assert ("CLOCKS DISAGREE" in text) == told


def test_a_quick_look_is_marked_and_a_benchmark_run_is_not() -> None:
    quick = rendered(with_run(rules="quick"))
    assert "quick look," in quick
    assert "no benchmark result" in quick
    mlperf = rendered(with_run(rules="mlperf"))
    assert "mlperf," in mlperf
    assert "quick" not in mlperf


# ---- several boards ----


def boards() -> schema.Result:
    result = make_result()
    unit = schema.Unit(name="nucleo", port="/dev/ttyACM0", build_id="x", link="frames", baud=921600, inputs=700)
    lost = msgspec.structs.replace(
        unit, port=None, link="stock", baud=None, inputs=300, dropped="no answer to 'infer 1 0'; its inputs went on"
    )
    runs = [msgspec.structs.replace(result.runs[0], unit=place) for place in (0, 1, None)]
    return msgspec.structs.replace(result, units=[unit, lost], runs=runs)


def test_every_board_is_told_and_why_one_was_dropped() -> None:
    lines = rendered(boards()).splitlines()
    assert lines[0].startswith("2 boards, the first mps2_an386")
    assert "board 1: nucleo on /dev/ttyACM0, binary frames at 921600 baud, 700 inputs" in lines
    text = " ".join(lines)
    assert "board 2: nucleo (emulated here), the stock protocol, 300 inputs; DROPPED: no answer to 'infer 1 0'" in text
    rows = [line for line in lines if "kws01" in line and "│" in line]
    assert [row.split("│")[2].strip() for row in rows] == ["1", "2", "all"]
    assert text.count("kws01: kws (official)") == 1


def test_one_board_needs_no_column() -> None:
    result = boards()
    single = rendered(msgspec.structs.replace(result, units=result.units[:1], runs=result.runs[:1]))
    assert " board " not in single.split("board 1:")[0]
    assert "board 1: nucleo" in single


def test_the_whole_result_fits_a_hundred_columns() -> None:
    result = boards()
    interval = schema.Interval(low=99_900.0, high=100_200.4, level=0.95)
    latency = schema.Latency(median=1e5, min=99_900.0, max=1e5, unit="us", cv=0.0123456, interval=interval)
    runs = [
        msgspec.structs.replace(run, latency_us=latency, valid=False, reasons=["long " * 40]) for run in result.runs
    ]
    text = rendered(msgspec.structs.replace(result, runs=runs))
    assert max(map(len, text.splitlines())) <= 100
    assert [part for part in ("12,345,678", "100.200", "20,000", "quick look,") if part not in text] == []


def test_what_is_no_terminal_gets_plain_text() -> None:
    stream = io.StringIO()
    print_result(boards(), Console(width=200, file=stream))
    assert "\x1b" not in stream.getvalue()
    assert "board 2:" in stream.getvalue()


def test_model_and_data_are_named() -> None:
    text = rendered(make_result())
    assert "kws01: kws (official) on 5 inputs (official)" in text


def test_a_narrow_terminal_loses_nothing() -> None:
    text = rendered(make_result(), width=80)
    assert "12,345,678" in text
    assert "100.000" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_latency_of_nearly_nothing_is_not_nothing() -> None:
    assert [milliseconds(us) for us in (0.0, 0.4321, 20.0, 99.96, 100.0, 32_816.7)] == [
        "0.000", "0.000432", "0.0200", "0.100", "0.100", "32.817",
    ]  # fmt: skip
