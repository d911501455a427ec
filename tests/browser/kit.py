# SPDX-License-Identifier: Apache-2.0
"""What the tests of a report share: the browser, what axe-core says, and what a plot shows beside its trace."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from energy.trace import TraceReader
from tools.chromium import DESKTOP, PHONE, Opened, chromium, executable, opened, until

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "host"))

__all__ = [
    "DESKTOP", "PHONE", "Opened", "check_view", "go", "opened", "plot_all", "serious", "shown", "started", "until",
    "view", "widths",
]  # fmt: skip

_MISSING = "chromium is not installed: tools/bootstrap.sh dev installs it"


@contextlib.contextmanager
def started() -> Iterator[Any]:
    """Chromium, which has ended when the block does. Without one the test is skipped, on CI it fails."""
    if executable() is None:
        if "TINYJOULE_CI" in os.environ:
            pytest.fail(_MISSING)
        pytest.skip(_MISSING)
    with chromium() as browser:
        yield browser


def serious(seen: Opened) -> list[str]:
    """What axe-core finds that is serious or critical, with the first elements it is about."""
    found = Axe().run(seen.page).response["violations"]
    return [
        f"{each['impact']}: {each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def widths(seen: Opened) -> tuple[int, int]:
    """Of the page and of the window, in CSS pixels: a page that is wider scrolls sideways."""
    wide, inner = seen.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    return int(wide), int(inner)


def plot_all(seen: Opened) -> None:
    """Every trace as if it had been scrolled to."""
    seen.page.evaluate("Promise.all([...document.querySelectorAll('.trace')].map(tinyjoule.plot))")
    assert seen.page.evaluate("tinyjoule.failed") == []


def go(seen: Opened, key: str, do: Any) -> None:
    """Do something to a plot, and wait until another view is shown."""
    box = f"document.getElementById({key!r}).querySelector('.plot').dataset"
    before = seen.page.evaluate(f"[{box}.from, {box}.to]")
    do()
    until(seen.page, f"({box}.from !== {before[0]!r}) || ({box}.to !== {before[1]!r})")


def shown(seen: Opened, key: str) -> tuple[float, float]:
    """The view of a plot, in seconds of the trace."""
    box = seen.page.locator(f"#{key} .plot")
    return float(box.get_attribute("data-from")), float(box.get_attribute("data-to"))


def view(seen: Opened, key: str) -> dict[str, Any]:
    """What a plot draws."""
    found: dict[str, Any] = seen.page.evaluate(
        f"tinyjoule.plots.get({key!r})"
        ".then(p => ({...p.data, scale: p.trace.scale_mw, drawn: p.chart.data[1].length,"
        " range: [p.chart.scales.x.min, p.chart.scales.x.max]}))"
    )
    return found


def power_mw(trace: TraceReader) -> Any:
    """Every sample's power, NaN where there is none; voltage as measured or as the trace assumes it."""
    current, voltage, _ = trace.read(0, trace.samples)
    volts = voltage if voltage is not None else trace.info.voltage_v if trace.info else 0.0
    power = current.astype(np.float64) * volts * 1e3
    power[~np.isfinite(power)] = np.nan
    return power


def check_view(seen: Opened, key: str, path: Path) -> float:
    """Hold what a plot draws against the samples of its trace. Returns the part of the steps that are exact.

    No sample of a step lies outside of it, but by half a step of the 16-bit scale; a step at the border of two kinds of
    data may be wider than what is under it.
    """
    drawn = view(seen, key)
    with TraceReader(path) as trace:
        power, rate_hz = power_mw(trace), trace.rate_hz
    low_mw, high_mw = drawn["scale"]
    room = (high_mw - low_mw) / 65534 * 0.51
    assert drawn["range"] == pytest.approx([drawn["from_s"], drawn["to_s"]]), "the axis is the view"
    assert drawn["drawn"] == len(drawn["time"]), "uPlot has what was picked"
    steps = exact = 0
    for begin_s, end_s, low, high in zip(
        drawn["time"], drawn["time"][1:], drawn["low"], drawn["high"], strict=False
    ):  # the last one closes the last step
        first, last = round(begin_s * rate_hz), round(end_s * rate_hz)
        under = power[first:last]
        under = under[np.isfinite(under)]
        if last <= first or not len(under):
            continue
        assert low is not None, f"samples at {begin_s} s are not drawn"
        steps += 1
        assert low <= under.min() + room
        assert high >= under.max() - room
        exact += abs(low - under.min()) <= room and abs(high - under.max()) <= room
    assert steps >= 8
    return exact / steps


def leading_number(text: str) -> tuple[float, float] | None:
    """The number a text begins with, and half of its last digit."""
    found = re.match(r"[^\d+\u2212-]{0,12}([+\u2212-]?\d[\d,]*(?:\.(\d+))?)", text)
    if not found:
        return None
    value = float(found[1].replace(",", "").replace("\u2212", "-"))
    return value, 0.5 * 10.0 ** -len(found[2] or "")
