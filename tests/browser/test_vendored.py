# SPDX-License-Identifier: Apache-2.0
"""What others wrote is here as they published it, with its licence, and goes along when the project is installed."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import tomllib

from host.paths import PROJECT_DIR

UPLOT = PROJECT_DIR / "host/report/page/uplot"


def test_uplot_is_the_published_one() -> None:
    told = dict(re.findall(r"^\| `([\w.]+)` \| `([0-9a-f]{64})` \|$", (UPLOT / "README.md").read_text(), re.MULTILINE))
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in UPLOT.iterdir()}
    files.pop("README.md")
    assert files == told
    assert (UPLOT / "uPlot.iife.min.js").read_text().startswith("/*! https://github.com/leeoniya/uPlot (v1.6.32) */")


def test_everything_that_is_no_module_is_installed_too() -> None:
    project = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())
    patterns = [
        f"{package.replace('.', '/')}/{pattern}"
        for package, listed in project["tool"]["setuptools"]["package-data"].items()
        for pattern in listed
    ]
    # Tasks and boards are folders of a checkout; build folders and caches are nobody's.
    files = [
        path.relative_to(PROJECT_DIR).as_posix()
        for top in ("host", "energy")
        for path in (PROJECT_DIR / top).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"} and "__pycache__" not in path.parts
    ]
    assert "host/report/page/uplot/LICENSE" in files
    missing = [name for name in files if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    assert not missing, missing
    assert "host/report/page/uplot/LICENSE" in project["project"]["license-files"]
