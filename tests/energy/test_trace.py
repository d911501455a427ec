# SPDX-License-Identifier: Apache-2.0
"""Traces: what is read is what was written, also after kill -9; damaged and foreign files."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pyjls
import pytest
from trace_kit import RATE_HZ, chunks_of, info, reading

from energy.errors import TraceError
from energy.instrument import SampleChunk
from energy.trace import OperatorSpan, TraceReader, TraceWriter, free_trace_path, recover, recover_folder


def same(one: SampleChunk, other: SampleChunk) -> bool:
    arrays = [
        (one.current_a, other.current_a), (one.voltage_v, other.voltage_v), (one.marker, other.marker)
    ]  # fmt: skip
    for left, right in arrays:
        if left is None or right is None:
            if left is not right:
                return False
        elif left.dtype != right.dtype or left.tobytes() != right.tobytes():
            return False
    return (one.t0_s, one.rate_hz, one.lost) == (other.t0_s, other.rate_hz, other.lost)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "trace-kws01.jls"


def write(path: Path, captures: Sequence[Sequence[SampleChunk]], **more: object) -> None:
    with TraceWriter(path, info(**more)) as writer:
        for number, chunks in enumerate(captures):
            kind = "window" if number else "idle"
            writer.begin_capture(kind, window=number - 1 if number else None, input_name="a.bin", inferences=17)
            for chunk in chunks:
                writer.write(chunk)
            writer.end_capture(reading() if number else None)


@pytest.mark.parametrize(
    ("voltage", "windows"), [(True, "marker"), (False, "marker"), (True, "trigger"), (False, "trigger")]
)
@pytest.mark.parametrize("sizes", [(1, 40), (1, 5000), (200_000, 200_001)])
def test_chunks_come_back_as_they_were(path: Path, voltage: bool, windows: str, sizes: tuple[int, int]) -> None:
    count = 300_000 if sizes[0] > 1000 else 20_000
    captures = [
        list(chunks_of(count + seed, seed, sizes, voltage=voltage, pin=windows == "marker", t0_s=-0.37 * seed))
        for seed in range(3)
    ]
    assert any(chunk.lost for chunks in captures for chunk in chunks)
    write(path, captures, voltage_measured=voltage, windows=windows)
    with TraceReader(path) as trace:
        assert trace.info == info(voltage_measured=voltage, windows=windows)
        assert (trace.has_voltage, trace.has_pin, trace.rate_hz) == (voltage, windows == "marker", RATE_HZ)
        assert [capture.begin.number for capture in trace.captures] == [0, 1, 2]
        for capture, chunks in zip(trace.captures, captures, strict=True):
            got = list(trace.chunks(capture))
            assert len(got) == len(chunks)
            assert all(same(one, other) for one, other in zip(got, chunks, strict=True))
            assert capture.end is not None
            assert capture.begin.inferences == 17
        assert [capture.begin.kind for capture in trace.captures] == ["idle", "window", "window"]
        assert [capture.begin.window for capture in trace.captures] == [None, 0, 1]


def test_a_gap_is_no_number_on_the_axis(path: Path) -> None:
    one, other = chunks_of(2000, 1, (1000, 1001), losses=False)
    write(path, [[one, SampleChunk(other.current_a, other.voltage_v, other.marker, other.t0_s, RATE_HZ, lost=77)]])
    with TraceReader(path) as trace:
        current, voltage, _ = trace.read(0, trace.samples)
        bad = np.isnan(current)
        assert np.flatnonzero(bad[:2077]).tolist() == list(range(1000, 1077))
        assert bad[2077:].all(), "the rest of the block"
        assert voltage is not None
        assert np.array_equal(np.isnan(voltage), bad)


def test_chunks_can_be_cut_into_smaller_ones(path: Path) -> None:
    wanted = list(chunks_of(5000, 3, (900, 1000)))
    write(path, [wanted])
    with TraceReader(path) as trace:
        got = list(trace.chunks(trace.captures[0], 400))
    assert {len(chunk.current_a) for chunk in got} >= {400}
    assert max(len(chunk.current_a) for chunk in got) == 400
    for name in ("current_a", "voltage_v", "marker"):
        one, other = (np.concatenate([getattr(chunk, name) for chunk in chunks]) for chunks in (got, wanted))
        assert np.array_equal(one, other, equal_nan=name != "marker")
    assert sum(chunk.lost for chunk in got) == sum(chunk.lost for chunk in wanted)
    for before, after in pairwise(got):
        end_s = before.t0_s + len(before.current_a) / RATE_HZ
        assert after.t0_s - after.lost / RATE_HZ == pytest.approx(end_s, abs=1e-9)


def test_an_absurd_gap_fills_no_disk(path: Path) -> None:
    one, other = chunks_of(2000, 1, (1000, 1001), losses=False)
    write(path, [[one, SampleChunk(other.current_a, other.voltage_v, other.marker, 1e6, RATE_HZ, lost=1 << 60)]])
    assert path.stat().st_size < 12 << 20
    with TraceReader(path) as trace:
        assert [chunk.lost for chunk in trace.chunks(trace.captures[0])] == [0, 1 << 60]


def test_windows_and_operators_are_marked(path: Path) -> None:
    spans = [
        OperatorSpan(capture=1, index=1, name="softmax", start_s=0.2, end_s=0.3),
        OperatorSpan(capture=1, index=0, name="conv_2d", start_s=0.1, end_s=0.2),
    ]
    with TraceWriter(path, info()) as writer:
        for kind in ("idle", "window"):
            number = writer.begin_capture(kind)  # type: ignore[arg-type]
            for chunk in chunks_of(20_000, 1, (999, 1000), losses=False):
                writer.write(chunk)
            writer.end_capture(reading(device_s=0.4, reasons=("too short",)) if number else None)
        writer.operators(spans)
    with TraceReader(path) as trace:
        idle, window = trace.captures
        assert trace.operators(window) == (spans[1], spans[0])
        assert trace.operators(idle) == ()
        assert window.end is not None
        assert (window.end.device_s, window.end.reasons) == (0.4, ("too short",))
        assert (window.end.start_s, window.end.end_s, window.end.energy_j) == (0.1, 0.5, 1e-3)
    marks: list[tuple[int, str]] = []
    with pyjls.Reader(str(path)) as reader:
        reader.annotations(1, 0, lambda at, _y, kind, _group, data: marks.append((at, data)) if kind == 2 else None)
    first = window.first
    assert marks == [(first + round(0.1 * RATE_HZ), "1a"), (first + round(0.5 * RATE_HZ), "1b")]


def test_a_capture_that_was_left_is_cut_off_and_the_next_one_is_whole(path: Path) -> None:
    with TraceWriter(path, info()) as writer:
        writer.begin_capture("idle")  # of which not one sample came
        for number in (1, 2):
            assert writer.begin_capture("window", window=0) == number
            for chunk in chunks_of(3000, number, (999, 1000), losses=False):
                writer.write(chunk)
        writer.end_capture(reading())
    with TraceReader(path) as trace:
        left, whole = trace.captures
        assert (left.begin.number, left.end) == (1, None)
        assert whole.begin.number == 2
        assert whole.end is not None
        assert sum(len(chunk.current_a) for chunk in trace.chunks(whole)) == 3000


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {kit!r})
from trace_kit import chunks_of, info, reading
from energy.trace import TraceWriter
writer = TraceWriter(Path(sys.argv[1]), info())
for number in range(3):
    writer.begin_capture("window", window=number, inferences=5)
    for chunk in chunks_of(30_000, number, (1, 3000), losses=False):
        writer.write(chunk)
        if number == 2 and chunk.t0_s > 3:
            writer._jls.flush()  # as time would: its thread had less than a millisecond for all of it
            print("here", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    writer.end_capture(reading())
"""


