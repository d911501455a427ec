# SPDX-License-Identifier: Apache-2.0
"""A report in a browser: it loads nothing, runs nothing of what a result holds, and can be read without scripts, in the
dark, on a phone, and with a screen reader."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kit
import msgspec
import pytest
import report_kit
from kit import DESKTOP, PHONE, Opened, opened, plot_all, serious, widths

from host.report.page.render import render
from host.results import record, schema

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with kit.started() as started:
        yield started


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Measured, emulated and replayed; one run is not valid."""
    place = tmp_path_factory.mktemp("folders")
    bad = report_kit.run(
        "ad01", valid=False, reasons=["window 2: the clock of the board stood still"],
        energy_uj=report_kit.energy(windows=[
            report_kit.energy_window(0),
            report_kit.energy_window(1, valid=False, reasons=["12 samples lost"], lost_samples=12),
        ]),
    )  # fmt: skip
    board = schema.BoardInfo(name="nucleo_l4r5zi", core="Cortex-M4F", clock_hz=120_000_000)
    made = {
        "measured": report_kit.result(report_kit.run("kws01", rules="mlperf"), provenance="measured", board=board),
        "emulated": report_kit.result(report_kit.run("kws01"), bad),
        "replayed": report_kit.result(provenance="replayed"),
    }
    return [report_kit.folder(place / name, result) for name, result in made.items()]


@pytest.fixture(scope="module")
def page(folders: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "report.html"
    out.write_bytes(render(folders, NOW))
    return out


def quiet(seen: Opened) -> None:
    assert seen.said == []
    assert seen.asked == []


def test_it_loads_nothing_and_nothing_else_runs(browser: Any, page: Path) -> None:
    with opened(browser, page) as seen:
        plot_all(seen)
        quiet(seen)
        policy = seen.page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        # What a policy refuses is an error of the console: styles and scripts that somebody slipped in.
        seen.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p id=x style=\"color:red\">x</p>')")
        seen.page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
        )
        assert seen.page.evaluate("window.ran") is None
        assert seen.page.evaluate("getComputedStyle(x).color") != "rgb(255, 0, 0)"
        assert len(seen.said) == 2


def test_every_id_is_there_once_and_every_link_leads_somewhere(browser: Any, page: Path) -> None:
    with opened(browser, page) as seen:
        ids = seen.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))
        targets = seen.page.evaluate("[...document.querySelectorAll('[href]')].map(e => e.getAttribute('href'))")
        assert targets
        assert {target.removeprefix("#") for target in targets} <= set(ids)
        named = seen.page.evaluate(
            "['aria-labelledby', 'aria-describedby'].flatMap(name =>"
            " [...document.querySelectorAll(`[${name}]`)].flatMap(e => e.getAttribute(name).match(/\\S+/g)))"
        )
        assert set(named) <= set(ids)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("look", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, page: Path, look: str, size: tuple[int, int]) -> None:
    with opened(browser, page, size, color_scheme=look, has_touch=size == PHONE) as seen:
        plot_all(seen)
        assert serious(seen) == []
        wide, inner = widths(seen)
        assert wide <= inner, "the page scrolls sideways"
        quiet(seen)


def test_without_scripts_everything_is_there_but_zooming(browser: Any, page: Path) -> None:
    with opened(browser, page) as with_scripts, opened(browser, page, java_script_enabled=False) as without:
        for what in ("caption", "tbody tr", "dt", "figure svg", ".badge", "h2", "h3"):
            assert without.page.locator(what).count() == with_scripts.page.locator(what).count() > 0
        assert without.page.locator("td").all_inner_texts() == with_scripts.page.locator("td").all_inner_texts()
        for picture in without.page.locator("figure svg").all():
            assert picture.is_visible()
            assert picture.bounding_box()["width"] > 200
        for control in (".tools", ".plot", ".key", ".readout"):
            assert not without.page.locator(control).first.is_visible()
        assert widths(without)[0] <= widths(without)[1]
        # Tables that are long are folded up, and unfold without a script.
        for summary in without.page.locator("details:not([open]) > summary").all():
            summary.click()
        assert not without.page.locator("details:not([open])").count()


