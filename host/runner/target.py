"""The device under test: a real board at a port, or an emulated one made for the session."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, Self

from host import __version__, boards, build, catalog, emulator
from host.device import Device, DeviceInfo, Transcript
from host.emulator.counter import ObservedRun
from host.errors import DeviceError, LinkTimeout, UsageError
from host.link import Link, open_link
from host.report.progress import Reporter
from host.results import schema
from host.results.journal import DeviceRecord
from host.wire.spec import spec

DEFAULT_BOARD = "mps2_an386"


LinkKind = Literal["auto", "stock"]
WindowMode = Literal["performance", "both"]
"""What windows give on our firmware: the board's times alone, or falling edges of the timing pin as well."""
ENERGY_BAUD = 9600
"""Of stock firmware that was built for energy."""


@dataclass(frozen=True, slots=True)
class Target:
    """A device that answers, and what is known of it. name: the vendor's. link: how inputs and outputs travel."""

    device: Device
    info: DeviceInfo | None
    board: boards.Board | None
    image: build.Image | None
    provenance: schema.Provenance
    take_counts: Callable[[], list[int]]
    take_observed: Callable[[], list[ObservedRun]]
    name: str = ""
    link: Literal["stock", "frames"] = "stock"
    baud: int | None = None


def wanted_board(name: str | None, port: str | None) -> boards.Board | None:
    """The board a person means; None for whatever the device at `port` says it is.

    Raises UsageError for an unknown board, and for a real one without a port.
    """
    if name is None and port is not None:
        return None
    board = boards.get_board(name or DEFAULT_BOARD)
    if port is None and board.emulator is None:
        raise UsageError(
            f"{board.name} is a real board: say where it is with --port, e.g. --port /dev/ttyACM0 "
            f"(`host flash {board.name}` loads it first)."
        )
    return board


class Connection:
    """One board that can be opened again and again: at a port, or emulated for as long as this object lives.

    Make and close it in a thread that lives as long: the emulator ends with the thread that started it.
    """

    def __init__(
        self,
        board: boards.Board | None,
        port: str | None,
        transcript: Transcript | None,
        *,
        timed: bool,
        image: build.Image | None = None,
        variant: build.Variant | None = None,
        link: LinkKind = "stock",
        mode: WindowMode = "performance",
        qemu_arguments: Sequence[str] = (),
        virtual_power: bool = False,
    ) -> None:
        """image: what to emulate where there is no port, with `qemu_arguments` more. mode: "both" is for energy.
        virtual_power: the virtual analyser measures it, so a board that does not say what it is counts as emulated.
        The other arguments are those of `open_target`."""
        self.port = port
        self._board = board
        self._transcript = transcript
        self._image = image
        self._variant = variant
        self._link: LinkKind = link
        self._mode: WindowMode = mode
        self._virtual_power = virtual_power
        self._device: Device | None = None
        self._line: Link | None = None
        self._emulator = (
            emulator.start(image, timed=timed, qemu_arguments=qemu_arguments)
            if port is None and image is not None
            else None
        )

    @property
    def emulated(self) -> emulator.Emulator | None:
        """The board itself where we emulate it."""
        return self._emulator

    def open(self) -> Target:
        """Find the device and ask it what it is; what was open before is closed. Raises LinkError and DeviceError."""
        self.hang_up()
        board = self._board
        device, line, name = self._answering()
        info = device.info()
        image = self._image
        if info is not None:
            board = _confirm_board(board, info)
            _confirm_engine(board, info, self._variant)
            image = image or build.last_image(board, self._variant)
            device.set_mode(self._mode)
        fast = device.speed_up() if info is not None and self._link == "auto" else None
        emulated = board.emulator is not None if board is not None else self._virtual_power
        return Target(
            device,
            info,
            board,
            image,
            "emulated" if emulated else "measured",
            self._emulator.take_instruction_counts if self._emulator else _no_counts,
            self._emulator.take_observed_runs if self._emulator else _no_observed_runs,
            name,
            "stock" if fast is None else "frames",
            line.baud,
        )

    def _answering(self) -> tuple[Device, Link, str]:
        """The device, its line and the vendor's name for it. One that nobody knows may have been built for energy, and
        for the baud rate that goes with that."""
        bauds = [self._board.baud if self._board else spec().limits.baud]
        if self._mode == "both" and self._board is None:
            bauds.append(ENERGY_BAUD)
        for baud in bauds:
            url = self._emulator.url if self._emulator else self.port
            line = self._line = open_link(url or "", baud)
            device = self._device = Device(line, transcript=self._transcript)
            try:
                return device, line, device.wait_boot()
            except LinkTimeout:
                if baud == bauds[-1]:
                    raise
                self.hang_up()
        raise AssertionError("there is one rate at least")

    def diagnosis(self) -> str:
        """How an emulated board ended, if it has; "" for one that runs, and for every other."""
        return self._emulator.diagnosis() if self._emulator else ""

    def hang_up(self) -> None:
        """Give the port back, at the baud rate it was opened with; the board stays."""
        device, self._device = self._device, None
        if device is not None:
            device.close()

    def cut(self) -> None:
        """End everything at once. Another thread may be waiting for the board: it gets a LinkError."""
        if self._emulator is not None:
            self._emulator.close()
        if self._line is not None:
            self._line.close()

    def __enter__(self) -> Self:
        """The connection itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it. When the line broke because an emulated board died, the error says so."""
        self.hang_up()
        if self._emulator is not None:
            self._emulator.__exit__(kind, error, trace)


