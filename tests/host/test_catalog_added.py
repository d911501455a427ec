"""A person's own models: checked before they are kept, chosen by name, and never official."""

import contextlib

import numpy as np
import pytest
from catalog_kit import MODEL, TASK, catalog, put, sha, write_dataset, write_model
from hypothesis import given
from hypothesis import strategies as st

from host.catalog.added import require_fit
from host.catalog.catalog import more_roots
from host.catalog.spec import load_model
from host.errors import HashMismatch, SetupError, UsageError
from host.modelgen import Model, Tensor, build, computed_reshape, fully_connected
from host.paths import data_home

RIGHT = build(fully_connected(12, 2, seed=1))


@pytest.fixture
def project(tmp_path):
    write_model(tmp_path / "project")
    write_dataset(tmp_path / "project")
    return tmp_path


@pytest.fixture
def file(tmp_path):
    return put(tmp_path / "mine", {"own_model.tflite": RIGHT}) / "own_model.tflite"


def known(tmp, **more):
    return catalog(tmp, home=tmp / "home", **more)


def test_an_added_model_is_chosen_by_name_and_only_then(project, file):
    made = known(project).add_model(TASK, file, target=0.75)
    file.unlink()
    found = known(project).model_for(TASK, name="own_model")
    assert found == made
    assert (found.task, found.name, found.sha256, found.path.read_bytes()) == (TASK, "own_model", sha(RIGHT), RIGHT)
    assert (found.official, found.added, found.quality_target) == (False, True, 0.75)
    assert (found.wire_input, found.input_bytes, found.outputs) == ("uint8", 12, 2)
    assert found.source == f"added from {file}"
    data = put(project / "data", {"toy.tflite": MODEL})
    assert known(project, data=(data,)).model_for(TASK).name == "toy.tflite"
    assert known(project, data=(data,)).model_for(TASK, name="toy.tflite").official
    assert known(project).added_models(TASK) == ("own_model",)


def test_an_unknown_name_says_which_there_are(project, file):
    known(project).add_model(TASK, file, name="mine")
    with pytest.raises(UsageError, match=r"no model 'yours'; it has: mine, toy\.tflite"):
        known(project).model_for(TASK, name="yours")


def test_the_target_is_the_tasks_unless_one_is_given(project, file):
    write_model(project / "project", quality_target=0.25)
    assert known(project).add_model(TASK, file).quality_target == 0.25
    for target in (0.0, 1.5, -1.0, float("nan")):
        with pytest.raises(UsageError, match="fraction"):
            known(project).add_model(TASK, file, name="x", target=target)


def test_a_model_that_fits_its_task_no_more_is_said(project, file):
    known(project).add_model(TASK, file)
    write_model(project / "project", outputs=3)
    with pytest.raises(SetupError, match=r"own_model\.tflite: its output is .*2 x int8.*has 3 outputs"):
        known(project).model_for(TASK, name="own_model")


def test_a_removed_model_is_gone(project, file):
    known(project).add_model(TASK, file)
    known(project).remove_model(TASK, "own_model")
    assert known(project).added_models(TASK) == ()
    assert list((project / "home" / "models" / TASK).iterdir()) == []
    for name in ("own_model", "toy.tflite", "../../x"):
        with pytest.raises(UsageError, match="was added"):
            known(project).remove_model(TASK, name)
    known(project).add_model(TASK, file)


@pytest.mark.parametrize("name", ["own_model", "toy.tflite", "toy"])
def test_a_name_that_is_taken_is_refused(project, file, name):
    known(project).add_model(TASK, file)
    with pytest.raises(UsageError, match="already"):
        known(project).add_model(TASK, file, name=name)


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "-option", "two words", "x" * 200])
def test_a_name_that_is_no_file_name_is_refused(project, file, name):
    with pytest.raises(UsageError, match="cannot be the name of a model"):
        known(project).add_model(TASK, file, name=name)
    assert not (project / "home").exists()


