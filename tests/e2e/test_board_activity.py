# SPDX-License-Identifier: Apache-2.0
"""What the plugin tells of an emulated board: exact to the instruction, and the same in every run."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from processes import wait_for

from energy.simulator.activity import HEADER, MAGIC, PIN, RECORD, RESET, SLEEP, VERSION, WAKE, Records, counts_of
from energy.simulator.current import CLASSES, load_model
from host import emulator
from host.boards import find_boards
from host.build import Image
from host.device import Device
from host.emulator import Emulator
from host.emulator.activity import activity_arguments
from host.emulator.classes import ClassCounter
from host.errors import LinkError, SetupError
from host.link import open_link

NS = 8
SLICE = 10_000
LONGEST_BLOCK = 512  # of QEMU's, in instructions
BOARDS = [board.name for board in find_boards().values() if board.emulator == "qemu"]


@dataclass
class Listener:
    """Takes what a plugin sends, all the time, as the virtual analyser does."""

    path: Path
    data: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self.path))
        self._server.listen(1)
        self.thread = threading.Thread(target=self._take)
        self.thread.start()

    def _take(self) -> None:
        with self._server, self._server.accept()[0] as line:
            while some := line.recv(1 << 18):
                self.data += some

    def records(self) -> Records:
        """When the board has ended."""
        self.thread.join()
        header = np.frombuffer(bytes(self.data[: HEADER.itemsize]), dtype=HEADER)[0]
        assert header.tolist() == (MAGIC, VERSION, NS)
        return np.frombuffer(bytes(self.data[HEADER.itemsize :]), dtype=RECORD)


@contextmanager
def watched(image: Image, *more: str) -> Iterator[tuple[Emulator, Device, Listener]]:
    """A board that has booted, with its first model and an input, in mode both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listener = Listener(folder / "board")
        arguments = activity_arguments(image.elf, folder, listener.path, ns=NS)
        with (
            emulator.start(image, timed=True, qemu_arguments=(*arguments, *more)) as board,
            Device(open_link(board.url, 115200)) as device,
        ):
            boot(image, device)
            yield board, device, listener
        listener.thread.join()


def boot(image: Image, device: Device) -> None:
    device.wait_boot()
    device.select_model(image.models[0].id)
    info = device.info()
    assert info is not None
    device.load(bytes(info.input_bytes))
    device.set_mode("both")


def with_models(image: Image) -> Image:
    if not image.models:
        pytest.skip("no model could be had on this machine: the image is empty")
    return image


def falls_and_rises(records: Records) -> tuple[list[int], list[int]]:
    """At which instruction the pin fell, and rose."""
    pin = records[records["kind"] == PIN]
    assert pin["level"].tolist() == [(at + 1) % 2 for at in range(len(pin))]
    instructions = pin["instructions"].tolist()
    return instructions[1::2], instructions[0::2]


@pytest.mark.parametrize("name", BOARDS)
def test_edges_and_sleep_are_seen_and_a_window_repeats_to_the_instruction(name, firmware_image):
    image = with_models(firmware_image(name))
    windows = []
    for _ in range(2):
        with watched(image) as (board, device, listener):
            device.infer(2, 1)
            counts = board.take_instruction_counts()
        records = listener.records()
        numbers = records["instructions"].astype(np.int64)
        steps = np.diff(numbers, prepend=0)
        assert (steps == counts_of(records).sum(axis=1).astype(np.int64)).all()
        assert steps.max() <= SLICE + LONGEST_BLOCK
        sleeps = records[(records["kind"] == SLEEP) | (records["kind"] == WAKE)]
        assert sleeps["kind"].tolist()[:2] == [SLEEP, WAKE]
        assert (sleeps["kind"][1:] != sleeps["kind"][:-1]).all()
        assert (np.diff(sleeps["clock_ns"].astype(np.int64)) >= 0).all()
        assert np.count_nonzero(records["kind"] == RESET) == 1
        falls, rises = falls_and_rises(records)
        assert (len(falls), len(rises)) == (2, 3)
        for fall, rise in zip(falls, rises[1:], strict=True):
            assert 25e-6 <= (rise - fall) * NS * 1e-9 < 28e-6  # firmware/core/bench.h
        inside = falls[1] - rises[1]
        assert 0 < inside - sum(counts[1:]) < 600  # and the clocks
        asleep = numbers[records["kind"] == SLEEP]
        assert ((rises[0] < asleep) & (asleep < falls[0])).any()  # it waits for us
        assert not ((falls[0] < asleep) & (asleep < falls[1])).any()
        windows.append((inside, counts))
    assert windows[0] == windows[1]


