# SPDX-License-Identifier: Apache-2.0
"""What is not handed in, and why: sessions that are real but for one thing."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from submission_kit import MODES, build_id, make_board, measure, measure_all

from host.errors import ResultInvalid, UsageError
from host.results.journal import MonitorPlan
from host.submission.code import Sources
from host.submission.gather import gather

Json = dict[str, Any]
PERFORMANCE, ACCURACY, ENERGY = range(3)


@pytest.fixture(scope="module")
def sessions(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A session for each mode, of one task."""
    return measure_all(tmp_path_factory.mktemp("sessions"), ("kws01",))


@pytest.fixture
def folders(sessions: list[Path], tmp_path: Path) -> list[Path]:
    """Copies that a test may spoil."""
    copies = [tmp_path / mode for mode in MODES]
    for session, copy in zip(sessions, copies, strict=True):
        shutil.copytree(session, copy)
    return copies


def reasons(folders: Sequence[Path], division: Any = "closed") -> list[str]:
    with pytest.raises(ResultInvalid, match="this cannot be handed in") as caught:
        gather(folders, division)
    return [line.strip() for line in str(caught.value).split("\n")[1:]]


def edit(
    folder: Path, *, result: Callable[[Json], None] | None = None, rows: Callable[[list[Json]], None] | None = None
) -> None:
    """Change result.json, or the journal, whose checks are made right again: they hold no secret."""
    if result is not None:
        document = json.loads((folder / "result.json").read_text())
        result(document)
        (folder / "result.json").write_text(json.dumps(document))
    if rows is not None:
        lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
        for line in lines:
            del line["check"]
        rows(lines)
        text, check = b"", 0
        for line in lines:
            body = msgspec.json.encode(line)
            check = zlib.crc32(body, check)
            text += body[:-1] + b',"check":"%08x"}\n' % check
        (folder / "journal.jsonl").write_bytes(text)


def everywhere(folder: Path, change: Callable[[Json], None]) -> None:
    """Change the head of the result in both places."""
    edit(folder, result=change, rows=lambda lines: change(lines[0]["base"]))


def put(**values: Any) -> Callable[[Json], None]:
    return lambda document: document.update(values)


def test_good_sessions_are_taken_in_any_order(sessions: list[Path]) -> None:
    gathered = gather([sessions[2], sessions[0], sessions[1]], "closed")
    assert [(cell.benchmark.name, cell.run.mode) for cell in gathered.cells] == [("kws", mode) for mode in MODES]
    assert gathered.notes == ()
    assert len(gather(sessions[:2], "open").cells) == 2  # energy may be left out


@pytest.mark.parametrize("kind", ["emulated", "replayed"])
def test_only_what_was_measured(kind: str, folders: list[Path]) -> None:
    everywhere(folders[PERFORMANCE], put(provenance=kind))
    assert reasons(folders) == [
        f"{folders[PERFORMANCE]}: {kind}: only what was measured on a board can be handed in. Measure it on the board, "
        "with --port"
    ]


def test_a_result_that_was_relabelled_is_noticed(folders: list[Path]) -> None:
    edit(folders[PERFORMANCE], rows=lambda lines: lines[0]["base"].update(provenance="emulated"))
    said = reasons(folders)
    assert any("emulated: only what was measured" in reason for reason in said)
    assert any("result.json does not follow from journal.jsonl" in reason for reason in said)


def test_a_quick_look_is_none(data_dir: Path, folders: list[Path], tmp_path: Path) -> None:
    quick = measure(make_board(("kws01",)), tmp_path / "quick", "performance", ("kws01",), rules="quick")
    said = reasons([quick, *folders[1:]])
    assert said == [f"{quick}: measured under the quick rules: measure it again with --rules mlperf"]


def test_a_part_of_the_inputs_is_not_all(data_dir: Path, folders: list[Path], tmp_path: Path) -> None:
    part = measure(make_board(("kws01",)), tmp_path / "part", "accuracy", ("kws01",), inputs=999)
    said = reasons([folders[0], part])
    assert any("not valid: 999 inputs" in reason and "host data fetch kws01" in reason for reason in said)
    assert any("999 inputs (made up by a test), the official set has 1000: leave out" in reason for reason in said)
    assert not any("labels" in reason for reason in said)  # nothing is broken: it is a part


