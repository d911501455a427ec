# SPDX-License-Identifier: Apache-2.0
"""Thousands of result folders as one table, a row per run.

DuckDB reads the files, on two threads, and cuts each down to the fields of the structs below; msgspec holds what is
left to the same types as host.results.schema does. Whatever does not pass, or looks odd, is read again by
schema.decode, which has the last word: it says what is wrong, or the row comes from there. What the quick way does not
see is a file that is wrong in fields nobody asks for here; of a key that is there twice it takes the first.

Why DuckDB: 10,000 files of 34 KB take it 0.9 s on two idle cores. Polars took 4.0 s, schema.decode of all of them 1.9 s
on one core; the structs below alone would take msgspec 1.0 s on one, should DuckDB ever be too much to install.
Nothing is written: no index, no cache, no temporary file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from host.errors import HostError, ResultInvalid
from host.results import schema
from host.results.record import RESULT_FILE
from host.results.schema import (
    Count,
    Created,
    Fraction,
    Mode,
    NonNegative,
    Positive,
    Provenance,
    RulesName,
    SchemaName,
    Sha256,
)

if TYPE_CHECKING:
    import duckdb

DEPTH = 8
"""Folders below the one that is asked for; what is deeper is not looked at."""
MAX_BYTES = 16 << 20
"""A result.json that is larger is none of ours: a full session with profiles has 70 KB."""
MAX_FILES = 200_000
_CHUNK_FILES = 1000
_CHUNK_BYTES = 64 << 20
_THREADS = 2
_NOT_LITERAL = re.compile(r"[*?\[\]{}\\]")  # DuckDB would search for a pattern


class _Part(msgspec.Struct, frozen=True, gc=False):
    """As in host.results.schema, cut down; unknown fields are no concern of ours. Nothing here holds itself: Python
    need not look for that in half a million of them."""


class _Board(_Part, frozen=True, gc=False):
    name: str
    core: str
    clock_hz: Positive | None


class _Sizes(_Part, frozen=True, gc=False):
    text: Count
    data: Count
    models: Count


class _Firmware(_Part, frozen=True, gc=False):
    version: str | None
    engine: str | None
    compiler: str | None
    sha256: Sha256 | None
    sizes: _Sizes | None = None


class _Model(_Part, frozen=True, gc=False):
    name: str
    sha256: Sha256 | None
    arena_bytes: Positive | None


class _Dataset(_Part, frozen=True, gc=False):
    name: str
    sha256: Sha256
    n: Positive


class _Latency(_Part, frozen=True, gc=False):
    median: NonNegative


class _Accuracy(_Part, frozen=True, gc=False):
    metric: Literal["top1", "auc"]
    value: Fraction | None
    n: Positive


class _Monitor(_Part, frozen=True, gc=False):
    name: str
    idn: str


class _Energy(_Part, frozen=True, gc=False):
    value: float | None
    u: NonNegative | None
    net: float | None
    monitor: _Monitor


class _Run(_Part, frozen=True, gc=False):
    task: str
    mode: Mode
    rules: RulesName
    valid: bool
    reasons: list[str]
    model: _Model
    dataset: _Dataset
    latency_us: _Latency | None
    instructions_per_inference: Positive | None
    accuracy: _Accuracy | None
    energy_uj: _Energy | None = None
    unit: Count | None = None


class _Unit(_Part, frozen=True, gc=False):
    name: str


class _Slim(_Part, frozen=True, gc=False):
    schema: SchemaName
    provenance: Provenance
    created: Created
    board: _Board
    firmware: _Firmware
    runs: list[_Run]
    units: list[_Unit] | None = None  # null where the record is older than units are


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One run of one result. folder: below the one that was asked for, "." for itself. unit: the board's number in its
    session, from 0; null when the run was spread over all. inputs: how many were used. net: energy_uj is less the idle
    power. Figures are null where the run has none."""

    created: str
    provenance: Provenance
    folder: str
    board: str
    core: str
    clock_hz: int | None
    unit: int | None
    task: str
    mode: Mode
    rules: RulesName
    valid: bool
    reasons: list[str]
    model: str
    model_sha256: str | None
    dataset: str
    dataset_sha256: str
    inputs: int
    engine: str | None
    firmware: str | None
    firmware_sha256: str | None
    compiler: str | None
    latency_us: float | None
    instructions: int | None
    metric: Literal["top1", "auc"] | None
    accuracy: float | None
    energy_uj: float | None
    u_uj: float | None
    net: bool
    monitor: str | None
    monitor_idn: str | None
    arena_bytes: int | None
    code_bytes: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that is not counted, below the folder that was asked for, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class History:
    """Rows in the order of time. results: files that were read. copies: of them left out, being the same as others.

    refused: files that are no record, and folders that cannot be looked into.
    """

    rows: list[Row]
    results: int
    copies: int
    refused: list[Refused]


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    size: int


