"""Large files: streamed to the disk, hashed on the way, and a broken download goes on where it stopped.

Beside the file to be lie `NAME.part`, what has come so far, and `NAME.part.json`, what the server said of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from host.catalog.fetch import Hosts, Progress, cause
from host.catalog.files import CHUNK_BYTES, Note, Unavailable, file_digest
from host.errors import HashMismatch, SetupError

if TYPE_CHECKING:
    import requests

MAX_FILE_BYTES = 1 << 36  # far above any data set for a microcontroller
MAX_FRUITLESS_TRIES = 4  # one after the other, none of which brought a byte
STALL_FACTOR = 6  # times the time for an answer: how long the line may be silent in the middle of a file
RETRY_PAUSE_S = 1.0
HASHES = ("sha256", "sha1")


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a file beforehand."""

    sha256: str | None = None
    sha1: str | None = None
    size_bytes: int | None = None

    @property
    def known(self) -> bool:
        """Whether a hash is known."""
        return self.sha256 is not None or self.sha1 is not None

    def problem(self, path: Path) -> str | None:
        """Why a file is another one, in lines for an error; None when it is not. Nothing known: it is always right."""
        try:
            if not path.is_file():
                return "  it is no regular file"
            size = path.stat().st_size
            if self.size_bytes is not None and size != self.size_bytes:
                return f"  expected {self.size_bytes:,} bytes\n  found    {size:,} bytes"
            return self.mismatch({name: file_digest(path, name) for name in HASHES if getattr(self, name) is not None})
        except OSError as error:
            return f"  it cannot be read ({error.strerror})"

    def mismatch(self, digests: dict[str, str]) -> str | None:
        """What differs between the hashes that are known and those found; None when nothing does."""
        for name in HASHES:
            wanted = getattr(self, name)
            if wanted is not None and digests[name] != wanted:
                return f"  expected {name} {wanted}\n  found    {name} {digests[name]}"
        return None


class _About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the server said. total: bytes of the file; validator: its name for this version of it, "" for none."""

    url: str
    total: int | None
    validator: str


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Context in which a failed write becomes an error that says so."""
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"{folder} cannot be written: {error.strerror or error}. What has come so far is kept: make room, or set "
            "XDG_CACHE_HOME to a folder with more of it, and run the command again."
        ) from error


@dataclass(slots=True)
class _Part:
    """What has come so far. resumed: a part of it came in another try than the rest."""

    file: IO[bytes]
    folder: Path
    note_path: Path
    url: str
    have: int = 0
    total: int | None = None
    validator: str = ""
    resumed: bool = False
    digests: dict[str, Any] = field(default_factory=dict)

    def start_over(self) -> None:
        """Forget everything."""
        with _disk(self.folder):
            self.file.truncate(0)
        self.have, self.total, self.validator, self.resumed = 0, None, "", False
        self.digests = {name: hashlib.new(name, usedforsecurity=False) for name in HASHES}

    def pick_up(self) -> None:
        """Take what an earlier call has left, when it belongs to this address."""
        try:
            about = msgspec.json.decode(self.note_path.read_bytes(), type=_About)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            about = None
        if about is None or about.url != self.url:
            self.start_over()
            return
        self.total, self.validator = about.total, about.validator
        self.digests = {name: hashlib.new(name, usedforsecurity=False) for name in HASHES}
        with _disk(self.folder):
            self.file.seek(0)
            while chunk := self.file.read(CHUNK_BYTES):
                self._count(chunk)

    def _count(self, chunk: bytes) -> None:
        self.have += len(chunk)
        for digest in self.digests.values():
            digest.update(chunk)

    def write(self, chunk: bytes) -> None:
        """Append; the file was opened for that. A short write counts as far as it went."""
        with _disk(self.folder):
            rest = memoryview(chunk)
            while rest:
                written = self.file.write(rest)
                self._count(bytes(rest[:written]))
                rest = rest[written:]

    def remember(self) -> None:
        """Keep what the server said, for a later call."""
        about = msgspec.json.encode(_About(self.url, self.total, self.validator))
        with _disk(self.folder):
            temporary = self.note_path.with_name(self.note_path.name + ".new")
            temporary.write_bytes(about)
            os.replace(temporary, self.note_path)

    def mismatch(self, expected: Expected) -> str | None:
        """As Expected.mismatch, of all that has come."""
        return expected.mismatch({name: digest.hexdigest() for name, digest in self.digests.items()})


def fetch_file(
    url: str, target: Path, expected: Expected, *, hosts: Hosts, timeout_s: float, progress: Progress, note: Note
) -> str:
    """Download `url` to `target`, whose folder exists; returns its sha256.

    Raises Unavailable when the server does not give it (what has come is kept for the next call), HashMismatch when
    it is another file than expected (nothing is kept), SetupError when the disk does not take it.
    """
    hosts.require(url, timeout_s)
    path, note_path = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.json")
    with _disk(target.parent):
        file = open(path, "a+b", buffering=0)  # noqa: SIM115  (closed by the next line)
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SetupError(f"another process is downloading {path}: wait until it is done.") from error
        part = _Part(file, target.parent, note_path, url)
        try:
            part.pick_up()
            digest = _whole(part, expected, timeout_s, progress, note)
        except HashMismatch as error:
            path.unlink(missing_ok=True)
            note_path.unlink(missing_ok=True)
            name = target.name.partition("-")[2]
            raise HashMismatch(f"{error}\nPut the right file into a folder of TINYJOULE_DATA, named {name}.") from error
        with _disk(target.parent):
            os.replace(path, target)
            note_path.unlink(missing_ok=True)
    return digest


