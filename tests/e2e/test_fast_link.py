"""The fast link to real firmware: output tensors bit for bit; what an input takes over either protocol is printed."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host import modelgen
from host.boards import get_board
from host.build import Image, Variant, build
from host.catalog import ModelFile
from host.device import Device
from host.emulator import Emulator, start
from host.errors import DeviceRefused, DeviceReset
from host.link import FaultyLink, open_link

BOARDS = ("mps2_an386", "native")
INPUTS = 40  # of 1000: the accuracy tests take them all


@contextmanager
def running(image: Image, *, fast: bool = True) -> Iterator[tuple[Device, Emulator]]:
    with start(image, timed=False) as emulator, Device(open_link(emulator.url, image.board.baud)) as device:
        device.wait_boot()
        if fast:
            link = device.speed_up()
            assert link is not None
            assert link.window_bytes >= 32768
        yield device, emulator


def select(device: Device, model: str, wire_bytes: int) -> None:
    info = device.info()
    assert info is not None
    if model not in info.models:
        pytest.skip(f"the official {model} model is not in the image")
    device.select_model(model)
    info = device.info()
    assert info is not None
    assert info.input_bytes == wire_bytes


def kws_inputs(data_dir: Path, count: int) -> list[bytes]:
    found = [path.read_bytes() for path in sorted((data_dir / "kws01").glob("*.bin"))[:count]]
    if len(found) < count:
        pytest.skip("the kws01 inputs are not in the data folder")
    return found


def golden(data_dir: Path, name: str) -> Sequence[bytes]:
    path = data_dir / "golden" / name
    if not path.is_file():
        pytest.skip(f"{name} is not in the data folder")
    return [row.tobytes() for row in np.load(path)]


def said_of(output: bytes) -> Any:
    """What m-results says of kws01's output tensor."""
    return pytest.approx((np.frombuffer(output, np.int8).astype(float) + 128) / 256, abs=5.1e-4)


@pytest.mark.parametrize("board", BOARDS)
def test_keywords_over_frames_are_what_tflm_gives_bit_for_bit(
    board: str, data_dir: Path, firmware_image: Callable[[str], Image]
) -> None:
    inputs, wanted = kws_inputs(data_dir, INPUTS), golden(data_dir, "kws01_tflm.npy")
    with running(firmware_image(board)) as (device, _):
        select(device, "kws01", 490)
        before_s = time.monotonic()
        assert [output.raw for output in device.stream(inputs)] == wanted[:INPUTS]
        fast_s = (time.monotonic() - before_s) / INPUTS
        device.load(inputs[0])
        assert device.infer(1, 0).results == said_of(wanted[0])
    with running(firmware_image(board), fast=False) as (device, _):
        select(device, "kws01", 490)
        before_s = time.monotonic()
        stock = [output.values for output in device.stream(inputs)]
        stock_s = (time.monotonic() - before_s) / INPUTS
    assert stock == [said_of(row) for row in wanted[:INPUTS]]
    sys.stdout.write(
        f"\n{board}: kws01 input {fast_s * 1000:.1f} ms over frames, {stock_s * 1000:.1f} ms stock, here\n"
    )


def test_the_windows_of_a_file_are_what_tflm_gives_bit_for_bit(
    data_dir: Path, firmware_image: Callable[[str], Image]
) -> None:
    """Each keeps four fifths of the one before: what is sent is less than a quarter of what is computed on."""
    recording = data_dir / "ad01" / "normal_id_01_00000000_hist_librosa.bin"
    wanted = golden(data_dir, "ad01_196windows_tflm.npy")
    if not recording.is_file():
        pytest.skip(f"{recording.name} is not in the data folder")
    data = recording.read_bytes()
    windows = [data[at * 512 : at * 512 + 2560] for at in range(len(wanted))]
    image = firmware_image("mps2_an386")
    with start(image, timed=False) as emulator:
        cable = FaultyLink(open_link(emulator.url, image.board.baud))  # counts the bytes
        with Device(cable) as device:
            device.wait_boot()
            assert device.speed_up() is not None
            select(device, "ad01", 2560)
            sent = cable.passed("tx")
            assert [output.raw for output in device.stream(windows)] == wanted
            assert cable.passed("tx") - sent < 0.25 * 2560 * len(windows)


def test_photos_over_frames(data_dir: Path, firmware_image: Callable[[str], Image]) -> None:
    wanted = golden(data_dir, "vww_photos_tflm.npy")
    labels = data_dir / "vww_photos" / "y_labels.csv"
    if not labels.is_file():
        pytest.skip("the vww01 photos are not in the data folder")
    photos = [labels.with_name(line.split(",")[0]).read_bytes() for line in labels.read_text().split()]
    with running(firmware_image("mps2_an386")) as (device, _):
        select(device, "vww01", 27648)
        assert [output.raw for output in device.stream(photos[:4])] == wanted[:4]


def test_an_output_of_many_frames(tmp_path: Path) -> None:
    """A user's own model, whose output is what the text commands read, too."""
    path = tmp_path / "large.tflite"
    path.write_bytes(modelgen.build(modelgen.reshape((1, 6000), (6000, 1))))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    model = ModelFile("own", "large", "a test", path, digest, "int8", input_bytes=6000, outputs=6000)
    image = build(get_board("native"), variant=Variant(models=(model,)))
    inputs = [np.random.default_rng(seed).bytes(6000) for seed in range(5)]
    with running(image) as (device, _):
        select(device, "own", 6000)
        outputs = [output.raw for output in device.stream(inputs)]
        assert len(set(outputs)) == len(inputs)
        for data, output in zip(inputs, outputs, strict=True):
            device.load(data)
            assert device.output(device.infer_crc(1, 0)) == output
        with pytest.raises(DeviceRefused, match="needs 6000"):
            list(device.stream([bytes(490)]))
        assert [output.raw for output in device.stream(inputs[:1])] == outputs[:1]


@pytest.mark.parametrize("board", BOARDS)
def test_a_stream_that_is_left_early_leaves_the_device_usable(
    board: str, data_dir: Path, firmware_image: Callable[[str], Image]
) -> None:
    inputs, wanted = kws_inputs(data_dir, 6), golden(data_dir, "kws01_tflm.npy")
    with running(firmware_image(board)) as (device, _):
        select(device, "kws01", 490)
        assert [output.raw for output in islice(device.stream(inputs), 2)] == wanted[:2]
        assert device.name() == "tinyjoule"
        assert [output.raw for output in device.stream(reversed(inputs))] == wanted[:6][::-1]


def test_a_reset_in_the_middle_of_a_stream(data_dir: Path, firmware_image: Callable[[str], Image]) -> None:
    inputs, wanted = kws_inputs(data_dir, 12), golden(data_dir, "kws01_tflm.npy")
    with running(firmware_image("mps2_an386")) as (device, emulator):
        select(device, "kws01", 490)
        came = []
        stream = device.stream(inputs)
        came.append(next(stream).raw)
        emulator.reset()
        with pytest.raises(DeviceReset):
            came += [output.raw for output in stream]
        assert came == wanted[: len(came)]
        select(device, "kws01", 490)
        assert [output.raw for output in device.stream(inputs)] == wanted[:12]
