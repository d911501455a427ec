"""Typed commands to one device over a link. Every reply is checked against what its command answers.

Nothing is scored on a tensor that was not loaded whole: `infer` wants a `load` that succeeded with no error, reset or
change of the model since, and asks for the results a second time. Nothing is retried but a load.

What firmware without `db crc` (any but ours) cannot reveal: a bit error that turns a hex digit of an input into another
hex digit. The stock protocol has no check for it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self, TypeVar

from host.errors import (
    DeviceError,
    DeviceRefused,
    DeviceReset,
    GarbledReply,
    LinkTimeout,
    LoadIncomplete,
    UsageError,
)
from host.exchange import RESYNC_ATTEMPT_S, Exchange, Transcript, lacks
from host.link import Link
from host.wire import codec

__all__ = ["CheckedInference", "Device", "DeviceInfo", "Inference", "Output", "Profile", "Transcript"]

LOAD_RETRIES = 2
BANNER_WAIT_S = 0.3
BOOT_TIMEOUT_S = 10.0
OUTPUT_STEP_BYTES = 2048  # of one `results raw`: fewer lines than MAX_REPLY_LINES
_PERMANENT = ("oversize", "db_load_zero", "db_load_argument", "unknown_command")  # a second try would fail the same

T = TypeVar("T")
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


class Device:
    """One MLPerf Tiny device, stock or ours. A context manager: it closes the link."""

    def __init__(
        self,
        link: Link,
        *,
        transcript: Transcript | None = None,
        timeout_s: float = 5.0,
        infer_timeout_s: float = 30.0,
    ) -> None:
        """timeout_s: how long the device may take for one line; infer_timeout_s: the same during `infer`."""
        self._exchange = Exchange(link, transcript, timeout_s)
        self.infer_timeout_s = infer_timeout_s
        self.outputs: int | None = None  # how many numbers the active model answers with, once somebody knows
        self._model: str | None = None  # the one we have selected
        self._loaded = False
        self._has_crc: bool | None = None  # not known yet
        self._has_results = True

    def wait_boot(self, timeout_s: float = BOOT_TIMEOUT_S) -> str:
        """Wait until the device answers, whether it starts just now or has been running. Returns its name.

        Raises LinkTimeout when it does not within about `timeout_s`.
        """
        self._exchange.skip_banner(min(BANNER_WAIT_S, timeout_s))
        self._exchange.resync(attempts=math.ceil(timeout_s / RESYNC_ATTEMPT_S), after_boot=True)
        return self.name()

    def name(self) -> str:
        """The vendor's name for the device."""
        return self._ask("name", parse=lambda replies: _only(replies, codec.Name).vendor)

    def profile(self) -> Profile:
        """The firmware's profile and the active model's id."""

        def parse(replies: Replies) -> Profile:
            _check_kinds(replies, codec.Profile, codec.Model)
            return Profile(_first(replies, codec.Profile).profile, _first(replies, codec.Model).model)

        return self._ask("profile", parse=parse)

    def timestamp_us(self) -> int | None:
        """The device's clock modulo 2^32; None in energy mode (it moves the timing pin instead)."""
        return self._ask("timestamp", parse=lambda replies: _only(replies, codec.Lap).us if replies else None)

    def info(self) -> DeviceInfo | None:
        """What our firmware tells of itself; None when the firmware is another one."""
        try:
            info = self._ask("info", parse=_parse_info)
        except DeviceRefused as error:
            if not lacks(error, "info"):
                raise
            info = None
        self._has_crc = info is not None
        return info

    def select_model(self, model: str) -> None:
        """Make `model` the active one (our firmware only). The loaded input is gone."""
        self._loaded = False
        self._model = None  # a failed select leaves no model active

        def parse(replies: Replies) -> None:
            if _only(replies, codec.Model).model != model:
                raise GarbledReply(f"asked for model {model}, the device selected {replies[0]}: check the line.")

        self._ask("model", model, parse=parse)
        self._model = model

    def set_mode(self, mode: str) -> None:
        """What windows give: "performance" (the device's clock), "energy" (edges of the timing pin) or "both"."""

        def parse(replies: Replies) -> None:
            if _only(replies, codec.TimestampMode).mode != mode:
                raise GarbledReply(f"asked for mode {mode}, the device chose {replies[0]}: check the line.")

        self._ask("mode", mode, parse=parse)

    def load(self, data: bytes) -> None:
        """Send one input. It is on the device whole, and its CRC compared on our firmware, when this returns.

        A load that fails is started again, twice at most, each time with a note in the transcript. Raises
        LoadIncomplete, DeviceRefused, GarbledReply, DeviceReset, LinkTimeout or LinkError when it stays so.
        """
        if not data:
            raise UsageError("an input of 0 bytes cannot be loaded")
        self._loaded = False
        for retries_left in range(LOAD_RETRIES, -1, -1):
            try:
                self._load_once(data)
            except (DeviceError, LinkTimeout) as error:
                permanent = isinstance(error, DeviceRefused) and error.kind in _PERMANENT
                if not retries_left or permanent or isinstance(error, DeviceReset):
                    raise
                self._exchange.note(f"the load failed ({error}); starting it again, {retries_left} tries left")
                self._confirm_model()
            else:
                self._loaded = True
                return

    def infer(self, iterations: int, warmup: int, *, timeout_s: float | None = None) -> Inference:
        """Run the loaded input `warmup` times, then `iterations` times between two reads of the device's clock.

        timeout_s: how long the device may be silent (it is for the whole window); default infer_timeout_s.
        """
        if not self._loaded:
            raise LoadIncomplete("no input is known to be on the device whole: load one after every error or change")
        inference = self._ask(
            *("infer", iterations, warmup),
            parse=lambda replies: _parse_infer(
                replies, iterations, warmup, self.outputs, _window_us(replies, self._exchange.arrivals_s)
            ),
            timeout_s=self.infer_timeout_s if timeout_s is None else timeout_s,
        )
        self._compare_results(inference.results)
        return inference

    def stream(self, inputs: Iterable[bytes]) -> Iterator[Output]:
        """One inference of each input, in order. `inputs` is asked for the next one no earlier than it can be sent.

        Raises as `load` and `infer` do; an input whose Output has not come may be sent again, to any device.
        """
        for data in inputs:
            self.load(data)
            yield Output(values=self.infer(1, 0).results)

    def infer_crc(self, iterations: int, warmup: int, *, timeout_s: float | None = None) -> CheckedInference:
        """Like `infer` (our firmware only), for outputs of any size and to the last bit: read them with `output`."""
        if not self._loaded:
            raise LoadIncomplete("no input is known to be on the device whole: load one after every error or change")
        return self._ask(
            *("infer crc", iterations, warmup),
            parse=lambda replies: _parse_infer_crc(replies, iterations, warmup),
            timeout_s=self.infer_timeout_s if timeout_s is None else timeout_s,
        )

    def prof(self, iterations: int, warmup: int, *, timeout_s: float | None = None) -> OperatorTimes:
        """Like `infer_crc`, with each inference made a second time, operator by operator (our firmware only)."""
        if not self._loaded:
            raise LoadIncomplete("no input is known to be on the device whole: load one after every error or change")
        return self._ask(
            *("prof", iterations, warmup),
            parse=lambda replies: _parse_prof(replies, iterations),
            timeout_s=self.infer_timeout_s if timeout_s is None else timeout_s,
        )

    def output(self, inference: CheckedInference) -> bytes:
        """The output tensor of the last inference, bit for bit (our firmware only), held against its CRC-32."""
        data = b""
        while len(data) < inference.output_bytes:
            count = min(OUTPUT_STEP_BYTES, inference.output_bytes - len(data))
            data += self._ask(
                *("results raw", len(data), count),
                parse=partial(_parse_raw, count=count),
            )
        if zlib.crc32(data) != inference.output_crc:
            raise GarbledReply(
                f"the output came with CRC {zlib.crc32(data):08x}, the device says {inference.output_crc:08x}: bits "
                "were changed on the line. Check it, then try again."
            )
        return data

    def results(self) -> tuple[float, ...]:
        """The outputs of the last inference."""
        return self._ask("results", parse=lambda replies: _only(replies, codec.Results).values)

    def close(self) -> None:
        """Close the link."""
        self._exchange.close()

    def __enter__(self) -> Self:
        """The device itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close the link."""
        self.close()

    def _ask(
        self, name: str, *arguments: str | int | bytes, parse: Callable[[Replies], T], timeout_s: float | None = None
    ) -> T:
        return self._ask_line(codec.encode(name, *arguments), parse, timeout_s)

    def _ask_line(self, command: bytes, parse: Callable[[Replies], T], timeout_s: float | None = None) -> T:
        """The one way to the device: an answer that `parse` does not take leaves nothing to rely on."""
        loaded, self._loaded = self._loaded, False
        value = parse(self._exchange.ask(command, timeout_s))
        self._exchange.accept()
        self._loaded = loaded
        return value

    def _load_once(self, data: bytes) -> None:
        if self._has_crc is None:
            self.info()
        first, *chunks = codec.encode_load(data)
        self._ask_line(first, lambda replies: _check_expecting(replies, len(data)))
        for chunk in chunks[:-1]:
            self._ask_line(chunk, _check_not_done)
        self._ask_line(chunks[-1], lambda replies: _check_done(replies, len(data)))
        if self._has_crc:
            self._ask("db crc", parse=lambda replies: _check_crc(replies, zlib.crc32(data)))

    def _confirm_model(self) -> None:
        """A load may have failed because the device started again, unseen: it has another model then."""
        if self._model is not None and self.profile().model != self._model:
            raise DeviceReset(f"the device no longer has model {self._model} selected: it started again. Start over.")

    def _compare_results(self, results: tuple[float, ...]) -> None:
        """Ask for the results again: a bit error that makes one digit another passes every other check."""
        if not self._has_results:
            return
        try:
            again = self.results()
        except DeviceRefused as error:
            if not lacks(error, "results"):
                raise
            self._has_results = False
            self._loaded = True
            self._exchange.note("this firmware has no `results` command: outputs are not checked against line errors")
            return
        if again != results:
            self._loaded = False
            raise GarbledReply(f"the device gave {results}, then {again} for one inference: check the line.")


