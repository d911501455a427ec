"""Where files are looked for, in which order, and what happens to wrong ones."""

import pytest
from catalog_kit import INPUTS, LABELS, MODEL, PNGS, TASK, Server, catalog, put, sha, write_dataset, write_model

from host.catalog.catalog import data_folders
from host.errors import HashMismatch, NotAvailable, SetupError, UsageError
from host.paths import cache_folder


@pytest.fixture(autouse=True)
def _direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def root(tmp_path):
    write_model(tmp_path / "project")
    write_dataset(tmp_path / "project")
    return tmp_path


def test_a_new_task_is_two_folders_and_no_code(root):
    data = put(root / "data" / "deep" / "er", {"toy.tflite": MODEL, **INPUTS})
    known = catalog(root, data=(root / "data",))
    assert known.tasks() == (TASK,)
    model = known.model_for(TASK)
    assert (model.path, model.source, model.sha256) == (data / "toy.tflite", "official toys", sha(MODEL))
    assert (model.wire_input, model.input_bytes, model.outputs, model.official) == ("uint8", 12, 2, True)
    found = known.dataset_for(TASK)
    assert [(item.name, item.data) for item in found.items] == list(INPUTS.items())
    assert [item.label for item in found.items] == [0, 1] * 10
    assert found.sha256 == sha(b"".join(INPUTS.values()))
    assert (found.classes, found.metric, found.target, found.official) == (2, "top1", 0.5, True)
    assert not (root / "cache").exists()


def test_tasks_of_ones_own_may_lie_elsewhere_but_only_once(root):
    (root / "project" / "models").rename(put(root / "own", {}) / "models")
    data = put(root / "data", {"toy.tflite": MODEL, **INPUTS})
    known = catalog(root, more=(root / "own",), data=(data,))
    assert (known.tasks(), known.tasks_with_inputs()) == ((TASK,), (TASK,))
    assert known.model_for(TASK).sha256 == sha(MODEL)
    write_model(root / "project")
    with pytest.raises(SetupError, match=r"two folders describe toy01: .*project.* and .*own"):
        known.model_for(TASK)


def test_items_are_in_the_order_of_the_labels(root):
    backwards = b"".join(reversed(LABELS.splitlines(keepends=True)))
    write_dataset(root / "project", label_list=backwards, sha256=sha(b"".join(reversed(INPUTS.values()))))
    found = catalog(root, data=(put(root / "data", INPUTS),)).dataset_for(TASK)
    assert [item.name for item in found.items] == list(reversed(INPUTS))


def test_right_inputs_in_another_order_are_another_set(root):
    backwards = b"".join(reversed(LABELS.splitlines(keepends=True)))
    write_dataset(root / "project", label_list=backwards)
    with pytest.raises(HashMismatch, match="label order"):
        catalog(root, data=(put(root / "data", INPUTS),)).dataset_for(TASK)


def test_an_unknown_task_is_a_usage_error_that_names_the_known_ones(root):
    with pytest.raises(UsageError, match=rf"nope.*{TASK}"):
        catalog(root).model_for("nope")


def test_wrong_hash_in_a_data_folder_stops_and_names_both_hashes(root):
    data = put(root / "data", {"toy.tflite": b"something else"})
    with Server({"/toy.tflite": MODEL}) as server:
        write_model(root / "project", {"url": f"{server.url}/toy.tflite"})
        with pytest.raises(HashMismatch) as error:
            catalog(root, data=(data,)).model_for(TASK)
        assert not server.asked
    for part in (str(data / "toy.tflite"), sha(MODEL), sha(b"something else")):
        assert part in str(error.value)


def test_wrong_hash_beside_a_right_one_is_passed_over(root):
    first = put(root / "a", {"toy.tflite": b"something else"})
    second = put(root / "b", {"toy.tflite": MODEL})
    assert catalog(root, data=(first, second)).model_for(TASK).path == second / "toy.tflite"


def test_another_sets_label_list_is_not_a_damaged_one_of_ours(root):
    write_dataset(root / "project", labels={"file": "y_labels.csv", "sha256": sha(LABELS), "folder": "toys"})
    other = put(root / "data" / "others", {"y_labels.csv": b"x.bin,2,0\n"})
    with pytest.raises(NotAvailable, match=r"y_labels\.csv is neither"):
        catalog(root, data=(root / "data",)).dataset_for(TASK)
    put(root / "data" / "toys", {"y_labels.csv": LABELS, **INPUTS})
    assert len(catalog(root, data=(root / "data",)).dataset_for(TASK).items) == len(INPUTS)
    put(root / "data" / "toys", {"y_labels.csv": b"x.bin,2,0\n"})
    with pytest.raises(HashMismatch, match="toys/y_labels"):
        catalog(root, data=(root / "data",)).dataset_for(TASK)
    assert other.exists()


