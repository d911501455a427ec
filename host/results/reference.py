# SPDX-License-Identifier: Apache-2.0
"""The reference of the result record, as Markdown for the guides: made of the structs, their docstrings and types.

A docstring says in general what a record is; `name: text.` in it is about one field (`a, b: text.` about two). Units
are in the fields' names. What the structs do not tell stands here: since which version a field is there, units that no
name has, and what a field is whose name is enough for who reads the code.
"""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import inspect as types

from host.results import schema

SINCE: Final[dict[str, int]] = {
    "Result.units": 2,
    "Run.clock": 2,
    "Run.unit": 2,
    "Unit": 2,
    "ClockCheck": 2,
    "Interval": 2,
    "Latency.cv": 2,
    "Latency.interval": 2,
    "Window.host_us": 2,
    "Window.instructions": 2,
    "DatasetInfo.labels_sha256": 2,
    "Accuracy.target_source": 2,
    "Accuracy.auc": 2,
    "Accuracy.reason": 2,
    "Energy": 3,
    "EnergyWindow": 3,
    "BudgetTerm": 3,
    "MonitorInfo": 3,
    "OperatorCost.uj": 3,
    "Profile.energy_deviation": 3,
    "BoardInfo.wiring": 4,
    "Wiring": 4,
    "FirmwareInfo.sizes": 4,
    "Sizes": 4,
}
"""Version of the schema that a struct or a field came with; 1 for what is not listed."""

UNITS: Final[dict[str, str]] = {
    "Energy.value": "µJ",
    "Energy.u": "µJ",
    "Energy.gross": "µJ",
    "Energy.net": "µJ",
    "Run.throughput_inf_per_s": "1/s",
    "Latency.median": "as `unit` says",
    "Latency.min": "as `unit` says",
    "Latency.max": "as `unit` says",
    "Interval.low": "as `unit` says",
    "Interval.high": "as `unit` says",
    "Sizes.text": "bytes",
    "Sizes.data": "bytes",
    "Sizes.bss": "bytes",
    "Sizes.models": "bytes",
    "OperatorCost.bytes": "bytes",
    "OperatorCost.us": "µs",
    "OperatorCost.uj": "µJ",
    "ClockCheck.drift": "1",
    "Unit.baud": "1/s",
}
_SUFFIXES: Final = {
    "us": "µs",
    "s": "s",
    "hz": "Hz",
    "bytes": "bytes",
    "uj": "µJ",
    "mw": "mW",
    "a": "A",
    "v": "V",
}
_WORD: Final = re.compile(r"[a-z_0-9]+\*?")
_NAME: Final = r"`?[a-z_0-9]+\*?`?"
_SUBJECT: Final = re.compile(rf"(?:^|(?<=[.;] ))({_NAME}(?:(?:,| and) {_NAME})*): ")
_KNOWN_PATTERNS: Final = {
    "^[0-9a-f]{64}$": "64 hex digits",
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$": "a time as `2026-11-22T09:30:00+00:00`",
}

