# SPDX-License-Identifier: Apache-2.0
"""What is on a report's page: the numbers of result.json, the verdict first, and nothing mixed that must not be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from report_kit import (
    FULL,
    NOW,
    SHA,
    Tags,
    energy,
    energy_window,
    folder,
    operators,
    profile,
    raw,
    result,
    run,
    with_energy,
    write_trace,
)

from host.errors import HostError, ResultInvalid
from host.report.page.folders import read_folders
from host.report.page.pictures import Pictures
from host.report.page.render import page_of, render, write_report
from host.report.page.view import Cell, Grid, Page, Run
from host.results import record, schema


def page(*folders: Path) -> Page:
    return page_of(read_folders(folders), NOW, Pictures())


def everything(value: object) -> Iterator[object]:
    """All that hangs on a page."""
    yield value
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from everything(getattr(value, field.name))
    elif isinstance(value, tuple):
        for each in value:
            yield from everything(each)


def cells(found: object) -> list[Cell]:
    return [each for each in everything(found) if isinstance(each, Cell)]


def at(document: Any, path: str) -> Any:
    for step in path.split("."):
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def texts(grid: Grid, row: int = 0) -> dict[str, str]:
    return {column.title: cell.text for column, cell in zip(grid.columns, grid.rows[row].cells, strict=True)}


def leaves(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a record that is no list and no object, and its path."""
    if isinstance(document, dict | list):
        steps = document.items() if isinstance(document, dict) else enumerate(document)
        for step, value in steps:
            yield from leaves(value, f"{path}.{step}" if path else str(step))
    else:
        yield path, document


