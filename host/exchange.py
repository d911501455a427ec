"""One command, one reply: reads lines off a link, knows where a reply ends and whether it is the right one's.

A reply ends with `m-ready`. After anything but a reply that was accepted, the stream is brought back in step before the
next command: every firmware echoes a command it does not know, so a made-up command with a number in it has an answer
that no older one can be mistaken for.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from host.errors import DeviceError, DeviceRefused, DeviceReset, GarbledReply, HostError, LinkTimeout
from host.reader import Reader
from host.wire import codec
from host.wire.spec import spec

# What a device may send at most: the longest honest line is m-results with the 640 outputs of ad01's model.
MAX_LINE_BYTES = 8192
MAX_ENTRY_BYTES = 1 << 20  # of the transcript: a line of either direction, and what JSON makes of it
GOES_ON = "another host goes on from here; seconds count from its start"
MAX_REPLY_LINES = 512
MAX_REPLY_TIMEOUTS = 3  # for a whole reply, however slowly it drips: `infer` has two silences, warm-up and window
MAX_STALE_LINES = 8192  # more than `db print` of the largest input
RESYNC_ATTEMPTS = 3
RESYNC_ATTEMPT_S = 1.0
RESYNC_QUIET_S = 0.25  # after the end of a reply that was not ours

_READY, _INIT_DONE = (spec().replies[name].template.encode() for name in ("ready", "init_done"))
_UNKNOWN_COMMAND = spec().errors["unknown_command"]
_HINTS = {
    "unknown_command": "This firmware does not have it.",
    "oversize": "Does the model on the device take inputs of this size?",
    "input_size": "The input is not one of the active model's.",
    "model_unknown": "Build and flash an image that has it: host build BOARD, host flash BOARD.",
    "model_refused": "The engine on the device cannot run it.",
    "prof_operators": "Build the firmware with a larger TJ_PROFILE_OPERATORS (firmware/main.c).",
    "model_none": "Select a model first.",
    "overrun": "The line is faster than the device reads: use a lower baud rate.",
}


def task_note(task: str, mode: str) -> str:
    """The note above all that a session does for a task: what comes before the first is the opening of its boards."""
    return f"here begins {task}, {mode}"


class Transcript:
    """log.jsonl: every line sent and received, and notes, with seconds since the start. A context manager."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        """Create the file, or go on behind what it holds, with the note GOES_ON if that is anything.

        Raises HostError when it cannot be written, as `add` does.
        """
        self._path = path
        self._unit: int | None = None
        with self._writing():
            if append and path.exists():
                _drop_cut_line(path)
            self._file = path.open("ab" if append else "wb", buffering=0)
        self._start = time.monotonic()
        if append and path.stat().st_size:
            self.add("note", GOES_ON)

    def add(self, direction: Literal["tx", "rx", "note"], line: str) -> None:
        """One line; on disk when this returns, as far as we are concerned."""
        seconds = round(time.monotonic() - self._start, 6)
        entry = {"t": seconds, "dir": direction, "line": line}
        if self._unit is not None:
            entry["unit"] = self._unit
        text = json.dumps(entry) + "\n"
        with self._writing():
            if self._file.write(text.encode()) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def of_unit(self, unit: int) -> Transcript:
        """The same file for one board of several, whose number its lines then carry; other threads may write too."""
        other = copy.copy(self)
        other._unit = unit
        return other

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._file.close()

    def __enter__(self) -> Self:
        """The transcript itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HostError(
                f"cannot write {self._path}: {error}. Free some room, or choose another folder with --out."
            ) from error


