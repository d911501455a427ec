"""Folders of inputs that a person brings: checked file by file, copied, used before the others, forgotten."""

import os
import shutil

import pytest
from catalog_kit import INPUTS, LABELS, TASK, catalog, put, sha, write_dataset, write_model

from host.errors import HashMismatch, NotAvailable, SetupError, UsageError

OFFICIAL = sha(b"".join(INPUTS.values()))


@pytest.fixture
def project(tmp_path):
    write_model(tmp_path / "project")
    write_dataset(tmp_path / "project")
    return tmp_path


@pytest.fixture
def folder(tmp_path):
    return put(tmp_path / "brought" / "deep", {**INPUTS, "y_labels.csv": LABELS})


def known(tmp, **more):
    return catalog(tmp, home=tmp / "home", **more)


def test_the_official_set_in_a_folder_is_the_official_set(project, folder):
    data, others = known(project).import_dataset(TASK, folder)
    assert others == ()
    shutil.rmtree(folder)
    found = known(project).dataset_for(TASK, fetch=False)
    assert found == data
    assert [(item.name, item.data) for item in found.items] == list(INPUTS.items())
    assert [item.label for item in found.items] == [0, 1] * 10
    assert (found.name, found.source, found.official) == ("imported", f"imported from {folder}", True)
    assert (found.sha256, found.target, found.metric, found.classes) == (OFFICIAL, 0.5, "top1", 2)


SWAPPED = "".join(f"{name},2,{1 - index % 2}\n" for index, name in enumerate(INPUTS)).encode()


@pytest.mark.parametrize("with_hash", [True, False], ids=["list known by hash", "list of the project"])
@pytest.mark.parametrize(
    ("labels", "official"),
    [(LABELS, True), (LABELS.replace(b"\n", b"\r\n"), True), (SWAPPED, False)],
    ids=["same", "other line ends", "other labels"],
)
def test_the_official_inputs_with_other_labels_are_not_the_official_set(tmp_path, folder, labels, official, with_hash):
    write_model(tmp_path / "project")
    named = {"file": "y_labels.csv"} | ({"sha256": sha(LABELS)} if with_hash else {})
    write_dataset(tmp_path / "project", labels=named)
    put(folder, {"y_labels.csv": labels})
    data, _ = known(tmp_path).import_dataset(TASK, folder)
    assert (data.sha256, data.official) == (OFFICIAL, official)
    swapped = known(tmp_path).import_dataset(TASK, put(folder, {"y_labels.csv": SWAPPED}))[0]
    assert (swapped.labels_sha256 == data.labels_sha256) == (not official)


def test_another_set_is_used_first_and_is_not_official(project, folder, tmp_path):
    data = put(tmp_path / "data", INPUTS)
    put(folder, {"in_0_0.bin": bytes([99] * 12)})
    known(project).import_dataset(TASK, folder)
    found = known(project, data=(data,)).dataset_for(TASK)
    assert found.items[0].data == bytes([99] * 12)
    assert not found.official
    known(project).forget_dataset(TASK)
    assert known(project, data=(data,)).dataset_for(TASK).sha256 == OFFICIAL
    with pytest.raises(UsageError, match="nothing to forget"):
        known(project).forget_dataset(TASK)
    with pytest.raises(NotAvailable):
        known(project).dataset_for(TASK)


def test_who_borrows_inputs_borrows_the_imported_ones(project, folder):
    put(
        project / "project" / "datasets" / "toy02", {"dataset.toml": f'task = "toy02"\ninputs_of = "{TASK}"\n'.encode()}
    )
    data, _ = known(project).import_dataset("toy02", folder)
    assert (data.task, data.official) == ("toy02", True)
    assert known(project).dataset_for(TASK).items == data.items
    known(project).forget_dataset("toy02")
    with pytest.raises(NotAvailable, match=f"host data import {TASK} FOLDER"):
        known(project).dataset_for(TASK)


