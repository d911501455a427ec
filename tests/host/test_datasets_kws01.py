"""The MFCC recipe gives the known bytes, synthetic speech is understood, and an archive can do no harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dataset_kit import cut, listed, made_by, read_wav, recipe_of, spec_of, tar_gz, wav, wheels_of, zipped
from hypothesis import given
from hypothesis import strategies as st

from host.catalog.spec import parse_labels
from host.errors import HostError, SetupError, UsageError
from host.verify.oracle import Oracle

CLIP = 16000


def said(data_dir: Path, inputs: list[bytes]) -> list[int]:
    """Class that the official model gives each input."""
    with Oracle() as oracle:
        outputs = oracle.outputs((data_dir / "models" / "kws_ref_model.tflite").read_bytes(), inputs)
    return [int(np.frombuffer(output, np.int8).argmax()) for output in outputs]


def noise(seed: int, samples: int = CLIP) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(samples) * 1000).astype(np.int16)


# -- MFCC ----------------------------------------------------------------------------------------------------------


def test_ten_clips_give_the_known_bytes(data_dir):
    recipe = recipe_of("kws01")
    clips = sorted((data_dir / "speech_synth").glob("tst_*.bin"))
    assert len(clips) == 10
    for file in clips:
        word = file.stem.split("_")[2].lower()
        assert recipe.features(read_wav(data_dir / "speech_synth" / f"{word}.wav")) == file.read_bytes(), word


def test_real_clips_are_what_the_official_model_says_of_them(data_dir):
    recipe = recipe_of("kws01")
    names = ["yes_1000ms", "no_1000ms", "backward_c_array", "marvin_c_array"]
    inputs = [recipe.features(read_wav(data_dir / "speech" / f"{name}.wav")) for name in names]
    classes = dict(zip(names, (recipe.CLASSES[index] for index in said(data_dir, inputs)), strict=True))
    assert classes["yes_1000ms"] == "Yes"
    assert classes["no_1000ms"] == "Go"  # known to be wrong, and wrong in just this way
    assert classes["backward_c_array"] == classes["marvin_c_array"] == "Unknown"


@pytest.mark.parametrize("clip", [np.zeros(CLIP, np.int16), np.full(CLIP, -5, np.int16), np.zeros(1, np.int16)])
def test_a_clip_that_cannot_be_scaled_says_so(clip):
    with pytest.raises(HostError, match=r"silent: no sample is above zero.*division by zero"):
        recipe_of("kws01").mfcc(clip)


@pytest.mark.parametrize("shape", [(0,), (CLIP + 1,), (2, 8000)])
def test_a_clip_of_another_shape_is_an_error(shape):
    with pytest.raises(HostError, match="1 to 16000 samples"):
        recipe_of("kws01").mfcc(np.ones(shape, np.int16))


@given(st.integers(1, 15), st.integers(1, CLIP))
def test_level_does_not_matter_and_short_clips_are_padded(gain, samples):
    recipe = recipe_of("kws01")
    clip = noise(samples, samples)
    clip[0] = 900  # so that there is something above zero
    padded = np.pad(clip, (0, CLIP - samples))
    assert np.allclose(recipe.mfcc(clip), recipe.mfcc(padded))
    assert np.allclose(recipe.mfcc(clip), recipe.mfcc(clip.astype(np.int32) * gain))


def test_quantisation_cuts_towards_zero_and_clamps():
    recipe = recipe_of("kws01")
    steps = np.array([-200.0, -128.9, -1.9, -0.5, 0.9, 1.9, 127.9, 300.0])
    data = recipe.quantise((steps - recipe.INPUT_ZERO_POINT) * recipe.INPUT_SCALE)
    assert list(np.frombuffer(data, np.int8)) == [-128, -128, -1, 0, 0, 1, 127, 127]


# -- Synthetic speech ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel() -> Path:
    return wheels_of("kws01", "synthetic")["wheel"]


def test_synthetic_speech_is_the_same_each_time(wheel, tmp_path):
    made = made_by("kws01", "synthetic", {"wheel": wheel}, tmp_path / "out")
    labels = [label for label, _ in made.values()]
    assert [labels.count(index) for index in range(12)] == [20] * 12
    assert len({data for _, data in made.values()}) == 240
    assert made_by("kws01", "synthetic", {"wheel": wheel}, tmp_path / "again") == made


def test_the_official_model_understands_the_clearest_voice(wheel, data_dir):
    speech = recipe_of("kws01").speech
    jobs = speech.keyword_jobs(["en-us+f3"], [160, 165, 170, 175, 180])
    rng = np.random.default_rng(0)
    inputs = [recipe_of("kws01").features(speech.with_noise(clip, rng)) for clip in speech.speak(wheel, jobs)]
    right = sum(job.label == label for job, label in zip(jobs, said(data_dir, inputs), strict=True))
    assert (len(jobs), right >= 49) == (50, True), right


def test_words_do_not_depend_on_those_before_them_in_another_run(wheel):
    speech = recipe_of("kws01").speech
    jobs = speech.keyword_jobs(["en-us+m3"], [170])[:3]
    first, second = speech.speak(wheel, jobs), speech.speak(wheel, jobs)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    for clip in first:
        assert (clip.shape, clip.dtype) == ((CLIP,), np.dtype(np.int16))
        heard = np.flatnonzero(clip)
        assert (
            abs(int(heard[0]) - (CLIP - 1 - int(heard[-1]))) <= 40
        )  # in the middle; a fading end is rounded to silence


def test_no_voice_is_in_two_splits():
    speech = recipe_of("kws01").speech
    train, validation, test = (set(speech._VOICES[name]) for name in ("train", "validation", "test"))
    assert len(train | validation | test) == len(train) + len(validation) + len(test)
    with pytest.raises(SetupError, match="no split 'other'"):
        next(speech.synthetic_clips(Path("none.whl"), "other", 0))


def test_wheels_that_are_not_the_one_are_errors(wheel, tmp_path):
    speech = recipe_of("kws01").speech
    job = speech.keyword_jobs(["en-us+f3"], [170])[:1]
    with pytest.raises(SetupError, match="cannot be unpacked"):
        speech.speak(cut(tar_gz(tmp_path / "no.whl", {"a": b"b"})), job)
    with pytest.raises(SetupError, match=r"holds no espeakng_loader/libespeak-ng\.so"):
        speech.speak(zipped(tmp_path / "empty.whl", {"espeakng_loader/__init__.py": b""}), job)
    with pytest.raises(SetupError, match=r"points outside its folder"):
        speech.speak(zipped(tmp_path / "out.whl", {speech.DATA + "../../../evil": b"x"}), job)
    assert not list(tmp_path.parent.rglob("evil"))
    broken = {speech.LIBRARY: b"no library", speech.DATA + "voices/!v/f3": b""}
    with pytest.raises(SetupError, match=r"failed \(exit 1\); it said: OSError"):
        speech.speak(zipped(tmp_path / "broken.whl", broken), job)
    with pytest.raises(SetupError, match="no voice variant 'nobody'"):
        speech.speak(wheel, speech.keyword_jobs(["en-us+nobody"], [170])[:1])
    with pytest.raises(SetupError, match="has no voice xx"):
        speech.speak(wheel, speech.keyword_jobs(["xx+f3"], [170])[:1])


# -- Speech Commands -----------------------------------------------------------------------------------------------

FOLDERS = recipe_of("kws01").ARCHIVE_WORDS
CLIPS = {(FOLDERS[index % 12], f"{index:08x}_nohash_0.wav"): noise(index, CLIP - index) for index in range(24)}
FILES = {f"./{word}/{name}": wav(samples) for (word, name), samples in CLIPS.items()}
ORDER = sorted(CLIPS, key=recipe_of("kws01")._order)
LIST = [f"tst_{at:06d}_x_{FOLDERS.index(clip[0])}.bin, 12, {FOLDERS.index(clip[0])}" for at, clip in enumerate(ORDER)]


def official(tmp_path, files, lines, **more):
    archive = tar_gz(tmp_path / "speech.tar.gz", files, **more)
    labels = listed(tmp_path / "y_labels.csv", lines)
    return made_by("kws01", "official", {"archive": archive, "labels": labels}, tmp_path / "out")


def test_the_order_is_by_the_hash_of_split_and_name():
    """MD5 of "testyes_0a.wav", by md5sum."""
    assert recipe_of("kws01")._order(("yes", "0a.wav")).hex() == "f17eda12f45895d832247ab5c36a3b55"


def test_clips_come_in_the_order_of_the_list(tmp_path):
    made = official(tmp_path, {"LICENSE": b"x", "./yes/readme.txt": b"y", **FILES}, LIST[:10])
    recipe = recipe_of("kws01")
    assert [data for _, data in made.values()] == [recipe.features(CLIPS[clip]) for clip in ORDER[:10]]


def test_a_list_that_is_not_of_this_archive_is_an_error(tmp_path):
    wrong = [LIST[0], LIST[2].replace("000002", "000001"), LIST[1].replace("000001", "000002"), *LIST[3:]]
    with pytest.raises(SetupError, match=r"only 22 of the first 24 .*host data import kws01"):
        official(tmp_path, FILES, wrong)


def test_what_an_archive_may_lack(tmp_path):
    target = f"./{ORDER[3][0]}/{ORDER[3][1]}"
    bad = {
        "is no WAV file": b"RIFF",
        "has 8000 Hz": wav(noise(1), rate_hz=8000),
        "is silent": wav(np.zeros(CLIP, np.int16)),
        "at most 1048576": bytes(2 << 20),
    }
    for number, (says, content) in enumerate(bad.items()):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(SetupError, match=says):
            official(tmp_path / str(number), {**FILES, target: content}, LIST)
    with pytest.raises(SetupError, match=r"has 23 clips"):
        official(tmp_path, {k: v for k, v in FILES.items() if k != target}, LIST, links={target: "/etc/hostname"})
    archive = cut(tar_gz(tmp_path / "long.tar.gz", FILES))
    with pytest.raises(SetupError, match="damaged or cut short"):
        made_by("kws01", "official", {"archive": archive, "labels": tmp_path / "y_labels.csv"}, tmp_path / "b")
    with pytest.raises(UsageError, match="official, synthetic"):
        recipe_of("kws01").prepare("other", {}, tmp_path, print)


def test_the_official_labels_are_of_those_classes(data_dir):
    recipe = recipe_of("kws01")
    for listing in (data_dir / "kws01" / "y_labels.csv", data_dir / "labels" / "kws01-open" / "mfcc" / "y_labels.csv"):
        labels = parse_labels(listing.read_bytes(), str(listing), spec_of("kws01"))
        assert len(labels) == 1000
        assert all(recipe.CLASSES[label] == name.split("_")[2] for name, label in labels.items())
