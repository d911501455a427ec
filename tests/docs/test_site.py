# SPDX-License-Identifier: Apache-2.0
"""The site of the guides builds without a warning, holds every page, and loads nothing from elsewhere."""

from __future__ import annotations

import html.parser
import os
import re
import subprocess
import sys

import pytest
from axe_playwright_python.sync_playwright import Axe

from host.paths import PROJECT_DIR
from tools.chromium import DESKTOP, PHONE, chromium, executable

LOADS = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "object": "data"}


def build(*options):
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", *map(str, options)],
        cwd=PROJECT_DIR, env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "http_proxy": "http://127.0.0.1:9"},
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    made = build("--site-dir", folder)
    assert made.returncode == 0, made.stderr
    assert "WARNING" not in made.stderr
    return folder


class Page(html.parser.HTMLParser):
    """What a page loads, and the ids in it."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.ids, self.links = [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in LOADS and values.get("rel") not in ("prev", "next", "canonical"):
            self.loads.append(values.get(LOADS[tag]) or "")
        if tag == "a":
            self.links.append(values.get("href") or "")
        self.ids.add(values.get("id"))


def test_every_page_is_there_and_links_lead_somewhere(site):
    pages = {path: Page(path) for path in site.rglob("*.html")}
    for name in ("index", "board", "analyser", "port", "emulation", "ci"):
        assert site / f"{name}.html" in pages
    for name in ("commands", "result", "protocol", "boards", "monitors"):
        assert site / "reference" / f"{name}.html" in pages
    for path, page in pages.items():
        for link in page.links:
            if link and path.name != "404.html" and not re.match(r"[a-z]+:", link):
                name, _, anchor = link.partition("#")
                target = (path.parent / name).resolve() if name not in ("", ".") else path
                assert target in pages or target.is_dir(), f"{path.name}: {link}"
                assert not anchor or anchor in pages[target].ids or anchor.startswith("__"), f"{path.name}: {link}"


def test_nothing_is_loaded_from_elsewhere(site):
    for path in site.rglob("*.html"):
        outside = [one for one in Page(path).loads if re.match(r"([a-z]+:)?//", one)]
        assert not outside, path.name
    for path in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import)\s*['\"]?(?:[a-z]+:)?//", path.read_text(encoding="utf-8")), path.name


@pytest.fixture(scope="module")
def browser():
    if executable() is None:
        if "TINYJOULE_CI" in os.environ:
            pytest.fail("chromium is not installed: tools/bootstrap.sh dev installs it")
        pytest.skip("chromium is not installed: tools/bootstrap.sh dev installs it")
    with chromium() as started:
        yield started


def see(browser, site, path, scheme, size):
    """The page as it looks; what it said and what it asked for outside of the site, both empty."""
    wrong = []
    context = browser.new_context(color_scheme=scheme, viewport=dict(zip(("width", "height"), size, strict=True)))
    page = context.new_page()
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda asked: wrong.extend([asked.url] if not asked.url.startswith((f"file://{site}", "data:")) else []),
    )
    page.goto(f"file://{path}", wait_until="load")
    page.wait_for_function("() => !document.querySelector('[data-md-component=search]').hidden")
    return page, wrong


def test_every_page_is_quiet_stays_at_home_and_fits_a_phone(browser, site):
    for path in sorted(
        set(site.rglob("*.html")) - {site / "404.html"}
    ):  # the theme's, which names its files from the top
        page, wrong = see(browser, site, path, "light", PHONE)
        assert not wrong, path.name
        wide, inner = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= inner, f"{path.name} scrolls sideways"
        page.context.close()


@pytest.mark.parametrize(
    ("name", "scheme", "size"),
    [
        ("port", "light", PHONE),
        ("board", "light", PHONE),
        ("ci", "dark", PHONE),
        ("port", "dark", DESKTOP),
        ("reference/boards", "light", DESKTOP),
    ],
)
def test_a_page_can_be_read_by_everybody(browser, site, name, scheme, size):
    """Pages with everything that pages have: code in several languages, tables, notes, lists of terms."""
    page, _ = see(browser, site, site / f"{name}.html", scheme, size)
    found = [
        (each["id"], [node["html"][:160] for node in each["nodes"][:3]])
        for each in Axe().run(page).response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    assert not found
    page.context.close()


def test_a_site_in_a_folder_can_be_searched(browser, site):
    page, _ = see(browser, site, site / "index.html", "light", DESKTOP)
    page.locator(".md-search__input").click()
    page.keyboard.type("energywindow")
    result = page.locator(".md-search-result__item a").first
    result.wait_for()
    assert "result.html" in result.get_attribute("href")
    page.context.close()


def test_links_that_lead_nowhere_fail_the_build(tmp_path):
    broken = ["nowhere.md", "board.md#nowhere", "reference/result.md#nowhere", "#nowhere-here"]
    docs = tmp_path / "docs"
    docs.mkdir()
    for path in (PROJECT_DIR / "docs").glob("*.md"):
        (docs / path.name).write_text("# Page\n\n" + "".join(f"[a]({link})\n" for link in broken))
    text = (PROJECT_DIR / "mkdocs.yml").read_text()
    for old, new in (("docs_dir: docs", f"docs_dir: {docs}"), ("- tools/", f"- {PROJECT_DIR}/tools/")):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "mkdocs.yml").write_text(text)
    made = build("--config-file", tmp_path / "mkdocs.yml", "--site-dir", tmp_path / "site")
    assert made.returncode == 1
    said = [line for line in made.stderr.splitlines() if "'index.md'" in line]
    assert all(any(link in line for line in said) for link in broken)


def test_the_build_is_part_of_ci_and_of_make():
    assert "make docs" in (PROJECT_DIR / ".ci" / "run").read_text()
    lines = [line for line in (PROJECT_DIR / "Makefile").read_text().splitlines() if "mkdocs build" in line]
    assert lines == ["\t@$(BIN)/mkdocs build --strict"], "with --quiet a warning is no error"
