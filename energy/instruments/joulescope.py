# SPDX-License-Identifier: Apache-2.0
"""Joulescope JS110 and JS220 over USB, by Jetperch's own driver: current, voltage and the input GPI 0 up to 1 MS/s.

The timing pin goes to GPI 0. A fixed range of 180 mA by default; what reaches the end of a fixed range is an overload.
It is no supply. The package is an extra: pip install 'tinyjoule[joulescope]'.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from energy.errors import EnergyError, InstrumentError, InstrumentLost, InstrumentTimeout, MonitorMissing
from energy.instrument import Instrument, SampleChunk, Settings, WindowKind

SUMMARY = "Joulescope JS110, JS220 (USB): up to 1 MS/s current, voltage and timing pin"
ADDRESS = "u/js220/SERIAL (python -m pyjoulescope_driver scan lists them)"
USB_IDS = ((0x16D0, 0x0E88), (0x16D0, 0x10BA))

RATES_HZ = (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
RANGES = {18e-6: "18 µA", 180e-6: "180 µA", 1.8e-3: "1.8 mA", 18e-3: "18 mA", 0.18: "180 mA", 10.0: "10 A"}
SIGNALS = ("i", "v", "gpi/0")
MAX_MESSAGES = 4096
"""Waiting to be read. What comes after that is lost, and counted as such by the numbers of the samples."""
REMOVED = "@/!remove"


def open_instrument(address: str) -> Instrument:
    """Open the Joulescope of this path. Raises MonitorMissing without the package, and InstrumentError."""
    try:
        from pyjoulescope_driver import Driver  # noqa: PLC0415  (an extra)
    except ImportError:
        raise MonitorMissing("joulescope needs a package: pip install 'tinyjoule[joulescope]'") from None
    try:
        driver = Driver()
    except (RuntimeError, OSError) as error:
        raise InstrumentError(f"Joulescope's driver does not start: {error}: see its documentation.") from None
    try:
        return Joulescope(driver, address)
    except BaseException:
        driver.finalize()
        raise


class Aligner:
    """Puts the signals of one device side by side: each comes in messages of its own, with the number of its first
    sample."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._parts: dict[str, deque[tuple[int, NDArray[Any]]]] = {signal: deque() for signal in SIGNALS}
        self._position: int | None = None
        self._first = 0
        self._lost = 0
        self.rate_hz = 0.0

    def push(self, signal: str, message: dict[str, Any]) -> None:
        """A message as the driver gives it; of the timing pin, eight samples are in a byte, the first one lowest."""
        factor = message["decimate_factor"]
        self.rate_hz = message["sample_rate"] / factor
        index = message["sample_id"] // factor
        data = np.asarray(message["data"])
        if signal == "gpi/0":
            data = np.unpackbits(data, bitorder="little").astype(np.bool_)
        parts = self._parts[signal]
        if len(parts) > MAX_MESSAGES:
            raise InstrumentError(f"not all of {', '.join(SIGNALS)} are streamed: update the Joulescope's firmware.")
        if parts and parts[-1][0] + len(parts[-1][1]) > index:  # the rest of the last byte was padding
            begin, last = parts.pop()
            parts.append((begin, last[: max(index - begin, 0)]))
        parts.append((index, data))

    def take(self) -> SampleChunk | None:
        """The next samples of which all signals are there, up to a gap; None when there are none."""
        while all(self._parts.values()):
            begin = max(parts[0][0] for parts in self._parts.values())
            if self._position is None:
                self._position = self._first = begin
            if begin > self._position:
                self._lost += begin - self._position
                self._position = begin
            at = self._position
            ends = {signal: self._end(signal) for signal in SIGNALS}
            until = min(ends.values())
            if until <= at:
                if not self._drop(at):
                    return None
                continue
            current, voltage, marker = (
                parts[0][1][at - parts[0][0] : until - parts[0][0]] for parts in self._parts.values()
            )
            self._position = until
            self._drop(until)
            lost, self._lost = self._lost, 0
            return SampleChunk(
                current.astype(np.float32),
                voltage.astype(np.float32),
                marker,
                (at - self._first) / self.rate_hz,
                self.rate_hz,
                lost,
            )
        return None

    def _end(self, signal: str) -> int:
        """Up to where the first part of a signal is sure: the last seven bits of a byte may be padding."""
        parts = self._parts[signal]
        begin, data = parts[0]
        return begin + len(data) - (7 if signal == "gpi/0" and len(parts) == 1 else 0)

    def _drop(self, until: int) -> bool:
        """Forget parts that end there; whether there were any."""
        dropped = False
        for parts in self._parts.values():
            while parts and parts[0][0] + len(parts[0][1]) <= until:
                parts.popleft()
                dropped = True
        return dropped


