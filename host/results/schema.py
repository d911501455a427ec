"""The result record `tinyjoule.result/4`: types, validation, JSON.

The structs below are the schema. `encode` checks a record by reading back what it wrote; `decode` refuses unknown
fields, wrong types and numbers out of range with `ResultInvalid`.

Units are in the names. `latency_us` also carries its unit as text, because a microsecond of an emulated board is
not a microsecond of silicon.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from host.errors import ResultInvalid

SCHEMA: Final = "tinyjoule.result/4"
"""What is written. /1 to /3, which lack fields that have defaults here, are still read."""

Provenance = Literal["measured", "emulated", "replayed"]
Mode = Literal["performance", "accuracy", "energy"]
RulesName = Literal["quick", "mlperf"]

# Up to 2^53 every reader of JSON has them exactly, and nothing that computes with them overflows.
Count = Annotated[int, msgspec.Meta(ge=0, le=9007199254740992)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=9007199254740992)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Created = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$")]
SchemaName = Literal["tinyjoule.result/1", "tinyjoule.result/2", "tinyjoule.result/3", "tinyjoule.result/4"]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Wiring(_Record, frozen=True):
    """Where a board is connected, in words, as its board.ini has it: the host's line, the pin that bounds a window, and
    where a power monitor goes in."""

    uart: str
    timing_pin: str
    power: str


class BoardInfo(_Record, frozen=True):
    """What ran the model. `clock_hz` is null where a clock means nothing (the firmware as a host process); wiring: null
    where no board.ini tells it, and in older records."""

    name: str
    core: str
    clock_hz: Positive | None
    wiring: Wiring | None = None


class Sizes(_Record, frozen=True):
    """Bytes of an image: code with constants, initialised data, zeroed data with the arena's room. models: of the model
    files among the constants."""

    text: Count
    data: Count
    bss: Count
    models: Count

    @property
    def code(self) -> int:
        """What the program takes of the flash, its models left out."""
        return self.text + self.data - self.models


class FirmwareInfo(_Record, frozen=True):
    """As the device tells it; null where a stock firmware has no way to tell. `sha256` is of the ELF file; sizes: of
    the image, null where it is not here, and in older records."""

    version: str | None
    engine: str | None
    compiler: str | None
    flags: str | None
    sha256: Sha256 | None
    sizes: Sizes | None = None


class HostInfo(_Record, frozen=True):
    """What drove the board."""

    version: str
    python: str
    platform: str


class ModelInfo(_Record, frozen=True):
    """The model on the board. `sha256` and `arena_bytes` are null on a stock firmware, which cannot tell."""

    name: str
    source: str
    sha256: Sha256 | None
    arena_bytes: Positive | None


class DatasetInfo(_Record, frozen=True):
    """The inputs: `sha256` over all of the set's wire bytes in order, `n` how many were used.

    labels_sha256: over `name,label` of all of them, a line each; null in older records.
    """

    name: str
    source: str
    sha256: Sha256
    n: Positive
    labels_sha256: Sha256 | None = None


class Window(_Record, frozen=True):
    """`inferences` runs on one input between two clock reads of the device.

    host_us: the same window by the host's clock; null where the two have nothing to do with each other (an emulator).
    instructions: of one inference, the median one; null where nothing counts them.
    """

    input: str
    inferences: Positive
    duration_us: Positive
    host_us: Positive | None = None
    instructions: Positive | None = None


class Interval(_Record, frozen=True):
    """A confidence interval."""

    low: NonNegative
    high: NonNegative
    level: Fraction


class Latency(_Record, frozen=True):
    """Per inference, over the windows.

    cv: coefficient of variation, the sample standard deviation over the mean; null with one window. interval: of the
    median, by bootstrap over the windows; null with fewer than three.
    """

    median: NonNegative
    min: NonNegative
    max: NonNegative
    unit: str
    cv: NonNegative | None = None
    interval: Interval | None = None


class ClockCheck(_Record, frozen=True):
    """The device's clock against the host's over the `windows` long enough to tell.

    ratio: median of device time over host time. drift: |ratio - 1|; above `limit` it is reported. worst: the same of
    the window that is furthest off; null in older records.
    """

    ratio: NonNegative
    drift: NonNegative
    limit: Fraction
    windows: Positive
    worst: NonNegative | None = None


class Accuracy(_Record, frozen=True):
    """`target` and `met` are null unless the whole official set was used, nothing else may be compared with the
    official target, or a person set a target of their own.

    target_source: whose target it is: "official", "model" (its model.toml) or "user" (--target); null without one.
    value: null where the metric has none on these inputs (the area under the curve of one class); reason says why.
    auc: the area under the ROC curve, which the official runner reports beside top-1; null where there is none.
    """

    metric: Literal["top1", "auc"]
    value: Fraction | None
    n: Positive
    target: Fraction | None
    met: bool | None
    target_source: Literal["official", "model", "user"] | None = None
    auc: Fraction | None = None
    reason: str | None = None

    def text(self, value: float | None) -> str:
        """A value of the metric as people write it: top-1 in percent, the area under the curve as a fraction."""
        if value is None:
            return "no top-1" if self.metric == "top1" else "no AUC"
        return f"top-1 {value:.2%}" if self.metric == "top1" else f"AUC {value:.4f}"


class OperatorCost(_Record, frozen=True):
    """One operator of the model, per inference. macs: multiply-accumulates, those on padding included. bytes: of its
    weights and other constants, of the activations it reads and of those it writes, each tensor once.

    us, cycles, instructions: null where the engine leaves the operator out because it costs nothing, and where nothing
    counts them. uj: microjoules, gross, where the operators' times were laid over a power trace."""

    index: Count
    name: str
    shape: list[Count]
    macs: Count
    bytes: Count
    us: NonNegative | None
    cycles: NonNegative | None
    instructions: Count | None
    uj: float | None = None