def test_every_cell_is_what_its_path_leads_to(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", result(*FULL))
    two = folder(tmp_path / "two", result(run("vww01"), created="2026-01-03T00:00:00+00:00"))
    documents = [raw(one), raw(two)]
    found = [cell for cell in cells(page(one, two)) if cell.path is not None]
    assert len(found) > 300
    for cell in found:
        assert cell.path is not None
        assert at(documents[cell.source], cell.path) == cell.value, cell
        assert json.loads(cell.data) == cell.value


def test_what_a_record_holds_is_somewhere_on_the_page(tmp_path: Path) -> None:
    """Each number and text of it, by its path; those that the words of a page tell in another way are named here."""
    one = folder(tmp_path / "one", result(*FULL))
    told = {cell.path for cell in cells(page(one))}
    said = re.compile(
        r"runs\.\d+\.(valid|reasons\.\d+|accuracy\.(metric|met|target_source|reason)|clock\.(drift|worst)"
        r"|latency_us\.interval\.level|energy_uj\.(gross|monitor\..*)|profile\.(deviation|energy_deviation)"
        r"|profile\.operators\.\d+\.shape\.\d+|energy_uj\.windows\.\d+\.(device_us|reasons\.\d+))"
    )
    missing = [path for path, value in leaves(raw(one)) if value is not None and path not in told]
    assert [path for path in missing if not said.fullmatch(path)] == []
    monitor = {path for path in told if path and ".monitor." in path}
    assert len(monitor) == len(msgspec.structs.fields(schema.MonitorInfo))


def test_numbers_have_the_digits_that_their_uncertainty_leaves(tmp_path: Path) -> None:
    wide = with_energy(u=21.3, windows=[energy_window(0, u_uj=853.0)])
    (one,) = page(folder(tmp_path / "one", result(wide))).runs
    assert one.energy is not None
    assert one.operators is not None
    text = {fact.label: fact.cell.text for fact in one.facts}
    assert text["energy of one inference"] == "141 emulated µJ"
    assert text["power while it infers"] == "40.4 emulated mW"
    assert (texts(one.energy)["energy of the window"], texts(one.energy)["per inference"]) == ("5630", "141")
    assert texts(one.operators)["energy"] == "1"
    narrow = page(folder(tmp_path / "two", result(run())))
    (table,) = narrow.groups[0].tables
    assert (texts(table)["energy per inference"], texts(table)["U"], texts(table)["power"]) == (
        "140.70", "± 0.12", "40.36",
    )  # fmt: skip


def test_without_accuracy_data_there_is_no_uncertainty(tmp_path: Path) -> None:
    (one,) = page(folder(tmp_path / "one", result(with_energy(u=None, budget=[])))).runs
    (fact,) = [fact for fact in one.facts if fact.label == "energy of one inference"]
    assert (fact.cell.text, fact.cell.note) == ("140.70 emulated µJ", "gross, no accuracy data")
    assert (one.budget, one.budget_figure) == (None, None)


def test_provenances_are_never_in_one_table(tmp_path: Path) -> None:
    folders = [
        folder(tmp_path / word, result(run(word), provenance=word), traces=False)  # type: ignore[arg-type]
        for word in ("emulated", "replayed", "measured")
    ]
    found = page(*folders)
    assert [(group.provenance, group.word) for group in found.groups] == [
        ("measured", "measured"), ("emulated", "EMULATED"), ("replayed", "REPLAYED"),
    ]  # fmt: skip
    for group in found.groups:
        (table,) = group.tables
        assert [row.cells[0].text for row in table.rows] == [group.provenance]
        assert group.word in table.caption
    assert [one.provenance for one in found.runs] == ["measured", "emulated", "replayed"]
    assert any("not to be compared" in line for line in found.verdict.lines)
    units = {one.provenance: one.facts[1].cell.text for one in found.runs}
    assert units == {"measured": "12.499 ms", "emulated": "12.499 emulated ms", "replayed": "12.499 ms"}


def test_other_firmware_on_the_same_board_is_another_row_and_says_so(tmp_path: Path) -> None:
    other = msgspec.structs.replace(result().firmware, sha256="f" * 64)
    one = folder(tmp_path / "one", result(created="2026-01-03T00:00:00+00:00"), traces=False)
    two = folder(tmp_path / "two", result(firmware=other), traces=False)
    (table,) = page(one, two).groups[0].tables
    assert [(texts(table, row)["firmware"], texts(table, row)["made"]) for row in (0, 1)] == [
        ("f" * 12, "2026-01-02 03:04:05"), (SHA[:12], "2026-01-03 00:00:00"),
    ]  # fmt: skip
    assert "The rows are of different firmware." in table.notes


def test_each_board_has_a_table_of_its_own(tmp_path: Path) -> None:
    units = [
        schema.Unit(name=name, port=f"/dev/tty{name}", build_id=None, link="frames", baud=115200, inputs=5)
        for name in ("a", "b")
    ]
    runs = [run("kws01", unit=0, energy_uj=None), run("kws01", unit=1, energy_uj=None), run("ic01", unit=None)]
    found = page(folder(tmp_path / "one", result(*runs, units=units, provenance="measured"), traces=False))
    captions = [table.caption for table in found.groups[0].tables]
    assert captions == [
        "a (Cortex-M4F at 125 MHz), board 1, measured",
        "b (Cortex-M4F at 125 MHz), board 2, measured",
        "mps2_an386 (Cortex-M4F at 125 MHz), spread over 2 boards, measured",
    ]
    slower = msgspec.structs.replace(result().board, clock_hz=80_000_000)
    two = [folder(tmp_path / "x", traces=False), folder(tmp_path / "y", result(board=slower), traces=False)]
    assert len(page(*two).groups[0].tables) == 2


@pytest.mark.parametrize(
    ("runs", "kind", "headline"),
    [
        ([run(), run("ad01")], "quick", "All 2 runs are valid: a quick look, no benchmark result"),
        (
            [run(rules="mlperf")],
            "quick",
            "The run is valid under the MLPerf Tiny run rules, but EMULATED: no benchmark result",
        ),
        ([run(), run(valid=False, reasons=["too short"])], "invalid", "INVALID: 1 of 2 runs"),
        ([run(valid=False)], "invalid", "INVALID: 1 of 1 run"),
    ],
)
def test_the_verdict_is_that_of_the_runs(tmp_path: Path, runs: list[schema.Run], kind: str, headline: str) -> None:
    found = page(folder(tmp_path / "one", result(*runs), traces=False)).verdict
    assert (found.kind, found.headline) == (kind, headline)
    invalid = [number for number, one in enumerate(runs) if not one.valid]
    assert [href for _, href in found.links] == [f"#run-0-{number}" for number in invalid]
    for number in invalid:
        reason = "; ".join(runs[number].reasons) or "marked as not valid, without a reason"
        assert f"kws01, energy: {reason}" in found.lines
    assert "EMULATED: time is instructions at one per cycle, not silicon" in found.lines


def test_measured_runs_under_the_rules_are_valid_and_no_more_is_said(tmp_path: Path) -> None:
    made = result(run(rules="mlperf"), run("ad01", rules="mlperf"), provenance="measured")
    found = page(folder(tmp_path / "one", made, traces=False)).verdict
    assert (found.kind, found.headline) == ("valid", "All 2 runs are valid under the MLPerf Tiny run rules")
    assert found.lines == ("measured on the board",)


def test_nothing_finished_is_no_valid_result(tmp_path: Path) -> None:
    empty = folder(tmp_path / "one", msgspec.structs.replace(result(), runs=[]))
    assert page(empty).verdict.kind == "invalid"
    assert b"No run was finished" in render([empty], NOW)


def test_a_missed_target_and_a_board_that_left_are_told_first(tmp_path: Path) -> None:
    unit = schema.Unit(name="b", port=None, build_id=None, link="stock", baud=9600, inputs=0, dropped="it fell silent")
    found = page(folder(tmp_path / "one", result(*FULL, units=[*result().units, unit]), traces=False))
    lines = found.verdict.lines
    assert "ic01, accuracy: top-1 84.50% MISSES the official target, top-1 85.00%" in lines
    assert "board 2 (b) left the session: it fell silent" in lines


def test_a_window_that_does_not_count_says_why(tmp_path: Path) -> None:
    bad = energy_window(1, valid=False, reasons=["3 samples were lost"], energy_uj=None, u_uj=None)
    (one,) = page(folder(tmp_path / "one", result(with_energy(windows=[energy_window(0), bad])))).runs
    assert one.energy is not None
    assert [row.kind for row in one.energy.rows] == ["row", "invalid"]
    assert (one.energy.rows[1].cells[-1].text, one.energy.rows[1].cells[-1].note) == (
        "NOT VALID", "3 samples were lost",
    )  # fmt: skip
    (trace,) = one.traces
    assert [(stretch.name, stretch.valid) for stretch in trace.stretches] == [
        ("window 1", True), ("window 2", False), ("window 3", True),
    ]  # fmt: skip
    marks = json.loads(trace.payload)["marks"]
    assert [mark["note"] for mark in marks if mark["kind"] == "window"] == [
        "in_0.bin", "in_1.bin; 3 samples were lost", "in_2.bin",
    ]  # fmt: skip


def test_a_window_that_was_measured_again_counts_once(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", traces=False)
    write_trace(one / "trace-kws01.jls", "kws01")
    write_trace(one / "trace-kws01-2.jls", "kws01", windows=1)
    write_trace(one / "trace-kws01x.jls", "kws01x")
    (found,) = page(one).runs
    assert [trace.file for trace in found.traces] == ["trace-kws01.jls", "trace-kws01-2.jls"]
    assert len({trace.key for trace in found.traces}) == 2
    assert sum(len(trace.payload) for trace in found.traces) < 120_000


def test_the_traces_marks_are_in_seconds_of_the_file(tmp_path: Path) -> None:
    (one,) = page(folder(tmp_path / "one")).runs
    payload = json.loads(one.traces[0].payload)
    windows = [mark for mark in payload["marks"] if mark["kind"] == "window"]
    assert [mark["to_s"] - mark["from_s"] for mark in windows] == pytest.approx([0.5, 0.5, 0.5])
    spans = [mark for mark in payload["marks"] if mark["kind"] == "operator"]
    assert [mark["name"] for mark in spans] == ["0 CONV_0D", "1 CONV_1D", "2 CONV_2D"]
    assert spans[0]["from_s"] == pytest.approx(windows[0]["from_s"])
    assert [mark["kind"] for mark in payload["marks"]].count("idle") == 2


def test_a_damaged_or_missing_trace_is_a_note(tmp_path: Path) -> None:
    cut, gone, foreign = (folder(tmp_path / name) for name in ("cut", "gone", "foreign"))
    trace = cut / "trace-kws01.jls"
    trace.write_bytes(trace.read_bytes()[: trace.stat().st_size // 2])
    (gone / "trace-kws01.jls").unlink()
    (foreign / "trace-kws01.jls").write_bytes(b"no trace at all")
    notes = [page(each).runs[0].trace_notes for each in (cut, gone, foreign)]
    assert "was cut off" in notes[0][0]
    assert str(tmp_path) not in notes[0][0]
    assert "no trace of this run" in notes[1][0]
    assert "no JLS file" in notes[2][0]
    for each in (cut, gone, foreign):
        assert b"140.70" in render([each], NOW)
    assert trace.stat().st_size > 0


def test_a_trace_of_something_else_is_not_shown_as_this_runs(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", traces=False)
    for file, changes in (("trace-kws01.jls", {"task": "ad01"}), ("trace-kws01-2.jls", {"provenance": "measured"})):
        write_trace(one / file, **({"task": "kws01"} | changes))
    (found,) = page(one).runs
    assert found.traces == ()
    assert found.trace_notes == (
        "trace-kws01.jls is not shown: trace-kws01.jls is a trace of ad01: was it renamed?",
        "trace-kws01-2.jls is not shown: trace-kws01-2.jls was measured, the run was EMULATED.",
    )


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", traces=False)
    write_trace(tmp_path / "elsewhere.jls", "kws01")
    (one / "trace-kws01.jls").symlink_to(tmp_path / "elsewhere.jls")
    assert page(one).runs[0].traces == ()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_older_records_make_a_page(tmp_path: Path, version: int) -> None:
    """What they do not hold is not said, and no cell claims to be from there."""
    one = folder(tmp_path / "one", result(run(energy_uj=None, profile=None)))
    document = raw(one)
    document["schema"] = f"tinyjoule.result/{version}"
    del document["board"]["wiring"], document["firmware"]["sizes"]
    if version < 3:
        del document["units"], document["runs"][0]["unit"], document["runs"][0]["energy_uj"]
    (one / record.RESULT_FILE).write_text(json.dumps(document))
    found = page(one)
    for cell in cells(found):
        if cell.path is not None:
            assert at(document, cell.path) == cell.value
    assert "Code size" not in " ".join(found.groups[0].tables[0].notes)
    assert b"12.499" in render([one], NOW)


def test_all_that_repeats_a_run_is_there(tmp_path: Path) -> None:
    one = folder(tmp_path / "one")
    (source,) = page(one).sources
    said = {fact.cell.text for group in source.facts for fact in group.facts}
    assert {SHA, "gcc 12.2.1", "-O2 -std=c99", "UART0", "LED 0", "a current model", "100 mA", "20 kS/s"} <= said
    assert source.command is None


def test_the_same_folders_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = (
        folder(tmp_path / "one"),
        folder(tmp_path / "two", result(run("ad01"), created="2026-01-01T00:00:00+00:00")),
    )
    made = render([one, two], NOW)
    assert made == render([two, one, two], NOW)
    assert b"two" in made


def test_the_page_is_whole_and_asks_for_nothing(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", result(*FULL))
    tags = Tags()
    text = render([one], NOW).decode()
    tags.feed(text)
    assert len(tags.ids) == len(set(tags.ids))
    assert all(link.startswith("#") and link[1:] in tags.ids for link in tags.links)
    assert not {"style", "srcset", "onclick", "onload"} & tags.attributes
    assert {"link", "img", "iframe", "object", "base"}.isdisjoint(tags.tags)
    assert text.count("<script") == 1 + 2  # our own, and the data of two traces
    assert tags.tags.count("svg") >= 7


def test_a_folder_that_is_none_writes_nothing(tmp_path: Path) -> None:
    good, bad = folder(tmp_path / "good", traces=False), tmp_path / "bad"
    bad.mkdir()
    out = tmp_path / "out.html"
    with pytest.raises(HostError, match="name a result folder that"):
        write_report([good, bad], out)
    (bad / record.RESULT_FILE).write_text("{}")
    with pytest.raises(ResultInvalid, match="bad"):
        write_report([good, bad], out)
    (bad / record.RESULT_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(ResultInvalid):
        write_report([good, bad], out)
    with pytest.raises(HostError):
        write_report([], out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "good"]


def test_a_full_run_of_four_tasks_stays_below_a_megabyte(tmp_path: Path) -> None:
    tasks = [run(task, profile=profile(30)) for task in ("ad01", "ic01", "kws01", "vww01")]
    one = folder(tmp_path / "one", result(*tasks), traces=False)
    for number, task in enumerate(("ad01", "ic01", "kws01", "vww01")):
        write_trace(one / f"trace-{task}.jls", task, windows=5, window_s=10.0 - number, rate_hz=100e3)
    made = render([one], NOW)
    assert made.count(b"application/json") >= 4
    assert len(made) < 1_000_000


def test_many_traces_share_the_room(tmp_path: Path) -> None:
    bare = run(energy_uj=energy(budget=[]), profile=None, latency_us=None)
    folders = [
        folder(tmp_path / str(number), result(bare, created=f"2026-01-02T03:04:{number:02}+00:00"))
        for number in range(8)
    ]
    payloads = [len(trace.payload) for one in page(*folders).runs for trace in one.traces]
    assert len(payloads) == 8
    assert 350_000 < sum(payloads) < 402_000


def test_the_shares_of_operators_add_up(tmp_path: Path) -> None:
    (one,) = page(folder(tmp_path / "one", traces=False)).runs
    assert one.operators is not None
    rows = [texts(one.operators, number) for number in range(len(one.operators.rows))]
    assert [row["#"] for row in rows] == ["0", "1", "2", "sum", "whole"]
    assert sum(float(row["share"].rstrip("%")) for row in rows[:3]) == pytest.approx(100, abs=0.2)
    assert rows[3]["time"] == f"{sum(cost.us or 0 for cost in operators()):,.1f}"
    assert [row.kind for row in one.operators.rows] == ["row", "row", "row", "sum", "sum"]


def test_the_budget_is_sorted_and_adds_up(tmp_path: Path) -> None:
    (one,) = page(folder(tmp_path / "one", traces=False)).runs
    assert one.budget is not None
    rows = [[cell.text for cell in row.cells] for row in one.budget.rows]
    assert [row[0] for row in rows] == ["current gain", "current offset", "noise", "together"]
    assert rows[-1][1] == "0.055"
    assert [cell.path for cell in (row.cells[1] for row in one.budget.rows[:3])] == [
        f"runs.0.energy_uj.budget.{number}.u_uj" for number in (1, 2, 0)
    ]


def test_net_energy_says_so(tmp_path: Path) -> None:
    net = energy(net=132.1, value=132.1)
    found = page(folder(tmp_path / "one", result(run(energy_uj=net)), traces=False))
    (table,) = found.groups[0].tables
    notes = {cell.path: cell.note for cell in table.rows[0].cells}
    assert notes["runs.0.energy_uj.value"] == "net of idle"
    said = {fact.label: fact.cell.text for fact in found.runs[0].facts}
    assert (said["energy of one inference"], said["gross"]) == ("132.10 emulated µJ", "140.70 emulated µJ")


def test_runs_are_reached_from_the_table(tmp_path: Path) -> None:
    found = page(folder(tmp_path / "one", result(*FULL), traces=False))
    hrefs = [row.href for group in found.groups for table in group.tables for row in table.rows]
    anchors: list[str] = [one.anchor for one in found.runs if isinstance(one, Run)]
    assert hrefs == [f"#{anchor}" for anchor in anchors]


def test_a_table_says_on_what_its_rows_were_made_and_by_which_k(tmp_path: Path) -> None:
    made_up = schema.DatasetInfo(name="synthetic", source="synthetic speech", sha256=SHA, n=5)
    first = folder(tmp_path / "one", result(run(dataset=made_up)), traces=False)
    (table,) = page(first).groups[0].tables
    assert "kws01: kws01.tflite (official) on 5 SYNTHETIC inputs (synthetic speech)" in table.notes
    assert [column.unit for column in table.columns if column.title == "U"] == ["emulated µJ, k = 2"]
    assert not any("different" in note for note in table.notes)
    model = schema.ModelInfo(name="mine", source="added", sha256="f" * 64, arena_bytes=20_000)
    other = with_energy(k=3.0)
    second = folder(tmp_path / "two", result(msgspec.structs.replace(other, model=model)), traces=False)
    (table,) = page(first, second).groups[0].tables
    assert "kws01: the rows are of different models." in table.notes
    assert "kws01: the rows are of different inputs." not in table.notes
    assert [column.unit for column in table.columns if column.title == "U"] == ["emulated µJ, k as in each run"]


def test_an_interval_of_few_windows_says_so(tmp_path: Path) -> None:
    (one,) = page(folder(tmp_path / "one", result(run()), traces=False)).runs
    (fact,) = [fact for fact in one.facts if fact.label == "median, 95 % interval from"]
    assert fact.cell.note == "by bootstrap over 3 windows, whose range itself holds the median in 75% of cases"


def test_a_net_energy_is_told_from_the_gross_everywhere(tmp_path: Path) -> None:
    net = with_energy(value=132.8765, net=132.8765, u=0.0093)
    (one,) = page(folder(tmp_path / "one", result(net), traces=False)).runs
    text = {fact.label: fact.cell.text for fact in one.facts}
    assert text["energy of one inference"] == "132.8765 emulated µJ"
    assert text["gross"] == "140.70 emulated µJ"  # its own U is 0.12
    assert one.energy is not None
    assert [column.unit for column in one.energy.columns if column.title == "per inference"] == [
        "emulated µJ, net of idle"
    ]


def test_a_latency_of_nearly_nothing_is_not_nothing(tmp_path: Path) -> None:
    quick = schema.Latency(median=0.4321, min=0.4, max=99.9, unit="us")
    (one,) = page(folder(tmp_path / "one", result(run(latency_us=quick)), traces=False)).runs
    text = {fact.label: fact.cell.text for fact in one.facts}
    assert text["latency, median of the windows"] == "0.000432 emulated ms"
    assert text["latency, longest"] == "0.0999 emulated ms"


def test_a_monitor_that_chose_its_range_says_so_and_an_emulated_session_was_not_measured(tmp_path: Path) -> None:
    monitor = msgspec.structs.replace(energy().monitor, range_a=None)
    (source,) = page(folder(tmp_path / "one", result(with_energy(monitor=monitor)), traces=False)).sources
    facts = {fact.label: fact.cell.text for part in source.facts for fact in part.facts}
    assert facts["range"] == "auto-range"
    assert "measured at" not in facts
    assert facts["made at"].startswith("2026-01-02T03:04:05")
