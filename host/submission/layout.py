# SPDX-License-Identifier: Apache-2.0
"""The layout of a submission package, and what its files hold. Nothing here reads or writes a file.

```
<division>/<organization>/systems/<system>.json
<division>/<organization>/code/<benchmark>/<system>/...
<division>/<organization>/results/<system>/<benchmark>/<mode>/{log.txt,results.txt,results.json}
```

A benchmark has `performance` and `accuracy`, and may have `energy`. Names of folders are `NAME`.

systems/<system>.json
    One JSON object of strings, with the keys of SYSTEM_FIELDS and no others. `Status` is one of STATUS.

log.txt
    ASCII, lines end in LF, nothing is behind the last one. Every line is

        MMDD.HHMMSS SOURCE: TEXT

    The stamp is UTC, never falls behind the line before but where a year ends, and is right to within the seconds
    that opening a board took: the lines of the session carry seconds since its start. In TEXT every character outside
    ' '..'~' is escaped, and the backslash doubled, as Python's `unicode_escape` does it, JSON in it not excepted:
    it is read when that has been taken back. Trailing spaces are kept.
    SOURCE is one of
        tinyjoule   the first line, and nothing else: TEXT is the JSON object `LogHead`
        host        a command as it was sent to the device, with its `%`
        dut         a line that the device answered
        note        what the host says about it. Where it sent an input in `db HH..` commands, they and the bare
                    `m-ready` behind each are one line: `N db commands with N bytes of input left out here`
        ulp-mlperf  the record, below
    Where a session had several boards, host, dut and note have its number behind a dot, from 1: `dut.2`.
    First comes the head; then the session's own lines, of this benchmark alone as far as they tell; then the record,
    which nothing interrupts. Every lap and every result that the text protocol carried is thus there twice: as the
    device said it, and in the record. Windows that were too short and calibration are among the session's lines only.
    (Inputs and outputs of an accuracy run on the fast link are binary and leave no lines.)

The record of a performance run: for each window, in order from 1,

        Performance results for window 1:
          Input        : "tst_000000_Stop_7.bin"          a JSON string
          # Inferences :          250
          Runtime      :    10.862042 sec.                by the device, to the microsecond
          Throughput   :       23.016 inf./sec.           `throughput_text` of # Inferences / Runtime
        Runtime requirements have been met.

    and then RULER, `Median throughput is     23.016 inf./sec.` (the median of the throughputs), RULER.

The record of an energy run: for each window, in order from 1,

        Energy data for window 1:
          Input        : "tst_000000_Stop_7.bin"
          # Inferences :          250
          Duration     :    10.886123 sec.                by the power monitor
          Device time  :    10.862042 sec.                by the device; `not told` where it does not say
          Energy       :   357855.490123 uJ               of the whole window
          Uncertainty  :      612.480000 uJ               of that, k = 2, without the scatter; `not known`
          Energy/Inf.  :     1431.421960 uJ/inf.          Energy / # Inferences

    and then RULER, `Median energy cost is 1431.4 uJ/inf.` (the median of Energy/Inf. as written, `energy_text`),
    `Expanded uncertainty is 2.5 uJ/inf., k = 2.` or `Expanded uncertainty is not known.`, RULER.

The record of an accuracy run: for each input, in the order of the data set from 1,

        Input 1 of 1000: {"name":"tst_000000_Stop_7.bin","label":7,"outputs":[0.0,...],"score":null,"predicted":7}

    the JSON object `LogInput`, and then `Top 1% = 90.1` where inputs have a class predicted, and `AUC = 0.995` where
    there is one: `percent_text` and `fraction_text`, which never round up.

results.txt
    The record's lines as they are in log.txt, without those that name an input (`  Input ...` and `Input ...`).

results.json
    `Record` with its seal, as `encode` writes it.

SHA256SUMS, in every folder of code
    The hash of every other file there. The folder has a README, which says how the firmware is built.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Final, Literal

import msgspec

from energy.uncertainty import rounded
from host.errors import ResultInvalid
from host.results.schema import BoardInfo, Count, FirmwareInfo, HostInfo, Mode, Run, Sha256, Unit

SCHEMA: Final = "tinyjoule.submission/1"
LOG_SCHEMA: Final = "tinyjoule.log/1"

Division = Literal["closed", "open"]
BenchmarkName = Literal["ad", "ic", "kws", "vww", "sww"]
DIVISIONS: Final[tuple[Division, ...]] = ("closed", "open")
MODES: Final[tuple[Mode, ...]] = ("performance", "accuracy", "energy")
REQUIRED: Final[tuple[Mode, ...]] = ("performance", "accuracy")
"""Of every benchmark in a package; energy may be there besides."""
LOG_FILE: Final = "log.txt"
RESULTS_FILE: Final = "results.txt"
RECORD_FILE: Final = "results.json"
FILES: Final = (LOG_FILE, RESULTS_FILE, RECORD_FILE)
"""What a folder of results holds, and nothing else."""

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
"""Of organization and system: to be matched whole."""
CODE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")
"""Of every file and folder of the code: to be matched whole."""
CODE_CACHES: Final = ("__pycache__", "build", "node_modules")
"""Folders that the code never has."""
SUMS_FILE: Final = "SHA256SUMS"
"""In a folder of code: `<sha256>  <path>` and a line feed for every other file there, in the order of their paths."""
MAX_FILE_BYTES: Final = 500 * 1024 * 1024
STATUS: Final = ("available", "preview", "rdi")
"""In small letters; a file may write them in others."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark of MLPerf Tiny: our task, the official accuracy set and what has to be reached on it, a fraction."""

    name: BenchmarkName
    task: str
    metric: Literal["top1", "auc"]
    target: float
    inputs: int


