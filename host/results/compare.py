# SPDX-License-Identifier: Apache-2.0
"""The record `tinyjoule.compare/1` of `host compare`: what differs between two results, and how sure that is.

How a change and its limits are found is in change.py (windows) and scored.py (accuracy), what an instrument's errors do
in energy_change.py. Instructions, arena and size are counts: they have no uncertainty.

`same` is said where counts are equal, or where the limits lie within SAME (of an accuracy, SAME_POINTS) around no
change, `smaller` or `larger` where they exclude no change. All else is `cannot tell`, and so is whatever a run gave
that is not valid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from host.errors import ResultInvalid, UsageError
from host.results import scored
from host.results.change import LEVEL, Change, Sample, exact, of_windows, ratio
from host.results.differences import differences, same_inputs
from host.results.energy_change import clock_u, energy_change, figure, is_net
from host.results.gate import Gate, Outcome, Quantity
from host.results.schema import BoardInfo, Count, FirmwareInfo, Mode, Provenance, Result, Run, _Record

SCHEMA: Final = "tinyjoule.compare/1"
SAME: Final = 0.001
"""A part of A: nobody acts upon less."""
SAME_POINTS: Final = 0.005
"""Of an accuracy, a fraction: half a point."""
_TICKS_US: Final = (1, 10, 100, 1000, 10_000)
_LARGEST = 1 << 63  # no count that a session makes comes near

_WORST_FIRST: Final[tuple[Outcome, ...]] = ("fails", "cannot tell", "passes")

Verdict = Literal["same", "smaller", "larger", "cannot tell", "only in A", "only in B"]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two. name: as a person typed it. folder: where its outputs are; None: nowhere."""

    name: str
    folder: Path | None
    result: Result


class SideInfo(_Record, frozen=True):
    """Of which result a side is."""

    path: str
    created: str
    board: BoardInfo
    firmware: FirmwareInfo


class RowRecord(_Record, frozen=True):
    """One quantity of a task in a mode. task, mode: null for the program's size. unit: the board's place in `units`,
    null where a side has one only, or the run was spread over all. unit_of: of a and b, the figures that result.json
    has, with their u (energy only); of an accuracy, a fraction, its metric. net: whether energies are net of idle, and
    null for all else; where only one side's is, its gross is held against the other's.

    change: B / A - 1, of an accuracy B - A; low, high: where it lies with 95 % confidence; null where nobody knows.
    better: whether that is to the good; null where there is no verdict of smaller or larger. how: what it rests on.
    invalid: which of the runs are not valid, and why.
    """

    task: str | None
    mode: Mode | None
    unit: Count | None
    quantity: Quantity
    unit_of: str
    a: float | None
    b: float | None
    u_a: float | None
    u_b: float | None
    net: bool | None
    change: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    better: bool | None
    how: str
    invalid: list[str]

    @property
    def where(self) -> str:
        """Which run of a result it is of, in words."""
        if self.task is None:
            return "program"
        return self.task if self.unit is None else f"{self.task}, board {self.unit + 1}"


class GateRow(_Record, frozen=True):
    """What became of a gate on one row."""

    where: str
    mode: Mode | None
    change: float | None
    low: float | None
    high: float | None
    outcome: Outcome
    why: str


class GateRecord(_Record, frozen=True):
    """A gate as a person types it. outcome: the worst of its rows."""

    gate: str
    quantity: Quantity
    outcome: Outcome
    rows: list[GateRow]


class Comparison(_Record, frozen=True):
    """differences: what else is not the same in A and B, a line each. level: of the limits. passed: no gate fails."""

    schema: Literal["tinyjoule.compare/1"]
    provenance: Provenance
    level: float
    a: SideInfo
    b: SideInfo
    differences: list[str]
    rows: list[RowRecord]
    gates: list[GateRecord]
    passed: bool


def encode(comparison: Comparison) -> bytes:
    """As indented JSON."""
    return msgspec.json.format(msgspec.json.encode(comparison), indent=2) + b"\n"


