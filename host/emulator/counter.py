"""The instruction counter: builds the QEMU plugin on first use and reads what it writes."""

from __future__ import annotations

import hashlib
import os
import shlex
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from host.emulator.elf import ArmElf
from host.errors import SetupError
from host.paths import cache_folder

FUNCTION = "engine_run"
LOAD = "engine_load"
OBSERVED = "engine_run_observed"
OBSERVER = "profile_observe"  # firmware/core/profile.c: what engine_run_observed calls after each operator
_SOURCES = Path(__file__).parent / "plugin"
_CFLAGS = ("-std=gnu11", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror")
_RECORD = struct.Struct("=IIQQ")  # as in count.c: kind, function, begun at, instructions
_PART, _OBSERVER = 1, 2  # kinds; 0 is a whole span
_MAX_SITES = 64  # as in count.c
_MAX_FUNCTIONS = 8
_MAX_INDIRECT = 4096


@dataclass(frozen=True, slots=True)
class ObservedRun:
    """One call of the observed function, in instructions.

    parts: from the call to the observer, then from the observer's return to its next call, one for each call of it.
    rest: after the observer's last return. observer: everything the observer executed itself; it is in no part.
    """

    parts: tuple[int, ...]
    rest: int
    observer: int


def build_plugin(name: str = "count") -> Path:
    """The compiled plugin/<name>.c, one for each version of its source. SetupError when it cannot be compiled."""
    digest = hashlib.sha256(" ".join(_CFLAGS).encode())
    for source in sorted(_SOURCES.glob("*.[ch]")):
        digest.update(source.read_bytes())
    built = cache_folder() / f"{name}-{os.uname().machine}-{digest.hexdigest()[:16]}.so"
    if not _whole(built):
        _compile(name, built)
    return built


def _whole(built: Path) -> bool:
    """Whether it ends with the sha256 of what comes before, as `_compile` leaves it: QEMU dies of a damaged one."""
    try:
        data = built.read_bytes()
    except OSError:
        return False
    return data[-32:] == hashlib.sha256(data[:-32]).digest()


def _compile(name: str, built: Path) -> None:
    try:
        built.parent.mkdir(parents=True, exist_ok=True)
        # Under another name first: two hosts may build it at once, and one may be killed half-way.
        with tempfile.TemporaryDirectory(dir=built.parent) as folder:
            fresh = Path(folder) / built.name
            command = [*shlex.split(os.environ.get("HOSTCC", "gcc")), *_CFLAGS, str(_SOURCES / f"{name}.c")]
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
    """Counts the instructions of every call of some functions in one emulated firmware."""

    def __init__(
        self, elf: Path, folder: Path, functions: Sequence[str] = (), observed: tuple[str, str] | None = None
    ) -> None:
        """`elf` is what runs; the counts go to a file in `folder`.

        functions: names of up to 8 functions, engine_run when there are none. Each has to be there and to be called.
        observed: one of `functions` and the function that it calls, by pointer, after each of its parts.
        Raises SetupError when the ELF file lacks one of them.
        """
        self._functions = tuple(functions) or (FUNCTION,)
        image = ArmElf(elf)
        places = [_callers(image, elf, name) for name in self._functions]
        if len(places) > _MAX_FUNCTIONS or sum(map(len, places)) > _MAX_SITES:
            raise SetupError(f"{elf}: too many calls of {', '.join(self._functions)}, cannot count them")
        arguments = [f"site={number}:{site:x}" for number, sites in enumerate(places) for site in sites]
        if observed:
            calls = image.indirect_calls()
            if len(calls) > _MAX_INDIRECT:
                raise SetupError(f"{elf}: {len(calls)} indirect calls, at most {_MAX_INDIRECT} can be watched")
            arguments.append(f"observer={self._functions.index(observed[0])}:{image.function(observed[1]):x}")
            arguments += [f"indirect={call:x}" for call in calls]
        self._observed = observed[0] if observed else None
        self._file = folder / "counts"
        self._taken = 0
        self._counts: dict[str, list[tuple[int, int]]] = {name: [] for name in self._functions}  # begun at, count
        self._runs: list[ObservedRun] = []
        self.qemu_arguments = ("-plugin", f"{build_plugin()},out={self._file},{','.join(arguments)}")

    def take(self, function: str | None = None) -> list[int]:
        """Counts of the calls of `function` that have returned since its last take, oldest first.

        function: one of those named at the start; None is the first one. What a function calls is counted with it; a
        call within one of the observed function is no call of its own.
        The plugin writes a count before the guest goes on: after the answer to `infer` they are all there.
        """
        self._read()
        name = function or self._functions[0]
        taken, self._counts[name] = self._counts.get(name, []), []
        return [count for _, count in taken]

    def take_observed(self) -> list[ObservedRun]:
        """The calls of the observed function since the last time, oldest first; `take` counts the same calls whole."""
        self._read()
        runs, self._runs = self._runs, []
        return runs

    def _read(self) -> None:
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._taken)
            data = file.read()
        # Records go up to the end of a span: what is behind the last one is a write that is still under way.
        parts: list[int] = []
        observer, start = 0, self._taken
        for position in range(0, len(data) - _RECORD.size + 1, _RECORD.size):
            kind, number, begun_at, count = _RECORD.unpack_from(data, position)
            if kind == _PART:
                parts.append(count)
            elif kind == _OBSERVER:
                observer += count
            else:
                name = self._functions[number]
                if name == self._observed:
                    self._drop_since(begun_at)
                    self._runs.append(ObservedRun(tuple(parts), count - sum(parts) - observer, observer))
                    parts, observer = [], 0
                self._counts[name].append((begun_at, count))
                self._taken = start + position + _RECORD.size

    def _drop_since(self, begun_at: int) -> None:
        """Calls within one of the observed function are parts of it: an engine's observed run may rest on its run."""
        for name, counts in self._counts.items():
            self._counts[name] = [item for item in counts if item[0] < begun_at]


def firmware_counter(elf: Path, folder: Path) -> InstructionCounter:
    """Counts engine_run, and engine_load and engine_run_observed where the image has them (not every one has)."""
    image = ArmElf(elf)
    functions = [
        FUNCTION,
        *(name for name in (LOAD, OBSERVED) if image.find(name) and image.callers(image.function(name))),
    ]
    has_observer = OBSERVED in functions and image.find(OBSERVER) is not None
    return InstructionCounter(elf, folder, functions, (OBSERVED, OBSERVER) if has_observer else None)


def _callers(image: ArmElf, elf: Path, name: str) -> tuple[int, ...]:
    sites = image.callers(image.function(name))
    if not 0 < len(sites) <= _MAX_SITES:
        raise SetupError(f"{elf}: {len(sites)} calls of {name}, cannot count them: was it built with LTO?")
    return sites
