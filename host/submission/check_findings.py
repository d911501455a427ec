# SPDX-License-Identifier: Apache-2.0
"""What the check of a package finds: breaches of its rules, each with a way to mend it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

MAX_PER_PLACE: Final = 20
"""Breaches that are kept of one path; the others are counted."""
MAX_BREACHES: Final = 500
MAX_TEXT: Final = 300
"""Characters of a name or a value out of the package that a message repeats."""

_PACK: Final = "make the package again with `host package`"

# Every rule by its name, with what to do about a breach of it.
RULES: Final[dict[str, str]] = {
    # What lies where.
    "unknown": "remove it: a package holds nothing but what the layout has a place for",
    "missing": "add it; `host package` writes it",
    "name": "rename it: letters, digits and . _ + - only, the first one a letter or digit",
    "symlink": "put the file itself in its place",
    "special": "remove it: a package holds files and folders",
    "unreadable": "make it readable, or copy the package again",
    "size": "remove it or make it smaller",
    "empty": "remove it",
    "cache": "remove it, or give the folder another name",
    "crowd": "remove what is no part of a submission",
    "required": "measure it too, and make the package of all folders; or leave the benchmark out",
    # The description of the system.
    "system-json": "write one JSON object of strings",
    "system-fields": "have the keys of the published systems, and fill in those that may not be empty",
    "system-status": "write Available, Preview or RDI",
    "system-owner": "make Submitter, Division and the folders they lie in say the same",
    # The code.
    "code-sums": "restore the files, or " + _PACK,
    "code-readme": "add a README.md that says how to build and flash it",
    "model": "put in the very model that was measured",
    "model-official": "measure the official model (`host models` says where to get it), or submit to the open division",
    # Our record, results.json.
    "record": "restore results.json, or " + _PACK,
    "provenance": "measure on a board: what was emulated or replayed is not submitted",
    "place": "put the results where they belong, or " + _PACK,
    "hash": "restore the file that was measured, or " + _PACK,
    "rules": "measure with `host bench --rules mlperf` until the run is valid",
    "same-firmware": "measure every benchmark of a system with one firmware on one kind of board",
    # The log, and what follows from it.
    "log-form": "restore log.txt, or " + _PACK,
    "log-head": "restore log.txt, or " + _PACK,
    "log-record": "restore log.txt, or " + _PACK,
    "log-device": "restore log.txt: the figures have to be among what the device said",
    "log-results": "restore results.json and log.txt: both have to come from the same run",
    "results": "restore results.txt: it holds the lines of log.txt's record",
    "published": "restore results.txt: MLCommons' checker has to find the figure, once",
    "digits": "restore the figure: it is written as host/submission/layout.py says",
    # The rules of MLPerf Tiny.
    "windows": "measure five windows (`host bench --rules mlperf`, without --inputs)",
    "window-time": "measure it again: a window takes 10 s at least",
    "window-inferences": "measure it again: a window has 10 inferences at least",
    "window-inputs": "measure every window on another input",
    "clocks": "check the board's clock and the power monitor, and measure again",
    "official-set": "run the whole official set (`host data fetch`), every input once, in its order",
    "outputs": "restore the inputs' lines in log.txt, or measure again",
    "target": "a closed submission reaches the official target: check the port with `host verify`",
    "median": "restore the figure, or " + _PACK,
}


@dataclass(frozen=True, slots=True)
class Breach:
    """One rule that a package breaks. path: from its root, control characters escaped. rule: a name of RULES."""

    path: str
    rule: str
    what: str

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return RULES[self.rule]

    def __str__(self) -> str:
        """The breach as a line."""
        return f"{self.path}: {self.what}: {self.remedy}"


def shown(text: object) -> str:
    """Something out of the package as a message may repeat it: short, on one line, nothing but what one can see."""
    visible = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode()
        for char in str(text)[: MAX_TEXT + 1]
    )
    return visible if len(visible) <= MAX_TEXT else f"{visible[:MAX_TEXT]}..."


@dataclass(slots=True)
class Findings:
    """Breaches as they are found. left_out: how many were too many to keep."""

    breaches: list[Breach] = field(default_factory=list)
    left_out: int = 0
    _places: Counter[str] = field(default_factory=Counter)

    def add(self, path: str, rule: str, what: str) -> None:
        """Note a breach; `rule` is a name of RULES."""
        assert rule in RULES, rule  # noqa: S101
        place = shown(path)
        self._places[place] += 1
        if len(self.breaches) >= MAX_BREACHES or self._places[place] > MAX_PER_PLACE:
            self.left_out += 1
            return
        self.breaches.append(Breach(place, rule, shown(what)))

    def spoilt(self, path: str) -> bool:
        """Whether something was found at this path."""
        return shown(path) in self._places
