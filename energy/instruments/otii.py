# SPDX-License-Identifier: Apache-2.0
"""Qoitech Otii Arc and Ace, by way of the Otii server (`otii_server`, or Otii 3 with its TCP server on) on port 1905.

It supplies the board and measures current (`mc`), voltage (`mv`) and the input GPI1 (`i1`), to which the timing pin
goes. An Arc measures the voltage at a quarter of the current's rate: each of its values stands for four samples. Left
alone it goes on supplying the board. The package is an extra: pip install 'tinyjoule[otii]'.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from energy.errors import (
    EnergyError,
    GarbledSamples,
    InstrumentError,
    InstrumentTimeout,
    MonitorMissing,
    MonitorUnknown,
)
from energy.instrument import Instrument, SampleChunk, Settings, WindowKind

SUMMARY = "Qoitech Otii Arc, Ace (TCP, port 1905): up to 50 kS/s current, voltage and timing pin; supplies the board"
ADDRESS = "127.0.0.1:1905 (or 127.0.0.1:1905/DEVICE-ID)"

ARC_RATES_HZ = {"mc": 4000.0, "mv": 1000.0}
ACE_RATES_HZ = (1000, 2500, 5000, 10_000, 25_000, 50_000)
RANGE_A = 5.0
MARGIN_S = 0.1
"""A sample is handed on when it is so old: the input's changes come by another way than the samples."""
POLL_S = 0.02
MAX_SAMPLES = 20_000


def open_instrument(address: str) -> Instrument:
    """Connect to the server and take the named device, or its only one. Raises EnergyError."""
    where, _, device_id = address.partition("/")
    host, _, port = where.rpartition(":")
    if not host or not port.isdigit():
        raise MonitorUnknown(f"{address!r} is not of the form {ADDRESS}.")
    try:
        from otii_tcp_client import otii_client  # noqa: PLC0415  (an extra)
    except ImportError:
        raise MonitorMissing("otii needs a package: pip install 'tinyjoule[otii]'") from None
    # The client prints when no licence is to be had; it raises too.
    with _told(f"no Otii server at {where}, or no licence"), contextlib.redirect_stdout(io.StringIO()):
        server = otii_client.OtiiClient().connect(host=host, port=int(port), try_for_seconds=0)
    try:
        return Otii(server, device_id)
    except BaseException:
        with contextlib.suppress(Exception):
            server.disconnect()
        raise


