# SPDX-License-Identifier: Apache-2.0
"""Sessions that were `measured`, in a second: a board in memory whose clock jumps, and a power monitor that watches it.

Everything of the host is real: sessions, journal, log, run rules. The board says that it is a nucleo_l4r5zi with the
build that this checkout makes, and the official models; it has the official lists of inputs and labels, and inputs that
are made up. The host's clock jumps with the board's: a window of 10 s takes no time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import math
import os
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from energy.instrument import SampleChunk, Settings, WindowKind
from host import catalog, embed
from host.boards import get_board
from host.catalog import Dataset, Item, ModelFile
from host.frames import Damaged, Splitter
from host.link.fake import FakeLink
from host.link.stock import Answer
from host.link.tinyjoule import TinyjouleDevice
from host.paths import PROJECT_DIR
from host.report.progress import Reporter
from host.results import record, schema
from host.results.journal import MonitorPlan
from host.runner import monitor as monitor_module
from host.runner import session as session_module
from host.runner import target as target_module
from host.runner.outputs import OutputFormat, read_format
from host.runner.plan import Plan, Workload
from host.runner.session import resume_session, run_session
from host.submission.layout import BENCHMARKS

BOARD = "nucleo_l4r5zi"
COMPILER = "arm-none-eabi-gcc 12.2.1"
FLAGS = "-mcpu=cortex-m4 -std=c99 -O2 -DTJ_CORE_HZ=120000000"
RUN_US = {"ad01": 5_321, "ic01": 152_187, "kws01": 46_019, "vww01": 139_777}
"""What one inference takes on the board."""
WRONG = {"ad01": 12, "ic01": 26, "kws01": 99, "vww01": 140}
"""How many inputs of each the board gets wrong."""
TASKS = tuple(one.task for one in BENCHMARKS.values())
MODES: tuple[schema.Mode, ...] = ("performance", "accuracy", "energy")
IDLE_A, BUSY_A, VOLTS = 0.0012, 0.0183, 3.0
RATE_HZ = 2_000.0
SHORTEST_S = 9.0
"""A capture of less is none of a window."""
SYSTEM = {
    "Status": "Available",
    "Board Name": "NUCLEO-L4R5ZI",
    "SoC Name": "STM32L4R5ZIT6",
    "Hardware Notes": "3.0 V at JP5",
}
"""What a person writes into system.json."""


@dataclass
class Clock:
    """The host's clock, that a board can put forward."""

    real: Any = time.monotonic
    skipped_s: float = 0.0

    def __call__(self) -> float:
        return float(self.real()) + self.skipped_s


@dataclass
class Board(TinyjouleDevice):
    """Our firmware on silicon. works: by task, its model and what it gives to each input, as bytes of the tensor."""

    works: Mapping[str, Work] = field(default_factory=dict)
    build_id: str = "0" * 16
    clock: Clock = field(default_factory=Clock)
    windows: list[tuple[float, float]] = field(default_factory=list)
    """When its windows began and ended, by the host's clock; the last one may not have ended."""
    passing: threading.Lock = field(default_factory=threading.Lock)
    """Held while time passes in one go, so that the monitor sees the moment with all that happens in it."""
    hides: bool = False
    """Whether it passes for somebody else's firmware."""
    interrupted_after: int | None = None
    """In which window somebody types Ctrl-C."""

    @property
    def run_time_us(self) -> int:
        return RUN_US[self.model]

    def do_info(self, _arguments: list[str]) -> Answer:
        if self.hides:
            return ["e-[Unknown command: info]"]
        work = self.works.get(self.model)
        facts = {
            "version": "0.1.0", "build-id": self.build_id, "board": BOARD, "core-hz": 120_000_000,
            "engine": "tflite_c 0.1.0", "compiler": COMPILER, "flags": FLAGS, "models": ",".join(self.models),
            "model": self.model if work else "none", "model-sha256": work.model.sha256 if work else "none",
            "model-bytes": 1000, "arena-bytes": 20_000, "arena-capacity-bytes": 262_144, "input-bytes": 4,
            "output-elements": 12, "mode": self.mode, "cycles": "none", "baud-max": 0,
        }  # fmt: skip
        return [f"m-info-{key}-[{value}]" for key, value in facts.items()]

    def do_infer(self, arguments: list[str]) -> Answer:
        self.run_us = self.run_time_us
        return super().do_infer(arguments)

    def do_frames(self, arguments: list[str]) -> Answer:
        return ["e-[Unknown command: frames]"] if self.hides else super().do_frames(arguments)

    def do_db(self, arguments: list[str]) -> Answer:
        if self.hides and arguments == ["crc"]:
            return ["e-[Invalid hex digit 'cr']"]
        return super().do_db(arguments)

    def infer_frame(self, data: bytes) -> bytes:
        self.runs += 1
        return self.works[self.model].tensor(data)

    def _results(self) -> str:
        return f"m-results-[{','.join(f'{value:.3f}' for value in self.works[self.model].values(self.tensor))}]"