def _first(replies: Replies, kind: type[R]) -> R:
    for reply in replies:
        if isinstance(reply, kind):
            return reply
    raise GarbledReply(f"the answer lacks its {kind.__name__} line (got {_names(replies)}): check the line, try again.")


def _only(replies: Replies, kind: type[R]) -> R:
    _check_kinds(replies, kind)
    return _first(replies, kind)


def _check_kinds(replies: Replies, *kinds: type[object]) -> None:
    if [type(reply) for reply in replies] != list(kinds):
        wanted = ", ".join(kind.__name__ for kind in kinds) or "nothing"
        raise GarbledReply(f"the device answered {_names(replies)} instead of {wanted}: check the line, try again.")


def _names(replies: Replies) -> str:
    return ", ".join(type(reply).__name__ for reply in replies) or "nothing"


def _check_expecting(replies: Replies, count: int) -> None:
    got = _only(replies, codec.Expecting).count
    if got != count:
        raise LoadIncomplete(f"the device expects {got} bytes of an input that has {count}: check the line.")


def _check_not_done(replies: Replies) -> None:
    if any(isinstance(reply, codec.LoadDone) for reply in replies):
        raise LoadIncomplete("the device says m-load-done before it was sent everything: check the line.")
    _check_kinds(replies)


def _check_done(replies: Replies, count: int) -> None:
    if not replies:
        raise LoadIncomplete(f"no m-load-done after all {count} bytes: some were lost on the line.")
    _check_kinds(replies, codec.LoadDone)