@pytest.fixture(name="killed")
def _killed(path: Path) -> Path:
    """A trace whose writer was killed in the middle of its third capture."""
    script = KILLED.format(kit=str(Path(__file__).parent))
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "here\n"), ended.stderr
    return path


def test_finished_captures_survive_kill_9(killed: Path) -> None:
    with pytest.raises(TraceError, match="was cut off"):
        TraceReader(killed)
    hopeless = killed.with_name("trace-a.jls")
    hopeless.write_bytes(b"")
    told = recover_folder(killed.parent)
    assert [text.split(":")[0].split(" is no")[0] for text in told] == [str(hopeless), str(killed)]
    hopeless.unlink()
    assert not recover(killed), "nothing is left to do"
    assert [path.name for path in killed.parent.iterdir()] == [killed.name]
    with TraceReader(killed) as trace:
        assert [capture.end is not None for capture in trace.captures] == [True, True, False]
        for number, capture in enumerate(trace.captures):
            wanted = list(chunks_of(30_000, number, (1, 3000), losses=False))
            got = list(trace.chunks(capture))
            if number < 2:
                assert all(same(one, other) for one, other in zip(got, wanted, strict=True))
            currents = np.concatenate([chunk.current_a for chunk in got])
            assert len(currents) > 3 * RATE_HZ - 1024
            assert np.array_equal(currents, np.concatenate([chunk.current_a for chunk in wanted])[: len(currents)])


