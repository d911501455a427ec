# SPDX-License-Identifier: Apache-2.0
"""Everything that is needed to do a session again: hashes, versions, flags, wiring, settings, the command."""

from __future__ import annotations

from typing import Any

from host.report.energy import WINDOWS, scaled
from host.report.page.cells import Cells, digits, thousands, told
from host.report.page.folders import Folder, command
from host.report.page.view import NONE, Cell, Fact, Facts, Source, shown
from host.report.page.words import WORDS, board_of
from host.results.schema import Run


def source_view(folder: Folder, number: int) -> Source:
    """One folder. number: its place on the page."""
    result, cells = folder.result, Cells(number, folder.raw)
    parts = [
        _board(cells),
        _firmware(cells),
        *(_unit(cells, place, len(result.units)) for place in range(len(result.units))),
        *_monitors(folder, cells),
        *(_task(cells, place, run, board_of(result, run)) for place, run in enumerate(result.runs)),
        _host(cells),
    ]
    return Source(
        number=number,
        name=shown(folder.name),
        provenance=result.provenance,
        word=WORDS[result.provenance],
        facts=tuple(part for part in parts if part.facts),
        command=shown(command(folder.plan)) if folder.plan is not None else None,
    )


def _board(cells: Cells) -> Facts:
    fact = cells.fact
    return Facts(
        "Board and wiring",
        told((
            fact("board", "board.name"), fact("core", "board.core"),
            fact("clock", "board.clock_hz", lambda hz: f"{hz / 1e6:g} MHz"),
            fact("host's line", "board.wiring.uart"), fact("timing pin", "board.wiring.timing_pin"),
            fact("power monitor", "board.wiring.power"),
        )),
    )  # fmt: skip


def _firmware(cells: Cells) -> Facts:
    fact = cells.fact
    return Facts(
        "Firmware",
        told((
            fact("version", "firmware.version"), fact("engine", "firmware.engine"),
            fact("compiler", "firmware.compiler"), fact("flags", "firmware.flags"),
            fact("SHA-256 of the ELF", "firmware.sha256"), fact("text", "firmware.sizes.text", _size),
            fact("data", "firmware.sizes.data", _size), fact("bss", "firmware.sizes.bss", _size),
            fact("models, in text", "firmware.sizes.models", _size),
        )),
    )  # fmt: skip


def _size(value: int) -> str:
    return f"{value:,} bytes"


def _unit(cells: Cells, place: int, count: int) -> Facts:
    def fact(name: str, path: str, text: Any = str) -> Fact:
        return cells.fact(name, f"units.{place}.{path}", text)

    return Facts(
        f"Connection, board {place + 1}" if count > 1 else "Connection",
        told((
            fact("device", "name"), fact("port", "port"), fact("build", "build_id"), fact("link", "link"),
            fact("baud rate", "baud"), fact("inputs", "inputs", thousands), fact("left the session", "dropped"),
        )),
    )  # fmt: skip


def _monitors(folder: Folder, cells: Cells) -> list[Facts]:
    """The settings of each instrument once, as the first run has them that used it so."""
    found: dict[object, Facts] = {}
    for place, run in enumerate(folder.result.runs):
        if run.energy_uj is not None and run.energy_uj.monitor not in found:
            title = "Power monitor" if not found else f"Power monitor of {run.task}"
            found[run.energy_uj.monitor] = _monitor(cells, place, shown(title))
    return list(found.values())


def _monitor(cells: Cells, place: int, title: str) -> Facts:
    def fact(name: str, path: str, text: Any = str) -> Fact:
        return cells.fact(name, f"runs.{place}.energy_uj.monitor.{path}", text)

    range_a = fact("range", "range_a", lambda ampere: scaled(ampere, "A"))
    return Facts(
        title,
        told((
            fact("instrument", "name"), fact("says of itself", "idn"),
            fact("rate", "rate_hz", lambda hz: scaled(hz, "S/s")),
            range_a if range_a.cell.text != NONE else Fact("range", Cell("auto-range")),
            fact("voltage", "voltage"), fact("set or assumed voltage", "voltage_v", lambda volt: f"{volt:g} V"),
            fact("windows by", "windows", lambda how: WINDOWS[how]), fact("accuracy from", "accuracy_source"),
        )),
    )  # fmt: skip


def _task(cells: Cells, place: int, run: Run, board: str) -> Facts:
    def fact(name: str, path: str, text: Any = str) -> Fact:
        return cells.fact(name, f"runs.{place}.{path}", text)

    return Facts(
        shown(f"{run.task}, {run.mode}{board}: model and inputs"),
        told((
            fact("model", "model.name"), fact("from", "model.source"), fact("SHA-256 of the model", "model.sha256"),
            fact("arena", "model.arena_bytes", _size), fact("data set", "dataset.name"),
            fact("from", "dataset.source"), fact("inputs", "dataset.n", thousands),
            fact("SHA-256 of the inputs", "dataset.sha256"), fact("SHA-256 of the labels", "dataset.labels_sha256"),
            fact("profiled on", "profile.input"), fact("profiled inferences", "profile.inferences", thousands),
            fact("unit of the latency", "latency_us.unit"), fact("coverage factor k", "energy_uj.k", digits("g")),
            fact("clock resolves", "profile.resolution_us", lambda us: f"{us:g} us"),
            fact("limit of clock drift", "clock.limit", digits(".1%")),
        )),
    )  # fmt: skip


def _host(cells: Cells) -> Facts:
    fact = cells.fact
    return Facts(
        "This machine and the record",
        told((
            fact("tinyjoule", "host.version"), fact("Python", "host.python"), fact("platform", "host.platform"),
            fact("made at", "created"), fact("schema", "schema"), fact("provenance", "provenance"),
        )),
    )  # fmt: skip
