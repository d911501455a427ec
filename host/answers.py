"""What a device's answers mean: typed values out of the lines of a reply, or an error that says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from host.errors import DeviceError, GarbledReply, LoadIncomplete
from host.wire import codec

R = TypeVar("R")
Replies = Sequence[codec.Reply]


@dataclass(frozen=True, slots=True)
class Profile:
    """Answer to `profile`."""

    profile: str
    model: str


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """Answer to `info`: see [info] in wire.toml. None where the device says `none`."""

    version: str
    build_id: str
    board: str
    core_hz: int
    engine: str
    compiler: str
    flags: str
    models: tuple[str, ...]
    model: str | None
    model_sha256: str | None
    model_bytes: int
    arena_bytes: int
    arena_capacity_bytes: int
    input_bytes: int
    output_elements: int
    mode: str
    cycles: int | None
    baud_max: int


@dataclass(frozen=True, slots=True)
class Inference:
    """Answer to `infer`. start_us and end_us: the device's clock modulo 2^32, None in energy mode; `duration_us` is
    right over one wrap of it. host_us: the same window by the host's clock, from the lines around it as they came; what
    the line delays one of them by more than another is in it."""

    iterations: int
    start_us: int | None
    end_us: int | None
    duration_us: int | None
    results: tuple[float, ...]
    host_us: int | None = None


@dataclass(frozen=True, slots=True)
class CheckedInference:
    """Answer to `infer crc`: the window as in Inference, and the size and CRC-32 of the output tensor's bytes."""

    iterations: int
    duration_us: int | None
    output_bytes: int
    output_crc: int


@dataclass(frozen=True, slots=True)
class Output:
    """What one inference of `stream` put out: `values` of m-results, or `raw`, the output tensor's bytes."""

    values: tuple[float, ...] | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class OperatorTimes:
    """Answer to `prof`: sums over `whole.runs` runs; an operator that costs nothing may be missing in `operators`."""

    operators: tuple[codec.ProfOperator, ...]
    whole: codec.ProfWhole
    output_crc: int


def first(replies: Replies, kind: type[R]) -> R:
    """The first reply of a kind."""
    for reply in replies:
        if isinstance(reply, kind):
            return reply
    raise GarbledReply(f"the answer lacks its {kind.__name__} line (got {_names(replies)}): check the line, try again.")


def only(replies: Replies, kind: type[R]) -> R:
    """The only reply, which is of this kind."""
    check_kinds(replies, kind)
    return first(replies, kind)


def check_kinds(replies: Replies, *kinds: type[object]) -> None:
    """These kinds, in this order."""
    if [type(reply) for reply in replies] != list(kinds):
        wanted = ", ".join(kind.__name__ for kind in kinds) or "nothing"
        raise GarbledReply(f"the device answered {_names(replies)} instead of {wanted}: check the line, try again.")


def _names(replies: Replies) -> str:
    return ", ".join(type(reply).__name__ for reply in replies) or "nothing"


def check_expecting(replies: Replies, count: int) -> None:
    """Answer to `db load`."""
    got = only(replies, codec.Expecting).count
    if got != count:
        raise LoadIncomplete(f"the device expects {got} bytes of an input that has {count}: check the line.")


def check_not_done(replies: Replies) -> None:
    """Answer to a `db` with more to come."""
    if any(isinstance(reply, codec.LoadDone) for reply in replies):
        raise LoadIncomplete("the device says m-load-done before it was sent everything: check the line.")
    check_kinds(replies)


def check_done(replies: Replies, count: int) -> None:
    """Answer to the last `db`."""
    if not replies:
        raise LoadIncomplete(f"no m-load-done after all {count} bytes: some were lost on the line.")
    check_kinds(replies, codec.LoadDone)


def check_crc(replies: Replies, crc: int) -> None:
    """Answer to `db crc`."""
    got = only(replies, codec.Crc32).crc
    if got != crc:
        raise LoadIncomplete(
            f"the input on the device has CRC {got:08x}, not {crc:08x}: bits were changed on the line."
        )


def _parse_window(replies: Replies, iterations: int, warmup: int, last: type[object]) -> list[codec.Lap]:
    """The laps, two or none, of a reply to `infer` that ends in a line of the kind `last`."""
    laps = [reply for reply in replies if isinstance(reply, codec.Lap)]
    lap_kinds = [codec.Lap] * 2 if laps else []
    check_kinds(replies, codec.WarmupStart, codec.WarmupDone, codec.InferStart, *lap_kinds, codec.InferDone, last)
    echoed = first(replies, codec.InferStart).count, first(replies, codec.WarmupStart).count
    if echoed != (iterations, warmup):
        raise GarbledReply(f"asked for {iterations} runs and {warmup} to warm up, the device made {echoed}.")
    return laps


