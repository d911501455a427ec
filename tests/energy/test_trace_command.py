# SPDX-License-Identifier: Apache-2.0
"""`host trace` and `host energy`, as a person types them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from trace_kit import board_chunks, info

from energy.instrument import SampleChunk
from energy.trace import OperatorSpan, TraceReader, TraceWriter, is_unclosed
from energy.window import PULSE_S, MarkerMeter
from host.cli import main
from host.report.trace import Stretch, envelopes, plot, stretch

WINDOW_S = 0.3


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """A trace of idle, two windows, the second with lost samples, and idle again."""
    path = tmp_path / "trace-kws01.jls"
    record(path)
    return path


def record(path: Path, *, close: bool = True, idle: int = 2) -> TraceWriter:
    writer = TraceWriter(path, info(rate_hz=100e3))
    if idle:
        record_idle(writer)
    for number in range(2):
        meter = MarkerMeter(1.8)
        capture = writer.begin_capture("window", window=number, input_name=f"{number}.bin", inferences=10)
        for chunk in board_chunks(number, lost_at=4 if number else None):
            meter.feed(chunk)
            writer.write(chunk)
        reading = meter.finish(WINDOW_S - PULSE_S)
        writer.end_capture(reading)
        if number == 0:
            spans = [(f"${index}_{{", reading.start_s + index * 0.01) for index in range(3)]
            writer.operators(
                [
                    OperatorSpan(capture=capture, index=index, name=name, start_s=at, end_s=at + 0.01)
                    for index, (name, at) in enumerate(spans)
                ]
            )
    if idle == 2:
        record_idle(writer)
    if close:
        writer.close()
    return writer


def record_idle(writer: TraceWriter) -> None:
    writer.begin_capture("idle")
    for chunk in board_chunks(9):
        level = np.full(len(chunk.current_a), 1e-3, np.float32)
        writer.write(SampleChunk(level, chunk.voltage_v, chunk.marker, chunk.t0_s, chunk.rate_hz))
    writer.end_capture(None)


def host(*words: object) -> int:
    return main([str(word) for word in words])


def test_the_content(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert host("trace", path) == 0
    said = capsys.readouterr().out
    for words in (
        "trace-kws01.jls: kws01, EMULATED, by simulated (tinyjoule,VA1,1,1); 100,000 samples/s",
        "current, voltage, timing pin", "the idle stretch", "window 1 (0.bin), 10 inferences", "3 operators marked",
    ):  # fmt: skip
        assert words in said
    assert "3 samples were lost in the window" in " ".join(said.split())


def test_energy_is_replayed_and_a_bad_window_says_why(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert host("energy", path) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "kws01, energy of one inference, REPLAYED from an EMULATED recording, by simulated" in said
    assert "only valid window" in said
    assert "window 2 (1.bin) not valid: 3 samples were lost in the window" in said


def replayed(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    assert host("energy", *words, "--json") == 0
    record: dict = json.loads(capsys.readouterr().out)
    return record


def test_energy_as_json_with_options(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gross = replayed(capsys, path)
    assert (gross["schema"], gross["provenance"], gross["of"]) == ("tinyjoule.replay/1", "replayed", "emulated")
    assert gross["energy_uj"]["value"] == gross["energy_uj"]["gross"] > 0
    halved = replayed(capsys, path, "--inferences", 20)
    assert halved["energy_uj"]["value"] == pytest.approx(gross["energy_uj"]["value"] / 2)
    net = replayed(capsys, path, "--net")["energy_uj"]
    idle_uj = 1e-3 * 1.8 * WINDOW_S / 10 * 1e6
    assert net["value"] == net["net"] == pytest.approx(net["gross"] - idle_uj, rel=1e-2)


@pytest.mark.parametrize("idle", [0, 1])
def test_net_without_idle_is_no_number(idle: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trace-kws01.jls"
    record(path, idle=idle)
    assert host("energy", path, "--net") == 1
    assert "leave out --net" in capsys.readouterr().out


def test_traces_of_different_runs_are_not_mixed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = path.with_name("trace-ad01.jls")
    with TraceWriter(other, info(rate_hz=100e3, task="ad01")) as writer:
        writer.begin_capture("idle")
    assert host("energy", path, other) in (1, 2)
    assert capsys.readouterr().err.startswith("host: ")


def test_csv_holds_every_sample(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "all.csv"
    assert host("trace", path, "--csv", out) == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    with TraceReader(path) as trace:
        assert len(rows) == sum(capture.samples for capture in trace.captures)
        capture = trace.captures[2]
        current, voltage, pin = trace.read(capture.first, capture.samples)
        mine = [row for row in rows if row["capture"] == "2"]
        assert np.array_equal(np.array([row["current_a"] for row in mine], np.float32), current, equal_nan=True)
        assert voltage is not None
        assert np.array_equal(np.array([row["voltage_v"] for row in mine], np.float32), voltage, equal_nan=True)
        assert pin is not None
        assert [row["pin"] for row in mine] == [str(int(level)) for level in pin]
        assert float(mine[0]["time_s"]) == pytest.approx(capture.first / 100e3, abs=1e-9)
    assert sum(row["current_a"] == "nan" for row in mine) == 3
    capsys.readouterr()
    assert host("trace", path, "--csv", "-", "--from", 0.02, "--to", 0.0203) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "time_s,capture,current_a,voltage_v,pin"
    assert len(lines) == 31
    assert lines[1].startswith("0.020000000,0,")


@pytest.mark.parametrize(("words", "says"), [(("--from", 99), "goes from 0 to"), (("--to", 0), "goes from 0 to")])
def test_a_stretch_that_is_not_there(
    path: Path, words: tuple[object, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host("trace", path, "--csv", "-", *words) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("point", ["nan", "inf", "soon"])
def test_a_point_in_time_is_a_number(path: Path, point: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        host("trace", path, "--csv", "-", "--from", point)
    assert "must be a number of seconds" in capsys.readouterr().err


def test_a_trace_is_never_written_over(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    was = path.read_bytes()
    link = tmp_path / "link.png"
    link.symlink_to(path)
    for option, out in (("--csv", path), ("--csv", tmp_path / "." / path.name), ("--plot", link)):
        assert host("trace", path, option, out) == 2
        assert "the trace itself" in capsys.readouterr().err
    assert host("trace", path, "--csv", tmp_path / "a.png", "--plot", tmp_path / "a.png") == 2
    assert path.read_bytes() == was


def test_plots(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert host("trace", path, "--plot", tmp_path / "all.png") == 0
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")
    assert host("trace", path, "--plot", tmp_path / "part.svg", "--from", 0.45, "--to", 0.55) == 0
    assert b"<svg" in (tmp_path / "part.svg").read_bytes()
    assert host("trace", path, "--plot", tmp_path / "all.pdf") == 2
    assert ".png or .svg" in capsys.readouterr().err


def test_an_envelope_shows_every_extreme(tmp_path: Path) -> None:
    """A spike of one sample in 100,000, a gap, and an overload."""
    path = tmp_path / "x.jls"
    current = np.full(100_003, 0.01, np.float32)
    current[7_777], current[50_000:50_300], current[90_000] = 0.5, np.nan, np.inf
    pin = np.ones(len(current), np.bool_)
    pin[33_333] = False
    with TraceWriter(path, info(rate_hz=1e5, voltage_measured=False)) as writer:
        writer.begin_capture("idle")
        writer.write(SampleChunk(current, None, pin, 0.0, 1e5))
        writer.end_capture(None)
    with TraceReader(path) as trace:
        seen, level = envelopes(trace, Stretch(0, len(current)), bins=1000)
        assert len(seen.time_s) == 991  # of 101 samples each
        assert np.nanmax(seen.high) == np.float32(0.5)
        assert int(np.nanargmax(seen.high)) == 7_777 // 101
        assert np.nanmin(seen.low) == np.float32(0.01)
        assert np.isnan(seen.high[50_000 // 101 + 1])
        assert np.flatnonzero(seen.over).tolist() == [90_000 // 101]
        assert np.flatnonzero(level.low == 0).tolist() == [33_333 // 101]
        raw = envelopes(trace, Stretch(7_700, 100), bins=1000)[0]
        assert np.array_equal(raw.low, current[7_700:7_800])
        assert len(plot(trace, stretch(trace, None, None))) > 10_000


def test_an_unclosed_trace_is_recovered_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trace-kws01.jls"
    script = (
        "import os, signal, sys\n"
        f"sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).resolve().parent.parent.parent)]!r}\n"
        "from pathlib import Path\n"
        "from test_trace_command import record\n"
        "writer = record(Path(sys.argv[1]), close=False)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False, timeout=60)
    assert is_unclosed(path)
    assert host("energy", path) == 0
    first = capsys.readouterr()
    assert f"host: {path} had not been closed: it was recovered" in first.err
    assert host("energy", path) == 0
    again = capsys.readouterr()
    assert (again.out, again.err) == (first.out, "")
    whole = tmp_path / "whole.jls"
    record(whole)
    assert host("energy", whole) == 0
    assert capsys.readouterr().out == first.out


@pytest.mark.parametrize("command", ["trace", "energy"])
@pytest.mark.parametrize("content", [None, b"", b"no trace at all, but long enough"])
def test_files_that_are_none(
    command: str, content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jls"
    if content is not None:
        path.write_bytes(content)
    assert host(command, path) == 1
    assert capsys.readouterr().err.startswith("host: TraceError: ")
