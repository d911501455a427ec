# SPDX-License-Identifier: Apache-2.0
"""Many result folders read at once: what the schema takes is there with its numbers, what it refuses is named."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from test_results import SHA, make_result

from host.errors import HostError, ResultInvalid
from host.results import history, record, schema
from host.results.history import DEPTH, MAX_BYTES, Row, read_history

HERE = Path(__file__).parent
OLDER = [HERE / f"result_{version}.json" for version in (1, 2, 3)]


def put(folder: Path, text: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_bytes(text)
    return folder


def sized(**changes: Any) -> schema.Result:
    firmware = msgspec.structs.replace(
        make_result().firmware, sizes=schema.Sizes(text=900, data=20, bss=4000, models=300)
    )
    return make_result(**{"schema": schema.SCHEMA, "firmware": firmware} | changes)


def expected(folder: str, result: schema.Result) -> list[Row]:
    """What the rows of a record have to be, by the record as everything else reads it."""
    rows = []
    for run in result.runs:
        energy, accuracy, sizes = run.energy_uj, run.accuracy, result.firmware.sizes
        rows.append(
            Row(
                created=result.created, provenance=result.provenance, folder=folder, board=result.board.name,
                core=result.board.core, clock_hz=result.board.clock_hz, unit=run.unit, task=run.task, mode=run.mode,
                rules=run.rules, valid=run.valid, reasons=run.reasons, model=run.model.name,
                model_sha256=run.model.sha256, dataset=run.dataset.name, dataset_sha256=run.dataset.sha256,
                inputs=run.dataset.n, engine=result.firmware.engine, firmware=result.firmware.version,
                firmware_sha256=result.firmware.sha256, compiler=result.firmware.compiler,
                latency_us=run.latency_us and run.latency_us.median, instructions=run.instructions_per_inference,
                metric=accuracy and accuracy.metric, accuracy=accuracy and accuracy.value,
                energy_uj=energy and energy.value, u_uj=energy and energy.u,
                net=energy is not None and energy.net is not None, monitor=energy and energy.monitor.name,
                monitor_idn=energy and energy.monitor.idn, arena_bytes=run.model.arena_bytes,
                code_bytes=sizes and sizes.code,
            )
        )  # fmt: skip
    return rows


@pytest.fixture
def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow way fails: what is read was read by DuckDB."""

    def fail(file: Any) -> str:
        raise AssertionError(f"{file} was read a second time")

    monkeypatch.setattr(history, "_slowly", fail)


@pytest.mark.usefixtures("no_second_look")
def test_the_numbers_of_every_schema_are_those_of_the_record(tmp_path: Path) -> None:
    texts = [path.read_bytes() for path in OLDER] + [schema.encode(sized())]
    for number, text in enumerate(texts):
        put(tmp_path / f"{number}", text)
    found = read_history(tmp_path)
    assert (found.results, found.copies, found.refused) == (4, 0, [])
    rows = [row for number, text in enumerate(texts) for row in expected(f"{number}", schema.decode(text))]
    assert sorted(found.rows, key=str) == sorted(rows, key=str)
    assert [row.created for row in found.rows] == sorted(row.created for row in rows)
    assert {row.mode for row in rows} == {"performance", "energy"}
    assert [row.code_bytes for row in found.rows if row.code_bytes is not None] == [620]