@dataclass(frozen=True)
class Work:
    """A task: its model, its inputs, and the class that the board finds in each of them."""

    model: ModelFile
    dataset: Dataset
    found: Mapping[bytes, int]

    @functools.cached_property
    def shape(self) -> OutputFormat:
        return read_format(self.model)

    def tensor(self, data: bytes) -> bytes:
        shape = self.shape
        if shape.result == "mse":
            return bytes(shape.elements)  # the same for all: how far an input is from it is its score
        classes = [-128] * shape.elements
        classes[self.found[data]] = 100
        classes[(self.found[data] + 1) % shape.elements] = -101
        return struct.pack(f"{shape.elements}b", *classes)

    def values(self, data: bytes) -> list[float]:
        shape = self.shape
        real = (np.frombuffer(self.tensor(data), np.int8).astype(np.float32) - shape.zero_point) * shape.scale
        if shape.result == "mse":
            return [float(np.mean((np.frombuffer(data, "<f4") - real) ** 2))]
        return [float(value) for value in real]


class Line(FakeLink):
    """The board's line. It takes frames whole, and what the board says while it works comes when that is done."""

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self._board = board
        self._splitter = Splitter()
        self._runs = 0
        self._lapped = False

    def write(self, data: bytes) -> None:
        framing = self._board.framing
        if not framing.enabled:
            for command in data.split(b"%")[:-1]:
                self._command += command
                self._answer()
            return
        for part in self._splitter.feed(data):
            if isinstance(part, bytes):
                super().write(part)
            elif isinstance(part, Damaged):
                self._pending += framing._again()
            else:
                self._pending += framing._frame(part)

    def read(self, timeout_s: float) -> bytes:
        line, end, rest = self._pending.partition(b"\n")
        if self._pending.startswith(b"\0") or not end:
            return super().read(timeout_s)
        self._pending = rest
        self._work(bytes(line).strip())
        return bytes(line + end)

    def _work(self, line: bytes) -> None:
        """What passes on the board before it says this line."""
        word, _, count = line.rpartition(b"-")
        board = self._board
        if word == b"m-warmup-start":
            board.clock.skipped_s += int(count) * board.run_time_us / 1e6
        elif word == b"m-infer-start":
            with board.passing:
                self._runs = int(count)
                board.windows.append((board.clock(), math.inf))
            if len(board.windows) == board.interrupted_after:
                raise KeyboardInterrupt
        elif self._runs and (line == b"m-infer-done" or (word == b"m-lap-us" and self._lapped)):
            with board.passing:
                begun_s = board.windows[-1][0]
                # Not what this machine has taken meanwhile: a busy one would make a window longer.
                ended_s = begun_s + self._runs * board.run_time_us / 1e6
                board.clock.skipped_s += ended_s - board.clock()
                board.windows[-1] = (begun_s, ended_s)
                self._runs, self._lapped = 0, False
        elif word == b"m-lap-us":
            self._lapped = bool(self._runs)  # the work is before the second one


@dataclass
class Meter:
    """A power monitor at the board's supply and timing pin, whose time is the host's clock."""

    board: Board
    name: str = "lpm01a"
    idn: str = "PowerShield 0.1.8, 00470037"
    model: str = "LPM01A"
    windows: WindowKind = "marker"
    measures_voltage: bool = False
    is_supply: bool = False
    default_rate_hz: float = RATE_HZ
    default_range_a: float | None = 0.05
    range_switches: int = 0
    begun_s: float = 0.0
    given: int = 0

    def configure(self, wanted: Settings) -> Settings:
        return dataclasses.replace(wanted, voltage_v=VOLTS)

    def start(self, *, triggered: bool, duration_s: float) -> None:
        assert not triggered
        self.begun_s, self.given = self.board.clock(), 0
        if duration_s < SHORTEST_S:  # the board is left alone, and nobody else looks at the clock
            self.board.clock.skipped_s += duration_s

    def read(self, timeout_s: float) -> SampleChunk | None:
        with self.board.passing:
            there = int((self.board.clock() - self.begun_s) * RATE_HZ)
            windows = list(self.board.windows)
        if there == self.given:
            time.sleep(min(timeout_s, 0.001))
            return None
        times_s = self.begun_s + np.arange(self.given, there + 1) / RATE_HZ
        current = np.full(len(times_s) - 1, IDLE_A, dtype=np.float32)
        marker = np.ones(len(times_s) - 1, dtype=np.bool_)
        for begin_s, end_s in windows:
            share = np.clip(np.minimum(times_s[1:], end_s) - np.maximum(times_s[:-1], begin_s), 0, None) * RATE_HZ
            current += (share * (BUSY_A - IDLE_A)).astype(np.float32)
            for fall_s in (begin_s, end_s):
                marker &= ~((times_s[1:] > fall_s) & (times_s[:-1] <= fall_s))
        chunk = SampleChunk(current, None, marker, self.given / RATE_HZ, RATE_HZ)
        self.given = there
        return chunk

    def stop(self) -> None:
        pass

    def set_supply(self, on: bool) -> None:
        raise NotImplementedError(on)

    def errors(self) -> list[str]:
        return []

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass


