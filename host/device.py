"""Typed commands to one device over a link. Every reply is checked against what its command answers.

Nothing is scored on a tensor that was not loaded whole: `infer` wants a `load` that succeeded with no error, reset or
change of the model since, and asks for the results a second time. Nothing is retried but a load.

What firmware without `db crc` (any but ours) cannot reveal: a bit error that turns a hex digit of an input into another
hex digit. The stock protocol has no check for it.
"""

from __future__ import annotations

import contextlib
import math
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Self, TypeVar

from host import answers
from host.answers import CheckedInference, DeviceInfo, Inference, OperatorTimes, Output, Profile
from host.channel import LineNoisyError
from host.errors import (
    DeviceError,
    DeviceRefused,
    DeviceReset,
    GarbledReply,
    LinkError,
    LinkTimeout,
    LoadIncomplete,
    UsageError,
)
from host.exchange import RESYNC_ATTEMPT_S, Exchange, Transcript, lacks
from host.fast import FastLine, FastLink
from host.link import Link
from host.reader import Reader
from host.wire import codec

__all__ = [
    "CheckedInference", "Device", "DeviceInfo", "FastLink", "Inference", "OperatorTimes", "Output", "Profile",
    "Transcript",
]  # fmt: skip

LOAD_RETRIES = 2
BANNER_WAIT_S = 0.3
BOOT_TIMEOUT_S = 10.0
OUTPUT_STEP_BYTES = 2048  # of one `results raw`: fewer lines than MAX_REPLY_LINES
_PERMANENT = ("oversize", "db_load_zero", "db_load_argument", "unknown_command")  # a second try would fail the same

T = TypeVar("T")


