"""Sets that a recipe makes: where its files come from, what is kept, and what happens to a wrong or damaged one."""

import json
import os
from pathlib import Path

import pytest
from catalog_kit import (
    INPUTS,
    LABELS,
    TASK,
    Answer,
    MoodyServer,
    Server,
    catalog,
    make_wheel,
    put,
    sha,
    toml,
    write_model,
    zipped,
)

from host.catalog.spec import load_dataset
from host.errors import HashMismatch, NotAvailable, SetupError, UsageError

SEED = b"0123456789ab" * 20
WHEEL = {"name": "p", "version": "1", "wheel_sha256": "0" * 64}
SET = sha(b"".join(INPUTS.values()))
RECIPE = '''
"""Splits the bytes of `seed` into inputs, so that what is made depends on it."""
from pathlib import Path

def prepare(recipe, inputs, out, progress):
    counted = Path(__file__).parent.parent / "runs"
    counted.write_text(str(int(counted.read_text() or 0) + 1) if counted.exists() else "1")
    {extra}
    data = inputs["seed"].read_bytes() if inputs else bytes(240)
    for index in range(20):
        (out / f"{{index}}.bin").write_bytes(data[12 * index : 12 * index + 12])
        progress("making", index + 1, 20)
    (out / "y_labels.csv").write_text("".join(f"{{index}}.bin,2,{{index % 2}}\\n" for index in range(20)))
    {last}
'''


class Project:
    def __init__(self, tmp: Path) -> None:
        self.tmp = tmp
        self.home = tmp / "project" / "datasets" / TASK
        self.notes: list[str] = []
        self.steps: list[tuple[str, int, int]] = []
        write_model(tmp / "project")
        self.recipe()
        self.write({"key": "seed", "file": "seed.dat", "sha256": sha(SEED)})

    def recipe(self, extra: str = "pass", last: str = "pass") -> None:
        put(self.home, {"prepare.py": RECIPE.format(extra=extra, last=last).encode()})

    def write(self, *inputs: dict, automatic: bool = True, **variant: object) -> Path:
        top = {"task": TASK, "metric": "top1", "target": 0.5, "wire_bytes": 12, "class_names": ["even", "odd"]}
        values = {"name": "made here", "source": "a recipe", "licence": "MIT", "count": 20}
        prepare = {"prepare": {"recipe": "plain", "automatic": automatic}}
        text = toml(top) + "\n[[variant]]\n" + toml(values | variant | prepare, "variant.")
        for one in inputs:
            text += "\n[[variant.input]]\n" + toml(one, "variant.input.")
        return put(self.home, {"dataset.toml": text.encode()}) / "dataset.toml"

    def catalog(self, *data: Path):
        return catalog(
            self.tmp,
            data=data,
            home=self.tmp / "home",
            note=self.notes.append,
            progress=lambda *step: self.steps.append(step),
        )

    @property
    def runs(self) -> int:
        path = self.home.parent / "runs"
        return int(path.read_text()) if path.exists() else 0

    def made(self) -> list[Path]:
        return sorted((self.tmp / "cache" / TASK / "prepared").glob("*"))


@pytest.fixture(autouse=True)
def _direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def data(tmp_path):
    return put(tmp_path / "data", {"seed.dat": SEED})


def test_a_set_is_made_once_and_then_only_read(project, data):
    first = project.catalog(data).dataset_for(TASK)
    assert [item.data for item in first.items] == [SEED[at : at + 12] for at in range(0, 240, 12)]
    assert (first.name, first.source, first.sha256, first.official) == ("made here", "a recipe", sha(SEED), False)
    assert (first.window_bytes, first.stride_bytes) == (12, 12)
    assert (f"preparing {TASK}: making", 20, 20) in project.steps
    (data / "seed.dat").unlink()
    assert project.catalog(data).dataset_for(TASK, fetch=False) == first
    assert project.runs == 1
    (folder,) = project.made()
    record = json.loads((folder / "prepared.json").read_text())
    assert (record["inputs"], record["sha256"]) == ({"seed": sha(SEED)}, sha(SEED))
    assert folder.name == f"made-here-{record['key']}"
    assert project.notes == []


@pytest.mark.parametrize("damage", ["3.bin", "y_labels.csv", "prepared.json"])
@pytest.mark.parametrize("how", ["flip", "cut", "remove", "link"])
def test_a_damaged_set_is_noticed_and_made_again(project, data, damage, how):
    whole = project.catalog(data).dataset_for(TASK)
    (folder,) = project.made()
    path = folder / damage
    text = path.read_bytes()
    path.unlink()
    if how == "link":
        path.symlink_to(put(project.tmp / "elsewhere", {damage: text}) / damage)
    elif how != "remove":
        path.write_bytes(text[:-2] if how == "cut" else text.replace(b"0", b"1"))
    found = project.catalog(data).dataset_for(TASK)
    assert found == whole
    if (how, damage) != ("link", "prepared.json"):  # what it says is the same
        assert project.runs == 2
        assert "is not what was made there any more" in project.notes[0]
    assert project.made() == [folder]


