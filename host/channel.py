"""Inputs to a device and output tensors back over binary frames: go-back-N, several inputs on their way at once.

What is relied on (wire.toml, [frames]): the device takes frames in order only, and what it says is in the order of its
work. So whatever it says about a later frame proves that it has worked on an earlier run: if that run's result is not
here by then, it is lost, and the input goes out again as a new one. An inference can be repeated at will.

Nothing here looks at a clock to decide, but for a limit on how long nothing may go forward: silence is a read that
gives nothing. After silence a ping with the number of the last accepted frame goes out: the device answers this old
number with the one it wants, and has read everything that was sent before by then.
"""

from __future__ import annotations

import itertools
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from host import frames
from host.errors import DeviceRefused, DeviceReset, GarbledReply, LinkError, LinkTimeout
from host.frames import Damaged, Frame, Kind
from host.reader import Reader
from host.wire import codec
from host.wire.spec import spec

INPUTS_AHEAD = 4  # one that computes, one that waits whole at the device, two for the line between
LEAST_KEPT_BYTES = 64  # a keep frame takes 13 on the wire
FRAMES_AHEAD = 64  # numbers are modulo 256, and those more than 127 back are taken for old ones
ATTEMPTS = 8  # of one input
GO_BACKS = 24  # with no frame accepted in between
PROBE_RESERVE_BYTES = 512  # of the window, for the pings that look after a device that is silent
QUIET_S, QUIET_MAX_S = 0.25, 2.0
SLOW_BYTES_PER_S = 10_000  # an emulated UART takes no fewer
BABBLE_S = 30.0  # of bytes with which nothing goes forward
MAX_OUTPUT_BYTES, MAX_PARTS = 1 << 22, 1 << 13
MAX_NOISE_NOTES = 100  # a device that babbles does not fill the disk
MAX_TEXT_BYTES = 4096
NOISE_FRAMES, NOISE_SHARE = 16, 0.2  # damaged ones, of all that went to the device, that make a rate too high

_INIT_DONE = spec().replies["init_done"].template.encode()
_LIMITS = spec().limits
# The others fail the same way a second time. These are the line's fault; `keep`: an input that goes out again is whole.
_TRANSIENT = ("load_failed", "input_crc", "input_open", "overrun", "input_none", "input_short", "keep")


class LineNoisyError(LinkError):
    """So many frames are damaged that a lower rate would be faster."""


@dataclass(slots=True)
class Counts:
    """What a channel has seen."""

    frames: int = 0  # sent, repetitions included
    repeated: int = 0
    damaged: int = 0  # by the device's word, by ours, or lost without a word
    lost_results: int = 0


@dataclass(slots=True, eq=False)
class _Job:
    """One input on its way."""

    data: bytes
    kind: Kind  # RUN, or LOAD
    crc: int
    attempts: int = 0
    cursor: int = 0  # its bytes up to here are in frames
    framed: bool = False  # all of them are, and `last` is the number of the last frame, not modulo
    last: int = -1
    parts: dict[int, bytes] = field(default_factory=dict)  # of the output by offset; another attempt adds to them
    received: int = 0  # bytes in `parts`
    output: bytes | None = None
    refusal: DeviceRefused | None = None


@dataclass(slots=True)
class _Sent:
    """A frame that is not accepted yet."""

    wire: bytes
    number: int  # not modulo
    job: _Job | None


