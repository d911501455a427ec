# SPDX-License-Identifier: Apache-2.0
"""`host compare`: what may be held against what, the verdicts, the table, the Markdown, the exit code."""

from __future__ import annotations

import html
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from compare_kit import (
    OTHER_SHA,
    SHA,
    SIZES,
    a_result,
    a_run,
    a_side,
    an_accuracy_run,
    an_energy,
    an_energy_run,
    compared,
    row,
)
from markdown_it import MarkdownIt  # rich brings it
from rich.console import Console

from host.cli import main
from host.errors import ResultInvalid, UsageError
from host.report.compare import markdown, print_comparison
from host.results import compare, record, schema
from host.runner.accuracy import Row

REPEATED = (300_001,) * 5
STEADY = (300_001, 300_011, 299_991, 300_006, 299_996)
EMULATED = schema.BoardInfo(name="mps2_an386", core="Cortex-M4F", clock_hz=125_000_000)


def emulated(*runs: schema.Run, **changes: object) -> schema.Result:
    return a_result(*runs, provenance="emulated", **{"board": EMULATED, **changes})


def slower(times_us: tuple[int, ...], factor: float) -> tuple[int, ...]:
    return tuple(round(time_us * factor) for time_us in times_us)


def test_the_same_result_is_the_same_in_all_it_has() -> None:
    one = a_result(a_run(REPEATED, 1000), an_energy_run(an_energy([100.0] * 5, {"current gain": 0.001})))
    comparison = compared(one, one, "latency>0%", "energy>0%", "size>0%", "arena>0%", "instructions>0%")
    assert {found.verdict for found in comparison.rows} == {"same"}
    assert comparison.differences == []
    # Of what was measured nobody knows that it is not a little more, so such a gate warns.
    assert {gate.gate: gate.outcome for gate in comparison.gates} == {
        "latency>0%": "cannot tell", "energy>0%": "passes", "size>0%": "passes", "arena>0%": "passes",
        "instructions>0%": "passes",
    }  # fmt: skip
    assert comparison.passed


def test_smaller_is_better_but_of_an_accuracy() -> None:
    a = a_result(a_run(STEADY, 1000), an_accuracy_run(900, 1000))
    b = a_result(
        a_run(slower(STEADY, 1.05), 990, model=msgspec.structs.replace(a.runs[0].model, arena_bytes=30_000)),
        an_accuracy_run(960, 1000),
        firmware=msgspec.structs.replace(a.firmware, sizes=msgspec.structs.replace(SIZES, text=80_000)),
    )
    comparison = compared(a, b)
    found = {one.quantity: (one.verdict, one.better) for one in comparison.rows if one.mode != "accuracy"}
    assert found == {
        "latency": ("larger", False), "instructions": ("smaller", True), "arena": ("larger", False),
        "size": ("smaller", True),
    }  # fmt: skip
    assert (row(comparison, "accuracy").verdict, row(comparison, "accuracy").better) == ("larger", True)
    latency = row(comparison, "latency")
    assert latency.low < 0.05 < latency.high
    assert latency.high - latency.low < 1e-4
    assert (latency.a, latency.b) == (30_000.1, 31_500.1)
    size = row(comparison, "size", None)
    assert (size.a, size.b) == (40_500, 30_500)
    assert size.change == pytest.approx(-10_000 / 40_500)


def test_where_windows_scatter_nothing_is_told() -> None:
    noisy = (300_001, 320_000, 290_000, 310_000, 280_000)
    found = row(compared(a_result(a_run(noisy)), a_result(a_run(tuple(reversed(noisy))))), "latency")
    assert found.verdict == "cannot tell"
    assert found.low < 0 < found.high
    one_window = row(compared(a_result(a_run((300_000,))), a_result(a_run((600_000,)))), "latency")
    assert (one_window.verdict, one_window.change, one_window.low) == ("cannot tell", pytest.approx(1.0), None)


def test_a_clock_of_milliseconds_is_no_better_for_repeating() -> None:
    a, b = (10_003_000,) * 5, (10_004_000,) * 5
    coarse = row(compared(a_result(a_run(a)), a_result(a_run(b))), "latency")
    assert coarse.low < 0 < coarse.high
    assert coarse.high - coarse.low == pytest.approx(4e-4, rel=0.01)
    # In an emulator a microsecond is one, and another window shows that the clock has more digits.
    for one, other in [
        (emulated(a_run(a)), emulated(a_run(b))),
        (a_result(a_run(a)), a_result(a_run((*b[:4], 10_004_001)))),
    ]:
        assert row(compared(one, other), "latency").high < 3.1e-4


