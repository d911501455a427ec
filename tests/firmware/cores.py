"""The engine on every kind of core that a board has, in QEMU: engine_harness.c with files for requests and replies."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine_host import ENGINE, Answer, receive
from flags import FIRMWARE, WARNINGS, cpu_flags

from host.boards import get_board


@dataclass(frozen=True, slots=True)
class Core:
    """One kind of core. `vectors` and `text` are addresses: where its machine boots, and with 4 MB of memory."""

    name: str
    board: str
    vectors: int
    text: int

    def __str__(self) -> str:
        return self.name

    @property
    def machine(self) -> str:
        """QEMU's name."""
        return get_board(self.board).qemu_machine or ""

    @property
    def flags(self) -> list[str]:
        """The compiler's."""
        return cpu_flags(self.board)


CORES = {
    core.name: core
    for core in (
        Core("m3", "mps2_an385", 0, 0x8000),
        Core("m4", "mps2_an386", 0, 0x8000),
        Core("m7", "mps2_an500", 0, 0x8000),
        Core("m33", "mps2_an505", 0x10000000, 0x10008000),
        Core("m55", "mps3_an547", 0x10000000, 0x31000000),
    )
}


def build_core(folder: Path, core: Core, *options: str) -> Path:
    """Engine and harness for `core`, in `folder`: without sanitizers, but compiled as the firmware is."""
    program = folder / f"engine_{core}.elf"
    here = Path(__file__).parent
    sources = [*sorted(ENGINE.rglob("*.c")), here / "engine_harness.c", here / "engine_core.c"]
    command = ["arm-none-eabi-gcc", "-std=c99", "-O2", "-g", *core.flags, *WARNINGS, "--specs=rdimon.specs"]
    command += [f"-Wl,--section-start=.vectors={core.vectors:#x},-Ttext-segment={core.text:#x}"]
    command += [f"-I{FIRMWARE}", *options, "-o", str(program), *map(str, sources)]
    subprocess.run(command, check=True)
    return program


def run_core(
    core: Core, program: Path, requests: Sequence[bytes], runs: Sequence[int], folder: Path, *qemu: str
) -> list[Answer]:
    """All requests in one start of QEMU; each request's number of inputs is in `runs`. `qemu`: further arguments."""
    asked, said = folder / "requests.bin", folder / "replies.bin"
    asked.write_bytes(b"".join(requests))
    semihosting = f"enable=on,target=native,arg=harness,arg={asked},arg={said}"
    command = ["qemu-system-arm", "-M", core.machine, "-nographic", "-monitor", "none", "-serial", "none", *qemu]
    subprocess.run([*command, "-semihosting-config", semihosting, "-kernel", program], check=True, timeout=300)
    with said.open("rb") as stream:
        return [receive(stream, count) for count in runs]
