# SPDX-License-Identifier: Apache-2.0
"""Captures: the instrument records in the background while the board works.

One thread asks the instrument for samples, a second one adds them up and hands them to the trace, so that neither a
slow disk nor the board's line holds the instrument up. The caller's thread drives the board.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

from energy.errors import EnergyError, InstrumentError, InstrumentTimeout
from energy.instrument import Instrument, SampleChunk, Settings
from energy.trigger import TriggerMeter, TriggerReference
from energy.window import Idle, IdleMeter, MarkerMeter, Reading

Sink = Callable[[SampleChunk], None]
"""Takes every chunk of a capture, in order, from a thread of its own."""

Work = Callable[[], float | None]
"""Lets the board run one window and blocks until it has answered; returns the board's own time of it in seconds, None
where it does not tell."""

_READ_S: Final = 0.1
_WAITING: Final = 64
"""Chunks between the instrument and the sums; then the instrument's own memory has to hold them."""

_AFTER_S: Final = 1.0
"""How much longer a capture goes on by the instrument's clock, when the window's end was not seen."""

_SETTLE_S: Final = 0.1
"""How much longer when it was: an edge too many shall be seen as well."""

_POLL_S: Final = 0.01

_PATIENCE_S: Final = 5.0
"""No samples for so long by the wall clock: there will be none."""