def test_figures_without_windows_have_a_change_and_no_interval() -> None:
    run = a_run(REPEATED)
    bare = msgspec.structs.replace(run, windows=[])
    for quantity, first, second in [("latency", run, bare), ("latency", bare, bare)]:
        found = row(compared(a_result(first), a_result(second)), quantity)
        assert (found.verdict, found.change, found.low) == ("cannot tell", 0.0, None)


def test_the_interval_holds_the_change_of_the_figures_that_are_shown() -> None:
    a = a_result(a_run((300_000, 300_001, 300_002, 300_003, 300_004)))
    b = a_result(a_run((300_100, 300_101, 300_003, 300_003, 300_004)))
    found = row(compared(a, b), "latency")
    assert found.low <= found.b / found.a - 1 <= found.high


def test_counts_on_other_inputs_are_a_sample() -> None:
    other = schema.DatasetInfo(name="else", source="mine", sha256=OTHER_SHA, n=5)
    comparison = compared(emulated(a_run(REPEATED, 1000)), emulated(a_run(REPEATED, 1001, dataset=other)))
    assert "counted on other inputs" in row(comparison, "instructions").how
    assert any(line.startswith("kws01: inputs: kws01") for line in comparison.differences)
    assert "windows on the same inputs" not in row(comparison, "latency").how


@pytest.mark.parametrize("others", [("measured", "emulated"), ("emulated", "replayed"), ("replayed", "measured")])
def test_numbers_of_another_kind_are_never_held_against_each_other(others: tuple[str, str]) -> None:
    a, b = (a_result(a_run(), provenance=provenance) for provenance in others)
    with pytest.raises(UsageError, match="never held against each other"):
        compared(a, b)


@pytest.mark.parametrize("clock_hz", [None, 25_000_000])
def test_emulated_microseconds_of_another_clock_are_not_comparable(clock_hz: int | None) -> None:
    board = schema.BoardInfo(name="native", core="host", clock_hz=clock_hz)
    with pytest.raises(UsageError, match="a microsecond of one is not worth"):
        compared(emulated(a_run()), emulated(a_run(), board=board))
    m3 = schema.BoardInfo(name="mps2_an385", core="Cortex-M3", clock_hz=125_000_000)
    comparison = compared(emulated(a_run()), emulated(a_run(), board=m3))
    assert "board: mps2_an386 (Cortex-M4F) -> mps2_an385 (Cortex-M3)" in comparison.differences


@pytest.mark.parametrize("other", [(), (a_run(task="ic01"),), (an_accuracy_run(1, 2),)])
def test_nothing_in_common_makes_no_sense(other: tuple[schema.Run, ...]) -> None:
    with pytest.raises(UsageError, match="no task in the same mode"):
        compared(a_result(a_run()), a_result(*other))


def test_all_that_differs_besides_is_told() -> None:
    a = a_result(an_energy_run(an_energy([100.0] * 5, None)))
    monitor = msgspec.structs.replace(a.runs[0].energy_uj.monitor, range_a=None)
    run = an_energy_run(
        an_energy([100.0] * 5, None, monitor),
        rules="mlperf",
        model=schema.ModelInfo(name="mine", source="user", sha256=OTHER_SHA, arena_bytes=1),
        dataset=schema.DatasetInfo(name="kws01", source="official", sha256=SHA, n=7),
    )
    b = a_result(
        run,
        a_run(task="ic01"),
        board=schema.BoardInfo(name="other", core="Cortex-M7", clock_hz=200_000_000),
        firmware=schema.FirmwareInfo(version="2", engine="tflm", compiler="gcc 13", flags="-O3 -g", sha256=OTHER_SHA),
        host=schema.HostInfo(version="9", python="3", platform="Linux"),
    )
    assert compared(a, b).differences == [
        "board: nucleo_l4r5zi (Cortex-M4F) -> other (Cortex-M7)",
        "clock: 120 MHz -> 200 MHz",
        "version: 0.1.0 -> 2",
        "engine: tflite_c -> tflm",
        "compiler: gcc 12 -> gcc 13",
        "compiler flags: -O2 -> -O3",
        "program: sha256 0123456789ab -> sha256 ffffffffffff",
        "tinyjoule: 0.1.0 -> 9",
        "kws01: rules: quick -> mlperf",
        "kws01: model: kws (sha256 0123456789ab) -> mine (sha256 ffffffffffff)",
        "kws01: inputs used: 5 -> 7",
        "kws01: power monitor: joulescope (Jetperch,JS220,000415,1.2.3), 0.18 A, 1e+06 S/s, voltage measured -> "
        "joulescope (Jetperch,JS220,000415,1.2.3), auto-range, 1e+06 S/s, voltage measured",
        "ic01, performance: only in B",
    ]


