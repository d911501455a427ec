"""The journal: any prefix of its bytes can be gone on with, and nothing else can."""

from __future__ import annotations

import errno
import multiprocessing
import os
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.errors import HostError, ResultInvalid
from host.results import journal as module
from host.results import schema
from host.results.journal import (
    CalibratedRow,
    DeviceRecord,
    DoneRow,
    DroppedRow,
    Header,
    InputRow,
    Journal,
    PlanRecord,
    ResumedRow,
    Row,
    TaskRecord,
    WindowRow,
    decode,
    seal,
)

INPUTS = 50


def header(boards: int = 2, name: str = "one") -> Header:
    task = TaskRecord(
        task="kws01",
        dataset=schema.DatasetInfo(name="kws01", source="here", sha256="0" * 64, n=INPUTS),
        models=[schema.ModelInfo(name="m", source="here", sha256="1" * 64, arena_bytes=1)] * boards,
    )
    return Header(
        journal="tinyjoule.journal/1",
        id=name,
        plan=PlanRecord(
            tasks=["kws01"], mode="accuracy", rules="quick", inputs=None, boards=["native"] * boards,
            ports=[None] * boards, profile=False, engine="tflite_c", tflm_dir=None, model=None, target=None,
            link="auto",
        ),
        base=schema.Result(
            schema=schema.SCHEMA, provenance="emulated", created="2026-01-01T00:00:00+00:00",
            board=schema.BoardInfo(name="native", core="host", clock_hz=None),
            firmware=schema.FirmwareInfo(version=None, engine=None, compiler=None, flags=None, sha256=None),
            host=schema.HostInfo(version="0", python="3", platform="here"), runs=[],
        ),
        devices=[DeviceRecord(name="tinyjoule", board="native", build_id="b", engine="e", clock_hz=None)] * boards,
        tasks=[task],
    )  # fmt: skip


def an_input(index: int, unit: int = 0, value: float = 0.5) -> InputRow:
    return InputRow(task="kws01", index=index, name=f"{index}.bin", unit=unit, outputs=[value], predicted=0)


def a_window(index: int, unit: int = 0) -> WindowRow:
    window = schema.Window(input=f"{index}.bin", inferences=3, duration_us=7)
    return WindowRow(task="kws01", index=index, unit=unit, window=window)


def write(folder: Path, rows: list[Row], name: str = "one") -> bytes:
    folder.mkdir(parents=True, exist_ok=True)
    with Journal.create(folder, header(name=name)) as journal:
        for row in rows:
            journal.append(row)
    return (folder / module.FILE).read_bytes()


floats = st.floats(allow_nan=False, allow_infinity=False)
some_rows: st.SearchStrategy[list[Row]] = st.lists(
    st.one_of(
        st.builds(
            InputRow, task=st.just("kws01"), index=st.integers(0, INPUTS - 1), name=st.text(), unit=st.integers(0, 1),
            outputs=st.lists(floats, max_size=4), score=st.none() | floats, predicted=st.none() | st.integers(0, 9),
        ),
        st.builds(a_window, st.integers(0, INPUTS - 1), st.integers(0, 1)),
        st.builds(
            CalibratedRow, task=st.just("kws01"), unit=st.integers(0, 1), inferences=st.integers(1, 10**6),
            slowest_us=st.floats(0, 1e9),
        ),
        st.builds(DroppedRow, unit=st.integers(0, 1), reason=st.text()),
        st.builds(ResumedRow, at=st.text()),
    ),
    max_size=12,
    unique_by=lambda row: (type(row), getattr(row, "index", id(row)), isinstance(row, WindowRow) and row.unit),
)  # fmt: skip


