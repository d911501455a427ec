# SPDX-License-Identifier: Apache-2.0
"""The raw official sets: an archive that somebody has fetched, or the folder that it was unpacked into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from host.archives import tar_files, zip_files
from host.errors import SetupError


@dataclass(frozen=True, slots=True)
class RawSet:
    """archive: its file name; marker: name of a file or folder that tells an unpacked one; digest: as published.

    fetched: whether `host data fetch` brings it (else its user does).
    """

    task: str
    archive: str
    marker: str
    url: str
    digest: str
    fetched: bool = True

    def hint(self) -> str:
        """What a user can do to have it."""
        by_hand = f"put {self.url} ({self.digest}) into a folder and name that folder with --data"
        return f"`host data fetch {self.task}` brings the official set, or {by_hand}." if self.fetched else (
            f"{by_hand[0].upper()}{by_hand[1:]}."
        )  # fmt: skip

    def files(
        self, folder: Path, accept: Callable[[str], str | None], *, max_bytes: int
    ) -> Iterator[tuple[str, bytes]]:
        """(key, bytes) of every file for whose path `accept` gives a key: in the archive's order, or sorted.

        Raises SetupError when `folder` has neither archive nor unpacked set, or when a file is damaged.
        """
        if not folder.is_dir():
            raise SetupError(f"there is no folder {folder}. {self.hint()}")
        archives = sorted(path for path in folder.rglob(f"*{self.archive}") if self._is_archive(path.name))
        if archives:
            read = zip_files if self.archive.endswith(".zip") else tar_files
            yield from read(archives[0], accept, max_bytes=max_bytes)
            return
        if folder.name != self.marker and next(folder.rglob(self.marker), None) is None:
            raise SetupError(f"{folder} holds neither {self.archive} nor what was unpacked from it. {self.hint()}")
        for path in sorted(folder.rglob("*")):
            key = accept(path.as_posix()) if path.is_file() else None
            if key is not None:
                if path.stat().st_size > max_bytes:
                    raise SetupError(f"{path} has {path.stat().st_size} bytes; at most {max_bytes} fit there")
                yield key, path.read_bytes()

    def _is_archive(self, name: str) -> bool:
        """By its own name, or with a hash before it as `host data fetch` keeps it."""
        return name == self.archive or name.endswith(f"-{self.archive}")
