# SPDX-License-Identifier: Apache-2.0
"""The files of a package that nobody trusts: what there is, and their bytes. No link is followed, nothing is unpacked,
and everything has a limit, so that no package keeps the check busy for long."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from host.errors import UsageError
from host.submission.check_findings import Findings
from host.submission.layout import CODE_CACHES, CODE_NAME, MAX_FILE_BYTES

MAX_ENTRIES: Final = 250_000
MAX_DEPTH: Final = 24
MAX_TOTAL_BYTES: Final = 1 << 30
"""Of all files that are hashed, and of logs four times that: a package of any size is checked in minutes."""
_CHUNK: Final = 1 << 20


@dataclass(slots=True)
class Tree:
    """Files with their sizes, and folders with the names in them, by their path from the root (""), `/` between the
    names; links and the like are not among them. complete: whether everything was seen."""

    root: Path
    files: dict[str, int] = field(default_factory=dict)
    folders: dict[str, list[str]] = field(default_factory=lambda: {"": []})
    complete: bool = True
    _charged_bytes: int = 0

    def add(self, folder: str, name: str, size: int | None) -> None:
        """Note a file of `size` bytes or, with None, a folder."""
        path = join(folder, name)
        self.folders[folder].append(name)
        if size is None:
            self.folders[path] = []
        else:
            self.files[path] = size

    def within(self, folder: str) -> list[str]:
        """Names right inside a folder, in order; none where there is no such folder."""
        return sorted(self.folders.get(folder, ()))

    def below(self, folder: str) -> list[str]:
        """The files anywhere below a folder, in order, as paths from that folder."""
        return sorted(path[len(folder) + 1 :] for path in self.files if path.startswith(f"{folder}/"))

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """A file that was seen. Raises OSError when it is no plain file any more."""
        handle = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(f"{path} is no plain file")
            yield file

    def read(self, path: str, limit: int, found: Findings) -> bytes | None:
        """The bytes of a file of at most `limit` bytes, or None and a breach."""
        try:
            with self.open(path) as file:
                data = file.read(limit + 1)
        except OSError as error:
            found.add(path, "unreadable", f"it cannot be read ({error.strerror or error})")
            return None
        if len(data) > limit:
            found.add(path, "size", f"it has more than {limit:,} bytes, more than such a file ever needs")
            return None
        return data

    def charge(self, path: str, found: Findings, weight: int = 1) -> bool:
        """Whether a file may still be read as a whole; else a breach."""
        self._charged_bytes += weight * self.files[path]
        if self._charged_bytes > MAX_TOTAL_BYTES:
            found.add(path, "size", "what a package may hold is used up by the files before it: it was not read")
            return False
        return True

    def sha256(self, path: str, found: Findings) -> str | None:
        """Of a file, or None and a breach when it cannot be read or too much was hashed before; None, as was said
        before, when it is too large."""
        if self.files[path] > MAX_FILE_BYTES or not self.charge(path, found):
            return None
        digest = hashlib.sha256()
        try:
            with self.open(path) as file:
                left = self.files[path]
                while chunk := file.read(min(_CHUNK, left)):
                    left -= len(chunk)
                    digest.update(chunk)
        except OSError as error:
            found.add(path, "unreadable", f"it cannot be read ({error.strerror or error})")
            return None
        return digest.hexdigest()


def join(folder: str, name: str) -> str:
    """A path from the root."""
    return f"{folder}/{name}" if folder else name


def walk(root: Path, found: Findings) -> Tree:
    """Everything in the package, and the breaches that need no look into a file: names, links, sizes, empty folders.

    Raises UsageError when `root` is no folder that can be read.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is no folder: name one that `host package` has written.")
    tree = Tree(root)
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        entries = _entries(root, folder, found)
        if folder and not entries:
            found.add(folder, "empty", "the folder is empty")
        for entry in entries:
            if len(tree.files) + len(tree.folders) >= MAX_ENTRIES:
                found.add(".", "crowd", f"there are more than {MAX_ENTRIES:,} files and folders: the others were left")
                tree.complete = False
                return tree
            if _take(entry, folder, tree, found):
                waiting.append(join(folder, entry.name))
    return tree


def _entries(root: Path, folder: str, found: Findings) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root / folder) as listing:
            entries = []
            for entry in listing:  # a folder may have millions
                entries.append(entry)
                if len(entries) > MAX_ENTRIES:
                    break
    except OSError as error:
        if not folder:
            raise UsageError(f"{root} cannot be read: {error.strerror}. Name a folder of yours.") from error
        found.add(folder, "unreadable", f"it cannot be read ({error.strerror})")
        return []
    return sorted(entries, key=lambda entry: entry.name)


def _take(entry: os.DirEntry[str], folder: str, tree: Tree, found: Findings) -> bool:
    """Note one entry; whether it is a folder to look into."""
    path = join(folder, entry.name)
    if not CODE_NAME.fullmatch(entry.name):
        found.add(path, "name", "such a name makes trouble on other machines")
    try:
        info = entry.stat(follow_symlinks=False)
    except OSError as error:
        found.add(path, "unreadable", f"nothing can be learned of it ({error.strerror})")
        return False
    if stat.S_ISLNK(info.st_mode):
        found.add(path, "symlink", "it is a symbolic link")
    elif stat.S_ISREG(info.st_mode):
        tree.add(folder, entry.name, info.st_size)
        if info.st_size > MAX_FILE_BYTES:
            found.add(path, "size", f"it has {info.st_size:,} bytes, {MAX_FILE_BYTES:,} are allowed")
    elif not stat.S_ISDIR(info.st_mode):
        found.add(path, "special", "it is neither a file nor a folder")
    elif entry.name in CODE_CACHES:
        found.add(path, "cache", "such a folder holds what was built, not sources")
    elif path.count("/") >= MAX_DEPTH:
        found.add(path, "crowd", f"it lies more than {MAX_DEPTH} folders deep")
    else:
        tree.add(folder, entry.name, None)
        return True
    return False
