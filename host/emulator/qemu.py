"""An emulated Cortex-M: one qemu-system-arm with a serial port on TCP, a control channel and an instruction counter."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from host.emulator.counter import FUNCTION, LOAD, ObservedRun, firmware_counter
from host.emulator.process import Child, ChildBoard
from host.emulator.qmp import Qmp
from host.errors import SetupError

if TYPE_CHECKING:
    from host.build import Image

PROGRAM = "qemu-system-arm"
ICOUNT_SHIFT = 3  # 2^3 ns per instruction: 125 MHz at one instruction per cycle
START_TIMEOUT_S = 20.0
_WAITING = "waiting for connection"


def command_line(machine: str, elf: Path, *, serial_fd: int, qmp: Path, timed: bool) -> list[str]:
    """QEMU's arguments. It holds the machine until a client opens the port, so that the banner is not lost."""
    timing = ["-icount", f"shift={ICOUNT_SHIFT},align=on"] if timed else []
    return [
        *(PROGRAM, "-M", machine, "-display", "none", "-nodefaults", "-kernel", str(elf), *timing),
        *("-chardev", f"socket,id=uart0,fd={serial_fd},server=on,wait=on,nodelay=on", "-serial", "chardev:uart0"),
        *("-qmp", f"unix:{qmp},server=on,wait=off"),
    ]


class Qemu(ChildBoard):
    """See host.emulator.Emulator; `stop` and `cont` simulate a device that hangs."""

    def __init__(self, image: Image, *, timed: bool, arguments: Sequence[str] = ()) -> None:
        """Start it, with `arguments` more, and wait until a client may connect."""
        machine = image.board.qemu_machine
        if machine is None:
            raise SetupError(f"{image.board.name}: its board.ini names no custom_qemu_machine")
        if shutil.which(PROGRAM) is None:
            raise SetupError(f"{PROGRAM} is missing: sudo apt-get install qemu-system-arm")
        if not image.elf.is_file():
            raise SetupError(f"{image.elf} is missing: host build {image.board.name}")
        super().__init__("qemu")
        self._qmp: Qmp | None = None
        try:
            folder = Path(self._folder.name)
            self._counter = firmware_counter(image.elf, folder) if timed else None
            self._start(machine, image.elf, folder, arguments)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The serial port's."""
        return f"socket://127.0.0.1:{self._port}"

    def take_instruction_counts(self) -> list[int]:
        """Exact instructions of each engine_run call since the last take; [] when not timed."""
        return self._counter.take(FUNCTION) if self._counter else []

    def take_load_counts(self) -> list[int]:
        """Exact instructions of each engine_load call since the last take; [] when not timed."""
        return self._counter.take(LOAD) if self._counter else []

    def take_observed_runs(self) -> list[ObservedRun]:
        """Exact instructions of each engine_run_observed call since the last take; [] when not timed."""
        return self._counter.take_observed() if self._counter else []

    def reset(self) -> None:
        """Reset the machine; it prints its banner again on the same connection."""
        self._execute("system_reset")

    def stop(self) -> None:
        """Freeze the machine: it is silent from now on."""
        self._execute("stop")

    def cont(self) -> None:
        """Let a frozen machine go on."""
        self._execute("cont")

    def close(self) -> None:
        """Hang up the control channel, end QEMU and reap it."""
        if self._qmp:
            self._qmp.close()
            self._qmp = None
        super().close()

    def _start(self, machine: str, elf: Path, folder: Path, more: Sequence[str]) -> None:
        # We bind the port and QEMU inherits it: no other program can take it in between.
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
            self._port = int(server.getsockname()[1])
            self._qmp_path = folder / "qmp"
            arguments = command_line(
                machine, elf, serial_fd=server.fileno(), qmp=self._qmp_path, timed=self._counter is not None
            )
            if self._counter:
                arguments += self._counter.qemu_arguments
            arguments += more
            child = self._child = Child(arguments, folder, pass_fds=(server.fileno(),))
        child.wait_until(lambda: _WAITING in child.stderr(), START_TIMEOUT_S)

    def _execute(self, command: str) -> None:
        self._running()
        if self._qmp is None:  # QEMU opens it only when a client has opened the serial port
            self._qmp = Qmp(self._qmp_path)
        self._qmp.execute(command)
