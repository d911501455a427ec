# SPDX-License-Identifier: Apache-2.0
"""`host history`: the table, CSV, JSON and the plot of many results, with hostile ones among them."""

from __future__ import annotations

import csv
import io
import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console
from test_history import OLDER, put, sized
from test_results import SHA, make_result

from host.cli import main
from host.report.history import print_history
from host.report.history_plot import PANELS, plot
from host.results import schema
from host.results.history import Row, read_history
from host.results.trend import trends

HOSTILE = [
    *("\x1b[31mred\x1b]0;title\x07", "[bold red]markup[/]", "$\\frac{1}{0}$", "\u202eltr", "=1+1", "a\nb\r"),
    *("漢字" * 40, ""),
]


def energy(value: float, u: float | None = 1.0, net: float | None = None) -> schema.Energy:
    return schema.Energy(
        value=value, u=u, k=2.0, gross=value, net=net, idle_mw=None, idle_before_mw=None, idle_after_mw=None,
        idle_drift=None, mean_mw=None, windows=[], budget=[], lost_samples=0, clock_ratio=None,
        monitor=schema.MonitorInfo(
            name="otii", idn="Otii", rate_hz=4000.0, range_a=None, voltage="measured", voltage_v=3.3, windows="marker",
            accuracy_source=None,
        ),
    )  # fmt: skip