def _check_crc(replies: Replies, crc: int) -> None:
    got = _only(replies, codec.Crc32).crc
    if got != crc:
        raise LoadIncomplete(
            f"the input on the device has CRC {got:08x}, not {crc:08x}: bits were changed on the line."
        )


def _parse_window(replies: Replies, iterations: int, warmup: int, last: type[object]) -> list[codec.Lap]:
    """The laps, two or none, of a reply to `infer` that ends in a line of the kind `last`."""
    laps = [reply for reply in replies if isinstance(reply, codec.Lap)]
    lap_kinds = [codec.Lap] * 2 if laps else []
    _check_kinds(replies, codec.WarmupStart, codec.WarmupDone, codec.InferStart, *lap_kinds, codec.InferDone, last)
    echoed = _first(replies, codec.InferStart).count, _first(replies, codec.WarmupStart).count
    if echoed != (iterations, warmup):
        raise GarbledReply(f"asked for {iterations} runs and {warmup} to warm up, the device made {echoed}.")
    return laps


def _parse_infer_crc(replies: Replies, iterations: int, warmup: int) -> CheckedInference:
    laps = _parse_window(replies, iterations, warmup, codec.Output)
    output = _first(replies, codec.Output)
    duration_us = codec.lap_us(*laps) if laps else None
    return CheckedInference(iterations, duration_us, output.count, output.crc)


def _parse_prof(replies: Replies, iterations: int) -> OperatorTimes:
    operators = tuple(reply for reply in replies if isinstance(reply, codec.ProfOperator))
    _check_kinds(replies, *[codec.ProfOperator] * len(operators), codec.ProfWhole, codec.Output)
    whole, indices = _first(replies, codec.ProfWhole), [operator.index for operator in operators]
    if {whole.runs, *(operator.runs for operator in operators)} != {iterations} or indices != sorted(set(indices)):
        raise GarbledReply(f"asked for the operators of {iterations} runs, got another answer: lines were lost.")
    return OperatorTimes(operators, whole, _first(replies, codec.Output).crc)


def _parse_raw(replies: Replies, count: int) -> bytes:
    data = b"".join(reply.data for reply in replies if isinstance(reply, codec.Raw))
    _check_kinds(replies, *[codec.Raw] * len(replies))
    if len(data) != count:
        raise GarbledReply(f"asked for {count} bytes of the output, got {len(data)}: lines were lost. Try again.")
    return data


def _window_us(replies: Replies, arrivals_s: Sequence[float]) -> int | None:
    """How long the window took by the host's clock, which saw the lines of the reply come at `arrivals_s`.

    Stock firmware sends the first lap before it runs, ours both laps behind: the window is the longer silence.
    """
    came_s = [
        at for reply, at in zip(replies, arrivals_s, strict=True) if isinstance(reply, codec.InferStart | codec.Lap)
    ]
    if len(came_s) != 3:
        return None
    return round(max(came_s[1] - came_s[0], came_s[2] - came_s[1]) * 1e6)


def _parse_infer(replies: Replies, iterations: int, warmup: int, outputs: int | None, host_us: int | None) -> Inference:
    laps = _parse_window(replies, iterations, warmup, codec.Results)
    results = _first(replies, codec.Results)
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


def _parse_info(replies: Replies) -> DeviceInfo:
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
