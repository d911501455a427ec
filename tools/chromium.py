# SPDX-License-Identifier: Apache-2.0
"""A report in a headless Chromium, for the tests, the bench of reports and the picture in the README.

It is Debian's Chromium, driven by Playwright, and it reaches nothing but files: every other request is refused and
remembered.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--font-render-hinting=none",
]
DESKTOP, PHONE = (1280, 900), (360, 780)
_PLOTTED = "performance.getEntriesByName('tinyjoule-plot').length"


def executable() -> str | None:
    """Where Chromium is; None where it is not installed."""
    return shutil.which("chromium")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser of Playwright's that has ended, with all it started, when the block does. Raises RuntimeError without
    Chromium."""
    path = executable()
    if path is None:
        raise RuntimeError("chromium is not installed: tools/bootstrap.sh dev installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Opened:
    """A page that was opened. said: warnings and errors of its console, and exceptions; asked: requests for anything
    but the page itself, all refused."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


def until(page: Any, expression: str) -> None:
    """Wait for something in a page. Playwright's own way is by eval(), which a report's policy refuses. Raises
    TimeoutError after 30 s."""
    for _ in range(3000):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(10)
    raise TimeoutError(f"it never came: {expression}")


@contextlib.contextmanager
def opened(
    browser: Any, path: Path, size: tuple[int, int] = DESKTOP, *, plotted: bool = True, **context: Any
) -> Iterator[Opened]:
    """A file in a context of its own. size: in CSS pixels. plotted: wait for the first trace's plot where the page has
    a trace. context: what Playwright's new_context takes (color_scheme, java_script_enabled, device_scale_factor)."""
    own = browser.new_context(viewport={"width": size[0], "height": size[1]}, **context)
    try:
        seen = Opened(own.new_page())
        url = path.resolve().as_uri()

        def answer(route: Any) -> None:
            asked = route.request.url
            if asked == url:
                route.continue_()
            else:
                seen.asked.append(asked)
                route.abort()

        own.route("**/*", answer)
        seen.page.on(
            "console", lambda said: said.type in ("error", "warning") and seen.said.append(f"{said.type}: {said.text}")
        )
        seen.page.on("pageerror", lambda error: seen.said.append(f"exception: {error}"))
        seen.page.goto(url, wait_until="load")
        if plotted and context.get("java_script_enabled", True) and seen.page.locator(".trace").count():
            until(seen.page, _PLOTTED)
        yield seen
    finally:
        own.close()


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds since the navigation began. first_paint_ms: something can be read. load_ms: the load event is over.
    plot_ms: the first trace can be zoomed; None without a trace."""

    first_paint_ms: float
    load_ms: float
    plot_ms: float | None


def time_opening(path: Path, turns: int = 3) -> Timing:
    """The best of some openings of a report, each with nothing cached. Raises RuntimeError without Chromium."""
    found = []
    with chromium() as browser:
        for _ in range(turns):
            with opened(browser, path) as seen:
                until(seen.page, _OPEN)
                found.append(seen.page.evaluate(_TIMES))
    paint, load, plot = min(found, key=lambda each: each[2] or each[1])
    return Timing(paint, load, plot)


_OPEN = (
    "performance.getEntriesByType('paint').length > 0 && performance.getEntriesByType('navigation')[0].loadEventEnd > 0"
)
_TIMES = """() => [
  performance.getEntriesByType('paint').at(-1).startTime,
  performance.getEntriesByType('navigation')[0].loadEventEnd,
  performance.getEntriesByName('tinyjoule-plot')[0]?.startTime ?? null,
]"""
