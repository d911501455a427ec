# SPDX-License-Identifier: Apache-2.0
"""Where things lie in a package: its divisions, organizations and systems, their descriptions and their code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from host.submission import layout
from host.submission.check_findings import Findings, shown
from host.submission.check_tree import Tree, join

MAX_SYSTEM_BYTES: Final = 1 << 20
MAX_SUMS_BYTES: Final = 32 << 20
MAX_VALUE: Final = 2000
_PARTS: Final = ("systems", "code", "results")
_SUM = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_][A-Za-z0-9_./+-]*)")
_README = re.compile(r"readme(\.(md|rst|txt))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cell:
    """The results of a benchmark in one mode; every field is a name of a folder."""

    division: str
    organization: str
    system: str
    benchmark: str
    mode: str

    @property
    def folder(self) -> str:
        """With the three files."""
        return str(layout.results_path(self.division, self.organization, self.system, self.benchmark, self.mode))

    def file(self, name: str) -> str:
        """One of the three files."""
        return join(self.folder, name)

    @property
    def code(self) -> str:
        """The folder with the code of the benchmark."""
        return str(layout.code_path(self.division, self.organization, self.benchmark, self.system))


def find_cells(tree: Tree, found: Findings) -> list[Cell]:
    """Every cell that has its place and its files; a breach for everything else."""
    cells: list[Cell] = []
    divisions = _folders(tree, "", layout.DIVISIONS, found)
    if not divisions:
        found.add(".", "missing", f"there is no folder {' or '.join(layout.DIVISIONS)} in it")
    for division in divisions:
        for organization in _folders(tree, division, None, found):
            own = join(division, organization)
            parts = _folders(tree, own, _PARTS, found)
            for part in _PARTS:
                if part not in parts:
                    found.add(join(own, part), "missing", "there is no such folder")
            here = list(_results(tree, division, organization, found))
            cells += here
            systems = {cell.system for cell in here}
            _check_systems(tree, division, organization, systems, found)
            _check_code(tree, own, {(cell.benchmark, cell.system) for cell in here}, found)
    return cells


def _folders(tree: Tree, folder: str, allowed: Iterable[str] | None, found: Findings) -> list[str]:
    """The folders in one that are `allowed` there (None: any that have a NAME)."""
    names = []
    for name in tree.within(folder):
        path = join(folder, name)
        if path in tree.files:
            found.add(path, "unknown", "there is no place for a file here")
        elif allowed is not None and name not in allowed:
            found.add(path, "unknown", f"there is no place for such a folder here, only for {', '.join(allowed)}")
        elif allowed is None and not layout.NAME.fullmatch(name):
            found.add(path, "name", "no organization or system is called so")
        else:
            names.append(name)
    return names


def _results(tree: Tree, division: str, organization: str, found: Findings) -> Iterable[Cell]:
    top = join(join(division, organization), "results")
    for system in _folders(tree, top, None, found):
        for benchmark in _folders(tree, join(top, system), layout.BENCHMARKS, found):
            place = join(join(top, system), benchmark)
            modes = _folders(tree, place, layout.MODES, found)
            for needed in layout.REQUIRED:
                if needed not in modes:
                    found.add(join(place, needed), "required", f"there is no {needed} run, which every benchmark has")
            for mode in modes:
                cell = Cell(division, organization, system, benchmark, mode)
                _check_files(tree, cell, found)
                yield cell


def _check_files(tree: Tree, cell: Cell, found: Findings) -> None:
    names = tree.within(cell.folder)
    for name in names:
        if name not in layout.FILES or cell.file(name) not in tree.files:
            found.add(cell.file(name), "unknown", f"results are {', '.join(layout.FILES)} and nothing else")
    for name in layout.FILES:
        if name not in names and not found.spoilt(cell.file(name)):
            found.add(cell.file(name), "missing", "there is no such file")


def _check_systems(tree: Tree, division: str, organization: str, wanted: set[str], found: Findings) -> None:
    folder = join(join(division, organization), "systems")
    for system in sorted(wanted):
        path = join(folder, f"{system}.json")
        if path not in tree.files:
            found.add(path, "missing", "there is no such file, though there are results of the system")
            continue
        fields = read_fields(tree, path, found)
        if fields is not None:
            _check_fields(fields, division, organization, path, found)
    for name in tree.within(folder):
        if name.removesuffix(".json") not in wanted or not name.endswith(".json") or join(folder, name) in tree.folders:
            found.add(join(folder, name), "unknown", "no results are of such a system")


def read_fields(tree: Tree, path: str, found: Findings) -> dict[str, str] | None:
    """The fields of a description, or None and a breach."""
    data = tree.read(path, MAX_SYSTEM_BYTES, found)
    if data is None:
        return None

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise ValueError("it has a key twice")
        return dict(pairs)

    try:
        fields = json.loads(data.decode(), object_pairs_hook=once)
        if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
            raise ValueError("it is no object of strings")
    except (ValueError, RecursionError) as error:
        found.add(path, "system-json", f"it cannot be read as a description of a system: {error}")
        return None
    return fields


def _check_fields(fields: dict[str, str], division: str, organization: str, path: str, found: Findings) -> None:
    missing = [name for name in layout.SYSTEM_FIELDS if name not in fields]
    if missing:
        found.add(path, "system-fields", f"it lacks {len(missing)} of the fields: {', '.join(map(repr, missing))}")
    for name, value in fields.items():
        if name not in layout.SYSTEM_FIELDS:
            found.add(path, "system-fields", f"it has a {name!r}, which no system has")
        elif name in layout.NEEDED_FIELDS and not value.strip():
            found.add(path, "system-fields", f"{name!r} is empty")
        elif not value.isprintable() or len(value) > MAX_VALUE:
            found.add(path, "system-fields", f"{name!r} is no line of at most {MAX_VALUE} characters one can see")
    if fields.get("Status", "").lower() not in layout.STATUS:
        found.add(path, "system-status", f"its Status is {fields.get('Status')!r}")
    for name, wanted in (("Submitter", organization), ("Division", division)):
        if fields.get(name, "").lower() != wanted.lower():
            found.add(path, "system-owner", f"its {name} is {fields.get(name)!r} in a folder of {wanted!r}")


def _check_code(tree: Tree, own: str, wanted: set[tuple[str, str]], found: Findings) -> None:
    top = join(own, "code")
    for benchmark in _folders(tree, top, layout.BENCHMARKS, found):
        for system in _folders(tree, join(top, benchmark), None, found):
            if (benchmark, system) not in wanted:
                found.add(join(join(top, benchmark), system), "unknown", "no results are of this code")
    for benchmark, system in sorted(wanted):
        folder = join(join(top, benchmark), system)
        if folder not in tree.folders:
            found.add(folder, "missing", "there is no code of it, though there are results")
            continue
        if not any(_README.fullmatch(name) and join(folder, name) in tree.files for name in tree.within(folder)):
            found.add(folder, "code-readme", "it says nowhere how the code is built")
        check_sums(tree, folder, found)


def check_sums(tree: Tree, folder: str, found: Findings) -> None:
    """Every file of the code against the list of their hashes, and the list against the files."""
    path = join(folder, layout.SUMS_FILE)
    if path not in tree.files:
        found.add(path, "code-sums", "there is no list of the code's hashes")
        return
    data = tree.read(path, MAX_SUMS_BYTES, found)
    if data is None:
        return
    sums: dict[str, str] = {}
    text = data.decode("ascii", "replace")
    lines = text.split("\n")
    if lines.pop() or lines != sorted(lines, key=lambda line: line[66:]):
        found.add(path, "code-sums", "its lines are not in the order of their paths, or the last one has no end")
    for number, line in enumerate(lines, start=1):
        match = _SUM.fullmatch(line)
        if match is None or match[2] in sums:
            found.add(path, "code-sums", f"line {number} is no hash of another file: {shown(line[:90])!r}")
        else:
            sums[match[2]] = match[1]
    files = set(tree.below(folder)) - {layout.SUMS_FILE}
    for name in sorted(files ^ set(sums)):
        there = "is not in the list of hashes" if name in files else "is in the list of hashes and not there"
        found.add(join(folder, name), "code-sums", there)
    for name in sorted(files & set(sums)):
        sha256 = tree.sha256(join(folder, name), found)
        if sha256 is not None and sha256 != sums[name]:
            found.add(join(folder, name), "code-sums", "it is not the file that the list of hashes means")