def compare(a: Side, b: Side, gates: Sequence[Gate] = ()) -> Comparison:
    """Hold B against A. Raises UsageError where numbers of the two must not stand beside each other, or nothing of them
    can, ResultInvalid for a record with numbers that no session makes."""
    for side in (a, b):
        _check_numbers(side.name, msgspec.to_builtins(side.result))
        _check_date(side)
    _check_comparable(a, b)
    rows = list(_rows(a, b))
    judged = [_judge(gate, rows) for gate in gates]
    return Comparison(
        schema=SCHEMA,
        provenance=a.result.provenance,
        level=LEVEL,
        a=_info(a),
        b=_info(b),
        differences=list(differences(a.result, b.result, [(one, other) for _, one, other in _matched(a, b)])),
        rows=rows,
        gates=judged,
        passed=all(gate.outcome != "fails" for gate in judged),
    )


def _info(side: Side) -> SideInfo:
    result = side.result
    return SideInfo(path=side.name, created=result.created, board=result.board, firmware=result.firmware)


def _check_numbers(name: str, plain: Any) -> None:
    todo = [plain]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            todo.extend(one.values())
        elif isinstance(one, list):
            todo.extend(one)
        elif isinstance(one, int) and one >= _LARGEST:
            raise ResultInvalid(f"{name}: one of its counts is over {_LARGEST}, as in no session. Was the file edited?")


def _check_date(side: Side) -> None:
    try:
        datetime.fromisoformat(side.result.created)
    except ValueError as error:
        raise ResultInvalid(f"{side.name}: it was created at {side.result.created}, which is no time.") from error


def _check_comparable(a: Side, b: Side) -> None:
    first, second = a.result, b.result
    if first.provenance != second.provenance:
        raise UsageError(
            f"{a.name} is {first.provenance} and {b.name} is {second.provenance}: numbers of the two are never held "
            f"against each other. Compare two {first.provenance} results, or two {second.provenance} ones."
        )
    if first.provenance == "emulated" and first.board.clock_hz != second.board.clock_hz:
        raise UsageError(
            f"{a.name} is emulated {_clock(first)} and {b.name} {_clock(second)}: a microsecond of one is not worth a "
            "microsecond of the other. Emulate both on boards with the same clock."
        )
    if not any(one is not None and other is not None for _, one, other in _matched(a, b)):
        raise UsageError(
            f"{a.name} and {b.name} have no task in the same mode: {_content(first)} against {_content(second)}. Make "
            "both with the same `host bench` command."
        )


def _clock(result: Result) -> str:
    clock_hz = result.board.clock_hz
    return f"at {clock_hz / 1e6:g} MHz" if clock_hz else "by this machine's own clock"


def _content(result: Result) -> str:
    return ", ".join(dict.fromkeys(f"{run.task} ({run.mode})" for run in result.runs)) or "no runs at all"


Key = tuple[str, Mode, int | None, int]
_Two = tuple[float | None, float | None]


def _matched(a: Side, b: Side) -> list[tuple[Key, Run | None, Run | None]]:
    """Runs of the same task in the same mode on the board in the same place, A's order first."""
    many = max(len(a.result.units), len(b.result.units)) > 1
    of_a, of_b = _by_key(a.result, many), _by_key(b.result, many)
    return [(key, of_a.get(key), of_b.get(key)) for key in dict.fromkeys((*of_a, *of_b))]


def _by_key(result: Result, many: bool) -> dict[Key, Run]:
    found: dict[Key, Run] = {}
    seen: Counter[tuple[str, Mode, int | None]] = Counter()
    for run in result.runs:
        place = (run.task, run.mode, run.unit if many else None)
        found[*place, seen[place]] = run
        seen[place] += 1
    return found


def _rows(a: Side, b: Side) -> Iterator[RowRecord]:
    for key, one, other in _matched(a, b):
        yield from _Pair(a, b, key, one, other).rows()
    size_a, size_b = (side.result.firmware.sizes for side in (a, b))
    if size_a is not None or size_b is not None:
        code_a, code_b = (None if sizes is None else float(sizes.code) for sizes in (size_a, size_b))
        found = None if code_a is None or code_b is None else exact(code_a, code_b, "counted")
        yield _row((None, None, None), "size", "bytes", (code_a, code_b), found, [])