def test_a_trace_that_is_recorded_is_left_alone(path: Path) -> None:
    with TraceWriter(path, info()) as writer:
        writer.begin_capture("idle")
        writer.write(next(iter(chunks_of(3000, 1, (3000, 3001)))))
        for action in (recover, TraceReader):
            with pytest.raises(TraceError, match="is being recorded"):
                action(path)
        writer.end_capture(None)
    assert not recover(path)
    TraceReader(path).close()


def test_the_next_trace_of_a_task_has_a_number(path: Path) -> None:
    folder = path.parent
    assert free_trace_path(folder, "kws01") == path
    write(path, [list(chunks_of(100, 1, (1, 9)))])
    assert free_trace_path(folder, "kws01").name == "trace-kws01-2.jls"
    assert free_trace_path(folder, "ad01").name == "trace-ad01.jls"
    with pytest.raises(TraceError, match="exists already"):
        TraceWriter(path, info())


def test_samples_that_do_not_fit_are_refused(path: Path) -> None:
    with TraceWriter(path, info(voltage_measured=False)) as writer:
        (fits,) = chunks_of(100, 1, (100, 101), voltage=False)
        (other,) = chunks_of(100, 1, (100, 101))
        with pytest.raises(TraceError, match="outside of a capture"):
            writer.write(fits)
        writer.begin_capture("idle")
        with pytest.raises(TraceError, match="other signals"):
            writer.write(other)
        writer.write(fits)
        with pytest.raises(TraceError, match="changed its rate"):
            writer.write(SampleChunk(fits.current_a, None, fits.marker, 1.0, RATE_HZ / 2))
        with pytest.raises(TraceError, match="too many"):
            writer.operators([OperatorSpan(capture=0, index=0, name="x", start_s=0, end_s=1)] * 5000)
    writer.close()
    with pytest.raises(TraceError, match="outside of a capture"):
        writer.write(fits)


def test_a_full_disk_is_no_trace(path: Path) -> None:
    """pyjls says nothing when its thread cannot write: a limit of the file's size stands for the disk."""
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "from test_trace import write, chunks_of\n"
        "from energy.errors import TraceError\n"
        "try: write(Path(sys.argv[1]), [list(chunks_of(50_000, 1, (1, 3000)))])\n"
        "except TraceError as error: print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], check=False, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert "is full" in ended.stdout
    assert path.stat().st_size <= 100_000


def test_a_folder_that_is_missing_or_not_ours(path: Path) -> None:
    with pytest.raises(TraceError, match="cannot be written"):
        TraceWriter(path / "x" / "y.jls", info())