@pytest.mark.usefixtures("no_second_look")
def test_accuracy_units_and_numbers_at_their_ends_are_read(tmp_path: Path) -> None:
    run = make_result().runs[0]
    accuracy = schema.Accuracy(metric="top1", value=0.1 + 0.2, n=10, target=None, met=None)
    names = ("left", "ünïcode \x1b[31m\u202e<b>'\"")
    result = sized(
        runs=[
            msgspec.structs.replace(run, mode="accuracy", accuracy=accuracy, latency_us=None),
            msgspec.structs.replace(run, unit=1, latency_us=msgspec.structs.replace(run.latency_us, median=5e-324)),
            msgspec.structs.replace(run, unit=0, latency_us=msgspec.structs.replace(run.latency_us, median=1.7e308)),
            msgspec.structs.replace(run, instructions_per_inference=2**53, valid=False, reasons=["short\n", ""]),
        ],
        units=[
            schema.Unit(name=name, port=None, build_id=None, link="stock", baud=None, inputs=1) for name in names
        ],
    )  # fmt: skip
    put(tmp_path, schema.encode(result))
    rows = read_history(tmp_path).rows
    assert [row.accuracy for row in rows] == [0.1 + 0.2, None, None, None]
    assert [row.latency_us for row in rows] == [None, 5e-324, 1.7e308, 100_000.0]
    assert [row.board for row in rows] == ["mps2_an386", names[1], "left", "mps2_an386"]
    assert (rows[3].instructions, rows[3].reasons, {row.folder for row in rows}) == (
        2**53,
        ["short\n", ""],
        {"."},
    )


def changed(*path: str | int, value: Any) -> Callable[[dict[str, Any]], bytes]:
    def change(data: dict[str, Any]) -> bytes:
        place: Any = data
        for key in path[:-1]:
            place = place[key]
        if value is ...:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        return json.dumps(data).encode()

    return change


def raw(text: bytes) -> Callable[[dict[str, Any]], bytes]:
    return lambda _: text


BROKEN = {
    "empty": raw(b""),
    "no JSON": raw(b"\x00\xff result"),
    "a foreign file": raw(b'{"name": "tests", "passed": 12}'),
    "a list": raw(b"[1, 2]"),
    "null": raw(b"null"),
    "cut off": lambda data: json.dumps(data).encode()[:-40],
    "two of them": lambda data: json.dumps(data).encode() * 2,
    "not UTF-8": lambda data: json.dumps(data).encode().replace(b"Cortex-M4F", b"Cortex-\xff"),
    "half a character": lambda data: json.dumps(data).encode().replace(b"Cortex-M4F", b"\\ud800"),
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + json.dumps(data).encode(),
    "a comma too many": lambda data: json.dumps(data).encode().replace(b'"runs":', b'"runs":,'),
    "deep": raw(b"[" * 1_000_000),
    "deep inside": lambda data: json.dumps(data).encode().replace(b'"mps2_an386"', b"[" * 200_000 + b"]" * 200_000),
    "NaN": changed("runs", 0, "latency_us", "median", value=float("nan")),
    "infinite": changed("runs", 0, "latency_us", "median", value=float("inf")),
    "beyond a double": lambda data: json.dumps(data).encode().replace(b"100000.0", b"1e999"),
    "a number as text": changed("runs", 0, "latency_us", "median", value="100000.0"),
    "text for a truth": changed("runs", 0, "valid", value="true"),
    "a truth for a number": changed("runs", 0, "latency_us", "median", value=True),
    "negative": changed("runs", 0, "latency_us", "median", value=-1.0),
    "a fraction of an instruction": changed("runs", 0, "instructions_per_inference", value=0.5),
    "no latency": changed("runs", 0, "latency_us", value=5),
    "runs as text": changed("runs", value="none"),
    "a run as text": changed("runs", 0, value="none"),
    "no runs": changed("runs", value=...),
    "another schema": changed("schema", value="tinyjoule.result/99"),
    "another provenance": changed("provenance", value="guessed"),
    "another mode": changed("runs", 0, "mode", value="warp"),
    "no hash": changed("firmware", "sha256", value="beef"),
    "a day that never was": changed("created", value="2026-02-30T00:00:00+00:00"),
    "another time zone": changed("created", value="2026-02-03T00:00:00+01:00"),
    "valid for no reason": changed("runs", 0, "reasons", value=["too short"]),
}  # fmt: skip


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_and_costs_no_other(change: Callable[[dict[str, Any]], bytes], tmp_path: Path) -> None:
    text = change(json.loads(schema.encode(sized())))
    put(tmp_path / "broken", text)
    put(tmp_path / "whole", schema.encode(sized()))
    found = read_history(tmp_path)
    assert found.rows == expected("whole", sized())
    (refused,) = found.refused
    assert refused.path == "broken/result.json"
    assert len(refused.reason) > 10
    if b"02-30" not in text:  # the schema knows no calendar
        with pytest.raises((ResultInvalid, RecursionError)):
            schema.decode(text)


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place of a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in leaves(item, (*path, key)))]