@pytest.mark.parametrize("sides", [(False, True), (True, False), (False, False)])
def test_an_invalid_run_is_shown_never_the_same_and_fails_a_gate(sides: tuple[bool, bool]) -> None:
    a, b = (a_result(a_run(REPEATED, 1000, valid=valid, reasons=[] if valid else ["too short"])) for valid in sides)
    comparison = compared(a, b, "latency>2%", "instructions>2%", "arena>2%", "size>2%")
    for quantity in ("latency", "instructions", "arena"):
        found = row(comparison, quantity)
        assert (found.verdict, found.change, found.better) == ("cannot tell", 0.0, None)
        assert len(found.invalid) == sides.count(False)
    assert [gate.outcome for gate in comparison.gates] == ["fails", "fails", "fails", "passes"]
    assert not comparison.passed


def test_what_is_missing_in_b_fails_a_gate_and_what_is_missing_in_a_warns() -> None:
    full, less = a_result(a_run(REPEATED, 1000), a_run(task="ic01")), a_result(a_run(REPEATED))
    gates = ("instructions>2%", "latency>2%", "energy>2%", "accuracy<-1%")
    assert [gate.outcome for gate in compared(full, less, *gates).gates] == ["fails", "fails", "fails", "fails"]
    forward = compared(less, full, "latency>2%", "instructions>2%")
    assert [gate.outcome for gate in forward.gates] == ["cannot tell", "fails"]
    assert [one.why for one in forward.gates[1].rows][-1].startswith("no run has instructions on both sides")
    assert row(compared(full, less), "latency", "ic01").verdict == "only in A"
    assert row(forward, "latency", "ic01").verdict == "only in B"
    nothing = an_energy([100.0] * 5, None, value=None, gross=None, windows=[])
    some = an_energy_run(an_energy([100.0] * 5, None))
    assert not compared(a_result(some), a_result(an_energy_run(nothing)), "energy>2%").passed
    assert compared(a_result(an_energy_run(nothing)), a_result(some), "energy>2%").gates[0].outcome == "cannot tell"


def test_boards_of_a_session_are_compared_place_by_place() -> None:
    units = [schema.Unit(name="nucleo_l4r5zi", port=f"/dev/{n}", build_id=None, link="stock", baud=None, inputs=5)
             for n in range(2)]  # fmt: skip
    a = a_result(a_run(REPEATED, unit=0), a_run(slower(REPEATED, 2), unit=1), units=units)
    b = a_result(a_run(slower(REPEATED, 2), unit=1), a_run(REPEATED, unit=0), units=units)
    rows = [one for one in compared(a, b).rows if one.quantity == "latency"]
    assert [(one.where, one.verdict) for one in rows] == [("kws01, board 1", "same"), ("kws01, board 2", "same")]
    single = a_result(a_run(REPEATED, unit=0), units=units[:1])
    assert [one.where for one in compared(single, single).rows] == ["kws01", "kws01", "program"]


def test_a_task_that_is_there_twice_is_compared_twice() -> None:
    twice = a_result(a_run(REPEATED), a_run(slower(REPEATED, 2)))
    assert [one.verdict for one in compared(twice, twice).rows if one.quantity == "latency"] == ["same", "same"]