def parse_infer_crc(replies: Replies, iterations: int, warmup: int) -> CheckedInference:
    """Answer to `infer crc`."""
    laps = _parse_window(replies, iterations, warmup, codec.Output)
    output = first(replies, codec.Output)
    duration_us = codec.lap_us(*laps) if laps else None
    return CheckedInference(iterations, duration_us, output.count, output.crc)


def parse_prof(replies: Replies, iterations: int) -> OperatorTimes:
    """Answer to `prof`."""
    operators = tuple(reply for reply in replies if isinstance(reply, codec.ProfOperator))
    check_kinds(replies, *[codec.ProfOperator] * len(operators), codec.ProfWhole, codec.Output)
    whole, indices = first(replies, codec.ProfWhole), [operator.index for operator in operators]
    if {whole.runs, *(operator.runs for operator in operators)} != {iterations} or indices != sorted(set(indices)):
        raise GarbledReply(f"asked for the operators of {iterations} runs, got another answer: lines were lost.")
    return OperatorTimes(operators, whole, first(replies, codec.Output).crc)


def parse_raw(replies: Replies, count: int) -> bytes:
    """Answer to `results raw`."""
    data = b"".join(reply.data for reply in replies if isinstance(reply, codec.Raw))
    check_kinds(replies, *[codec.Raw] * len(replies))
    if len(data) != count:
        raise GarbledReply(f"asked for {count} bytes of the output, got {len(data)}: lines were lost. Try again.")
    return data


def window_us(replies: Replies, arrivals_s: Sequence[float]) -> int | None:
    """How long the window took by the host's clock, which saw the lines of the reply come at `arrivals_s`.

    Stock firmware sends the first lap before it runs, ours both laps behind: the window is the longer silence.
    """
    came_s = [
        at for reply, at in zip(replies, arrivals_s, strict=True) if isinstance(reply, codec.InferStart | codec.Lap)
    ]
    if len(came_s) != 3:
        return None
    return round(max(came_s[1] - came_s[0], came_s[2] - came_s[1]) * 1e6)


def parse_infer(replies: Replies, iterations: int, warmup: int, outputs: int | None, host_us: int | None) -> Inference:
    """Answer to `infer`."""
    laps = _parse_window(replies, iterations, warmup, codec.Results)
    results = first(replies, codec.Results)
    if not all(math.isfinite(value) for value in results.values):
        raise DeviceError(f"the model's output is not a number: {results.values}. Is the model file sound?")
    if outputs not in (None, len(results.values)):
        raise DeviceError(
            f"the device answered {len(results.values)} numbers where the model has {outputs} outputs: another model "
            "is on the board, or the line lost bytes. Check `host models` and the wiring."
        )
    if not laps:
        return Inference(iterations, None, None, None, results.values)
    start, end = laps
    return Inference(iterations, start.us, end.us, codec.lap_us(start, end), results.values, host_us)


def parse_info(replies: Replies) -> DeviceInfo:
    """Answer to `info`."""
    facts: dict[str, str] = {}
    for reply in replies:
        if not isinstance(reply, codec.Info) or reply.key in facts:
            raise GarbledReply(f"`info` answered {reply}, which it may not, or not twice: check the line.")
        facts[reply.key] = reply.value

    def text_or_none(key: str) -> str | None:
        return None if facts[key] == "none" else facts[key]

    try:
        return DeviceInfo(
            version=facts["version"],
            build_id=facts["build-id"],
            board=facts["board"],
            core_hz=int(facts["core-hz"]),
            engine=facts["engine"],
            compiler=facts["compiler"],
            flags=facts["flags"],
            models=tuple(name for name in facts["models"].split(",") if name),
            model=text_or_none("model"),
            model_sha256=text_or_none("model-sha256"),
            model_bytes=int(facts["model-bytes"]),
            arena_bytes=int(facts["arena-bytes"]),
            arena_capacity_bytes=int(facts["arena-capacity-bytes"]),
            input_bytes=int(facts["input-bytes"]),
            output_elements=int(facts["output-elements"]),
            mode=facts["mode"],
            cycles=None if facts["cycles"] == "none" else int(facts["cycles"]),
            baud_max=int(facts["baud-max"]),
        )
    except KeyError as error:
        raise GarbledReply(f"`info` lacks {error}: another version of the firmware, or a lost line.") from None
    except ValueError as error:
        raise GarbledReply(f"`info` holds a wrong number: {error}. Check the line, then try again.") from None
