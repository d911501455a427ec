# SPDX-License-Identifier: Apache-2.0
"""The description of a system: what a file may say, what is asked, and what nobody may contradict."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from host.errors import SetupError, UsageError
from host.submission import system
from host.submission.layout import NEEDED_FIELDS, OPERATING_SYSTEM, SYSTEM_FIELDS

KNOWN = {"Submitter": "me", "Division": "Closed", "Processor(s) Name": "Cortex-M4F"}
GIVEN = {
    "Status": "preview", "Board Name": "B", "SoC Name": "S", "Processor(s) Frequencies": "1 MHz",
    "Inference Framework": "f", OPERATING_SYSTEM: "none", "General Compiler(s)": "gcc",
}  # fmt: skip


def write(path: Path, document: object) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert system.read_system(tmp_path / "system.json") == {}


def test_the_words_of_a_file_come_before_what_is_known(tmp_path: Path) -> None:
    path = write(tmp_path / "system.json", {**GIVEN, "Processor(s) Name": " Cortex-M4 (DSP + FPU) ", "Submitter": "ME"})
    fields, asked = system.complete(system.read_system(path), KNOWN, None)
    assert (fields["Processor(s) Name"], fields["Submitter"], fields["Status"]) == (
        "Cortex-M4 (DSP + FPU)",
        "ME",
        "Preview",
    )
    assert list(fields) == list(SYSTEM_FIELDS)
    assert asked == {}
    assert fields["Accelerator"] == ""


@pytest.mark.parametrize("key", ["Operating System", "Operating System "])
def test_the_key_with_a_space_is_taken_without_it(key: str, tmp_path: Path) -> None:
    assert system.read_system(write(tmp_path / "s.json", {key: "bare metal"})) == {OPERATING_SYSTEM: "bare metal"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('{"Status": 1}', "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ('{"Status": "' + "x" * (1 << 20) + '"}', "more than"),
        ({"Stat\x1b[31mus": "x"}, r"'Stat\\x1b\[31mus' is no field"),
        ({"system_type": "edge"}, "is no field of a system. The fields are: Submitter"),
        ({"Status": "soon"}, "has to be one of Available, Preview, RDI"),
        ({"Board Name": "a\nb"}, "one line"),
        ({"Board Name": "a\u202eb"}, "one line"),
        ({"Hardware Notes": "x" * 2001}, "at most 2000"),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_refused(document: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=said):
        system.read_system(write(tmp_path / "system.json", document))


def test_rubbish_and_folders_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe{}")
    for path in (tmp_path, tmp_path / "a"):
        with pytest.raises(SetupError, match=r"--system|not a JSON"):
            system.read_system(path)


@pytest.mark.parametrize(("field", "value"), [("Submitter", "you"), ("Division", "Open")])
def test_a_file_and_a_request_that_contradict_each_other(field: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"has {field} '{value}'"):
        system.complete({**GIVEN, field: value}, KNOWN, None)


def test_everything_that_is_missing_is_said_at_once_where_nobody_can_be_asked() -> None:
    with pytest.raises(UsageError) as caught:
        system.complete({}, KNOWN, None)
    for field in set(NEEDED_FIELDS) - set(KNOWN):
        assert repr(field.strip()) in str(caught.value)


def test_what_is_missing_is_asked_until_it_is_an_answer_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "system.json"
    given = {name: value for name, value in GIVEN.items() if name not in ("Status", "SoC Name")}
    answers = {"Status": iter(["soon", "", "RDI"]), "SoC Name": iter(["\x1b[2J", "  STM32 "])}
    questions: list[tuple[str, tuple[str, ...]]] = []

    def ask(field: str, choices: tuple[str, ...]) -> str:
        questions.append((field, choices))
        return next(answers[field])

    fields, asked = system.complete(given, KNOWN, ask)
    choices = ("Available", "Preview", "RDI")
    assert questions == [("Status", choices)] * 3 + [("SoC Name", ())] * 2
    assert asked == {"Status": "RDI", "SoC Name": "STM32"}
    assert (fields["Status"], fields["SoC Name"]) == ("RDI", "STM32")
    system.save(path, given, asked)
    again, nothing = system.complete(system.read_system(path), KNOWN, None)
    assert (again, nothing) == (fields, {})


def test_whoever_never_answers_is_not_asked_for_ever() -> None:
    with pytest.raises(UsageError, match="no answer that can be 'Status'"):
        system.complete({}, KNOWN, lambda *_: "")


def test_a_pipe_is_no_description_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "system.json")
    with pytest.raises(SetupError, match="--system"):
        system.read_system(tmp_path / "system.json")
