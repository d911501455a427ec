"""The record `tinyjoule.engine-bench/1`: what each engine takes for each official model on each emulated core.

Everything here is emulated: exact counts of executed instructions, which are not cycles.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from host.errors import ResultInvalid
from host.results.schema import BoardInfo, Count, HostInfo, ModelInfo, Positive, _Record

SCHEMA: Final = "tinyjoule.engine-bench/1"


class Bars(_Record, frozen=True):
    """What a figure is held against, null where there is nothing. TFLM's are of the baseline, not of this session.

    must, aim: instructions per inference that tflite_c is to stay under. The others are upstream TFLM's: with CMSIS-NN
    and with reference kernels on the same core; arena, set-up and text (the program without the model) with CMSIS-NN
    on a Cortex-M4F.
    """

    must: Positive | None
    aim: Positive | None
    tflm_cmsis_nn: Positive | None
    tflm_reference: Positive | None
    tflm_arena_bytes: Positive
    tflm_setup_instructions: Positive | None
    tflm_text_bytes: Positive


class Entry(_Record, frozen=True):
    """One model on one engine and core. Instructions are exact; `load`: engine_load; input: what the model was given.

    cycles_estimate: of a Cortex-M4, from `classes` (executed instructions by class) and a table; null on other cores.
    """

    board: BoardInfo
    engine: str
    task: str
    model: ModelInfo
    input: str
    macs: Positive
    instructions: Positive
    load_instructions: Positive
    bars: Bars
    cycles_estimate: Positive | None
    classes: dict[str, Count] | None

    @property
    def per_mac(self) -> float:
        """Instructions per multiply-accumulate."""
        return self.instructions / self.macs

    @property
    def to_tflm(self) -> float | None:
        """Instructions relative to TFLM with CMSIS-NN on the same core; None where that was not measured."""
        return self.instructions / self.bars.tflm_cmsis_nn if self.bars.tflm_cmsis_nn else None


class ImageInfo(_Record, frozen=True):
    """One firmware. text: code and constants of the engine alone, without models.

    basic: the same with the seven operators of the official models only; with_libraries: and what it takes from the
    compiler's and C's libraries; both are null where nothing is held against them.
    """

    board: str
    engine: str
    compiler: str
    flags: str
    engine_text_bytes: Positive
    basic_text_bytes: Positive | None
    basic_with_libraries_bytes: Positive | None
    must_text_bytes: Positive | None


class EngineBench(_Record, frozen=True):
    """One session. baseline: where TFLM's figures come from; cycles: where the table of the estimate does."""

    schema: Literal["tinyjoule.engine-bench/1"]
    provenance: Literal["emulated"]
    created: str
    host: HostInfo
    emulator: str
    baseline: dict[str, str]
    cycles: str
    images: list[ImageInfo]
    entries: list[Entry]


def encode(bench: EngineBench) -> bytes:
    """The record as indented JSON, with the ratios for people, checked by reading it back."""
    plain = msgspec.to_builtins(bench)
    for entry, record in zip(bench.entries, plain["entries"], strict=True):
        record["instructions_per_mac"] = round(entry.per_mac, 3)
        record["instructions_to_tflm_cmsis_nn"] = None if entry.to_tflm is None else round(entry.to_tflm, 3)
    text = msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n"
    if decode(text) != bench:
        raise ResultInvalid("the record does not survive being written and read back: this is a bug in tinyjoule")
    return text


def decode(text: bytes) -> EngineBench:
    """Read a record; the ratios follow from the rest. Raises ResultInvalid naming the field that breaks the schema."""
    try:
        plain = msgspec.json.decode(text)
        for record in plain["entries"]:
            for name in ("instructions_per_mac", "instructions_to_tflm_cmsis_nn"):
                record.pop(name, None)
        return msgspec.convert(plain, EngineBench)
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ResultInvalid(f"not a {SCHEMA} record: {error}. Was the file edited or cut short?") from error
