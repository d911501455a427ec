"""Executed instructions by class, and from these an ESTIMATE of a Cortex-M4's cycles.

The plugin executions.c counts every instruction by its address; binutils say what stands there; cortex_m4.toml says
what each class costs.
"""

from __future__ import annotations

import re
import struct
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from host.emulator.counter import FUNCTION, build_plugin
from host.emulator.elf import ArmElf
from host.errors import SetupError

OBJDUMP = "arm-none-eabi-objdump"
COST_TABLE = Path(__file__).with_name("cortex_m4.toml")
_RECORD = struct.Struct("=QQQ")  # as in executions.c: address, executed, jumped
_END = 2**64 - 1
_LINE = re.compile(r" *([0-9a-f]+):\t(\S+)(?:\t([^@;]*))?")
_CONDITIONS = "(?:eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al)?"

# The first that fits names the class; what fits none is plain.
_CLASSES = tuple(
    (re.compile(f"(?:{pattern}){_CONDITIONS}(?:\\.\\S+)?"), name)
    for pattern, name in (
        (r"b|bl|bx|blx|cbn?z", "branch"),
        (r"tbb|tbh", "table_branch"),
        (r"[su]div", "divide"),
        (r"v(?:ldm|stm)(?:ia|db)?|vpush|vpop|ldrd|strd|(?:ldm|stm)(?:ia|db|fd|ea)?|push|pop", "multiple"),
        (r"ldr(?:s?[bh])?t?|ldrex[bh]?", "load"),
        (r"str[bh]?t?|strex[bh]?", "store"),
        (r"vldr|vstr|(?:ldc|stc)2?l?", "float_transfer"),  # the latter are MVE's, as binutils 2.40 show them
        (r"vdiv|vsqrt", "float_divide"),
        (r"v(?:ml[as]|nml[as]|fm[as]|fnm[as])|cdp2?", "float_accumulate"),
        (r"v[a-z]+", "float"),
        (r"(?:mul|mla|mls|[su]mull|[su]mlal|umaal|smu[las]|sml[as]|smm)[a-z0-9]*", "multiply"),
    )
)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a program.

    kind: its class. registers: how many of cortex_m4.toml's `register` come with it.
    pipelined: its class whenever it follows the load at the address `behind`; None when that makes no difference.
    """

    kind: str
    registers: int
    pipelined: str | None = None
    behind: int = 0


@dataclass(frozen=True, slots=True)
class CycleCosts:
    """cortex_m4.toml: cycles by class, extra cycles, and where they are from."""

    source: str
    cycles: Mapping[str, int]
    extra: Mapping[str, int]

    def estimate(self, counts: Mapping[str, int]) -> int:
        """Cycles of what `ClassCounter.take` returned."""
        return sum(count * (self.cycles | self.extra)[name] for name, count in counts.items())  # type: ignore[operator]


def load_costs(path: Path = COST_TABLE) -> CycleCosts:
    """The table of cycles."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return CycleCosts(table["source"], table["cycles"], table["extra"])


def _registers(operands: str) -> int:
    """How many words a register list such as {r4, r6-r8, pc} or {d8-d9} names; 2 where there is no list (LDRD)."""
    match = re.search(r"\{([^}]*)\}", operands)
    if match is None:
        return 2
    words = 0
    for part in match[1].split(","):
        first, _, last = part.strip().partition("-")
        count = int(last[1:]) - int(first[1:]) + 1 if last else 1
        words += count * (2 if first.startswith("d") else 1)
    return words


def _kind(mnemonic: str) -> str:
    return next((name for pattern, name in _CLASSES if pattern.fullmatch(mnemonic)), "plain")


