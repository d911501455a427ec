"""The instruction counter: builds the QEMU plugin on first use and reads what it writes."""

from __future__ import annotations

import hashlib
import os
import shlex
import struct
import subprocess
import tempfile
from pathlib import Path

from host.emulator.elf import ArmElf
from host.errors import SetupError
from host.paths import cache_folder

FUNCTION = "engine_run"
_SOURCES = Path(__file__).parent / "plugin"
_CFLAGS = ("-std=gnu11", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror")
_COUNT = struct.Struct("=Q")
_MAX_SITES = 64  # as in count.c


def build_plugin() -> Path:
    """The compiled plugin, one for each version of its source. Raises SetupError when it cannot be compiled."""
    digest = hashlib.sha256(" ".join(_CFLAGS).encode())
    for source in sorted(_SOURCES.glob("*.[ch]")):
        digest.update(source.read_bytes())
    built = cache_folder() / f"count-{os.uname().machine}-{digest.hexdigest()[:16]}.so"
    if not _whole(built):
        _compile(built)
    return built


def _whole(built: Path) -> bool:
    """Whether it ends with the sha256 of what comes before, as `_compile` leaves it: QEMU dies of a damaged one."""
    try:
        data = built.read_bytes()
    except OSError:
        return False
    return data[-32:] == hashlib.sha256(data[:-32]).digest()


def _compile(built: Path) -> None:
    try:
        built.parent.mkdir(parents=True, exist_ok=True)
        # Under another name first: two hosts may build it at once, and one may be killed half-way.
        with tempfile.TemporaryDirectory(dir=built.parent) as folder:
            fresh = Path(folder) / built.name
            command = [*shlex.split(os.environ.get("HOSTCC", "gcc")), *_CFLAGS, str(_SOURCES / "count.c")]
            done = subprocess.run([*command, "-o", str(fresh)], capture_output=True, text=True, check=False)
            if done.returncode:
                raise SetupError(f"the QEMU plugin does not compile: {shlex.join(command)}\n{done.stderr[-2000:]}")
            with fresh.open("ab") as file:  # a loader does not look at what is behind the last section
                file.write(hashlib.sha256(fresh.read_bytes()).digest())
            fresh.replace(built)
    except FileNotFoundError:
        raise SetupError("gcc is missing; it compiles the instruction counter: sudo apt-get install gcc") from None
    except OSError as error:
        raise SetupError(f"cannot write {built}: {error.strerror}. Set XDG_CACHE_HOME to a folder you own.") from None


class InstructionCounter:
    """Counts the instructions of every call of engine_run in one emulated firmware."""

    def __init__(self, elf: Path, folder: Path) -> None:
        """`elf` is what runs; the counts go to a file in `folder`."""
        image = ArmElf(elf)
        sites = image.callers(image.function(FUNCTION))
        if not 0 < len(sites) <= _MAX_SITES:
            raise SetupError(f"{elf}: {len(sites)} calls of {FUNCTION}, cannot count them: was it built with LTO?")
        self._file = folder / "counts"
        self._taken = 0
        arguments = ",".join(f"site={site:x}" for site in sites)
        self.qemu_arguments = ("-plugin", f"{build_plugin()},out={self._file},{arguments}")

    def take(self) -> list[int]:
        """Counts of the calls that have returned since the last take, oldest first.

        The plugin writes a count before the guest goes on: after the answer to `infer` they are all there.
        """
        if not self._file.exists():
            return []
        with self._file.open("rb") as file:
            file.seek(self._taken)
            data = file.read()
        whole = len(data) - len(data) % _COUNT.size
        self._taken += whole
        return [count for (count,) in _COUNT.iter_unpack(data[:whole])]
