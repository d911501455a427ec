"""Boards without hardware: QEMU for a Cortex-M, a child process for `native`. Both speak over a socket:// URL."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from host.errors import UsageError

if TYPE_CHECKING:
    from host.build import Image
    from host.emulator.counter import ObservedRun


class Emulator(Protocol):
    """A running board. A context manager: leaving it ends the board."""

    @property
    def url(self) -> str:
        """What `open_link` opens. One client at a time; another may come when it has gone."""

    @property
    def pid(self) -> int:
        """The process that is the board."""

    def take_instruction_counts(self) -> list[int]:
        """Exact instructions of each engine_run call since the last take; [] when not counting."""

    def take_load_counts(self) -> list[int]:
        """Exact instructions of each engine_load call since the last take, from the start; [] when not counting."""

    def take_observed_runs(self) -> list[ObservedRun]:
        """Exact instructions of each engine_run_observed call, part by part, since the last take; [] when not
        counting."""

    def diagnosis(self) -> str:
        """How the board's process ended and what it said; "" while it runs."""

    def reset(self) -> None:
        """Press the reset button. Raises LinkError when the board has ended."""

    def close(self) -> None:
        """End the board and reap it. May be called twice."""

    def __enter__(self) -> Self:
        """The board itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it. When the line to it broke because it died, the error gets the diagnosis as a note."""


def start(image: Image, *, timed: bool, qemu_arguments: Sequence[str] = ()) -> Emulator:
    """Start `image` on the emulator its board names.

    timed: virtual time, one instruction every 8 ns, and instruction counts (QEMU only); else as fast as it goes.
    qemu_arguments: a plugin more, for instance.
    It ends with the thread that calls this, at the latest. Raises UsageError for a board without an emulator,
    SetupError when the emulator is missing or does not start.
    """
    if image.board.emulator == "qemu":
        from host.emulator.qemu import Qemu  # noqa: PLC0415

        return Qemu(image, timed=timed, arguments=qemu_arguments)
    if image.board.emulator == "native":
        from host.emulator.native import Native  # noqa: PLC0415

        return Native(image)
    raise UsageError(f"{image.board.name} has no emulator: plug the board in and name its port with --port")