ABOUT: Final[dict[str, str]] = {
    "Result.schema": "which version wrote it",
    "Result.provenance": "what the numbers are: never ranked with numbers of another kind",
    "Result.created": "when the session began, UTC",
    "Result.board": "what ran the models",
    "Result.firmware": "what was on it",
    "Result.host": "what drove it",
    "Result.runs": "one for each task; with several boards and modes that measure time, one for each board and task",
    "Result.units": "the boards of the session, in the order in which they were named",
    "BoardInfo.name": "the board's folder, as `host boards` lists it",
    "BoardInfo.core": "e.g. `Cortex-M4F`",
    "BoardInfo.clock_hz": "of the core; null where a clock means nothing",
    "FirmwareInfo.version": "of the firmware",
    "FirmwareInfo.engine": "name and version of what ran the models",
    "FirmwareInfo.compiler": "name and version",
    "FirmwareInfo.flags": "of the compiler",
    "FirmwareInfo.sha256": "of the ELF file",
    "HostInfo.version": "of tinyjoule",
    "HostInfo.python": "its version",
    "HostInfo.platform": "operating system and machine",
    "Run.task": "e.g. `kws01`",
    "Run.mode": "what was measured",
    "Run.rules": "what it was held against: `mlperf` are the MLPerf Tiny run rules, `quick` is a quick look",
    "Run.valid": "every rule was kept",
    "Run.reasons": "why it is not valid; empty when it is",
    "Run.model": "what was run",
    "Run.dataset": "on which inputs",
    "Run.windows": "every timed window, in order; empty in accuracy mode",
    "Run.latency_us": "of one inference; null in accuracy mode and where nothing tells the time",
    "Run.throughput_inf_per_s": "inferences a second, of the median window",
    "Run.instructions_per_inference": "exact; null where nothing counts them",
    "Run.accuracy": "null in the other modes",
    "Run.energy_uj": "null in the other modes",
    "Run.profile": "what each operator costs; null without `--profile`",
    "Run.clock": "the board's clock against the host's; null where the two have nothing to do with each other",
    "Unit.name": "the board's, or the vendor's of a stock firmware",
    "Unit.build_id": "of its firmware; null on a stock one",
    "Wiring.uart": "the host's line",
    "Wiring.timing_pin": "the pin that bounds a window",
    "Wiring.power": "where a power monitor goes in",
    "Sizes.text": "code, constants and models",
    "Sizes.data": "initialised data",
    "Sizes.bss": "zeroed data, with the arena's room",
    "ModelInfo.name": "the file's title",
    "ModelInfo.source": "where it came from",
    "ModelInfo.sha256": "of the `.tflite` file",
    "ModelInfo.arena_bytes": "what it takes of the arena, by the engine",
    "DatasetInfo.name": "of the set",
    "DatasetInfo.source": "where it came from; stand-ins and synthetic inputs say so",
    "DatasetInfo.sha256": "over all of the set's wire bytes, in order",
    "DatasetInfo.n": "how many inputs were used",
    "Window.input": "the input's name",
    "Window.inferences": "how many in the window",
    "Window.duration_us": "of the whole window, by the board's clock",
    "Latency.median": "over the windows",
    "Latency.min": "the fastest window",
    "Latency.max": "the slowest window",
    "Latency.unit": "what a microsecond is worth, in words: that of an emulated board is no microsecond of silicon",
    "Accuracy.metric": "share of right first guesses, or area under the ROC curve",
    "Accuracy.n": "inputs that were scored",
    "Accuracy.target": "what it is held against",
    "Accuracy.met": "whether it is reached",
    "Accuracy.reason": "why there is no value",
    "Energy.k": "coverage factor of `u`: 2",
    "Energy.gross": "everything the board took",
    "Energy.idle_before_mw": "power of the waiting board before the windows",
    "Energy.idle_after_mw": "the same after them",
    "Energy.windows": "every window, the invalid ones too",
    "Energy.monitor": "what measured it",
    "Energy.lost_samples": "of all windows",
    "Profile.input": "the input's name",
    "Profile.inferences": "how many were watched",
    "Profile.operators": "those of the model, in order",
    "ClockCheck.limit": "of `drift`",
    "ClockCheck.windows": "long enough to tell",
    "Interval.low": "its lower end",
    "Interval.high": "its upper end",
    "Interval.level": "of confidence, e.g. 0.95",
    "EnergyWindow.input": "the input's name",
    "EnergyWindow.inferences": "how many in the window",
    "EnergyWindow.valid": "it counts",
    "EnergyWindow.mean_mw": "power, mean over the window",
    "EnergyWindow.samples": "in the window",
    "EnergyWindow.lost_samples": "missing in it: one is enough to make it invalid",
    "EnergyWindow.overloads": "samples beyond the range",
    "EnergyWindow.range_switches": "changes of the range in it",
    "BudgetTerm.term": "what is uncertain, e.g. `current gain`",
    "BudgetTerm.u_uj": "standard uncertainty, k = 1",
    "MonitorInfo.name": "as `host monitors` lists it",
    "MonitorInfo.idn": "what it says it is: maker, model, serial number, firmware",
    "MonitorInfo.rate_hz": "samples a second",
    "MonitorInfo.voltage_v": "supplied or assumed",
    "OperatorCost.index": "its place in the model",
    "OperatorCost.name": "e.g. `CONV_2D`",
    "OperatorCost.shape": "of its output",
    "OperatorCost.us": "null where the engine leaves the operator out, and where nothing tells the time",
    "OperatorCost.cycles": "null where the engine leaves the operator out, and where nothing counts them",
    "OperatorCost.instructions": "null where the engine leaves the operator out, and where nothing counts them",
}
"""What a field is, where the docstring does not say it of this field alone."""

