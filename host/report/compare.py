# SPDX-License-Identifier: Apache-2.0
"""A comparison as text on a terminal, and as Markdown for a pull request.

Markdown: whatever comes from a file is escaped so that GitHub neither formats it nor makes a link or a mention of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from rich.console import Console

from energy.uncertainty import rounded
from host.report.table import heading, is_synthetic
from host.report.terminal import listing, printable, say, show
from host.results.compare import Comparison, GateRecord, RowRecord
from host.results.schema import Result

NONE = "-"
_COLUMNS = ("task", "quantity", "A", "B", "change", "95 % interval", "verdict")
_NUMBERS = ("A", "B", "change", "95 % interval")
_METRICS = {"top1": "top-1", "auc": "AUC"}
_UNITS = {"latency": "ms", "energy": "uJ", "instructions": "", "arena": "bytes", "size": "bytes, without models"}
_LONGEST = 300  # characters of a text in Markdown
_MOST_PLACES = 7
# A dot or a colon between digits, a colon before a space, an underscore in a word: no link, no emoji, no emphasis.
_HARMLESS = re.compile(
    r"(?:(?<=[0-9])&#(?=46;[0-9]|58;[0-9])|&#(?=58; )|(?<=[A-Za-z0-9])&#(?=95;[A-Za-z0-9]))([0-9]+);"
)
_INTERVAL = (
    "interval: where the change lies with 95 % confidence, by these runs alone; a change is B / A - 1, of an accuracy "
    "B - A in points"
)
_SPECIMEN = (
    "a result does not tell which specimen of a board it is from: another one may differ by more than these intervals"
)
Results = tuple[Result, Result]


def print_comparison(comparison: Comparison, results: Results, console: Console) -> None:
    """Print what is compared, what else differs, the table, what it rests on, and the gates."""
    say(console, *_sides(comparison, results))
    say(console, *_differing(comparison))
    change = "change\n(95 % interval)"
    table = listing("task", "quantity", "A", "B", change, "verdict", numbers=("A", "B", change))
    for row in comparison.rows:
        table.add_row(*_narrow(*_cells(comparison, row)))
    show(console, table)
    say(console, *_notes(comparison))
    say(console, *gate_lines(comparison.gates))


def markdown(comparison: Comparison, results: Results) -> str:
    """The same for GitHub, ending in a line feed."""
    lines = [f"### B against A, {_word(comparison)}", ""]
    lines += [f"- {_escaped(line)}" for line in _sides(comparison, results)]
    lines += [f"- {_escaped(line)}" for line in _differing(comparison)]
    lines += [
        "",
        f"| {' | '.join(_COLUMNS)} |",
        f"|{'|'.join('--:' if one in _NUMBERS else '---' for one in _COLUMNS)}|",
    ]
    lines += [f"| {' | '.join(map(_escaped, _cells(comparison, row)))} |" for row in comparison.rows]
    if comparison.gates:
        lines += ["", *(f"- {_escaped(line)}" for line in gate_lines(comparison.gates))]
    lines += ["", "<details><summary>how sure that is</summary>", ""]
    lines += [f"- {_escaped(line)}" for line in _notes(comparison)]
    return "\n".join([*lines, "", "</details>"]) + "\n"


def gate_lines(gates: list[GateRecord], *, passed: bool = True) -> Iterator[str]:
    """What became of each gate, a line each; with more where it did not pass. passed: tell those that passed, too."""
    for gate in gates:
        if gate.outcome == "passes":
            if passed:
                yield f"gate {gate.gate}: passed, {len(gate.rows)} within the limit"
            continue
        for row in gate.rows:
            if row.outcome != "passes":
                word = "FAILED" if row.outcome == "fails" else "WARNING, cannot tell"
                where = row.where if row.mode is None else f"{row.where} ({row.mode})"
                change = _change(gate.quantity, row.change, row.low, row.high)
                yield f"gate {gate.gate}: {word}: {where}{'' if change == NONE else f', {change}'}: {row.why}"


def _word(comparison: Comparison) -> str:
    return comparison.provenance if comparison.provenance == "measured" else comparison.provenance.upper()


def _sides(comparison: Comparison, results: Results) -> Iterator[str]:
    for name, info, result in zip("AB", (comparison.a, comparison.b), results, strict=True):
        yield f"{name}: {info.path}, {heading(result)}, {info.created}"
    for name, result in zip("AB", results, strict=True):
        made = ", ".join(dict.fromkeys(run.task for run in result.runs if is_synthetic(run)))
        if made:
            yield f"{name}: SYNTHETIC inputs of {made}"


def _differing(comparison: Comparison) -> list[str]:
    return [f"differs: {line}" for line in comparison.differences] or ["nothing else is known to differ"]


def _notes(comparison: Comparison) -> Iterator[str]:
    yield _INTERVAL
    if comparison.provenance == "measured":
        yield _SPECIMEN
    yield from dict.fromkeys(f"{row.where}, {row.mode}: {line}" for row in comparison.rows for line in row.invalid)
    told: dict[tuple[str, str], list[str]] = {}
    for row in comparison.rows:
        if row.how and row.how != "counted":
            told.setdefault((row.quantity, row.how), []).append(row.where)
    yield from (f"{quantity} ({', '.join(dict.fromkeys(where))}): {how}" for (quantity, how), where in told.items())


def _cells(comparison: Comparison, row: RowRecord) -> tuple[str, ...]:
    there = row.low is not None and row.high is not None
    return (
        row.where,
        _quantity(comparison, row),
        _figure(row, row.a, row.u_a) if row.verdict != "only in B" else NONE,
        _figure(row, row.b, row.u_b) if row.verdict != "only in A" else NONE,
        _value(row.quantity, row.change, row.low, row.high),
        _limits(row.quantity, row.change, row.low, row.high) if there else NONE,
        _verdict(row),
    )


def _narrow(
    where: str, quantity: str, a: str, b: str, change: str, interval: str, verdict: str
) -> tuple[str, str, str, str, str, str]:
    """For a terminal of 80 columns: cells of several lines, which are one where no terminal is."""
    a, b = (figure.replace(" +- ", "\n+- ") for figure in (a, b))
    if interval != NONE:
        change += f"\n({interval})".replace(" to ", " to\n")
    return where, quantity.replace(", ", ",\n"), a, b, change, verdict


def _quantity(comparison: Comparison, row: RowRecord) -> str:
    if row.quantity == "accuracy":
        return f"accuracy, {_METRICS.get(row.unit_of, row.unit_of)}"
    unit = _UNITS[row.quantity]
    if comparison.provenance != "measured" and row.quantity in ("latency", "energy"):
        unit = f"{comparison.provenance} {unit}"
    if row.net:
        unit += ", net of idle"
    return f"{row.quantity}, {unit}" if unit else row.quantity


def _figure(row: RowRecord, value: float | None, u: float | None) -> str:
    if value is None:
        return "not known"
    if row.quantity == "latency":
        return f"{value / 1e3:.5g}" if value < 1e8 else f"{value / 1e3:,.0f}"
    if row.quantity == "energy":
        return rounded(value, u)
    if row.quantity == "accuracy":
        return f"{value:.2%}" if row.unit_of == "top1" else f"{value:.4f}"
    return f"{value:,.0f}"


def _verdict(row: RowRecord) -> str:
    if row.invalid:
        sides = " and ".join(line.partition(" ")[0] for line in row.invalid)
        return f"{row.verdict}: {sides} INVALID"
    if row.verdict not in ("smaller", "larger"):
        return row.verdict
    amount = abs(row.change or 0.0)
    places = min(_places(amount, row.low, row.high), _places(amount, None, None))  # the exact figure is beside it
    number = _stripped(f"{amount * 100:.{places}f}", row.low, row.high)
    unit = "points" if row.quantity == "accuracy" else "%"
    return f"{row.verdict} by {number} {unit} ({'better' if row.better else 'worse'})"


def _change(quantity: str, value: float | None, low: float | None, high: float | None) -> str:
    text = _value(quantity, value, low, high)
    return text if low is None or high is None or low == high else f"{text} ({_limits(quantity, value, low, high)})"


def _value(quantity: str, value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return NONE
    number = _stripped(_signed(value, _places(value, low, high)), low, high)
    return f"{number} {'points' if quantity == 'accuracy' else '%'}"


def _stripped(number: str, low: float | None, high: float | None) -> str:
    """A count's, without zeros that say nothing."""
    return number.rstrip("0").rstrip(".") if low is not None and low == high and "." in number else number


