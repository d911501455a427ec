"""The files that users edit: every mistake is an error that names the file, and the line of a list."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from catalog_kit import INPUTS, LABELS, TASK, catalog, put, sha, write_dataset, write_model
from hypothesis import given
from hypothesis import strategies as st

from host.catalog import Item
from host.catalog.spec import (
    DatasetSpec,
    DatasetVariant,
    WindowsSpec,
    load_dataset,
    load_model,
    load_registry,
    parse_labels,
)
from host.errors import NotAvailable, SetupError

SET = DatasetVariant(name="s", source="s", licence="MIT", count=1)
TWO = DatasetSpec(task="toy01", metric="top1", target=0.5, wire_bytes=12, class_names=["a", "b"], variants=[SET])
THREE = msgspec.structs.replace(TWO, class_names=["a", "b", "c"])
WINDOWS = msgspec.structs.replace(TWO, windows=WindowsSpec(file_bytes=24, stride_bytes=4))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("../up.bin,2,0", "file name '../up.bin'"),
        ("/etc/passwd,2,0", "file name"),
        ("a\\b.bin,2,0", "file name"),
        ("..,2,0", "file name"),
        ("-option.bin,2,0", "file name"),
        (",2,0", "file name"),
        ("a.bin,2", "is not `file,classes,label`"),
        ("a.bin,2,0,9", "is not `file,classes,label`"),
        ("a.bin,2,0,12,6", "windows of 12 bytes every 6, but the data set has 12 every 12"),
        ("a.bin,2,0,12,", "whole numbers"),
        ("a.bin,3,0", "3 classes, but the data set has 2"),
        ("a.bin,2,2", "outside 0..1"),
        ("a.bin,2,-1", "whole numbers"),
        ("a.bin,2,one", "whole numbers"),
        ("a.bin,2,\u0661", "whole numbers"),
        ("first.bin,2,1", "listed twice"),
    ],
)
def test_bad_label_lines_are_named(line, said):
    with pytest.raises(SetupError) as error:
        parse_labels(f"first.bin,2,0\n\n{line}\n".encode(), "y.csv", TWO)
    assert str(error.value).startswith("y.csv:3: ")
    assert said in str(error.value)


def test_labels_keep_their_order_whatever_the_line_ends():
    assert list(parse_labels(b"\xef\xbb\xbfb.bin,2,1\r\na.bin,2,0", "y.csv", TWO).items()) == [
        ("b.bin", 1),
        ("a.bin", 0),
    ]


def test_labels_may_tell_window_and_stride():
    assert parse_labels(b"a.bin,2,1,12,4\nb.bin,2,0\n", "y.csv", WINDOWS) == {"a.bin": 1, "b.bin": 0}
    with pytest.raises(SetupError, match=r"y\.csv:1: .* 12 bytes every 12, but the data set has 12 every 4"):
        parse_labels(b"a.bin,2,1,12,12\n", "y.csv", WINDOWS)


def test_windows_overlap_and_cover_the_file():
    data = bytes(range(24))
    assert Item("a", 0, data, 12, 4).windows() == tuple(data[at : at + 12] for at in (0, 4, 8, 12))
    assert Item("a", 0, data, 24, 24).windows() == Item("a", 0, data).windows() == (data,)


def test_labels_that_are_no_text_are_refused():
    with pytest.raises(SetupError, match=r"y\.csv: not UTF-8"):
        parse_labels(b"\xff\xfe\x00", "y.csv", TWO)


@given(st.binary(max_size=200) | st.text(alphabet="ab./\\,0123\n\r -", max_size=200).map(str.encode))
def test_any_bytes_are_labels_in_range_or_an_error(data):
    try:
        labels = parse_labels(data, "y.csv", THREE)
    except SetupError:
        return
    assert all(0 <= label < 3 and "/" not in name and name not in (".", "..") for name, label in labels.items())


def test_the_number_of_labels_must_be_the_stated_one(tmp_path):
    write_model(tmp_path / "project")
    write_dataset(tmp_path / "project", label_list=b"".join(LABELS.splitlines(keepends=True)[:-1]))
    with pytest.raises(SetupError, match=r"y_labels\.csv: 19 inputs, but .*dataset\.toml says 20"):
        catalog(tmp_path).dataset_for(TASK)


def test_a_label_without_a_hash_in_the_registry_is_refused(tmp_path):
    registry = "".join(f"{name} {sha(data)}\n" for name, data in list(INPUTS.items())[1:])
    write_dataset(tmp_path / "project", registry=registry)
    with pytest.raises(SetupError, match=r"registry\.txt: in_0_0\.bin is missing"):
        catalog(tmp_path, data=(put(tmp_path / "data", INPUTS),)).dataset_for(TASK)


def test_inputs_of_another_size_are_refused(tmp_path):
    path = write_dataset(tmp_path / "project")
    path.write_text(path.read_text().replace("wire_bytes = 12", "wire_bytes = 15"))
    with pytest.raises(SetupError, match="12 bytes, but an input has 15"):
        catalog(tmp_path, data=(put(tmp_path / "data", INPUTS),)).dataset_for(TASK)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.bin", "is not `name sha256`"),
        (f"../a {'0' * 64}", "file name"),
        ("a.bin 0123", "sha256"),
        ("x 1 2", "is not"),
    ],
)
def test_bad_registry_lines_are_named(tmp_path, line, said):
    path = tmp_path / "registry.txt"
    path.write_text(f"# comment\n{line}\n")
    with pytest.raises(SetupError) as error:
        load_registry(path)
    assert str(error.value).startswith(f"{path}:2: ")
    assert said in str(error.value)


def refusal(load: Callable[[Path], object], path: Path, old: str, new: str) -> str:
    """What `load` says, behind the file's name, when `old` has become `new` in it."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SetupError) as error:
        load(path)
    file, _, said = str(error.value).partition(": ")
    assert file == str(path)
    return said


