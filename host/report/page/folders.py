# SPDX-License-Identifier: Apache-2.0
"""Result folders as a report reads them. Nothing of them is trusted, and nothing in them is changed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from host.errors import HostError, ResultInvalid, UsageError
from host.results import journal, record, schema
from host.results.plain import open_plain, read_plain

_MAX_HEADER_BYTES = 4 << 20
_MAX_TRACES = 100


@dataclass(frozen=True, slots=True)
class Folder:
    """One result folder. raw: result.json as it is there, which older schemas fill less than `result`. traces: files
    called trace-*.jls, unopened. plan: what was asked for; None where the journal does not tell."""

    path: Path
    name: str
    result: schema.Result
    raw: dict[str, Any]
    traces: tuple[Path, ...]
    plan: journal.PlanRecord | None


def read_folders(paths: Sequence[Path]) -> list[Folder]:
    """In the order of time; a folder that is named twice is there once. Raises HostError for one that is no result
    folder, and ResultInvalid for a record that breaks the schema."""
    if not paths:
        raise UsageError("name at least one result folder, e.g. `host report results/FOLDER`.")
    unique = {path.resolve(): path for path in paths}
    return sorted((_read(path) for path in unique.values()), key=lambda folder: (folder.result.created, folder.name))


def _read(path: Path) -> Folder:
    folder = path.parent if path.name == record.RESULT_FILE and path.is_file() else path
    file = folder / record.RESULT_FILE
    if not file.is_file():
        raise HostError(record.without_result(folder))
    result = record.read_result(file)
    raw: dict[str, Any] = msgspec.json.decode(read_plain(file, record.MAX_RESULT_BYTES))
    # A link may lead anywhere: what is shown is what lies in the folder.
    traces = sorted(
        (trace for trace in folder.glob("trace-*.jls") if trace.is_file() and not trace.is_symlink()),
        key=lambda trace: (len(trace.name), trace.name),
    )
    return Folder(folder, folder.resolve().name, result, raw, tuple(traces[:_MAX_TRACES]), _plan(folder))


def _plan(folder: Path) -> journal.PlanRecord | None:
    """The journal's first line tells; one that is missing or damaged costs a report nothing but the command."""
    try:
        with open_plain(folder / journal.FILE) as file:
            line = file.readline(_MAX_HEADER_BYTES)
        return journal.decode(line, journal.FILE)[0].plan
    except (OSError, ResultInvalid):
        return None


def command(plan: journal.PlanRecord) -> str:
    """What to type to do the same again, in full."""
    words = ["host", "bench", *plan.tasks]
    for board in plan.boards:
        words += ["--board", board] if board is not None else []
    for port in plan.ports:
        words += ["--port", port] if port is not None else []
    words += ["--mode", plan.mode, "--rules", plan.rules]
    if plan.energy is not None:
        energy = plan.energy
        words += ["--monitor", energy.monitor]
        words += _option("--range", energy.range_a) + _option("--rate", energy.rate_hz)
        words += _option("--voltage", energy.voltage_v) + (["--net"] if energy.net else [])
    words += (["--profile"] if plan.profile else []) + _option("--inputs", plan.inputs)
    words += _option("--model", plan.model) + _option("--target", plan.target)
    words += ["--link", plan.link] if plan.link != "auto" else []
    if plan.engine != "tflite_c":
        words += ["--engine", plan.engine, *_option("--tflm-dir", plan.tflm_dir)]
    return shlex.join(words)


def _option(name: str, value: float | str | None) -> list[str]:
    if value is None:
        return []
    return [name, f"{value:.12g}" if isinstance(value, float) else str(value)]
