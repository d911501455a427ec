# SPDX-License-Identifier: Apache-2.0
"""The console blocks of a guide, and what the comments before them ask. The convention is in test_journeys.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

WORDS = ("skip", "replace", "run", "exit", "expect", "like", "background", "checkout", "file")
ALONE = ("like", "checkout")
"""Words without a value."""

_OPEN, _CLOSE = "<!-- test:", "-->"
_FENCE = re.compile(r"(\s*)(`{3,}|~{3,})\s*([\w-]*).*")
_SHELLS = ("sh", "bash", "shell", "shell-session", "zsh")
_NUMBER = re.compile(r"(?P<hash>\b[0-9a-f]{8,}\b)|\d[\d,.]*")


class PageError(Exception):
    """A page that breaks the convention, or whose commands do not do what it says."""


@dataclass(frozen=True)
class Command:
    """One command of a block: its line in the page, what is typed, and the example lines below it."""

    line: int
    text: str
    output: tuple[str, ...] = ()


@dataclass
class Asked:
    """What comments say of the block behind them. skip: the reason. replace: pairs, in order."""

    line: int = 0
    skip: str | None = None
    replace: list[tuple[str, str]] = field(default_factory=list)
    run: list[str] = field(default_factory=list)
    exit: int = 0
    expect: list[str] = field(default_factory=list)
    like: bool = False
    background: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class Block:
    """A console block, or the text of the file that the comment before it names. line: of its fence."""

    line: int
    commands: tuple[Command, ...]
    asked: Asked
    text: str = ""


@dataclass
class Page:
    """The console blocks of a page. checkout: they need a copy of the checkout that they may change."""

    path: Path
    blocks: list[Block] = field(default_factory=list)
    checkout: bool = False


class _Reader:
    """Goes through a page once. Errors name the line."""

    def __init__(self, path: Path) -> None:
        self.page = Page(path)
        self._lines = path.read_text(encoding="utf-8").split("\n")
        self._at = 0
        self._asked: Asked | None = None

    def error(self, line: int, text: str) -> PageError:
        return PageError(f"{self.page.path.name}:{line}: {text}")

    def read(self) -> Page:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.lstrip().startswith(_OPEN):
                self._comment()
            elif match := _FENCE.fullmatch(line):
                self._fence(len(match[1]), match[2], match[3])
            else:
                if line.strip():
                    self._nothing_is_asked()
                self._at += 1
        self._nothing_is_asked()
        return self.page

    def _nothing_is_asked(self) -> None:
        if self._asked is not None:
            raise self.error(self._asked.line, "a comment for the test stands right before a ```console block")

    def _until(self, wanted: str, what: str) -> list[str]:
        """The lines up to the one that ends with `wanted`, it included; the next line to read is behind it."""
        first = self._at
        for number in range(first, len(self._lines)):
            if self._lines[number].rstrip().endswith(wanted):
                self._at = number + 1
                return self._lines[first : self._at]
        raise self.error(first, f"{what} is not closed")

    def _comment(self) -> None:
        first = self._at + 1
        text = "\n".join(self._until(_CLOSE, "this comment")).strip()
        for number, line in enumerate(text[len(_OPEN) : -len(_CLOSE)].split("\n"), first):
            if line.strip():
                self._ask(number, line.strip())

    def _ask(self, line: int, text: str) -> None:
        word, _, value = (part.strip() for part in text.partition(":"))
        if word not in WORDS or bool(value) == (word in ALONE):
            raise self.error(line, f"{text!r}: a comment says `WORD: VALUE`, or `like`; WORD of {', '.join(WORDS)}")
        if word == "checkout":
            self.page.checkout = True
            return
        asked = self._asked = self._asked or Asked(line)
        if word == "replace":
            old, arrow, new = value.partition("->")
            if not arrow or not old.strip():
                raise self.error(line, f"{text!r}: write `replace: OLD -> NEW`")
            asked.replace.append((old.strip(), new.strip()))
        elif word == "like":
            asked.like = True
        elif word == "exit":
            asked.exit = int(value)
        elif word in ("run", "expect"):
            getattr(asked, word).append(value)
        else:
            setattr(asked, word, value)

    def _fence(self, indent: int, fence: str, language: str) -> None:
        first, self._at = self._at + 1, self._at + 1
        lines = [line[indent:] for line in self._until(fence, "the fence before this line")[:-1]]
        if language == "console" and (self._asked is None or self._asked.file is None):
            self.page.blocks.append(Block(first, tuple(self._commands(first + 1, lines)), self._asked or Asked()))
            self._asked = None
            return
        if self._asked is not None and self._asked.file is not None:
            text = "\n".join([*lines, ""])
            self.page.blocks.append(Block(first, (), self._asked, text))
            self._asked = None
            return
        self._nothing_is_asked()
        if language in _SHELLS or (language in ("", "text") and any(line.startswith("$ ") for line in lines)):
            raise self.error(first, "commands stand in ```console blocks, which a test runs")

    def _commands(self, first: int, lines: list[str]) -> Iterator[Command]:
        found: list[tuple[int, list[str], list[str]]] = []
        for number, line in enumerate(lines, first):
            if line.startswith("$ "):
                found.append((number, [line[2:]], []))
            elif not found:
                raise self.error(number, "a console block begins with a line `$ COMMAND`")
            elif line.startswith("> ") and not found[-1][2]:
                found[-1][1].append(line[2:])
            else:
                found[-1][2].append(line)
        if not found:
            raise self.error(first, "a console block without a command")
        for number, typed, printed in found:
            yield Command(number, "\n".join(typed), tuple(printed))


def read_page(path: Path) -> Page:
    """Raises PageError, with the line, for what the convention does not know."""
    return _Reader(path).read()


def pattern_of(example: str) -> re.Pattern[str]:
    """An example line as what a real one has to look like: any number for a number, any space for a space."""
    return re.compile(".*".join(r"\s+".join(map(_loose, piece.split())) for piece in example.split("...")))


def _loose(word: str) -> str:
    text, at = "", 0
    for match in _NUMBER.finditer(word):
        text += re.escape(word[at : match.start()]) + ("[0-9a-f]+" if match["hash"] else r"\d[\d,.]*")
        at = match.end()
    return text + re.escape(word[at:])


def missing(command: Command, printed: str) -> list[str]:
    """The example lines that nothing printed looks like."""
    lines = [" ".join(line.split()) for line in printed.split("\n")]
    wanted = [line for line in command.output if line.strip() not in ("", "...")]
    return [line for line in wanted if not any(pattern_of(line).search(one) for one in lines)]
