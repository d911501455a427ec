# SPDX-License-Identifier: Apache-2.0
"""Trains the keyword model: a depthwise separable CNN on 49 x 10 MFCCs, 12 classes.

    python models/kws01/train.py --out FILE.tflite --synthetic          speech of espeak-ng, out of a PyPI package
    python models/kws01/train.py --out FILE.tflite --data FOLDER        Speech Commands v0.02

FOLDER holds speech_commands_v0.02.tar.gz, or the folder that it was unpacked into (a folder of .wav a word, with
testing_list.txt and validation_list.txt). models/kws01/kws_synthetic.tflite was made by the first line.
"""

from __future__ import annotations

import io
import math
import sys
import wave
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host import recipe as recipes
from host.cli import _training
from host.errors import SetupError
from host.paths import PROJECT_DIR
from host.training.checks import Quantisation
from host.training.data import Progress, Recipe, Samples, Sets
from host.training.raw import RawSet

prepare = recipes.load(PROJECT_DIR / "datasets" / "kws01" / "prepare.py")

SHAPE = (49, 10, 1)
CLASSES, SILENCE, UNKNOWN = 12, 10, 11
CALIBRATION = 400
SHIFT_SAMPLES = 2400  # 0.15 s
COPIES = 2  # of each clip to train with, each with another shift, speed and noise
KEPT_OF_UNKNOWN = 0.06  # Speech Commands has 25 words that are no keyword
MAX_BYTES = 16 << 20
NOISE = "_background_noise_"
LISTS = ("testing_list.txt", "validation_list.txt")
LABELS = {word.lower(): label for label, word in enumerate(prepare.CLASSES[:SILENCE])}
RAW = RawSet(
    task="kws01",
    archive="speech_commands_v0.02.tar.gz",
    marker="testing_list.txt",
    url="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    digest="sha256 af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    fetched=False,  # that brings its test set only
)

Clip = NDArray[np.int16]


def build(keras: Any) -> Any:
    """The official topology: a 10 x 4 convolution, 4 separable blocks of 64 filters, the mean, 12 classes."""
    layers, decay = keras.layers, keras.regularizers.l2(1e-4)

    def normalised(x: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization()(x))

    inputs = layers.Input(SHAPE)
    x = layers.Conv2D(64, (10, 4), strides=2, padding="same", kernel_regularizer=decay)(inputs)
    x = layers.Dropout(0.2)(normalised(x))
    for _ in range(4):
        x = normalised(layers.DepthwiseConv2D(3, padding="same", depthwise_regularizer=decay)(x))
        x = normalised(layers.Conv2D(64, 1, padding="same", kernel_regularizer=decay)(x))
    x = layers.AveragePooling2D((25, 5))(layers.Dropout(0.4)(x))
    x = keras.ops.reshape(x, (-1, 64))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


# -- Clips ---------------------------------------------------------------------------------------------------------


def varied(clip: Clip, noise: Clip, rng: np.random.Generator) -> Clip:
    """The clip a little faster or slower, earlier or later, mostly with `noise` of some level under it."""
    sound = clip.astype(np.float64)
    speed = float(rng.uniform(0.88, 1.14))
    at = np.arange(sound.size, dtype=np.float64)
    sound = np.interp((at - sound.size / 2) * speed + sound.size / 2, at, sound, left=0.0, right=0.0)
    shift = int(rng.integers(-SHIFT_SAMPLES, SHIFT_SAMPLES + 1))
    moved = np.zeros_like(sound)
    moved[max(0, shift) : sound.size + min(0, shift)] = sound[max(0, -shift) : sound.size - max(0, shift)]
    if rng.random() < 0.8:
        level = 10.0 ** rng.uniform(-2.7, -0.9)  # of the word's
        moved += noise * (level * max(float(moved.std()), 50.0) / max(float(noise.std()), 1.0))
    peak = float(np.abs(moved).max())
    return np.rint(moved * min(1.0, 32767.0 / max(peak, 1.0))).astype(np.int16)


def _features(clips: Iterable[tuple[Clip, int]]) -> Samples:
    made = [(np.frombuffer(prepare.features(clip), dtype=np.int8), label) for clip, label in clips]
    if not made:
        raise SetupError(f"there is not one clip to train or test with. {RAW.hint()}")
    x = np.stack([row for row, _ in made]).reshape(-1, *SHAPE)
    return Samples(x, np.array([label for _, label in made], dtype=np.int64))


def _copies(
    clips: Iterable[tuple[Clip, int]],
    noise: Callable[[np.random.Generator], Clip],
    seed: int,
    progress: Progress,
) -> Iterator[tuple[Clip, int]]:
    rng = np.random.default_rng([seed, 2])
    for number, (clip, label) in enumerate(clips):
        progress("making MFCCs of clips", number, 0)
        for _ in range(COPIES):
            copy = varied(clip, noise(rng), rng)
            if copy.max() > 0:  # else the official recipe divides by zero
                yield copy, label


def _calibration(samples: Samples, seed: int) -> NDArray[Any]:
    chosen = np.random.default_rng([seed, 3]).permutation(len(samples.x))[:CALIBRATION]
    return np.asarray(samples.x[chosen])


