# SPDX-License-Identifier: Apache-2.0
"""What an emulated board does, for the virtual analyser: the arguments of the QEMU plugin that tells it.

Which class an instruction belongs to is read from the firmware's disassembly; the plugin gets a byte for each address.
"""

from __future__ import annotations

from pathlib import Path

from energy.simulator.current import CLASSES
from host.emulator.classes import Instruction, disassemble
from host.emulator.counter import build_plugin
from host.emulator.elf import ArmElf
from host.errors import SetupError

PIN = "board_timing_pin_set"
RESET = "cortexm_reset"
_INSTRUCTION_BYTES = 2
_SAME_CURRENT = {"store_indexed": "store"}
_OTHER = CLASSES.index("other")


def class_bytes(program: dict[int, Instruction]) -> bytes:
    """The class of the instruction at every halfword from the program's first on; 11 where there is none."""
    first = min(program)
    classes = bytearray([_OTHER]) * ((max(program) - first) // _INSTRUCTION_BYTES + 1)
    for address, instruction in program.items():
        kind = _SAME_CURRENT.get(instruction.kind, instruction.kind)
        classes[(address - first) // _INSTRUCTION_BYTES] = CLASSES.index(kind) if kind in CLASSES else _OTHER
    return bytes(classes)


def activity_arguments(elf: Path, folder: Path, socket: Path, *, ns: int, slice_: int = 0) -> tuple[str, ...]:
    """QEMU's arguments with which it tells who listens at the unix socket what it executes of `elf`.

    folder: gets a file of some 100 kB that has to stay until QEMU runs. ns: per instruction. slice_: instructions
    between two records at most; 0: as the plugin likes. Raises SetupError for a firmware that is none of ours.
    """
    image = ArmElf(elf)
    pin_begin, pin_end = image.extent(PIN)
    program = disassemble(elf)
    if not program:
        raise SetupError(f"{elf} holds no code. Build it again: host build BOARD")
    classes = folder / f"classes-{elf.parent.name}"
    classes.write_bytes(class_bytes(program))
    options = [
        *(f"socket={socket}", f"classes={classes}", f"code={min(program):x}", f"pin={pin_begin:x}:{pin_end:x}"),
        *(f"reset={image.function(RESET):x}", f"ns={ns}"),
        *([f"slice={slice_}"] if slice_ else []),
    ]
    return ("-plugin", ",".join((str(build_plugin("activity")), *options)))
