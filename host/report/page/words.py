# SPDX-License-Identifier: Apache-2.0
"""What the parts of a page say about provenance, validity and numbers, so that they say it in the same words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from host.report.energy import KIND, window_notes
from host.report.page.folders import Folder
from host.report.table import clock_notes, is_synthetic, mark
from host.results.schema import Provenance, Result, Run

WORDS: Final = KIND
ORDER: Final[tuple[Provenance, ...]] = ("measured", "emulated", "replayed")
QUICK = "quick look: short windows and any model and inputs, no benchmark result; --rules mlperf makes one"
RULES = {"quick": "quick look", "mlperf": "MLPerf Tiny rules"}


def anchor(source: int, run: int) -> str:
    """The id of a run's part of the page."""
    return f"run-{source}-{run}"


def unit_prefix(result: Result) -> str:
    """What stands before a unit of time or energy that is not silicon's."""
    return "emulated " if result.provenance == "emulated" else ""


def where(result: Result) -> str:
    """`EMULATED on mps2_an386`."""
    return f"{WORDS[result.provenance]} on {result.board.name}"


def meaning(folders: list[Folder]) -> str:
    """What the numbers of folders of one provenance are worth."""
    return "; ".join(dict.fromkeys(mark(folder.result) for folder in folders))


def board_of(result: Result, run: Run) -> str:
    """`, board 2` where a session has several."""
    return f", board {run.unit + 1}" if len(result.units) > 1 and run.unit is not None else ""


def notes(run: Run) -> Iterator[str]:
    """What a person has to know of a run beside its numbers."""
    if run.energy_uj is not None:
        yield from window_notes(run.energy_uj)
    if run.accuracy is not None and run.accuracy.reason is not None:
        yield run.accuracy.reason
    if run.accuracy is not None and run.accuracy.target is None and not is_synthetic(run):
        yield "no target to hold the accuracy against: not the official model and the whole official set"
    if run.clock is not None:
        yield from clock_notes(run.task, run.clock)
    if is_synthetic(run):
        yield f"SYNTHETIC inputs: {run.dataset.source}"
    if run.rules == "quick":
        yield QUICK
