# SPDX-License-Identifier: Apache-2.0
"""What mkdocs asks while it builds the guides: the pages of `reference/`, made from the code and never kept."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def pages() -> dict[str, str]:
    """Markdown by path under docs/."""
    return {
        "reference/commands.md": "# Commands\n",
        "reference/result.md": "# Result record\n",
        "reference/protocol.md": "# Protocol\n",
        "reference/boards.md": "# Boards\n",
        "reference/monitors.md": "# Power monitors\n",
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them to what is in docs/."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files