@contextmanager
def open_target(
    board: boards.Board | None,
    port: str | None,
    transcript: Transcript | None,
    reporter: Reporter,
    *,
    timed: bool,
    variant: build.Variant | None = None,
    link: LinkKind = "stock",
) -> Iterator[Target]:
    """A device ready for commands: the one at `port`, or without one `board`, emulated for this session.

    timed: emulate with a clock that counts instructions (slower); False where only the outputs matter.
    variant: of the image that is emulated, or that is on the board at `port`.
    link: "auto" speeds the link up where the firmware is ours; "stock" leaves it as any runner would have it.
    """
    image = None
    if port is None:
        board = board or boards.get_board(DEFAULT_BOARD)
        with reporter.step(f"building the firmware for {board.name}"):
            image = build.build(board, variant=variant)
    with Connection(board, port, transcript, timed=timed, image=image, variant=variant, link=link) as connection:
        yield connection.open()


def _no_counts() -> list[int]:
    return []


def _no_observed_runs() -> list[ObservedRun]:
    return []


def _confirm_engine(board: boards.Board, info: DeviceInfo, variant: build.Variant | None) -> None:
    if variant is not None and variant.engine == "tflm" and not info.engine.startswith("tflm "):
        raise DeviceError(
            f"the device runs the engine {info.engine}, not tflm: load it with "
            f"`host flash {board.name} --engine tflm --tflm-dir DIR`, or leave --engine out."
        )


def _confirm_board(board: boards.Board | None, info: DeviceInfo) -> boards.Board:
    if board is not None and board.name != info.board:
        raise DeviceError(f"the device says it is {info.board}, not {board.name}: check --board and --port.")
    known = boards.find_boards().get(info.board)
    if known is None:  # nobody here could tell whether it is silicon or emulated
        raise DeviceError(
            f"the device says it is {info.board}, which has no folder in firmware/boards here: "
            "run the host from the checkout that its firmware was built in."
        )
    return known


def select(target: Target, model: catalog.ModelFile) -> schema.ModelInfo:
    """Make the task's model the active one and make sure that it is the very file the catalogue names."""
    device, task = target.device, model.task
    device.outputs = 1 if model.result == "mse" else model.outputs
    if target.info is None:
        active = device.profile().model
        if active != task:
            raise DeviceError(f"the firmware at this port runs {active}, not {task}: flash the image for {task}.")
        return schema.ModelInfo(name=f"{task} as flashed", source="stock firmware", sha256=None, arena_bytes=None)
    if task not in target.info.models:
        raise DeviceError(
            f"the image on the board has no {task} (it has {', '.join(target.info.models) or 'no model at all'}): "
            f"run `host build {target.info.board}` and flash it again."
        )
    device.select_model(task)
    info = device.info()
    if info is None or info.model_sha256 != model.sha256:
        raise DeviceError(
            f"the {task} model on the board is not {model.name}: its hash differs from the catalogue's. "
            f"Run `host build {target.info.board}` and flash it again."
        )
    return schema.ModelInfo(
        name=model.name, source=model.source, sha256=info.model_sha256, arena_bytes=info.arena_bytes
    )


def latency_unit(target: Target) -> str:
    """What a microsecond of this device is worth."""
    return microsecond(target.provenance, target.board.clock_hz if target.board else None)


def microsecond(provenance: schema.Provenance, clock_hz: int | None) -> str:
    """What a microsecond is worth of a board whose clock is at clock_hz; None where that means nothing."""
    if provenance != "emulated":
        return "us"
    if clock_hz is None:
        return "us of a host process (emulated)"
    return f"us of emulated time at 1 instruction per cycle and {clock_hz / 1e6:g} MHz (emulated)"


def runs_model(target: Target, task: str) -> bool:
    """Whether the firmware has a model for the task at all."""
    return task in target.info.models if target.info else target.device.profile().model == task


def identity(target: Target) -> DeviceRecord:
    """What a board is known by when it comes back."""
    info, board = target.info, target.board
    return DeviceRecord(
        name=target.name,
        board=info.board if info else None,
        build_id=info.build_id if info else None,
        engine=info.engine if info else None,
        clock_hz=board.clock_hz if board else None,
    )


def describe(target: Target) -> schema.Result:
    """The record of a session on this target, with no runs yet."""
    board, info, image = target.board, target.info, target.image
    # The hash of an ELF file says something only of the image that is really on the board.
    same_image = info is not None and image is not None and image.build_id == info.build_id
    return schema.Result(
        schema=schema.SCHEMA,
        provenance=target.provenance,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        board=schema.BoardInfo(
            name=board.name if board else (info.board if info else "unknown (stock firmware)"),
            core=board.core if board else "unknown",
            clock_hz=board.clock_hz if board else None,
            wiring=board.wiring if board else None,
        ),
        firmware=schema.FirmwareInfo(
            version=info.version if info else None,
            engine=info.engine if info else None,
            compiler=info.compiler if info else None,
            flags=info.flags if info else None,
            sha256=image.sha256 if image is not None and same_image else None,
            sizes=_sizes(image) if image is not None and same_image else None,
        ),
        host=schema.HostInfo(
            version=__version__, python=".".join(map(str, sys.version_info[:3])), platform=platform.platform()
        ),
        runs=[],
    )


def _sizes(image: build.Image) -> schema.Sizes:
    return schema.Sizes(**image.sizes, models=sum(model.bytes for model in image.models))
