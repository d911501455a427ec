# SPDX-License-Identifier: Apache-2.0
"""Is this package one that may be handed in? A check that reads nothing but the package and trusts nothing in it.

The layout is MLCommons' with our own three files (`layout`); run rules, accuracies and medians are computed again from
log.txt, by code that shares nothing with what writes packages but the names and types of `layout`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from host.errors import ResultInvalid
from host.submission import check_compare, check_log, check_record, layout
from host.submission.check_figures import check_figures
from host.submission.check_findings import Breach, Findings
from host.submission.check_layout import Cell, find_cells
from host.submission.check_official import OFFICIAL, Official
from host.submission.check_tree import Tree, join, walk
from host.submission.layout import Record

MAX_RECORD_BYTES: Final = 4 << 20
MAX_RESULTS_BYTES: Final = 1 << 20

# What MLCommons' checker looks for in the lines of results.txt; the last one that it finds counts there.
PUBLISHED: Final = {
    "top1": (re.compile(r".* Top[- ]1%?\s?[:=] ([\d\.]+).*"), "Top 1% = "),
    "auc": (re.compile(r".* AUC\s?[:=] ([\d\.]+).*"), "AUC = "),
    "performance": (re.compile(r".* Median throughput is\s+([\d\.]+) inf\./sec\..*"), "Median throughput is "),
    "energy": (re.compile(r".*Median energy cost is ([\d\.]+) uJ/inf.*"), "Median energy cost is "),
}
NOT_CHECKED: Final = (
    "that the boards, the firmware and the models really were those that are named: the device's own word counts",
    "the bytes of the inputs: their names and labels are held to the official lists",
    "the uncertainty of the energy, whose terms are added up and not computed again, and what the board takes idle",
    "that the code makes the firmware: it is not built here",
    "the words in the description of a system, and in README.md",
)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a check. left_out: breaches that were too many to keep. results: a line for each folder of results
    in which nothing is wrong. files, bytes: what the package holds."""

    breaches: tuple[Breach, ...]
    left_out: int
    results: tuple[str, ...]
    files: int
    bytes: int

    @property
    def good(self) -> bool:
        """Whether nothing speaks against the package."""
        return not self.breaches


def check(folder: Path, officials: Mapping[str, Official] = OFFICIAL) -> Report:
    """Check the package in a folder. officials: what the rules say of each benchmark.

    Raises UsageError when there is no such folder.
    """
    found = Findings()
    tree = walk(folder, found)
    results: list[str] = []
    if tree.complete:
        cells = find_cells(tree, found)
        records: list[tuple[Cell, Record]] = []
        for cell in cells:
            record, said = _check_cell(tree, cell, officials[cell.benchmark], found)
            if record is not None:
                records.append((cell, record))
            if said:
                results.append(said)
        _check_alike(records, found)
        _check_models(tree, records, officials, found)
    return Report(tuple(found.breaches), found.left_out, tuple(results), len(tree.files), sum(tree.files.values()))


def _check_cell(tree: Tree, cell: Cell, official: Official, found: Findings) -> tuple[Record | None, str]:
    """One folder of results: its record, and what it comes to where nothing is wrong."""
    before = len(found.breaches) + found.left_out
    record = _read_record(tree, cell, found)
    log = check_log.read(tree, cell.file("log.txt"), found) if cell.file("log.txt") in tree.files else None
    results = None
    if cell.file("results.txt") in tree.files:
        results = tree.read(cell.file("results.txt"), MAX_RESULTS_BYTES, found)
    if record is not None:
        check_compare.check_place(record, cell, official, found)
        _check_hashes(tree, record, log, results, cell, found)
    published = _check_published(results, cell, official.metric, found)
    if log is None or not log.complete or log.head is None:
        return record, ""
    if results is not None and results.decode("ascii", "replace") != "".join(
        f"{line}\n" for line in check_record.result_lines(log)
    ):
        found.add(cell.file("results.txt"), "results", "its lines are not those of log.txt's record")
    recorded = check_record.parse(log, cell.mode, cell.file("log.txt"), found)
    if recorded is None:
        return record, ""
    closed = cell.division == "closed"
    check_figures(recorded, official, cell.mode, closed=closed, path=cell.file("log.txt"), found=found)
    if record is not None:
        check_compare.check_head(record, log.head, recorded, cell, official, found)
        check_compare.check_results(record, recorded, cell, official, found)
        check_compare.check_device(record, recorded, log, cell, official, found)
    return record, f"{cell.folder}: {published}" if len(found.breaches) + found.left_out == before else ""