@given(rows=some_rows, cut=st.floats(0, 1), more=some_rows)
def test_any_prefix_of_a_journal_goes_on(
    rows: list[Row], cut: float, more: list[Row], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    text = write(folder, rows)
    first = text.index(b"\n") + 1
    size = first + round(cut * (len(text) - first))
    (folder / module.FILE).write_bytes(text[:size])
    with Journal.reopen(folder) as journal:
        assert journal.header == header()
        kept = journal.rows
        assert kept == rows[: text[:size].count(b"\n") - 1]
        added = [row for row in more if not repeats(kept, row)]
        for row in added:
            journal.append(row)
        expected = [*kept]
    with Journal.reopen(folder) as again:
        assert again.rows == expected


def repeats(rows: list[Row], row: Row) -> bool:
    def key(one: Row) -> Any:
        return type(one), getattr(one, "index", None), isinstance(one, WindowRow) and one.unit

    return isinstance(row, InputRow | WindowRow) and key(row) in map(key, rows)


@given(rows=some_rows.filter(bool), where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_one_changed_byte_is_found(
    rows: list[Row], where: float, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = bytearray(write(tmp_path_factory.mktemp("journal"), rows))
    text[int(where * len(text))] ^= flip
    if not text.endswith(b"\n"):
        # The end of the last line is gone: that line was never finished, and the rest is as it was.
        assert decode(bytes(text), "it")[1] == rows[:-1]
        return
    with pytest.raises(ResultInvalid):
        decode(bytes(text), "it")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda lines, _: [lines[0], lines[2], lines[3]], "line 2 is damaged"),  # one left out
        (lambda lines, _: [lines[0], lines[1], lines[1], *lines[2:]], "line 3 is damaged"),  # one doubled
        (lambda lines, _: [lines[0], lines[2], lines[1], lines[3]], "line 2 is damaged"),  # two swapped
        (lambda lines, other: [*lines[:2], other[2], lines[3]], "line 3 is damaged"),  # one of another session
        (lambda lines, other: [other[0], *lines[1:]], "line 2 is damaged"),  # another session's head
        (lambda lines, _: lines[1:], "line 1 is damaged"),  # no head
        (lambda lines, _: [*lines, b"{}"], "line 5 is damaged"),
        (lambda lines, _: [lines[0], b"", *lines[1:]], "line 2 is damaged"),
        (lambda lines, _: [b"\xff\x00rubbish"], "line 1 is damaged"),
        (lambda lines, _: [], "never finished"),
    ],
)
def test_lines_out_of_place_are_refused(change: Any, reason: str, tmp_path: Path) -> None:
    rows: list[Row] = [an_input(index) for index in range(3)]
    lines = write(tmp_path / "a", rows).splitlines()
    other = write(tmp_path / "b", rows, name="two").splitlines()
    text = b"".join(line + b"\n" for line in change(lines, other))
    (tmp_path / "a" / module.FILE).write_bytes(text)
    with pytest.raises(ResultInvalid, match=reason):
        Journal.reopen(tmp_path / "a")
    assert (tmp_path / "a" / module.FILE).read_bytes() == text


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([an_input(1), an_input(1)], "recorded before"),
        ([an_input(1, unit=0), an_input(1, unit=1)], "recorded before"),
        ([a_window(1), a_window(1)], "recorded before"),
        ([an_input(INPUTS)], "has not"),
        ([an_input(0, unit=2)], "has not"),
        ([InputRow(task="ic01", index=0, name="x", unit=0, outputs=[])], "has not"),
        ([DoneRow(), an_input(1)], "behind the end"),
    ],
)
def test_rows_that_make_no_sense_are_refused(rows: list[Row], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ResultInvalid, match=reason):
        decode(write(tmp_path, rows), "it")


def test_each_board_has_its_own_windows(tmp_path: Path) -> None:
    rows: list[Row] = [a_window(0, 1), a_window(1, 0), a_window(0, 0)]
    write(tmp_path, rows)
    with Journal.reopen(tmp_path) as journal:
        assert journal.of(WindowRow, "kws01", 0) == [rows[2], rows[1]]
        assert journal.of(WindowRow, "kws01", 1) == [rows[0]]
        assert journal.of(InputRow, "kws01") == []


@pytest.mark.parametrize(
    "line", [b'{"kind":"input","outputs":[NaN]}', b'{"kind":"input","task":7}', b'{"kind":"nothing"}', b"[1]", b"\xff"]
)
def test_a_line_with_a_right_check_and_a_wrong_form_is_refused(line: bytes, tmp_path: Path) -> None:
    text = write(tmp_path, [])
    _, _, check, _ = decode(text, "it")
    check = zlib.crc32(line[:-1] + b"}", check)
    with pytest.raises(ResultInvalid, match="line 2"):
        decode(text + line[:-1] + b',"check":"%08x"}\n' % check, "it")


def test_only_one_host_at_a_time(tmp_path: Path) -> None:
    write(tmp_path, [an_input(0)])
    with Journal.reopen(tmp_path):
        with pytest.raises(HostError, match="another host has this session open"):
            Journal.reopen(tmp_path)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert "another host" in pool.apply(_try_to_open, (tmp_path,))
    Journal.reopen(tmp_path).close()


def _try_to_open(folder: Path) -> str:
    try:
        Journal.reopen(folder).close()
    except HostError as error:
        return str(error)
    return ""


def test_a_second_journal_in_a_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [])
    with pytest.raises(HostError, match=module.FILE):
        Journal.create(tmp_path, header())


def test_a_folder_without_a_journal_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="Name a folder in which"):
        Journal.reopen(tmp_path)


class FullDisk:
    """A file on a disk that has `room` bytes left."""

    def __init__(self, file: Any, room: int) -> None:
        self._file = file
        self._room = room

    def write(self, data: bytes) -> int:
        taken = data[: self._room]
        self._room -= len(taken)
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._file.write(taken))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 1, 30])
def test_a_full_disk_loses_nothing(room: int, tmp_path: Path) -> None:
    text = write(tmp_path, [an_input(0)])
    journal = Journal.reopen(tmp_path)
    real, journal._file = journal._file, FullDisk(journal._file, room)  # type: ignore[assignment]
    with pytest.raises(HostError, match=r"No space left.*--resume"):
        journal.append(an_input(1))
    assert (tmp_path / module.FILE).read_bytes() == text
    assert journal.rows == [an_input(0)]
    journal._file = real  # somebody has made room: the same host could even go on
    journal.append(an_input(1))
    journal.close()
    with Journal.reopen(tmp_path) as again:
        assert again.rows == [an_input(0), an_input(1)]


def test_what_is_written_is_there_at_once(tmp_path: Path) -> None:
    with Journal.create(tmp_path, header()) as journal:
        for index in range(5):
            journal.append(an_input(index))
            assert len(decode((tmp_path / module.FILE).read_bytes(), "it")[1]) == index + 1


def test_the_check_covers_the_lines_before() -> None:
    line, check = seal(an_input(0), 0)
    assert line.endswith(b'"check":"%08x"}\n' % check)
    assert seal(an_input(0), check) != (line, check)
