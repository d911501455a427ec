# SPDX-License-Identifier: Apache-2.0
"""Makes the inputs of keyword spotting: 49 x 10 MFCCs of one second of speech, int8, quantised for the official model.

Recipes:
  synthetic  10 keywords and other words spoken by espeak-ng, and noise: input `wheel` is the wheel of espeakng-loader.
  official   the official list, out of speech_commands_test_set_v0.02.tar.gz (input `archive`) and the official
             y_labels.csv (input `labels`). The list numbers clips without naming them: they are the first 1000 of
             TensorFlow Datasets' test split, which sorts clips by a hash of their name. That order is made again here
             and every label is held against the list, so it is known whether it is the right one. What cannot be
             made again is TensorFlow's single precision: a coefficient may differ by one step here and there. The
             official files themselves are the data set's first variant.

`synthetic_clips` and `features` also make what models/kws01/train.py trains on.
"""

from __future__ import annotations

import hashlib
import io
import sys
import wave
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.archives import tar_files
from host.catalog.spec import load_dataset, parse_labels
from host.errors import HostError, SetupError, UsageError
from host.recipe import beside, script

speech = beside(__file__, "speech")
synthetic_clips = speech.synthetic_clips  # for models/kws01/train.py

Samples = NDArray[np.int16]
Features = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

RATE_HZ = 16000
CLIP_SAMPLES = 16000
CLASSES = (*speech.WORDS, "Silence", "Unknown")

FRAME, HOP, FFT = 480, 320, 512
FRAMES, COEFFICIENTS = 49, 10
MELS, LOW_HZ, HIGH_HZ = 40, 20.0, 4000.0
TEST_SEED = 20
INPUT_SCALE, INPUT_ZERO_POINT = 0.5847029089927673, 83  # of the official model's input tensor


# -- MFCC ----------------------------------------------------------------------------------------------------------


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127.0 * np.log1p(hz / 700.0)