HEAD: Final = """\
# The result record

Every session of `host bench` leaves a folder with `result.json`, and `host bench --json` prints the same. It is one
JSON object; this page is made from the code that writes and checks it, `host/results/schema.py`.

- `schema` is `"{schema}"`. Older records, {older}, lack the fields that came later; they are still read.
- Whoever reads a record with our code refuses unknown fields, wrong types and numbers out of range. A record is written
  only after it has been read back.
- `provenance` is `measured` on silicon, `emulated` in QEMU or with the virtual analyser, `replayed` from a trace. Never
  rank one with another.
- A value that could not be had is `null`, never 0. Numbers that are no number (NaN, infinity) do not occur.
- `valid` of a run says whether every rule was kept; `reasons` says which was not. A run that is not valid has numbers
  too: they are for finding out why.

In the tables, *since* is the version of the schema that brought a field; *or null* means that there may be no value.
"""


def escaped(text: str) -> str:
    """Prose as Markdown: what stands between backticks is code, everything else means nothing but itself."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        pieces = [text.replace("`", "")]
    plain = [re.sub(r"([\\*_\[\]|#~])", r"\\\1", html.escape(piece, quote=False)) for piece in pieces]
    return "`".join(piece if at % 2 else plain[at] for at, piece in enumerate(pieces))


def split_docstring(struct: type[msgspec.Struct]) -> tuple[str, dict[str, str]]:
    """What a docstring says of the whole ("" when nothing), and what of each field, as Markdown."""
    names = [field.name for field in msgspec.structs.fields(struct)]
    said: dict[str, list[str]] = {"": []}
    for paragraph in (inspect.getdoc(struct) or "").split("\n\n"):
        parts = _SUBJECT.split(" ".join(paragraph.split()))
        meant = [""]
        said[""].append(parts[0])
        for subject, text in zip(parts[1::2], parts[2::2], strict=True):
            fields = [name for word in _WORD.findall(subject) for name in _named(word, names)]
            meant = fields or meant  # `null: no data` goes on with what was said before
            for name in meant:
                said.setdefault(name, []).append(text if fields else f"{subject}: {text}")
    texts = {name: escaped(" ".join(" ".join(parts).split()).rstrip(" .;")) for name, parts in said.items()}
    general = texts.pop("")
    return f"{general}." if general else "", texts


def _named(word: str, names: list[str]) -> list[str]:
    """The fields that a word means; `whole_*` means all that begin so."""
    return [name for name in names if name == word or (word.endswith("*") and name.startswith(word[:-1]))]


def unit_of(struct: str, field: str) -> str:
    """The unit of a field, "" where it has none."""
    return UNITS.get(f"{struct}.{field}") or _SUFFIXES.get(field.rpartition("_")[2] if "_" in field else "", "")


def type_text(kind: types.Type) -> tuple[str, bool]:
    """What a value has to be, in words, and whether it may be null."""
    if isinstance(kind, types.UnionType):
        others = [one for one in kind.types if not isinstance(one, types.NoneType)]
        return " or ".join(type_text(one)[0] for one in others), len(others) < len(kind.types)
    return _plain_type(kind), False


def _plain_type(kind: types.Type) -> str:  # noqa: PLR0911 (a line for each type is what a reader wants here)
    match kind:
        case types.StructType():
            return f"[{kind.cls.__name__}](#{kind.cls.__name__.lower()})"
        case types.ListType():
            return f"list of {type_text(kind.item_type)[0]}"
        case types.DictType():
            return f"object, {type_text(kind.value_type)[0]} by name"
        case types.LiteralType():
            return ", ".join(f'`"{value}"`' for value in sorted(map(str, kind.values)))
        case types.IntType() | types.FloatType():
            name = "whole number" if isinstance(kind, types.IntType) else "number"
            return f"{name}{_bounds(kind)}"
        case types.StrType():
            return "text" if kind.pattern is None else f"text: {_KNOWN_PATTERNS.get(kind.pattern, f'`{kind.pattern}`')}"
        case types.BoolType():
            return "`true` or `false`"
    raise TypeError(f"no words for {kind}: add them to host/results/reference.py")


def _bounds(kind: types.IntType | types.FloatType) -> str:
    if kind.gt is not None:
        return f", above {kind.gt}"
    if kind.le is not None:
        return f", {kind.ge} to {kind.le}"
    return "" if kind.ge is None else f", {kind.ge} or more"


def _children(kind: types.Type, path: str) -> Iterator[tuple[type[msgspec.Struct], str]]:
    """The structs in a type, and where they are in the document."""
    if isinstance(kind, types.UnionType):
        for one in kind.types:
            yield from _children(one, path)
    elif isinstance(kind, types.ListType):
        yield from _children(kind.item_type, f"{path}[]")
    elif isinstance(kind, types.StructType):
        yield kind.cls, path


def _fields(struct: type[msgspec.Struct]) -> tuple[types.Field, ...]:
    info = types.type_info(struct)
    return info.fields if isinstance(info, types.StructType) else ()


def structs(root: type[msgspec.Struct]) -> dict[type[msgspec.Struct], list[str]]:
    """Every struct of a record, from the top down, and the places where it stands in the document."""
    found: dict[type[msgspec.Struct], list[str]] = {}
    waiting = [(root, "")]
    while waiting:
        struct, path = waiting.pop(0)
        found.setdefault(struct, []).append(path)
        for field in _fields(struct):
            waiting += _children(field.type, f"{path}.{field.name}".removeprefix("."))
    return found


def section(struct: type[msgspec.Struct], places: list[str]) -> str:
    """A struct's heading, what it is, where it is, and a row for each field."""
    name, (general, about) = struct.__name__, split_docstring(struct)
    lines = [f"## {name} {{#{name.lower()}}}", "", general, ""]
    if any(places):
        lines += [f"At {', '.join(f'`{place}`' for place in places)}.", ""]
    lines += ["| field | value | unit | since | what it is |", "|---|---|---|---|---|"]
    for field in _fields(struct):
        words, nullable = type_text(field.type)
        key = f"{name}.{field.name}"
        since = SINCE.get(key, SINCE.get(name, 1))
        meaning = escaped(ABOUT[key]) if key in ABOUT else about.get(field.name, "")
        lines.append(
            f"| `{field.name}`{{#{key.lower()}}} | {words}{' or null' if nullable else ''} "
            f"| {unit_of(name, field.name)} | /{since} | {meaning} |"
        )
    return "\n".join(lines) + "\n"


def result_page() -> str:
    """The page on `result.json`."""
    version = int(schema.SCHEMA.rpartition("/")[2])
    older = ", ".join(f"`/{number}`" for number in range(1, version))
    sections = [section(struct, places) for struct, places in structs(schema.Result).items()]
    return "\n".join([HEAD.format(schema=schema.SCHEMA, older=older), *sections])