def test_a_folder_whose_name_is_no_text_is_a_folder(project, folder):
    odd = folder.rename(folder.with_name(os.fsdecode(b"\xff\x1bodd")))
    assert known(project).import_dataset(TASK, odd)[0].source == f"imported from {odd.parent}/??odd"
    assert known(project).dataset_for(TASK).official


def test_a_second_import_takes_the_place_of_the_first(project, folder, tmp_path):
    known(project).import_dataset(TASK, folder)
    few = put(tmp_path / "few", {"a.bin": bytes(12), "y_labels.csv": b"a.bin,2,1\n"})
    known(project).import_dataset(TASK, few)
    assert [item.name for item in known(project).dataset_for(TASK).items] == ["a.bin"]
    assert os.listdir(project / "home" / "datasets") == [TASK]


def test_an_import_that_fails_at_the_last_step_leaves_the_one_before(project, folder, tmp_path, monkeypatch):
    known(project).import_dataset(TASK, folder)
    few = put(tmp_path / "few", {"a.bin": bytes(12), "y_labels.csv": b"a.bin,2,1\n"})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(SetupError, match="No space left"):
            known(project).import_dataset(TASK, few)
    assert known(project).dataset_for(TASK).sha256 == OFFICIAL


def test_windows_come_with_the_files(project, tmp_path):
    path = project / "project" / "datasets" / TASK / "dataset.toml"
    text = path.read_text().replace("[[variant]]", "[windows]\nfile_bytes = 24\nstride_bytes = 4\n[[variant]]", 1)
    path.write_text(text)
    data = bytes(range(24))
    folder = put(tmp_path / "brought", {"a.bin": data, "y_labels.csv": b"a.bin,2,1,12,4\n"})
    (item,) = known(project).import_dataset(TASK, folder)[0].items
    assert item.windows() == (data[:12], data[4:16], data[8:20], data[12:])
    put(folder, {"y_labels.csv": b"a.bin,2,1,12,8\n"})
    with pytest.raises(SetupError, match="12 bytes every 8, but the data set has 12 every 4"):
        known(project).import_dataset(TASK, folder)


def test_what_is_no_input_is_left_behind_and_named(project, folder):
    put(folder, {"README.md": b"hello", ".hidden": b""})
    (folder / "more").mkdir()
    assert known(project).import_dataset(TASK, folder)[1] == (".hidden", "README.md", "more")
    copied = os.listdir(project / "home" / "datasets" / TASK)
    assert sorted(copied) == sorted([*INPUTS, "y_labels.csv", "imported.json"])


def _fifo(folder):
    (folder / "in_3_1.bin").unlink()
    os.mkfifo(folder / "in_3_1.bin")


def _huge(folder):
    with open(folder / "in_3_1.bin", "wb") as file:
        file.truncate(1 << 40)


def _link(folder):
    (folder / "in_3_1.bin").unlink()
    (folder / "in_3_1.bin").symlink_to("/etc/passwd")


