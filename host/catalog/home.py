"""The user's data folder: what a person has given, and what was recorded, is kept there and never in the cache."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from host.catalog.spec import Sha256
from host.errors import SetupError


def now() -> str:
    """The time, for a record."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def shown_path(path: Path) -> str:
    """For a record that people read: what cannot be printed, or is no text at all, is a question mark."""
    return "".join(char if char.isprintable() else "?" for char in str(path))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file of the data folder, whole or not at all. Raises SetupError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SetupError(f"{path} cannot be written: {error}. Set XDG_DATA_HOME to a folder that can.") from error


_Kind = TypeVar("_Kind")


def read_record(path: Path, kind: type[_Kind], advice: str) -> _Kind | None:
    """The JSON record in `path`, or None when there is none. SetupError with `advice` for a damaged one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} cannot be read ({error}). {advice}") from error


class FirstFetch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file from an address that publishes no hash, as it came the first time."""

    sha256: Sha256
    size_bytes: int
    first: str


class FirstFetches:
    """The record of the files whose hash nobody publishes, by address."""

    def __init__(self, home: Path) -> None:
        """Of the data folder `home`, which need not exist."""
        self.path = home / "first-fetch.json"

    def _read(self) -> dict[str, FirstFetch]:
        advice = "It holds the hashes of first downloads: restore it, or delete it to trust what comes next."
        return read_record(self.path, dict[str, FirstFetch], advice) or {}

    def get(self, url: str) -> FirstFetch | None:
        """What is recorded of `url`."""
        return self._read().get(url)

    def add(self, url: str, sha256: str, size_bytes: int) -> None:
        """Record a first download."""
        known = self._read() | {url: FirstFetch(sha256, size_bytes, now())}
        write_whole(self.path, msgspec.json.format(msgspec.json.encode(known), indent=1) + b"\n")