class _LineIdleError(Exception):
    """Whoever takes the outputs, or gives the inputs, took so long that the device may have changed its rate."""


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
        self._reader = Reader(link)
        self._exchange = Exchange(self._reader, transcript, timeout_s)
        self._timeout_s = timeout_s
        self._fast: FastLine | None = None
        self.infer_timeout_s = infer_timeout_s
        self.outputs: int | None = None  # how many numbers the active model answers with, once somebody knows
        self._model: str | None = None  # the one we have selected
        self._loaded = False
        self._has_crc: bool | None = None  # not known yet
        self._has_results = True

    def wait_boot(self, timeout_s: float = BOOT_TIMEOUT_S) -> str:
        """Wait until the device answers, whether it starts just now or has been running. Returns its name.

        Raises LinkTimeout when it does not within about `timeout_s`. Ours may have been left at a raised baud rate:
        it goes back by itself within this time, and no device ever gets bytes at a rate that is not its own.
        """
        self._exchange.skip_banner(min(BANNER_WAIT_S, timeout_s))
        self._exchange.resync(attempts=math.ceil(timeout_s / RESYNC_ATTEMPT_S), after_boot=True)
        return self.name()

    def speed_up(self, baud_max: int | None = None) -> FastLink | None:
        """Go over to binary frames and the highest baud rate that works, at most `baud_max`, with our own firmware.

        Returns what was negotiated, None with other firmware. `load` and `stream` use it from now on; `close` gives the
        device its first baud rate back.
        """
        info = self.info()
        if info is None:
            return None
        if self._fast is None:
            limit = info.baud_max if baud_max is None else min(info.baud_max, baud_max)
            self._fast = FastLine(
                self._reader,
                self._exchange,
                baud_max=limit,
                timeout_s=self._timeout_s,
                infer_timeout_s=self.infer_timeout_s,
            )
        try:
            self._fast.channel()
        except DeviceRefused as error:
            if not lacks(error, "frames"):
                raise
            self._fast = None
            return None
        return self._fast.link

    def name(self) -> str:
        """The vendor's name for the device."""
        return self._ask("name", parse=lambda replies: answers.only(replies, codec.Name).vendor)

    def profile(self) -> Profile:
        """The firmware's profile and the active model's id."""

        def parse(replies: answers.Replies) -> Profile:
            answers.check_kinds(replies, codec.Profile, codec.Model)
            return Profile(answers.first(replies, codec.Profile).profile, answers.first(replies, codec.Model).model)

        return self._ask("profile", parse=parse)

    def timestamp_us(self) -> int | None:
        """The device's clock modulo 2^32; None in energy mode (it moves the timing pin instead)."""
        return self._ask("timestamp", parse=lambda replies: answers.only(replies, codec.Lap).us if replies else None)

    def info(self) -> DeviceInfo | None:
        """What our firmware tells of itself; None when the firmware is another one."""
        try:
            info = self._ask("info", parse=answers.parse_info)
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

        def parse(replies: answers.Replies) -> None:
            if answers.only(replies, codec.Model).model != model:
                raise GarbledReply(f"asked for model {model}, the device selected {replies[0]}: check the line.")

        self._ask("model", model, parse=parse)
        self._model = model

    def set_mode(self, mode: str) -> None:
        """What windows give: "performance" (the device's clock), "energy" (edges of the timing pin) or "both"."""

        def parse(replies: answers.Replies) -> None:
            if answers.only(replies, codec.TimestampMode).mode != mode:
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
                with self._watch():
                    self._load_once(data)
            except (DeviceError, LinkTimeout, LineNoisyError) as error:
                permanent = isinstance(error, DeviceRefused) and error.kind in _PERMANENT
                if not retries_left or permanent or isinstance(error, DeviceReset):
                    raise
                self._exchange.note(f"the load failed ({error}); starting it again, {retries_left} tries left")
                if isinstance(error, LinkError) and self._fast is not None and self._fast.raised:
                    self._fast.slow_down(error)
                self._confirm_model()
            else:
                self._loaded = True
                return

    def infer(self, iterations: int, warmup: int, *, timeout_s: float | None = None, quiet_s: float = 0.0) -> Inference:
        """Run the loaded input `warmup` times, then `iterations` times between two reads of the device's clock.

        timeout_s: how long the device may be silent (it is for the whole window); default infer_timeout_s.
        quiet_s: how long it is left alone when it has answered, before anything else is asked: a power monitor may be
        looking for the moment it goes to sleep.
        """
        if not self._loaded:
            raise LoadIncomplete("no input is known to be on the device whole: load one after every error or change")
        inference = self._ask(
            *("infer", iterations, warmup),
            parse=lambda replies: answers.parse_infer(
                replies, iterations, warmup, self.outputs, answers.window_us(replies, self._exchange.arrivals_s)
            ),
            timeout_s=self.infer_timeout_s if timeout_s is None else timeout_s,
        )
        time.sleep(quiet_s)
        self._compare_results(inference.results)
        return inference

    def stream(self, inputs: Iterable[bytes]) -> Iterator[Output]:
        """One inference of each input, in order. `inputs` is asked for the next one no earlier than it can be sent.

        Raises as `load` and `infer` do; an input whose Output has not come may be sent again, to any device.
        """
        if self._fast is not None:
            yield from self._stream_frames(iter(inputs), self._fast)
            return
        for data in inputs:
            self.load(data)
            yield Output(values=self.infer(1, 0).results)

    def infer_crc(self, iterations: int, warmup: int, *, timeout_s: float | None = None) -> CheckedInference:
        """Like `infer` (our firmware only), for outputs of any size and to the last bit: read them with `output`."""
        if not self._loaded:
            raise LoadIncomplete("no input is known to be on the device whole: load one after every error or change")
        return self._ask(
            *("infer crc", iterations, warmup),
            parse=lambda replies: answers.parse_infer_crc(replies, iterations, warmup),
            timeout_s=self.infer_timeout_s if timeout_s is None else timeout_s,
        )

    def prof(self, iterations: int, warmup: int, *, timeout_s: float | None = None) -> OperatorTimes:
        """Like `infer_crc`, with each inference made a second time, operator by operator (our firmware only)."""
        if not self._loaded:
            raise LoadIncomplete("no input is known to be on the device whole: load one after every error or change")
        return self._ask(
            *("prof", iterations, warmup),
            parse=lambda replies: answers.parse_prof(replies, iterations),
            timeout_s=self.infer_timeout_s if timeout_s is None else timeout_s,
        )

    def output(self, inference: CheckedInference) -> bytes:
        """The output tensor of the last inference, bit for bit (our firmware only), held against its CRC-32."""
        data = b""
        while len(data) < inference.output_bytes:
            count = min(OUTPUT_STEP_BYTES, inference.output_bytes - len(data))
            data += self._ask(
                *("results raw", len(data), count),
                parse=partial(answers.parse_raw, count=count),
            )
        if zlib.crc32(data) != inference.output_crc:
            raise GarbledReply(
                f"the output came with CRC {zlib.crc32(data):08x}, the device says {inference.output_crc:08x}: bits "
                "were changed on the line. Check it, then try again."
            )
        return data

    def results(self) -> tuple[float, ...]:
        """The outputs of the last inference."""
        return self._ask("results", parse=lambda replies: answers.only(replies, codec.Results).values)

    def close(self) -> None:
        """Close the link; the device has its first baud rate again."""
        try:
            if self._fast is not None:
                self._fast.restore()
        finally:
            self._reader.link.close()

    def __enter__(self) -> Self:
        """The device itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close the link."""
        self.close()

    def _ask(
        self,
        name: str,
        *arguments: str | int | bytes,
        parse: Callable[[answers.Replies], T],
        timeout_s: float | None = None,
    ) -> T:
        return self._ask_line(codec.encode(name, *arguments), parse, timeout_s)

    def _ask_line(self, command: bytes, parse: Callable[[answers.Replies], T], timeout_s: float | None = None) -> T:
        """The one way to the device: an answer that `parse` does not take leaves nothing to rely on."""
        loaded, self._loaded = self._loaded, False
        with self._watch() as line:
            if line is not None:
                line.ready()
            value = parse(self._exchange.ask(command, timeout_s))
            self._exchange.accept()
        self._loaded = loaded
        return value

    @contextlib.contextmanager
    def _watch(self) -> Iterator[FastLine | None]:
        """Tell the fast line how it went."""
        line = self._fast
        try:
            yield line
        except DeviceReset:
            if line is not None:
                line.forget()
            raise
        except LinkTimeout:
            if line is not None:
                line.lost()
            raise
        if line is not None:
            line.good()

    def _stream_frames(self, source: Iterator[bytes], line: FastLine) -> Iterator[Output]:
        """`stream` over frames; what has no Output yet is sent again after whatever the line can get over."""
        pending: deque[bytes] = deque()
        self._loaded = False
        while True:
            try:
                with self._watch():
                    for raw in line.channel().stream(_feed(pending, source, line)):
                        pending.popleft()
                        line.good()
                        yield Output(raw=raw)
                        if line.idle():
                            raise _LineIdleError
                    return
            except _LineIdleError:
                self._exchange.note("the line was idle: going on with the inputs that have no output yet")
            except (LinkTimeout, LineNoisyError, GarbledReply) as error:  # the last one: results that never came whole
                line.slow_down(error)
            self._confirm_model()

    def _load_once(self, data: bytes) -> None:
        if self._has_crc is None:
            self.info()
        if self._fast is not None:
            self._fast.channel().load(data)
            self._ask("db crc", parse=lambda replies: answers.check_crc(replies, zlib.crc32(data)))
            return
        first, *chunks = codec.encode_load(data)
        self._ask_line(first, lambda replies: answers.check_expecting(replies, len(data)))
        for chunk in chunks[:-1]:
            self._ask_line(chunk, answers.check_not_done)
        self._ask_line(chunks[-1], lambda replies: answers.check_done(replies, len(data)))
        if self._has_crc:
            self._ask("db crc", parse=lambda replies: answers.check_crc(replies, zlib.crc32(data)))

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


def _feed(pending: deque[bytes], source: Iterator[bytes], line: FastLine) -> Iterator[bytes]:
    """Inputs that have to go out again, then new ones, which wait in `pending` for their outputs."""
    yield from tuple(pending)
    for data in source:
        if not data:
            raise UsageError("an input of 0 bytes cannot be sent")
        pending.append(data)
        if line.idle():
            raise _LineIdleError
        yield data
