"""Run rules: what makes a window long enough and a run valid.

Source of `mlperf`: the MLPerf Tiny run rules (5 inputs, windows of at least 10 s and 10 inferences, the median counts).
`quick` is for a fast look and is marked so wherever its numbers appear.
"""

from __future__ import annotations

from dataclasses import dataclass

from host.results.schema import RulesName


@dataclass(frozen=True, slots=True)
class Rules:
    """windows: how many are made; with fewer than min_windows a run is not valid. min_window_us: device time."""

    name: RulesName
    windows: int
    min_windows: int
    min_window_us: int
    min_inferences: int
    warmup: int


RULES: dict[str, Rules] = {
    "quick": Rules("quick", windows=5, min_windows=1, min_window_us=200_000, min_inferences=1, warmup=1),
    "mlperf": Rules("mlperf", windows=5, min_windows=5, min_window_us=10_000_000, min_inferences=10, warmup=10),
}
