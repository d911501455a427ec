"""The fast side of a line to our own firmware: binary frames, and the highest baud rate that works.

What can go wrong has one answer each: a rate at which an exchange fails or damages anything is not used again; after
silence at a raised rate the device is looked for at the boot rate, to which it goes back by itself; a device that was
idle is taken to have done so; a stream that was left early is ended before the next command.
"""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass

from host import answers
from host.channel import Channel
from host.errors import DeviceError, DeviceRefused, DeviceReset, GarbledReply, HostError, LinkError, LinkTimeout
from host.exchange import Exchange, lacks
from host.reader import Reader
from host.wire import codec
from host.wire.spec import spec

RATES = (2_000_000, 1_000_000, 921_600, 460_800, 230_400)  # tried in this order
TRIES = 3
PROOF_S = 0.5  # for each answer at a new rate
PROOF_PINGS = 64
SETTLE_S = 0.01  # between a rate's change at one end and the first byte
REVERT_S = spec().frames.revert_ms / 1000
IDLE_S = REVERT_S * 2 / 3  # without an answer, after which a device at a raised rate may be back at the boot rate
FIND_ATTEMPTS = 8  # of a second each: the device goes back within REVERT_S
PAUSE_S = spec().frames.pause_ms / 1000 + 0.05
MAX_PAUSES = 1000
MAX_PAYLOAD_BYTES = 1 << 15  # of our frames, whatever a device announces


@dataclass(frozen=True, slots=True)
class FastLink:
    """What was negotiated. baud None: the line has no rate."""

    payload_bytes: int
    window_bytes: int
    baud: int | None


