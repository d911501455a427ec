# SPDX-License-Identifier: Apache-2.0
"""Ways to break the layout of a package, the description of its system, its code and its models."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable

import msgspec
from submission_mutants import Change, Mutants, Package, keeper, sha256, sub

from host.submission import layout

MUTANTS: Mutants = {}
mutant = keeper(MUTANTS)


# -- Layout --------------------------------------------------------------------------------------------------------


@mutant("unknown")
def a_file_on_top(package: Package) -> None:
    package.put(package.root / "NOTES.txt", "hello")


@mutant("unknown")
def a_third_division(package: Package) -> None:
    package.put(package.root / "network" / "a.txt", "hello")


@mutant("unknown")
def a_file_beside_the_results(package: Package) -> None:
    package.put(package.results("performance") / "script.async", "hello")


@mutant("unknown")
def a_file_that_switches_the_official_checker(package: Package) -> None:
    package.put(package.results("") / "EEMBC_RUNNER", "")


@mutant("unknown")
def a_mapping_of_models(package: Package) -> None:
    package.put(package.own / "model_mapping.json", "{}")


@mutant("unknown")
def a_benchmark_that_nobody_knows(package: Package) -> None:
    shutil.copytree(package.results(""), package.results("").with_name("kws2"))


@mutant("unknown")
def a_mode_that_nobody_knows(package: Package) -> None:
    shutil.copytree(package.results("energy"), package.results("power"))


@mutant("unknown")
def a_system_without_results(package: Package) -> None:
    shutil.copy(package.system, package.system.with_name("other.json"))


@mutant("unknown")
def code_without_results(package: Package) -> None:
    shutil.copytree(package.code, package.code.with_name("other"))


@mutant("missing")
def no_description_of_the_system(package: Package) -> None:
    shutil.rmtree(package.own / "systems")


@mutant("missing", "model")
def no_code(package: Package) -> None:
    shutil.rmtree(package.own / "code")


@mutant("missing")
def no_log(package: Package) -> None:
    (package.results("energy") / "log.txt").unlink()


@mutant("missing")
def no_results_text(package: Package) -> None:
    (package.results("energy") / "results.txt").unlink()


@mutant("missing")
def no_record(package: Package) -> None:
    (package.results("energy") / "results.json").unlink()


@mutant("missing")
def nothing_at_all(package: Package) -> None:
    shutil.rmtree(package.root / "closed")


@mutant("name", "code-sums")
def a_name_with_a_space(package: Package) -> None:
    package.put(package.code / "read me.txt", "hello")


@mutant("name", "code-sums")
def a_hidden_file(package: Package) -> None:
    package.put(package.code / ".DS_Store", "hello")


@mutant("name")
def an_organization_with_a_dash_in_front(package: Package) -> None:
    package.own.rename(package.own.with_name("-rf"))


@mutant("symlink")
def a_link_to_a_file(package: Package) -> None:
    path = package.results("energy") / "results.txt"
    path.rename(package.root.parent / "elsewhere.txt")
    path.symlink_to(package.root.parent / "elsewhere.txt")


@mutant("symlink")
def a_link_to_a_folder(package: Package) -> None:
    (package.code / "loop").symlink_to(package.root, target_is_directory=True)


@mutant("symlink")
def a_link_to_nothing(package: Package) -> None:
    (package.code / "nothing").symlink_to("/nonexistent/a")


@mutant("special")
def a_pipe(package: Package) -> None:
    os.mkfifo(package.code / "pipe")


@mutant("special")
def a_pipe_for_a_log(package: Package) -> None:
    (package.results("energy") / "log.txt").unlink()
    os.mkfifo(package.results("energy") / "log.txt")


@mutant("size", "code-sums")
def a_file_of_600_mb(package: Package) -> None:
    package.put(package.code / "large.bin", "")
    os.truncate(package.code / "large.bin", 600 << 20)


@mutant("empty")
def an_empty_folder(package: Package) -> None:
    (package.code / "docs").mkdir()


@mutant("cache")
def a_cache_of_python(package: Package) -> None:
    package.put(package.code / "host" / "__pycache__" / "a.cpython-311.pyc", "hello")


@mutant("crowd", "code-sums")
def folders_without_end(package: Package) -> None:
    package.put(package.code.joinpath(*["a"] * 30) / "b.txt", "hello")
    package.put(package.code / "a" / "b.txt", "hello")


@mutant("required")
def no_accuracy(package: Package) -> None:
    shutil.rmtree(package.results("accuracy"))


@mutant("required")
def no_performance(package: Package) -> None:
    shutil.rmtree(package.results("performance"))


# -- The description of the system ---------------------------------------------------------------------------------


def described(change: Callable[[dict[str, str]], object]) -> Change:
    def put(package: Package) -> None:
        fields = msgspec.json.decode(package.system.read_bytes())
        change(fields)
        package.put(package.system, msgspec.json.encode(fields))

    return put


for name, broken in {
    "cut_short": b'{"Status": "Ava',
    "a_list": b"[]",
    "a_number": b'{"Status": 1}',
    "no_text": b'\xff{"Status": "Available"}',
    "endless": b'{"Status":' + b"[" * 200_000,
    "twice": b'{"Status": "Available", "Status": "Preview"}',
    "a_long_number": b'{"Status": ' + b"9" * 500_000 + b"}",
}.items():
    MUTANTS[f"a_description_that_is_{name}"] = (
        {"system-json"},
        lambda package, broken=broken: package.put(package.system, broken),
    )
for name, (rule, change) in {
    "a_field_less": ("system-fields", lambda fields: fields.pop("Software Notes")),
    "a_field_more": ("system-fields", lambda fields: fields.update({"system_type": "edge"})),
    "an_empty_board": ("system-fields", lambda fields: fields.update({"Board Name": " "})),
    "an_escape": ("system-fields", lambda fields: fields.update({"Hardware Notes": "\x1b[2J"})),
    "an_unknown_status": ("system-status", lambda fields: fields.update({"Status": "Soon"})),
    "another_owner": ("system-owner", lambda fields: fields.update({"Submitter": "Somebody"})),
    "another_division": ("system-owner", lambda fields: fields.update({"Division": "Open"})),
}.items():
    MUTANTS[f"a_description_with_{name}"] = ({rule}, described(change))


# -- Code and model ------------------------------------------------------------------------------------------------


@mutant("code-sums")
def a_changed_source(package: Package) -> None:
    package.flip(package.code / "platformio.ini", 20)


@mutant("code-sums")
def a_source_less(package: Package) -> None:
    (package.code / "platformio.ini").unlink()


@mutant("code-sums")
def a_source_more(package: Package) -> None:
    package.put(package.code / "evil.c", "int evil;")


@mutant("code-sums")
def no_hashes_of_the_code(package: Package) -> None:
    (package.code / layout.SUMS_FILE).unlink()


@mutant("code-sums", "hash")
def hashes_of_other_code(package: Package) -> None:
    package.put(package.code / "platformio.ini", "[env]\n")
    sums = (package.code / layout.SUMS_FILE).read_text()
    package.put(package.code / layout.SUMS_FILE, re.sub(r"\S+(?=  platformio)", "0" * 64, sums))


@mutant("hash")
def code_that_was_changed_with_its_hashes(package: Package) -> None:
    package.put(package.code / "platformio.ini", "[env]\n")
    records = {mode: package.record(mode) for mode in package.modes()}
    package.resum()
    for mode, record in records.items():
        package.put_record(mode, record)


@mutant("code-readme")
def no_readme(package: Package) -> None:
    (package.code / "README.md").unlink()
    package.resum()


@mutant("model")
def another_model_in_the_code(package: Package) -> None:
    package.flip(package.root / str(package.record("energy").model_file), 1000)
    package.resum()


@mutant("model")
def a_model_from_outside(package: Package) -> None:
    package.put(package.root.parent / "model.tflite", "hello")
    for mode in package.modes():
        package.change(mode, model_file="../model.tflite")


@mutant("model")
def no_file_of_the_model(package: Package) -> None:
    for mode in package.modes():
        package.change(mode, model_file=None)


@mutant("model-official")
def a_model_of_ones_own(package: Package) -> None:
    path, old = package.root / str(package.record("energy").model_file), str(package.record("energy").run.model.sha256)
    package.flip(path, 1000)
    new = sha256(path.read_bytes())
    package.resum()
    for mode in package.modes():
        package.change(mode, run__model__sha256=new)
        package.relog(mode, sub(old, new, 0))