def synthetic(files: Mapping[str, Path], seed: int, progress: Progress) -> Sets:
    """Speech of espeak-ng. The test set is the one of the catalogue: voices that are not trained with."""
    wheel = files["wheel"]
    progress("speaking words to train with (espeak-ng)", 0, 0)
    spoken = prepare.synthetic_clips(wheel, "train", seed)
    train = _features(_copies(spoken, prepare.speech.silence, seed, progress))
    test = _features(prepare.synthetic_clips(wheel, "test", prepare.TEST_SEED))
    return Sets("synthetic speech (espeak-ng)", train, test, _calibration(train, seed))


# -- Speech Commands -----------------------------------------------------------------------------------------------


def _wav(data: bytes, where: str) -> Clip:
    try:
        with wave.open(io.BytesIO(data)) as file:
            kind = (file.getframerate(), file.getsampwidth(), file.getnchannels())
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError, ValueError) as error:
        raise SetupError(f"{where} is no WAV file ({error}): fetch Speech Commands again") from error
    if kind != (prepare.RATE_HZ, 2, 1):
        raise SetupError(f"{where} is not 16 kHz, 16 bit, one channel: it is not of Speech Commands")
    return np.frombuffer(frames[: len(frames) // 2 * 2], dtype="<i2").astype(np.int16)


def _part(path: str) -> str | None:
    """`word/file.wav` of a clip, and the two lists."""
    parts = path.split("/")
    if parts[-1] in LISTS:
        return parts[-1]
    return "/".join(parts[-2:]) if parts[-1].endswith(".wav") and len(parts) > 1 else None


def _lists_and_noise(folder: Path) -> tuple[set[str], set[str], list[Clip]]:
    """The paths of the test and of the validation set, and the recordings of noise."""
    lists: dict[str, set[str]] = {}
    noise = []
    for name, data in RAW.files(folder, _part_of_no_word, max_bytes=MAX_BYTES):
        if name in LISTS:
            lists[name] = set(data.decode("utf-8", errors="replace").split())
        else:
            noise.append(_wav(data, name))
    if len(lists) != len(LISTS) or not any(len(clip) > prepare.CLIP_SAMPLES for clip in noise):
        raise SetupError(f"{folder}: {', '.join(LISTS)} or {NOISE}/*.wav are missing. {RAW.hint()}")
    test, validation = (lists[name] for name in LISTS)
    return test, validation, [clip for clip in noise if len(clip) > prepare.CLIP_SAMPLES]


def _part_of_no_word(path: str) -> str | None:
    part = _part(path)
    return part if part is not None and (part in LISTS or part.startswith(f"{NOISE}/")) else None


def _words(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, Clip, int]]:
    """Every keyword, and so many other words that they are about as frequent as one keyword."""
    for name, data in RAW.files(folder, _part, max_bytes=MAX_BYTES):
        word = name.partition("/")[0]
        if name in LISTS or word == NOISE:
            continue
        label = LABELS.get(word, UNKNOWN)
        if label != UNKNOWN or rng.random() < KEPT_OF_UNKNOWN:
            clip = _wav(data, name)[: prepare.CLIP_SAMPLES]
            if clip.max(initial=0) > 0:
                yield name, np.pad(clip, (0, prepare.CLIP_SAMPLES - clip.size)), label


def official(folder: Path, seed: int, progress: Progress) -> Sets:
    """Speech Commands v0.02: split by its own lists; silence is cut out of its recordings of noise."""
    test_names, validation_names, recordings = _lists_and_noise(folder)
    rng = np.random.default_rng([seed, 4])

    def noise(of: np.random.Generator) -> Clip:
        recording = recordings[int(of.integers(len(recordings)))]
        start = int(of.integers(len(recording) - prepare.CLIP_SAMPLES))
        return recording[start : start + prepare.CLIP_SAMPLES]

    tests: list[tuple[Clip, int]] = []

    def to_train() -> Iterator[tuple[Clip, int]]:
        count = 0
        for name, clip, label in _words(folder, rng):
            if name in test_names:
                tests.append((clip, label))
            elif name not in validation_names:
                count += 1
                yield clip, label
        for _ in range(count // 11 + 1):
            yield noise(rng), SILENCE

    train = _features(_copies(to_train(), noise, seed, progress))
    silence = [(noise(rng), SILENCE) for _ in range(len(tests) // 11)]
    test = _features((clip, label) for clip, label in [*tests, *silence] if clip.max() > 0)
    return Sets("Speech Commands v0.02", train, test, _calibration(train, seed))


RECIPE = Recipe(
    task="kws01",
    build=build,
    official=official,
    raw=RAW,
    synthetic=synthetic,
    input=Quantisation(prepare.INPUT_SCALE, prepare.INPUT_ZERO_POINT),
    epochs=36,
    synthetic_epochs=14,
    batch=100,
    rate=lambda epoch, epochs: 1e-5 + 0.001 * (1 + math.cos(math.pi * epoch / epochs)),
)

if __name__ == "__main__":
    sys.exit(_training.main(RECIPE, __doc__))