def read_history(folder: Path) -> History:
    """Every run of every result.json in a folder and in those below it; links and hidden folders are not followed.

    Raises HostError where the folder cannot be read or holds no result.json at all. A file that is no record is
    refused, and the others are read.
    """
    root = folder.absolute()
    refused: list[Refused] = []
    found = sorted(_walk(root, refused), key=lambda file: file.path)
    if not found:
        raise HostError(
            f"no {RESULT_FILE} in {folder} or up to {DEPTH} folders below it. Name the folder that holds result "
            "folders: `host bench` makes them in results/, or where --out says."
        )
    slims: dict[bytes, tuple[str, _Slim]] = {}
    results = 0
    for file, answer in _read_all(found):
        path = _below(root, file.path)
        if isinstance(answer, str):
            refused.append(Refused(path, answer))
            continue
        results += 1
        # A folder that was copied is no second measurement.
        slims.setdefault(msgspec.json.encode(answer), (path, answer))
    rows = [row for path, slim in slims.values() for row in _rows(os.path.dirname(path) or ".", slim)]
    rows.sort(key=lambda row: (row.created, row.folder))
    refused.sort(key=lambda one: one.path)
    return History(rows, results, results - len(slims), refused)


def _below(root: Path, path: str) -> str:
    """What a person sees of a path that was found below the root: text that any file may hold."""
    below = path.removeprefix(os.path.join(root, "")) if path != str(root) else "."
    return below if below.isascii() else os.fsencode(below).decode("utf-8", "backslashreplace")


def _walk(root: Path, refused: list[Refused]) -> Iterator[_Found]:
    """Result files that are files. Raises HostError where the root cannot be listed, or holds too many of them."""
    count = 0
    folders = [(str(root), 0)]
    while folders:
        folder, depth = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if depth < DEPTH and not entry.name.startswith("."):
                            folders.append((entry.path, depth + 1))
                    elif entry.name == RESULT_FILE and entry.is_file(follow_symlinks=False):
                        yield _Found(entry.path, entry.stat(follow_symlinks=False).st_size)
                        count += 1
        except OSError as error:
            if depth == 0:
                raise HostError(f"cannot look into {folder}: {error.strerror}. Name a folder of results.") from error
            refused.append(Refused(_below(root, folder), f"cannot look into it: {error.strerror}"))
        if count > MAX_FILES:
            raise HostError(f"{root} holds more than {MAX_FILES:,} results: name a folder below it.")


