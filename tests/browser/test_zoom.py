# SPDX-License-Identifier: Apache-2.0
"""The power trace in a browser: whatever view a person takes, by mouse, keys or buttons, shows the trace's samples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kit
import pytest
import report_kit
from kit import DESKTOP, PHONE, Opened, check_view, go, opened, shown, until, view

from host.report.page.render import render

TASKS = ("ad01", "kws01", "vww01")
KEY = "run-0-0-trace"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tasks with traces. The first one's is long enough to be packed in bins away from the windows' edges."""
    path = report_kit.folder(
        tmp_path_factory.mktemp("zoom") / "results", report_kit.result(*map(report_kit.run, TASKS)), traces=False
    )
    for number, task in enumerate(TASKS):
        report_kit.write_trace(path / f"trace-{task}.jls", task, window_s=0.5 if number else 8.0)
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> Path:
    out = folder / "report.html"
    out.write_bytes(render([folder], datetime(2026, 1, 2, tzinfo=UTC)))
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with kit.started() as started:
        yield started


@pytest.fixture
def seen(browser: Any, page: Path) -> Iterator[Opened]:
    with opened(browser, page) as it:
        yield it
        assert it.said == []
        assert it.asked == []
        assert it.page.evaluate("tinyjoule.failed") == []


def test_the_whole_trace_is_shown_first(seen: Opened, folder: Path) -> None:
    assert check_view(seen, KEY, folder / "trace-ad01.jls") > 0.95
    assert shown(seen, KEY)[0] == 0
    assert not seen.page.locator(f"#{KEY} .static").is_visible(), "the plot is in the picture's place"
    assert seen.page.locator(f"#{KEY} .tools").is_visible()


def test_nothing_is_unpacked_that_nobody_looks_at(browser: Any, page: Path) -> None:
    """A page of many tasks opens as fast as one of a single task: the first trace only, and one level of it."""
    with opened(browser, page, (1280, 300)) as seen:
        plotted = seen.page.evaluate("[...tinyjoule.plots.keys()]")
        assert plotted == [KEY]
        assert seen.page.evaluate(f"tinyjoule.plots.get('{KEY}').then(p => p.trace.unpacked)") == 1
        seen.page.locator(".trace").nth(1).scroll_into_view_if_needed()
        until(seen.page, "tinyjoule.plots.size >= 2")


def test_dragging_zooms_to_what_was_dragged_over(seen: Opened, folder: Path) -> None:
    chart = seen.page.locator(f"#{KEY} .u-over")
    chart.scroll_into_view_if_needed()
    box, (from_s, to_s) = chart.bounding_box(), shown(seen, KEY)
    y = box["y"] + box["height"] / 2

    def drag() -> None:
        seen.page.mouse.move(box["x"] + box["width"] * 0.25, y)
        seen.page.mouse.down()
        seen.page.mouse.move(box["x"] + box["width"] * 0.4, y, steps=4)
        seen.page.mouse.up()

    go(seen, KEY, drag)
    pixel_s = (to_s - from_s) / box["width"]
    assert shown(seen, KEY) == pytest.approx((to_s * 0.25, to_s * 0.4), abs=2 * pixel_s)
    assert check_view(seen, KEY, folder / "trace-ad01.jls") > 0.95
    go(seen, KEY, lambda: seen.page.locator(f"#{KEY} [data-do=back]").click())
    assert shown(seen, KEY) == (from_s, to_s)
    go(seen, KEY, drag)
    go(seen, KEY, lambda: chart.dblclick(position={"x": 10, "y": 10}))
    assert shown(seen, KEY) == (from_s, to_s)


def test_keys_zoom_and_move(seen: Opened, folder: Path) -> None:
    plot = seen.page.locator(f"#{KEY} .plot")
    plot.focus()
    whole = shown(seen, KEY)
    go(seen, KEY, lambda: seen.page.keyboard.press("+"))
    from_s, to_s = shown(seen, KEY)
    assert (from_s, to_s) == pytest.approx((whole[1] / 4, whole[1] * 3 / 4))
    go(seen, KEY, lambda: seen.page.keyboard.press("ArrowRight"))
    assert shown(seen, KEY)[0] == pytest.approx(from_s + (to_s - from_s) * 0.2)
    go(seen, KEY, lambda: seen.page.keyboard.press("ArrowLeft"))
    assert shown(seen, KEY) == pytest.approx((from_s, to_s))
    said = seen.page.locator(f"#{KEY} .said").text_content()
    assert "emulated mW" in said
    assert said in plot.get_attribute("aria-label"), "what is shown is told to who cannot see it"
    for _ in range(4):
        go(seen, KEY, lambda: seen.page.keyboard.press("+"))
        assert check_view(seen, KEY, folder / "trace-ad01.jls") > 0.9
    go(seen, KEY, lambda: seen.page.keyboard.press("-"))
    go(seen, KEY, lambda: seen.page.keyboard.press("0"))
    assert shown(seen, KEY) == whole
    go(seen, KEY, lambda: seen.page.keyboard.press("Escape"))
    assert shown(seen, KEY) != whole