@pytest.mark.parametrize("what", ["missing", "folder", "empty", "text", "head"])
def test_no_trace_at_all(path: Path, what: str) -> None:
    if what == "folder":
        path.mkdir()
    elif what != "missing":
        path.write_bytes({"empty": b"", "text": b"Hello\n" * 10, "head": bytes.fromhex("6a6c73666d74")}[what])
    for action in (TraceReader, recover):
        with pytest.raises(TraceError, match=r"cannot be read|no JLS file"):
            action(path)


def damaged(good: bytes, seed: int) -> bytes:
    """Flipped bits, overwritten stretches, bytes taken out, the end cut off."""
    rng, data = random.Random(seed), bytearray(good)
    at = rng.randrange(len(data))
    match seed % 5:
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            data[at : at + 512] = bytes(min(512, len(data) - at))
        case 2:
            del data[at : at + rng.choice((1, 8, 4096))]
        case 3:
            del data[at:]
        case 4:
            data[rng.randrange(3000)] = rng.randrange(256)
    return bytes(data)


def test_a_damaged_file_is_refused_or_gives_what_was_recorded(path: Path) -> None:
    """Numbers may be missing, and then a capture is cut off; never are they other ones."""
    chunks = list(chunks_of(20_000, 1, (500, 3000)))
    write(path, [chunks, chunks])
    good, refused, read = path.read_bytes(), 0, 0
    for seed in range(30):
        path.write_bytes(damaged(good, seed))
        try:
            recover(path)
            with TraceReader(path) as trace:
                for capture in trace.captures:
                    got = list(trace.chunks(capture))
                    if capture.end is not None:
                        assert all(same(one, other) for one, other in zip(got, chunks, strict=True)), seed
                read += 1
        except TraceError:
            refused += 1
    assert min(refused, read) > 4


def foreign(path: Path, signals: Sequence[tuple[str, pyjls.DataType, int, int, np.ndarray]], **tagged: str) -> None:
    """A file that another program wrote: (name, type, rate, first sample id, values) of each signal."""
    with pyjls.Writer(str(path)) as writer:
        writer.source_def(3, name="JS220-001234", vendor="Jetperch", model="JS220", version="1", serial_number="001234")
        for number, (name, kind, rate, begin, values) in enumerate(signals, start=5):
            writer.signal_def(
                number, 3, signal_type=pyjls.SignalType.FSR, data_type=kind, sample_rate=rate, name=name, units=""
            )
            writer.fsr(number, begin, values)
        for data in tagged.values():
            writer.user_data(1, data)


def steps(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.float32)


def test_a_file_of_joulescope_is_one_capture(path: Path) -> None:
    pin = np.arange(8000) // 100 % 2 == 0
    foreign(
        path,
        [
            ("power", pyjls.DataType.F32, 2000, 40, steps(8000)),
            ("voltage", pyjls.DataType.F32, 2000, 45, steps(7990) + 5),
            ("current", pyjls.DataType.F32, 2000, 40, steps(8000)),
            ("gpi[0]", pyjls.DataType.U1, 2000, 40, np.packbits(pin, bitorder="little")),
        ],
        note="a remark",
    )
    with TraceReader(path) as trace:
        assert trace.info is None
        (capture,) = trace.captures
        assert (capture.samples, capture.begin.rate_hz, capture.begin.kind) == (7990, 2000, "window")
        (chunk,) = trace.chunks(capture)
        assert np.array_equal(chunk.current_a, steps(7995)[5:])
        assert chunk.voltage_v is not None
        assert np.array_equal(chunk.voltage_v, chunk.current_a), "all signals begin together"
        assert chunk.marker is not None
        assert np.array_equal(chunk.marker, pin[5:7995])