def test_accuracy_uses_the_outputs_of_both_folders_on_the_same_inputs_only(tmp_path: Path) -> None:
    def side(name: str, wrong: int, **changes: object) -> compare.Side:
        folder = tmp_path / name
        folder.mkdir()
        items = [Row(f"{n}.bin", 1, (0.0, 1.0), None, int(n >= wrong)) for n in range(1000)]
        record.write_outputs(folder, "kws01", items)
        return a_side(name, a_result(an_accuracy_run(1000 - wrong, 1000, **changes)), folder)

    a, b = side("a", 10), side("b", 20)
    assert "10 in A only" in row(compare.compare(a, b), "accuracy").how
    assert row(compare.compare(a, b), "accuracy").verdict == "smaller"
    apart = compare.compare(a, a_side("b", b.result))
    assert "drawn apart" in row(apart, "accuracy").how
    other = side("c", 20, dataset=schema.DatasetInfo(name="kws01", source="synthetic", sha256=OTHER_SHA, n=1000))
    found = row(compare.compare(a, other), "accuracy")
    assert (found.verdict, found.low) == ("cannot tell", None)
    assert "other inputs" in found.how


def test_numbers_that_no_session_makes_are_refused_and_any_other_is_survived() -> None:
    huge = a_result(a_run(windows=[schema.Window(input="0.bin", inferences=1, duration_us=10**400)]))
    with pytest.raises(ResultInvalid, match="b: one of its counts"):
        compared(a_result(a_run()), huge)
    with pytest.raises(ResultInvalid, match="a: it was created at 2026-13-99T03:04:05"):
        compared(a_result(a_run(), created="2026-13-99T03:04:05+00:00"), a_result(a_run()))
    for value in (0.0, 5e-324, 1.7e308):
        strange = a_result(an_energy_run(an_energy([value] * 5, {"current gain": 1e300, "scatter": 0.0}, u=0.0)))
        for sides in ((strange, a_result(an_energy_run(an_energy([1.0] * 5, None)))), (strange, strange)):
            json.loads(compare.encode(compared(*sides, "energy>2%")))
            rendered(*sides)


def rendered(a: schema.Result, b: schema.Result, *gates: str, width: int | None = None) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width or 400, force_terminal=width is not None, color_system=None, _environ={})
    print_comparison(compared(a, b, *gates), (a, b), console)
    return stream.getvalue()


def test_the_table_says_what_is_what() -> None:
    a = emulated(an_energy_run(an_energy([100.0] * 5, {"current gain": 0.001}), instructions=12_345_678))
    b = emulated(an_energy_run(an_energy([101.0] * 5, {"current gain": 0.001}), instructions=12_345_679))
    text = rendered(a, b, "energy>0.5%", "latency>-3%", "size>1%")
    assert text.count("EMULATED: time is instructions at one per cycle, not silicon") == 2
    for words in (
        "latency, emulated ms", "energy, emulated uJ", "100.00 +- 0.20", "101.00 +- 0.20", "12,345,678",
        "larger by 0.0000081 % (worse)", "exact", "nothing else is known to differ", "larger by 1", "0 %",
        "gate energy>0.5%: FAILED: kws01 (energy)", "gate latency>-3%: FAILED: kws01 (energy)",
        "not as far from A as the limit asks", "gate size>1%: passed, 1 within the limit",
    ):  # fmt: skip
        assert words in text, words
    measured = rendered(a_result(a_run(REPEATED)), a_result(a_run(REPEATED)))
    assert "emulated" not in measured.lower()
    assert "which specimen" in measured
    assert "latency, ms" in measured


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_fits_a_terminal_and_loses_nothing(width: int) -> None:
    text = rendered(a_result(a_run(STEADY)), a_result(a_run(slower(STEADY, 1.5))), width=width)
    assert max(map(len, text.splitlines())) <= width
    flat = re.sub(r"[\s\u2500-\u257f]+", "", text)
    assert "worse" in flat
    assert flat.count("latency") == 2  # in the table, and in what it rests on
    assert (width < 80) == ("verdict:" in flat)  # a block a row where a table has no room