def _read_all(files: list[_Found]) -> Iterator[tuple[_Found, _Slim | str]]:
    """Each file with its content, or with why it has none."""
    import duckdb  # noqa: PLC0415 - 0.15 s to load, and every other command imports this package

    settings: dict[str, Any] = {
        "threads": 1,  # ours do the work: two with a chunk each are quicker than two at one chunk
        "memory_limit": "1GB",
        "temp_directory": "",  # else it would spill into the folder a person is in
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(config=settings) as database, ThreadPoolExecutor(_THREADS) as pool:
        for chunk, slims in pool.map(lambda chunk: (chunk, _quick(database, chunk)), list(_chunks(files))):
            for file in chunk:
                slim = slims.get(file.path)
                yield file, _slowly(file) if slim is None else slim


def _chunks(files: Iterable[_Found]) -> Iterator[list[_Found]]:
    chunk: list[_Found] = []
    size = 0
    for file in files:
        if chunk and (len(chunk) >= _CHUNK_FILES or size + file.size > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(file)
        size += min(file.size, MAX_BYTES)
    if chunk:
        yield chunk


def _quick(database: duckdb.DuckDBPyConnection, files: list[_Found]) -> dict[str, _Slim]:
    """What DuckDB reads of them, by path; without those that want a second look."""
    import duckdb  # noqa: PLC0415

    paths = [file.path for file in files if file.size <= MAX_BYTES and _is_literal(file.path)]
    if not paths:
        return {}
    try:
        with database.cursor() as cursor:
            found = cursor.execute(_QUERY, {"files": paths}).fetchall()
    except duckdb.Error:
        return {}  # a file is gone or may not be read: one by one it will be known which
    slims = {}
    for path, text in found:
        try:
            slim = _DECODER.decode(text) if text else None
        except msgspec.DecodeError:
            continue
        if slim is not None and _is_sound(slim):
            slims[path] = slim
    return slims


def _is_literal(path: str) -> bool:
    """Whether DuckDB takes it as the name of that file."""
    return path.isprintable() and not _NOT_LITERAL.search(path)


def _slowly(file: _Found) -> _Slim | str:
    """By the schema, or why not. Never raises: one bad file must not cost the others."""
    if file.size > MAX_BYTES:
        return f"{file.size:,} bytes: no result is that large"
    try:
        with open(file.path, "rb") as stream:
            result = schema.decode(stream.read(MAX_BYTES))
        slim = msgspec.convert(msgspec.to_builtins(result), _Slim)
        datetime.fromisoformat(slim.created)
    except OSError as error:
        return f"cannot read it: {error.strerror}"
    except ResultInvalid as error:
        return str(error)
    except RecursionError:
        return "not a record: too many things within each other"
    except ValueError:
        return f"created at {slim.created}: there is no such time"
    return slim


def _is_sound(slim: _Slim) -> bool:
    """Whether nothing hints that a field of another type was read as none, and the date is one."""
    try:
        datetime.fromisoformat(slim.created)
    except ValueError:
        return False
    return not any(
        (run.valid and run.reasons)
        or (run.mode == "accuracy" and run.accuracy is None)
        or (run.mode == "energy" and run.energy_uj is None)
        or (run.mode != "accuracy" and run.latency_us is None)
        for run in slim.runs
    )


def _shape(kind: Any) -> Any:
    """A type as DuckDB wants it told: the fields to read, each value as the JSON it is: msgspec shall see its type."""
    kind = next((part for part in get_args(kind) if get_origin(kind) is UnionType and part is not NoneType), kind)
    if get_origin(kind) is list:
        return [_shape(get_args(kind)[0])]
    if isinstance(kind, type) and issubclass(kind, _Part):
        return {name: _shape(field) for name, field in get_type_hints(kind).items()}
    return "JSON"


_DECODER = msgspec.json.Decoder(_Slim)
_QUERY = f"""
select filename, cast(to_json(from_json(try(decode(content)), '{json.dumps(_shape(_Slim))}')) as varchar)
from read_blob($files)
"""  # noqa: S608 - of our own field names


def _rows(folder: str, slim: _Slim) -> Iterator[Row]:
    board, firmware, units = slim.board, slim.firmware, slim.units or []
    code_bytes = None if firmware.sizes is None else _code_bytes(firmware.sizes)
    for run in slim.runs:
        energy, accuracy = run.energy_uj, run.accuracy
        yield Row(
            created=slim.created,
            provenance=slim.provenance,
            folder=folder,
            board=units[run.unit].name if run.unit is not None and run.unit < len(units) else board.name,
            core=board.core,
            clock_hz=board.clock_hz,
            unit=run.unit,
            task=run.task,
            mode=run.mode,
            rules=run.rules,
            valid=run.valid,
            reasons=run.reasons,
            model=run.model.name,
            model_sha256=run.model.sha256,
            dataset=run.dataset.name,
            dataset_sha256=run.dataset.sha256,
            inputs=run.dataset.n,
            engine=firmware.engine,
            firmware=firmware.version,
            firmware_sha256=firmware.sha256,
            compiler=firmware.compiler,
            latency_us=None if run.latency_us is None else run.latency_us.median,
            instructions=run.instructions_per_inference,
            metric=None if accuracy is None else accuracy.metric,
            accuracy=None if accuracy is None else accuracy.value,
            energy_uj=None if energy is None else energy.value,
            u_uj=None if energy is None else energy.u,
            net=energy is not None and energy.net is not None,
            monitor=None if energy is None else energy.monitor.name,
            monitor_idn=None if energy is None else energy.monitor.idn,
            arena_bytes=run.model.arena_bytes,
            code_bytes=code_bytes,
        )


def _code_bytes(sizes: _Sizes) -> int:
    return schema.Sizes(text=sizes.text, data=sizes.data, bss=0, models=sizes.models).code