def _without_outputs() -> bytes:
    model = fully_connected(12, 2, seed=1)
    return build(Model(model.tensors, model.operators[:0]))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "TFL3|damaged"),
        (b"hello, this is no model at all", "no TFL3 identifier"),
        (RIGHT[: len(RIGHT) // 2], "damaged|not possible|no tensor|whole .tflite"),
        (bytes(4) + b"TFL3" + b"\xff" * 100, "damaged|whole .tflite"),
        (
            build(fully_connected(13, 2, seed=1)),
            "its input is .*13 x int8.*sends 12 bytes, which take 12 x int8",
        ),
        (build(fully_connected(12, 3, seed=1)), r"its output is .*3 x int8.*toy01 has 2 outputs"),
        (build(computed_reshape((1, 12), 2)), r"12 x float32.*which take 12 x int8"),
    ],
)
def test_a_file_that_cannot_do_the_task_is_refused(project, data, said):
    file = put(project / "mine", {"bad.tflite": data}) / "bad.tflite"
    with pytest.raises(SetupError, match=said):
        known(project).add_model(TASK, file)
    assert not (project / "home").exists()


@given(st.lists(st.tuples(st.integers(0, len(RIGHT) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_any_flipped_bytes_are_a_model_or_an_error(tmp_path_factory, changes):
    spec = load_model(write_model(tmp_path_factory.mktemp("spec", numbered=True)))
    data = bytearray(RIGHT)
    for at, value in changes:
        data[at] = value
    with contextlib.suppress(SetupError):
        require_fit(bytes(data), "x", spec)


def test_a_file_that_is_none_is_refused(project, tmp_path):
    for path in (tmp_path, tmp_path / "nowhere.tflite"):
        with pytest.raises(SetupError, match=str(path)):
            known(project).add_model(TASK, path, name="x")
    with open(tmp_path / "huge.tflite", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SetupError, match="at most"):
        known(project).add_model(TASK, tmp_path / "huge.tflite")


def test_a_link_to_a_model_is_as_good_as_the_model_and_one_to_itself_is_none(project, file, tmp_path):
    link, loop = tmp_path / "link.tflite", tmp_path / "loop.tflite"
    link.symlink_to(file)
    loop.symlink_to(loop)
    assert known(project).add_model(TASK, link).sha256 == sha(RIGHT)
    with pytest.raises(SetupError, match=r"loop\.tflite.*Name a \.tflite file"):
        known(project).add_model(TASK, loop)


def test_floats_on_the_wire_want_int8_or_float32(project):
    write_model(project / "project", wire_input="float32", input_bytes=48)
    floats = put(project / "mine", {"f.tflite": build(computed_reshape((1, 12), 2))}) / "f.tflite"
    assert known(project).add_model(TASK, floats).wire_input == "float32"
    int8 = put(project / "mine", {"i.tflite": RIGHT}) / "i.tflite"
    assert known(project).add_model(TASK, int8).input_bytes == 48
    wide = fully_connected(12, 2, seed=1)
    other = Tensor(wide.tensors[0].shape, wide.tensors[0].scales, 0, dtype=np.int32)
    data = build(Model((other, *wide.tensors[1:]), wide.operators))
    with pytest.raises(SetupError, match="12 x int32"):
        known(project).add_model(TASK, put(project / "mine", {"w.tflite": data}) / "w.tflite")


@pytest.mark.parametrize(
    ("damage", "kind"),
    [("own_model.tflite", HashMismatch), ("own_model.toml", SetupError)],
)
def test_a_damaged_model_is_said_and_never_used(project, file, damage, kind):
    known(project).add_model(TASK, file)
    put(project / "home" / "models" / TASK, {damage: b"damaged"})
    with pytest.raises(kind, match=f"host models remove {TASK} own_model"):
        known(project).model_for(TASK, name="own_model")


def test_a_model_beside_model_toml_needs_no_other_place(project):
    write_model(project / "project", {"path": "here.tflite", "name": "ours"})
    with pytest.raises(SetupError, match=r"here\.tflite: No such file"):
        known(project).model_for(TASK)
    put(project / "project" / "models" / TASK, {"here.tflite": MODEL})
    assert known(project).model_for(TASK, fetch=False).path.read_bytes() == MODEL
    put(project / "project" / "models" / TASK, {"here.tflite": MODEL + b"!"})
    with pytest.raises(HashMismatch, match=r"here\.tflite is not the file that model\.toml beside it names"):
        known(project).model_for(TASK)


def test_the_environment_names_the_data_folder_and_more_tasks(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("TINYJOULE_TASKS", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    assert data_home() == tmp_path / "xdg" / "tinyjoule"
    assert more_roots() == (tmp_path / "a", tmp_path / "b")
    monkeypatch.setenv("XDG_DATA_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TINYJOULE_TASKS")
    assert data_home() == tmp_path / ".local" / "share" / "tinyjoule"
    assert more_roots() == ()
