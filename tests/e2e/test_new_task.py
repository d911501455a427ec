"""A new task is one folder in models/ and one in datasets/: the real command finds it, builds it and runs it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from host.catalog import Catalog
from host.modelgen import build, fully_connected
from host.paths import PROJECT_DIR
from host.results import schema
from host.verify.oracle import Oracle

TASK = "toy01"
INPUTS = np.random.default_rng(7).integers(-128, 128, (20, 16), dtype=np.int8)
MODEL = build(fully_connected(16, 4, seed=3))

MODEL_TOML = f"""
task = "{TASK}"
title = "A toy"
wire_input = "int8"
input_shape = [16]
input_bytes = 16
outputs = 4

[[variant]]
name = "toy"
source = "made by a test"
licence = "Apache-2.0"
path = "toy.tflite"
sha256 = "{sha256(MODEL).hexdigest()}"
"""

DATASET_TOML = f"""
task = "{TASK}"
metric = "top1"
target = 0.9
wire_bytes = 16
class_names = ["north", "east", "south", "west"]

[[variant]]
name = "toys"
source = "random numbers"
licence = "Apache-2.0"
count = 20

[variant.prepare]
recipe = "random"
automatic = true
"""

PREPARE = """
import numpy as np

LABELS = {labels}

def prepare(recipe, inputs, out, progress):
    data = np.random.default_rng(7).integers(-128, 128, (20, 16), dtype=np.int8)
    for index, one in enumerate(data):
        (out / f"{{index}}.bin").write_bytes(one.tobytes())
    (out / "y_labels.csv").write_text("".join(f"{{i}}.bin,4,{{label}}\\n" for i, label in enumerate(LABELS)))
"""


def predictions(model: bytes) -> list[int]:
    """What tflite-micro says of every input."""
    with Oracle() as oracle:
        outputs = oracle.outputs(model, [one.tobytes() for one in INPUTS])
    return [int(np.frombuffer(output, dtype=np.int8).argmax()) for output in outputs]


@pytest.fixture(scope="module")
def expected() -> list[int]:
    """Of the task's own model."""
    pytest.importorskip("tflite_micro", reason="the oracle is not installed")
    return predictions(MODEL)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, expected: list[int]) -> Path:
    """A folder with the two folders. One label is wrong on purpose, so that 19 of 20 are right."""
    root = tmp_path_factory.mktemp("tasks")
    labels = [(expected[0] + 1) % 4, *expected[1:]]
    model, data = root / "models" / TASK, root / "datasets" / TASK
    for folder in (model, data):
        folder.mkdir(parents=True)
    (model / "model.toml").write_text(MODEL_TOML)
    (model / "toy.tflite").write_bytes(MODEL)
    (data / "dataset.toml").write_text(DATASET_TOML)
    (data / "prepare.py").write_text(PREPARE.format(labels=labels))
    return root


class Person:
    """Types commands, with the tasks of `root` beside the project's."""

    def __init__(self, root: Path, tmp: Path) -> None:
        self.results = tmp / "results"
        self.environment = {
            **os.environ,
            "TINYJOULE_TASKS": str(root),
            "XDG_CACHE_HOME": str(tmp / "cache"),
            "XDG_DATA_HOME": str(tmp / "share"),
        }

    def types(self, *words: str) -> str:
        answer = subprocess.run(
            [sys.executable, "-m", "host", *words],
            env=self.environment,
            cwd=PROJECT_DIR,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def benches(self, *words: str) -> tuple[schema.Run, list[int]]:
        """The only run, and what was predicted of each input if that was asked."""
        said = self.types(
            "bench", TASK, "--board", "native", "--no-report", "--out", str(self.results), "--json", *words
        )
        (run,) = schema.decode(said.encode()).runs
        folder = max(self.results.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        outputs = folder / f"outputs-{TASK}.csv"
        rows = csv.DictReader(outputs.read_text().splitlines()) if outputs.exists() else ()
        return run, [int(row["predicted"]) for row in rows]


@pytest.fixture
def person(root: Path, tmp_path: Path) -> Person:
    return Person(root, tmp_path)


def test_the_catalogue_finds_it(root: Path, expected: list[int], tmp_path: Path) -> None:
    known = Catalog(PROJECT_DIR, more=(root,), cache=tmp_path / "cache")
    assert TASK in known.tasks_with_inputs()
    assert known.model_for(TASK, fetch=False).path == root / "models" / TASK / "toy.tflite"
    data = known.dataset_for(TASK)
    assert [item.data for item in data.items] == [one.tobytes() for one in INPUTS]
    assert [item.label for item in data.items[1:]] == expected[1:]
    assert len(set(expected)) > 1


def test_an_image_of_all_tasks_has_it(data_dir: Path, person: Person, expected: list[int], tmp_path: Path) -> None:
    person.environment["PLATFORMIO_BUILD_DIR"] = str(tmp_path / "build" / "images")  # no other test has this image
    run, predicted = person.benches("--mode", "accuracy")
    assert run.accuracy is not None
    assert (run.task, run.accuracy.metric, run.accuracy.value, run.accuracy.n) == (TASK, "top1", 0.95, 20)
    assert (run.model.name, run.model.sha256) == ("toy", sha256(MODEL).hexdigest())
    assert (run.dataset.name, run.dataset.source) == ("toys", "random numbers")
    assert predicted == expected
    assert data_dir.is_dir()


def test_performance_is_measured_too(person: Person) -> None:
    run, _ = person.benches("--model", "toy")
    assert run.valid
    assert run.latency_us is not None


def test_a_model_of_ones_own_runs_in_its_place(person: Person, expected: list[int], tmp_path: Path) -> None:
    other = build(fully_connected(16, 4, seed=5))
    (tmp_path / "other.tflite").write_bytes(other)
    person.types("models", "add", str(tmp_path / "other.tflite"), "--task", TASK, "--target", "0.01")
    run, predicted = person.benches("--mode", "accuracy", "--model", "other")
    assert predicted == predictions(other) != expected
    assert (run.model.name, run.model.sha256) == ("other", sha256(other).hexdigest())
    assert run.model.source == f"added from {tmp_path / 'other.tflite'}"
    labels = [(expected[0] + 1) % 4, *expected[1:]]
    assert run.accuracy is not None
    assert run.accuracy.value == sum(map(int.__eq__, labels, predicted)) / 20
    assert (run.accuracy.target, run.accuracy.target_source) == (0.01, "model")
