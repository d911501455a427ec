# SPDX-License-Identifier: Apache-2.0
"""A printed report: on A4, light, without controls, every table whole and open, where numbers are from as before."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kit
import pypdfium2
import pytest
import report_kit
from kit import opened, plot_all

from host.report.page.render import render
from host.results import schema

A4_PT = (595, 842)
A4_WIDTH_PX = 695  # within the margins
OPERATORS = 40


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two provenances, and a model with more operators than a page of paper or an unfolded table holds."""
    place = tmp_path_factory.mktemp("paper")
    many = report_kit.run("vww01", profile=report_kit.profile(OPERATORS))
    name = "synthetic_normal_00.bin"  # as long as inputs are called
    windows = [schema.Window(input=name, inferences=40, duration_us=499_970, host_us=499_900, instructions=14_669_136)]
    energy = report_kit.energy(windows=[report_kit.energy_window(number, input=name) for number in range(5)])
    wide = report_kit.run("ic01", windows=windows * 5, energy_uj=energy)
    made = {"one": report_kit.result(wide, many), "two": report_kit.result(provenance="measured")}
    folders = [report_kit.folder(place / name, result) for name, result in made.items()]
    out = place / "report.html"
    out.write_bytes(render(folders, datetime(2026, 1, 2, tzinfo=UTC)))
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with kit.started() as started:
        yield started


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_paper_holds_everything(browser: Any, page: Path, *, scripts: bool) -> None:
    with opened(browser, page, color_scheme="dark", java_script_enabled=scripts) as seen:
        if scripts:
            plot_all(seen)
        captions = seen.page.locator("caption:not(.seen-by-none), h1, h2, h3").all_text_contents()
        cells = [text.strip() for text in seen.page.locator("td bdi, th bdi, dd bdi").all_text_contents()]
        assert seen.page.locator("details:not([open])").count() == 1, "the long table is folded on the screen"
        printed = pypdfium2.PdfDocument(io.BytesIO(seen.page.pdf(prefer_css_page_size=True)))
        assert seen.said == []
    sheets = [printed[number] for number in range(len(printed))]
    assert {tuple(map(round, sheet.get_size())) for sheet in sheets} == {A4_PT}
    text = "".join(sheet.get_textpage().get_text_range() for sheet in sheets)
    # Where a line is broken is the paper's business.
    squeezed = "".join(text.split()).replace("\ufffe", "").replace("\x02", "")
    assert len(cells) > 500
    missing = [cell for cell in [*captions, *cells] if "".join(cell.split()) not in squeezed]
    assert missing == []
    for control in ("zoom in", "its start", "Look", "Skip to", "Drag to"):
        assert "".join(control.split()) not in squeezed
    for word in ("EMULATED", "measured"):
        assert word in text
    # The paper is white, also where the screen is dark, and carries ink.
    for sheet in sheets:
        picture = sheet.render(scale=0.5).to_pil().convert("RGB")
        colours = sorted(picture.getcolors(1 << 20) or [], reverse=True)
        assert colours[0][1] == (255, 255, 255)
        assert len(colours) > 20
        # Nothing runs into the right margin, where it would be cut off.
        margin = picture.crop((picture.width - 14, 0, picture.width, picture.height))
        assert margin.getcolors() == [(margin.width * margin.height, (255, 255, 255))]


def test_no_table_is_wider_than_the_paper(browser: Any, page: Path) -> None:
    with opened(browser, page, (A4_WIDTH_PX, 1000), java_script_enabled=False) as seen:
        seen.page.emulate_media(media="print")
        for table in seen.page.locator("table").all():
            place = table.bounding_box()
            assert place["x"] >= 0
            assert place["x"] + place["width"] <= A4_WIDTH_PX + 1, table.inner_text()[:200]


def test_paper_shows_the_picture_in_the_place_of_the_plot(browser: Any, page: Path) -> None:
    with opened(browser, page) as seen:
        plot_all(seen)
        seen.page.emulate_media(media="print")
        for trace in seen.page.locator(".trace").all():
            assert trace.locator(".static svg").is_visible()
            assert not trace.locator(".plot").is_visible()
            assert not trace.locator(".tools").is_visible()
        for banner in seen.page.locator(".banner").all():
            look = banner.evaluate("e => [getComputedStyle(e, '::before').printColorAdjust,"
                                   " getComputedStyle(e).borderTopStyle]")  # fmt: skip
            assert look[0] == "exact"
        assert len({banner.evaluate("e => getComputedStyle(e).borderTopStyle")
                    for banner in seen.page.locator(".banner").all()}) == 2  # fmt: skip