def test_digits_are_as_many_as_the_interval_is_worth() -> None:
    text = rendered(a_result(a_run((300_000, 300_900, 299_100, 300_600, 299_400))),
                    a_result(a_run((315_300, 314_900, 315_100, 315_600, 314_400))))  # fmt: skip
    assert re.search(r"\+5\.\d\d % \(\+4\.\d\d to \+5\.\d\d\)  larger by 5\.\d\d % \(worse\)", text), text
    invalid = a_result(a_run(REPEATED, valid=False, reasons=["it is too short"]))
    text = rendered(invalid, invalid)
    assert "cannot tell: A and B INVALID" in text
    assert "kws01, performance: A INVALID: it is too short" in text


HOSTILE = (
    "x|y `z` <img src=x onerror=alert(1)> *b* _i_ [l](http://e.vil) @someone #1 www.e.vil\n| a | b |"
    "\x1b[31m\u202e &amp; $x$ ~~s~~ :boom: \\|"
)


def test_markdown_is_a_table_whatever_a_record_says() -> None:
    a = a_result(
        a_run(REPEATED, task=HOSTILE, valid=False, reasons=[HOSTILE]),
        a_run(REPEATED),
        board=schema.BoardInfo(name=HOSTILE, core="Cortex-M4F", clock_hz=1),
    )
    b = a_result(a_run(REPEATED, task=HOSTILE), a_run(REPEATED))
    comparison = compare.compare(a_side(HOSTILE, a), a_side("x" * 10_000, b))
    text = markdown(comparison, (a, b))
    lines = text.splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(comparison.rows)
    assert {line.count("|") for line in table} == {8}
    body = text.replace("<details><summary>how sure that is</summary>", "").replace("</details>", "")
    # What is no letter, digit or harmless mark is an entity, but for the table's own lines.
    inert = re.sub(r"&#[0-9]+;(<!-- -->)?", "", body)
    assert not set(inert) & set("<>&`*[]\\~$@\x1b\u202e\"'!=")
    assert "#" not in inert.removeprefix("### ")
    assert not re.search(r"www\.|https?:|:\w+:|_\W|\W_", inert)
    tokens = [child for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
              for child in (token, *(token.children or []))]  # fmt: skip
    assert {token.content for token in tokens if token.type == "html_inline"} == {"<!-- -->"}
    assert not {token.type for token in tokens} & {
        "link_open",
        "image",
        "em_open",
        "strong_open",
        "code_inline",
        "s_open",
    }
    assert [token.type for token in tokens].count("tr_open") == 1 + len(comparison.rows)
    shown = html.unescape(text.replace("<!-- -->", ""))
    assert "<img src=x onerror=alert(1)>" in shown
    assert "\\x1b[31m" in shown
    assert len(text) < 10_000


def test_markdown_says_the_kind_and_the_gates() -> None:
    a, b = emulated(a_run(REPEATED, 100)), emulated(a_run(slower(REPEATED, 1.1), 110))
    comparison = compared(a, b, "latency>2%")
    text = markdown(comparison, (a, b))
    assert text.startswith("### B against A, EMULATED\n")
    assert "| kws01 | instructions | 100 | 110 | +10 % | exact | larger by 10 % (worse) |" in text
    assert "- gate latency&#62;2%: FAILED: kws01 (performance), +9.9999" in text
    assert markdown(compared(a_result(a_run()), a_result(a_run())), (a_result(), a_result())).startswith(
        "### B against A, measured\n"
    )


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name, factor in (("a", 1.0), ("b", 1.1)):
        (tmp_path / name).mkdir()
        record.write_result(tmp_path / name, emulated(a_run(slower(REPEATED, factor), round(1000 * factor))))
    return tmp_path / "a", tmp_path / "b"


def test_the_exit_code_is_what_the_gates_say(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    a, b = map(str, folders)
    assert main(["compare", a, b]) == 0
    assert "larger by 10" in capsys.readouterr().out
    assert main(["compare", a, b + "/result.json", "--fail-if", "latency>11%", "--fail-if", "energy>0%"]) == 1
    assert main(["compare", a, b, "--fail-if", "latency>11%"]) == 0
    capsys.readouterr()
    assert main(["compare", a, b, "--fail-if", "latency > 2 %", "--json"]) == 1
    answer = capsys.readouterr()
    comparison = msgspec.json.decode(answer.out, type=compare.Comparison)
    assert comparison.gates[0].outcome == "fails"
    assert not comparison.passed
    assert row(comparison, "latency").change == pytest.approx(0.1, rel=1e-4)
    assert answer.err.startswith("gate latency>2%: FAILED: kws01 (performance)")
    assert main(["compare", a, b, "--markdown"]) == 0
    answer = capsys.readouterr()
    assert answer.out.startswith("### ")
    assert answer.err == ""


@pytest.mark.parametrize("words", [("--fail-if", "power>2%"), ("--fail-if", ""), ("--json", "--markdown")])
def test_what_makes_no_sense_exits_2(
    folders: tuple[Path, Path], words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *map(str, folders), *words]) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert answer.err.count("\n") == 1


