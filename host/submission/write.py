# SPDX-License-Identifier: Apache-2.0
"""Makes a submission package: beside its place first, and renamed into it when it is whole."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from host.catalog.files import sha256
from host.errors import HostError, UsageError
from host.results import schema
from host.results.record import write_file
from host.submission import code, layout, system
from host.submission.gather import Cell, Gathered
from host.submission.layout import NAME, Division, Record
from host.submission.logs import write_logs


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for. name: of the system, in paths; code: the sources of a stock firmware."""

    organization: str
    division: Division
    name: str
    code: Path | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The package: how many files and bytes it has."""

    folder: Path
    files: int
    bytes: int


def check_organization(name: str) -> str:
    """The name, which is one of a folder as well. Raises UsageError proposing one."""
    return _checked("--org", name)


def system_name(fields: Mapping[str, str], wanted: str | None) -> str:
    """What the system is called in paths: as wanted, or after its board."""
    if wanted is not None:
        return _checked("--name", wanted)
    return _checked("'Board Name'", _slug(fields["Board Name"]), "name the system with --name")


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]+", "_", text).strip("_.+-")[:64]


def _checked(option: str, name: str, advice: str | None = None) -> str:
    if NAME.fullmatch(name):
        return name
    advice = advice or (f"{_slug(name)!r} would do" if NAME.fullmatch(_slug(name)) else "choose another")
    raise UsageError(
        f"{option} {name[:80]!r} names folders in the package: letters, digits and _ . + - alone, at most 64, the "
        f"first a letter or digit: {advice}."
    )


def check_out(out: Path) -> None:
    """Raises UsageError unless the package may be made at `out`: nothing, or an empty folder, is there."""
    try:
        if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
            raise UsageError(f"{out} is there already: choose another with -o, or take it away.")
    except OSError as error:
        raise UsageError(f"cannot look into {out}: {error.strerror}. Choose another with -o.") from error


def write_package(
    gathered: Gathered,
    fields: Mapping[str, str],
    request: Request,
    out: Path,
    confirm: Callable[[Path], None] = lambda _: None,
) -> Written:
    """Make the package at `out`. fields: of the system, all of them. confirm: may look at it first, and raise.

    Raises UsageError and ResultInvalid for what cannot be handed in, HostError when it cannot be written; nothing is
    left behind then.
    """
    check_out(out)
    sources = code.Sources(gathered, request.code)
    with _beside(out) as folder:
        path = folder.joinpath(layout.system_path(request.division, request.organization, request.name))
        path.parent.mkdir(parents=True)
        write_file(path, system.encode(fields))
        for benchmark in dict.fromkeys(cell.benchmark.name for cell in gathered.cells):
            cells = gathered.of(benchmark)
            implementation = sources.of(cells[0])
            place = layout.code_path(request.division, request.organization, benchmark, request.name)
            code.copy(implementation, folder.joinpath(place))
            code.write_sums(folder.joinpath(place))
            model = None if implementation.model is None else str(place / implementation.model)
            for cell in cells:
                _write_results(cell, gathered.firmware, request, model, folder)
        confirm(folder)
        files = [path for path in folder.rglob("*") if path.is_file()]
        return Written(out, len(files), sum(path.stat().st_size for path in files))


def _write_results(
    cell: Cell, firmware: schema.FirmwareInfo, request: Request, model_file: str | None, folder: Path
) -> None:
    place = layout.results_path(
        request.division, request.organization, request.name, cell.benchmark.name, cell.run.mode
    )
    code_place = layout.code_path(request.division, request.organization, cell.benchmark.name, request.name)
    results = folder.joinpath(place)
    results.mkdir(parents=True)
    write_logs(cell, results)
    session, base = cell.session, cell.session.header.base
    record = Record(
        schema=layout.SCHEMA,
        division=request.division,
        organization=request.organization,
        system=request.name,
        benchmark=cell.benchmark.name,
        mode=cell.run.mode,
        provenance="measured",
        session=session.header.id,
        created=base.created,
        board=base.board,
        firmware=firmware,
        host=base.host,
        units=session.result.units,
        run=cell.run,
        model_file=model_file,
        result_sha256=session.result_sha256,
        journal_sha256=session.journal_sha256,
        transcript_sha256=session.transcript_sha256,
        log_sha256=sha256((results / layout.LOG_FILE).read_bytes()),
        results_sha256=sha256((results / layout.RESULTS_FILE).read_bytes()),
        code_sha256=sha256((folder.joinpath(code_place) / layout.SUMS_FILE).read_bytes()),
    )
    write_file(results / layout.RECORD_FILE, layout.encode(layout.sealed(record)))


@contextlib.contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A folder beside `out` that becomes `out` when all went well, and else is gone."""
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name[:64]}.", dir=out.absolute().parent))
    except OSError as error:
        raise HostError(f"cannot make {out}: {error}. Choose another with -o.") from error
    try:
        folder.chmod(0o755)
        yield folder
        try:
            os.replace(folder, out)
        except OSError as error:
            raise HostError(f"cannot make {out}: {error}. Choose another with -o.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
