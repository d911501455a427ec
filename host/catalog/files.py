"""Files known by their sha256: where they may lie on this machine, and the cache.

Nothing is handed out that was not hashed in the same read.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from host.errors import HashMismatch, SetupError

MAX_FILE_BYTES = 64 << 20  # far above any model or input for a microcontroller
CHUNK_BYTES = 1 << 16

Note = Callable[[str], None]


class Unavailable(Exception):
    """A place has not got the file: no error yet, the next one is tried. The text says why."""


@dataclass(frozen=True, slots=True)
class Form:
    """One form in which a wanted file may be kept; `decode` turns it into the wanted bytes."""

    name: str
    sha256: str
    decode: Callable[[bytes], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to find: its forms, the wanted one first; the last one is what addresses and packages hold.

    `folder`: a file of the right name and the wrong hash is damaged only in a folder called so (None: anywhere).
    """

    forms: tuple[Form, ...]
    folder: str | None = None

    @property
    def name(self) -> str:
        """The name of the wanted form."""
        return self.forms[0].name


@dataclass(frozen=True, slots=True)
class Found:
    """The wanted bytes, verified, and the file they were read from."""

    path: Path
    data: bytes


def png_to_rgb(data: bytes) -> bytes:
    """Decode a PNG to RGB bytes, height x width x channel, uint8. `data` must come from a verified file."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return image.convert("RGB").tobytes()
    except (OSError, ValueError, SyntaxError) as error:
        raise SetupError(f"a PNG with the right sha256 cannot be decoded: {error}") from error


def sha256(data: bytes) -> str:
    """Lower-case hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path, name: str) -> str:
    """Lower-case hex digest of a file of any size, by the hash called `name`. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, name).hexdigest()


def decoded(wanted: Wanted, form: Form, path: Path, data: bytes) -> Found:
    """The wanted bytes out of `data`, which has the hash of `form`."""
    if form.decode is not None:
        data = form.decode(data)
        if sha256(data) != wanted.forms[0].sha256:
            raise HashMismatch(
                f"{path}: decoded to {wanted.name}, its sha256 is {sha256(data)}, expected {wanted.forms[0].sha256}. "
                "The file is the right one, so the decoder (Pillow), the registry or the model.toml is at fault."
            )
    return Found(path, data)


def _read(path: Path) -> bytes | None:
    """Bytes of a regular file of reasonable size, else None."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            return None
        return path.read_bytes()
    except OSError:
        return None


class LocalFolders:
    """The folders of TINYJOULE_DATA: searched by file name, at any depth except in hidden folders."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Remember `folders`; they are walked at the first search."""
        self.folders = tuple(folders)

    @cached_property
    def _index(self) -> dict[str, list[Path]]:
        index: dict[str, list[Path]] = {}
        for folder in self.folders:
            for root, below, names in os.walk(folder):
                below[:] = sorted(name for name in below if not name.startswith("."))
                for name in sorted(names):
                    index.setdefault(name, []).append(Path(root, name))
        return index

    def named(self, name: str) -> tuple[Path, ...]:
        """The files of that name, in the order of the folders."""
        return tuple(self._index.get(name, ()))

    def find(self, wanted: Wanted) -> Found | None:
        """The file, or None; HashMismatch when there are only files of that name with another content."""
        wrong: tuple[Path, str, str] | None = None
        for form in wanted.forms:
            for path in self.named(form.name):
                data = _read(path)
                found = None if data is None else sha256(data)
                if data is not None and found == form.sha256:
                    return decoded(wanted, form, path, data)
                if wrong is None and wanted.folder in (None, path.absolute().parent.name):
                    wrong = (path, form.sha256, found or "nothing readable")
        if wrong is not None:
            raise HashMismatch(
                f"{wrong[0]} (in TINYJOULE_DATA) is not the file the catalogue names:\n"
                f"  expected sha256 {wrong[1]}\n  found    sha256 {wrong[2]}\n"
                "Replace it with the right file or take it away."
            )
        return None

    def describe(self) -> str:
        """Where was looked, for an error message."""
        if not self.folders:
            return "TINYJOULE_DATA (not set)"
        each = (f"{folder}" if folder.is_dir() else f"{folder}, which is no folder" for folder in self.folders)
        return f"TINYJOULE_DATA ({'; '.join(each)})"


class Cache:
    """Verified files of one task under the user's cache folder; the hash is part of the file's name."""

    def __init__(self, folder: Path, note: Note) -> None:
        """Use `folder`, made at the first write; `note` hears of damaged entries."""
        self.folder = folder
        self._note = note

    def name(self, form: Form) -> str:
        """File name of a form inside the cache."""
        return f"{form.sha256[:12]}-{form.name}"

    def find(self, wanted: Wanted) -> Found | None:
        """The file, or None. An entry that is no longer what was stored is removed."""
        for form in wanted.forms:
            path = self.folder / self.name(form)
            if not path.exists():
                continue
            data = _read(path)
            if data is not None and sha256(data) == form.sha256:
                return decoded(wanted, form, path, data)
            self._note(f"{path} was damaged in the cache; it is removed.")
            with self.writing():
                path.unlink(missing_ok=True)
        return None

    def store(self, form: Form, data: bytes) -> None:
        """Keep `data`, which the caller has verified; whole or not at all."""
        with self.writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".part-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(temporary, self.folder / self.name(form))
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Context in which a failed write becomes a SetupError that names the cache."""
        try:
            yield
        except OSError as error:
            raise SetupError(
                f"The cache {self.folder} cannot be written: {error}. Set XDG_CACHE_HOME to a folder that can."
            ) from error