def _whole(part: _Part, expected: Expected, timeout_s: float, progress: Progress, note: Note) -> str:
    """Get what is missing and compare the hashes; returns the sha256."""
    _fill(part, expected, timeout_s, progress, note)
    problem = part.mismatch(expected)
    if problem is not None and part.resumed:
        note(f"{part.url}: the parts do not make the right file; it is downloaded again from its beginning.")
        part.start_over()
        _fill(part, expected, timeout_s, progress, note)
        problem = part.mismatch(expected)
    if problem is not None:
        raise HashMismatch(
            f"{part.url} is not the file that is expected, and was not kept:\n{problem}\n"
            "Something between this machine and the host changes files, or the host has another one now."
        )
    return str(part.digests["sha256"].hexdigest())


def _fill(part: _Part, expected: Expected, timeout_s: float, progress: Progress, note: Note) -> None:
    """Ask until everything is there."""
    fruitless, most = 0, part.have
    while True:
        why = _try(part, expected, timeout_s, progress)
        if why is None:
            return
        fruitless = 0 if part.have > most else fruitless + 1  # beginning again and again leads nowhere either
        most = max(most, part.have)
        kept = f"{_size(part.have)}{f' of {_size(part.total)}' if part.total else ''} kept"
        if fruitless >= MAX_FRUITLESS_TRIES:
            raise Unavailable(f"{part.url} {why} ({kept}; the same command goes on from there)")
        note(f"{part.url} {why} ({kept}); the rest is asked for again.")
        time.sleep(RETRY_PAUSE_S * 2**fruitless)


def _try(part: _Part, expected: Expected, timeout_s: float, progress: Progress) -> str | None:
    """One request for what is missing. None when the file is whole, else why not; Unavailable when that is final."""
    import requests
    import urllib3

    if part.have and not part.validator and not expected.known:
        part.start_over()  # nothing would tell whether the rest belongs to it
    headers = {"Accept-Encoding": "identity"}
    if part.have:
        headers |= {"Range": f"bytes={part.have}-"} | ({"If-Range": part.validator} if part.validator else {})
    limits_s = (timeout_s, timeout_s * STALL_FACTOR)
    try:
        with requests.get(part.url, headers=headers, timeout=limits_s, stream=True) as response:
            why = _begin(part, response, expected)
            if why is not None:
                return None if why == "whole" else why
            _require_room(part)
            _receive(part, response, expected, progress)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        return f"broke off ({cause(error)})"
    if part.total is not None and part.have != part.total:
        return f"ended at {part.have:,} of {part.total:,} bytes"
    return None


def _begin(part: _Part, response: requests.Response, expected: Expected) -> str | None:
    """Look at the head of an answer. None: its body goes behind what is there; "whole": there is no more to come."""
    status = response.status_code
    span = response.headers.get("Content-Range", "")
    if status == 416 and part.have:
        end = re.fullmatch(r"bytes \*/(\d+)", span)
        if end and int(end[1]) == part.have and part.total in (None, part.have):
            return "whole"
        part.start_over()
        return "has no such rest any more"
    if status >= 500 or status in (408, 429):
        return f"answers {status} {response.reason}"
    if status == 206:
        place = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", span)
        total = int(place[3]) if place and place[3] != "*" else part.total
        same = response.headers.get("ETag", part.validator) == part.validator or not part.validator.startswith('"')
        if not part.have or not place or int(place[1]) != part.have or part.total not in (None, total) or not same:
            part.start_over()
            return "answers with another part than was asked for"
        part.total, part.resumed = total, True
    elif status == 200:
        part.start_over()  # from the beginning, or the server knows no ranges, or has another version by now
        length = response.headers.get("Content-Length", "")
        part.total = int(length) if length.isascii() and length.isdigit() else None
        strong = response.headers.get("ETag", "")
        part.validator = strong if strong.startswith('"') else response.headers.get("Last-Modified", "")
    else:
        raise Unavailable(f"{part.url} answers {status} {response.reason}")
    if expected.size_bytes is not None and part.total is not None and part.total != expected.size_bytes:
        raise HashMismatch(
            f"{part.url} is {part.total:,} bytes long, not {expected.size_bytes:,}: it is not the file that is "
            "expected, and was not kept. The host may have another version by now."
        )
    part.remember()
    return None


def _require_room(part: _Part) -> None:
    """SetupError when the disk has not got the room for the rest."""
    with _disk(part.folder):
        free = shutil.disk_usage(part.folder).free
    if part.total is not None and part.total - part.have > free:
        raise SetupError(
            f"{part.url} takes {_size(part.total - part.have)} more, but only {_size(free)} are free in {part.folder}: "
            "make room, or set XDG_CACHE_HOME to a folder with more of it."
        )


def _receive(part: _Part, response: requests.Response, expected: Expected, progress: Progress) -> None:
    """The body, to the disk. HashMismatch, and nothing kept, for more bytes than were announced."""
    limit = next((size for size in (expected.size_bytes, part.total) if size is not None), MAX_FILE_BYTES)
    unit_bytes, unit = (1_000_000, "MB") if limit >= 10_000_000 else (1000, "kB")
    what = f"downloading {part.note_path.name.removesuffix('.part.json').partition('-')[2]}, {unit}"
    whole = 0 if part.total is None else -(-part.total // unit_bytes)
    told = -1
    for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
        if part.have + len(chunk) > limit:
            raise HashMismatch(f"{part.url} brings more than the {limit:,} bytes that were announced; nothing is kept.")
        part.write(chunk)
        if part.have // unit_bytes != told:
            told = part.have // unit_bytes
            progress(what, told, whole)
    if part.have == part.total:
        progress(what, whole, whole)


def _size(count: int) -> str:
    """A number of bytes for a person."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"
