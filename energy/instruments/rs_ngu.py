# SPDX-License-Identifier: Apache-2.0
"""Rohde & Schwarz NGU201/NGU401/NGM: it supplies the board and logs voltage and current (FastLog), begun by the timing
pin at its digital connector. Every 250 ms a chunk is ready and has to be fetched within 20 ms: a thread does it."""

from __future__ import annotations

import re
import threading
from queue import Empty, Queue
from typing import ClassVar

from energy.errors import GarbledSamples
from energy.instrument import SampleChunk, Settings
from energy.instruments._visa import VisaMonitor, floats, split_options
from energy.visa import Transcript

SUMMARY = "Rohde & Schwarz NGU/NGM: supply, voltage and current at up to 500 kS/s"
ADDRESS = "TCPIP0::HOST::5025::SOCKET"
IDN = r"Rohde ?& ?Schwarz,NG[MU]"

RATES = {"S500k": 500e3, "S250k": 250e3, "S050k": 50e3, "S010k": 10e3, "S001k": 1e3, "S100": 100.0}
CURRENT_LIMIT_A = 0.5  # enough for a board that starts; a short circuit does no harm
OPERATION = "STAT:OPER:INST:ISUM1"
DATA_READY = 1 << 12
QUESTIONABLE = "STAT:QUES:INST:ISUM1"
DATA_SKIPPED = 1 << 11
LOOK_S = 0.004
QUEUED = 64  # chunks: 16 s


def open_instrument(address: str, transcript: Transcript | None = None) -> RsNgu:
    """Open it and ask who it is. Raises EnergyError."""
    plain, _ = split_options(address, {})
    return RsNgu(plain, IDN, transcript=transcript)


def rate_of(name: str) -> float:
    """A rate as the instrument writes it, which differs between its manuals: S500k, S010K, 62K5, 976.

    Raises GarbledSamples.
    """
    found = re.fullmatch(r"S?(\d+)(?:[kK](\d*))?", name.strip())
    if found is None:
        raise GarbledSamples(f"FLOG:SRAT? was answered {name[:40]!r}, which is no sample rate.")
    whole, rest = found.groups()
    rate_hz = float(f"{whole}.{rest or 0}") * (1000 if rest is not None else 1)
    if not 0 < rate_hz < 1e9:
        raise GarbledSamples(f"FLOG:SRAT? was answered {name[:40]!r}, which is no sample rate.")
    return rate_hz


class RsNgu(VisaMonitor):
    """The supply's first channel."""

    name = "rs_ngu"
    is_supply = True
    default_rate_hz: ClassVar[float] = 500e3
    default_range_a: ClassVar[float | None] = 0.1

    _pump: threading.Thread | None = None

    def configure(self, wanted: Settings) -> Settings:
        """Set it up; returns what it took. The output stays as it is."""
        self.stop()
        fast = [name for name, rate_hz in RATES.items() if rate_hz >= wanted.rate_hz * 0.999]
        self._send(f"VOLT {wanted.voltage_v:.4f}", f"CURR {CURRENT_LIMIT_A}", doing="setting the supply")
        if wanted.range_a is None:
            self._send("SENS:CURR:RANG:AUTO 1", doing="setting the range")
        else:
            self._send(
                *("SENS:CURR:RANG:AUTO 0", f"SENS:CURR:RANG {wanted.range_a:g}"),
                doing=f"setting the range {wanted.range_a:g} A",
            )
        self._send(
            *("SENS:VOLT:RANG:AUTO 1", "FLOG:TARG SCPI", f"FLOG:SRAT {fast[-1] if fast else 'S500k'}"),
            doing=f"setting {wanted.rate_hz:g} samples per second",
        )
        self._send(
            *(f"{OPERATION}:PTR {DATA_READY}", f"{OPERATION}:NTR 0"),
            *(f"{QUESTIONABLE}:PTR {DATA_SKIPPED}", f"{QUESTIONABLE}:NTR 0"),
            *("TRIG:SOUR DIO", "TRIG:SOUR:DIO:CHAN OUT1", "TRIG:SOUR:DIO:PIN IN"),
            doing="setting events and trigger",
        )
        self._rate_hz = rate_of(self._session.query("FLOG:SRAT?"))
        range_a = None if wanted.range_a is None else self._positive("SENS:CURR:RANG?")
        return Settings(self._rate_hz, range_a, self._positive("VOLT?"))

    def start(self, *, triggered: bool, duration_s: float) -> None:
        """Log at once, or from the next falling edge on. It logs for ever: duration_s does not matter."""
        del duration_s
        self.stop()
        for register in (OPERATION, QUESTIONABLE):
            self._session.query(f"{register}:EVEN?")  # what happened before does not count
        commands = ("FLOG:TRIG 1", "TRIG 1") if triggered else ("FLOG 1",)
        self._send(*commands, doing="starting FastLog")
        self._taken = 0
        self._failure: Exception | None = None
        self._chunks: Queue[SampleChunk] = Queue(QUEUED)
        self._ending = threading.Event()
        self._pump = threading.Thread(target=self._fetch, name="rs_ngu", daemon=True)
        self._pump.start()

    def read(self, timeout_s: float) -> SampleChunk | None:
        """The next chunk of 250 ms."""
        try:
            return self._chunks.get(timeout=max(timeout_s, 0.001))
        except Empty:
            if self._failure is not None:
                raise self._failure from None
            return None

    def stop(self) -> None:
        """End the capture. May be called twice."""
        self._join()
        super().stop()

    def close(self) -> None:
        """Leave it safe and hang up. May be called twice; raises nothing."""
        self._join()
        super().close()

    def set_supply(self, on: bool) -> None:
        """Switch the output."""
        self._send(f"OUTP {int(on)}", doing="switching the output")

    def _join(self) -> None:
        if self._pump is not None:
            self._ending.set()
            self._pump.join()
            self._pump = None

    def _halt(self) -> None:
        for command in ("FLOG 0", "FLOG:TRIG 0", "TRIG 0"):
            self._session.write(command)

    def _fetch(self) -> None:
        """The thread: fetch every chunk as soon as it is there, and keep it for `read`."""
        lost = 0
        try:
            while not self._ending.is_set():
                if not self._events(OPERATION) & DATA_READY:
                    self._ending.wait(LOOK_S)
                    continue
                pairs = floats(self._session.query_block("FLOG:DATA?"), "<f4", columns=2)
                if self._events(QUESTIONABLE) & DATA_SKIPPED:
                    lost += len(pairs)  # at least one chunk; it does not tell how many
                self._session.check("reading FastLog")
                if self._chunks.full():  # nobody reads: what comes now is lost
                    lost += len(pairs)
                elif len(pairs):
                    self._chunks.put(self._chunk(pairs[:, 1], pairs[:, 0], lost))
                    lost = 0
        except Exception as error:  # whatever it is, `read` has to tell it
            self._failure = error

    def _events(self, register: str) -> int:
        return self._count(f"{register}:EVEN?")
