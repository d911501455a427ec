# SPDX-License-Identifier: Apache-2.0
"""`host energy`: recorded traces integrated again, and figured as a live session figures its windows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from energy.replay import Replay, Window, measure_again
from energy.trace import TraceReader
from energy.window import PULSE_S
from host.errors import UsageError
from host.results import replay as records
from host.results import schema
from host.results.journal import EnergyWindowRow, IdleRecord, IdleRow, MonitorRecord, ReadingRecord
from host.runner.energy import fields
from host.runner.energy_figures import of_windows


def replay_traces(
    paths: Sequence[Path], *, inferences: int | None, net: bool, voltage_v: float | None
) -> records.Replay:
    """The traces of one run, in the order of time. inferences: in each window, where the traces do not tell or are
    wrong. voltage_v: likewise, for what was not measured. Raises EnergyError, UsageError."""
    with ExitStack() as stack:
        traces = [stack.enter_context(TraceReader(path)) for path in paths]
        infos = [trace.info for trace in traces]
        told = {(info.task, info.model, info.idn, info.windows) if info else None for info in infos}
        if len(told) > 1:
            raise UsageError("these traces are of different tasks or instruments: give those of one run, or one alone.")
        replay = measure_again(traces, voltage_v=voltage_v)
        monitor = _monitor(traces[0], voltage_v)
    first = infos[0]
    energy = of_windows(
        monitor, _rows(replay, first.task if first else "", inferences), _idles(replay), net=net, pulse_s=PULSE_S
    )
    notes = list(replay.notes)
    if first is None and inferences is None:
        notes.append("nobody tells how many inferences a window has: the energy is of a window (--inferences N)")
    if net and energy.value is None and energy.gross is not None:
        notes.append(
            "what the board takes when idle, before the windows and after them, is not in these traces: leave out --net"
        )
    return records.Replay(
        schema=records.SCHEMA,
        provenance="replayed",
        of=first.provenance if first else None,
        traces=[path.name for path in paths],
        task=first.task if first else None,
        valid=energy.value is not None,
        energy_uj=energy,
        notes=notes,
    )


def _monitor(trace: TraceReader, voltage_v: float | None) -> MonitorRecord:
    info = trace.info
    if info is None:
        return MonitorRecord(
            name="another program", idn="not told", model="", windows="marker", measures_voltage=trace.has_voltage,
            rate_hz=trace.rate_hz, range_a=None, voltage_v=voltage_v or 0.0,
        )  # fmt: skip
    return MonitorRecord(
        name=info.monitor, idn=info.idn, model=info.model, windows=info.windows,
        measures_voltage=info.voltage_measured, rate_hz=info.rate_hz, range_a=info.range_a,
        voltage_v=info.voltage_v if voltage_v is None else voltage_v,
    )  # fmt: skip


def _rows(replay: Replay, task: str, inferences: int | None) -> list[EnergyWindowRow]:
    return [
        EnergyWindowRow(
            task=task,
            unit=0,
            index=window.number,
            input=window.input,
            inferences=inferences or window.inferences,
            reading=ReadingRecord(**fields(window.reading)),
            window=_by_the_board(window, inferences or window.inferences),
        )
        for _, window in sorted(replay.windows.items())
    ]


def _by_the_board(window: Window, inferences: int) -> schema.Window | None:
    device_s = window.reading.device_s
    if device_s is None:
        return None
    return schema.Window(input=window.input, inferences=inferences, duration_us=max(round(device_s * 1e6), 1))


def _idles(replay: Replay) -> list[IdleRow]:
    found = {"before": replay.before, "after": replay.after}
    return [
        IdleRow(task="", unit=0, when=when, idle=IdleRecord(**fields(idle)))  # type: ignore[arg-type]
        for when, idle in found.items()
        if idle is not None
    ]
