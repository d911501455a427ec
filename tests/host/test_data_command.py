"""`host data` and `host models` as a person types them, on a task of one's own beside the project's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from catalog_kit import INPUTS, LABELS, TASK, Answer, MoodyServer, put, sha, toml, write_dataset, write_model

from host.cli import build_parser
from host.modelgen import build, fully_connected
from host.paths import PROJECT_DIR

MODEL = build(fully_connected(12, 2, seed=1))
ARCHIVE = b"".join(INPUTS.values())
RECIPE = b"""
def prepare(recipe, inputs, out, progress):
    data = inputs["archive"].read_bytes()
    for index in range(20):
        (out / f"{index}.bin").write_bytes(data[12 * index : 12 * index + 12])
    (out / "y_labels.csv").write_text("".join(f"{index}.bin,2,{index % 2}\\n" for index in range(20)))
"""


class Person:
    """Runs commands with folders of their own for everything."""

    def __init__(self, tmp: Path) -> None:
        self.tmp = tmp
        self.root = tmp / "project"
        self.environment = {
            **os.environ,
            "TINYJOULE_DATA": str(put(tmp / "data", {"toy.tflite": MODEL})),
            "TINYJOULE_TASKS": str(self.root),
            "XDG_CACHE_HOME": str(tmp / "cache"),
            "XDG_DATA_HOME": str(tmp / "share"),
            "NO_PROXY": "127.0.0.1",
            "COLUMNS": "250",
        }
        write_model(self.root, {"sha256": sha(MODEL)})
        write_dataset(self.root)

    def types(self, *words: object) -> tuple[int, str]:
        command = [sys.executable, "-m", "host", *map(str, words)]
        done = subprocess.run(
            command, env=self.environment, cwd=PROJECT_DIR, capture_output=True, text=True, check=False, timeout=60
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    def row(self, what: str) -> str:
        code, said = self.types(what)
        assert code == 0
        (line,) = [line for line in said.splitlines() if line.split()[:1] == [TASK]]
        return line


@pytest.fixture
def person(tmp_path):
    return Person(tmp_path)


def test_import_is_shown_and_forgotten(person):
    folder = put(person.tmp / "brought", {**INPUTS, "y_labels.csv": LABELS, "README.md": b""})
    assert "not here" in person.row("data")
    code, said = person.types("data", "import", TASK, folder)
    assert code == 0
    assert "20 inputs" in said
    assert "It is the official set, byte by byte" in said
    assert "Not copied, because they are no inputs: README.md" in said
    row = person.row("data")
    assert f"imported from {folder}" in row
    assert "top1 >= 0.5" in row
    swapped = "".join(f"{name},2,{1 - index % 2}\n" for index, name in enumerate(INPUTS)).encode()
    assert "not known to be" in person.types("data", "import", TASK, put(folder, {"y_labels.csv": swapped}))[1]
    assert "top1 >= 0.5 on the official set; not judged on this one" in person.row("data")
    put(folder, {"in_0_0.bin": bytes([7] * 12)})
    said = person.types("data", "import", TASK, folder)[1]
    assert "not known to be the official set" in said
    assert "byte by byte" not in said
    assert f"{TASK}. `host data fetch TASK` gets those" in person.types("data")[1]
    assert person.types("data", "forget", TASK)[0] == 0
    assert "not here" in person.row("data")
    assert person.types("data", "forget", TASK)[0] == 2


def test_a_wrong_folder_is_an_error_that_names_the_file(person):
    folder = put(person.tmp / "brought", {**INPUTS, "y_labels.csv": LABELS, "in_3_1.bin": b"short"})
    code, said = person.types("data", "import", TASK, folder)
    assert code == 1
    assert f"{folder / 'in_3_1.bin'}: 5 bytes, but an input of {TASK} has 12" in said


def test_fetch_goes_on_after_a_broken_download_and_makes_the_set(person):
    with MoodyServer(Answer(ARCHIVE, etag='"a"', cut=100), Answer(ARCHIVE, etag='"a"')) as server:
        top = {"task": TASK, "metric": "top1", "target": 0.5, "wire_bytes": 12, "class_names": ["even", "odd"]}
        official = {"name": "official", "source": "the toy archive", "licence": "MIT", "count": 20, "official": True}
        archive = {"key": "archive", "url": server.url, "sha256": sha(ARCHIVE)}
        text = toml(top) + "\n[[variant]]\n" + toml(official | {"prepare": {"recipe": "any"}}, "variant.")
        text += "\n[[variant.input]]\n" + toml(archive, "variant.input.")
        put(person.root / "datasets" / TASK, {"dataset.toml": text.encode(), "prepare.py": RECIPE})
        assert "not here" in person.row("data")
        code, said = person.types("data", "--fetch")
        assert f"host data fetch {TASK}" in said
        assert server.asked == []
        code, said = person.types("data", "fetch", TASK)
    assert code == 0
    assert f"{TASK}: official (the toy archive), 20 inputs, sha256 {sha(ARCHIVE)[:12]} is on this machine." in said
    assert "100 bytes of 240 bytes kept" in said
    assert server.asked == [None, "bytes=100-"]
    assert "the toy archive" in person.row("data")
    folder = put(person.tmp / "brought", {f"{at}.bin": ARCHIVE[12 * at : 12 * at + 12] for at in range(20)})
    put(folder, {"y_labels.csv": "".join(f"{at}.bin,2,1\n" for at in range(20)).encode()})  # other labels
    person.types("data", "import", TASK, folder)
    said = person.types("data", "fetch", TASK)[1]
    assert "In use is another one all the same" in said
    assert f"`host data forget {TASK}` takes it away" in said
    assert person.types("data", "fetch", TASK, "--variant", "nope")[0] == 2


def test_own_models_are_listed_and_removed(person):
    file = put(person.tmp / "mine", {"own.tflite": MODEL}) / "own.tflite"
    code, said = person.types("models", "add", file, "--task", TASK, "--target", "0.9")
    assert code == 0
    assert f"`host bench {TASK} --model own` measures it" in said
    code, said = person.types("models")
    assert code == 0
    assert len([line for line in said.splitlines() if line.split()[:1] == [TASK]]) == 2
    assert "chosen with --model own" in said
    assert TASK not in said.partition("Not the official models: ")[2]  # its own one is
    write_model(person.root, {"sha256": sha(MODEL), "official": False})
    assert TASK in person.types("models")[1].partition("Not the official models: ")[2]
    put(person.tmp / "share" / "tinyjoule" / "models" / TASK, {"own.tflite": b"damaged"})
    code, said = person.types("models")
    assert code == 1
    assert "WRONG" in said
    assert person.types("models", "remove", TASK, "own")[0] == 0
    assert person.types("models", "remove", TASK, "own")[0] == 2
    code, said = person.types("models", "add", PROJECT_DIR / "README.md", "--task", TASK)
    assert code == 1
    assert "no TFL3 identifier" in said
    assert person.types("models", "add", file, "--task", "nope")[0] == 2


def test_a_model_of_a_task_without_inputs_is_not_said_to_be_measurable(person):
    file = put(person.tmp / "mine", {"own.tflite": MODEL}) / "own.tflite"
    (person.root / "datasets" / TASK / "dataset.toml").unlink()
    code, said = person.types("models", "add", file, "--task", TASK)
    assert code == 0
    assert "no inputs of toy01 yet" in said
    assert "host bench" not in said


@pytest.mark.parametrize(("typed", "means"), [("0.9", 0.9), ("90%", 0.9), ("90", 0.9), ("1", 1.0), ("100%", 1.0)])
def test_a_target_may_be_typed_as_a_fraction_or_in_percent(typed, means):
    for words in (("models", "add", "x", "--task", TASK), ("bench",)):
        assert build_parser().parse_args([*words, "--target", typed]).target == means


@pytest.mark.parametrize("typed", ["0", "-1", "101", "101%", "nan", "inf", "0.9.", "%", ""])
def test_what_is_no_fraction_is_no_target(capsys, typed):
    for words in (("models", "add", "x", "--task", TASK), ("bench",)):
        with pytest.raises(SystemExit, match="2"):
            build_parser().parse_args([*words, f"--target={typed}"])
        assert "must be a fraction or percents" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("data", "import", TASK), ("data", "fetch"), ("models", "add", "x"), ("data", "nope")]
)
def test_what_is_not_understood_exits_2(person, words):
    assert person.types(*words)[0] == 2
