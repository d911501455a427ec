# SPDX-License-Identifier: Apache-2.0
"""All figures of a page: as elements of it, and again as files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from host.report.page.figures import ascii_name
from host.report.page.svg import Draw, make_folder, svg_inline, write_figure
from host.report.page.view import Figure, shown

_TITLE = 110
_STEM = 60


@dataclass(slots=True)
class Pictures:
    """What was drawn, in order: files are called as what they show."""

    _files: dict[str, tuple[str, Draw]] = field(default_factory=dict)

    def add(self, name: str, title: str, where: str, text: str, draw: Draw) -> Figure:
        """A figure for the page. where: the provenance, which a file says above the figure."""
        stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:_STEM] or "figure"
        file, count = stem, 1
        while file in self._files:
            count += 1
            file = f"{stem}-{count}"
        self._files[file] = (ascii_name(f"{title}, {where}", _TITLE), draw)
        title, text = shown(title), shown(text)
        return Figure(name, title, text, partial(svg_inline, draw, name, title, text))

    def write(self, folder: Path) -> list[Path]:
        """All of them as PNG and SVG. Raises HostError."""
        make_folder(folder)
        return [path for name, (title, draw) in self._files.items() for path in write_figure(draw, name, title, folder)]
