# SPDX-License-Identifier: Apache-2.0
"""A package that was made is right, and every rule that the check has is broken once, in exactly that way."""

from __future__ import annotations

from pathlib import Path

import pytest
import submission_breaks_layout
import submission_breaks_log
import submission_breaks_record
from submission_mutants import Package, measured_package

from host.submission.check_findings import RULES

MUTANTS = submission_breaks_layout.MUTANTS | submission_breaks_record.MUTANTS | submission_breaks_log.MUTANTS


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measured_package(tmp_path_factory.mktemp("measured"))


@pytest.fixture
def package(original: Path, tmp_path: Path) -> Package:
    return Package.copy(original, tmp_path / "package")


def test_a_package_that_was_made_is_right(package: Package) -> None:
    report = package.check()
    assert not report.breaches, "\n".join(map(str, report.breaches))
    assert report.good
    assert [line.rpartition("/")[2].partition(":")[0] for line in report.results] == [
        "accuracy",
        "energy",
        "performance",
    ]
    assert report.files > 100


@pytest.mark.parametrize("name", MUTANTS)
def test_a_breach_is_found_and_nothing_else(package: Package, name: str) -> None:
    rules, change = MUTANTS[name]
    change(package)
    assert package.rules() == rules, "\n".join(map(str, package.check().breaches))


def test_every_rule_is_broken_by_something() -> None:
    broken = set().union(*(rules for rules, _ in MUTANTS.values()))
    assert set(RULES) - broken == {"unreadable"}