class Otii:
    """One Arc or Ace behind the server."""

    name = "otii"
    windows: WindowKind = "marker"
    measures_voltage = True
    is_supply = True
    default_rate_hz = 4000.0
    default_range_a: float | None = RANGE_A
    range_switches = 0  # it does not tell

    def __init__(self, server: Any, device_id: str) -> None:
        """Take a device. Raises InstrumentError."""
        self._server: Any = server
        self._settings: Settings | None = None
        self._recording: Any = None
        self._taken = self._at = self._changes = 0
        self._voltage_rate_hz = 0.0
        self._falls: deque[float] = deque()
        self._last_fall = -2
        with _told("the Otii server does not answer"):
            devices = server.get_devices(timeout=2)
            found = [device for device in devices if device_id in ("", device.id)]
            if len(found) != 1:
                names = ", ".join(device.id for device in devices) or "none"
                raise InstrumentError(
                    f"{len(devices)} Otii devices ({names}): connect one, or name one behind the address: "
                    "HOST:PORT/DEVICE-ID."
                )
            self._device = found[0]
            self._device.add_to_project()
            versions = self._device.get_version()
        self.model = f"Otii {self._device.type}"
        self.idn = f"Qoitech,{self.model},{self._device.id},{versions.get('fw_version', 'unknown')}"

    def configure(self, wanted: Settings) -> Settings:
        """Set voltage, range and rate, and read them back."""
        if wanted.range_a is not None and wanted.range_a > RANGE_A:
            raise InstrumentError(f"an Otii measures 5 A at most, not {wanted.range_a:g} A (--range).")
        self.stop()
        device = self._alive()
        rate_hz, self._voltage_rate_hz = ARC_RATES_HZ["mc"], ARC_RATES_HZ["mv"]
        with _told("it refuses a setting"):
            device.set_main_voltage(wanted.voltage_v)
            device.set_range("high" if wanted.range_a is not None else "low")
            for channel in ("mc", "mv", "i1"):
                device.enable_channel(channel, True)
            if device.type != "Arc":
                rate = next((rate for rate in ACE_RATES_HZ if rate >= wanted.rate_hz), ACE_RATES_HZ[-1])
                device.set_channel_samplerate("mc", rate)
                device.set_channel_samplerate("mv", rate)
                rate_hz = float(device.get_channel_samplerate("mc"))
                self._voltage_rate_hz = float(device.get_channel_samplerate("mv"))
            voltage_v = float(device.get_main_voltage())
            range_a = RANGE_A if device.get_range() == "high" else None
        if rate_hz % self._voltage_rate_hz:
            raise InstrumentError(f"{rate_hz:g} Hz of current and {self._voltage_rate_hz:g} Hz of voltage do not go.")
        self._settings = Settings(rate_hz, range_a, voltage_v)
        return self._settings

    def start(self, *, triggered: bool, duration_s: float) -> None:
        """Begin a recording in the server; `duration_s` does not matter to it."""
        del duration_s
        if triggered:
            raise InstrumentError("an Otii streams the timing pin: it is not armed.")
        if self._settings is None:
            raise InstrumentError("the Otii is not set up yet: configure it first.")
        self.stop()
        self._taken = self._at = self._changes = 0
        self._last_fall = -2
        self._falls.clear()
        with _told("it does not record"):
            project = self._alive_server().get_active_project()
            project.start_recording()
            self._recording = (project, project.get_last_recording())
        if self._recording[1] is None:
            self._recording = None
            raise InstrumentError("the Otii server started no recording: look at its window.")

    def read(self, timeout_s: float) -> SampleChunk | None:
        """Samples that are old enough."""
        if self._recording is None or self._settings is None:
            raise InstrumentError("the Otii records nothing: start a capture first.")
        deadline = time.monotonic() + timeout_s
        while True:
            with _told("its recording cannot be read"):
                chunk = self._take(self._recording[1], self._settings.rate_hz)
            if chunk is not None or time.monotonic() >= deadline:
                return chunk
            time.sleep(min(POLL_S, max(deadline - time.monotonic(), 0.0)))

    def stop(self) -> None:
        """End the recording and remove it."""
        if self._recording is None:
            return
        (project, recording), self._recording = self._recording, None
        with _told("it does not stop"):
            project.stop_recording()
            recording.delete()

    def set_supply(self, on: bool) -> None:
        """Switch the board on or off."""
        with _told("it does not switch"):
            self._alive().set_main(on)

    def errors(self) -> list[str]:
        """It has no error queue: every request is answered."""
        return []

    def close(self) -> None:
        """End a recording and hang up; the board stays as it is."""
        if self._server is None:
            return
        with contextlib.suppress(EnergyError):
            self.stop()
        server, self._server = self._server, None
        with contextlib.suppress(Exception):
            server.disconnect()
        with contextlib.suppress(OSError):
            server.connection.close_connection()

    def __enter__(self) -> Self:
        """The instrument itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()

    def _alive_server(self) -> Any:
        if self._server is None:
            raise InstrumentError("the Otii is closed: open it again.")
        return self._server

    def _alive(self) -> Any:
        self._alive_server()
        return self._device

    def _take(self, recording: Any, rate_hz: float) -> SampleChunk | None:
        ratio = round(rate_hz / self._voltage_rate_hz)
        there = min(self._count(recording, "mc"), ratio * self._count(recording, "mv"))
        count = (there - self._taken - round(MARGIN_S * rate_hz)) // ratio * ratio
        count = min(count, MAX_SAMPLES // ratio * ratio)
        if count <= 0:
            return None
        self._read_changes(recording)
        current, t0_s = self._values(recording, "mc", self._taken, count, rate_hz)
        voltage, voltage_t0_s = self._values(recording, "mv", self._taken // ratio, count // ratio, rate_hz / ratio)
        if abs(t0_s - voltage_t0_s) > ratio / rate_hz:
            raise GarbledSamples("the Otii's current and voltage are of different times: start the server again.")
        lost = max(round(t0_s * rate_hz) - self._at, 0)
        begin = self._at + lost
        self._taken += count
        self._at = begin + count
        marker = self._levels(begin, count, rate_hz)
        return SampleChunk(current, np.repeat(voltage, ratio), marker, begin / rate_hz, rate_hz, lost)

    def _count(self, recording: Any, channel: str) -> int:
        return int(recording.get_channel_data_count(self._device.id, channel))

    def _values(
        self, recording: Any, channel: str, index: int, count: int, rate_hz: float
    ) -> tuple[NDArray[np.float32], float]:
        data = recording.get_channel_data(self._device.id, channel, index, count)
        values = np.array(data["values"], np.float32)
        if len(values) != count or abs(data["interval"] * rate_hz - 1) > 1e-3:
            raise GarbledSamples(
                f"{len(values)} of {count} samples of {channel}, {data['interval']:g} s apart: that is not {rate_hz:g} "
                "samples per second. Set it up again."
            )
        return values, float(data["timestamp"])

    def _read_changes(self, recording: Any) -> None:
        """Falls of the timing pin that came since the last time."""
        count = self._count(recording, "i1")
        if count > self._changes:
            data = recording.get_channel_data(self._device.id, "i1", self._changes, count - self._changes)
            self._falls.extend(float(change["timestamp"]) for change in data["values"] if not change["value"])
            self._changes += len(data["values"])

    def _levels(self, begin: int, count: int, rate_hz: float) -> NDArray[np.bool_]:
        """Low in the sample of a fall, however short it was; two falls never become one."""
        levels = np.ones(count, bool)
        while self._falls:
            at = max(int(self._falls[0] * rate_hz + 1e-6), self._last_fall + 2)
            if at >= begin + count:
                break
            self._falls.popleft()
            self._last_fall = at
            if at >= begin:
                levels[at - begin] = False
        return levels


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """What the client raises, plain Exception among it, as our own errors."""
    try:
        yield
    except EnergyError:
        raise
    except TimeoutError as error:
        raise InstrumentTimeout(f"{what}: no answer ({error}): start the Otii server again.") from None
    except Exception as error:
        why = getattr(error, "message", "") or str(error) or type(error).__name__
        raise InstrumentError(f"{what}: {why}. Look at the Otii server and start again.") from None