def _drop_cut_line(path: Path) -> None:
    """A full disk may have left a piece of a line at the end."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - MAX_ENTRY_BYTES, 0))
        tail = file.read()
        file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)


class Exchange:
    """Asks a device and collects its replies. Frames that come meanwhile are nobody's any more: they are dropped."""

    def __init__(self, reader: Reader, transcript: Transcript | None, timeout_s: float) -> None:
        """timeout_s: how long the device may take for one line."""
        self._reader = reader
        self._transcript = transcript
        self._timeout_s = timeout_s
        self._in_step = True
        self._resyncs = 0
        self._understood = False
        self._read_s = 0.0  # when the last bytes came: any whole line in the buffer ended then
        self.arrivals_s: list[float] = []  # of the lines of the last reply, on time.monotonic()'s clock

    def ask(self, command: bytes, timeout_s: float | None = None) -> list[codec.Reply]:
        """Send `command` and return its reply, without the `m-ready`.

        The reply counts as wrong until `accept` is called. Raises DeviceRefused, GarbledReply, DeviceReset,
        LinkTimeout, LinkError.
        """
        self._drop_stale()
        if not self._in_step:
            self.resync()
        self._in_step = False
        self._send(command)
        return self._reply(_label(command), self._timeout_s if timeout_s is None else timeout_s)

    def accept(self) -> None:
        """The last reply was what its command answers: the stream is in step."""
        self._in_step = True
        self._understood = True

    def resync(self, *, attempts: int = RESYNC_ATTEMPTS, after_boot: bool = False) -> None:
        """Skip everything that older commands left behind; each attempt waits RESYNC_ATTEMPT_S at most.

        Raises LinkTimeout when the device does not answer, DeviceReset when it has started again in the meantime,
        unless `after_boot`.
        """
        reset = False
        for _ in range(attempts):
            self._resyncs += 1
            token = f"sync{self._resyncs:04}"
            self.note(f"finding the end of older replies with {token!r}")
            self._send(f"{token}%".encode())
            found, banner = self._skip_to(_UNKNOWN_COMMAND.filled(command=token).encode(), RESYNC_ATTEMPT_S)
            reset = reset or banner
            if found:
                break
        else:
            raise LinkTimeout(self._no_answer(f"to {attempts} questions, {RESYNC_ATTEMPT_S:.0f} s each"))
        self.accept()
        if reset and not after_boot:
            raise _was_reset("since the last command")

    def skip_banner(self, timeout_s: float) -> None:
        """Take in what a device prints when it starts, if it does so within `timeout_s`; other lines are dropped."""
        self._skip_to(_INIT_DONE, timeout_s)

    def note(self, text: str) -> None:
        """Say something in the transcript."""
        if self._transcript:
            self._transcript.add("note", text)

    def distrust(self) -> None:
        """Something else than a command was on the line, and may have left anything behind."""
        self._in_step = False

    def _send(self, command: bytes) -> None:
        if self._transcript:
            self._transcript.add("tx", command.decode("latin-1"))
        self._reader.link.write(command)

    def _line(self, deadline: float) -> bytes:
        """The next line, its end removed. Raises LinkTimeout when there is none by then, GarbledReply when too long."""
        searched, text = 0, self._reader.text
        while (end := text.find(b"\n", searched)) < 0:
            if len(text) > MAX_LINE_BYTES:
                text.clear()
                raise GarbledReply(f"a line of more than {MAX_LINE_BYTES} bytes: is this an MLPerf Tiny device?")
            searched = len(text)
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self._reader.pull(left_s):
                raise LinkTimeout("no line")
            self._reader.frames.clear()
            self._read_s = time.monotonic()
        line = bytes(text[:end]).rstrip(b"\r")
        del text[: end + 1]
        if self._transcript:
            self._transcript.add("rx", line.decode("latin-1"))
        return line

    def _reply(self, label: str, timeout_s: float) -> list[codec.Reply]:
        """Read on to `m-ready`, whatever comes, and only then complain: the next command finds a clean line."""
        replies: list[codec.Reply] = []
        self.arrivals_s = []
        wrong: DeviceError | None = None
        whole_s = MAX_REPLY_TIMEOUTS * timeout_s
        deadline = time.monotonic() + whole_s
        for _ in range(MAX_REPLY_LINES):
            try:
                reply = codec.decode(self._line(min(time.monotonic() + timeout_s, deadline)))
            except LinkTimeout:
                limit = (
                    f"that ended within {whole_s:g} s" if time.monotonic() >= deadline else f"within {timeout_s:g} s"
                )
                raise LinkTimeout(self._no_answer(f"to {label!r} {limit}")) from wrong
            except GarbledReply as error:
                wrong = wrong or GarbledReply(f"in the reply to {label!r}: {error}")
                continue
            fault = _fault(reply, label)
            if isinstance(fault, DeviceReset) or wrong is None:  # else the first one wins
                wrong = fault
            if isinstance(reply, codec.Ready):
                if wrong:
                    raise wrong
                return replies
            if not isinstance(reply, codec.Unknown):
                replies.append(reply)
                self.arrivals_s.append(self._read_s)
        raise GarbledReply(
            f"more than {MAX_REPLY_LINES} lines in the reply to {label!r}: is this an MLPerf Tiny device?"
        )

    def _drop_stale(self) -> None:
        """Forget what came unasked; a banner among it means that the device has forgotten everything."""
        self._reader.pull(0.0)
        stale = self._reader.clear()
        if not stale:
            return
        self.note(f"dropped what came unasked: {stale[:MAX_LINE_BYTES]!r}")
        self._in_step = False
        if _INIT_DONE in stale:
            raise _was_reset("since the last command")

    def _skip_to(self, wanted: bytes, timeout_s: float) -> tuple[bool, bool]:
        """Read up to the reply that holds the line `wanted`, its `m-ready` included.

        Returns whether it came in time, and whether a banner did before it was complete.
        """
        found = banner = False
        deadline = time.monotonic() + timeout_s
        for _ in range(MAX_STALE_LINES):
            try:
                line = self._line(deadline)
            except LinkTimeout:
                break
            except GarbledReply:
                continue
            banner = banner or _INIT_DONE in line
            if line == wanted:
                found = True
            elif _READY in line:
                if found:
                    return True, banner
                deadline = min(deadline, time.monotonic() + RESYNC_QUIET_S)
        return False, banner

    def _no_answer(self, what: str) -> str:
        if self._understood:
            advice = "it has answered before: does it hang, is it still busy, was it unplugged? Reset it and try again."
        elif self._reader.heard:
            advice = "bytes come, but not the protocol's: is it the right port, right baud, an MLPerf Tiny firmware?"
        else:
            advice = "is the board powered, is it the right port, right baud?"
        return f"{self._reader.link.name}: no answer {what}: {advice}"