def _read_record(tree: Tree, cell: Cell, found: Findings) -> Record | None:
    """results.json, or None and a breach. It has to be byte for byte as it is written from what it says."""
    path = cell.file("results.json")
    data = tree.read(path, MAX_RECORD_BYTES, found) if path in tree.files else None
    if data is None:
        return None
    if (provenance := _provenance(data)) is not None and provenance != "measured":
        found.add(path, "provenance", f"it was {provenance}")
        return None
    try:
        record = layout.decode(data)
        if layout.encode(record) != data:
            raise ResultInvalid("it is written in another way than `host package` writes it")
        if layout.sealed(record) != record:
            raise ResultInvalid("its seal is not that of what it says: something in it was changed")
    except (ResultInvalid, ValueError, RecursionError) as error:
        found.add(path, "record", str(error))
        return None
    return record


class _Origin(msgspec.Struct):
    provenance: str | None = None


def _provenance(data: bytes) -> str | None:
    """What any record says of where it is from."""
    try:
        return msgspec.json.decode(data, type=_Origin).provenance
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _check_hashes(
    tree: Tree, record: Record, log: check_log.Log | None, results: bytes | None, cell: Cell, found: Findings
) -> None:
    hashes = [
        (cell.file("log.txt"), record.log_sha256, log.sha256 if log is not None else None),
        (
            cell.file("results.txt"),
            record.results_sha256,
            hashlib.sha256(results).hexdigest() if results is not None else None,
        ),
    ]
    sums = join(cell.code, layout.SUMS_FILE)
    if sums in tree.files:
        hashes.append((sums, record.code_sha256, tree.sha256(sums, found)))
    for path, wanted, is_ in hashes:
        if is_ is not None and is_ != wanted:
            found.add(path, "hash", f"its sha256 is {is_[:16]}..., results.json in {cell.folder} says {wanted[:16]}...")


def _check_published(results: bytes | None, cell: Cell, metric: str, found: Findings) -> str:
    """The figure that MLCommons' checker takes out of results.txt: there has to be one, and only one."""
    if results is None:
        return ""
    pattern, words = PUBLISHED[metric if cell.mode == "accuracy" else cell.mode]
    figures = [match[1] for line in results.decode("utf-8", "replace").split("\n") if (match := pattern.match(line))]
    if len(figures) != 1 or not re.fullmatch(r"[0-9]+(\.[0-9]+)?", figures[0]):
        found.add(
            cell.file("results.txt"), "published", f"`{words}N` is there {len(figures)} times where it should be once"
        )
        return ""
    return f"{words}{figures[0]}"


def _check_alike(records: Sequence[tuple[Cell, Record]], found: Findings) -> None:
    """One board and one firmware in all results of a system; one model and one list of inputs in all of a benchmark."""
    systems: dict[tuple[str, ...], tuple[Cell, Record]] = {}
    benchmarks: dict[tuple[str, ...], tuple[Cell, Record]] = {}
    for cell, record in records:
        system = (cell.division, cell.organization, cell.system)
        first_cell, first = systems.setdefault(system, (cell, record))
        for what, is_, wanted in (
            ("board", record.board, first.board),
            ("firmware", record.firmware, first.firmware),
            ("builds", {unit.build_id for unit in record.units}, {unit.build_id for unit in first.units}),
        ):
            if is_ != wanted:
                found.add(cell.file("results.json"), "same-firmware", f"the {what} is not that of {first_cell.folder}")
        first_cell, first = benchmarks.setdefault((*system, cell.benchmark), (cell, record))
        for what, one, other in (
            ("model", record.run.model.sha256, first.run.model.sha256),
            ("model file", record.model_file, first.model_file),
            ("data set", record.run.dataset.sha256, first.run.dataset.sha256),
            ("list of labels", record.run.dataset.labels_sha256, first.run.dataset.labels_sha256),
        ):
            if one != other:
                found.add(cell.file("results.json"), "same-firmware", f"the {what} is not that of {first_cell.folder}")


def _check_models(
    tree: Tree, records: Sequence[tuple[Cell, Record]], officials: Mapping[str, Official], found: Findings
) -> None:
    """The model file among the code, against the hash that the device told; in the closed division the official one."""
    hashes: dict[str, str | None] = {}
    for cell, record in records:
        path, sha256 = record.model_file, record.run.model.sha256
        if path is not None:
            if not path.startswith(f"{cell.code}/") or path not in tree.files:
                found.add(cell.file("results.json"), "model", f"its model file is {path}, which is not in {cell.code}")
                continue
            if path not in hashes:
                hashes[path] = tree.sha256(path, found)
            if hashes[path] is not None and hashes[path] != sha256:
                found.add(path, "model", f"its sha256 is not that of the model measured in {cell.folder}")
        elif sha256 is not None:
            found.add(cell.file("results.json"), "model", "it names no file of the model")
        if cell.division == "closed" and sha256 is not None and sha256 != officials[cell.benchmark].model_sha256:
            found.add(cell.file("results.json"), "model-official", f"the model {record.run.model.name} is not official")
