# SPDX-License-Identifier: Apache-2.0
"""What mkdocs asks while it builds the guides: the pages of `reference/`, made from the code and never kept."""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from energy.instruments import NAMES, module_of
from host.boards import Board, find_boards
from host.cli import build_parser
from host.results.reference import escaped, result_page
from host.wire.reference import protocol_page

PROJECT = Path(__file__).resolve().parent.parent


def pages() -> dict[str, str]:
    """Markdown by path under docs/."""
    return {
        "reference/commands.md": commands_page(),
        "reference/result.md": result_page(),
        "reference/protocol.md": protocol_page(),
        "reference/boards.md": boards_page(),
        "reference/monitors.md": monitors_page(),
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them to what is in docs/."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_post_build(config: MkDocsConfig) -> None:
    """The index of the search as a script too: a page that was opened from a folder may load no JSON."""
    folder = Path(config.site_dir) / "search"
    index = (folder / "search_index.json").read_text(encoding="utf-8")
    (folder / "search_index.js").write_text(f"var __index = {index}", encoding="utf-8")


# ---- commands, from the parser ----


def commands_page() -> str:
    """Every subcommand with its arguments."""
    parser = build_parser()
    parts = [
        "# Commands\n",
        "`host` lives in `.venv/bin` of the checkout. Where a DNS tool of that name is in the way, `tinyjoule` and\n"
        "`python -m host` are the same command. This page is made from the parser, as `host COMMAND --help` is.\n",
        "An exit code of 0 means done; 1 that something failed or a run is not valid; 2 that the request makes no\n"
        "sense; 130 that it was interrupted.\n",
        "| command | what it does |\n|---|---|",
    ]
    found = list(_subcommands(parser, "host"))
    parts += [f"| [`{name}`](#{name.replace(' ', '-')}) | {escaped(summary)} |" for name, summary, _, depth in found]
    for name, summary, one, depth in found:
        parts += ["", f"{'#' * (depth + 1)} {name} {{#{name.replace(' ', '-')}}}", "", f"{_sentence(summary)}\n"]
        parts += ["```text", _usage(one), "```", "", *_arguments(one)]
    return "\n".join(parts) + "\n"


def _subcommands(
    parser: argparse.ArgumentParser, name: str, depth: int = 1
) -> Iterator[tuple[str, str, argparse.ArgumentParser, int]]:
    """Name, summary, parser and depth of every command below `parser`, in order."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = {one.dest: one.help or "" for one in action._choices_actions}
            for word, one in action.choices.items():
                yield f"{name} {word}", _filled(summaries.get(word, "")), one, depth
                yield from _subcommands(one, f"{name} {word}", depth + 1)


def _filled(text: str) -> str:
    return text.replace("%%", "%")


def _sentence(text: str) -> str:
    return f"{escaped(text[:1].upper() + text[1:])}."


def _usage(parser: argparse.ArgumentParser) -> str:
    """On lines of 100 columns, whatever the terminal is."""
    old = parser.formatter_class
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=100)
    try:
        return parser.format_usage().removeprefix("usage: ").strip()
    finally:
        parser.formatter_class = old


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction) or action.help == argparse.SUPPRESS:
            continue
        # The formatter's own spelling of the value, as in --help.
        formatter = argparse.HelpFormatter("")
        rows.append(f"| `{formatter._format_action_invocation(action)}` | {escaped(_filled(action.help or ''))} |")
    return ["| argument | what it is |\n|---|---|", *rows, ""] if rows else []


# ---- boards, from their folders ----


def boards_page() -> str:
    """Every board, with its README."""
    boards = find_boards().values()
    return "\n".join(
        [
            "# Boards\n",
            "A board is a folder in `firmware/boards`; this page is made from them. [I port to a new MCU](../port.md)\n"
            "tells how to add one. Numbers of an emulated board are counts of instructions, see\n"
            "[How emulation counts](../emulation.md).\n",
            "| board | core | clock | flash | RAM | arena | runs |\n|---|---|---|---|---|---|---|",
            *map(_board_row, boards),
            "",
            *map(_board_section, boards),
        ]
    )


def _board_row(board: Board) -> str:
    clock = f"{board.clock_hz / 1e6:g} MHz" if board.clock_hz else ""
    where = {
        "qemu": f"EMULATED: QEMU `{board.qemu_machine}`",
        "native": "a process of this machine",
        None: "on silicon",
    }
    memories = " | ".join(f"{size // 1024:,} KiB" for size in (board.flash_bytes, board.ram_bytes, board.arena_bytes))
    return f"| [`{board.name}`](#{board.name}) | {board.core} | {clock} | {memories} | {where[board.emulator]} |"


def _board_section(board: Board) -> str:
    readme = (board.folder / "README.md").read_text(encoding="utf-8")
    _, _, text = readme.partition("\n")
    return f"## {board.name} {{#{board.name}}}\n\n{_nested(text.strip())}\n"


def _nested(text: str) -> str:
    """A README inside a page: its headings one level down; links into the checkout as code."""
    text = re.sub(r"^(#+) ", r"#\1 ", text, flags=re.MULTILINE)
    return re.sub(r"\[([^\]]+)\]\((?!https?:|#)[^)]*\)", r"`\1`", text)


# ---- power monitors, from their modules, their README and the table of accuracies ----


def monitors_page() -> str:
    """The README of the instruments, with a heading for each, what its module says, and its accuracy."""
    readme = (PROJECT / "energy" / "instruments" / "README.md").read_text(encoding="utf-8")
    _, _, text = readme.partition("\n")
    parts = ["# Power monitors\n", _nested(text.strip()), "", "## Each of them {#each}\n"]
    parts.append(
        "As the modules in `energy/instruments` say it. What `host monitors check` finds at yours is what counts.\n"
    )
    for name in NAMES:
        module = module_of(name)
        usb = ", ".join(f"`{vendor:04x}:{product:04x}`" for vendor, product in getattr(module, "USB_IDS", ()))
        parts.append(f"### {name} {{#{name}}}\n\n{_sentence(module.SUMMARY)}\n")
        parts.append(f"- Address: `{module.ADDRESS}`")
        parts.append(f"- Found at USB as {usb}\n" if usb else "")
    return "\n".join([*parts, _accuracies()])


def _engineering(value: float, unit: str) -> str:
    """With the prefix that leaves 1 to 999 before the point, e.g. 250 µA."""
    factor, prefix = next((one for one in ((1.0, ""), (1e-3, "m"), (1e-6, "µ")) if value >= one[0]), (1e-9, "n"))
    return f"{value / factor:g} {prefix}{unit}"


def _accuracies() -> str:
    """accuracy.toml as a table."""
    table = tomllib.loads((PROJECT / "energy" / "accuracy.toml").read_text(encoding="utf-8"))
    lines = [
        "## Accuracy {#accuracy}\n",
        "What an uncertainty U is made of: `energy/accuracy.toml`. A row without a source is not confirmed, and a\n"
        "real instrument of that model gets no U.\n",
        "| model | of | range | gain, % of reading | offset | source |\n|---|---|---|---|---|---|",
    ]
    for model, facts in table.items():
        for quantity, unit in (("current", "A"), ("voltage", "V")):
            for row in facts.get(quantity, []):
                offset = _engineering(row["offset"], unit) if "offset" in row else ""
                cells = (_engineering(row[f"range_{unit.lower()}"], unit), f"{row['gain_percent']:g}", offset)
                lines.append(f"| {model} | {quantity} | {' | '.join(cells)} | {escaped(row.get('source', 'none'))} |")
    return "\n".join(lines) + "\n"