def test_what_shapes_the_set_makes_another_one(project, data):
    project.catalog(data).dataset_for(TASK)
    project.recipe(extra="1")
    project.catalog(data).dataset_for(TASK)
    put(project.home, {"list_beside_it.txt": b"words"})
    project.catalog(data).dataset_for(TASK)
    assert (project.runs, len(project.made())) == (3, 3)
    project.write({"key": "seed", "file": "seed.dat", "sha256": sha(SEED)}, licence="another")
    project.catalog(data).dataset_for(TASK)
    assert project.runs == 3


def test_a_large_set_waits_for_the_command(project, data):
    project.write({"key": "seed", "file": "seed.dat", "sha256": sha(SEED)}, automatic=False)
    with pytest.raises(NotAvailable, match=f'`host data fetch {TASK} --variant "made here"` makes it'):
        project.catalog(data).dataset_for(TASK)
    assert project.runs == 0
    made = project.catalog(data).fetch_dataset(TASK)
    assert project.catalog(data).dataset_for(TASK) == made
    assert project.catalog(data).fetch_dataset(TASK, variant="made here") == made
    assert project.runs == 1
    with pytest.raises(UsageError, match="no data set variant 'x'; it has 'made here'"):
        project.catalog(data).fetch_dataset(TASK, variant="x")


def test_nothing_is_made_when_nothing_shall_be_fetched(project, data):
    with pytest.raises(NotAvailable, match="host data fetch"):
        project.catalog(data).dataset_for(TASK, fetch=False)
    assert project.runs == 0


def test_a_recipe_may_do_without_files(project):
    project.write()
    assert project.catalog().dataset_for(TASK).sha256 == sha(bytes(240))


def test_a_missing_file_is_unavailable_and_a_wrong_one_is_an_error(project, data):
    with pytest.raises(NotAvailable, match=r"seed\.dat is not in TINYJOULE_DATA"):
        project.catalog().dataset_for(TASK)
    (data / "seed.dat").write_bytes(SEED[1:])
    with pytest.raises(HashMismatch, match=rf"seed\.dat \(in TINYJOULE_DATA\)(?s:.*){sha(SEED)}"):
        project.catalog(data).dataset_for(TASK)


def test_a_file_that_publishes_no_hash_is_held_to_what_came_first(project, tmp_path):
    url = "/files/seed%20of%20all.zip"
    with Server({url: SEED}) as server:
        project.write({"key": "seed", "url": server.url + url, "file": "seed.raw"})
        assert project.catalog().dataset_for(TASK).sha256 == sha(SEED)
        record = json.loads((tmp_path / "home" / "first-fetch.json").read_text())
        assert record[server.url + url]["sha256"] == sha(SEED)
        assert record[server.url + url]["size_bytes"] == len(SEED)
        assert any(sha(SEED) in note and "held to from now on" in note for note in project.notes)
        project.recipe(extra="1")  # made again, out of the file that is here
        project.catalog().dataset_for(TASK)
        assert server.asked[url] == 1
        (archive,) = (tmp_path / "cache" / "_downloads").iterdir()
        archive.unlink()
        server.files[url] = SEED[::-1]
        project.recipe(extra="2")
        with pytest.raises(HashMismatch, match=sha(SEED)):
            project.catalog().dataset_for(TASK)
        other = put(tmp_path / "data", {"seed.raw": SEED[::-1]})
        with pytest.raises(HashMismatch, match="TINYJOULE_DATA"):
            project.catalog(other).dataset_for(TASK)
        put(other, {"seed.raw": SEED})
        assert project.catalog(other).dataset_for(TASK).sha256 == sha(SEED)


def test_a_page_in_place_of_an_archive_is_not_trusted_as_the_first_fetch(project, tmp_path):
    archive = zipped({"x": SEED})
    page = b"<html>please log in</html>"
    with Server({"/a.zip": page}) as server:
        project.write({"key": "seed", "url": f"{server.url}/a.zip"})
        for wrong in (page, archive[:-10]):
            server.files["/a.zip"] = wrong
            with pytest.raises(HashMismatch, match=r"no zip archive, and was not kept.*log in"):
                project.catalog().dataset_for(TASK)
            assert not (tmp_path / "home" / "first-fetch.json").exists()
        server.files["/a.zip"] = archive
        with pytest.raises(SetupError, match="made a wrong set"):  # this recipe reads no archives: it was given it
            project.catalog().dataset_for(TASK)
    assert sha(archive) in (tmp_path / "home" / "first-fetch.json").read_text()