@dataclass(frozen=True, slots=True)
class _Pair:
    """A run on both sides, or on one."""

    a: Side
    b: Side
    key: Key
    one: Run | None
    other: Run | None

    def rows(self) -> Iterator[RowRecord]:
        """Of every quantity that a side has."""
        for quantity, unit_of, of_run in _FIGURES:
            has = self._has(quantity)
            if not any(has):
                continue
            first, second = (None if run is None else of_run(run) for run in (self.one, self.other))
            figures: _Two = (first, second)
            u: _Two = (None, None)
            net: bool | None = None
            if quantity == "energy":
                figures, u, net = self._energies()
            found = self._change(quantity, figures) if all(has) else None
            unit = unit_of or self._metric()
            yield _row(self.key[:3], quantity, unit, figures, found, self._invalid(), has=has, u=u, net=net)

    def _has(self, quantity: Quantity) -> tuple[bool, bool]:
        """Whether the runs were made for it; an energy or an accuracy that came to nothing counts as there."""
        first, second = (run is not None and _made_for(run, quantity) for run in (self.one, self.other))
        return first, second

    def _energies(self) -> tuple[_Two, _Two, bool]:
        """What is compared, with U, and whether it is net."""
        net = is_net(self.one, self.other)
        (a, u_a), (b, u_b) = (figure(run, net=net) for run in (self.one, self.other))
        return (a, b), (u_a, u_b), net

    def _metric(self) -> str:
        return next(run.accuracy.metric for run in (self.one, self.other) if run and run.accuracy)

    def _invalid(self) -> list[str]:
        return [
            f"{name} INVALID: {'; '.join(run.reasons) or 'it does not say why'}"
            for name, run in (("A", self.one), ("B", self.other))
            if run is not None and not run.valid
        ]

    def _change(self, quantity: Quantity, figures: _Two) -> Change:
        a, b, one, other = self.a.result, self.b.result, self.one, self.other
        assert one is not None  # noqa: S101 - the caller has looked
        assert other is not None  # noqa: S101
        same = same_inputs(one, other)
        if quantity == "latency":
            u_shared, told = clock_u(a, b, one, other)
            times = (_times(side.result, run) for side, run in ((self.a, one), (self.b, other)))
            found = of_windows(*times, same_inputs=same, u_shared=u_shared)
            found = _told(found, told).of_figures(ratio(*figures))
            return found if a.board.clock_hz or a.provenance != "emulated" else replace(found, low=None, high=None)
        if quantity == "energy":
            return energy_change(one, other, same_inputs=same, days=_days_apart(a, b))
        if quantity == "accuracy":
            return _accuracy_change(self.a, self.b, one, other)
        if quantity == "instructions" and not (same and _windows_on_same(one, other)):
            counts = of_windows(_counts(one), _counts(other), same_inputs=False)
            found = _told(counts, "counted on other inputs")
            return found.of_figures(ratio(*figures))
        first, second = figures
        if first is None or second is None:
            return Change(None, None, None, "a side has no value")
        return exact(first, second, "counted")


_FIGURES: Final[tuple[tuple[Quantity, str, Any], ...]] = (
    ("latency", "us", lambda run: None if run.latency_us is None else run.latency_us.median),
    ("instructions", "instructions", lambda run: _float(run.instructions_per_inference)),
    ("energy", "uJ", lambda run: None if run.energy_uj is None else run.energy_uj.value),
    ("accuracy", "", lambda run: None if run.accuracy is None else run.accuracy.value),
    ("arena", "bytes", lambda run: _float(run.model.arena_bytes)),
)


def _float(count: int | None) -> float | None:
    return None if count is None else float(count)


def _made_for(run: Run, quantity: Quantity) -> bool:
    if quantity == "energy":
        return run.energy_uj is not None
    if quantity == "accuracy":
        return run.accuracy is not None
    return next(of_run(run) for name, _, of_run in _FIGURES if name == quantity) is not None


def _times(result: Result, run: Run) -> list[Sample]:
    """Both ends of a window are cut to whole ticks of the board's clock, which are microseconds in an emulator.
    Elsewhere nobody knows, but a clock of milliseconds gives itself away: all of its windows are whole ones."""
    tick_us = 1
    if result.provenance != "emulated" or result.board.clock_hz is None:
        tick_us = max(tick for tick in _TICKS_US if not any(one.duration_us % tick for one in run.windows))
    return [Sample(one.input, one.duration_us / one.inferences, tick_us / one.duration_us) for one in run.windows]