def official_labels(task: str) -> list[tuple[str, int]]:
    """Names and labels of the official list."""
    folders = [Path(folder) for folder in os.environ.get("TINYJOULE_DATA", "").split(os.pathsep) if folder]
    places = [folder / place / "y_labels.csv" for folder in folders for place in (f"labels/{task}", task)]
    for place in places:
        if place.is_file():
            lines = [line.split(",") for line in place.read_text().split()]
            return [(line[0], int(line[2])) for line in lines]
    pytest.skip(f"the official list of {task} is not here: TINYJOULE_DATA names no folder with it")


@functools.cache
def work_of(task: str, wrong: int | None = None, windows: int = 196) -> Work:
    """A task with the official model and list of inputs; the inputs themselves are made up.

    wrong: how many of them the board gets wrong; None: so many that it meets the target. windows: of a recording.
    """
    wrong = WRONG[task] if wrong is None else wrong
    model = catalog.default_catalog().model_for(task, fetch=False)
    if not model.official:
        pytest.skip(f"the official model of {task} is not here: TINYJOULE_DATA names no folder with it")
    (benchmark,) = (one for one in BENCHMARKS.values() if one.task == task)
    labels = official_labels(task)
    classes = 2 if benchmark.metric == "auc" else model.outputs
    rng = np.random.default_rng(7)
    items, found = [], {}
    for number, (name, label) in enumerate(labels):
        seen = (label + (number < wrong)) % classes
        if benchmark.metric == "auc":
            # Windows that overlap, as of recordings; what is far from silence is a broken car.
            levels = rng.normal(-35.0 + 9.0 * seen, 2.0, (windows + 4) * 128).astype("<f4")
            item = Item(name, label, levels.tobytes(), model.input_bytes, 512)
        else:
            item = Item(name, label, rng.bytes(model.input_bytes))
        items.append(item)
        found[item.data] = seen
    digest = hashlib.sha256(b"".join(item.data for item in items)).hexdigest()
    dataset = Dataset(
        task, "official", "made up by a test", digest, classes, benchmark.metric, benchmark.target, tuple(items), True
    )
    return Work(model, dataset, found)


@functools.cache
def build_id() -> str:
    """Of the image that this checkout makes for the board."""
    board = get_board(BOARD)
    models = embed.collect_models(board.flash_bytes, lambda _text: None)
    return embed.identify(BOARD, embed.source_hash(PROJECT_DIR / "firmware", BOARD), COMPILER, FLAGS, models)


def make_board(
    tasks: Sequence[str] = TASKS, *, hides: bool = False, wrong: int | None = None, windows: int = 196
) -> Board:
    """A board with these models. hides: as in Board; wrong, windows: as in work_of."""
    works = {task: work_of(task, wrong, windows) for task in tasks}
    return Board(
        model=tasks[0], models=tuple(tasks), capacity=65_536, works=works, build_id=build_id(), hides=hides,
    )  # fmt: skip


@contextlib.contextmanager
def at_a_port(board: Board) -> Iterator[Board]:
    """The board is at every port, and the monitor at every address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target_module, "open_link", lambda *_: Line(board))
        patch.setattr(monitor_module, "open_monitor", lambda *_: Meter(board))
        patch.setattr(
            session_module,
            "find_workloads",
            lambda plan, _reporter: [
                Workload(board.works[task].model, board.works[task].dataset) for task in plan.tasks
            ],
        )
        patch.setattr(time, "monotonic", board.clock)
        yield board


def measure(board: Board, out: Path, mode: schema.Mode, tasks: Sequence[str], **plan: Any) -> Path:
    """One session; the folder that it leaves."""
    energy = MonitorPlan(monitor="lpm01a@/dev/ttyACM1") if mode == "energy" else None
    wanted = Plan(
        **{"tasks": tuple(tasks), "mode": mode, "ports": ("/dev/ttyACM0",), "out": out, "energy": energy, **plan}
    )
    with at_a_port(board), Reporter() as reporter:
        return run_session(wanted, reporter).folder


def measure_in_two(board: Board, out: Path, mode: schema.Mode, tasks: Sequence[str], windows: int) -> Path:
    """A session that ends after so many windows, those of calibration among them, and is gone on with."""
    board.interrupted_after = windows
    with pytest.raises(KeyboardInterrupt):
        measure(board, out, mode, tasks)
    board.interrupted_after = None
    (folder,) = out.iterdir()
    with at_a_port(board), Reporter() as reporter:
        outcome = resume_session(folder, [], reporter)
    assert outcome.complete
    return folder


def measure_all(
    out: Path, tasks: Sequence[str] = TASKS, modes: Sequence[schema.Mode] = MODES, windows: int = 196
) -> list[Path]:
    """A session for each mode, on one board. windows: of a recording."""
    board = make_board(tasks, windows=windows)
    return [measure(board, out / mode, mode, tasks) for mode in modes]


def result_of(folder: Path) -> schema.Result:
    return record.read_result(folder)
