# SPDX-License-Identifier: Apache-2.0
"""A package that can be broken in exactly one way: what is changed in one file is carried into all that repeat it, so
that the check has nothing but the breach itself to go by."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import submission_kit as kit

from host.results import schema
from host.submission import layout, system, write
from host.submission.check import Report, check
from host.submission.gather import gather
from host.submission.layout import Record

ORGANIZATION, SYSTEM = "acme", "NUCLEO-L4R5ZI"
Lines = list[str]
Change = Callable[["Package"], object]
Mutants = dict[str, tuple[set[str], Change]]
"""Ways to break a package by their names: all the rules that it breaks then, and the change."""


def keeper(mutants: Mutants) -> Callable[..., Callable[[Change], Change]]:
    """A decorator that keeps a change among `mutants`; its arguments are the rules."""

    def mutant(*rules: str) -> Callable[[Change], Change]:
        def keep(change: Change) -> Change:
            mutants[getattr(change, "__name__", "")] = (set(rules), change)
            return change

        return keep

    return mutant


def measured_package(out: Path, tasks: Sequence[str] = ("kws01",), modes: Sequence[schema.Mode] = kit.MODES) -> Path:
    """What `host package` makes of sessions with the kit's board."""
    gathered = gather(kit.measure_all(out / "sessions", tasks, modes), "closed")
    fields, _ = system.complete(kit.SYSTEM, system.known_fields(gathered, ORGANIZATION, "closed"), None)
    write.write_package(gathered, fields, write.Request(ORGANIZATION, "closed", SYSTEM), out / "package")
    return out / "package"


def stock_package(out: Path) -> Path:
    """Of kws01 on a firmware that does not say what it is."""
    board = kit.make_board(("kws01",), hides=True)
    folders = [kit.measure(board, out / mode, mode, ("kws01",)) for mode in layout.REQUIRED]
    gathered = gather(folders, "closed")
    sources = out / "sources"
    sources.mkdir()
    (sources / "README.md").write_text("Build it as you build all others.\n")
    (sources / "main.c").write_text("int main(void) { return 0; }\n")
    given = dict.fromkeys(layout.NEEDED_FIELDS, "known to whoever made it") | kit.SYSTEM
    given = {name: text for name, text in given.items() if name not in ("Submitter", "Division")}
    fields, _ = system.complete(given, system.known_fields(gathered, ORGANIZATION, "closed"), None)
    write.write_package(gathered, fields, write.Request(ORGANIZATION, "closed", SYSTEM, sources), out / "package")
    return out / "package"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Package:
    """A copy that may be broken: files are links to the original's until `put` replaces one."""

    root: Path
    benchmark: str = "kws"
    division: str = "closed"

    @classmethod
    def copy(cls, original: Path, to: Path) -> Package:
        shutil.copytree(original, to, copy_function=os.link, dirs_exist_ok=True)
        return cls(to)

    @property
    def own(self) -> Path:
        return self.root / self.division / ORGANIZATION

    @property
    def system(self) -> Path:
        return self.own / "systems" / f"{SYSTEM}.json"

    @property
    def code(self) -> Path:
        return self.own / "code" / self.benchmark / SYSTEM

    def results(self, mode: str) -> Path:
        return self.own / "results" / SYSTEM / self.benchmark / mode

    def modes(self) -> list[str]:
        return sorted(path.name for path in self.results("").iterdir())

    def check(self) -> Report:
        return check(self.root)

    def rules(self) -> set[str]:
        """The names of the rules that it breaks."""
        report = self.check()
        assert report.good == (not report.breaches)
        return {breach.rule for breach in report.breaches}

    def put(self, path: Path, data: bytes | str) -> None:
        """Another content for a file."""
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())

    def flip(self, path: Path, at: int, bit: int = 0) -> None:
        data = bytearray(path.read_bytes())
        data[at] ^= 1 << bit
        self.put(path, bytes(data))

    def record(self, mode: str) -> Record:
        return layout.decode((self.results(mode) / "results.json").read_bytes())

    def put_record(self, mode: str, record: Record) -> None:
        self.put(self.results(mode) / "results.json", layout.encode(layout.sealed(record)))

    def change(self, mode: str, /, **fields: Any) -> None:
        """Other values in results.json, sealed again. A field of `run` begins with `run__`, one of its parts goes on
        with another `__`."""
        record = self.record(mode)
        for name, value in fields.items():
            record = _replaced(record, name.split("__"), value)
        self.put_record(mode, record)

    def lines(self, mode: str) -> Lines:
        return (self.results(mode) / "log.txt").read_text().split("\n")[:-1]

    def relog(self, mode: str, change: Callable[[Lines], object]) -> None:
        """Other lines in log.txt, as `change` gives them or changes them where they are, with the results.txt and the
        hashes that go with them."""
        lines = self.lines(mode)
        changed = change(lines)
        lines = changed if isinstance(changed, list) else lines
        self.put(self.results(mode) / "log.txt", "".join(f"{line}\n" for line in lines))
        self.put(self.results(mode) / "results.txt", "".join(f"{line}\n" for line in lines if in_results(line)))
        self.rehash(mode)

    def rehash(self, mode: str) -> None:
        """The hashes of the files as they are now, in results.json."""
        folder = self.results(mode)
        self.change(
            mode,
            log_sha256=sha256((folder / "log.txt").read_bytes()),
            results_sha256=sha256((folder / "results.txt").read_bytes()),
            code_sha256=sha256((self.code / layout.SUMS_FILE).read_bytes()),
        )

    def resum(self) -> None:
        """The list of hashes for the code as it is now."""
        files = {path.relative_to(self.code).as_posix(): path for path in self.code.rglob("*") if path.is_file()}
        del files[layout.SUMS_FILE]
        sums = "".join(f"{sha256(files[name].read_bytes())}  {name}\n" for name in sorted(files))
        self.put(self.code / layout.SUMS_FILE, sums)
        for mode in self.modes():
            self.rehash(mode)


def in_results(line: str) -> bool:
    source, _, text = line.partition(" ")[2].partition(": ")
    return source == "ulp-mlperf" and not text.startswith(("Input ", "  Input "))


def _replaced(struct: Any, names: Sequence[str], value: Any) -> Any:
    name, *rest = names
    old = struct[int(name)] if isinstance(struct, list) else getattr(struct, name)
    new = _replaced(old, rest, value) if rest else (value(old) if callable(value) else value)
    if isinstance(struct, list):
        return [*struct[: int(name)], new, *struct[int(name) + 1 :]]
    return msgspec.structs.replace(struct, **{name: new})


def sub(old: str, new: str, count: int = 1) -> Callable[[Lines], Lines]:
    """A change of the first `count` lines that hold `old` (0: of all), of which there is at least one."""

    def change(lines: Lines) -> Lines:
        found = [number for number, line in enumerate(lines) if old in line]
        assert found, f"no line holds {old!r}"
        for number in found[: count or None]:
            lines[number] = lines[number].replace(old, new)
        return lines

    return change


def number_of(lines: Lines, text: str, nth: int = 0) -> int:
    """Which line holds `text`, of several the nth."""
    return [number for number, line in enumerate(lines) if text in line][nth]