def test_a_registry_name_listed_twice_is_refused(tmp_path):
    path = tmp_path / "registry.txt"
    path.write_text(f"a.bin {'0' * 64}\na.bin {'1' * 64}\n")
    with pytest.raises(SetupError, match=r"registry\.txt:2: a\.bin is listed twice"):
        load_registry(path)


def test_floats_take_four_bytes_each(tmp_path):
    path = write_model(tmp_path)
    text = path.read_text().replace('wire_input = "uint8"', 'wire_input = "float32"')
    path.write_text(text)
    with pytest.raises(SetupError, match="of float32 does not take 12 bytes"):
        load_model(path)
    path.write_text(text.replace("input_bytes = 12", "input_bytes = 48"))
    assert load_model(path).input_bytes == 48


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('task = "toy01"', 'task = "toy02"', "its folder is 'toy01'"),
        ('wire_input = "uint8"', 'wire_input = "int16"', "wire_input"),
        ("input_bytes = 12", 'input_bytes = "12"', "input_bytes"),
        ("input_bytes = 12", "input_bytes = 13", "input_shape"),
        ("outputs = 2", "outputs = 0", "outputs"),
        ('sha256 = "', 'sha256 = "X', "sha256"),
        ('name = "toy.tflite"', 'name = "toy"\nfile = "../toy.tflite"', "file"),
        ('licence = "MIT"', 'license = "MIT"', "license"),
        ('licence = "MIT"', 'licence = "MIT"\nurl = "file:///etc/passwd"', "url"),
        ('title = "Toy"', "title = ", "nvalid"),
    ],
)
def test_mistakes_in_model_toml_name_the_file_and_the_field(tmp_path, old, new, said):
    assert said in refusal(load_model, write_model(tmp_path), old, new)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("target = 0.5", "target = 50", "target"),
        ('metric = "top1"', 'metric = "top5"', "metric"),
        ('registry = "registry.txt"', 'registry = "/etc/registry.txt"', "registry"),
        ("count = 20", "count = 0", "count"),
    ],
)
def test_mistakes_in_dataset_toml_name_the_file_and_the_field(tmp_path, old, new, said):
    assert said in refusal(load_dataset, write_dataset(tmp_path), old, new)


def test_a_task_with_one_half_missing_says_which_file(tmp_path):
    write_model(tmp_path / "project")
    with pytest.raises(NotAvailable, match=r"there is no .*datasets/toy01/dataset\.toml"):
        catalog(tmp_path).dataset_for(TASK)
    (tmp_path / "project" / "models" / TASK / "model.toml").unlink()
    write_dataset(tmp_path / "project")
    with pytest.raises(SetupError, match=r"models/toy01/model\.toml is missing"):
        catalog(tmp_path).model_for(TASK)