def ground(seen: Opened) -> str:
    return str(seen.page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_light_and_dark_by_the_system_and_by_a_switch(browser: Any, page: Path) -> None:
    white, dark = "rgb(255, 255, 255)", "rgb(20, 24, 29)"
    with opened(browser, page, color_scheme="dark") as seen:
        assert ground(seen) == dark
        ink = "tinyjoule.plots.values().next().value.then(p => p.paint.power)"
        in_the_dark = seen.page.evaluate(ink)
        seen.page.get_by_label("light").check(force=True)
        assert ground(seen) == white
        kit.until(seen.page, f"{ink}.then(ink => ink !== {in_the_dark!r})")
        seen.page.get_by_label("auto").check(force=True)
        assert ground(seen) == dark
        seen.page.emulate_media(color_scheme="light")
        assert ground(seen) == white
        quiet(seen)
    with opened(browser, page, color_scheme="light", java_script_enabled=False) as seen:
        seen.page.locator("label", has_text="dark").click()
        assert seen.page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor") == dark


def test_the_verdict_stands_first(browser: Any, page: Path) -> None:
    with opened(browser, page) as seen:
        first = seen.page.locator("main > section").first
        assert first.get_attribute("id") == "verdict"
        assert "INVALID" in first.inner_text()
        assert "the clock of the board stood still" in first.inner_text()
        assert first.bounding_box()["y"] < DESKTOP[1] / 2
        first.get_by_role("link").first.click()
        assert seen.page.evaluate("document.querySelector(':target h2').textContent").startswith("ad01")
        assert seen.page.locator(":target .reasons").inner_text() == "window 2: the clock of the board stood still"
        assert seen.page.locator(":target tr.invalid").count() == 1


def test_where_numbers_are_from_is_seen_without_colour(browser: Any, page: Path) -> None:
    """A word, a pattern and a border, each of its own; no table holds numbers of two kinds."""
    words = {"measured": "measured", "emulated": "EMULATED", "replayed": "REPLAYED"}
    with opened(browser, page) as seen:
        looks = []
        for name, word in words.items():
            section = seen.page.locator(f"section#{name}")
            assert word in section.locator(".banner").inner_text()
            sources = section.locator("[data-source]").evaluate_all("all => all.map(e => e.dataset.source)")
            assert len(set(sources)) == 1
            looks.append(
                section.locator(".banner").evaluate(
                    "e => [getComputedStyle(e, '::before').background, getComputedStyle(e).borderTopStyle,"
                    " getComputedStyle(e.querySelector('h2')).color]"
                )
            )
            for badge in seen.page.locator(f".run.{name} .badge").all():
                assert badge.inner_text() == word
        for seen_by in range(3):
            assert len({look[seen_by] for look in looks}) == 3
        for table in seen.page.locator("table").all():
            own = table.locator("[data-source]").evaluate_all("all => all.map(e => e.dataset.source)")
            assert len(set(own)) <= 1
        order = seen.page.locator("main > section").evaluate_all("all => all.map(e => e.className || e.id)")
        kinds = [name for name in words for each in order if each == f"run {name}"]
        assert [each for each in order if each.startswith("run ")] == [f"run {kind}" for kind in kinds]


def numbers(seen: Opened) -> list[dict[str, Any]]:
    found = seen.page.locator("[data-path]").evaluate_all(
        "all => all.map(e => ({source: +e.dataset.source, path: e.dataset.path, value: e.dataset.value,"
        " text: e.textContent}))"
    )
    return list(found)


def at(raw: Any, path: str) -> Any:
    for step in path.split("."):
        raw = raw[int(step)] if isinstance(raw, list) else raw[step]
    return raw


def test_every_number_is_the_records(browser: Any, page: Path, folders: list[Path]) -> None:
    with opened(browser, page) as seen:
        cells = numbers(seen)
        sources = seen.page.locator(".source h3").all_inner_texts()
    raws = [
        json.loads((next(f for f in folders if f.name == name) / record.RESULT_FILE).read_text()) for name in sources
    ]
    assert len(cells) > 300
    for cell in cells:
        assert json.loads(cell["value"]) == at(raws[cell["source"]], cell["path"]), cell


HOSTILE = """</script><script>window.pwned=1</script><img src=x onerror="window.pwned=1">'"`{{7*7}}&amp;<!--"""
TURNED = "\u202ereversed\u202c \u05e9\u05dc\u05d5\u05dd \x1b[31m\x00"


def poisoned(value: Any, path: str = "") -> Any:
    """A record whose every free text is hostile, by turns: markup, direction and control characters, no end."""
    if isinstance(value, dict):
        return {key: poisoned(each, f"{path}.{key}") for key, each in value.items()}
    if isinstance(value, list):
        return [poisoned(each, path) for each in value]
    free = not re.search(
        r"\.(schema|provenance|created|mode|rules|metric|target_source|voltage|link|\w*sha256|monitor\.windows)$", path
    )
    if not isinstance(value, str) or not free:
        return value
    kinds = (HOSTILE, TURNED + HOSTILE, "endless" * 1500 + HOSTILE)
    return value + kinds[len(path) % 3]


def test_hostile_texts_neither_run_nor_break_the_page(browser: Any, tmp_path: Path) -> None:
    made = report_kit.result(
        report_kit.run(valid=False, reasons=["because"], accuracy=schema.Accuracy(
            metric="auc", value=0.9, n=5, target=0.8, met=True, target_source="user", reason="why")),
        report_kit.run("ad01"),
    )  # fmt: skip
    raw = poisoned(msgspec.to_builtins(made))
    folder = tmp_path / "<img src=x onerror=alert(1)> & 'result'"
    folder.mkdir()
    record.write_result(folder, msgspec.convert(raw, schema.Result))
    texts = [text for text in re.findall(r'"((?:[^"\\]|\\.)*)"', json.dumps(raw)) if "window.pwned" in text]
    assert len(texts) > 30, "there are not many free texts in a record"
    out = tmp_path / "report.html"
    out.write_bytes(render([folder], NOW))
    for size in (DESKTOP, PHONE):
        with opened(browser, out, size) as seen:
            assert seen.page.evaluate("window.pwned") is None
            assert seen.page.locator("img, iframe, object, embed, link, base").count() == 0
            assert seen.page.locator("script:not([type='application/json'])").count() == 1
            assert "{{7*7}}" in seen.page.locator("body").inner_text()
            assert "\u202e" not in seen.page.content()
            assert widths(seen)[0] <= size[0]
            outside = seen.page.evaluate(
                "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, .figure, svg, .seen-by-none,"
                " .skip') && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 200))"
            )
            assert outside == []
            tables = seen.page.locator("table").evaluate_all("all => all.map(e => e.scrollWidth)")
            assert max(tables) < 6000
            quiet(seen)
            assert serious(seen) == []


def test_hostile_names_in_a_trace_stay_in_their_place(browser: Any, tmp_path: Path) -> None:
    """What a trace says of itself is in the payload, in a heading and on the canvas."""
    folder = report_kit.folder(tmp_path / "it", report_kit.result(report_kit.run()), traces=False)
    report_kit.write_trace(folder / "trace-kws01.jls", "kws01", monitor=HOSTILE, idn=f"\u05e9\u05dc{HOSTILE}")
    out = tmp_path / "report.html"
    out.write_bytes(render([folder], NOW))
    with opened(browser, out) as seen:
        plot_all(seen)
        assert seen.page.locator(".trace").count() == 1
        assert seen.page.evaluate("window.pwned") is None
        assert HOSTILE[:40] in seen.page.locator(".trace").inner_text()
        quiet(seen)