class Profile(_Record, frozen=True):
    """Where the time of one inference goes: means over `inferences` runs on one input.

    whole_*: of as many inferences on the same input that nobody watched, by turns with those that were. resolution_us:
    of the clock, in each run. deviation: what the operators add up to, less the whole, as a part of the whole; of the
    instructions where they are counted, else of the cycles, else of the time. latency_us of the run says what a
    microsecond is worth. energy_deviation: the operators' energy, less the window's, as a part of it; null without one.
    """

    input: str
    inferences: Positive
    operators: list[OperatorCost]
    whole_us: NonNegative
    whole_cycles: NonNegative | None
    whole_instructions: Positive | None
    resolution_us: NonNegative
    deviation: float
    energy_deviation: float | None = None


class EnergyWindow(_Record, frozen=True):
    """Two falling edges of the timing pin with `inferences` runs on one input between them, as an instrument saw it.

    window: its number, from 0. energy_uj: of the whole window, gross. u_uj: its expanded uncertainty (k = 2), without
    the scatter between windows; null without accuracy data. duration_s: by the instrument's clock. device_us: by the
    board's; null where it does not tell. clock_ratio: the board's time over the instrument's. The figures are null
    where the window is so broken that they mean nothing. reasons: why it is not valid.
    """

    window: Count
    input: str
    inferences: Positive
    valid: bool
    reasons: list[str]
    energy_uj: float | None
    u_uj: NonNegative | None
    duration_s: NonNegative | None
    device_us: Positive | None
    mean_mw: float | None
    clock_ratio: NonNegative | None
    samples: Count
    lost_samples: Count
    overloads: Count
    range_switches: Count


class BudgetTerm(_Record, frozen=True):
    """One term of the uncertainty: its standard uncertainty (k = 1), per inference."""

    term: str
    u_uj: NonNegative


class MonitorInfo(_Record, frozen=True):
    """The instrument. range_a: null with auto-range. voltage: assumed where nothing measured it, then voltage_v says
    what was assumed or set. windows: how it found them. accuracy_source: where its accuracy is from; null: no data."""

    name: str
    idn: str
    rate_hz: NonNegative
    range_a: NonNegative | None
    voltage: Literal["measured", "assumed"]
    voltage_v: NonNegative
    windows: Literal["marker", "trigger"]
    accuracy_source: str | None


class Energy(_Record, frozen=True):
    """Energy of one inference: medians over the valid windows, in microjoules unless a name says otherwise.

    value: `net` when the session asked for it, else `gross`; these and mean_mw are null without a valid window. u: the
    value's expanded uncertainty; null: no accuracy data.
    net: gross less the idle power over the window; null unless asked for. idle_mw: mean of before and after; null when
    it could not be measured. idle_drift: after over before, less 1. mean_mw: over the windows.
    budget: the terms of the window whose value is the median, and the scatter. clock_ratio: median over the windows.
    """

    value: float | None
    u: NonNegative | None
    k: NonNegative
    gross: float | None
    net: float | None
    idle_mw: float | None
    idle_before_mw: float | None
    idle_after_mw: float | None
    idle_drift: float | None
    mean_mw: float | None
    windows: list[EnergyWindow]
    budget: list[BudgetTerm]
    monitor: MonitorInfo
    lost_samples: Count
    clock_ratio: NonNegative | None


class Unit(_Record, frozen=True):
    """One board of the session. `port`: null where it is emulated by the session itself. link: the protocol of inputs
    and outputs; baud: null where the line has none. inputs: finished on it, of all tasks. dropped: why it left the
    session; null when it did not."""

    name: str
    port: str | None
    build_id: str | None
    link: Literal["stock", "frames"]
    baud: Positive | None
    inputs: Count
    dropped: str | None = None


class Run(_Record, frozen=True):
    """One task in one mode. unit: the board it ran on, by its place in `units`; null when it was spread over all."""

    task: str
    mode: Mode
    rules: RulesName
    valid: bool
    reasons: list[str]
    model: ModelInfo
    dataset: DatasetInfo
    windows: list[Window]
    latency_us: Latency | None
    throughput_inf_per_s: NonNegative | None
    instructions_per_inference: Positive | None
    accuracy: Accuracy | None
    energy_uj: Energy | None = None
    profile: Profile | None = None
    clock: ClockCheck | None = None
    unit: Count | None = None


class Result(_Record, frozen=True):
    """One result folder. `board` and `firmware` are those of the first of `units`."""

    schema: SchemaName
    provenance: Provenance
    created: Created
    board: BoardInfo
    firmware: FirmwareInfo
    host: HostInfo
    runs: list[Run]
    units: list[Unit] = []


def decode(text: bytes) -> Result:
    """Read a record. Raises ResultInvalid naming the field that breaks the schema."""
    try:
        result = msgspec.json.decode(text, type=Result)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResultInvalid(f"not a {SCHEMA} record: {error}. Was the file edited or cut short?") from error
    for run in result.runs:
        if run.valid and run.reasons:
            raise ResultInvalid(f"run {run.task} is marked valid but gives reasons against it: {run.reasons}")
    return result


def encode(result: Result) -> bytes:
    """The record as indented JSON, checked by reading it back."""
    text = msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n"
    if decode(text) != result:
        raise ResultInvalid("the record does not survive being written and read back: this is a bug in tinyjoule")
    return text
