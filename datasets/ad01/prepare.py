# SPDX-License-Identifier: Apache-2.0
"""Makes the inputs of anomaly detection: 200 frames of 128 mels in dB, float32 little endian, frame after frame.

A window is 5 frames (2560 bytes), the next one starts a frame (512 bytes) later: 196 windows a file. 1 is "anomaly".

Recipes:
  official   the 248 files of the official list: input `archive` is dev_data_ToyCar.zip, `labels` the official
             y_labels.csv. The arithmetic here is in double precision, librosa's in single: values differ by rounding.
  synthetic  24 recordings of a machine that numpy makes up (machine.py), 12 normal and 12 faulty. No input.
"""

from __future__ import annotations

import io
import re
import sys
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.archives import zip_files
from host.catalog.spec import load_dataset, parse_labels
from host.errors import HostError, SetupError, UsageError
from host.recipe import beside, script

machine = beside(__file__, "machine")
Progress = Callable[[str, int, int], None]

RATE_HZ = 16000
FFT, HOP, MELS = 1024, 512, 128
FIRST_FRAME, FRAMES = 50, 200  # of a recording: what comes before and after is left out
MAX_WAV_BYTES = 16 << 20
SUFFIX = "_hist_librosa.bin"

# Recordings of the training set have the same names as those of the test set.
_RECORDING = re.compile(r"(?:^|/)ToyCar/test/((?:normal|anomaly)_id_[0-9]{2}_[0-9]{8})\.wav\Z")


# -- Features ------------------------------------------------------------------------------------------------------


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frequencies of Slaney's mel scale: linear up to 1 kHz (mel 15), logarithmic above."""
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0))


def mel_weights() -> NDArray[np.float64]:
    """128 x 513: triangles of equal area from 0 to 8 kHz, as librosa makes them by default."""
    top_mel = 15.0 + 27.0 * np.log(RATE_HZ / 2 / 1000.0) / np.log(6.4)
    edges = _slaney_hz(np.linspace(0.0, top_mel, MELS + 2))
    low, centre, high = edges[:-2, np.newaxis], edges[1:-1, np.newaxis], edges[2:, np.newaxis]
    bins = np.linspace(0.0, RATE_HZ / 2, FFT // 2 + 1)
    triangles = np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    return triangles * 2.0 / (high - low)


def log_mel(samples: NDArray[np.integer[Any]] | NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """frames x 128 of a recording at 16 kHz (full scale 1.0 when it is floating point, 32768 when it is 16 bit).

    As librosa's melspectrogram with n_fft 1024, hop 512 and 128 mels: frames are centred, the ends reflected; the power
    spectrum under a periodic Hann window. 10 log10(x + epsilon). Raises HostError for a recording that is too short.
    """
    audio = np.asarray(samples, dtype=np.float64)
    if np.issubdtype(np.asarray(samples).dtype, np.integer):
        audio = audio / 32768.0
    if audio.ndim != 1 or audio.size <= FFT // 2:
        raise HostError(f"a recording has one channel and more than {FFT // 2} samples, not {audio.shape}")
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(audio, FFT // 2, mode="reflect"), FFT)[::HOP]
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(FFT) / FFT)
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    decibels: NDArray[np.float64] = 10.0 * np.log10(power @ mel_weights().T + sys.float_info.epsilon)
    return decibels.astype(np.float32)


def features(samples: NDArray[np.integer[Any]] | NDArray[np.floating[Any]], where: str = "the recording") -> bytes:
    """One file, 102400 bytes: frames 50 to 249 of a recording. Raises HostError when it is shorter than that."""
    frames = log_mel(samples)[FIRST_FRAME : FIRST_FRAME + FRAMES]
    if len(frames) != FRAMES:
        raise HostError(f"{where} is too short: {FIRST_FRAME + FRAMES} frames take about 8 s at {RATE_HZ} Hz")
    return frames.astype("<f4").tobytes()


def recorded(data: bytes, where: str) -> NDArray[np.int16]:
    """Samples of a recording of the set, a WAV file: 16 bits, one channel, 16 kHz. Raises SetupError."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            kind = (file.getframerate(), file.getsampwidth(), file.getnchannels())
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError, ValueError) as error:
        raise SetupError(f"{where} is no WAV file: {error}") from error
    if kind != (RATE_HZ, 2, 1):
        raise SetupError(f"{where} has {kind[0]} Hz, {kind[1]} bytes a sample, {kind[2]} channels; not {RATE_HZ}, 2, 1")
    return np.frombuffer(frames[: len(frames) // 2 * 2], dtype="<i2")


# -- Recipes -------------------------------------------------------------------------------------------------------


def _official(inputs: Mapping[str, Path], out: Path, progress: Progress) -> None:
    listing = inputs["labels"].read_bytes()
    missing = set(parse_labels(listing, inputs["labels"].name, load_dataset(Path(__file__).with_name("dataset.toml"))))
    what, total = "turning ToyCar recordings into spectrograms", len(missing)

    def wanted(member: str) -> str | None:
        match = _RECORDING.search(member)
        name = f"{match[1]}{SUFFIX}" if match else ""
        return name if name in missing else None

    progress(what, 0, total)
    for name, data in zip_files(inputs["archive"], wanted, max_bytes=MAX_WAV_BYTES):
        where = f"{name.removesuffix(SUFFIX)}.wav in {inputs['archive'].name}"
        (out / name).write_bytes(features(recorded(data, where), where))
        missing.discard(name)
        progress(what, total - len(missing), total)
    if missing:
        raise SetupError(
            f"{inputs['archive'].name} lacks {len(missing)} of {total} recordings, that of {min(missing)} for one: it "
            "is not dev_data_ToyCar.zip, or it is cut short. Fetch it again."
        )
    (out / "y_labels.csv").write_bytes(listing)


def _synthetic(_inputs: Mapping[str, Path], out: Path, progress: Progress) -> None:
    what = "making up machine sound"
    lines = []
    for index, (sound, faulty) in enumerate(machine.recordings()):
        name = f"synthetic_{'anomaly' if faulty else 'normal'}_{index:02d}.bin"
        (out / name).write_bytes(features(sound))
        lines.append(f"{name},2,{int(faulty)},{5 * MELS * 4},{MELS * 4}\n")
        progress(what, index + 1, machine.COUNT)
    (out / "y_labels.csv").write_text("".join(lines), encoding="utf-8")


def prepare(recipe: str, inputs: Mapping[str, Path], out: Path, progress: Progress) -> None:
    """Make `recipe` (see the top of this file) out of `inputs` into the empty folder `out`. Raises HostError."""
    makers = {"official": _official, "synthetic": _synthetic}
    if recipe not in makers:
        raise UsageError(f"ad01 has no recipe {recipe!r}; it has {', '.join(makers)}")
    makers[recipe](inputs, out, progress)


if __name__ == "__main__":
    sys.exit(script(prepare, sys.argv[1:]))