def test_a_reset_in_the_middle_turns_no_edge_around(firmware_image):
    image = with_models(firmware_image("mps2_an386"))
    with watched(image) as (board, device, listener):
        device.infer(1, 0)
        board.reset()
        boot(image, device)
        device.infer(1, 0)
    records = listener.records()
    resets = np.flatnonzero(records["kind"] == RESET)
    assert len(resets) == 2
    for part in (records[: resets[1]], records[resets[1] :]):
        falls, rises = falls_and_rises(part)
        assert (len(falls), len(rises)) == (2, 3)
        assert 25e-6 <= (rises[1] - falls[0]) * NS * 1e-9 < 28e-6


def test_classes_are_those_that_another_plugin_counts(firmware_image, tmp_path):
    """By address there, by run of instructions here: they agree but for what is around the inferences."""
    image = with_models(firmware_image("mps2_an386"))
    counter = ClassCounter(image.elf, tmp_path)
    with watched(image, *counter.qemu_arguments) as (_, device, listener):
        device.infer(3, 0)
    expected = dict.fromkeys(CLASSES, 0)
    for call in counter.take():
        for kind, count in call.items():
            name = {"store_indexed": "store"}.get(kind, kind.partition("_behind")[0])
            if kind not in ("register", "refill"):
                expected[name if name in expected else "other"] += count
    records = listener.records()
    falls, rises = falls_and_rises(records)
    numbers = records["instructions"]
    counted = counts_of(records)[(numbers > rises[1]) & (numbers <= falls[1])].sum(axis=0)
    surplus = counted.astype(np.int64) - list(expected.values())
    assert expected["multiply"] > 10_000
    assert (surplus >= 0).all()
    assert surplus.sum() < 600


def test_a_busy_board_draws_what_the_current_model_says_it_does(firmware_image):
    image = with_models(firmware_image("mps2_an386"))
    with watched(image) as (_, device, listener):
        device.infer(3, 0)
    records = listener.records()
    steps = np.diff(records["instructions"].astype(np.int64), prepend=0)
    currents = load_model().active(counts_of(records)[steps > 0], steps[steps > 0] * NS * 1e-9)
    assert currents.max() < 45e-3
    assert 20e-3 < np.average(currents, weights=steps[steps > 0]) < 25e-3


@pytest.mark.parametrize("listens", [True, False])
def test_a_board_ends_when_nobody_listens(firmware_image, listens):
    """What it takes would not be known: it says why it is gone, or why it does not come."""
    image = with_models(firmware_image("mps2_an386"))
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as server:
        path = Path(name) / "board"
        arguments = activity_arguments(image.elf, Path(name), path, ns=NS)
        if listens:
            server.bind(str(path))
            server.listen(1)
        with emulator.start(image, timed=True, qemu_arguments=arguments) as board:
            # QEMU loads its plugins when somebody has opened the serial port.
            with Device(open_link(board.url, 115200)) as device:
                if listens:
                    server.accept()[0].close()
                with pytest.raises(LinkError):
                    device.wait_boot()
            wait_for(board.diagnosis)
            said = "the virtual analyser has gone" if listens else "activity: cannot take the argument"
            assert said in board.diagnosis()


def test_a_firmware_without_a_pin_is_told(tmp_path):
    with pytest.raises(SetupError, match="firmware"):
        activity_arguments(tmp_path / "no.elf", tmp_path, tmp_path / "nobody", ns=NS)
