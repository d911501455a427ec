"""The result record: what is written can be read, what is damaged is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.errors import HostError, ResultInvalid
from host.results import record, schema
from host.runner.accuracy import Row

SHA = "0123456789abcdef" * 4


def make_result(**changes: object) -> schema.Result:
    run = schema.Run(
        task="kws01",
        mode="performance",
        rules="quick",
        valid=True,
        reasons=[],
        model=schema.ModelInfo(name="kws", source="official", sha256=SHA, arena_bytes=20000),
        dataset=schema.DatasetInfo(name="kws01", source="official", sha256=SHA, n=5),
        windows=[schema.Window(input="a.bin", inferences=3, duration_us=300_000)],
        latency_us=schema.Latency(median=100_000.0, min=99_000.5, max=101_000.0, unit="us"),
        throughput_inf_per_s=10.0,
        instructions_per_inference=12_345_678,
        accuracy=None,
    )
    result = schema.Result(
        schema="tinyjoule.result/3",
        provenance="emulated",
        created="2026-01-02T03:04:05+00:00",
        board=schema.BoardInfo(name="mps2_an386", core="Cortex-M4F", clock_hz=125_000_000),
        firmware=schema.FirmwareInfo(version="0.1.0", engine="tflite_c", compiler="gcc", flags="-O2", sha256=SHA),
        host=schema.HostInfo(version="0.1.0", python="3.11.2", platform="Linux"),
        runs=[run],
    )
    return msgspec.structs.replace(result, **changes)


def test_a_written_record_reads_back_the_same(tmp_path: Path) -> None:
    result = make_result()
    path = record.write_result(tmp_path, result)
    assert record.read_result(path) == result
    assert record.read_result(tmp_path) == result
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_the_record_has_the_fields_the_schema_promises() -> None:
    data = json.loads(schema.encode(make_result()))
    assert data["schema"] == "tinyjoule.result/3"
    assert set(data) == {"schema", "provenance", "created", "board", "firmware", "host", "runs", "units"}
    assert set(data["runs"][0]) == {
        *("task", "mode", "rules", "valid", "reasons", "model", "dataset", "windows", "latency_us"),
        *("throughput_inf_per_s", "instructions_per_inference", "accuracy", "energy_uj", "profile"),
        *("clock", "unit"),
    }
    assert data["runs"][0]["energy_uj"] is None


def make_profile() -> schema.Profile:
    cost = {"us": 12.5, "cycles": None, "instructions": 1500}
    return schema.Profile(
        input="a.bin",
        inferences=3,
        operators=[
            schema.OperatorCost(index=0, name="CONV_2D", shape=[1, 5, 5, 8], macs=1800, bytes=400, **cost),
            schema.OperatorCost(
                index=1, name="RESHAPE", shape=[1, 200], macs=0, bytes=400, us=None, cycles=None, instructions=None
            ),
        ],
        whole_us=12.4,
        whole_cycles=None,
        whole_instructions=1497,
        resolution_us=1.0,
        deviation=0.002,
    )


def test_a_profile_is_kept_and_a_record_from_before_there_were_any_is_read() -> None:
    run = msgspec.structs.replace(make_result().runs[0], profile=make_profile())
    text = schema.encode(make_result(runs=[run]))
    assert schema.decode(text).runs[0].profile == make_profile()
    data = json.loads(text)
    data["runs"][0]["profile"]["operators"][0]["macs"] = -1
    with pytest.raises(ResultInvalid, match="macs"):
        schema.decode(json.dumps(data).encode())
    del data["runs"][0]["profile"]
    assert schema.decode(json.dumps(data).encode()) == make_result()


def test_a_record_of_the_third_schema_is_read_as_it_was_written() -> None:
    # As `host bench --mode energy` wrote it before wiring and sizes were in it.
    path = Path(__file__).with_name("result_3.json")
    result = record.read_result(path)
    assert result.schema == "tinyjoule.result/3"
    assert (result.board.wiring, result.firmware.sizes) == (None, None)
    assert [run.task for run in result.runs] == ["ad01", "ic01", "ic02", "kws01", "vww01"]
    now = json.loads(schema.encode(result))
    assert (now["board"].pop("wiring"), now["firmware"].pop("sizes")) == (None, None)
    assert now == json.loads(path.read_bytes())


def test_a_record_of_the_second_schema_is_read_as_it_was_written() -> None:
    # As `host bench` wrote it before there was energy.
    path = Path(__file__).with_name("result_2.json")
    result = record.read_result(path)
    assert result.schema == "tinyjoule.result/2"
    assert [(run.task, run.unit, run.energy_uj) for run in result.runs] == [("kws01", 0, None), ("kws01", 1, None)]
    written = json.loads(path.read_bytes())
    for run, was in zip(result.runs, written["runs"], strict=True):
        now = msgspec.to_builtins(run)
        assert now | was | {"dataset": now["dataset"]} == now  # an early one, whose labels were not hashed yet
    assert schema.decode(schema.encode(result)) == result


def test_a_record_of_the_first_schema_is_read_with_what_it_did_not_have_left_open() -> None:
    # As `host bench` wrote it before there were statistics, clocks and several boards.
    path = Path(__file__).with_name("result_1.json")
    result = record.read_result(path)
    assert (result.schema, result.units) == ("tinyjoule.result/1", [])
    assert [run.task for run in result.runs] == ["ic01", "kws01"]
    run = result.runs[0]
    assert (run.clock, run.unit, run.profile) == (None, None, None)
    assert {(window.host_us, window.instructions) for window in run.windows} == {(None, None)}
    assert run.latency_us == schema.Latency(
        median=700_051.0,
        min=700_039.0,
        max=700_054.0,
        unit="us of emulated time at 1 instruction per cycle and 125 MHz (emulated)",
    )
    assert run.instructions_per_inference == 87_506_400


def test_statistics_clocks_and_boards_are_kept() -> None:
    interval = schema.Interval(low=99_000.0, high=101_000.0, level=0.95)
    run = msgspec.structs.replace(
        make_result().runs[0],
        latency_us=schema.Latency(median=1e5, min=1e5, max=1e5, unit="us", cv=0.01, interval=interval),
        windows=[schema.Window(input="a", inferences=3, duration_us=300_000, host_us=300_100, instructions=12_345_678)],
        accuracy=schema.Accuracy(
            metric="auc", value=None, n=1, target=0.85, met=None, target_source="user", reason="one class"
        ),
        clock=schema.ClockCheck(ratio=1.01, drift=0.01, limit=0.005, windows=5),
        unit=0,
    )
    unit = schema.Unit(name="native", port=None, build_id="x", link="frames", baud=None, inputs=5, dropped="it died")
    result = make_result(runs=[run], units=[unit])
    assert schema.decode(schema.encode(result)) == result


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("schema",), "tinyjoule.result/5"),
        (("provenance",), "guessed"),
        (("created",), "yesterday"),
        (("board", "clock_hz"), 0),
        (("board", "clock_hz"), "fast"),
        (("firmware", "sha256"), "abc"),
        (("extra",), 1),
        (("runs", 0, "mode"), "turbo"),
        (("runs", 0, "windows", 0, "inferences"), 0),
        (("runs", 0, "windows", 0, "duration_us"), -1),
        (("runs", 0, "latency_us", "median"), None),
        (("runs", 0, "reasons"), ["it was too short"]),
        (("runs", 0, "accuracy"), {"metric": "top1", "value": 1.5, "n": 1, "target": None, "met": None}),
    ],
)
def test_a_field_that_breaks_the_schema_is_named(place: tuple[str | int, ...], value: object) -> None:
    data = json.loads(schema.encode(make_result()))
    parent = data
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    with pytest.raises(ResultInvalid):
        schema.decode(json.dumps(data).encode())


def test_writing_refuses_what_reading_would_refuse(tmp_path: Path) -> None:
    run = msgspec.structs.replace(make_result().runs[0], valid=True, reasons=["too short"])
    with pytest.raises(ResultInvalid, match="too short"):
        record.write_result(tmp_path, make_result(runs=[run]))
    assert list(tmp_path.iterdir()) == []


@given(st.integers(min_value=0, max_value=3000))
def test_a_truncated_record_is_refused(length: int) -> None:
    text = schema.encode(make_result())
    if length < len(text.rstrip()):
        with pytest.raises(ResultInvalid):
            schema.decode(text[:length])


@given(st.binary(max_size=400))
def test_rubbish_is_refused(data: bytes) -> None:
    with pytest.raises(ResultInvalid):
        schema.decode(data)


@pytest.mark.parametrize("number", [2**53 + 1, 2**64, 10**400])
def test_a_whole_number_that_is_none_of_ours_is_refused(number: int) -> None:
    document = json.loads(schema.encode(make_result()))
    for place, key in (
        (document["board"], "clock_hz"),
        (document["runs"][0]["dataset"], "n"),
        (document["runs"][0]["windows"][0], "duration_us"),
    ):
        kept, place[key] = place[key], number
        with pytest.raises(ResultInvalid, match=key):
            schema.decode(json.dumps(document).encode())
        place[key] = kept
    assert schema.decode(json.dumps(document).encode()) == make_result()


def test_reading_names_the_file_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"host bench"):
        record.read_result(tmp_path)
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(ResultInvalid, match=r"result\.json"):
        record.read_result(tmp_path)


def test_a_full_disk_is_an_error_and_keeps_the_old_record(tmp_path: Path) -> None:
    # A limit on file sizes makes write() fail in the middle as a full disk does; it holds for a child process only.
    script = (
        "import resource, signal, sys; from pathlib import Path; from host.errors import HostError;"
        "from host.results import record; path = Path(sys.argv[1]); record.write_file(path, b'old');"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: record.write_file(path, bytes(100_000))\n"
        "except HostError as error: print(error)"
    )
    path = tmp_path / "result.json"
    answer = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.startswith(f"cannot write {path}")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_two_folders_in_one_second_have_two_names(tmp_path: Path) -> None:
    folders = {record.create_folder(tmp_path, "x") for _ in range(5)}
    assert len(folders) == 5


def test_outputs_are_kept_row_by_row(tmp_path: Path) -> None:
    rows = [
        Row("a.bin", 3, (0.004, 0.996), None, 1),
        Row("b,c.bin", 0, (1.0, 0.0), None, 0),
        Row("d.bin", 1, (10.26449, 9.0), 9.632245, None),
    ]
    path = record.write_outputs(tmp_path, "kws01", rows)
    assert path.read_text() == (
        'input,label,predicted,outputs,score\na.bin,3,1,0.004 0.996,\n"b,c.bin",0,0,1.000 0.000,\n'
        "d.bin,1,,10.264 9.000,9.632245\n"
    )


def test_a_link_that_lies_in_a_folder_is_not_written_through(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "report.html"
    victim.write_bytes(b"mine")
    (tmp_path / ".report.html.part").symlink_to(victim)
    path.symlink_to(victim)
    record.write_file(path, b"new")
    assert victim.read_bytes() == b"mine"
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"


def test_what_two_hosts_write_at_once_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    pages = [bytes([number]) * 300_000 for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for turn in [pool.submit(record.write_file, path, page) for page in pages * 5]:
            turn.result()
    assert path.read_bytes() in pages
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_pipe_a_folder_and_a_device_are_no_record_and_keep_nobody_waiting(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    os.mkfifo(path)
    with pytest.raises(HostError, match="no plain file"):
        record.read_result(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(HostError, match="Is a directory"):
        record.read_result(tmp_path)
    path.rmdir()
    path.symlink_to("/dev/zero")
    with pytest.raises(HostError, match="no plain file"):
        record.read_result(tmp_path)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(record.MAX_RESULT_BYTES + 1)
    with pytest.raises(HostError, match="more than"):
        record.read_result(tmp_path)
