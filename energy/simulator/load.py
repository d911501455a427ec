# SPDX-License-Identifier: Apache-2.0
"""What the virtual analyser's inputs are connected to: a current over time, and the timing pin.

A load is read in pieces of time that follow each other without a gap. Between two ends the current is constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LoadPiece:
    """A piece of true time, in seconds since the load was connected, m >= 1 segments.

    begin_s: of the first segment. ends_s: float64 (m,), strictly rising. current_a: float64 (m,), true, of each.
    pin: the level changes of the timing pin in this piece, (time, level after it), in order.
    """

    begin_s: float
    ends_s: NDArray[np.float64]
    current_a: NDArray[np.float64]
    pin: tuple[tuple[float, bool], ...]


class Load(Protocol):
    """Where pieces come from. Used from one thread."""

    def read(self, timeout_s: float) -> LoadPiece | None:
        """The next piece; None when there is none within timeout_s. Raises EOFError when none will ever come."""

    def pending(self) -> bool:
        """Whether something has happened that was not read yet, so that `read` would return it at once. A load that
        waits for nobody, such as a board that runs, has to be read all the time."""

    def close(self) -> None:
        """Disconnect. May be called twice."""