def test_data_folder_comes_before_cache_and_cache_before_the_address(root):
    with Server({"/toy.tflite": MODEL}) as server:
        write_model(root / "project", {"url": f"{server.url}/toy.tflite"})
        cached = catalog(root).model_for(TASK).path
        assert cached.is_relative_to(root / "cache")
        assert catalog(root).model_for(TASK).path == cached
        assert server.asked["/toy.tflite"] == 1
    data = put(root / "data", {"toy.tflite": MODEL})
    assert catalog(root, data=(data,)).model_for(TASK).path == data / "toy.tflite"


def test_damaged_cache_entry_is_removed_told_and_fetched_again(root):
    notes = []
    with Server({"/toy.tflite": MODEL}) as server:
        write_model(root / "project", {"url": f"{server.url}/toy.tflite"})
        cached = catalog(root).model_for(TASK).path
        cached.write_bytes(MODEL[:-1])
        assert catalog(root, note=notes.append).model_for(TASK).path.read_bytes() == MODEL
        assert server.asked["/toy.tflite"] == 2
    assert len(notes) == 1
    assert str(cached) in notes[0]


def test_damaged_cache_entry_is_never_used_when_nothing_can_be_fetched(root):
    with Server({"/toy.tflite": MODEL}) as server:
        write_model(root / "project", {"url": f"{server.url}/toy.tflite"})
        cached = catalog(root).model_for(TASK).path
    cached.write_bytes(b"")
    with pytest.raises(NotAvailable):
        catalog(root, note=lambda _text: None).model_for(TASK, fetch=False)
    assert not cached.exists()


def test_a_cache_that_cannot_be_written_is_named(root):
    (root / "cache").write_text("a file where the folder should be")
    with Server({"/toy.tflite": MODEL}) as server:
        write_model(root / "project", {"url": f"{server.url}/toy.tflite"})
        with pytest.raises(Exception, match=r"cannot be written.*XDG_CACHE_HOME") as error:
            catalog(root).model_for(TASK)
    assert type(error.value).__name__ == "SetupError"


def test_the_error_lists_every_place_that_was_tried(root):
    write_model(root / "project", {"name": "a.tflite"}, {"name": "b.tflite", "source": "package toys 1"})
    with pytest.raises(NotAvailable) as error:
        catalog(root, data=(root / "nowhere",)).model_for(TASK)
    for part in (
        "a.tflite",
        "b.tflite",
        "package toys 1",
        f"{root / 'nowhere'}, which is no folder",
        str(root / "cache"),
    ):
        assert part in str(error.value)


def test_the_second_variant_is_used_when_the_first_cannot_be_had(root):
    data = put(root / "data", {"other.tflite": b"other"})
    other = {"name": "other", "file": "other.tflite", "sha256": sha(b"other"), "source": "package x", "official": False}
    write_model(root / "project", {}, other)
    model = catalog(root, data=(data,)).model_for(TASK)
    assert (model.name, model.source, model.official) == ("other", "package x", False)


def test_pngs_are_decoded_to_the_wire_bytes(root):
    write_dataset(root / "project", encoding="png")
    found = catalog(root, data=(put(root / "data", PNGS),)).dataset_for(TASK)
    assert [item.data for item in found.items] == list(INPUTS.values())


def test_a_png_that_decodes_to_other_bytes_is_refused(root):
    known = {name: sha(data) for name, data in PNGS.items()} | {name: sha(b"not these") for name in INPUTS}
    registry = "".join(f"{name} {digest}\n" for name, digest in known.items())
    write_dataset(root / "project", encoding="png", registry=registry)
    with pytest.raises(HashMismatch, match=r"decoded to in_0_0\.bin"):
        catalog(root, data=(put(root / "data", PNGS),)).dataset_for(TASK)


def test_the_environment_names_the_folders(root, monkeypatch):
    monkeypatch.setenv("TINYJOULE_DATA", f"{root / 'a'}:{root / 'b'}:")
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / "xdg"))
    assert data_folders() == (root / "a", root / "b")
    assert cache_folder() == root / "xdg" / "tinyjoule"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(root))
    assert cache_folder() == root / ".cache" / "tinyjoule"