BENCHMARKS: Final = {
    one.name: one
    for one in (
        Benchmark("ad", "ad01", "auc", 0.85, 248),
        Benchmark("ic", "ic01", "top1", 0.85, 200),
        Benchmark("kws", "kws01", "top1", 0.90, 1000),
        Benchmark("vww", "vww01", "top1", 0.80, 1000),
    )
}
"""Those that a package of ours may hold. Nothing here measures sww; ic02 has no place in the layout."""

# A space ends this key in every published system, and in MLCommons' own template.
OPERATING_SYSTEM: Final = "Operating System "
SYSTEM_FIELDS: Final = (
    "Submitter",
    "Division",
    "Status",
    "Board Name",
    "Board Memory capacity (not including SoC, processor, or accelerator)",
    "Board Memory type",
    "Board storage capacity",
    "Board storage type",
    "SoC Name",
    "SoC Memory capacity (not including processor or accelerator)",
    "SoC Memory type",
    "SoC storage capacity",
    "SoC storage type",
    "Processor(s) Name",
    "Processor(s) Frequencies",
    "Processor memory type and capacity",
    "Processor storage type and capacity",
    "Accelerator",
    "Accelerator(s) Frequencies",
    "Accelerator memory type and capacity",
    "Accelerator storage type and capacity",
    "Hardware Notes",
    "Inference Framework",
    "Software Libraries",
    OPERATING_SYSTEM,
    "Other Software Stack",
    "Software Notes",
    "Quantization Method",
    "Training framework (open division)",
    "ML Model Compiler(s)",
    "General Compiler(s)",
    "Other Software",
    "Training and Quantization Notes",
)
NEEDED_FIELDS: Final = (
    "Submitter",
    "Division",
    "Status",
    "Board Name",
    "SoC Name",
    "Processor(s) Name",
    "Processor(s) Frequencies",
    "Inference Framework",
    OPERATING_SYSTEM,
    "General Compiler(s)",
)
"""Those that may not be empty."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class LogHead(_Strict, frozen=True):
    """The first line of log.txt. windows: how many the record has, 0 of an accuracy run; inputs: how many of those."""

    log: Literal["tinyjoule.log/1"]
    benchmark: BenchmarkName
    task: str
    mode: Mode
    provenance: Literal["measured"]
    rules: Literal["mlperf"]
    session: str
    board: str
    model_sha256: Sha256 | None
    dataset_sha256: Sha256
    windows: Count
    inputs: Count


class LogInput(_Strict, frozen=True):
    """One input of an accuracy run. outputs: a number per class, or where the model gives one number and the input has
    several windows, one for each; score: then their mean; predicted: else the class of the largest output, the first
    at a tie."""

    name: str
    label: Count
    outputs: list[float]
    score: float | None
    predicted: Count | None


class Record(_Strict, frozen=True):
    """What is said of one folder of results.

    session: the id of the session that measured it, one for all its folders. created: when that began. run: the
    session's own record, without a profile; in the open division it may be not valid, for the model it is of and the
    accuracy that this has. model_file: the model in the package, from its root; null where a stock
    firmware does not say which it has. result_sha256, journal_sha256, transcript_sha256: of result.json, journal.jsonl
    and log.jsonl in the session's folder, which stays with whoever measured. log_sha256, results_sha256: of log.txt and
    results.txt beside this file. code_sha256: of SUMS_FILE in the folder of the code. seal: see `sealed`.
    """

    schema: Literal["tinyjoule.submission/1"]
    division: Division
    organization: str
    system: str
    benchmark: BenchmarkName
    mode: Mode
    provenance: Literal["measured"]
    session: str
    created: str
    board: BoardInfo
    firmware: FirmwareInfo
    host: HostInfo
    units: list[Unit]
    run: Run
    model_file: str | None
    result_sha256: Sha256
    journal_sha256: Sha256
    transcript_sha256: Sha256
    log_sha256: Sha256
    results_sha256: Sha256
    code_sha256: Sha256
    seal: Sha256 = "0" * 64


def decode(text: bytes) -> Record:
    """Read a results.json. Raises ResultInvalid naming the field that breaks the schema."""
    try:
        return msgspec.json.decode(text, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ResultInvalid(f"not a {SCHEMA} record: {error}. Was the file edited, or made by another tool?") from error


def encode(record: Record) -> bytes:
    """The record as indented JSON, checked by reading it back."""
    text = msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
    if decode(text) != record:
        raise ResultInvalid("the record does not survive being written and read back: this is a bug in tinyjoule")
    return text


def sealed(record: Record) -> Record:
    """The record with its seal: the sha256 of what `encode` writes of it with a seal of 64 zeros. No signature: it
    shows that a byte was changed by accident, and nothing else in a package would."""
    blank = msgspec.structs.replace(record, seal="0" * 64)
    return msgspec.structs.replace(record, seal=hashlib.sha256(encode(blank)).hexdigest())


def system_path(division: str, organization: str, system: str) -> PurePosixPath:
    """Of the system's description, from the root of the package."""
    return PurePosixPath(division, organization, "systems", f"{system}.json")