def mel_weights() -> NDArray[np.float64]:
    """257 x 40: HTK triangles, linear in mel, of height 1; the constant part of the spectrum has no weight."""
    bins = _mel(np.linspace(0.0, RATE_HZ / 2, FFT // 2 + 1)[1:])[:, np.newaxis]
    low_mel, high_mel = _mel(np.array([LOW_HZ, HIGH_HZ]))
    edges = np.linspace(float(low_mel), float(high_mel), MELS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    return np.vstack([np.zeros((1, MELS)), weights])


def mfcc(samples: NDArray[np.integer[Any]] | NDArray[np.floating[Any]]) -> Features:
    """49 x 10 MFCCs of up to one second at 16 kHz, as the official recipe makes them.

    The clip is divided by its maximum (not by the largest magnitude), so its level does not matter. Raises HostError
    for a clip without a sample above zero, which that division cannot scale, and for one that is too long.
    """
    audio = np.asarray(samples, dtype=np.float64)
    if audio.ndim != 1 or not 1 <= audio.size <= CLIP_SAMPLES:
        raise HostError(
            f"a clip has 1 to {CLIP_SAMPLES} samples of one channel at {RATE_HZ} Hz, not {audio.shape}: cut it or "
            "resample it"
        )
    peak = audio.max()
    if not peak > 0.0:
        raise HostError(
            "this clip is silent: no sample is above zero. The official recipe divides a clip by its maximum, which is "
            "then a division by zero. Give it audio that has at least some noise in it."
        )
    audio = np.pad(audio / peak, (0, CLIP_SAMPLES - audio.size))
    frames = np.lib.stride_tricks.sliding_window_view(audio, FRAME)[::HOP]
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(FRAME) / FRAME)  # periodic Hann
    magnitude = np.abs(np.fft.rfft(frames * window, FFT))
    log_mel = np.log(magnitude @ mel_weights() + 1e-6)
    position = np.pi * (np.arange(MELS) + 0.5)[:, np.newaxis] / MELS
    dct = 2.0 * np.cos(position * np.arange(COEFFICIENTS)) / np.sqrt(2.0 * MELS)  # DCT-II
    coefficients: Features = log_mel @ dct
    return coefficients


def quantise(coefficients: Features) -> bytes:
    """The bytes of one input: int8(x / scale + zero point), truncated towards zero as the official recipe does."""
    steps = np.trunc(coefficients / INPUT_SCALE + INPUT_ZERO_POINT)
    return np.clip(steps, -128, 127).astype(np.int8).tobytes()


def features(samples: Samples) -> bytes:
    """One input on the wire, 490 bytes, out of a clip."""
    return quantise(mfcc(samples))


# -- Recipes -------------------------------------------------------------------------------------------------------

MAX_WAV_BYTES = 1 << 20
ARCHIVE_WORDS = (*(word.lower() for word in speech.WORDS), "_silence_", "_unknown_")


def _word(member: str) -> tuple[str, str] | None:
    """Folder and file name of a clip in the archive."""
    path = PurePosixPath(member)
    return (path.parent.name, path.name) if path.suffix == ".wav" and path.parent.name in ARCHIVE_WORDS else None


def _clip(data: bytes, where: str) -> Samples:
    try:
        with wave.open(io.BytesIO(data)) as file:
            kind = (file.getframerate(), file.getsampwidth(), file.getnchannels())
            frames = file.readframes(CLIP_SAMPLES)
    except (wave.Error, EOFError, ValueError) as error:
        raise SetupError(f"{where} is no WAV file: {error}") from error
    if kind != (RATE_HZ, 2, 1):
        raise SetupError(f"{where} has {kind[0]} Hz, {kind[1]} bytes a sample, {kind[2]} channels; not {RATE_HZ}, 2, 1")
    return np.frombuffer(frames[: len(frames) // 2 * 2], dtype="<i2")


def _order(clip: tuple[str, str]) -> bytes:
    """Where TensorFlow Datasets has a clip: by the MD5 of the split's name and the clip's."""
    return hashlib.md5(f"test{clip[0]}_{clip[1]}".encode(), usedforsecurity=False).digest()


def _official(inputs: Mapping[str, Path], out: Path, progress: Progress) -> None:
    archive, listing = inputs["archive"], inputs["labels"].read_bytes()
    labels = parse_labels(listing, inputs["labels"].name, load_dataset(Path(__file__).with_name("dataset.toml")))
    what = "turning Speech Commands into MFCCs"
    progress(what, 0, len(labels))
    clips = sorted({clip for clip, _ in tar_files(archive, _word, max_bytes=MAX_WAV_BYTES)}, key=_order)
    same = sum(ARCHIVE_WORDS.index(clip[0]) == label for clip, label in zip(clips, labels.values(), strict=False))
    if same != len(labels):
        raise SetupError(
            f"{archive.name} has {len(clips)} clips, and in the order of TensorFlow Datasets only {same} of the first "
            f"{len(labels)} are of the class that the official list has there: it is not the test set that the list "
            "was made of. Use the official files (`host data import kws01 FOLDER` takes a folder of them)."
        )
    names = dict(zip(clips, labels, strict=False))
    wanted = {clip: clip for clip in names}
    done: set[str] = set()
    for clip, data in tar_files(archive, lambda member: wanted.get(_word(member) or ("", "")), max_bytes=MAX_WAV_BYTES):
        where = f"{clip[0]}/{clip[1]} in {archive.name}"
        try:
            made = features(_clip(data, where))
        except HostError as error:
            raise SetupError(f"{where}: {error}") from error
        (out / names[clip]).write_bytes(made)
        done.add(names[clip])
        progress(what, len(done), len(labels))
    (out / "y_labels.csv").write_bytes(listing)


def _synthetic(inputs: Mapping[str, Path], out: Path, progress: Progress) -> None:
    what = "speaking keywords (espeak-ng)"
    progress(what, 0, 1)
    clips = list(synthetic_clips(inputs["wheel"], "test", TEST_SEED))
    lines = []
    for index, (clip, label) in enumerate(clips):
        name = f"synthetic_{index:04d}_{CLASSES[label]}_{label}.bin"
        (out / name).write_bytes(features(clip))
        lines.append(f"{name},{len(CLASSES)},{label}\n")
        progress(what, index + 1, len(clips))
    (out / "y_labels.csv").write_text("".join(lines), encoding="utf-8")


def prepare(recipe: str, inputs: Mapping[str, Path], out: Path, progress: Progress) -> None:
    """Make `recipe` (see the top of this file) out of `inputs` into the empty folder `out`. Raises HostError."""
    makers = {"official": _official, "synthetic": _synthetic}
    if recipe not in makers:
        raise UsageError(f"kws01 has no recipe {recipe!r}; it has {', '.join(makers)}")
    makers[recipe](inputs, out, progress)


if __name__ == "__main__":
    sys.exit(script(prepare, sys.argv[1:]))