def _windows_on_same(one: Run, other: Run) -> bool:
    """Whether the windows are on inputs of the same names: fewer of the same set give another median."""
    first, second = (Counter(window.input for window in run.windows) for run in (one, other))
    return first == second


def _counts(run: Run) -> list[Sample]:
    return [Sample(one.input, float(one.instructions)) for one in run.windows if one.instructions is not None]


def _accuracy_change(a: Side, b: Side, one: Run, other: Run) -> Change:
    assert one.accuracy is not None  # noqa: S101 - the caller has looked
    assert other.accuracy is not None  # noqa: S101
    if not same_inputs(one, other):
        value = scored.change(one.accuracy, other.accuracy, (None, None)).value
        return Change(value, None, None, "measured on other inputs: the two are not about the same thing")
    tables = scored.read_outputs(a.folder, one.task), scored.read_outputs(b.folder, other.task)
    return scored.change(one.accuracy, other.accuracy, tables)


def _told(change: Change, more: str) -> Change:
    return replace(change, how=f"{change.how}; {more}") if more else change


def _days_apart(a: Result, b: Result) -> float:
    first, second = (datetime.fromisoformat(side.created) for side in (a, b))
    return abs((second - first).total_seconds()) / 86_400


def _row(
    place: tuple[str | None, Mode | None, int | None],
    quantity: Quantity,
    unit_of: str,
    figures: _Two,
    found: Change | None,
    invalid: list[str],
    *,
    has: tuple[bool, bool] | None = None,
    u: _Two = (None, None),
    net: bool | None = None,
) -> RowRecord:
    there = has or (figures[0] is not None, figures[1] is not None)
    if found is None:
        found = Change(None, None, None, "")
        verdict: Verdict = "only in A" if there[0] else "only in B"
    else:
        verdict = "cannot tell" if invalid else _verdict(quantity, found)
    better = None
    if verdict in ("smaller", "larger"):
        better = (verdict == "larger") == (quantity == "accuracy")
    return RowRecord(
        task=place[0], mode=place[1], unit=place[2], quantity=quantity, unit_of=unit_of, a=figures[0], b=figures[1],
        u_a=u[0], u_b=u[1], net=net, change=found.value, low=found.low, high=found.high, verdict=verdict,
        better=better, how=found.how, invalid=invalid,
    )  # fmt: skip


def _verdict(quantity: Quantity, change: Change) -> Verdict:
    if change.value is None or change.low is None or change.high is None:
        return "cannot tell"
    if change.excludes_none:
        return "larger" if change.low > 0 else "smaller"
    around = SAME_POINTS if quantity == "accuracy" else SAME
    return "same" if -around <= change.low and change.high <= around else "cannot tell"


def _judge(gate: Gate, rows: Sequence[RowRecord]) -> GateRecord:
    judged = [_judge_row(gate, row) for row in rows if row.quantity == gate.quantity]
    held = any(row.quantity == gate.quantity and not row.verdict.startswith("only") for row in rows)
    if not held:
        why = f"no run has {gate.quantity} on both sides: there is nothing to watch over"
        judged.append(GateRow(where="all tasks", mode=None, change=None, low=None, high=None, outcome="fails", why=why))
    worst = min((row.outcome for row in judged), key=_WORST_FIRST.index)
    return GateRecord(gate=gate.text, quantity=gate.quantity, outcome=worst, rows=judged)


def _judge_row(gate: Gate, row: RowRecord) -> GateRow:
    outcome: Outcome
    if row.verdict == "only in A":
        outcome, why = "fails", "B has no value"
    elif row.verdict == "only in B":
        outcome, why = "cannot tell", "A has no value to hold B's against"
    elif row.invalid:
        outcome, why = "fails", f"not valid: {'; '.join(row.invalid)}"
    elif row.b is None:
        outcome, why = "fails", "B has no value"
    elif row.a is None:
        outcome, why = "cannot tell", "A has no value to hold B's against"
    else:
        outcome, why = gate.judge(row.change, row.low, row.high)
    return GateRow(
        where=row.where, mode=row.mode, change=row.change, low=row.low, high=row.high, outcome=outcome, why=why
    )
