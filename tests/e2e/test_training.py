"""models/*/train.py with TensorFlow: one epoch on a tiny set in the official layout, and what comes out of it."""

import hashlib
import importlib.util
import io
import os
import pickle
import subprocess
import sys
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from host.catalog import Catalog, default_catalog
from host.catalog.fetch import Hosts
from host.errors import NotAvailable
from host.paths import PROJECT_DIR
from host.training.checks import edges, operator_names
from host.training.record import read_record
from host.verify.oracle import Oracle

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None,
        reason="tensorflow is not installed: `make setup-train` brings it",
    ),
]
SHAPES = {
    "ad01": ([1, 640], [1, 640]),
    "ic01": ([1, 32, 32, 3], [1, 10]),
    "ic02": ([1, 32, 32, 3], [1, 10]),
    "kws01": ([1, 49, 10, 1], [1, 12]),
    "vww01": ([1, 96, 96, 3], [1, 2]),
}
INPUTS = {"ic01": (1.0, -128), "ic02": (1.0, -128), "kws01": (0.5847029, 83), "vww01": (1 / 255, -128)}


def wav(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def sound(rng: np.random.Generator, samples: int, hz: float) -> np.ndarray:
    return 3000 * np.sin(2 * np.pi * hz * np.arange(samples) / 16000) + rng.normal(0, 300, samples)


def speech_commands(folder: Path, rng: np.random.Generator) -> None:
    """As unpacked; five words, of which one is no keyword. `yes` number 0 is for tests, number 1 for validation."""
    words = ("yes", "no", "up", "down", "happy")
    for place, word in enumerate(words):
        (folder / word).mkdir()
        for number in range(6):
            (folder / word / f"{number}.wav").write_bytes(wav(sound(rng, 16000 - 500 * number, 300 + 200 * place)))
    (folder / "testing_list.txt").write_text("".join(f"{word}/0.wav\n" for word in words))
    (folder / "validation_list.txt").write_text("".join(f"{word}/1.wav\n" for word in words))
    (folder / "_background_noise_").mkdir()
    (folder / "_background_noise_" / "hum.wav").write_bytes(wav(sound(rng, 40000, 50)))


def cifar(folder: Path, rng: np.random.Generator) -> None:
    """As an archive, which holds pickles."""
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
            pixels = rng.integers(0, 256, (16, 3072), dtype=np.uint8)
            data = pickle.dumps(
                {b"data": pixels, b"labels": [number % 10 for number in range(16)]}, protocol=3
            )  # bytes as bytes, as in the real ones
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def pictures(folder: Path, rng: np.random.Generator) -> None:
    for name in ("person", "non_person"):
        (folder / "vw_coco2014_96" / name).mkdir(parents=True)
        for number in range(40):
            pixels = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
            path = folder / "vw_coco2014_96" / name / f"COCO_train2014_{number:012d}.jpg"
            Image.fromarray(pixels).save(path)


def machines(folder: Path, rng: np.random.Generator) -> None:
    for part, kinds in (("train", ("normal",)), ("test", ("normal", "anomaly"))):
        (folder / "ToyCar" / part).mkdir(parents=True)
        for kind in kinds:
            for number in range(2):
                path = folder / "ToyCar" / part / f"{kind}_id_01_{number:08d}.wav"
                path.write_bytes(wav(sound(rng, 9 * 16000, 200 if kind == "normal" else 900)))


MAKERS = {"ad01": machines, "ic01": cifar, "ic02": cifar, "kws01": speech_commands, "vww01": pictures}


def trained(task: str, out: Path, *words: str, data: str = "") -> subprocess.CompletedProcess[str]:
    """`data`: TINYJOULE_DATA, where the catalogue's set is judged too when it is there."""
    command = [
        sys.executable,
        str(PROJECT_DIR / "models" / task / "train.py"),
        "--out",
        str(out),
        "--epochs",
        "1",
        *words,
    ]
    env = os.environ | {"TINYJOULE_DATA": data}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=500, env=env)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("task", MAKERS)
def test_one_epoch_gives_a_model_of_the_official_kind(task, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    MAKERS[task](raw, np.random.default_rng(1))
    out = tmp_path / "x.tflite"
    done = trained(task, out, "--data", str(raw), "--seed", "7", data=os.environ.get("TINYJOULE_DATA", ""))
    data, record = out.read_bytes(), read_record(tmp_path / "x.json")
    assert operator_names(data, "x") == record.operators == default_catalog().model_spec(task).operators
    assert (record.task, record.file, record.seed, record.epochs) == (task, "x.tflite", 7, 1)
    assert (record.sha256, record.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (record.input.shape, record.output.shape) == SHAPES[task]
    before, after = edges(data, "x")
    assert (before.quantisation.scale, before.quantisation.zero_point) == (record.input.scale, record.input.zero_point)
    if task in INPUTS:
        scale, zero_point = INPUTS[task]
        assert before.quantisation.scale == pytest.approx(scale, rel=1e-6)
        assert before.quantisation.zero_point == zero_point
        assert (after.quantisation.scale, after.quantisation.zero_point) == (1 / 256, -128)
    assert [score.model for score in record.scores[:2]] == ["float", "int8"]
    assert all(0 <= score.value <= 1 and score.count > 0 for score in record.scores)
    assert "int8:" in done.stdout
    with Oracle() as oracle:
        elements = int(np.prod(before.shape))
        first, second = oracle.outputs(data, [bytes(elements), bytes([130] * elements)])
    assert len(first) == len(second) == int(np.prod(after.shape))


def test_the_same_seed_gives_the_same_model_and_another_one_another(tmp_path):
    MAKERS["kws01"](tmp_path, np.random.default_rng(1))
    made = []
    for number, seed in enumerate((3, 3, 4)):
        out = tmp_path / f"x{number}.tflite"
        trained("kws01", out, "--data", str(tmp_path), "--seed", str(seed))
        made.append(out.read_bytes())
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_synthetic_machine_sound_teaches_an_auto_encoder_something(tmp_path):
    out = tmp_path / "x.tflite"
    trained("ad01", out, "--synthetic", "--limit", "20000", "--epochs", "20")  # fewer: worse than guessing
    record = read_record(tmp_path / "x.json")
    assert record.data.train == 20000
    scores = {score.model: score for score in record.scores[:2]}
    assert scores["int8"].metric == "auc"
    assert scores["int8"].value > 0.6
    assert scores["int8"].value == pytest.approx(scores["float"].value, abs=0.1)


def test_synthetic_speech_teaches_the_official_topology_words(tmp_path):
    known = Catalog(PROJECT_DIR, cache=tmp_path, hosts=Hosts())
    try:
        known.recipe_inputs("kws01", "synthetic")
    except NotAvailable as error:
        pytest.skip(f"no package index here: {error}")
    out = tmp_path / "x.tflite"
    trained("kws01", out, "--synthetic", "--epochs", "4")  # batch normalisation takes some hundred steps
    record = read_record(tmp_path / "x.json")
    score = next(score for score in record.scores if score.model == "int8")
    assert score.count == 240
    assert score.value > 0.5
