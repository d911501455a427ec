"""What a trained model is held to, and the data it is trained with. No TensorFlow here."""

import io
import re
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from test_catalog_shipped import OFFICIAL

from host.catalog import default_catalog
from host.errors import SetupError
from host.paths import PROJECT_DIR
from host.training.checks import Quantisation, WrongModel, check_input, check_operators, edges, operator_names
from host.training.convert import spanning
from host.training.data import Samples, int8, real
from host.training.raw import RawSet
from host.training.record import read_record

KWS_INPUT = Quantisation(0.5847029089927673, 83)
TRAINED = ("ad01", "ic01", "ic02", "kws01", "vww01")


@pytest.mark.parametrize("task", OFFICIAL)
def test_operators_of_a_task_are_those_of_the_official_file(task, data_dir):
    data = (data_dir / "models" / OFFICIAL[task]).read_bytes()
    assert operator_names(data, task) == default_catalog().model_spec(task).operators
    check_operators(data, default_catalog().model_spec(task).operators, task)


def test_another_list_of_operators_is_told_apart_by_name(data_dir):
    data = (data_dir / "models" / OFFICIAL["kws01"]).read_bytes()
    operators = default_catalog().model_spec("kws01").operators
    wanted = [*operators[:-3], "MEAN", *operators[-2:]]
    with pytest.raises(WrongModel, match=r"Missing at its place: MEAN; not in the official list: RESHAPE\. It has"):
        check_operators(data, wanted, "x.tflite")
    with pytest.raises(WrongModel, match=r"Missing at its place: none; not in the official list: SOFTMAX"):
        check_operators(data, operators[:-1], "x.tflite")
    swapped = [operators[1], operators[0], *operators[2:]]
    with pytest.raises(WrongModel, match="its operators are not the official ones"):
        check_operators(data, swapped, "x.tflite")
    with pytest.raises(SetupError, match=r"x\.tflite: .*whole \.tflite"):
        check_operators(data[:1000], operators, "x.tflite")


def test_input_quantisation_is_that_of_the_data_set(data_dir):
    data = (data_dir / "models" / OFFICIAL["kws01"]).read_bytes()
    check_input(data, KWS_INPUT, "x.tflite")
    for wrong in (Quantisation(KWS_INPUT.scale * 1.00001, 83), Quantisation(KWS_INPUT.scale, 84)):
        with pytest.raises(WrongModel, match=r"scale 0\.584702909 and zero point 83.*calibration set"):
            check_input(data, wrong, "x.tflite")
    before, after = edges(data, "x.tflite")
    assert (before.shape, after.shape) == ((1, 49, 10, 1), (1, 12))
    assert after.quantisation == Quantisation(1 / 256, -128)
    with pytest.raises(WrongModel, match="not int8"):
        edges((data_dir / "models" / "kws_ref_model_float32.tflite").read_bytes(), "float")


def test_calibration_samples_reach_both_ends_and_are_else_as_they_were():
    rng = np.random.default_rng(1)
    samples = rng.uniform(-40, 10, (20, 49, 10, 1)).astype(np.float32)
    samples[3, 0, 0, 0], samples[4, 1, 1, 0] = -200.0, 9.99999
    before = samples.copy()
    moved = spanning(samples, KWS_INPUT)
    assert (float(moved.min()), float(moved.max())) == pytest.approx((KWS_INPUT.low, KWS_INPUT.high), rel=1e-6)
    assert (samples == before).all()
    assert np.count_nonzero(moved != before) == 2


def test_stored_samples_become_what_the_device_puts_into_the_tensor():
    pixels = np.array([[0, 127, 128, 255]], dtype=np.uint8)
    assert int8(pixels, Quantisation(1.0, -128)).tolist() == [[-128, -1, 0, 127]]
    assert real(pixels, Quantisation(1.0, -128)).tolist() == [[0, 127, 128, 255]]
    assert real(pixels, Quantisation(1 / 255, -128))[0] == pytest.approx([0.0, 127 / 255, 128 / 255, 1.0])
    floats = np.array([[-0.5, 0.5, 1.5, -1.5, 0.49, 1e9, -1e9]], dtype=np.float32)
    assert int8(floats, Quantisation(1.0, 0)).tolist() == [[-1, 1, 2, -2, 0, 127, -128]]
    assert int8(floats, Quantisation(0.5, 89)).tolist() == [[88, 90, 92, 86, 90, 127, -128]]
    assert real(floats, None).tolist() == floats.tolist()
    stored = np.array([[-128, 83, 127]], dtype=np.int8)
    assert real(stored, KWS_INPUT).tolist() == [[pytest.approx(-123.3723), 0.0, pytest.approx(25.72693)]]
    assert int8(stored, KWS_INPUT).tolist() == stored.tolist()


