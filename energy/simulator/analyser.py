# SPDX-License-Identifier: Apache-2.0
"""The virtual analyser's inside: it follows its load all the time, and keeps samples while a capture is on.

One thread of its own reads the load. Everything else is called by the server's thread; one lock is around both.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from energy.errors import EnergyError, InstrumentTimeout
from energy.simulator.dialect import Hardware, Samples, State
from energy.simulator.errors_model import ErrorModel
from energy.simulator.faults import EDGE_KINDS, Fault, Faults
from energy.simulator.load import Load, LoadPiece
from energy.simulator.sampling import Block, Sampler
from energy.simulator.supply import Supply
from energy.simulator.truth import Truth

READ_S = 0.02
HISTORY_S = 0.002  # how far back a trigger can reach
FLUSH_S = 0.2  # a board that never sleeps always has something pending: a capture begins in the middle then
PATIENCE_S = 5.0  # how long the load is held when nobody fetches samples; then they are lost
STARVED_S = 30.0  # how long a machine may keep the load's thread from running
PULSE_S = 25e-6
MIN_V, MAX_V = 0.5, 5.0
Edges = list[tuple[float, bool]]


@dataclass(slots=True)
class _Capture:
    number: int
    triggered: bool
    limit: int | None
    state: State
    sampler: Sampler | None = None
    has_edge: bool = False
    recorded: int = 0
    lost: int = 0  # right before the next block
    cuts: list[tuple[int, int]] = field(default_factory=list)  # silently: at which sample, how many


class Analyser:
    """A load, the supply that feeds it, and an instrument's converters. A context manager."""

    def __init__(
        self,
        load: Load,
        supply: Supply,
        hardware: Hardware,
        errors: ErrorModel,
        faults: Faults,
        seed: int,
        truth: Truth | None = None,
    ) -> None:
        """The supply gives what it is set to, but for the error of it. The load is closed at the end."""
        self._load, self._supply, self._hardware = load, supply, hardware
        self._errors, self._faults, self._seed, self._truth = errors, faults, seed, truth
        self._changed = threading.Condition(threading.RLock())
        self._thread = threading.Thread(target=self._follow, name="load", daemon=True)
        self._closing = False
        self._now_s = 0.0
        self._level = self._seen_level = True
        self._hide_rise = False
        self._added: Edges = []
        self._history: deque[tuple[LoadPiece, Edges, bool]] = deque()
        self._requests: list[Callable[[], None]] = []
        self._capture: _Capture | None = None
        self._captures = self._windows = 0
        self._fifo: deque[Block] = deque()
        self._kept = 0
        self._overrun = False
        self._switches = 0
        self._volts = supply.volts
        self._real_hz = self.rate_hz = hardware.rate_hz
        self.range_a = hardware.range_a
        self.failure: EnergyError | None = None
        """Why the load cannot be followed any more."""
        self.set_voltage(supply.volts)
        self.set_rate(hardware.rate_hz)

    def __enter__(self) -> Analyser:
        """Begin to follow the load."""
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Leave the load."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._load.close()

    @property
    def range_switches(self) -> int:
        """Since power-on."""
        with self._changed:
            sampler = self._capture.sampler if self._capture else None
            return self._switches + (sampler.range_switches if sampler else 0)

    def set_rate(self, rate_hz: float) -> float:
        """See Desk."""
        if not 0 < rate_hz <= self._hardware.max_rate_hz:
            raise ValueError(f"{rate_hz} Hz")
        self._real_hz, self.rate_hz = self._faults.rate(rate_hz)
        return self.rate_hz

    def set_range(self, range_a: float | None) -> float | None:
        """See Desk."""
        if range_a is not None:
            holding = [full for full in self._hardware.ranges_a if 0 < range_a <= full * 1.001]
            if not holding:
                raise ValueError(f"{range_a} A")
            range_a = holding[0]
        self.range_a = range_a
        return range_a

    def set_voltage(self, volts: float) -> None:
        """See Desk."""
        if not MIN_V <= volts <= MAX_V:
            raise ValueError(f"{volts} V")
        with self._changed:
            self._volts = volts
            self._supply.volts = volts * (1.0 + self._errors.supply_gain)

    def voltage(self) -> float:
        """See Desk."""
        return self._volts

    def set_supply(self, on: bool) -> None:
        """See Desk."""
        with self._changed:
            self._supply.on = on

    def supply(self) -> bool:
        """See Desk."""
        return self._supply.on

    def arm(self, *, triggered: bool, limit: int | None = None) -> None:
        """See Desk. What the load has done before this call is no part of the capture."""
        self.stop()
        self._when_read(lambda: self._arm(triggered, limit))

    def label(self, task: str, window: int, inferences: int) -> None:
        """The next window is this one. Returns when everything before this call is known."""
        self._when_read(lambda: self._truth.label(task, window, inferences) if self._truth else None)

    def stop(self, *, keep: bool = False) -> None:
        """See Desk."""
        with self._changed:
            self._end_capture("off")
            if not keep:
                self._fifo.clear()
                self._kept, self._overrun = 0, False
            self._changed.notify_all()

    def state(self) -> State:
        """See Desk."""
        with self._changed:
            return self._capture.state if self._capture else "off"

    def available(self) -> int:
        """See Desk."""
        with self._changed:
            return self._kept

    def take(self, count: int) -> Samples | None:
        """See Desk."""
        with self._changed:
            taken: list[Block] = []
            left = count
            while left > 0 and self._fifo and not (taken and self._fifo[0].lost):
                head = self._fifo.popleft()
                if len(head.pin) > left:
                    head, rest = _split(head, left)
                    self._fifo.appendleft(rest)
                taken.append(head)
                left -= len(head.pin)
            self._kept -= count - left
            self._changed.notify_all()
        if not taken:
            return None
        return Samples(
            first=taken[0].first,
            current_a=np.concatenate([part.current_a for part in taken]),
            voltage_v=np.concatenate([part.voltage_v for part in taken]),
            pin=np.concatenate([part.pin for part in taken]),
            edges=tuple((at / self.rate_hz, level) for part in taken for at, level in part.edges),
            lost=taken[0].lost,
        )

    def take_fault(self, kinds: tuple[str, ...]) -> Fault | None:
        """A fault of these kinds that is to happen now."""
        with self._changed:
            return self._faults.take(kinds, self._now_s)

    def now_s(self) -> float:
        """See Desk."""
        return self._now_s * (1.0 + self._errors.clock)

    def _when_read(self, request: Callable[[], None]) -> None:
        """Do it in the load's thread as soon as there is nothing of the load left to be read."""
        done = threading.Event()

        def act() -> None:
            request()
            done.set()

        with self._changed:
            if not self._thread.is_alive():
                act()
                return
            self._requests.append(act)
        if not done.wait(FLUSH_S + PATIENCE_S + STARVED_S):
            raise InstrumentTimeout("the load came on for too long to keep up with: is this machine overloaded?")

    def _follow(self) -> None:
        try:
            self._follow_load()
        except EOFError:
            pass  # the load has ended; the instrument has not
        except EnergyError as error:
            self.failure = error
        while not self._closing:
            with self._changed:
                self._serve_requests()
                self._changed.wait(READ_S)

    def _follow_load(self) -> None:
        waiting_since = 0.0
        while not self._closing:
            piece = self._load.read(READ_S)
            with self._changed:
                if piece is not None:
                    self._advance(piece)
                    self._hold_while_full()
                if not self._requests:
                    waiting_since = time.monotonic()
                elif not self._load.pending() or time.monotonic() - waiting_since > FLUSH_S:
                    self._serve_requests()

    def _serve_requests(self) -> None:
        for request in self._requests:
            request()
        self._requests.clear()

    def _hold_while_full(self) -> None:
        """Let the load wait for whoever fetches samples. The lock is given away meanwhile."""
        if self._overrun:
            self._overrun = self._kept > self._hardware.fifo // 2
            return
        deadline_s = time.monotonic() + PATIENCE_S
        while self._kept >= self._hardware.fifo and self.state() == "recording" and not self._closing:
            if time.monotonic() > deadline_s:
                self._overrun = True
                return
            self._changed.wait(0.05)

    def _advance(self, piece: LoadPiece) -> None:
        piece = self._supply.advance(piece)
        if self._truth:
            self._truth.feed(piece)
        level = self._seen_level
        seen = self._see(piece)
        self._history.append((piece, seen, level))
        capture = self._capture
        if capture and capture.state == "armed":
            fall_s = next((when for when, high in seen if not high), None)
            if fall_s is not None:
                self._begin(capture, fall_s, self._errors.trigger_s)
        elif capture and capture.state == "recording" and capture.sampler:
            self._keep(capture, capture.sampler.feed(piece, seen))
        self._now_s = float(piece.ends_s[-1])
        while len(self._history) > 1 and self._history[0][0].ends_s[-1] < self._now_s - HISTORY_S:
            self._history.popleft()
        self._changed.notify_all()

    def _see(self, piece: LoadPiece) -> Edges:
        """The changes of the pin in a piece, as they reach the instrument's input."""
        seen: Edges = []
        for when, high in piece.pin:
            capture = self._capture
            if not high and capture and capture.state in ("armed", "recording") and not capture.has_edge:
                capture.has_edge = True
                self._faults.began("w", self._windows, when)
                self._windows += 1
            if high:
                if not self._hide_rise:
                    seen.append((when, True))
                self._hide_rise = False
                continue
            fault = self._faults.take(EDGE_KINDS, when)
            if fault is not None and fault.kind == "edge_lost":
                self._hide_rise = True
                continue
            seen.append((when, False))
            if fault is not None:
                again_s = when + max(2 * PULSE_S, 5 / self._real_hz)
                self._added += [(again_s, False), (again_s + max(PULSE_S, 2.5 / self._real_hz), True)]
        end_s = float(piece.ends_s[-1])
        seen += [edge for edge in self._added if edge[0] <= end_s]
        self._added = [edge for edge in self._added if edge[0] > end_s]
        seen.sort()
        if seen:
            self._seen_level = seen[-1][1]
        return seen

    def _arm(self, triggered: bool, limit: int | None) -> None:
        self._capture = _Capture(self._captures, triggered, limit, "armed" if triggered else "recording")
        self._captures += 1
        if not triggered:
            self._begin(self._capture, self._now_s, 0.0)
        self._changed.notify_all()

    def _begin(self, capture: _Capture, origin_s: float, delay_s: float) -> None:
        """The first sample begins delay_s after origin_s, which may lie a little in the past or in the future."""
        capture.state = "recording"
        self._faults.began("c", capture.number, origin_s)
        level = self._history[0][2] if self._history else self._seen_level
        capture.sampler = Sampler(
            origin_s, delay_s, self._real_hz, self.range_a, level, self._hardware, self._errors,
            (self._seed, capture.number), self._supply,
        )  # fmt: skip
        for piece, seen, _ in self._history:
            self._keep(capture, capture.sampler.feed(piece, seen))

    def _keep(self, capture: _Capture, blocks: list[Block]) -> None:
        for block in blocks:
            for part in self._damage(capture, block):
                kept = part
                if capture.limit is not None and capture.recorded + len(part.pin) > capture.limit:
                    kept, _ = _split(part, capture.limit - capture.recorded)
                if self._overrun:
                    capture.lost += kept.lost + len(kept.pin)
                    continue
                capture.lost += kept.lost
                capture.recorded += len(kept.pin)
                if len(kept.pin):
                    self._fifo.append(replace(kept, lost=capture.lost))
                    self._kept += len(kept.pin)
                    capture.lost = 0
                if capture.recorded == capture.limit:
                    self._end_capture("full")
                    return

    def _damage(self, capture: _Capture, block: Block) -> list[Block]:
        """What faults leave of a block; a part without samples may be among it, for what was lost before it."""
        sampler = capture.sampler
        if sampler is None:
            return []
        parts = [block]
        end = block.first + len(block.pin)
        for fault in self._faults.of_samples(sampler.begin_s + end * sampler.period_s):
            if fault.first is None:
                due = math.ceil(((fault.due_s or 0.0) - sampler.begin_s) / sampler.period_s - 1e-6)
                fault.first = max(due, block.first)
                if fault.kind == "silent_drop":
                    capture.cuts.append((fault.first, _length(fault, self._real_hz)))
            until = fault.first + _length(fault, self._real_hz)
            fault.done = until <= end
            if fault.kind in ("nan", "overload"):
                hit = slice(max(0, fault.first - block.first), max(0, until - block.first))
                block.current_a[hit] = np.nan if fault.kind == "nan" else np.inf  # parts are views of it
                if fault.kind == "nan":
                    block.voltage_v[hit] = np.nan
            else:
                parts = [kept for part in parts for kept in _cut(part, fault.kind == "drop", fault.first, until)]
        return [_shifted(part, sum(count for at, count in capture.cuts if at <= part.first)) for part in parts]

    def _end_capture(self, state: State) -> None:
        capture = self._capture
        if capture is None:
            return
        if capture.sampler:
            self._switches += capture.sampler.range_switches
            capture.sampler = None
        capture.state = state
        for fault in self._faults.of_samples(math.inf):
            fault.done = fault.first is not None  # what has begun does not go on in the next capture


