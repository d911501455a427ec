# SPDX-License-Identifier: Apache-2.0
"""A matplotlib figure as an SVG element of a page, or as files.

On the page it takes the colour of the text around it, has no style of its own (a strict Content-Security-Policy refuses
style attributes), no id that another figure has too, and is the same bytes for the same data.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

from markupsafe import Markup

from host.errors import HostError
from host.results import record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[], "Figure"]

_INK: Final = "#010203"  # a colour that nothing else has
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d+")
_URL = re.compile(r"url\(#([^)]+)\)")
PNG_DPI = 160
_HEAD_IN = 0.3


def svg_inline(draw: Draw, name: str, title: str, text: str) -> Markup:
    """The figure as an element, which says to those who cannot see it what it shows. name: unique on the page."""
    with _style(_INK, name, transparent=True):
        out = io.BytesIO()
        draw().savefig(out, format="svg", transparent=True, metadata=_NO_METADATA)
    # It was written by matplotlib just now.
    root = ElementTree.fromstring(out.getvalue())  # noqa: S314
    _strip(root)
    for element in root.iter():
        _restyle(element)
    _rename(root, name)
    for key in ("width", "height"):  # the page says how large it is; its proportions are in viewBox
        root.attrib.pop(key, None)
    root.attrib.update({"role": "img", "aria-labelledby": f"{name}-title {name}-text", "font-family": "inherit"})
    root.attrib.update({"stroke-linejoin": "round", "stroke-linecap": "butt"})
    for place, (tag, what) in enumerate((("title", title), ("desc", text))):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", id=f"{name}-{'text' if place else 'title'}")
        element.text = what
        root.insert(place, element)
    return Markup(_text(root))  # noqa: S704  # every text in it was escaped by ElementTree


_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


@contextmanager
def _style(ink: str, salt: str, *, transparent: bool) -> Iterator[None]:
    import matplotlib as mpl  # noqa: PLC0415  # half a second

    settings: dict[Any, Any] = dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink
    )
    settings |= {"svg.fonttype": "none", "svg.hashsalt": salt, "text.parse_math": False, "font.size": 9.0}
    settings |= {"axes.facecolor": "none" if transparent else "white", "axes.linewidth": 0.8}
    with mpl.rc_context(settings):
        yield


def _strip(root: ElementTree.Element) -> None:
    """Without metadata and style sheets."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)


def _restyle(element: ElementTree.Element) -> None:
    """Style attributes as presentation attributes; coordinates to a hundredth of a point."""
    for declaration in element.attrib.pop("style", "").split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key == "font":
            size = re.search(r"([\d.]+)px", value)
            element.set("font-size", size[1] if size else "9")
        elif key == "font-size":
            element.set(key, value.removesuffix("px"))
        elif key and key != "font-family":  # that of the page
            element.set(key, value)
    for key, value in list(element.attrib.items()):
        if value == _INK:
            element.set(key, "currentColor")
        elif key in ("d", "x", "y", "transform", "x1", "x2", "y1", "y2", "width", "height"):
            element.set(key, _NUMBER.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value))
    if element.attrib.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    if "d" in element.attrib:
        element.set("d", " ".join(element.attrib["d"].split()))


def _rename(root: ElementTree.Element, name: str) -> None:
    """Ids that belong to this figure alone, and only those that something refers to."""
    used = set()
    for element in root.iter():
        link = element.attrib.pop(_XLINK, None)
        if link is not None:
            used.add(link.removeprefix("#"))
            element.set("href", f"#{name}-{link.removeprefix('#')}")
        for key, value in element.attrib.items():
            used.update(_URL.findall(value))
            element.attrib[key] = _URL.sub(lambda match: f"url(#{name}-{match[1]})", value)
    for element in root.iter():
        own = element.attrib.pop("id", None)
        if own in used:
            element.set("id", f"{name}-{own}")


def _text(root: ElementTree.Element) -> str:
    ElementTree.register_namespace("", _SVG)
    for element in root.iter():
        element.tail = None
        if element.tag.rpartition("}")[2] not in ("text", "tspan", "title", "desc"):
            element.text = None
    return ElementTree.tostring(root, encoding="unicode")


def write_figure(draw: Draw, name: str, title: str, folder: Path) -> list[Path]:
    """The figure as name.png and name.svg, on white, its title above it: in a file nothing else says where its numbers
    are from. name: made of letters, digits, "-" and "_". Raises HostError."""
    paths = []
    for kind in ("png", "svg"):
        out = io.BytesIO()
        with _style("black", name, transparent=False):
            figure = draw()
            _head(figure, title)
            metadata = {"Title": title, **({"Date": None} if kind == "svg" else {"Software": None})}
            figure.savefig(out, format=kind, dpi=PNG_DPI, facecolor="white", metadata=metadata)
        path = folder / f"{name}.{kind}"
        record.write_file(path, out.getvalue(), "--figures")
        paths.append(path)
    return paths


def _head(figure: Figure, title: str) -> None:
    """Room above the figure, and its title there."""
    width_in, height_in = figure.get_size_inches()
    taller_in = height_in + _HEAD_IN
    pars = figure.subplotpars
    figure.set_size_inches(width_in, taller_in)
    figure.subplots_adjust(top=pars.top * height_in / taller_in, bottom=pars.bottom * height_in / taller_in)
    figure.text(0.1 / width_in, 1 - 0.08 / taller_in, title, ha="left", va="top", fontsize=10)


def make_folder(folder: Path) -> None:
    """Raises HostError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"cannot make the folder {folder}: {error}. Choose another with --figures.") from error