def test_labels_that_are_short_are_refused():
    with pytest.raises(SetupError, match="3 samples, but 2 labels"):
        Samples(np.zeros((3, 4), np.int8), np.zeros(2, np.int64))


# -- Raw sets ------------------------------------------------------------------------------------------------------

TOYS = "https://toys.example/toys.tar.gz"
RAW = RawSet(task="toy01", archive="toys.tar.gz", marker="labels.txt", url=TOYS, digest="sha256 00")


def _only_wav(path: str) -> str | None:
    return path.rpartition("/")[2] if path.endswith(".wav") else None


def test_a_raw_set_is_read_from_an_archive_or_from_what_was_unpacked(tmp_path):
    members = {"toys/b.wav": b"second", "toys/a.wav": b"first", "toys/labels.txt": b"-"}
    unpacked = tmp_path / "unpacked"
    for name, data in members.items():
        (unpacked / name).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / name).write_bytes(data)
    assert list(RAW.files(unpacked, _only_wav, max_bytes=9)) == [("a.wav", b"first"), ("b.wav", b"second")]
    with pytest.raises(SetupError, match=r"b\.wav has 6 bytes; at most 5"):
        list(RAW.files(unpacked, _only_wav, max_bytes=5))
    fetched = tmp_path / "cache" / "downloads"  # as `host data fetch` keeps it
    fetched.mkdir(parents=True)
    with tarfile.open(fetched / "0123456789ab-toys.tar.gz", "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    assert dict(RAW.files(tmp_path / "cache", _only_wav, max_bytes=9)) == {"a.wav": b"first", "b.wav": b"second"}


def test_a_raw_zip_is_read_too(tmp_path):
    with zipfile.ZipFile(tmp_path / "toys.zip", "w") as archive:
        archive.writestr("toys/a.wav", b"first")
    raw = RawSet(task="toy01", archive="toys.zip", marker="toys", url="https://toys.example/", digest="none")
    assert list(raw.files(tmp_path, _only_wav, max_bytes=9)) == [("a.wav", b"first")]


def test_a_raw_set_that_is_not_there_says_where_to_get_it(tmp_path):
    with pytest.raises(
        SetupError, match=r"holds neither toys\.tar\.gz.*`host data fetch toy01`.*https://toys\.example.*--data"
    ):
        list(RAW.files(tmp_path, _only_wav, max_bytes=9))
    with pytest.raises(SetupError, match=r"there is no folder .*none"):
        list(RAW.files(tmp_path / "none", _only_wav, max_bytes=9))
    (tmp_path / "toys.tar.gz").write_bytes(b"cut short")
    with pytest.raises(SetupError, match=r"toys\.tar\.gz cannot be read.*fetch it again"):
        list(RAW.files(tmp_path, _only_wav, max_bytes=9))


def test_a_damaged_record_is_an_error(tmp_path):
    (tmp_path / "x.json").write_text('{"schema": "tinyjoule.training/1", "task": "kws01"}')
    with pytest.raises(SetupError, match=r"x\.json: no training record"):
        read_record(tmp_path / "x.json")


# -- The command line ----------------------------------------------------------------------------------------------


def run_train(task: str, *words: str, before: str = "") -> subprocess.CompletedProcess[str]:
    path = PROJECT_DIR / "models" / task / "train.py"
    argv = [str(path), *words]
    script = f"import runpy, sys\n{before}\nsys.argv = {argv!r}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-W", "error", "-c", script]
    return subprocess.run(command, cwd=PROJECT_DIR, check=False, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("task", TRAINED)
def test_without_tensorflow_it_says_what_to_install(task, tmp_path):
    out = tmp_path / "x.tflite"
    done = run_train(task, "--out", str(out), "--data", str(tmp_path), before="sys.modules['tensorflow'] = None")
    assert (done.returncode, done.stdout) == (1, "")
    assert "`make setup-train`" in done.stderr
    assert "-e '.[train]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "x.bin"], "name a .tflite file"),
        (["--out", "none/x.tflite"], "there is no folder none"),
        (["--out", "x.tflite", "--epochs", "0"], "--epochs 0: at least 1"),
        (["--out", "x.tflite", "--limit", "-1"], "--limit -1: at least 1"),
        (["--out", "x.tflite", "--seed", "-1"], "--seed -1: 0 to 4294967295"),
        (["--out", "x.tflite", "--synthetic", "--data", "."], "say one of them"),
        (["--out", "x.tflite", "--synthetic"], "ic01 has no synthetic data.*`host data fetch ic01`"),
        ([], "--out"),
    ],
)
def test_requests_that_make_no_sense(words, said):
    done = run_train("ic01", *words)
    assert done.returncode == 2
    assert re.search(said, done.stderr)
