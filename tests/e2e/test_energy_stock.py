# SPDX-License-Identifier: Apache-2.0
"""Somebody else's MLPerf Tiny firmware in energy mode, at a port, with a monitor that is a serial device.

Ours stands for it: in energy mode it does as the stock one does, and what is between it and the host hides that it has
the command `info`. So the host sees no times, only edges; the board's time is the monitor's to tell.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from session_kit import bench, only_folder

from host.build import Image
from host.device import Device
from host.emulator import start
from host.emulator.analyser import VirtualAnalyser
from host.link import open_link
from host.results import record


class Hiding:
    """A port behind which `info` is unknown."""

    def __init__(self, url: str) -> None:
        self._board = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        self._client: socket.socket | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            self._client, _ = self._server.accept()
            threading.Thread(target=self._carry, args=(self._board, self._client, b"\n", b"inf0", b"info")).start()
            self._carry(self._client, self._board, b"%", b"info%", b"inf0%")

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket, end: bytes, old: bytes, new: bytes) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                whole, mark, rest = (rest + data).rpartition(end)
                sink.sendall((whole + mark).replace(old, new))

    def close(self) -> None:
        for one in (self._board, self._client, self._server):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()


@contextlib.contextmanager
def stock_board(image: Image, analyser: VirtualAnalyser, mode: str) -> Iterator[str]:
    with start(image, timed=True, qemu_arguments=analyser.qemu_arguments(image)) as board:
        with Device(open_link(board.url, image.board.baud)) as device:
            device.wait_boot()
            device.select_model("ad01")
            device.set_mode(mode)
        with contextlib.closing(Hiding(board.url)) as port:
            yield port.url


@pytest.fixture
def analyser() -> Iterator[VirtualAnalyser]:
    with VirtualAnalyser("lpm01a") as running:
        yield running


def words(port: str, analyser: VirtualAnalyser, out: Path) -> list[object]:
    monitor = ("--monitor", f"lpm01a@{analyser.address}")
    return ["ad01", "--mode", "energy", "--rules", "quick", "--inputs", 2, "--port", port, *monitor, "--out", out]


def test_a_board_that_tells_no_times_is_measured_by_its_edges(
    firmware_image: Callable[[str], Image], data_dir: Path, analyser: VirtualAnalyser, tmp_path: Path
) -> None:
    with stock_board(firmware_image("mps2_an386"), analyser, "energy") as port:
        answer = bench(*words(port, analyser, tmp_path))
    assert answer.returncode == 0, answer.stderr
    result = record.read_result(only_folder(tmp_path))
    assert result.provenance == "emulated"  # nobody can tell of the board, but the power is not a real one's
    (run,) = result.runs
    assert (run.latency_us, run.windows, run.instructions_per_inference) == (None, [], None)
    energy = run.energy_uj
    assert energy is not None
    assert energy.value is not None
    assert energy.u is not None
    assert energy.clock_ratio is None
    assert all(window.valid and (window.duration_s or 0) >= 0.2 for window in energy.windows)
    # By hand: what the current model takes for this many instructions (energy/simulator/current.toml), within U.
    assert energy.mean_mw == pytest.approx(40.36, rel=0.04)
    assert "voltage assumed 1.800 V" in answer.stdout


def test_firmware_that_was_built_for_performance_is_told_so(
    firmware_image: Callable[[str], Image], data_dir: Path, analyser: VirtualAnalyser, tmp_path: Path
) -> None:
    with stock_board(firmware_image("mps2_an386"), analyser, "performance") as port:
        answer = bench(*words(port, analyser, tmp_path))
    assert answer.returncode == 1
    assert "Build it for energy" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_board_that_does_not_answer_may_want_another_voltage(
    data_dir: Path, analyser: VirtualAnalyser, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    answer = bench(*words(f"socket://127.0.0.1:{port}", analyser, tmp_path))
    assert answer.returncode == 1
    assert "lpm01a is set to feed the board with 1.8 V" in answer.stderr