ASKED = {
    *("schema", "provenance", "created", "board", "name", "core", "clock_hz", "version", "engine", "compiler"),
    *("sha256", "sizes", "text", "data", "models", "task", "mode", "rules", "valid", "reasons", "median", "metric"),
    *("value", "u", "net", "idn", "unit", "arena_bytes", "instructions_per_inference", "n"),
}
"""Fields that make rows. Others may hold what they want; that is told in history.py."""
VALUES = (None, True, False, 0, 1, -1, 7.5, -0.0, 1e300, "", "x", "7", SHA, [], ["x"], [None], {}, {"a": 1})


def test_what_the_schema_refuses_is_refused_and_what_it_takes_is_the_same(tmp_path: Path) -> None:
    chance = random.Random(11)
    bases = [json.loads(schema.encode(sized())), json.loads(OLDER[2].read_bytes())]
    texts: dict[str, bytes] = {}
    for number in range(400):
        data = deepcopy(bases[number % 2])
        places = [
            path for path in leaves(data)
            if path and path[-1] in ASKED and not {"host", "windows", "budget", "wiring", "profile"} & set(path)
            and path[-2:] != ("latency_us", "unit")
        ]  # fmt: skip
        texts[f"{number:03}"] = changed(*chance.choice(places), value=chance.choice(VALUES))(data)
        put(tmp_path / f"{number:03}", texts[f"{number:03}"])
    found = read_history(tmp_path)
    taken: list[Row] = []
    refused: list[str] = []
    for name, text in texts.items():
        try:
            taken += expected(name, schema.decode(text))
        except ResultInvalid:
            refused.append(f"{name}/result.json")
    by_folder = {row.folder: [one for one in found.rows if one.folder == row.folder] for row in found.rows}
    for name, rows in by_folder.items():  # the same changes twice are copies
        assert rows == [row for row in taken if row.folder == name]
    assert [one.path for one in found.refused] == refused
    assert len(refused) > 100
    assert found.results == len(texts) - len(refused)
    assert len(by_folder) == found.results - found.copies > 40


NAMES = [
    *(
        "[a]",
        "a",
        "*",
        "?",
        "{a,b}",
        "back\\slash",
        "a=b",
        "quo'te\"",
        "new\nline",
        "tab\t",
        "ünï",
        "%20",
        "~",
        "$x",
        "a b",
    ),
]


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    raws = [os.fsencode(name) for name in NAMES] + [b"latin\xe9"]
    for number, raw_name in enumerate(raws):
        run = msgspec.structs.replace(make_result().runs[0], instructions_per_inference=number + 1)
        put(tmp_path / os.fsdecode(raw_name), schema.encode(make_result(runs=[run])))
    found = read_history(tmp_path)
    assert found.refused == []
    assert {row.folder: row.instructions for row in found.rows} == {
        raw_name.decode("utf-8", "backslashreplace"): number + 1 for number, raw_name in enumerate(raws)
    }


