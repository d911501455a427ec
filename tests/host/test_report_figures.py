# SPDX-License-Identifier: Apache-2.0
"""The figures of a report: for eyes and for screen readers, on any ground, the same bytes for the same data."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from host.errors import HostError
from host.report.page import figures
from host.report.page.pictures import Pictures
from host.report.page.pyramid import Bins, Mark
from host.report.page.svg import svg_inline

Draw = Callable[[], Figure]
HOSTILE = "a</text><script>&\\$\u202e\x00\u65e5$x_y$" * 3
COLOURS = [figures.BLUE, figures.ORANGE, figures.GREEN, figures.RED, figures.GREY]
BINS = Bins(0.001, np.r_[np.full(500, 2.0), np.full(500, 30.0)], np.r_[np.full(500, 3.0), np.full(500, 42.0)])
MARKS = [
    Mark("window", "window 1", 0.5, 0.8), Mark("window", "window 2", 0.85, 1.0, valid=False, note="lost"),
    Mark("idle", "idle", 0.0, 0.4), Mark("operator", "0 CONV", 0.5, 0.52), Mark("operator", "1 CONV", 0.52, 0.6),
    Mark("gap", "gap", 0.6, 0.61, valid=False),
]  # fmt: skip
DRAWN: dict[str, Draw] = {
    "latency": partial(figures.latency, [12.5, 12.6], 12.55, "emulated "),
    "many": partial(figures.latency, list(np.linspace(1, 2, 500)), 1.5, ""),
    "same": partial(figures.latency, [0.0, 0.0, 0.0], 0.0, ""),
    "power": partial(figures.power, BINS, MARKS, 1.0, "emulated "),
    "nothing": partial(figures.power, Bins(0.1, np.full(9, np.nan), np.full(9, np.nan)), [], 0.9, ""),
    "operators": partial(figures.operators, [HOSTILE, "CONV"], [1.0, 2.0], [3.0, 0.0], "emulated "),
    "a-model": partial(figures.operators, [f"{n} CONV" for n in range(300)], [float(n) for n in range(300)], None, ""),
    "budget": partial(figures.budget, ["noise", HOSTILE], [0.1, 0.0], "emulated "),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_for_the_page(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a letter that a font does not have, a limit that is none
        text = svg_inline(DRAWN[name], f"run-0-1-{name}", HOSTILE.replace("\x00", ""), "what it shows < & >")
    assert text == svg_inline(DRAWN[name], f"run-0-1-{name}", HOSTILE.replace("\x00", ""), "what it shows < & >")
    assert len(text) < 40_000
    root = ElementTree.fromstring(text)  # noqa: S314  # our own
    assert root.attrib["role"] == "img"
    assert [child.attrib["id"] for child in root[:2]] == root.attrib["aria-labelledby"].split()
    assert [child.tag.rpartition("}")[2] for child in root[:2]] == ["title", "desc"]
    assert root[1].text == "what it shows < & >"
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert all(each.startswith(f"run-0-1-{name}-") for each in ids)
    for element in root.iter():
        assert "style" not in element.attrib
        assert element.tag.rpartition("}")[2] not in ("style", "script", "metadata", "image")
        for key, value in element.attrib.items():
            for used in re.findall(r"url\(#([^)]+)\)", value) + ([value[1:]] if key == "href" else []):
                assert used in ids
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', text))
    assert "currentColor" in colours
    assert colours <= {"currentColor", "none", *COLOURS}


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("ground", ["#ffffff", "#181a1f"])
def test_colours_stand_out_from_light_and_dark(colour: str, ground: str) -> None:
    lighter, darker = sorted((luminance(colour), luminance(ground)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 3


def test_figures_are_written_on_white_and_say_where_they_are_from(tmp_path: Path) -> None:
    pictures = Pictures()
    for task in ("kws01", "../../etc/x", "kws01"):
        pictures.add(f"run-{task}", f"{task}, power", "EMULATED on mps2_an386", "text", DRAWN["power"])
    out = tmp_path / "new" / "figures"
    written = pictures.write(out)
    names = ["etc-x-power", "kws01-power", "kws01-power-2"]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{n}.{kind}" for n in names for kind in ("png", "svg")
    )
    assert sorted(written) == sorted(out.iterdir())
    svg = (out / "kws01-power.svg").read_text()
    assert "kws01, power, EMULATED on mps2_an386" in svg
    picture = Image.open(io.BytesIO((out / "kws01-power.png").read_bytes())).convert("RGB")
    assert picture.width > 1000
    assert picture.getpixel((picture.width - 2, 2)) == (255, 255, 255)
    assert len(picture.getcolors(1 << 24) or []) > 10
    again = [path.read_bytes() for path in sorted(out.iterdir())]
    pictures.write(out)
    assert [path.read_bytes() for path in sorted(out.iterdir())] == again


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="--figures"):
        Pictures().write(tmp_path / "file" / "figures")


def test_long_names_are_cut_and_foreign_letters_replaced() -> None:
    assert figures.ascii_name("synthetic_normal_00.bin", 16) == "synthet.._00.bin"
    assert figures.ascii_name("a" * 50 + "b" * 50) == "a" * 13 + ".." + "b" * 13
    assert figures.ascii_name("日\x00a") == "??a"
