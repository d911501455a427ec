"""Run rules: what makes a window long enough, which target counts, and why a run is not valid.

Source of `mlperf`: the MLPerf Tiny run rules. Performance: 5 inputs, windows of at least 10 s and 10 inferences, the
median counts. Energy: the same, between two falling edges of the timing pin. Accuracy: every input of the official set,
and the official target met. All on the official model.
`quick` is for a fast look and is marked so wherever its numbers appear.

What `mlperf` takes on trust: a stock firmware cannot prove which model it runs, so its own word for the task counts.
The inputs of a performance run may be any five different ones: an inference takes as long on one as on another, and the
record names them. That a board is emulated breaks no rule here; it is in the record's provenance and in every table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from energy.window import CLOCK_LIMIT, CLOCKS_DISAGREE
from host.catalog import Dataset, ModelFile
from host.results.schema import Accuracy, EnergyWindow, ModelInfo, RulesName, Window

NOT_OFFICIAL = "is not the official one that the mlperf rules ask for"
UNDER_TARGET = "under the official target"
"""In the reasons of the mlperf rules that hold in the closed division alone."""


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


@dataclass(frozen=True, slots=True)
class Target:
    """The quality to reach, a fraction, and who says so."""

    value: float
    source: Literal["official", "model", "user"]


def judged_model(model: ModelFile, on_board: ModelInfo) -> ModelFile:
    """The model that the rules judge a run by: the catalogue's, or on stock firmware whatever was flashed.

    Who names an added model (--model) says that it is the one that was flashed: it never is official.
    """
    if on_board.sha256 is not None or model.added:
        return model
    return replace(model, name=on_board.name, source=on_board.source, official=True)


def whole_official_set(dataset: Dataset, used: int) -> bool:
    """Whether `used` inputs of `dataset` are what the official target is defined on."""
    return dataset.official and used == len(dataset.items)


def quality_target(dataset: Dataset, model: ModelFile, used: int, wanted: float | None = None) -> Target | None:
    """What `used` inputs are held against; None when nothing may be.

    wanted: --target, which comes first, on any inputs. Then model.toml's, on a whole data set. The official one counts
    for the official model on the whole official set and for nothing else.
    """
    if wanted is not None:
        return Target(wanted, "user")
    if model.quality_target is not None and used == len(dataset.items):
        return Target(model.quality_target, "model")
    if model.official and whole_official_set(dataset, used):
        return Target(dataset.target, "official")
    return None


def long_enough(inferences: int, duration_us: int, rules: Rules) -> bool:
    """Whether a window satisfies the rules."""
    return duration_us >= rules.min_window_us and inferences >= rules.min_inferences


def performance_reasons(rules: Rules, windows: Sequence[Window], model: ModelFile) -> tuple[str, ...]:
    """Why these windows break the rules and what to do about it; nothing when they keep them."""
    reasons = list(_model_reasons(rules, model))
    if len(windows) < rules.min_windows:
        reasons.append(
            f"{len(windows)} windows where the {rules.name} rules ask for {rules.min_windows}: leave out --inputs, or "
            f"use a data set of {rules.min_windows} inputs"
        )
    if len({window.input for window in windows}) != len(windows):
        reasons.append("the same input was used twice: use a data set with different names")
    for number, window in enumerate(windows, start=1):
        if not long_enough(window.inferences, window.duration_us, rules):
            reasons.append(
                f"window {number}: {window.inferences} inferences in {window.duration_us / 1e6:.3f} s, the "
                f"{rules.name} rules ask for {rules.min_inferences} in {rules.min_window_us / 1e6:g} s: run it again"
            )
    return tuple(reasons)


def energy_reasons(
    rules: Rules, windows: Sequence[EnergyWindow], clock_ratio: float | None, model: ModelFile
) -> tuple[str, ...]:
    """Why these windows break the rules and what to do about it. clock_ratio: the board's time over the monitor's."""
    reasons = list(_model_reasons(rules, model))
    valid = [window for window in windows if window.valid]
    if len(valid) < rules.min_windows:
        reasons.append(
            f"{len(valid)} valid windows where the {rules.name} rules ask for {rules.min_windows}"
            + ("" if len(valid) < len(windows) else ": leave out --inputs")
            + "".join(f"; window {one.window + 1}: {one.reasons[0]}" for one in windows if one.reasons)
        )
    if len({window.input for window in windows}) != len(windows):
        reasons.append("the same input was used twice: use a data set with different names")
    for window in valid:
        if not long_enough(window.inferences, round((window.duration_s or 0.0) * 1e6), rules):
            reasons.append(
                f"window {window.window + 1}: {window.inferences} inferences in {window.duration_s or 0.0:.3f} s, the "
                f"{rules.name} rules ask for {rules.min_inferences} in {rules.min_window_us / 1e6:g} s: run it again"
            )
    off = [window.window + 1 for window in windows if any(why.startswith(CLOCKS_DISAGREE) for why in window.reasons)]
    if off and (clock_ratio is None or abs(clock_ratio - 1) <= CLOCK_LIMIT):
        reasons.append(
            f"in window {', '.join(map(str, off))} the board's clock and the power monitor's differ by more than "
            f"{CLOCK_LIMIT:.0%}: samples may be lost without a word. Run it again, at a lower rate if it stays so"
        )
    if clock_ratio is not None and abs(clock_ratio - 1) > CLOCK_LIMIT:
        reasons.append(
            f"the board's clock goes {clock_ratio - 1:+.2%} against the power monitor's, {CLOCK_LIMIT:.0%} at "
            "most is right: check the board's oscillator, board_clock_us() of its port, and that no samples are lost"
        )
    return tuple(reasons)


def accuracy_reasons(rules: Rules, dataset: Dataset, accuracy: Accuracy, model: ModelFile) -> tuple[str, ...]:
    """Why this accuracy run breaks the rules, or misses the target a person has set with --target."""
    reasons = list(_model_reasons(rules, model))
    if accuracy.target_source == "user" and not accuracy.met:
        reasons.append(
            f"{accuracy.text(accuracy.value)}, under the {accuracy.text(accuracy.target)} that --target asks for"
        )
    if rules.name != "mlperf":
        return tuple(reasons)
    if not whole_official_set(dataset, accuracy.n):
        reasons.append(
            f"{accuracy.n} inputs ({dataset.source}) where the mlperf rules ask for the whole official set: "
            f"leave out --inputs, get the set with `host data fetch {dataset.task}`, or use --rules quick"
        )
    elif accuracy.value is None or accuracy.value < dataset.target:
        reasons.append(
            f"{accuracy.text(accuracy.value)}, {UNDER_TARGET}, {accuracy.text(dataset.target)}: check with "
            "`host verify` that the board gives what the model gives"
        )
    return tuple(reasons)


def _model_reasons(rules: Rules, model: ModelFile) -> tuple[str, ...]:
    if rules.name != "mlperf" or model.official:
        return ()
    way = "leave out --model" if model.added else "`host models` tells where to get it"
    return (f"the model {model.name} ({model.source}) {NOT_OFFICIAL}: {way}; or use --rules quick",)
