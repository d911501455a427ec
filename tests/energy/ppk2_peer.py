# SPDX-License-Identifier: Apache-2.0
"""A small PPK2 at the far end of a pty: it takes the vendor's bytes, and makes its words from currents, by its own
calibration. What it computes is the inverse of what the adapter has to do, written down a second time."""

from __future__ import annotations

import os
import select
import threading
import tty
from typing import Self

import numpy as np
from numpy.typing import NDArray

R = (1003.35, 101.12, 10.1, 0.98, 0.051)
O = (112.4, 81.9, 69.0, 61.2, 58.0)  # noqa: E741  (the device's own name)
S = (1e-9, 2e-9, 0.0, 3e-8, 0.0)
I = (-4e-9, 0.0, 1e-8, 0.0, 2e-6)  # noqa: E741
GI = (1.001, 0.999, 1.002, 0.9985, 1.0)
UPPER_A = (45e-6, 450e-6, 4.5e-3, 65e-3, 1.2)
STEP_V = 1.8 / 163840
BATCH = 2000


def words_of(current_a: NDArray[np.float64], marker: NDArray[np.bool_], volts: float) -> NDArray[np.uint32]:
    """One word for each current, the smallest range that holds it, the counter from 0."""
    ranges = np.searchsorted(UPPER_A, current_a).clip(0, 4)
    shunt, zero, gain = np.array(R)[ranges], np.array(O)[ranges], np.array(GI)[ranges]
    offset = np.array(S)[ranges] * volts + np.array(I)[ranges]
    codes = np.rint(((current_a - offset) / gain * shunt / STEP_V + zero) / 4).clip(0, (1 << 14) - 1)
    counter = np.arange(len(current_a)) % 64
    word = codes.astype(np.int64) | ranges << 14 | counter << 18 | marker.astype(np.int64) << 24 | 0xA2 << 24
    return word.astype(np.uint32)


class Peer:
    """Plays `words` once for each start; `damage` may change the bytes of it. Lives in a thread."""

    def __init__(self, words: NDArray[np.uint32] | None = None) -> None:
        self.words = words if words is not None else np.empty(0, np.uint32)
        self.received = bytearray()
        self.says_mv: int | None = None
        self.mute = False
        self.on = False
        self._volts_mv = 5000
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave = slave
        self._stop_read, self._stop_write = os.pipe()
        self._playing: memoryview | None = None
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        os.write(self._stop_write, b".")
        self._thread.join()
        for number in (self._master, self._slave, self._stop_read, self._stop_write):
            os.close(number)

    def metadata(self) -> bytes:
        lines = ["Calibrated: 0"]
        for name, values in (("R", R), ("O", O), ("S", S), ("I", I), ("GI", GI)):
            lines += [f"{name}{index}: {value:.9g}" for index, value in enumerate(values)]
        lines += [f"GS{index}: 0.0" for index in range(5)]
        lines += [f"UG{index}: 1.0" for index in range(5)]
        lines += [f"VDD: {self.says_mv or self._volts_mv}", "HW: 9173", "mode: 2", "IA: 59", "END"]
        return ("\n".join(lines) + "\n").encode()

    def _serve(self) -> None:
        while True:
            wants = [self._master] if self._playing else []
            readable, writable, _ = select.select([self._master, self._stop_read], wants, [])
            if self._stop_read in readable:
                return
            if self._master in readable:
                self._take(os.read(self._master, 4096))
            if writable and self._playing:
                sent = os.write(self._master, self._playing[: 4 * BATCH])
                self._playing = self._playing[sent:] or None

    def _take(self, data: bytes) -> None:
        self.received += data
        while data:
            length = {0x0C: 2, 0x0D: 3, 0x11: 2}.get(data[0], 1)
            self._act(data[:length])
            data = data[length:]

    def _act(self, command: bytes) -> None:
        if self.mute:
            return
        if command[0] == 0x19:
            os.write(self._master, self.metadata())
        elif command[0] == 0x0D:
            self._volts_mv = int.from_bytes(command[1:], "big")
        elif command[0] == 0x0C:
            self.on = command[1] == 1
        elif command[0] == 0x06:
            self._playing = memoryview(self.words.tobytes())
        elif command[0] == 0x07:
            self._playing = None