class FastLine:
    """Keeps a device and its line ready for frames. `ready` comes before everything that is sent."""

    def __init__(
        self, reader: Reader, exchange: Exchange, *, baud_max: int, timeout_s: float, infer_timeout_s: float
    ) -> None:
        """baud_max: of the device and of the caller, 0 for none; timeouts: as in Device."""
        self._reader, self._exchange = reader, exchange
        self._timeout_s, self._infer_timeout_s = timeout_s, infer_timeout_s
        self._boot_baud = reader.link.baud
        self._baud_max = baud_max
        self._bad: set[int] = set()
        self._channel: Channel | None = None
        self._damaged = 0
        self._lost = False
        self._good_s = time.monotonic()
        self.link = FastLink(0, 0, None)

    @property
    def raised(self) -> bool:
        """Whether the line is at another rate than the boot rate."""
        return self._reader.link.baud != self._boot_baud

    def idle(self) -> bool:
        """Whether the device may have gone back to the boot rate by itself."""
        return self.raised and time.monotonic() - self._good_s > IDLE_S

    def good(self) -> None:
        """The device has answered just now."""
        self._good_s = time.monotonic()

    def lost(self) -> None:
        """It has not: `ready` looks for it."""
        self._lost = self._lost or self.raised

    def forget(self) -> None:
        """The device has started again: frames are off, and it is at the boot rate."""
        self._channel, self._lost = None, False
        self._reader.frames_on = False
        self._set_baud(self._boot_baud)
        self._exchange.distrust()  # what was on its way is text to it now

    def channel(self) -> Channel:
        """Frames, ready to use. Raises as `ready` and `Exchange.ask` do, DeviceRefused by firmware without frames."""
        self.ready()
        channel = self._channel
        if channel is None:
            self._start()
            self._climb()
            channel = self._channel or self._start()
        return channel

    def ready(self) -> None:
        """The device is at our rate, and nothing is on its way. Raises LinkTimeout, DeviceReset, LinkError."""
        if self._lost:
            self._exchange.note("no answer at this baud rate: looking for the device")
            self._find()
            self._climb()
        elif self.idle():
            self._wake()
        if self._channel is not None and self._channel.counts.damaged > self._damaged:
            self._damaged = self._channel.counts.damaged
            self._exchange.distrust()  # bytes of a damaged frame may wait in front of the next command
        if self._channel is not None and not self._channel.clean:
            self._settle(math.ceil(self._infer_timeout_s))
            self._start()

    def slow_down(self, error: LinkError | GarbledReply) -> None:
        """Find the device again and go on at a lower rate. Raises `error` when there is none."""
        baud = self._reader.link.baud
        if not self.raised or baud is None:
            raise error
        self._exchange.note(f"{error}; {baud} baud is not used any more")
        self._bad.update(rate for rate in RATES if rate >= baud)
        self._find()
        self._start()
        self._climb()

    def restore(self) -> None:
        """Leave the device as it was found, as well as that can be done: it goes back to the boot rate by itself."""
        if self._channel is None:
            return
        with contextlib.suppress(HostError):
            if not self._channel.clean:
                self._settle(3)
            if self.raised:
                self._change(self._boot_baud or 0, PROOF_S)
            self._ask("frames", 0, timeout_s=PROOF_S)
        self._channel = None

    def _start(self) -> Channel:
        """Frames from number 0 on. It can be asked for as often as it takes."""
        for tries_left in range(TRIES - 1, -1, -1):
            try:
                answer = self._ask("frames", spec().frames.version, timeout_s=self._timeout_s)
                break
            except (DeviceRefused, GarbledReply, LinkTimeout) as error:
                known = isinstance(error, DeviceRefused) and lacks(error, "frames")
                if known or not tries_left:
                    raise
                self._exchange.note(f"`frames` failed ({error}); asking again, {tries_left} tries left")
        if not isinstance(answer, codec.Frames) or answer.payload < 16 or answer.window < 64:
            raise GarbledReply(f"`frames` answered {answer}: check the line, then try again.")
        payload = min(answer.payload, MAX_PAYLOAD_BYTES)
        self._reader.frames_on, self._damaged = True, 0
        self._channel = Channel(
            self._reader,
            self._exchange.note,
            payload=payload,
            window=answer.window,
            timeout_s=self._timeout_s,
            infer_timeout_s=self._infer_timeout_s,
        )
        self._channel.may_slow_down = self.raised
        self.link = FastLink(payload, answer.window, self._reader.link.baud)
        return self._channel

    def _climb(self) -> None:
        """To the highest rate that works."""
        boot = self._boot_baud
        if boot is None or self._baud_max == 0:
            return
        for baud in RATES:
            if boot < baud <= self._baud_max and baud not in self._bad:
                if self._works(baud):
                    break
                self._bad.add(baud)
        if self._channel is not None:
            self._channel.may_slow_down = self.raised
        self.link = FastLink(self.link.payload_bytes, self.link.window_bytes, self._reader.link.baud)
        self._exchange.note(f"the line is at {self._reader.link.baud} baud")

    def _works(self, baud: int) -> bool:
        """Change to a rate and prove it; back at the boot rate when it does not work."""
        try:
            self._set_baud(baud)  # our own port first: nothing is lost when it cannot
            self._set_baud(self._boot_baud)
        except LinkError as error:
            self._exchange.note(f"{baud} baud: {error}")
            self._set_baud(self._boot_baud)
            return False
        try:
            self._change(baud, self._timeout_s)
        except DeviceRefused:
            return False
        except (DeviceError, LinkError) as error:
            why: HostError | None = error
        else:
            why = self._flaw()
        if isinstance(why, DeviceReset):
            raise why
        if why is not None:
            self._exchange.note(f"{baud} baud does not work: {why}")
            self._find()
            self._start()
        return why is None

    def _change(self, baud: int, timeout_s: float) -> None:
        answer = self._ask("baud", baud, timeout_s=timeout_s)
        self._reader.pull(SETTLE_S)
        self._set_baud(baud)
        if answer != codec.Baud(baud):
            raise GarbledReply(f"asked for {baud} baud, the device answered {answer}: check the line.")

    def _flaw(self) -> HostError | None:
        """What is wrong with this rate, by an exchange of lines and one of frames, both without any damage."""
        try:
            for command in ("name", "info"):
                self._exchange.ask(codec.encode(command), PROOF_S)
                self._exchange.accept()
                self.good()
            channel = self._channel if self._channel is not None and self._channel.clean else self._start()
            before = channel.counts.damaged
            channel.ping(PROOF_PINGS, PROOF_S)
            self.good()
        except (DeviceError, LinkError) as error:
            return error
        damaged = channel.counts.damaged - before
        return GarbledReply(f"{damaged} of {PROOF_PINGS} frames were damaged") if damaged else None

    def _find(self) -> None:
        """At the boot rate, to which the device goes back by itself. Raises LinkTimeout, DeviceReset."""
        self._lost = False
        self._set_baud(self._boot_baud)
        self._exchange.distrust()
        try:
            self._exchange.resync(attempts=FIND_ATTEMPTS)
        except LinkTimeout:
            self._lost = True
            raise
        self.good()

    def _wake(self) -> None:
        """Make sure that the device has gone back to the boot rate, then raise it again."""
        rest_s = self._good_s + REVERT_S * 7 / 6 - time.monotonic()
        while rest_s > 0:
            self._reader.pull(rest_s)
            rest_s = self._good_s + REVERT_S * 7 / 6 - time.monotonic()
        self._exchange.note("the line was idle: the device goes back to its first baud rate with this byte")
        self._reader.link.write(b"\n")
        self._reader.pull(SETTLE_S)
        self._find()
        self._climb()

    def _settle(self, attempts: int) -> None:
        """End a stream that was left early: what the device has of it, it works on first."""
        self._exchange.note("a stream was left early: waiting for the device")
        for _ in range(MAX_PAUSES):  # so that a frame of which only a part was sent is dropped
            if not self._reader.pull(PAUSE_S):
                break
            self._reader.frames.clear()
        self._exchange.distrust()
        self._exchange.resync(attempts=attempts)
        self.good()

    def _set_baud(self, baud: int | None) -> None:
        if baud is not None and baud != self._reader.link.baud:
            self._reader.link.set_baud(baud)

    def _ask(self, name: str, number: int, *, timeout_s: float) -> codec.Reply:
        """A command with one number, and its answer of one line."""
        replies = self._exchange.ask(codec.encode(name, number), timeout_s)
        kind = {"frames": codec.Frames, "baud": codec.Baud}[name]
        reply: codec.Reply = answers.only(replies, kind)
        self._exchange.accept()
        self.good()
        return reply