def result(day: int, value: float, provenance: str = "measured", **changes: Any) -> bytes:
    run = msgspec.structs.replace(make_result().runs[0], mode="energy", energy_uj=energy(value), **changes)
    created = f"2026-03-{day:02}T10:00:00+00:00"
    return schema.encode(sized(created=created, provenance=provenance, runs=[run]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five days of one board, an emulated run, an invalid one, a copy, and a file of somebody else."""
    for day, value in enumerate((1000.0, 990.0, 995.0, 900.0, 910.0), start=1):
        put(tmp_path / f"day{day}", result(day, value))
    put(tmp_path / "copy", result(5, 910.0))
    put(tmp_path / "emulated", result(6, 500.0, "emulated"))
    put(tmp_path / "replayed", result(7, 400.0, "replayed"))
    put(tmp_path / "invalid", result(8, 1.0, valid=False, reasons=["12 samples were lost in the window"]))
    put(tmp_path / "foreign", b'{"tests": 12}')
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["history", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_table_has_a_trend_of_each_kind_and_nothing_is_mixed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, folder)
    assert (code, err) == (0, "")
    measured, emulated, replayed = (
        out.index(words) for words in ("measured on boards", "EMULATED: time is", "REPLAYED from recordings")
    )
    assert measured < emulated < replayed
    lines = [line for line in out.splitlines() if line.startswith("kws01 ")]
    assert [line.split()[0] for line in lines] == ["kws01"] * 3
    assert re.search(
        r"kws01 +energy, uJ +5, 1 INVALID +1000\.0 +910\.0 \+- 1\.0 +900\.0 +-9\.00 \+- 0\.14 % +\^\^\^__$", lines[0]
    )
    assert "mps2_an386 125 MHz, energy, quick look\n" in out
    assert "energy, emulated uJ" in lines[1]
    assert "500.0" not in lines[0] + lines[2]
    assert "INVALID: kws01 on mps2_an386 in invalid, measured: 12 samples were lost in the window" in out
    assert "1 result left out: copies of others" in out
    assert re.search(r"REFUSED: foreign/result\.json: not a tinyjoule\.result/\d record", out)
    assert "8 runs of 8 results, 2026-03-01 to 2026-03-08" in out


def test_the_table_fits_a_terminal_of_80_columns(folder: Path) -> None:
    found = read_history(folder)
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None, _environ={})
    print_history(found, found.rows, trends(found.rows), console)
    assert max(map(cell_len, out.getvalue().splitlines())) <= 80
    assert "runs:" not in out.getvalue()  # a table, not a block for each row


def test_csv_is_a_line_for_each_run_and_its_numbers_are_exact(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, folder, "--csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    found = read_history(folder).rows
    assert len(rows) == len(found) == 8
    assert list(rows[0]) == list(Row.__struct_fields__)
    for row, is_ in zip(rows, found, strict=True):
        assert float(row["energy_uj"]) == is_.energy_uj
        assert (row["folder"], row["valid"]) == (is_.folder, "true" if is_.valid else "false")
        assert (row["accuracy"], row["monitor"]) == ("", "otii")
    assert "REFUSED: foreign" in err  # told, and not among the lines


def test_json_is_one_document_with_every_run_and_series(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot_file = folder / "plot.svg"
    code, out, _ = run(capsys, folder, "--json", "--plot", plot_file)
    assert code == 0
    document = json.loads(out)
    assert (document["schema"], document["results"], document["copies"]) == ("tinyjoule.history/1", 9, 1)
    assert document["plot"] == str(plot_file)
    assert [one["path"] for one in document["refused"]] == ["foreign/result.json"]
    assert [row["folder"] for row in document["runs"]] == [
        *("day1", "day2", "day3", "day4"), document["runs"][4]["folder"], "emulated", "replayed", "invalid",
    ]  # fmt: skip
    (series,) = [one for one in document["series"] if one["quantity"] == "energy" and one["provenance"] == "measured"]
    assert (series["first"]["value"], series["last"]["value"], series["best"]["value"]) == (1000.0, 910.0, 900.0)
    assert (series["valid"], series["invalid"], series["unit"]) == (5, 1, "uJ")
    assert series["change"]["value"] == pytest.approx(-0.09)


def test_options_choose(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, count in (
        (("--provenance", "emulated"), 1),
        (("--task", "kws01"), 8),
        (("--board", "mps2_an386", "--provenance", "measured"), 6),
        (("--last", 2), 4),
        (("--provenance", "measured", "--last", 3), 3),
    ):
        code, out, _ = run(capsys, folder, "--json", *options)
        assert code == 0
        assert len(json.loads(out)["runs"]) == count


def test_what_is_not_there_is_an_error_that_says_what_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, folder, "--task", "ic01")
    assert (code, out) == (2, "")
    assert "There are the tasks kws01, the boards mps2_an386; measured, emulated, replayed" in err.replace(
        "emulated, measured, replayed", "measured, emulated, replayed"
    )
    code, _, err = run(capsys, folder / "foreign")
    assert code == 1
    assert "none of 1 files" in err
    assert "'result.json'" in err
    assert run(capsys, folder / "nowhere")[0] == 1
    code, _, err = run(capsys, folder, "--plot", folder / "plot.pdf")
    assert code == 2
    assert "has to end in .png or .svg" in err
    code, _, err = run(capsys, folder / "invalid", "--plot", folder / "plot.png")
    assert code == 2
    assert "no valid run to draw" in err
    assert not list(folder.glob("plot*"))
    code, _, err = run(capsys, folder, "--plot", folder / "no folder" / "plot.png")
    assert code == 1
    assert "choose another folder with --plot." in err


def test_the_plot_says_what_each_panel_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.svg", "b.svg", "a.png"):
        code, out, _ = run(capsys, folder, "--plot", folder / name)
        assert code == 0
        assert out.splitlines()[-1] == f"plot: {folder / name}"
    drawn = (folder / "a.svg").read_text()
    assert drawn == (folder / "b.svg").read_text()
    for words in ("kws01, measured", "kws01, EMULATED", "kws01, REPLAYED", "energy, uJ", "energy, emulated uJ"):
        assert f">{words}<" in drawn
    data = (folder / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    assert width > 800
    assert height > 400
    assert len(zlib.decompress(b"".join(chunks(data)))) == height * (1 + 4 * width)


def chunks(png: bytes) -> list[bytes]:
    found, place = [], 8
    while place < len(png):
        size = int.from_bytes(png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            found.append(png[place + 8 : place + 8 + size])
        place += 12 + size
    return found


def test_many_panels_and_lines_are_cut_and_said_to_be(tmp_path: Path) -> None:
    for number in range(PANELS + 6):
        put(tmp_path / f"task{number}", result(1, 10.0, task=f"task{number:02}"))
    board = sized().board
    for number in range(11):
        other = json.loads(result(2, 10.0 + number, task="task00"))
        other["board"]["name"] = f"{board.name}{number}"
        put(tmp_path / f"board{number}", json.dumps(other).encode())
    drawn = plot(trends(read_history(tmp_path).rows), "svg").decode()
    assert "6 more panels left out" in drawn
    assert "4 more left out" in drawn


def test_hostile_names_and_numbers_break_nothing_and_are_not_obeyed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, text in enumerate(HOSTILE):
        data = json.loads(result(number + 1, 10.0, task=text or "x", valid=True))
        data["board"]["name"] = data["firmware"]["engine"] = data["runs"][0]["model"]["name"] = text
        data["runs"][0]["energy_uj"]["monitor"]["idn"] = text
        put(tmp_path / f"{number}", json.dumps(data).encode())
        data["runs"][0] |= {"valid": False, "reasons": [text * 100]}
        data["created"] = f"2026-04-{number + 1:02}T00:00:00+00:00"
        put(tmp_path / f"{number}" / "sub\x1b[2J\n", json.dumps(data).encode())
    for number, value in enumerate((5e-324, 1.7e308, -1.7e308, 0.0, 1e-9, 3.0)):
        data = json.loads(result(number + 1, 1.0, task="numbers"))
        data["runs"][0]["energy_uj"] |= {"value": value, "u": abs(value)}
        data["runs"][0]["latency_us"]["median"] = abs(value)
        put(tmp_path / f"number{number}", json.dumps(data).encode())
    for options in ((), ("--csv",), ("--json",), ("--plot", tmp_path / "p.svg"), ("--plot", tmp_path / "p.png")):
        code, out, err = run(capsys, tmp_path, *options)
        assert (code, err) == (0, "")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", out)
        assert "\u202e" not in out or options == ("--json",)  # what a program reads is what the file holds
        if not options:
            assert "[bold red]markup[/]" in out  # shown, not obeyed
        if options == ("--csv",):
            assert len(out.splitlines()) == 1 + 2 * len(HOSTILE) + 6
        if options == ("--json",):
            assert {row["board"] for row in json.loads(out)["runs"]} >= set(HOSTILE)
    assert "<script" not in (tmp_path / "p.svg").read_text()


def test_results_of_every_schema_are_in_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, path in enumerate(OLDER):
        put(tmp_path / f"{number}", path.read_bytes())
    put(tmp_path / "now", schema.encode(sized()))
    code, out, _ = run(capsys, tmp_path)
    assert code == 0
    assert "4 results" in out
    assert SHA not in out
    for task in ("ad01", "ic01", "kws01", "vww01"):
        assert re.search(rf"^{task} ", out, re.MULTILINE)


def test_inputs_that_were_made_up_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "one", result(1, 1000.0))
    assert "SYNTHETIC" not in run(capsys, tmp_path)[1]
    dataset = msgspec.structs.replace(make_result().runs[0].dataset, name="synthetic", sha256="5" * 64)
    put(tmp_path / "two", result(2, 990.0, dataset=dataset))
    out = run(capsys, tmp_path)[1]
    assert "SYNTHETIC inputs, in some of the runs or in all" in out
    assert "of 2 data sets" in out


def test_a_process_on_a_machine_is_not_said_to_count_instructions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(result(1, 1000.0, "emulated"))
    document["board"] = {**document["board"], "name": "native", "clock_hz": None}
    put(tmp_path / "native", json.dumps(document).encode())
    out = run(capsys, tmp_path)[1]
    assert "EMULATED: a process on a machine like this" in out
    assert "instructions at one per cycle" not in out
    put(tmp_path / "other", result(2, 900.0, "emulated"))
    out = run(capsys, tmp_path)[1]
    assert "EMULATED: time is instructions at one per cycle" in out
    assert "without a clock: a process on a machine like this" in out


def test_one_energy_without_u_does_not_cost_the_others_their_bars(tmp_path: Path) -> None:
    put(tmp_path / "one", result(1, 1000.0))
    put(tmp_path / "two", result(2, 1000.1))
    assert b"LineCollection" in plot(trends(read_history(tmp_path).rows), "svg")
    document = json.loads(result(3, 1000.2))
    document["runs"][0]["energy_uj"]["u"] = None
    put(tmp_path / "three", json.dumps(document).encode())
    assert b"LineCollection" in plot(trends(read_history(tmp_path).rows), "svg")


def test_times_emulated_at_different_clocks_are_not_on_one_axis(tmp_path: Path) -> None:
    for number, clock_hz in enumerate((125_000_000, 25_000_000, None)):
        document = json.loads(result(number + 1, 1000.0, "emulated"))
        document["board"]["clock_hz"] = clock_hz
        document["runs"][0] |= {"mode": "performance", "energy_uj": None}
        put(tmp_path / str(number), json.dumps(document).encode())
    assert plot(trends(read_history(tmp_path).rows), "svg").count(b", EMULATED<") == 3
