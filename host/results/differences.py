# SPDX-License-Identifier: Apache-2.0
"""What is not the same in two results besides their figures: to be known before any of these mean something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from host.results.schema import Energy, ModelInfo, MonitorInfo, Result, Run

_UNKNOWN = "not told"


def same_inputs(one: Run, other: Run) -> bool:
    """Whether inputs of the same name are the same ones, with the same labels where both records tell."""
    a, b = one.dataset, other.dataset
    return a.sha256 == b.sha256 and (
        a.labels_sha256 == b.labels_sha256 or a.labels_sha256 is None or b.labels_sha256 is None
    )


def differences(a: Result, b: Result, pairs: Sequence[tuple[Run | None, Run | None]]) -> Iterator[str]:
    """A line each: first of the whole, then of each task."""
    yield from _of_board(a, b)
    yield from _of_program(a, b)
    for one, other in pairs:
        if one is None or other is None:
            run, side = (one, "A") if one is not None else (other, "B")
            if run is not None:
                yield f"{run.task}, {run.mode}: only in {side}"
            continue
        yield from (f"{one.task}: {line}" for line in _of_run(one, other))


def _of_board(a: Result, b: Result) -> Iterator[str]:
    first, second = a.board, b.board
    yield from _line("board", f"{first.name} ({first.core})", f"{second.name} ({second.core})")
    yield from _line("clock", _clock(first.clock_hz), _clock(second.clock_hz))
    if first.wiring is not None and second.wiring is not None and first.wiring != second.wiring:
        for part in ("uart", "timing_pin", "power"):
            yield from _line(f"wiring, {part}", getattr(first.wiring, part), getattr(second.wiring, part))
    yield from _line("boards in the session", str(max(len(a.units), 1)), str(max(len(b.units), 1)))


def _clock(clock_hz: int | None) -> str:
    return f"{clock_hz / 1e6:g} MHz" if clock_hz else "none"


def _of_program(a: Result, b: Result) -> Iterator[str]:
    first, second = a.firmware, b.firmware
    for what in ("version", "engine", "compiler"):
        yield from _line(what, getattr(first, what) or _UNKNOWN, getattr(second, what) or _UNKNOWN)
    if first.flags != second.flags:
        yield f"compiler flags: {_flags(first.flags, second.flags)}"
    yield from _line("program", _hash(first.sha256), _hash(second.sha256))
    yield from _line("tinyjoule", a.host.version, b.host.version)


def _flags(first: str | None, second: str | None) -> str:
    if first is None or second is None:
        return f"{_UNKNOWN} on one side"
    before, after = first.split(), second.split()
    gone = [word for word in before if word not in after]
    new = [word for word in after if word not in before]
    if not gone and not new:
        return "the same ones in another order"
    return f"{' '.join(gone) or 'none'} -> {' '.join(new) or 'none'}"


def _of_run(one: Run, other: Run) -> Iterator[str]:
    yield from _line("rules", one.rules, other.rules)
    yield from _of_model(one.model, other.model)
    if not same_inputs(one, other):
        yield f"inputs: {one.dataset.name} ({one.dataset.source}) -> {other.dataset.name} ({other.dataset.source})"
    yield from _line("inputs used", str(one.dataset.n), str(other.dataset.n))
    if one.energy_uj is not None and other.energy_uj is not None:
        if one.energy_uj.value is not None and other.energy_uj.value is not None:
            yield from _line("energy", _kind(one.energy_uj), _kind(other.energy_uj))
        yield from _line("power monitor", _monitor(one.energy_uj.monitor), _monitor(other.energy_uj.monitor))


def _of_model(first: ModelInfo, second: ModelInfo) -> Iterator[str]:
    if first.sha256 is None or second.sha256 is None:
        yield f"model: {first.name} and {second.name}, and a stock firmware cannot prove which one it runs"
    elif first.sha256 != second.sha256:
        yield f"model: {first.name} ({_hash(first.sha256)}) -> {second.name} ({_hash(second.sha256)})"


def _kind(energy: Energy) -> str:
    return "gross" if energy.net is None else "net of idle (its gross is compared)"


def _monitor(monitor: MonitorInfo) -> str:
    scale = "auto-range" if monitor.range_a is None else f"{monitor.range_a:g} A"
    return f"{monitor.name} ({monitor.idn}), {scale}, {monitor.rate_hz:g} S/s, voltage {monitor.voltage}"


def _hash(sha256: str | None) -> str:
    return _UNKNOWN if sha256 is None else f"sha256 {sha256[:12]}"


def _line(what: str, first: str, second: str) -> Iterator[str]:
    if first != second:
        yield f"{what}: {first} -> {second}"