def code_path(division: str, organization: str, benchmark: str, system: str) -> PurePosixPath:
    """The folder with the code of a benchmark."""
    return PurePosixPath(division, organization, "code", benchmark, system)


def results_path(division: str, organization: str, system: str, benchmark: str, mode: str) -> PurePosixPath:
    """The folder with FILES."""
    return PurePosixPath(division, organization, "results", system, benchmark, mode)


# The forms of numbers.

RULER: Final = "-" * 57


def throughput_text(per_s: float) -> str:
    """Inferences per second: at least three decimals and six significant digits, to ten columns."""
    decimals = max(3, 5 - math.floor(math.log10(per_s))) if per_s > 0 else 3
    return f"{per_s:10.{decimals}f}"


def energy_text(value_uj: float, u_uj: float | None) -> tuple[str, str | None]:
    """An energy in microjoules and its expanded uncertainty, with as many digits as that is worth."""
    value, _, uncertainty = rounded(value_uj, u_uj).partition(" +- ")
    return value, uncertainty or None


def percent_text(right: int, inputs: int) -> str:
    """Top-1 in percent, with one decimal, never rounded up: `90.1`."""
    return _floor(Fraction(100 * right, inputs), 1)


def fraction_text(value: float) -> str:
    """The area under the curve, with three decimals, never rounded up: `0.861`."""
    return _floor(Fraction(Decimal(repr(value))), 3)


def _floor(value: Fraction, decimals: int) -> str:
    steps = value.numerator * 10**decimals // value.denominator
    return str(Decimal(steps).scaleb(-decimals).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_FLOOR))


def escaped(text: str) -> str:
    """TEXT of a line of log.txt."""
    return text.encode("unicode_escape").decode("ascii")


def quoted(text: str) -> str:
    """A JSON string in ASCII."""
    return json.dumps(text)
