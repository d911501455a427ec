"""The keyword model that this project trained on synthetic speech: what its record says of it is so."""

import hashlib

import numpy as np
import pytest

from host.catalog import Catalog, default_catalog
from host.catalog.fetch import Hosts
from host.errors import NotAvailable
from host.paths import PROJECT_DIR
from host.training.checks import Quantisation, check_input, check_operators, edges
from host.training.record import read_record, record_path
from host.verify.oracle import Oracle

FILE = PROJECT_DIR / "models" / "kws01" / "kws_synthetic.tflite"


def test_file_record_and_catalogue_agree():
    data, record = FILE.read_bytes(), read_record(record_path(FILE))
    spec = default_catalog().model_spec("kws01")
    variant = next(one for one in spec.variants if one.path == FILE.name)
    assert hashlib.sha256(data).hexdigest() == record.sha256 == variant.sha256
    assert len(data) == record.bytes < 60_000
    assert not variant.official
    assert "synthetic speech" in variant.source
    assert spec.variants[0].official, "the official model comes first where it can be had"
    check_operators(data, spec.operators, FILE.name)
    check_input(data, Quantisation(0.5847029089927673, 83), FILE.name)
    assert record.operators == spec.operators
    before, after = edges(data, FILE.name)
    for edge, said in ((before, record.input), (after, record.output)):
        assert (list(edge.shape), edge.quantisation) == (said.shape, Quantisation(said.scale, said.zero_point))
    assert (record.task, record.trained_by) == ("kws01", "models/kws01/train.py")


def test_without_the_official_model_it_is_the_one_in_use(tmp_path):
    model = Catalog(PROJECT_DIR, cache=tmp_path, hosts=Hosts()).model_for("kws01", fetch=False)
    assert (model.path, model.official) == (FILE, False)


def right_of(items) -> int:
    """Right answers of the committed model, by tflite-micro."""
    data = FILE.read_bytes()
    with Oracle() as oracle:
        outputs = [
            output
            for start in range(0, len(items), 100)
            for output in oracle.outputs(data, [item.data for item in items[start : start + 100]])
        ]
    return sum(
        int(np.frombuffer(output, dtype=np.int8).argmax()) == item.label
        for output, item in zip(outputs, items, strict=True)
    )


def test_on_voices_it_never_heard_it_is_as_good_as_its_record_says(tmp_path):
    known = Catalog(PROJECT_DIR, cache=tmp_path, hosts=Hosts())
    try:
        spoken = known.fetch_dataset("kws01", variant="synthetic")
    except NotAvailable as error:
        pytest.skip(f"no package index here: {error}")
    said = next(
        score for score in read_record(record_path(FILE)).scores if score.model == "int8" and not score.official
    )
    assert len(spoken.items) == said.count
    assert said.right is not None
    assert right_of(spoken.items) >= said.right
    assert said.value >= 0.9


def test_on_the_official_words_it_is_as_good_as_its_record_says(data_dir, tmp_path):
    official = Catalog(PROJECT_DIR, data=(data_dir,), cache=tmp_path, hosts=Hosts()).dataset_for("kws01", fetch=False)
    said = next(score for score in read_record(record_path(FILE)).scores if score.official)
    assert official.sha256 == said.sha256
    assert (right_of(official.items), len(official.items)) == (said.right, said.count)
