# SPDX-License-Identifier: Apache-2.0
"""Files out of archives from elsewhere: read in memory, by name and of bounded size. Nothing is ever extracted.

So a name that points outside its folder, a link or a device is no danger here: only plain files are looked at, and what
a file is called here is the caller's choice.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from host.errors import SetupError

Key = TypeVar("Key")
Accept = Callable[[str], Key | None]

_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError)


def _again(path: Path, error: BaseException) -> SetupError:
    return SetupError(
        f"{path.name} cannot be read to its end as an archive ({error}): it is damaged or cut short. Remove it and "
        "fetch it again."
    )


def _plain(name: str) -> str:
    """The name as most archives write it."""
    return name.removeprefix("./")


def tar_files(path: Path, accept: Accept[Key], *, max_bytes: int) -> Iterator[tuple[Key, bytes]]:
    """(key, bytes) of every plain file for whose name `accept` gives a key, in the archive's order.

    One pass, so an archive of many gigabytes takes no memory. A file that is larger than `max_bytes`, and an archive
    that cannot be read to its end, is a SetupError; what came before has been given by then.
    """
    try:
        with tarfile.open(path, mode="r|*") as archive:
            for info in archive:
                key = accept(_plain(info.name)) if info.isreg() else None
                if key is None:
                    continue
                if info.size > max_bytes:
                    raise SetupError(f"{info.name} in {path.name} has {info.size} bytes; at most {max_bytes} fit there")
                member = archive.extractfile(info)
                data = b"" if member is None else member.read(max_bytes + 1)
                if len(data) != info.size:
                    raise EOFError(f"{info.name} is cut short")
                yield key, data
    except _BROKEN as error:
        raise _again(path, error) from error


def zip_files(path: Path, accept: Accept[Key], *, max_bytes: int) -> Iterator[tuple[Key, bytes]]:
    """As tar_files, of a zip archive (a wheel is one)."""
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                key = None if info.is_dir() else accept(_plain(info.filename))
                if key is None:
                    continue
                with archive.open(info) as member:
                    data = member.read(max_bytes + 1)
                if len(data) > max_bytes:
                    raise SetupError(
                        f"{info.filename} in {path.name} has more bytes than {max_bytes}, the most that fit there"
                    )
                yield key, data
    except _BROKEN as error:
        raise _again(path, error) from error


def rgb(data: bytes, size: tuple[int, int], where: str, *, resize: bool = False) -> bytes:
    """Pixels of a PNG or JPEG: RGB, height x width x channel, uint8. `size`: width and height.

    A picture of another size is a SetupError, unless `resize`: then it is scaled to it, bilinear, by Pillow.
    """
    from PIL import Image  # noqa: PLC0415  (slow to load, and few need it)

    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
            picture = image.convert("RGB")
            if picture.size != size and not resize:
                raise SetupError(f"{where} is {picture.width} x {picture.height} pixels, not {size[0]} x {size[1]}")
            if resize:
                picture = picture.resize(size, Image.Resampling.BILINEAR)
            return picture.tobytes()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise SetupError(f"{where} cannot be decoded as a PNG or JPEG picture: {error}") from error