def test_a_damaged_record_of_first_fetches_is_said(project, tmp_path):
    project.write({"key": "seed", "url": "http://127.0.0.1:1/seed.zip"})
    put(tmp_path / "home", {"first-fetch.json": b"{"})
    with pytest.raises(SetupError, match=r"first-fetch\.json cannot be read .* restore it, or delete it"):
        project.catalog().dataset_for(TASK)


def test_a_damaged_archive_in_the_cache_is_fetched_again(project, tmp_path):
    with MoodyServer(Answer(SEED)) as server:
        project.write({"key": "seed", "url": server.url, "sha256": sha(SEED), "bytes": len(SEED)})
        project.catalog().dataset_for(TASK)
        (archive,) = (tmp_path / "cache" / "_downloads").iterdir()
        assert archive.name == f"{sha(SEED)[:12]}-big.bin"
        archive.write_bytes(SEED[:-1])
        project.recipe(extra="1")
        assert project.catalog().dataset_for(TASK).sha256 == sha(SEED)
        assert len(server.asked) == 2
    assert any("damaged in the cache" in note for note in project.notes)


@pytest.mark.parametrize("member", [None, "deep/seed.dat"])
def test_a_file_comes_out_of_a_package_or_is_one(project, tmp_path, monkeypatch, member):
    for name, value in {"CONFIG_FILE": "/dev/null", "NO_INDEX": "1", "FIND_LINKS": str(tmp_path / "wheels")}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    package = make_wheel(tmp_path / "wheels", {"deep/seed.dat": SEED})
    table: dict[str, object] = {"key": "seed", "package": package}
    unpack = "import zipfile; inputs = dict(seed=zipfile.Path(inputs['seed'], 'deep/seed.dat'))"
    if member is not None:
        unpack = "import zipfile; 1"
        table |= {"package": package | {"member": member}, "sha256": sha(SEED)}
    project.recipe(extra=unpack)
    project.write(table)
    assert project.catalog().dataset_for(TASK).sha256 == sha(SEED)
    (tmp_path / "wheels" / "tinyjoule_toy-1.0-py3-none-any.whl").unlink()
    project.write(table, automatic=False)
    project.recipe(extra=unpack.replace("zipfile; ", "zipfile, os; "))
    assert project.catalog().fetch_dataset(TASK).sha256 == sha(SEED)
    files = project.catalog().recipe_inputs(TASK, "plain")
    assert list(files) == ["seed"]
    assert files["seed"].is_file()
    with pytest.raises(UsageError, match="no variant names the recipe 'x'"):
        project.catalog().recipe_inputs(TASK, "x")


@pytest.mark.parametrize(
    ("extra", "last", "said"),
    [
        ("raise ValueError('no such column')", "pass", r"the recipe plain failed \(ValueError: no such column\)"),
        ("raise OSError(28, 'No space left on device')", "pass", "on device.. Is there room in the cache"),
        ("import nothing_of_that_name", "pass", "needs a package that is not installed"),
        ("return", "pass", r"made no y_labels\.csv"),
        ("pass", "(out / '3.bin').unlink()", r"lacks 3\.bin, which y_labels\.csv lists"),
        ("pass", "(out / '3.bin').write_bytes(bytes(11))", r"3\.bin: 11 bytes, but an input of toy01 has 12"),
        ("pass", "(out / 'more.bin').write_bytes(bytes(12))", r"holds more\.bin, which y_labels\.csv does not list"),
        ("pass", "(out / '3.bin').unlink(); (out / '3.bin').symlink_to('4.bin')", "a symbolic link, not a file"),
        ("pass", "(out / 'y_labels.csv').write_text('0.bin,2,7')", "label 7 of 0.bin is outside 0..1"),
        ("pass", "(out / '19.bin').unlink(); of = out / 'y_labels.csv'; of.write_text(of.read_text()[:-11])",
         "made 19 inputs, but dataset.toml says 20"),
    ],
)  # fmt: skip
def test_a_recipe_that_fails_or_makes_nonsense_leaves_nothing(project, data, extra, last, said):
    project.recipe(extra, last)
    with pytest.raises(SetupError, match=said):
        project.catalog(data).dataset_for(TASK)
    assert project.made() == []


def test_a_recipe_can_say_that_it_cannot_be_made_here(project, data):
    project.recipe("from host.errors import NotAvailable; raise NotAvailable('no speech on this machine')")
    with pytest.raises(NotAvailable, match="no speech on this machine"):
        project.catalog(data).dataset_for(TASK)