def test_a_folder_without_a_result_says_so(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    (folders[1] / "result.json").write_text("{")
    assert main(["compare", *map(str, folders)]) == 1
    assert "not a tinyjoule.result/4 record" in capsys.readouterr().err
    (folders[1] / "result.json").unlink()
    assert main(["compare", *map(str, folders)]) == 1
    assert "holds no result.json" in capsys.readouterr().err


def test_a_record_of_an_older_schema_is_compared() -> None:
    path = Path(__file__).with_name("result_3.json")
    old = record.read_result(path)
    comparison = compared(old, old, "energy>1%")
    assert comparison.passed
    assert {one.verdict for one in comparison.rows} == {"same"}
    assert not [one for one in comparison.rows if one.quantity == "size"]


def test_help_is_quick_and_a_path_that_is_no_text_is_shown(folders: tuple[Path, Path]) -> None:
    odd = folders[1].parent / "\udcff\n"
    folders[1].rename(odd)
    answer = subprocess.run(
        [sys.executable, "-m", "host", "compare", folders[0], odd, "--json"],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["b"]["path"].endswith("\\udcff\n")
    script = "import sys; from host.cli import build_parser; build_parser(); assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_counts_on_fewer_inputs_of_the_same_set_are_not_exact() -> None:
    several = a_run(instructions=100)
    one = a_run((300_001,), instructions=101)
    found = row(compared(a_result(one), a_result(several)), "instructions")
    assert (found.verdict, found.low, found.high) == ("cannot tell", None, None)
    assert "on other inputs" in found.how


def test_no_energy_is_exact_and_half_a_digit_is_rounded_as_it_looks(capsys: pytest.CaptureFixture[str]) -> None:
    energy = an_energy_run(an_energy([100.0] * 3))
    a, b = a_result(energy, an_accuracy_run(37, 40)), a_result(energy, an_accuracy_run(94, 100))
    text = markdown(compared(a, b), (a, b))
    (line,) = (line for line in text.splitlines() if "energy, uJ" in line)
    assert "exact" not in line
    assert "no scatter" in line
    assert "+2 points" in text  # of 1.5, as the interval leaves no decimals


def test_inputs_that_were_made_up_are_told() -> None:
    made_up = schema.DatasetInfo(name="synthetic", source="synthetic speech", sha256=SHA, n=5)
    a, b = a_result(a_run()), a_result(a_run(dataset=made_up))
    text = markdown(compared(a, b), (a, b))
    assert "- B&#58; SYNTHETIC inputs of kws01" in text or "- B: SYNTHETIC inputs of kws01" in text
    assert "A: SYNTHETIC" not in text


def test_the_change_is_that_of_the_figures_beside_it() -> None:
    a, b = a_result(a_run((300_000, 310_000, 390_000))), a_result(a_run((290_000, 330_000, 340_000)))
    found = row(compared(a, b), "latency")
    assert found.a is not None
    assert found.b is not None
    assert found.change == pytest.approx(found.b / found.a - 1)
    few = row(compared(a_result(a_run((300_000,))), b), "latency")
    assert (few.low, few.change) == (None, pytest.approx(0.1))


def test_windows_of_a_process_on_a_machine_tell_no_change() -> None:
    host = schema.BoardInfo(name="native", core="host", clock_hz=None)
    a, b = (emulated(a_run(slower(STEADY, factor)), board=host) for factor in (1, 0.75))
    found = row(compared(a, b), "latency")
    assert (found.verdict, found.low, found.high, found.better) == ("cannot tell", None, None, None)
    assert "do not tell how sure that is" in found.how
    counted = row(compared(*(emulated(a_run(slower(STEADY, factor))) for factor in (1, 0.75))), "latency")
    assert counted.verdict == "smaller"
