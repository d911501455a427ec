"""The official MLPerf Tiny models on real inputs, against the outputs TFLM gave for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from engine_host import OK, EngineHost

SWW_SCALE = 0.0037010426  # of the model's input


@dataclass(frozen=True, slots=True)
class Task:
    model: str
    golden: str
    inputs: list[bytes]


def files(folder: Path) -> list[Path]:
    """In the order of y_labels.csv, which is that of the golden rows."""
    return [folder / line.split(",")[0] for line in (folder / "y_labels.csv").read_text().split()]


def unsigned_images(folder: Path) -> list[bytes]:
    """Wire bytes of images; the device subtracts 128."""
    return [(np.fromfile(f, np.uint8) ^ 0x80).tobytes() for f in files(folder)]


def kws(data: Path) -> Task:
    return Task("kws_ref_model", "kws01", [f.read_bytes() for f in files(data / "kws01")])


def ic(data: Path) -> Task:
    return Task("pretrainedResnet_quant", "ic_cifar10", unsigned_images(data / "ic_cifar10"))


def vww(data: Path) -> Task:
    return Task("vww_96_int8", "vww_photos", unsigned_images(data / "vww_photos"))


def ad(data: Path) -> Task:
    """Five frames of 128 mels a window, rounded and clamped as the device does it."""
    frames = np.fromfile(data / "ad01" / "normal_id_01_00000000_hist_librosa.bin", np.float32).reshape(-1, 128)
    windows = np.lib.stride_tricks.sliding_window_view(frames, (5, 128)).reshape(-1, 640)
    quantized = np.clip(np.round(windows / np.float32(0.39101523)) + 89, -128, 127).astype(np.int8)
    return Task("ad01_int8", "ad01_196windows", [row.tobytes() for row in quantized])


def sww(data: Path) -> Task:
    with np.load(data / "sww" / "calibration_samples.npz") as samples:
        spectrograms = samples["specs"]
    quantized = (spectrograms / SWW_SCALE - 128).astype(np.int8)
    return Task("str_ww_ref_model", "sww_calib45", [row.tobytes() for row in quantized])


def check(engine: EngineHost, data: Path, task: Task, count: int) -> None:
    golden = np.load(data / "golden" / f"{task.golden}_tflm.npy")
    assert len(task.inputs) == len(golden)
    model = (data / "models" / f"{task.model}.tflite").read_bytes()
    answer = engine.load(model, task.inputs[:count], limit_s=500)
    assert answer.status == OK, answer.text
    got = np.array([np.frombuffer(row, np.int8) for row in answer.outputs])
    np.testing.assert_array_equal(got, golden[:count])


@pytest.mark.parametrize(("task", "count"), [(kws, 50), (ic, 20), (vww, 5), (ad, 40), (sww, 45)])
def test_model_gives_what_tflm_gives(engine: EngineHost, data_dir: Path, task, count: int) -> None:
    check(engine, data_dir, task(data_dir), count)


@pytest.mark.long
@pytest.mark.parametrize("task", [kws, vww, ad])
def test_model_gives_what_tflm_gives_on_every_input(engine: EngineHost, data_dir: Path, task) -> None:
    whole = task(data_dir)
    check(engine, data_dir, whole, len(whole.inputs))