def _length(fault: Fault, rate_hz: float) -> int:
    return max(1, round(fault.amount * rate_hz))


def _cut(part: Block, told: bool, first: int, until: int) -> list[Block]:
    """A part without samples first to until; told: they count as lost."""
    before, rest = _split(part, min(max(0, first - part.first), len(part.pin)))
    gone, after = _split(rest, min(max(0, until - rest.first), len(rest.pin)))
    return [before, replace(after, lost=gone.lost + (len(gone.pin) if told else 0))]


def _shifted(part: Block, shift: int) -> Block:
    """As if so many samples before it had never been."""
    if not shift:
        return part
    return replace(part, first=part.first - shift, edges=tuple((at - shift, level) for at, level in part.edges))


def _split(block: Block, count: int) -> tuple[Block, Block]:
    """The first `count` samples, and the rest; a gap stays before the first of them."""
    border = block.first + count
    head = Block(
        block.first, block.current_a[:count], block.voltage_v[:count], block.pin[:count],
        tuple(edge for edge in block.edges if edge[0] < border), block.lost,
    )  # fmt: skip
    tail = Block(
        border, block.current_a[count:], block.voltage_v[count:], block.pin[count:],
        tuple(edge for edge in block.edges if edge[0] >= border), 0,
    )  # fmt: skip
    return head, tail
