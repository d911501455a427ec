# SPDX-License-Identifier: Apache-2.0
"""What feeds the emulated board: its true voltage over time, and what flows when it is switched off.

v(t) = volts - resistance * i(t) + ripple * sin(2 pi f (t - the last falling edge of the timing pin))

All integrals are exact, in closed form. The ripple begins anew at every falling edge, so that a window's energy does
not depend on how long the board slept before it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from energy.simulator.current import SupplyModel
from energy.simulator.load import LoadPiece

Array = NDArray[np.float64]
_KEPT_EDGES = 256  # nobody asks for times before so many edges


class Supply:
    """The supply at the board's pins. Used from one thread."""

    def __init__(self, model: SupplyModel) -> None:
        """It is on."""
        self._model = model
        self.volts = model.volts
        """Without load. May be set at any time: it holds for what is computed from then on."""
        self.on = True
        """Off: no voltage, and no current flows from the next `advance` on. The load goes on all the same: an emulated
        board does not notice."""
        self._edges = np.zeros(1)
        self._before = np.zeros(1)  # the ripple's integral up to each edge

    def advance(self, piece: LoadPiece) -> LoadPiece:
        """What flows of the piece. To be called once for every piece, in order, before anything is computed of it."""
        for time_s, level in piece.pin:
            if not level:
                before = self._ripple_integral(np.array([time_s]))
                self._edges = np.append(self._edges, time_s)[-_KEPT_EDGES:]
                self._before = np.append(self._before, before)[-_KEPT_EDGES:]
        return piece if self.on else replace(piece, current_a=np.zeros_like(piece.current_a))

    def mean_voltage(self, begin_s: Array, end_s: Array, mean_a: Array) -> Array:
        """Exact means of v over [begin, end) each, (m,), when the mean current is known; up to the last piece."""
        if not self.on:
            return np.zeros_like(mean_a)
        ripple = (self._ripple_integral(end_s) - self._ripple_integral(begin_s)) / (end_s - begin_s)
        return self.volts - self._model.resistance_ohm * mean_a + ripple

    def energy(self, piece: LoadPiece, begin_s: float, end_s: float) -> float:
        """Joules that the board takes in the part of an advanced piece between two times. Exact."""
        knots = np.clip(np.concatenate(([piece.begin_s], piece.ends_s)), begin_s, end_s)
        mean_v = self.volts - self._model.resistance_ohm * piece.current_a
        flux = mean_v * np.diff(knots) + np.diff(self._ripple_integral(knots))
        return float(np.sum(piece.current_a * flux)) if self.on else 0.0

    def _ripple_integral(self, time_s: Array) -> Array:
        """Volt seconds of the ripple from 0 on, (m,)."""
        at = np.maximum(np.searchsorted(self._edges, time_s, side="right") - 1, 0)
        turn = 2 * np.pi * self._model.ripple_hz
        if turn == 0:
            return np.zeros_like(time_s)
        return self._before[at] + self._model.ripple_v / turn * (1 - np.cos(turn * (time_s - self._edges[at])))
