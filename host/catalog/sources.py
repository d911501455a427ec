"""The places that files come from, in their order: TINYJOULE_DATA, the cache, the official address, a package."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from host.catalog import download, fetch
from host.catalog.fetch import Hosts, Progress
from host.catalog.files import Cache, Form, Found, LocalFolders, Note, Unavailable, Wanted, file_digest, sha256
from host.catalog.home import FirstFetches
from host.catalog.spec import InputSpec, PackageSpec
from host.errors import HashMismatch

DOWNLOADS = "_downloads"  # no task is called so


@dataclass(frozen=True, slots=True)
class Need:
    """Files that come from the same places; `urls`: of the last form of each, in order, or none."""

    what: str
    wanted: Sequence[Wanted]
    urls: Sequence[str]
    package: PackageSpec | None


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file for a recipe, and the hash it had when it was looked at."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What is asked for files. home: the user's data folder, where the hash of a first download is recorded.

    timeout_s: how long a host may take to answer.
    """

    local: LocalFolders
    cache: Path
    home: Path
    hosts: Hosts
    timeout_s: float
    progress: Progress
    note: Note

    def obtain(self, task: str, need: Need, *, fetch: bool) -> list[Found]:
        """All files of `need`, in its order, or Unavailable with every place that was tried."""
        cache = Cache(self.cache / task, self.note)
        found = [self.local.find(file) or cache.find(file) for file in need.wanted]
        left = [index for index, one in enumerate(found) if one is None]
        lack = f"{len(left)} of {len(found)} files are" if len(found) > 1 else f"{need.wanted[0].name} is"
        tried = [f"{lack} neither in {self.local.describe()} nor in the cache ({cache.folder})"]
        ways: list[Callable[[Need, list[int], Cache], None]] = []
        if fetch and need.urls:
            ways.append(self._download)
        if fetch and need.package is not None:
            ways.append(self._unpack)
        for way in ways:
            if left:
                try:
                    way(need, left, cache)
                except Unavailable as error:
                    tried.append(str(error))
                found = [one or cache.find(file) for one, file in zip(found, need.wanted, strict=True)]
                left = [index for index, one in enumerate(found) if one is None]
        if left:
            raise Unavailable("; ".join(tried if fetch else [*tried, "nothing was fetched, as asked"]))
        return [one for one in found if one is not None]

    def kept(self, task: str, form: Form, found: Found) -> Found:
        """`found`, whose bytes may have been made of another file's, as a file of its own in the cache."""
        cache = Cache(self.cache / task, self.note)
        if cache.find(Wanted((form,))) is None:
            cache.store(form, found.data)
        return Found(cache.folder / cache.name(form), found.data)

    def _download(self, need: Need, left: list[int], cache: Cache) -> None:
        items = [(need.urls[index], need.wanted[index].forms[-1]) for index in left]
        fetch.download_all(
            items,
            cache,
            what=f"downloading {need.what}",
            hosts=self.hosts,
            timeout_s=self.timeout_s,
            progress=self.progress,
        )

    def _unpack(self, need: Need, left: list[int], cache: Cache) -> None:
        if need.package is not None:
            forms = [need.wanted[index].forms[-1] for index in left]
            fetch.package_all(need.package, forms, cache, hosts=self.hosts, progress=self.progress)

    def input_file(self, task: str, spec: InputSpec) -> InputFile:
        """One file for a recipe, verified; of any size. Unavailable when no place has it, HashMismatch as elsewhere."""
        if spec.package is not None and spec.package.member is not None and spec.sha256 is not None:
            wanted = Wanted((Form(spec.name, spec.sha256),), spec.folder)
            found = self.obtain(task, Need(f"{task} inputs", (wanted,), (), spec.package), fetch=True)[0]
            return InputFile(found.path, spec.sha256)
        expected = self._expected(spec)
        path = self._local_path(spec, expected) or self._cached_path(spec, expected)
        if path is None:
            path = self._target(spec)
            with self._downloads.writing():
                path.parent.mkdir(parents=True, exist_ok=True)
            if spec.package is not None:
                self._fetch_wheel(spec.package, path)
            elif spec.url is not None:
                return self._fetch_url(spec.url, expected, path)
            else:
                raise Unavailable(f"{spec.name} is not in {self.local.describe()}")
        return InputFile(path, file_digest(path, "sha256"))

    @property
    def _downloads(self) -> Cache:
        return Cache(self.cache / DOWNLOADS, self.note)

    def _target(self, spec: InputSpec) -> Path:
        """Where the file is kept: its hash is part of the name, or that of its address where none is published."""
        wheel = None if spec.package is None else spec.package.wheel_sha256
        known = spec.sha256 or wheel or spec.sha1 or sha256((spec.url or spec.name).encode())
        return self.cache / DOWNLOADS / f"{known[:12]}-{spec.name}"

    def _expected(self, spec: InputSpec) -> download.Expected:
        digest = spec.sha256 if spec.package is None else spec.package.wheel_sha256
        if spec.url is not None and digest is None and spec.sha1 is None:
            first = FirstFetches(self.home).get(spec.url)
            if first is not None:
                return download.Expected(sha256=first.sha256, size_bytes=first.size_bytes)
        return download.Expected(sha256=digest, sha1=spec.sha1, size_bytes=spec.bytes)

    def _local_path(self, spec: InputSpec, expected: download.Expected) -> Path | None:
        wrong = None
        for path in self.local.named(spec.name):
            problem = expected.problem(path)
            if problem is None:
                return path
            if spec.folder in (None, path.absolute().parent.name):
                wrong = wrong or (path, problem)
        if wrong is not None:
            raise HashMismatch(
                f"{wrong[0]} (in TINYJOULE_DATA) is not the file the catalogue names:\n{wrong[1]}\n"
                "Replace it with the right file or take it away."
            )
        return None

    def _cached_path(self, spec: InputSpec, expected: download.Expected) -> Path | None:
        path = self._target(spec)
        if not path.is_file():
            return None
        if expected.known and expected.problem(path) is None:
            return path
        self.note(f"{path} was damaged in the cache, or its hash is recorded no more; it is removed.")
        with self._downloads.writing():
            path.unlink(missing_ok=True)
        return None

    def _fetch_wheel(self, package: PackageSpec, target: Path) -> None:
        what = f"fetching package {package.name} {package.version}"
        self.progress(what, 0, 1)
        with self._downloads.writing(), tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as folder:
            os.replace(fetch.pip_download(package, Path(folder), self.hosts), target)
        self.progress(what, 1, 1)

    def _fetch_url(self, url: str, expected: download.Expected, target: Path) -> InputFile:
        digest = download.fetch_file(
            url,
            target,
            expected,
            hosts=self.hosts,
            timeout_s=self.timeout_s,
            progress=self.progress,
            note=self.note,
        )
        if not expected.known:
            if target.suffix == ".zip" and not zipfile.is_zipfile(target):
                # A page to log in, or half a file: recorded, it would be held to for ever.
                with self._downloads.writing():
                    target.unlink()
                raise HashMismatch(
                    f"{url} brought something that is no zip archive, and was not kept. Is there a page to log in "
                    "between this machine and the host? Open the address in a browser, then run the command again."
                )
            records = FirstFetches(self.home)
            records.add(url, digest, target.stat().st_size)
            self.note(
                f"{url} publishes no hash: its sha256 {digest} is recorded in {records.path}, and held to from now on."
            )
        return InputFile(target, digest)
