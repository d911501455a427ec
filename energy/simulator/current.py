# SPDX-License-Identifier: Apache-2.0
"""The current model: what a board draws that executes this or that. The model and its numbers are in current.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energy.errors import EnergyError

TABLE = Path(__file__).with_name("current.toml")

CLASSES = (
    *("plain", "load", "store", "branch"),
    *("multiply", "multiple", "float", "float_transfer"),
    *("float_accumulate", "float_divide", "divide", "other"),
)
"""Classes of instructions, in the order in which the plugin counts them."""


@dataclass(frozen=True, slots=True)
class SupplyModel:
    """What feeds the board: volts without load, the resistance in between, a sine of ripple_v (amplitude) on top."""

    volts: float
    resistance_ohm: float
    ripple_v: float
    ripple_hz: float


@dataclass(frozen=True, slots=True)
class CurrentModel:
    """current.toml. charge_c: coulombs of one instruction, float64 (12,), in the order of CLASSES."""

    idle_a: float
    active_a: float
    wake_c: float
    wake_a: float
    charge_c: NDArray[np.float64]
    supply: SupplyModel

    def active(self, counts: NDArray[np.uint64], duration_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Amperes over slices that took duration_s (m,) > 0 and executed counts (m, 12)."""
        charge: NDArray[np.float64] = counts.astype(np.float64) @ self.charge_c
        return self.active_a + charge / duration_s


def load_model(path: Path = TABLE) -> CurrentModel:
    """Read the model. Raises EnergyError when the file is not whole."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        charge = np.array([float(table["charge_c"][name]) for name in CLASSES])
        board = {name: float(table["board"][name]) for name in ("idle_a", "active_a", "wake_c", "wake_a")}
        supply = {name: float(table["supply"][name]) for name in SupplyModel.__slots__}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnergyError(
            f"{path}: no current model ({error!r}). energy/simulator/current.toml is a whole one."
        ) from None
    if not all(np.isfinite(number) and number >= 0 for number in (*charge, *board.values(), *supply.values())):
        raise EnergyError(f"{path}: the numbers of a current model are 0 or more.")
    return CurrentModel(**board, charge_c=charge, supply=SupplyModel(**supply))