def _classify(mnemonic: str, operands: str, in_front: tuple[int, str] | None) -> Instruction:
    """in_front: address and operands of the load in front of it, if there is one."""
    kind = _kind(mnemonic)
    address = operands[operands.find("[") :] if "[" in operands else ""
    registers = 0
    if kind == "multiple":
        registers = _registers(operands)
    elif kind == "float_transfer":
        registers = int(operands.startswith("d"))
    elif kind == "store" and re.match(r"\[\w+, *\w", address):
        kind = "store_indexed"
    if in_front is not None:
        loaded = in_front[1].partition(",")[0].strip()
        pipelined = {"load": "load_behind_load", "store_indexed": "store_behind_load"}.get(kind)
        if pipelined and not re.search(rf"\b{loaded}\b", address):
            return Instruction(kind, registers, pipelined, in_front[0])
    return Instruction(kind, registers)


def classify(listing: Iterable[str]) -> dict[int, Instruction]:
    """Every instruction by its address, from the lines of `objdump -d --no-show-raw-insn`."""
    found: dict[int, Instruction] = {}
    load: tuple[int, str] | None = None
    for line in listing:
        match = _LINE.match(line)
        if match is None or match[2].startswith("."):  # another function, or a constant between the code
            load = None
            continue
        address, operands = int(match[1], 16), (match[3] or "").strip()
        found[address] = _classify(match[2], operands, load)
        load = (address, operands) if found[address].kind == "load" else None
    return found


def disassemble(elf: Path) -> dict[int, Instruction]:
    """Every instruction of a firmware. Raises SetupError when binutils are missing or cannot read it."""
    command = [OBJDUMP, "-d", "--no-show-raw-insn", str(elf)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    except FileNotFoundError:
        raise SetupError(f"{OBJDUMP} is missing: sudo apt-get install binutils-arm-none-eabi") from None
    except subprocess.SubprocessError as error:
        raise SetupError(f"{OBJDUMP} cannot read {elf}: {error}. Build it again: host build BOARD") from error
    return classify(done.stdout.splitlines())


class ClassCounter:
    """Counts by class what every call of engine_run executes in one emulated firmware."""

    def __init__(self, elf: Path, folder: Path) -> None:
        """`elf` is what runs; the counts go to a file in `folder`."""
        self._program = disassemble(elf)
        image = ArmElf(elf)
        sites = ",".join(f"site={site:x}" for site in image.callers(image.function(FUNCTION)))
        if not self._program or not sites:
            raise SetupError(f"{elf} holds no call of {FUNCTION}: was it built with LTO?")
        self._file = folder / "executions"
        self._taken = 0
        code = f"{min(self._program):x}:{max(self._program) + 4:x}"
        self.qemu_arguments = ("-plugin", f"{build_plugin('executions')},out={self._file},code={code},{sites}")

    def take(self) -> list[dict[str, int]]:
        """Class -> instructions of each call that has returned since the last take; `register` and `refill` besides.

        Raises SetupError when the program executed what the disassembly does not show.
        """
        if not self._file.exists():
            return []
        with self._file.open("rb") as file:
            file.seek(self._taken)
            data = file.read()
        calls: list[dict[str, int]] = []
        executions: dict[int, tuple[int, int]] = {}
        start = self._taken
        for position in range(0, len(data) - _RECORD.size + 1, _RECORD.size):
            address, executed, jumped = _RECORD.unpack_from(data, position)
            if address != _END:
                executions[address] = executed, jumped
                continue
            if sum(count for count, _ in executions.values()) != executed or executions.keys() - self._program.keys():
                raise SetupError("instructions were executed that the firmware's disassembly does not show: report it.")
            calls.append(self._by_class(executions))
            executions = {}
            self._taken = start + position + _RECORD.size
        return calls

    def _by_class(self, executions: Mapping[int, tuple[int, int]]) -> dict[str, int]:
        counts: dict[str, int] = {}

        def add(name: str, count: int) -> None:
            if count:
                counts[name] = counts.get(name, 0) + count

        for address, (executed, jumped) in executions.items():
            instruction = self._program[address]
            behind = 0
            if instruction.pipelined is not None:
                behind = min(executed, executions.get(instruction.behind, (0, 0))[0])
                add(instruction.pipelined, behind)
            add(instruction.kind, executed - behind)
            add("register", executed * instruction.registers)
            add("refill", jumped)
        return counts