class _Capture:
    """One running capture. `meter` gets every chunk; leaving it ends the capture."""

    def __init__(self, instrument: Instrument, feed: Sink, sink: Sink | None, *, triggered: bool, duration_s: float):
        """Nothing happens before it is entered."""
        self._instrument = instrument
        self._feed = feed
        self._sink = sink
        self._triggered = triggered
        self._duration_s = duration_s
        self._chunks: queue.Queue[SampleChunk | None] = queue.Queue(_WAITING)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guard, args=(target,), name=f"energy-{name}", daemon=True)
            for name, target in (("read", self._read), ("sum", self._consume))
        ]
        self.last_chunk_s = time.monotonic()

    def __enter__(self) -> _Capture:
        self._instrument.start(triggered=self._triggered, duration_s=self._duration_s)
        self.last_chunk_s = time.monotonic()  # starting may have taken longer than anybody is patient
        for thread in reversed(self._threads):  # who empties the queue first: without one nothing is put in
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if kind is not None or self._failure is not None:
            with contextlib.suppress(EnergyError):  # the first failure is the one to tell
                self._instrument.stop()
        else:
            self._instrument.stop()
        if kind is None and self._failure is not None:
            raise self._failure

    @property
    def failed(self) -> bool:
        """The instrument or the sink gave up; leaving the capture raises what it said."""
        return self._failure is not None

    def _guard(self, target: Callable[[], None]) -> None:
        try:
            target()
        except BaseException as error:
            self._failure = self._failure or error
            self._stopping.set()

    def _read(self) -> None:
        try:
            while not self._stopping.is_set():
                chunk = self._instrument.read(_READ_S)
                if chunk is not None and len(chunk.current_a):
                    self._put(chunk)
        finally:
            self._put(None)

    def _put(self, chunk: SampleChunk | None) -> None:
        """Wait for a place in the queue; not for ever when whoever empties it is gone."""
        while self._threads[1].is_alive():
            with contextlib.suppress(queue.Full):
                self._chunks.put(chunk, timeout=_READ_S)
                return

    def _consume(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            self._feed(chunk)
            if self._sink is not None:
                self._sink(chunk)
            self.last_chunk_s = time.monotonic()


def measure_idle(instrument: Instrument, settings: Settings, duration_s: float, *, sink: Sink | None = None) -> Idle:
    """Record the idle board for about duration_s by the instrument's clock. settings: what `configure` returned.
    Raises EnergyError; InstrumentTimeout when no samples come."""
    meter = IdleMeter(settings.voltage_v)
    switches = instrument.range_switches
    with _Capture(instrument, meter.feed, sink, triggered=False, duration_s=duration_s + _AFTER_S) as capture:
        while meter.stream_s < duration_s and not capture.failed:
            if time.monotonic() - capture.last_chunk_s > _PATIENCE_S:
                raise InstrumentTimeout(f"{instrument.name} sent no samples for {_PATIENCE_S:g} s: is it recording?")
            time.sleep(_POLL_S)
    return meter.finish(instrument.range_switches - switches)


def measure_window(
    instrument: Instrument,
    settings: Settings,
    work: Work,
    expected_s: float,
    *,
    sink: Sink | None = None,
    reference: TriggerReference | None = None,
    trigger_s: float = 0.0,
) -> Reading:
    """Record while `work` lets the board run one window, and until the window's end was seen or 1 s has passed.

    expected_s: about how long `work` takes. reference, trigger_s: for an instrument whose windows begin at a trigger.
    Raises what `work` raised, else what the instrument or the sink did. A window that went wrong on its way through the
    instrument is no exception: its reading has reasons.
    """
    switches = instrument.range_switches
    if instrument.windows == "trigger":
        triggered, device_s = _run_triggered(instrument, settings, work, expected_s, sink, trigger_s)
        return triggered.finish(device_s, reference, instrument.range_switches - switches)
    meter = MarkerMeter(settings.voltage_v)
    lock = threading.Lock()
    with _Capture(
        instrument, _locked(meter.feed, lock), sink, triggered=False, duration_s=_room(expected_s)
    ) as capture:
        device_s = work()
        _go_on(capture, lambda: meter.stream_s, _asked(lambda: meter.settled, lock))
    return meter.finish(device_s, instrument.range_switches - switches)


def measure_reference(
    instrument: Instrument,
    settings: Settings,
    work: Work,
    expected_s: float,
    *,
    sink: Sink | None = None,
    trigger_s: float = 0.0,
) -> TriggerReference:
    """The short capture that triggered windows need: `work` lets the board run one inference. Raises as measure_window
    does, and InstrumentError when it tells nothing."""
    meter, device_s = _run_triggered(instrument, settings, work, expected_s, sink, trigger_s)
    if device_s is None:
        raise InstrumentError(
            f"{instrument.name} sees a window's begin only, and the board does not tell its own time: no end. "
            "Use firmware of tinyjoule (`host flash`), or an instrument that samples the timing pin."
        )
    return meter.reference(device_s)


def _run_triggered(
    instrument: Instrument, settings: Settings, work: Work, expected_s: float, sink: Sink | None, trigger_s: float
) -> tuple[TriggerMeter, float | None]:
    meter = TriggerMeter(settings.voltage_v, trigger_s)
    lock = threading.Lock()
    with _Capture(instrument, _locked(meter.feed, lock), sink, triggered=True, duration_s=_room(expected_s)) as capture:
        device_s = work()
        if device_s is not None:
            _go_on(capture, lambda: meter.stream_s, _asked(lambda: meter.settled(device_s), lock))
    return meter, device_s


def _room(expected_s: float) -> float:
    """How long the instrument has to be able to record: a window is never exactly as long as expected."""
    return 1.25 * expected_s + 2 * _AFTER_S


def _locked(feed: Sink, lock: threading.Lock) -> Sink:
    def locked(chunk: SampleChunk) -> None:
        with lock:
            feed(chunk)

    return locked


def _asked(question: Callable[[], bool], lock: threading.Lock) -> Callable[[], bool]:
    def asked() -> bool:
        with lock:
            return question()

    return asked


def _go_on(capture: _Capture, stream_s: Callable[[], float], settled: Callable[[], bool]) -> None:
    """Record until the window's end was seen, or until it will not be."""
    begin_s, begin = stream_s(), time.monotonic()
    settled_s: float | None = None
    while not capture.failed:
        now_s = stream_s()
        if settled_s is None and settled():
            settled_s = now_s
        if now_s - begin_s > _AFTER_S or (settled_s is not None and now_s - settled_s >= _SETTLE_S):
            return
        if time.monotonic() - max(capture.last_chunk_s, begin) > _PATIENCE_S:
            return
        time.sleep(_POLL_S)