def test_links_hidden_folders_pipes_and_depths_are_not_followed(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", schema.encode(make_result()))
    root = tmp_path / "root"
    deepest = root.joinpath(*"abcdefgh"[:DEPTH])
    put(deepest, schema.encode(make_result(created="2026-01-01T00:00:00+00:00")))
    put(deepest / "deeper", schema.encode(make_result(created="2026-01-02T00:00:00+00:00")))
    put(root / ".hidden", schema.encode(make_result(created="2026-01-03T00:00:00+00:00")))
    (root / "linked").symlink_to(outside)
    (root / "file").mkdir()
    (root / "file" / "result.json").symlink_to(outside / "result.json")
    (root / "pipe").mkdir()
    os.mkfifo(root / "pipe" / "result.json")
    (root / "loop").symlink_to(root)
    put(root / "folder" / "result.json", b"")  # a folder of that name
    found = read_history(root)
    assert [row.folder for row in found.rows] == ["a/b/c/d/e/f/g/h"]
    assert [one.path for one in found.refused] == ["folder/result.json/result.json"]
    (tmp_path / "named").symlink_to(root)  # what a person names is what is meant
    assert read_history(tmp_path / "named").rows == found.rows


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    put(tmp_path / "whole", schema.encode(make_result()))
    huge = put(tmp_path / "huge", b"") / "result.json"
    os.truncate(huge, 40 << 30)
    found = read_history(tmp_path)
    assert len(found.rows) == 1
    assert [one.path for one in found.refused] == ["huge/result.json"]
    assert "42,949,672,960 bytes" in found.refused[0].reason
    os.truncate(huge, MAX_BYTES)  # as large as may be, and all zero
    assert "not a tinyjoule.result" in read_history(tmp_path).refused[0].reason


def test_a_file_that_goes_away_or_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    files = [
        history._Found(str(put(tmp_path / name, schema.encode(make_result())) / "result.json"), 100) for name in "abc"
    ]
    os.unlink(files[1].path)
    answers = [answer for _, answer in history._read_all(files)]
    assert [isinstance(answer, str) for answer in answers] == [False, True, False]
    assert "cannot read it: No such file" in str(answers[1])


def test_more_files_than_one_look_takes_are_all_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_CHUNK_FILES", 3)
    monkeypatch.setattr(history, "_CHUNK_BYTES", 5_000)
    for number in range(20):
        put(tmp_path / f"{number}", schema.encode(make_result(created=f"2026-01-02T03:04:{number:02}+00:00")))
    assert [row.folder for row in read_history(tmp_path).rows] == [str(number) for number in range(20)]


def test_a_copy_of_a_folder_is_no_second_measurement(tmp_path: Path) -> None:
    for name in ("one", "two", "sub/three"):
        put(tmp_path / name, schema.encode(make_result()))
    put(tmp_path / "other", schema.encode(make_result(created="2026-01-02T03:04:06+00:00")))
    found = read_history(tmp_path)
    assert (found.results, found.copies, len(found.rows)) == (4, 2, 2)


def test_where_there_is_nothing_it_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"no result\.json in .*host bench"):
        read_history(tmp_path)
    with pytest.raises(HostError, match=r"cannot look into .*missing: No such file"):
        read_history(tmp_path / "missing")
    with pytest.raises(HostError, match="Not a directory"):
        read_history(put(tmp_path / "one", b"{}") / "result.json")


def test_too_many_results_are_refused_before_the_memory_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_FILES", 2)
    for name in "abc":
        put(tmp_path / name, b"{}")
    with pytest.raises(HostError, match="more than 2 results"):
        read_history(tmp_path)


def test_nothing_is_written_and_no_extension_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "results" / "one", schema.encode(make_result()))
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    asked: dict[str, Any] = {}
    real = duckdb.connect

    def connect(**options: Any) -> Any:
        asked.update(options["config"])
        return real(**options)

    monkeypatch.setattr(duckdb, "connect", connect)
    before = sorted(tmp_path.rglob("*"))
    assert len(read_history(Path("results")).rows) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert (asked["autoinstall_known_extensions"], asked["autoload_known_extensions"]) == (False, False)
    assert asked["temp_directory"] == ""


def test_a_result_that_is_written_is_in_the_history(tmp_path: Path) -> None:
    folder = record.create_folder(tmp_path, "board-energy")
    record.write_result(folder, sized())
    assert [row.folder for row in read_history(tmp_path).rows] == [folder.name]
