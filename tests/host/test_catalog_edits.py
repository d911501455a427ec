"""Models that are edited on their way out of a package, and data sets that are borrowed from another task."""

from __future__ import annotations

import json

import pytest
from catalog_kit import INPUTS, MODEL, TASK, sha, write_dataset, write_model

from host.catalog import Catalog
from host.catalog.edits import edited
from host.catalog.fetch import Hosts
from host.catalog.spec import EditSpec, load_dataset, load_model
from host.errors import HashMismatch, NotAvailable, SetupError

CHANGED = b"TFL4 a moeld"  # MODEL with one byte put, and three that have changed places
EDITS = [
    {"at": 3, "put": "34"},
    {"at": 9, "swap_with": 10, "swap_bytes": 1},
    {"at": 10, "swap_with": 11, "swap_bytes": 1},
]


def specs(*edits: dict) -> list[EditSpec]:
    return [EditSpec(**edit) for edit in edits]


def test_bytes_are_put_and_change_places_in_order():
    assert edited(b"abcdef", specs({"at": 1, "put": "5859"})) == b"aXYdef"
    assert edited(b"abcdef", specs({"at": 0, "swap_with": 4, "swap_bytes": 2})) == b"efcdab"
    assert edited(b"abcdef", specs({"at": 4, "swap_with": 0, "swap_bytes": 2}, {"at": 0, "put": "21"})) == b"!fcdab"
    assert edited(b"abcdef", []) == b"abcdef"


@pytest.mark.parametrize(
    "edit",
    [
        {"at": 6, "put": "00"},
        {"at": 5, "put": "0000"},
        {"at": 0, "swap_with": 5, "swap_bytes": 2},
        {"at": 5, "swap_with": 0, "swap_bytes": 2},
    ],
)
def test_an_edit_beyond_the_end_is_an_error(edit):
    with pytest.raises(SetupError, match="beyond the end"):
        edited(b"abcdef", specs(edit))


def catalog(tmp_path) -> Catalog:
    return Catalog(tmp_path, data=(tmp_path / "data",), cache=tmp_path / "cache", hosts=Hosts())


def described(tmp_path, edits=EDITS, **changes: object):
    """A model.toml whose toy.tflite is made of original.tflite, which a package holds."""
    path = write_model(tmp_path, {"sha256": sha(CHANGED), "original_sha256": sha(MODEL), **changes})
    text = path.read_text() + "\nedit = ["
    for edit in edits:
        text += "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in edit.items()) + " }, "
    text += "]\n"
    text += '\n[variant.package]\nname = "toys"\nversion = "1"\nmember = "toys/original.tflite"\n'
    path.write_text(text + f'wheel_sha256 = "{sha(b"wheel")}"\n')
    return path


def test_an_edited_model_is_a_file_of_its_own(tmp_path):
    described(tmp_path)
    with pytest.raises(NotAvailable):
        catalog(tmp_path).model_for(TASK, fetch=False)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "original.tflite").write_bytes(MODEL)
    model = catalog(tmp_path).model_for(TASK, fetch=False)
    assert (model.path.read_bytes(), model.sha256) == (CHANGED, sha(CHANGED))
    assert model.path.is_relative_to(tmp_path / "cache")
    (tmp_path / "data" / "original.tflite").unlink()
    assert catalog(tmp_path).model_for(TASK, fetch=False) == model


def test_edits_that_do_not_lead_to_the_hash_are_refused(tmp_path):
    described(tmp_path, EDITS[:2])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "original.tflite").write_bytes(MODEL)
    with pytest.raises(HashMismatch, match="original"):
        catalog(tmp_path).model_for(TASK, fetch=False)


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ([], "come together"),
        ([{"at": 0}], "either put or swap_with"),
        ([{"at": 0, "put": "00", "swap_with": 3}], "either put or swap_with"),
        ([{"at": -1, "put": "00"}], "Expected `int` >= 0"),
        ([{"at": 0, "put": "0"}], "matching regex"),
    ],
)
def test_edits_that_make_no_sense_name_the_file(tmp_path, edits, says):
    path = described(tmp_path, edits)
    with pytest.raises(SetupError, match=says) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


# -- Borrowed inputs -----------------------------------------------------------------------------------------------


def lent(tmp_path, text: str):
    path = tmp_path / "datasets" / "toy02" / "dataset.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_borrowed_inputs_are_those_of_the_other_task(tmp_path):
    write_model(tmp_path)
    write_dataset(tmp_path)
    (tmp_path / "data").mkdir()
    for name, data in INPUTS.items():
        (tmp_path / "data" / name).write_bytes(data)
    path = lent(tmp_path, f'task = "toy02"\ninputs_of = "{TASK}"\n')
    known = catalog(tmp_path)
    assert "toy02" in known.tasks_with_inputs()
    assert load_dataset(path).task == TASK
    first, second = known.dataset_for(TASK, fetch=False), known.dataset_for("toy02", fetch=False)
    assert (second.task, second.items, second.sha256) == ("toy02", first.items, first.sha256)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('task = "toy02"\ninputs_of = "nobody"\n', "'nobody', which has no inputs of its own"),
        ('task = "toy02"\ninputs_of = "toy02"\n', "'toy02', which has no inputs of its own"),
        ('task = "toy02"\ninputs_of = "../toy01"\n', "matching regex"),
        ('task = "toy02"\ninputs_of = "toy01"\ntarget = 1.0\n', "target"),
    ],
)
def test_inputs_that_cannot_be_borrowed_are_an_error(tmp_path, text, says):
    with pytest.raises(SetupError, match=says):
        load_dataset(lent(tmp_path, text))