def test_a_miss_of_the_target_is_for_the_open_division(data_dir: Path, tmp_path: Path) -> None:
    board = make_board(("kws01",), wrong=101)
    folders = [measure(board, tmp_path / mode, mode, ("kws01",)) for mode in ("performance", "accuracy")]
    assert len(said := reasons(folders)) == 1
    assert "not valid: top-1 89.90%, under the official target" in said[0]
    cells = gather(folders, "open").cells
    assert [cell.run.valid for cell in cells] == [True, False]


def test_energy_is_all_that_the_board_takes(data_dir: Path, folders: list[Path], tmp_path: Path) -> None:
    wanted = MonitorPlan(monitor="lpm01a@/dev/ttyACM1", net=True)
    net = measure(make_board(("kws01",)), tmp_path / "net", "energy", ("kws01",), energy=wanted)
    assert reasons([*folders[:2], net]) == [
        f"{net}: energy net of idle: the rules ask for all that the board takes. Measure it again without --net"
    ]


@pytest.mark.parametrize("mode", ["performance", "accuracy"])
def test_no_benchmark_without(mode: str, folders: list[Path]) -> None:
    rest = [folder for folder in folders if folder.name != mode]
    assert reasons(rest) == [
        f"kws01: no {mode} run, which every benchmark of a submission has: `host bench kws01 --mode {mode} --rules "
        "mlperf` makes it"
    ]


def test_one_run_for_each_place(data_dir: Path, folders: list[Path], tmp_path: Path) -> None:
    again = measure(make_board(("kws01",)), tmp_path / "again", "performance", ("kws01",))
    (said,) = reasons([*folders, again])
    assert said.startswith("kws01, performance: 2 runs (")
    with pytest.raises(UsageError, match="the same folder twice"):
        gather([*folders, folders[0]], "closed")


@pytest.mark.parametrize(
    ("what", "field", "value"),
    [("build", "firmware build", "f" * 16), ("engine", "engine", "tflm 1"), ("clock", "clock", 80_000_000)],
)
def test_one_firmware_in_all_folders(what: str, field: str, value: Any, folders: list[Path]) -> None:
    def change(lines: list[Json]) -> None:
        device, base = lines[0]["devices"][0], lines[0]["base"]
        if what == "build":
            device["build_id"] = value
        elif what == "engine":
            device["engine"] = value
        else:
            base["board"]["clock_hz"] = value

    edit(folders[ACCURACY], rows=change)
    if what == "clock":
        edit(folders[ACCURACY], result=lambda document: document["board"].update(clock_hz=value))
    (said,) = reasons(folders)
    assert said.startswith(f"{folders[ACCURACY]}: the {field} is {value}, in {folders[PERFORMANCE]} it is ")


def test_one_model_and_one_set_of_inputs_in_all_modes(folders: list[Path]) -> None:
    def other(run: Json, header: Json | None) -> None:
        for place in [run] if header is None else [run["tasks"][0]]:
            place["dataset"]["sha256"] = "2" * 64

    edit(
        folders[ENERGY],
        result=lambda document: other(document["runs"][0], None),
        rows=lambda lines: other(lines[0], lines[0]),
    )
    assert reasons(folders) == [f"{folders[ENERGY]}: kws01: another set of inputs than in {folders[PERFORMANCE]}"]


def test_the_closed_division_has_official_models(folders: list[Path]) -> None:
    for folder in folders:
        edit(
            folder,
            result=lambda document: document["runs"][0]["model"].update(sha256="3" * 64, name="mine"),
            rows=lambda lines: lines[0]["tasks"][0]["models"][0].update(sha256="3" * 64, name="mine"),
        )
    said = reasons(folders)
    assert len(said) == 3
    assert all("kws01, " in reason and "mine is not the official one" in reason for reason in said)
    assert len(gather(folders, "open").cells) == 3


@pytest.mark.parametrize("at", [PERFORMANCE, ACCURACY, ENERGY])
def test_a_figure_that_was_edited_is_noticed(at: int, folders: list[Path]) -> None:
    def change(document: Json) -> None:
        run = document["runs"][0]
        if at == PERFORMANCE:
            run["throughput_inf_per_s"] += 1
        elif at == ACCURACY:
            run["accuracy"]["value"] = 0.95
        else:
            run["energy_uj"]["gross"] /= 2

    edit(folders[at], result=change)
    (said,) = reasons(folders)
    assert said.endswith("result.json does not follow from journal.jsonl: was it edited? Restore both")
    assert f"kws01, {MODES[at]}" in said