@pytest.mark.parametrize(
    ("signals", "says"),
    [
        ([("voltage", pyjls.DataType.F32, 1000, 0, steps(100))], "no samples of a signal `current`"),
        (
            [
                ("current", pyjls.DataType.F32, 1000, 0, steps(100)),
                ("voltage", pyjls.DataType.F32, 2000, 0, steps(100)),
            ],
            "different rates",
        ),
        ([("current", pyjls.DataType.U8, 1000, 0, np.zeros(100, np.uint8))], "of a type"),
        (
            [
                ("current", pyjls.DataType.F32, 1000, 0, steps(100)),
                ("voltage", pyjls.DataType.F32, 1000, 500, steps(100)),
            ],
            "do not overlap",
        ),
    ],
)
def test_foreign_files_that_hold_no_measurement(path: Path, signals: list, says: str) -> None:
    foreign(path, signals)
    with pytest.raises(TraceError, match=says):
        TraceReader(path)


def test_texts_from_outside_leave_the_terminal_alone(path: Path) -> None:
    write(path, [list(chunks_of(100, 1, (1, 9)))])
    with TraceReader(path) as trace:
        told = msgspec.json.encode(trace.info).decode()
    signals = [("current", pyjls.DataType.F32, 1000, 0, steps(4000))]
    foreign(path, signals, info=told.replace("VA1,1", "VA1,\\u001b[2J"))
    with pytest.raises(TraceError, match="damaged"):
        TraceReader(path)
    other = path.with_name("x.jls")
    with TraceWriter(other, info()) as writer:
        writer.begin_capture("window", input_name="\x1b]0;title\x07.bin")
        for chunk in chunks_of(3000, 1, (999, 1000)):
            writer.write(chunk)
        writer.end_capture(reading(reasons=("line\nbreak",)))
    with TraceReader(other) as trace:
        (capture,) = trace.captures
        assert capture.begin.input == "?]0;title?.bin"
        assert capture.end is not None
        assert capture.end.reasons == ("line?break",)


def test_a_file_that_lacks_a_signal_it_tells_of(path: Path) -> None:
    """Else a window of an instrument with the pin would be taken for a triggered one."""
    foreign(path, [("current", pyjls.DataType.F32, 1000, 0, steps(4000))], info=msgspec.json.encode(info()).decode())
    with pytest.raises(TraceError, match="a signal is missing"):
        TraceReader(path)


def test_records_that_somebody_made_up(path: Path) -> None:
    """Files with right checksums and wrong content."""
    signals = [("current", pyjls.DataType.F32, 1000, 0, steps(4000))]
    foreign(path, signals, info='{"format": "tinyjoule.trace/1", "rate_hz": -1}')
    with pytest.raises(TraceError, match="damaged"):
        TraceReader(path)
    for number, data in enumerate([b"\x00", struct.pack("<I", 0) + b"x" * 27]):
        own = path.with_name(f"{number}.jls")
        writer = TraceWriter(own, info())
        writer.begin_capture("idle")
        for chunk in chunks_of(3000, 1, (999, 1000)):
            writer.write(chunk)
        writer._jls.user_data(3, data)
        writer.close()
        with pytest.raises(TraceError, match="cut short"):
            TraceReader(own)


def test_reading_takes_constant_memory(path: Path) -> None:
    """A chunk that the table says is longer than the file is not made up."""
    writer = TraceWriter(path, info())
    number = writer.begin_capture("idle")
    for chunk in chunks_of(3000, 1, (999, 1000), losses=False):
        writer.write(chunk)
    writer._rows[1:] = [(0, (1 << 32) - 1, 0, 0.0, 0)]
    writer.end_capture(None)
    writer.close()
    with TraceReader(path) as trace:
        got = list(trace.chunks(trace.captures[number]))
    assert sum(len(chunk.current_a) for chunk in got) == 3000


def test_the_lock_ends_with_the_process(killed: Path) -> None:
    assert recover(killed)
    with TraceReader(killed) as one, TraceReader(killed) as two:
        assert one.samples == two.samples
    assert not [name for name in os.listdir(killed.parent) if "recovering" in name]
