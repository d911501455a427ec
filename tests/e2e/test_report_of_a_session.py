# SPDX-License-Identifier: Apache-2.0
"""The report of a real emulated session in headless Chromium: it is there when the session ends, its numbers are those
of result.json, and its plot shows the samples of the session's trace."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from session_kit import PROJECT, only_folder

from host.results import record

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "browser"))

import kit
from kit import Opened, check_view, go, opened, plot_all, serious

TASKS = ("ad01", "kws01")
MAX_BYTES = 1_000_000
SCALES = (1.0, 1e3, 1e-3, 1e-2, 1e6, 1e-6)
"""Of units on the page over those of result.json: milliseconds of microseconds, percent of parts."""


@pytest.fixture(scope="module")
def session(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Its folder, and what the command printed."""
    out = tmp_path_factory.mktemp("session")
    words = [sys.executable, "-m", "host", "bench", *TASKS, "--mode", "energy", "--profile", "--out", str(out)]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return only_folder(out), done.stdout


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with kit.started() as started:
        yield started


@pytest.fixture(scope="module")
def seen(browser: Any, session: tuple[Path, str]) -> Iterator[Opened]:
    with opened(browser, session[0] / "report.html") as it:
        plot_all(it)
        yield it
        assert it.said == []
        assert it.asked == []


def test_the_last_line_leads_to_the_report(session: tuple[Path, str]) -> None:
    folder, printed = session
    last = printed.splitlines()[-1]
    assert last.startswith("report: ")
    assert Path(last.removeprefix("report: ")) == folder / "report.html"
    assert (folder / "report.html").stat().st_size < MAX_BYTES


def at(raw: Any, path: str) -> Any:
    for step in path.split("."):
        raw = raw[int(step)] if isinstance(raw, list) else raw[step]
    return raw


def test_every_number_equals_result_json(session: tuple[Path, str], seen: Opened) -> None:
    """The value behind each cell is the record's, and what a person reads is that value, rounded where it is shown."""
    raw = json.loads((session[0] / record.RESULT_FILE).read_text())
    cells = seen.page.locator("[data-path]").evaluate_all("all => all.map(e => [e.dataset.path, e.dataset.value,"
                                                          " e.textContent])")  # fmt: skip
    read = 0
    for path, value, text in cells:
        held = at(raw, path)
        assert json.loads(value) == held, path
        shown = kit.leading_number(text)
        if isinstance(held, bool) or not isinstance(held, int | float) or shown is None:
            continue
        number, half = shown
        assert path.endswith(".window") or any(abs(number * scale - held) <= half * scale * 1.01 for scale in SCALES), (
            f"{path}: {held} is shown as {text}"
        )
        read += 1
    assert read > 200
    told = {path for path, *_ in cells}
    for name in ("latency_us.median", "energy_uj.value", "energy_uj.u", "instructions_per_inference",
                 "model.arena_bytes", "energy_uj.windows.4.energy_uj", "energy_uj.budget.0.u_uj",
                 "profile.operators.9.uj", "windows.4.duration_us"):  # fmt: skip
        assert f"runs.0.{name}" in told


@pytest.mark.parametrize("number", [0, 1])
def test_the_plot_shows_the_sessions_samples(session: tuple[Path, str], seen: Opened, number: int) -> None:
    trace = seen.page.locator(".trace").nth(number)
    key, path = trace.get_attribute("id"), session[0] / f"trace-{TASKS[number]}.jls"
    assert check_view(seen, key, path) > 0.95
    for button in trace.locator("[data-do=to]").all():
        go(seen, key, button.click)
        assert check_view(seen, key, path) > 0.95
        for side in ("start", "end"):
            go(seen, key, trace.locator(f"[data-do={side}]").click)
            assert check_view(seen, key, path) > 0.95
            assert "every sample" in trace.locator(".readout").inner_text()
            go(seen, key, button.click)
    go(seen, key, trace.locator("[data-do=operators]").click)
    assert check_view(seen, key, path) > 0.95
    go(seen, key, trace.locator("[data-do=all]").click)


def test_it_is_marked_as_emulated_and_axe_finds_nothing_serious(seen: Opened) -> None:
    assert seen.page.locator(".banner").inner_text().startswith("EMULATED")
    assert seen.page.locator(".run .badge").all_inner_texts() == ["EMULATED"] * len(TASKS)
    assert serious(seen) == []
