"""The result folder: `result.json`, `log.jsonl`, the firmware's map and sizes, and what each task put out.

Nothing in a folder is ever left half written: files are made beside their place and renamed into it.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import secrets
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from host.errors import HostError, ResultInvalid
from host.results import schema
from host.results.plain import read_plain

RESULT_FILE = "result.json"
LOG_FILE = "log.jsonl"
MAX_RESULT_BYTES = 64 << 20
"""Of a result.json: a thousand times what a session writes."""


def create_folder(parent: Path, label: str) -> Path:
    """Make `parent/<UTC time>-<label>`; a second one in the same second gets a number."""
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{label}"
    for attempt in range(1, 1000):
        folder = parent / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise HostError(f"cannot make the result folder {folder}: {error}. Choose another with --out.") from error
        return folder
    raise HostError(f"cannot find a free name for a result folder in {parent}. Choose another with --out.")


def write_file(path: Path, data: bytes, option: str = "--out") -> None:
    """Write the whole file or leave what was there. option: which one names another place. Raises HostError (full disk,
    no permission)."""
    # A name that nobody else has: another host may write the same file, and a folder of others hold a link of any name.
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")
    try:
        try:
            with temporary.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise HostError(
            f"cannot write {path}: {error}. Free some room, or choose another folder with {option}."
        ) from error


def copy_file(source: Path, folder: Path, name: str | None = None) -> None:
    """Keep a copy of a build product beside the result, under its own name or another."""
    try:
        shutil.copyfile(source, folder / (name or source.name))
    except OSError as error:
        raise HostError(f"cannot copy {source} to {folder}: {error}. Free some room, or choose --out.") from error


def write_result(folder: Path, result: schema.Result) -> Path:
    """Validate and write `result.json`; returns its path."""
    path = folder / RESULT_FILE
    write_file(path, schema.encode(result))
    return path


def read_result(path: Path) -> schema.Result:
    """Read and validate a `result.json`, or the one in a result folder."""
    file = path / RESULT_FILE if path.is_dir() else path
    try:
        text = read_plain(file, MAX_RESULT_BYTES)
    except FileNotFoundError as error:
        raise HostError(without_result(file.parent if file.name == RESULT_FILE else file)) from error
    except OSError as error:
        raise HostError(f"cannot read {file}: {error}. Name a result folder that `host bench` wrote.") from error
    try:
        return schema.decode(text)
    except ResultInvalid as error:
        raise ResultInvalid(f"{file}: {error}") from error


def remove_unused(folder: Path) -> bool:
    """Remove a folder that holds nothing but an empty log: no board was opened, so there is nothing to look into."""
    log = folder / LOG_FILE
    try:
        if any(path != log for path in folder.iterdir()) or log.stat().st_size:
            return False
        log.unlink()
        folder.rmdir()
    except OSError:
        return False
    return True


def without_result(folder: Path) -> str:
    """What to say of a folder that has no result.json: one of a session that ended early looks like any other."""
    if not folder.exists():
        return f"{folder} is not there: name a result folder that `host bench` wrote."
    if (folder / LOG_FILE).is_file():
        return f"{folder} holds no {RESULT_FILE}, as its session ended early: leave that folder out, or remove it."
    return f"{folder} holds no {RESULT_FILE}: name a result folder that `host bench` wrote."


class OutputRow(Protocol):
    """What one input gave: see host.runner.accuracy.Row."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def label(self) -> int: ...  # noqa: D102

    @property
    def outputs(self) -> tuple[float, ...]: ...  # noqa: D102

    @property
    def score(self) -> float | None: ...  # noqa: D102

    @property
    def predicted(self) -> int | None: ...  # noqa: D102


def write_outputs(folder: Path, task: str, rows: Iterable[OutputRow]) -> Path:
    """`outputs-<task>.csv`, one line per input: its label, the class predicted, the outputs with three decimals as a
    device prints them, and where a task has no classes the score."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("input", "label", "predicted", "outputs", "score"))
    for row in rows:
        score = "" if row.score is None else f"{row.score:.6f}"
        predicted = "" if row.predicted is None else row.predicted
        writer.writerow((row.name, row.label, predicted, " ".join(f"{value:.3f}" for value in row.outputs), score))
    path = folder / f"outputs-{task}.csv"
    write_file(path, text.getvalue().encode())
    return path