def _limits(quantity: str, value: float | None, low: float | None, high: float | None) -> str:
    if low is None or high is None or value is None:
        return NONE
    if low == high:
        return "no scatter" if quantity == "energy" else "exact"  # no energy is exact
    places = _places(value, low, high)
    return f"{_signed(low, places)} to {_signed(high, places)}"


def _signed(value: float, places: int) -> str:
    """In percent or points."""
    text = f"{round(value * 100, 9):+.{places}f}"  # 0.94 - 0.925 is a little less than 1.5 points in binary
    return text if float(text) else text[1:]


def _places(value: float, low: float | None, high: float | None) -> int:
    """Decimals of a percentage: two digits of what is not known, four of a count, three where nobody knows."""
    if low is None or high is None:
        digits, size = 3, abs(value)
    elif low == high:
        digits, size = 4, abs(value)
    else:
        digits, size = 2, max(high - value, value - low)
    if not 0 < size < math.inf:
        return 0 if size == 0 else 2
    return min(max(digits - 1 - math.floor(math.log10(size * 100)), 0), _MOST_PLACES)


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line. What could mean something there is an entity."""
    text = printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...").replace("\n", "\\n")
    return _HARMLESS.sub(lambda found: chr(int(found[1])), "".join(map(_entity, text)))


def _entity(char: str) -> str:
    if char in "@#":  # mentions and references are looked for after entities are resolved: the comment parts the two
        return f"&#{ord(char)};<!-- -->"
    return char if char.isalnum() or char in " ,;()%+/-" or not char.isascii() else f"&#{ord(char)};"