class Joulescope:
    """One Joulescope behind the driver."""

    name = "joulescope"
    windows: WindowKind = "marker"
    measures_voltage = True
    is_supply = False
    default_rate_hz = 1_000_000.0
    default_range_a: float | None = 0.18

    def __init__(self, driver: Any, address: str) -> None:
        """Open the device. Raises InstrumentError."""
        self.range_switches = 0
        self._driver: Any = driver
        self._settings: Settings | None = None
        self._aligner: Aligner | None = None
        self._messages: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue(MAX_MESSAGES)
        self._range = -1
        self._removed = False
        self._subscribed: list[tuple[str, Any]] = []
        there = sorted(driver.device_paths())
        path = next((path for path in there if path.lower() == address.lower()), None)
        if path is None:
            found = (
                f"there are {', '.join(there)}" if there else "none is connected, or this user may not use it (udev)"
            )
            raise InstrumentError(f"no Joulescope {address}: {found}. `python -m pyjoulescope_driver scan` lists them.")
        self._path = path
        with self._told("it does not open"):
            driver.open(path, "defaults")
        _, kind, serial_number = path.split("/")
        self.model = kind.upper()
        self.idn = f"Jetperch,{self.model},{serial_number},{self._firmware()}"

    def configure(self, wanted: Settings) -> Settings:
        """Set rate and range and read them back."""
        self.stop()
        rate = next((rate for rate in RATES_HZ if rate >= wanted.rate_hz), RATES_HZ[-1])
        full_a, name = self._pick(wanted.range_a)
        with self._told("it refuses a setting"):
            self._publish("h/fs", rate)
            if self.model != "JS110":
                self._publish("s/i/range/mode", "manual" if full_a else "auto")
            if full_a or self.model == "JS110":
                self._publish("s/i/range/select", name)
            rate_hz = float(self._driver.query(f"{self._path}/h/fs"))
        self.range_switches = 0
        self._settings = Settings(rate_hz, full_a, wanted.voltage_v)
        return self._settings

    def start(self, *, triggered: bool, duration_s: float) -> None:
        """Begin to stream; `duration_s` does not matter to a stream."""
        del duration_s
        if triggered:
            raise InstrumentError("a Joulescope streams the timing pin: it is not armed.")
        if self._settings is None:
            raise InstrumentError("the Joulescope is not set up yet: configure it first.")
        self.stop()
        self._messages = queue.Queue(MAX_MESSAGES)
        self._aligner = Aligner()
        self._range = -1
        with self._told("it does not stream"):
            for signal in (*SIGNALS, *(() if self._settings.range_a else ("i/range",))):
                self._subscribe(f"{self._path}/s/{signal}/!data", self._listener(signal))
            self._subscribe(REMOVED, self._on_removed)
            for signal, _ in self._streams():
                self._publish(f"s/{signal}/ctrl", 1)

    def read(self, timeout_s: float) -> SampleChunk | None:
        """Samples of which current, voltage and pin are there."""
        if self._aligner is None or self._settings is None:
            raise InstrumentError("the Joulescope records nothing: start a capture first.")
        deadline = time.monotonic() + timeout_s
        while (chunk := self._aligner.take()) is None:
            if self._removed:
                raise InstrumentLost(f"{self._path} was unplugged: plug it in and start again.")
            try:
                signal, message = self._messages.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                return None
            if signal == "i/range":
                self._count_ranges(np.asarray(message["data"]))
            else:
                self._aligner.push(signal, message)
        full_a = self._settings.range_a
        if full_a is not None:
            over = np.abs(chunk.current_a) >= full_a
            chunk.current_a[over] = np.copysign(np.float32(np.inf), chunk.current_a[over])
        return chunk

    def stop(self) -> None:
        """End the capture."""
        if self._aligner is None:
            return
        self._aligner = None
        try:
            with self._told("it does not stop"):
                for signal, _ in self._streams():
                    self._publish(f"s/{signal}/ctrl", 0)
        finally:
            self._unsubscribe()

    def set_supply(self, on: bool) -> None:
        """It is none."""
        raise InstrumentError(f"a Joulescope is no supply: switch the board {'on' if on else 'off'} yourself.")

    def errors(self) -> list[str]:
        """It has no error queue."""
        return []

    def close(self) -> None:
        """End a capture and give the device back."""
        if self._driver is None:
            return
        with contextlib.suppress(EnergyError):
            self.stop()
        driver, self._driver = self._driver, None
        with contextlib.suppress(RuntimeError, OSError):
            driver.close(self._path)
        with contextlib.suppress(RuntimeError, OSError):
            driver.finalize()

    def __enter__(self) -> Self:
        """The instrument itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()

    def _streams(self) -> list[tuple[str, Any]]:
        prefix, suffix = f"{self._path}/s/", "/!data"
        return [
            (topic.removeprefix(prefix).removesuffix(suffix), function)
            for topic, function in self._subscribed
            if topic != REMOVED
        ]

    def _pick(self, wanted_a: float | None) -> tuple[float | None, str]:
        if wanted_a is None:
            return None, "auto"
        for full_a, name in RANGES.items():
            if full_a >= wanted_a * 0.999:
                return full_a, name
        raise InstrumentError(f"a Joulescope measures 10 A at most, not {wanted_a:g} A (--range).")

    def _listener(self, signal: str) -> Any:
        messages = self._messages

        def on_data(_topic: str, message: dict[str, Any]) -> None:  # in the driver's thread
            with contextlib.suppress(queue.Full):
                messages.put_nowait((signal, message))

        return on_data

    def _on_removed(self, _topic: str, path: str) -> None:
        self._removed |= path == self._path

    def _count_ranges(self, ranges: NDArray[Any]) -> None:
        if len(ranges):
            before = ranges[0] if self._range < 0 else self._range
            self.range_switches += int(np.count_nonzero(np.diff(ranges, prepend=before)))
            self._range = int(ranges[-1])

    def _firmware(self) -> str:
        with contextlib.suppress(RuntimeError, OSError, ValueError, TypeError):
            version = int(self._driver.query(f"{self._path}/c/fw/version"))
            return f"{version >> 24}.{version >> 16 & 0xFF}.{version & 0xFFFF}"
        return "unknown"

    def _publish(self, topic: str, value: object) -> None:
        self._driver.publish(f"{self._path}/{topic}", value)

    def _subscribe(self, topic: str, function: Any) -> None:
        self._driver.subscribe(topic, "pub", function)
        self._subscribed.append((topic, function))

    def _unsubscribe(self) -> None:
        for topic, function in self._subscribed:
            with contextlib.suppress(RuntimeError, OSError):
                self._driver.unsubscribe(topic, function)
        self._subscribed.clear()

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """What the driver raises, as our own errors."""
        if self._driver is None:
            raise InstrumentError("the Joulescope is closed: open it again.")
        try:
            yield
        except TimeoutError as error:
            raise InstrumentTimeout(f"{self._path}: {what} ({error}): replug it and start again.") from None
        except (RuntimeError, OSError, ValueError, TypeError) as error:
            raise InstrumentError(f"{self._path}: {what}: {error}. Replug it and start again.") from None