class Channel:
    """Frames over a reader's link. Start one when the device has answered `frames`; number 0 is next then."""

    def __init__(
        self,
        reader: Reader,
        note: Callable[[str], None],
        *,
        payload: int,
        window: int,
        timeout_s: float,
        infer_timeout_s: float,
    ) -> None:
        """payload and window: as the device has announced them. The timeouts: how long nothing may go forward."""
        self._reader = reader
        self._note = note
        self._window = window - PROBE_RESERVE_BYTES if window > 4 * PROBE_RESERVE_BYTES else window * 3 // 4
        while payload > frames.INPUT_CRC_BYTES + 1 and frames.wire_bytes(payload) > self._window:
            payload -= 1
        self._payload = payload
        self._timeout_s, self._infer_timeout_s = timeout_s, infer_timeout_s
        self.counts = Counts()
        self.clean = True  # nothing is on its way, and the device has no half input
        self.may_slow_down = False
        self._noise_notes = 0
        self._base = 0  # the first number that is not accepted
        self._next = 0
        self._flight: deque[_Sent] = deque()  # from _base on
        self._out = 0  # how many of them are on the line since the last time we went back
        self._stale_bytes = 0  # sent before that, perhaps unread
        self._queue: deque[_Job | None] = deque()  # not all in frames; None: a ping
        self._jobs: deque[_Job] = deque()  # whose output is not there, in order
        self._before = b""  # the input that the device has when it wants the first frame of the next one, if it has any
        self._begin()

    def stream(self, inputs: Iterable[bytes]) -> Iterator[bytes]:
        """The output tensor of one inference of each input, in order. Takes an input when there is room to send it.

        Raises LinkTimeout, DeviceRefused, DeviceReset, GarbledReply, LinkError; LineNoisyError with `may_slow_down`.
        Whatever ends it early leaves the channel not `clean`: the device needs `frames` again.
        """
        source, ended = iter(inputs), False
        self._begin()
        self.clean = False
        while True:
            while not ended and self._has_room():
                data = next(source, None)
                ended = data is None
                if data is not None:
                    self._add(data, Kind.RUN)
            if ended and self._jobs and not self._queue and self._next == max(job.last for job in self._jobs) + 1:
                self._queue.append(None)  # a ping behind the last run: its result cannot be lost unnoticed
            self._send()
            while self._jobs and (output := self._jobs[0].output) is not None:
                self._jobs.popleft()
                yield output
                if not ended:
                    break  # the next input goes out before the next output is looked at
            if ended and not self._jobs and not self._flight and not self._queue:
                break
            if not (self._jobs and self._jobs[0].output is not None):
                self._step()
        self.clean = True

    def load(self, data: bytes) -> None:
        """Send one input and wait until the device has worked on it. A refusal may have been lost: compare its CRC.

        Raises as `stream` does.
        """
        self._begin()
        self.clean = False
        self._add(data, Kind.LOAD)
        self._drain()
        job = self._jobs.popleft()
        self._note(f"input of {len(data)} bytes, CRC {job.crc:08x}, in frames up to {job.last % 256}: loaded")
        if job.refusal is not None:
            raise job.refusal

    def ping(self, count: int, timeout_s: float) -> None:
        """Send so many frames with nothing in them, and wait until all are accepted: `timeout_s` for each step."""
        usual_s, self._timeout_s = self._timeout_s, timeout_s
        self._begin()
        self.clean = False
        self._queue.extend([None] * count)
        self._drain()
        self._timeout_s = usual_s

    def _drain(self) -> None:
        """Send everything and wait until it is accepted."""
        self._send()
        while self._flight or self._queue:
            self._step()
            self._send()
        self.clean = True

    # ---- to the device ----

    def _begin(self) -> None:
        self._queue.clear()
        self._jobs.clear()
        self._before = b""  # commands may have come between
        self._progress()

    def _progress(self) -> None:
        """Something went forward: all patience is new."""
        self._quiet_s, self._silence_s, self._probes, self._go_backs = QUIET_S, 0.0, 0, 0
        self._probing = False
        self._deadline: float | None = None

    def _add(self, data: bytes, kind: Kind) -> None:
        job = _Job(data, kind, zlib.crc32(data))
        self._jobs.append(job)
        self._queue.append(job)

    def _has_room(self) -> bool:
        """Whether the next input could go out now."""
        return not self._queue and len(self._jobs) < INPUTS_AHEAD and self._out == len(self._flight) < FRAMES_AHEAD

    def _on_line_bytes(self) -> int:
        """Bytes that the device may not have read yet."""
        return sum(len(sent.wire) for sent in itertools.islice(self._flight, self._out)) + self._stale_bytes

    def _send(self) -> None:
        """What fits the window, and at least one frame when none is on the line."""
        on_line = self._on_line_bytes()
        while True:
            if self._out == len(self._flight) and not self._make():
                return
            sent = self._flight[self._out]
            if self._out and on_line + len(sent.wire) > self._window:
                return
            self._reader.link.write(sent.wire)
            on_line += len(sent.wire)
            self._out += 1
            self.counts.frames += 1

    def _make(self) -> bool:
        """One more frame out of the queue. False when there is none to make now."""
        if not self._queue or len(self._flight) >= FRAMES_AHEAD:
            return False
        job = self._queue[0]
        if job is None:
            self._queue.popleft()
            self._append(Kind.PING, b"", None)
            return True
        if job.cursor == 0 and job.attempts == 0:
            job.cursor = frames.overlap_bytes(self._before, job.data, LEAST_KEPT_BYTES)
            if job.cursor > 0:
                self._append(Kind.KEEP, job.cursor.to_bytes(frames.KEEP_BYTES, "little"), job)
                return True
        rest = len(job.data) - job.cursor
        if rest > self._payload - frames.INPUT_CRC_BYTES:
            size = min(rest, self._payload)
            self._append(Kind.DATA, job.data[job.cursor : job.cursor + size], job)
            job.cursor += size
            return True
        job.last, job.framed, self._before = self._next, True, job.data
        self._queue.popleft()
        self._append(job.kind, job.data[job.cursor :] + job.crc.to_bytes(frames.INPUT_CRC_BYTES, "little"), job)
        return True

    def _append(self, kind: Kind, payload: bytes, job: _Job | None) -> None:
        self._flight.append(_Sent(frames.encode(Frame(kind, self._next % 256, payload)), self._next, job))
        self._next += 1

    def _go_back(self, why: str) -> None:
        """Everything that is not accepted goes out again."""
        self.counts.damaged += 1
        self._go_backs += 1
        if self._out:
            self.counts.repeated += self._out
            self._note(f"{why}: sending {self._out} frames again, from number {self._base % 256} on")
        self._out = 0
        if self._go_backs > GO_BACKS:
            raise LinkTimeout(
                f"{self._reader.link.name}: one frame was lost {GO_BACKS} times: check cable and wiring, or use a "
                "lower baud rate."
            )
        noise = self.counts.damaged
        if self.may_slow_down and noise >= NOISE_FRAMES and noise > NOISE_SHARE * self.counts.frames:
            raise LineNoisyError(f"{self._reader.link.name}: {noise} of {self.counts.frames} frames were damaged")

    # ---- from the device ----

    def _step(self) -> None:
        """Wait for something, and take it in."""
        if self._deadline is None:
            self._deadline = time.monotonic() + max(3 * self._limit_s(), BABBLE_S)
        baud = self._reader.link.baud
        wait_s = self._quiet_s + self._on_line_bytes() / (baud / 10 if baud else SLOW_BYTES_PER_S)
        if not self._reader.pull(wait_s):
            self._silence(wait_s)
        elif time.monotonic() > self._deadline:
            raise LinkTimeout(f"{self._reader.link.name}: bytes come, but nothing goes forward: check the line.")
        self._look_at_text()
        while self._reader.frames:
            self._take(self._reader.frames.popleft())

    def _limit_s(self) -> float:
        """How long nothing may go forward: an inference may be going on."""
        running = any(job.framed and job.last < self._base for job in self._jobs if job.kind == Kind.RUN)
        return self._infer_timeout_s if running or any(sent.job for sent in self._flight) else self._timeout_s

    def _silence(self, waited_s: float) -> None:
        """Ask where the device stands."""
        self._silence_s += waited_s
        if self._probes >= 4 and self._silence_s >= self._limit_s():
            raise LinkTimeout(
                f"{self._reader.link.name}: no answer to {self._probes} questions in {self._silence_s:.1f} s, with "
                f"{len(self._jobs)} inputs on their way: does the device hang, is it still busy, was it unplugged? "
                "Reset it and try again."
            )
        self._reader.link.write(frames.encode(Frame(Kind.PING, (self._base - 1) % 256)))
        self._probes += 1
        self._probing = True
        self._quiet_s = min(2 * self._quiet_s, QUIET_MAX_S)

    def _look_at_text(self) -> None:
        """Between frames there is none, unless the device has started again or lost bytes."""
        text = self._reader.text
        if _INIT_DONE in text:
            self._reader.clear()  # told once
            raise DeviceReset(
                "the device started again in the middle of a stream: its model and mode are gone. Check its power "
                "supply, then start over."
            )
        if len(text) > MAX_TEXT_BYTES:
            del text[: -len(_INIT_DONE)]
        *lines, rest = bytes(text).split(b"\n")
        for line in lines:
            self._note_noise(f"text between frames: {line.rstrip()!r}")
        text[:] = rest

    def _note_noise(self, text: str) -> None:
        """Say it in the transcript, unless so much was said already."""
        self._noise_notes += 1
        if self._noise_notes <= MAX_NOISE_NOTES:
            self._note(text if self._noise_notes < MAX_NOISE_NOTES else f"{text}; no more of this is noted")

    def _take(self, frame: Frame | Damaged) -> None:
        if isinstance(frame, Damaged):
            self.counts.damaged += 1
            self._note_noise(f"a damaged frame of {len(frame.data)} bytes came")
        elif frame.kind == Kind.ACCEPTED:
            self._accepted(frame.number)
        elif frame.kind == Kind.AGAIN:
            self._again(frame.number)
        elif frame.kind == Kind.RESULT:
            self._result(frame)
        elif frame.kind == Kind.REFUSED:
            self._refused(frame)

    def _position(self, number: int) -> int | None:
        """The number that is meant, not modulo; None for none that the device can want now."""
        wanted = self._base + (number - self._base) % 256
        return wanted if wanted <= self._next else None

    def _advance(self, wanted: int) -> None:
        """Everything before `wanted` was worked on."""
        if wanted <= self._base:
            return
        for _ in range(wanted - self._base):
            self._flight.popleft()
        self._out = max(self._out - (wanted - self._base), 0)
        self._base = wanted
        self._stale_bytes = 0  # what came before on the line was read before
        self._progress()

    def _accepted(self, number: int) -> None:
        wanted = self._position(number)
        if wanted is None:
            return
        if wanted > self._base:
            self._advance(wanted)
            self._lose_results(wanted - 1)  # of a run that is followed by an accepted frame
            return
        self._lose_results(wanted)  # a second time: after the inference, if there was one
        if self._probing:
            self._probing = False
            if self._out:
                self._stale_bytes = 0
                self._go_back("the device has not got everything")

    def _again(self, number: int) -> None:
        wanted = self._position(number)
        if wanted is None:
            return
        self._advance(wanted)
        self._lose_results(wanted)
        self._stale_bytes = self._on_line_bytes()
        self._go_back("the device got a damaged frame")

    def _result(self, frame: Frame) -> None:
        part = frames.decode_result(frame.payload)
        job = next((job for job in self._jobs if job.framed and job.last % 256 == frame.number), None)
        if part is None or job is None or job.output is not None or job.last >= self._next:
            return
        if part.input_crc != job.crc or part.output_bytes > MAX_OUTPUT_BYTES or len(job.parts) >= MAX_PARTS:
            self._note_noise(f"the result of an input with CRC {part.input_crc:08x}, not {job.crc:08x}, is left out")
            return
        self._advance(job.last + 1)
        self._lose_results(job.last)
        room = part.output_bytes - job.received
        if part.offset not in job.parts and (0 < len(part.data) <= room or part.output_bytes == 0):
            job.parts[part.offset] = part.data
            job.received += len(part.data)
            self._progress()
        if job.received == part.output_bytes:
            job.output = _whole(job.parts)
        if job.output is not None:
            self._note(
                f"input of {len(job.data)} bytes, CRC {job.crc:08x}, in frames up to {frame.number}: "
                f"output of {part.output_bytes} bytes"
            )

    def _refused(self, frame: Frame) -> None:
        """The input is not used. Another try helps unless the device cannot."""
        sent = next((sent for sent in self._flight if sent.number % 256 == frame.number), None)
        job = sent.job if sent else next(
            (job for job in self._jobs if job.framed and job.last % 256 == frame.number), None
        )  # fmt: skip
        if job is None or job.output is not None:
            return
        text = frame.payload.decode("latin-1")
        reply = codec.decode(f"{_LIMITS.error_begin}{text}{_LIMITS.error_end}")
        kind = reply.kind if isinstance(reply, codec.Error) else ""
        refusal = DeviceRefused(f"the device refused an input: {codec.shown(text)}", kind=kind, text=text)
        self._note(str(refusal))
        self._before = b""
        if job.kind == Kind.LOAD:
            job.refusal = refusal
        elif kind not in _TRANSIENT:
            raise refusal
        elif job.framed and frame.number == job.last % 256:
            self._advance(job.last + 1)
            self._repeat(job, f"refused it: {codec.shown(text)}")

    def _lose_results(self, before: int) -> None:
        """Runs with a number under `before` are done: those without a result have lost it."""
        for job in list(self._jobs):
            if job.kind == Kind.RUN and job.framed and job.last < before and job.output is None:
                self.counts.lost_results += 1
                self._repeat(job, "has worked on it, and its result is lost")

    def _repeat(self, job: _Job, why: str) -> None:
        job.attempts += 1
        if job.attempts >= ATTEMPTS:
            raise GarbledReply(f"an input went out {ATTEMPTS} times and its result never came: check the line.")
        self._note(f"the device {why}: sending the input with CRC {job.crc:08x} again")
        job.cursor, job.framed, job.last = 0, False, -1
        self._queue.append(job)


def _whole(parts: dict[int, bytes]) -> bytes | None:
    """The output of all its parts; None when they leave a gap and overlap elsewhere."""
    output = bytearray()
    for offset in sorted(parts):
        if offset != len(output):
            return None
        output += parts[offset]
    return bytes(output)
