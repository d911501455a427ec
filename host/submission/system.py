# SPDX-License-Identifier: Apache-2.0
"""The description of a system: what a file says, what the sessions know, and what somebody has to be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from host.boards import find_boards
from host.errors import HostError, SetupError, UsageError
from host.results.plain import read_plain
from host.results.record import write_file
from host.submission.gather import Gathered
from host.submission.layout import NEEDED_FIELDS, OPERATING_SYSTEM, STATUS, SYSTEM_FIELDS, Division

MAX_BYTES = 1 << 20
MAX_CHARACTERS = 2000
_WRITTEN: Final = {"available": "Available", "preview": "Preview", "rdi": "RDI"}
assert tuple(_WRITTEN) == STATUS  # noqa: S101

Ask = Callable[[str, tuple[str, ...]], str]
"""Asks a person for a field; the choices, if it has some."""


def read_system(path: Path) -> dict[str, str]:
    """The fields that a file has; none where there is no file. Raises SetupError naming what is wrong with it."""
    try:
        fields = msgspec.json.decode(read_plain(path, MAX_BYTES), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SetupError(f"cannot read {path}: {error.strerror}. Name another file with --system.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SetupError(f"{path}: not a JSON object of strings: {error}. Correct it.") from error
    known = {field.strip(): field for field in SYSTEM_FIELDS}
    for name, value in fields.items():
        if name.strip() not in known:
            raise SetupError(f"{path}: {name[:80]!r} is no field of a system. The fields are: {', '.join(known)}.")
        if problem := _problem(name, value):
            raise SetupError(f"{path}: {problem}")
    return {known[name.strip()]: value for name, value in fields.items()}


def _problem(name: str, value: str) -> str | None:
    if not value.isprintable() or len(value) > MAX_CHARACTERS:
        return f"{name!r} has to be one line of at most {MAX_CHARACTERS} characters that can be seen: correct it."
    if name == "Status" and value and value.lower() not in STATUS:
        return f"'Status' is {value!r}; it has to be one of {', '.join(_WRITTEN.values())}."
    return None


def known_fields(gathered: Gathered, organization: str, division: Division) -> dict[str, str]:
    """What the sessions and the board's own folder say."""
    base = gathered.first.header.base
    fields = {"Submitter": organization, "Division": division.capitalize()}
    if base.board.core != "unknown":
        fields["Processor(s) Name"] = base.board.core
    if base.board.clock_hz is not None:
        fields["Processor(s) Frequencies"] = f"{base.board.clock_hz / 1e6:g} MHz"
    firmware = base.firmware
    if firmware.engine is not None:
        fields["Inference Framework"] = f"tinyjoule {firmware.engine}"
        fields[OPERATING_SYSTEM] = "bare metal"
    if firmware.compiler is not None:
        fields["General Compiler(s)"] = firmware.compiler + (f" ({firmware.flags})" if firmware.flags else "")
    board = find_boards().get(base.board.name)
    if board is not None and firmware.engine is not None:
        fields["SoC Memory capacity (not including processor or accelerator)"] = f"{board.ram_bytes / 1024:g} KB"
        fields["SoC storage capacity"] = f"{board.flash_bytes / 1024:g} KB"
    return fields


def complete(
    given: Mapping[str, str], known: Mapping[str, str], ask: Ask | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Every field in the order of the layout, and what was asked. A file's own words come before what is known.

    ask: None where nobody can be asked. Raises UsageError when the file contradicts the request, or leaves open what
    nobody knows.
    """
    fields = {name: given.get(name, "").strip() or known.get(name, "") for name in SYSTEM_FIELDS}
    for name, option in (("Submitter", "--org"), ("Division", "--division")):
        if fields[name].lower() != known[name].lower():
            raise UsageError(
                f"the description of the system has {name} {fields[name]!r}, {option} says {known[name]!r}: change one."
            )
    asked = {}
    for name in _missing(fields):
        if ask is None:
            lacking = ", ".join(repr(name.strip()) for name in _missing(fields))
            raise UsageError(
                f"the description of the system lacks {lacking}: write them into the file that --system names, or "
                "leave --batch out on a terminal and answer."
            )
        asked[name] = _answer(name, ask)
        fields[name] = asked[name]
    fields["Status"] = _WRITTEN[fields["Status"].lower()]
    return fields, asked


def _missing(fields: Mapping[str, str]) -> Iterator[str]:
    return (name for name in NEEDED_FIELDS if not fields[name])


def _answer(name: str, ask: Ask) -> str:
    for _ in range(10):
        answer = ask(name.strip(), tuple(_WRITTEN.values()) if name == "Status" else ()).strip()
        if answer and _problem(name, answer) is None:
            return answer
    raise UsageError(f"no answer that can be {name.strip()!r}: write it into the file that --system names.")


def encode(fields: Mapping[str, str]) -> bytes:
    """As a file."""
    return msgspec.json.format(msgspec.json.encode(dict(fields)), indent=2) + b"\n"


def save(path: Path, given: Mapping[str, str], asked: Mapping[str, str]) -> None:
    """Keep what was asked in the file, so that nobody is asked again."""
    try:
        write_file(path, encode({**given, **asked}))
    except HostError as error:
        raise HostError(f"cannot keep the answers in {path}: {error}") from error
