# SPDX-License-Identifier: Apache-2.0
"""The page from result folders: `page_of` says what is on it, `render` makes its bytes, `write_report` the file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from markupsafe import Markup

from host import __version__
from host.errors import UsageError
from host.report.page.folders import Folder, read_folders
from host.report.page.overview import groups, verdict
from host.report.page.pictures import Pictures
from host.report.page.pyramid import BUDGET_BYTES
from host.report.page.runs import Place, run_view, trace_files
from host.report.page.sources import source_view
from host.report.page.view import Page, shown
from host.report.page.words import ORDER, WORDS
from host.results import record

REPORT_FILE: Final = "report.html"
_PAGE_BYTES: Final = 400_000
"""What all payloads of a page have together, so that a run of all tasks is below 1 MB with everything else."""
_LEAST_BYTES: Final = 12_000
_TITLE = 120
_HERE = Path(__file__).parent
_STYLES = ("uplot/uPlot.min.css", "page.css")
_SCRIPTS = ("uplot/uPlot.iife.min.js", "trace.js", "plot.js", "page.js")


def page_of(folders: Sequence[Folder], now: datetime, pictures: Pictures) -> Page:
    """Everything on the page. now: when it is made. The figures are also added to `pictures`."""
    places = [
        Place(folder, source, number)
        for provenance in ORDER
        for source, folder in enumerate(folders)
        if folder.result.provenance == provenance
        for number in range(len(folder.result.runs))
    ]
    with_traces = sum(1 for place in places if place.run.energy_uj is not None and trace_files(place))
    budget = min(BUDGET_BYTES, max(_PAGE_BYTES // max(with_traces, 1), _LEAST_BYTES))
    return Page(
        title=_title(folders),
        created=now.astimezone(UTC).isoformat(timespec="seconds"),
        generator=f"tinyjoule {__version__}",
        verdict=verdict(folders),
        groups=groups(folders),
        runs=tuple(run_view(place, pictures, budget) for place in places),
        sources=tuple(source_view(folder, number) for number, folder in enumerate(folders)),
    )


def _title(folders: Sequence[Folder]) -> str:
    def joined(words: Sequence[str]) -> str:
        return ", ".join(dict.fromkeys(words))

    tasks = joined([run.task for folder in folders for run in folder.result.runs])
    boards = joined([folder.result.board.name for folder in folders])
    words = joined([WORDS[folder.result.provenance] for folder in folders])
    text = shown(f"{tasks or 'no runs'} on {boards}, {words}")
    return text if len(text) <= _TITLE else text[: _TITLE - 3] + "..."


def render(folders: Sequence[Path], now: datetime) -> bytes:
    """The page of result folders, UTF-8. The same folders and time give the same bytes.

    Raises HostError for a folder that is none; a trace that cannot be read is a note on the page.
    """
    return render_page(page_of(read_folders(folders), now, Pictures()))


def render_page(page: Page) -> bytes:
    """A page as HTML: its style and script are in it, and a policy with their hashes lets nothing else run."""
    import jinja2  # noqa: PLC0415  # `host --help` needs no templates

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, script = _joined(_STYLES), _joined(_SCRIPTS)
    template = environment.get_template("page.html.j2")
    text = template.render(
        page=page, style=style, style_hash=_policy_hash(style), script=script, script_hash=_policy_hash(script)
    )
    return text.lstrip().encode()


def _joined(files: Sequence[str]) -> Markup:
    """Files of ours, as they are: elements of style and script are not escaped."""
    return Markup("\n".join((_HERE / file).read_text(encoding="utf-8") for file in files))  # noqa: S704


def _policy_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. bytes: of the page."""

    page: Path
    bytes: int
    figures: tuple[Path, ...]


def default_output(folder: Path) -> Path:
    """Where the page of a result folder goes."""
    return (folder.parent if folder.is_file() else folder) / REPORT_FILE


def write_report(folders: Sequence[Path], out: Path) -> Path:
    """Write the page of result folders to `out`, all of it or nothing. Returns `out`.

    Raises HostError for a folder that is none, UsageError for an `out` that is no page, and then nothing is written.
    """
    return write_all(folders, out).page


def write_all(folders: Sequence[Path], out: Path, figures: Path | None = None) -> Written:
    """The same, and in a folder `figures` every figure of the page as PNG and SVG."""
    read = read_folders(folders)
    _check_output(out)
    pictures = Pictures()
    data = render_page(page_of(read, datetime.now(UTC), pictures))
    files = pictures.write(figures) if figures is not None else []
    record.write_file(out, data, "-o")
    return Written(out, len(data), tuple(files))


def _check_output(out: Path) -> None:
    """Nothing but a page is written over."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{out} has to end in .html: it is the page that is written there.")
    if out.is_dir():
        raise UsageError(f"{out} is a folder: name a file, e.g. -o {out / REPORT_FILE}.")
    if not out.parent.is_dir():
        raise UsageError(f"{out.parent} is no folder: make it, or choose another place with -o.")