@pytest.mark.parametrize("at", [PERFORMANCE, ENERGY])
def test_a_window_that_was_edited_is_noticed(at: int, folders: list[Path]) -> None:
    edit(folders[at], result=lambda document: document["runs"][0]["windows"][2].update(duration_us=20_000_000))
    assert any("does not follow from journal.jsonl" in reason for reason in reasons(folders))


def test_a_label_that_was_edited_is_noticed(folders: list[Path]) -> None:
    path = folders[ACCURACY] / "outputs-kws01.csv"
    lines = path.read_text().splitlines()
    name, label, rest = lines[1].split(",", 2)
    lines[1] = f"{name},{(int(label) + 1) % 12},{rest}"
    path.write_text("\n".join(lines) + "\n")
    (said,) = reasons(folders)
    assert "outputs-kws01.csv: its labels are not those of the session: restore it" in said


def test_the_number_of_all_inputs_excuses_no_label(data_dir: Path, folders: list[Path], tmp_path: Path) -> None:
    folders[ACCURACY] = measure(make_board(("kws01",)), tmp_path / "all", "accuracy", ("kws01",), inputs=1000)
    test_a_label_that_was_edited_is_noticed(folders)


def damage(path: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    text = path.read_bytes()
    middle = len(text) // 2
    yield "a byte", lambda: path.write_bytes(text[:middle] + bytes((text[middle] ^ 1,)) + text[middle + 1 :])
    yield "a line", lambda: path.write_bytes(b"\n".join(text.split(b"\n")[:3] + text.split(b"\n")[4:]))
    yield "the end", lambda: path.write_bytes(text[:-5])
    yield "gone", path.unlink


@pytest.mark.parametrize("what", ["a byte", "a line", "the end", "gone"])
def test_a_damaged_journal_is_no_journal(what: str, folders: list[Path]) -> None:
    path = folders[PERFORMANCE] / "journal.jsonl"
    dict(damage(path))[what]()
    said = reasons(folders)
    assert str(path) in said[0]


@pytest.mark.parametrize("name", ["result.json", "journal.jsonl", "log.jsonl", "outputs-kws01.csv"])
def test_a_file_that_is_missing_or_no_file_is_named(name: str, folders: list[Path]) -> None:
    path = folders[ACCURACY] / name
    path.unlink()
    assert any(name in reason for reason in reasons(folders))
    path.mkdir()
    assert any(name in reason for reason in reasons(folders))
    path.rmdir()
    os.mkfifo(path)
    assert any(name in reason for reason in reasons(folders))


def test_every_reason_is_told_at_once(folders: list[Path]) -> None:
    everywhere(folders[PERFORMANCE], put(provenance="emulated"))
    edit(folders[ENERGY], result=lambda document: document["runs"][0]["windows"].pop())
    (folders[ACCURACY] / "journal.jsonl").write_text("rubbish\n")
    said = "\n".join(reasons(folders))
    for part in (
        "emulated: only",
        "kws01, energy: result.json does not",
        "accuracy/journal.jsonl, line 1",
        "no accuracy run",
    ):
        assert part in said


def test_tasks_that_have_no_place_are_left_out_with_a_word(folders: list[Path]) -> None:
    """The second image classification is no benchmark of the layout."""
    for folder in folders:
        edit(
            folder,
            result=lambda document: document["runs"].append({**document["runs"][0], "task": "ic02"}),
        )
    gathered = gather(folders, "closed")
    assert len(gathered.cells) == 3
    assert set(gathered.notes) == {f"{folder}: ic02 left out: a submission has no place for it" for folder in folders}


def test_nothing_finished_is_nothing_to_hand_in(folders: list[Path]) -> None:
    edit(folders[PERFORMANCE], result=lambda document: document.update(runs=[]))
    said = reasons(folders)
    assert (
        f"{folders[PERFORMANCE]}: no task is finished: `host bench --resume {folders[PERFORMANCE]}` goes on with it"
        in said
    )


def test_sources_that_make_another_firmware_are_not_its_code(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    Sources(gather(folders, "closed"), None)
    monkeypatch.setattr("host.embed.source_hash", lambda *_: "edited since")
    with pytest.raises(ResultInvalid, match=f"build {build_id()}, is not what the sources in"):
        Sources(gather(folders, "closed"), None)


def test_a_board_whose_sources_are_elsewhere_is_packed_there(folders: list[Path]) -> None:
    for folder in folders:
        everywhere(folder, lambda document: document["board"].update(name="somebodys"))
    with pytest.raises(ResultInvalid, match="run this in the checkout"):
        Sources(gather(folders, "closed"), None)