def _fault(reply: codec.Reply, label: str) -> DeviceError | None:
    """Why this line cannot be part of a good reply; None when it can."""
    match reply:
        case codec.InitDone():
            return _was_reset(f"during {label!r}")
        case codec.Error():
            hint = _HINTS.get(reply.kind, "Check the line, then try again.")
            said = f"the device refused {label!r}: e-[{codec.shown(reply.text)}]. {hint}"
            return DeviceRefused(said, kind=reply.kind, text=reply.text)
        case codec.Ready(rest) if rest:
            said = f"{codec.shown(rest)!r} and m-ready run into one line"
            return GarbledReply(f"in the reply to {label!r}: {said}: check the line.")
        case codec.Unknown(text) if text:
            said = f"{codec.shown(text)!r} is no line of the protocol"
            return GarbledReply(f"in the reply to {label!r}: {said}: check the line.")
    return None


def lacks(error: DeviceRefused, command: str) -> bool:
    """Whether the firmware does not know `command`: by the name it gives, which a bit error may have made another."""
    return f"e-[{error.text}]" == _UNKNOWN_COMMAND.filled(command=command)


def _was_reset(when: str) -> DeviceReset:
    return DeviceReset(
        f"the device started again {when}: its model, mode and input are gone. Check its power supply, then start over."
    )


def _label(command: bytes) -> str:
    text = command.decode("latin-1").removesuffix("%")
    return text if len(text) <= 40 else f"{text[:12]}... ({len(text)} characters)"