def test_a_hash_that_the_catalogue_names_is_held_to(project, data):
    project.write({"key": "seed", "file": "seed.dat", "sha256": sha(SEED)}, sha256="0" * 64, official=True)
    with pytest.raises(HashMismatch, match=rf"{sha(SEED)}, not {'0' * 64}: the recipe rounds differently"):
        project.catalog(data).dataset_for(TASK)
    project.write({"key": "seed", "file": "seed.dat", "sha256": sha(SEED)}, sha256=sha(SEED), official=True)
    assert project.catalog(data).dataset_for(TASK).official


@pytest.mark.parametrize(("pinned", "official"), [(sha(SEED), True), ("0" * 64, False)])
def test_where_the_official_set_is_known_by_hash_a_recipe_makes_it_or_another(project, data, pinned, official):
    path = project.write({"key": "seed", "file": "seed.dat", "sha256": sha(SEED)}, official=True)
    labels = project.catalog(data).dataset_for(TASK)
    assert labels.official  # nothing else says what the official one is
    (folder,) = project.made()
    known = {"name": "known", "source": "the files", "licence": "MIT", "count": 20, "sha256": pinned, "official": True}
    known |= {"registry": "registry.txt", "labels": {"file": "y_labels.csv", "sha256": "0" * 64}}
    if official:
        known["labels"]["sha256"] = sha((folder / "y_labels.csv").read_bytes())
    path.write_text(path.read_text() + "\n[[variant]]\n" + toml(known, "variant."))
    assert project.catalog(data).dataset_for(TASK).official == official


def test_an_imported_copy_of_what_was_made_is_official_with_its_own_labels_only(project, data, tmp_path):
    project.write({"key": "seed", "file": "seed.dat", "sha256": sha(SEED)}, official=True)
    known = project.catalog(data)
    made = known.dataset_for(TASK)
    listed = [f"{item.name},2,{item.label}\n" for item in made.items]
    copy = put(tmp_path / "copy", {item.name: item.data for item in made.items})
    put(copy, {"y_labels.csv": "".join(listed).encode()})
    assert known.import_dataset(TASK, copy)[0].official
    put(copy, {"y_labels.csv": "".join([*listed[1:], listed[0]]).encode()})
    assert not known.import_dataset(TASK, copy)[0].official
    put(copy, {"y_labels.csv": "".join([f"{made.items[0].name},2,{1 - made.items[0].label}\n", *listed[1:]]).encode()})
    other, _ = known.import_dataset(TASK, copy)
    assert (other.sha256, other.official) == (made.sha256, False)


def test_a_cache_that_cannot_be_written_is_named(project, data, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(SetupError, match=r"cannot be written.*XDG_CACHE_HOME"):
        project.catalog(data).dataset_for(TASK)


def test_ctrl_c_in_a_recipe_leaves_nothing(project, data):
    project.recipe("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        project.catalog(data).dataset_for(TASK)
    assert os.listdir(project.tmp / "cache" / TASK / "prepared") == []


@pytest.mark.parametrize(
    ("one", "variant", "said"),
    [
        ({"key": "a"}, {}, "input a: it needs a url, a sha256"),
        ({"key": "a", "url": "http://x/y", "package": WHEEL}, {}, "not both"),
        ({"key": "a", "package": {**WHEEL, "member": "m"}}, {}, "needs its sha256"),
        ({"key": "a", "sha256": "0" * 64, "sha1": "0" * 40}, {}, "sha1 is for a url"),
        ({"key": "a", "url": "http://x/"}, {}, "file name"),
        ({"key": "a", "url": "http://x/.."}, {}, "file name"),
        ({"key": "a", "url": "http://x/y", "file": "../y"}, {}, "file"),
        ({"key": "a", "url": "http://x/y"}, {"registry": "r.txt"}, "have no place here"),
        ({"key": "a", "url": "http://x/y"}, {"base_url": "http://x/"}, "have no place here"),
    ],
)  # fmt: skip
def test_mistakes_in_a_prepared_variant_are_named(project, one, variant, said):
    path = project.write(one, **variant)
    with pytest.raises(SetupError, match=said):
        load_dataset(path)


def test_two_inputs_of_one_key_are_refused(project):
    one = {"key": "a", "url": "http://x/y"}
    with pytest.raises(SetupError, match="same key"):
        load_dataset(project.write(one, one))


def test_labels_of_the_kit_are_those_a_recipe_may_write(project):
    files = {**INPUTS, "y_labels.csv": LABELS}
    project.recipe(
        last=f"[f.unlink() for f in out.iterdir()]; [(out / n).write_bytes(d) for n, d in {files!r}.items()]"
    )
    project.write()
    assert project.catalog().dataset_for(TASK).sha256 == SET