def test_a_window_and_its_edges_are_a_click_away(seen: Opened, folder: Path) -> None:
    trace = seen.page.locator(f"#{KEY}")
    windows = trace.locator("[data-do=to]")
    assert windows.count() == 3
    for number in range(3):
        button = windows.nth(number)
        go(seen, KEY, button.click)
        assert button.get_attribute("aria-pressed") == "true"
        begin_s, end_s = float(button.get_attribute("data-from")), float(button.get_attribute("data-to"))
        from_s, to_s = shown(seen, KEY)
        assert from_s < begin_s < end_s < to_s
        assert check_view(seen, KEY, folder / "trace-ad01.jls") > 0.95
        for side, edge_s in (("start", begin_s), ("end", end_s)):
            go(seen, KEY, trace.locator(f"[data-do={side}]").click)
            from_s, to_s = shown(seen, KEY)
            assert (from_s + to_s) / 2 == pytest.approx(edge_s, abs=1e-4)
            assert check_view(seen, KEY, folder / "trace-ad01.jls") > 0.95
            assert "every sample" in trace.locator(".readout").inner_text()
            steps = len(set(view(seen, KEY)["time"]))
            assert steps >= (to_s - from_s) * report_kit.RATE_HZ - 2, "each sample is a step"
            go(seen, KEY, button.click)


def test_operators_are_named_where_they_are_marked(seen: Opened) -> None:
    trace = seen.page.locator(f"#{KEY}")
    go(seen, KEY, trace.locator("[data-do=operators]").click)
    marks = [m for m in seen.page.evaluate(f"tinyjoule.plots.get('{KEY}').then(p => p.trace.marks)")
             if m["kind"] == "operator"]  # fmt: skip
    from_s, to_s = shown(seen, KEY)
    assert from_s < marks[0]["from_s"] < marks[-1]["to_s"] < to_s
    box = trace.locator(".u-over").bounding_box()
    place = (marks[1]["from_s"] + marks[1]["to_s"]) / 2
    trace.locator(".u-over").hover(position={"x": (place - from_s) / (to_s - from_s) * box["width"], "y": 30})
    assert "CONV_1D" in trace.locator(".readout").inner_text()


def test_the_readout_says_time_and_power_under_the_cursor(seen: Opened) -> None:
    trace = seen.page.locator(f"#{KEY}")
    go(seen, KEY, trace.locator("[data-do=to]").first.click)
    go(seen, KEY, trace.locator("[data-do=start]").click)
    box, (from_s, to_s) = trace.locator(".u-over").bounding_box(), shown(seen, KEY)
    trace.locator(".u-over").hover(position={"x": box["width"] * 0.75, "y": 30})
    drawn = view(seen, KEY)
    time_s = from_s + (to_s - from_s) * 0.75
    step = max(i for i, begin_s in enumerate(drawn["time"]) if begin_s <= time_s)
    time, value, where = (trace.locator(".readout > span").nth(i).inner_text() for i in range(3))
    assert float(time.removesuffix(" s")) == pytest.approx(time_s, abs=2 * (to_s - from_s) / box["width"])
    near = drawn["low"][step - 1 : step + 2]  # a mouse stands on whole pixels
    assert value in [f"{mw:.2f} emulated mW" for mw in near]
    assert where.startswith("window 1")
    seen.page.mouse.move(0, 0)
    assert "every sample" in trace.locator(".readout").inner_text()


def test_a_view_has_an_end(seen: Opened) -> None:
    plot = seen.page.locator(f"#{KEY} .plot")
    plot.focus()
    for name in ("all", "out", "back", "left", "right"):
        assert seen.page.locator(f"#{KEY} [data-do={name}]").get_attribute("aria-disabled") == "true"
    for _ in range(30):
        seen.page.keyboard.press("+")
    until(seen.page, f"tinyjoule.plots.get('{KEY}').then(p => p.shown[1] - p.shown[0] < 8.01 / {report_kit.RATE_HZ})")
    go(seen, KEY, lambda: seen.page.keyboard.press("Home"))


def test_a_narrower_window_draws_anew(browser: Any, page: Path, folder: Path) -> None:
    with opened(browser, page, DESKTOP) as seen:
        many = len(view(seen, KEY)["time"])
        seen.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        until(seen.page, f"tinyjoule.plots.get('{KEY}').then(p => p.data.time.length < {many})")
        assert check_view(seen, KEY, folder / "trace-ad01.jls") > 0.9
        assert seen.page.locator(f"#{KEY} canvas").bounding_box()["width"] <= PHONE[0]


def test_a_damaged_payload_leaves_the_picture(browser: Any, page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    broken = tmp_path / "report.html"
    broken.write_text(re.sub(r'("low":".{8}).{8}', r"\1AAAAAAAA", text))
    with opened(browser, broken, plotted=False) as seen:
        until(seen.page, "tinyjoule.failed.length > 0")
        assert seen.page.locator(f"#{KEY} .static").is_visible()
        assert not seen.page.locator(f"#{KEY} .tools").is_visible()
        assert seen.said == []