def _directory(folder):
    (folder / "in_3_1.bin").unlink()
    (folder / "in_3_1.bin").mkdir()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "in_3_1.bin").unlink(), r"lacks in_3_1\.bin, which y_labels\.csv lists"),
        (lambda f: [(f / name).unlink() for name in INPUTS], r"in_4_0\.bin and 15 more"),
        (lambda f: put(f, {"more.bin": bytes(12)}), r"holds more\.bin, which y_labels\.csv does not list"),
        (lambda f: put(f, {"in_3_1.bin": bytes(11)}), r"in_3_1\.bin: 11 bytes, but an input of toy01 has 12"),
        (lambda f: put(f, {"in_3_1.bin": b""}), r"in_3_1\.bin: 0 bytes"),
        (_huge, r"in_3_1\.bin: 1,099,511,627,776 bytes, at most 12 are expected"),
        (_link, r"in_3_1\.bin: a symbolic link, not a file"),
        (_fifo, r"in_3_1\.bin: not a regular file"),
        (_directory, r"in_3_1\.bin: not a regular file"),
        (lambda f: (f / "y_labels.csv").unlink(), r"holds no y_labels\.csv"),
        (lambda f: put(f, {"y_labels.csv": b""}), "lists no input"),
        (lambda f: put(f, {"y_labels.csv": b"../../etc/passwd,2,0\n"}), r"y_labels\.csv:1: file name"),
        (lambda f: put(f, {"y_labels.csv": b"/etc/passwd,2,0\n"}), r"y_labels\.csv:1: file name"),
        (lambda f: put(f, {"y_labels.csv": b"y_labels.csv,2,0\n"}), r"lists y_labels\.csv: inputs are \.bin files"),
        (lambda f: put(f, {os.fsdecode(b"\x1b[2J\xff.bin"): b""}), r"holds '.x1b\[2J.udcff\.bin'"),
        (lambda f: put(f, {"y_labels.csv": LABELS + LABELS}), r"y_labels\.csv:21: in_0_0\.bin is listed twice"),
        (lambda f: put(f, {"y_labels.csv": b"in_0_0.bin,10,0\n"}), "has 10 classes, but the data set has 2"),
        (lambda f: put(f, {"y_labels.csv": b"in_0_0.bin,2,2\n"}), r"outside 0\.\.1"),
        (lambda f: put(f, {"y_labels.csv": b"\xff\xfe"}), "not UTF-8"),
        (lambda f: put(f, {"y_labels.csv": bytes(5 << 20)}), "bytes, at most"),
        (shutil.rmtree, "No such file"),
    ],
)
def test_a_folder_that_is_no_whole_set_is_refused_and_nothing_kept(project, folder, spoil, said):
    spoil(folder)
    with pytest.raises(SetupError, match=said):
        known(project).import_dataset(TASK, folder)
    assert not (project / "home").exists()


def test_the_label_list_may_be_no_link_either(project, folder, tmp_path):
    (folder / "y_labels.csv").rename(tmp_path / "elsewhere.csv")
    (folder / "y_labels.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(SetupError, match=r"y_labels\.csv: a symbolic link"):
        known(project).import_dataset(TASK, folder)


@pytest.mark.parametrize("how", ["flip", "relabel", "remove", "record", "no record"])
def test_a_damaged_import_is_said_and_never_used(project, folder, tmp_path, how):
    known(project).import_dataset(TASK, folder)
    kept = tmp_path / "home" / "datasets" / TASK
    if how == "flip":
        put(kept, {"in_3_1.bin": bytes([4] * 12)})
    elif how == "relabel":
        put(kept, {"y_labels.csv": SWAPPED})
    elif how == "remove":
        (kept / "in_3_1.bin").unlink()
    elif how == "record":
        put(kept, {"imported.json": b"[]"})
    else:
        (kept / "imported.json").unlink()
    with pytest.raises(
        HashMismatch if how in ("flip", "relabel") else SetupError,
        match=f"Import it again, or `host data forget {TASK}`",
    ):
        known(project, data=(folder,)).dataset_for(TASK)
    known(project).forget_dataset(TASK)
    assert known(project, data=(folder,)).dataset_for(TASK).sha256 == OFFICIAL


def test_a_data_folder_that_cannot_be_written_is_named(project, folder):
    put(project, {"home": b"a file"})
    with pytest.raises(SetupError, match=r"cannot be written.*XDG_DATA_HOME"):
        known(project).import_dataset(TASK, folder)


def test_an_unknown_task_is_a_usage_error(project, folder):
    for action in (
        lambda: known(project).import_dataset("nope", folder),
        lambda: known(project).forget_dataset("nope"),
    ):
        with pytest.raises(UsageError, match="no task 'nope'"):
            action()
    with pytest.raises(UsageError, match="no task"):
        known(project).forget_dataset("../../escape")
