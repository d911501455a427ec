# SPDX-License-Identifier: Apache-2.0
"""Synthetic speech for keyword spotting: words spoken by espeak-ng out of the wheel of espeakng-loader, and noise."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from host.errors import SetupError
from host.lifeline import tied

Samples = NDArray[np.int16]
Split = Literal["train", "validation", "test"]

RATE_HZ = 16000
CLIP_SAMPLES = 16000
WORDS = ("Down", "Go", "Left", "No", "Off", "On", "Right", "Stop", "Up", "Yes")
SILENCE, UNKNOWN = 10, 11

LIBRARY = "espeakng_loader/libespeak-ng.so"
DATA = "espeakng_loader/espeak-ng-data/"
MAX_UNPACKED_BYTES = 64 << 20
SPEAK_DEADLINE_S = 300.0
PCM_LIMIT = 10 * CLIP_SAMPLES  # of one word: far above any

# Words that are no keyword: those of Speech Commands.
OTHER_WORDS = (
    *(
        "bed",
        "bird",
        "cat",
        "dog",
        "happy",
        "house",
        "marvin",
        "sheila",
        "tree",
        "wow",
        "backward",
        "forward",
        "follow",
    ),
    *("learn", "visual", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
)

# No voice is in two splits, nor is a variant: what a model is tested with it has never heard.
_VOICES: dict[Split, tuple[str, ...]] = {
    "test": ("en-us+f3", "en-us+m2", "en+f5", "en-us+Annie", "en-gb-x-rp+m7"),
    "validation": ("en-us+m5", "en+f4", "en-us+Alex", "en-us+linda"),
    "train": (
        *("en-us+f1", "en-us+f2", "en-us+m1", "en-us+m3", "en-us+m4", "en-us+m6", "en-us+m8"),
        *("en+Andy", "en-us+Gene", "en+Mike", "en-us+Reed", "en-us+Michael"),
        *("en-us+adam", "en+aunty", "en-us+belinda", "en-us+benjamin", "en+david", "en-us+ed", "en-us+edward"),
        *("en-us+grandma", "en+grandpa", "en-us+john", "en-us+max", "en-us+quincy", "en+rob", "en-us+robert"),
        *("en-us+steph", "en-us+victor", "en-gb-scotland+m1"),
        *("en-gb-x-rp+f2", "en-us-nyc+f1"),
    ),
}
_SPEEDS_WPM: dict[Split, tuple[int, ...]] = {
    "test": (160, 166, 173, 180),
    "validation": (150, 165, 180),
    "train": (130, 150, 165, 180, 200),
}
_PITCHES: dict[Split, tuple[int, ...]] = {"test": (50,), "validation": (50,), "train": (35, 50, 65)}
_PER_CLASS: dict[Split, int] = {"test": 20, "validation": 24, "train": 360}  # of silence and of unknown words
NOISE_SIGMA = 60.0  # of white noise under every word; full scale is 32767


@dataclass(frozen=True, slots=True)
class Job:
    """One word to speak, and the class it belongs to."""

    voice: str
    words_per_minute: int
    pitch: int
    text: str
    label: int


def keyword_jobs(voices: Sequence[str], speeds_wpm: Sequence[int], pitches: Sequence[int] = (50,)) -> list[Job]:
    """Every keyword with every voice, speed and pitch; keywords change fastest."""
    return [
        Job(voice, speed, pitch, word.lower(), label)
        for voice in voices
        for speed in speeds_wpm
        for pitch in pitches
        for label, word in enumerate(WORDS)
    ]


def _unknown_jobs(split: Split, rng: np.random.Generator) -> list[Job]:
    jobs = []
    for index in range(_PER_CLASS[split]):
        word = OTHER_WORDS[index % len(OTHER_WORDS)]
        voice = _VOICES[split][int(rng.integers(len(_VOICES[split])))]
        speed = _SPEEDS_WPM[split][int(rng.integers(len(_SPEEDS_WPM[split])))]
        pitch = _PITCHES[split][int(rng.integers(len(_PITCHES[split])))]
        jobs.append(Job(voice, speed, pitch, word, UNKNOWN))
    return jobs


def _unpack(wheel: Path, folder: Path) -> Path:
    """The library and its data out of the wheel, into `folder`; returns the library's path.

    Names are those of an archive from outside: only plain files below the two places named above are written.
    """
    where = f"{wheel.name}"
    left = MAX_UNPACKED_BYTES
    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                name = info.filename
                if info.is_dir() or not (name == LIBRARY or name.startswith(DATA)):
                    continue
                target = (folder / name.removeprefix("espeakng_loader/")).resolve()
                if not target.is_relative_to(folder.resolve()) or "\\" in name:
                    raise SetupError(f"{where}: the member {name!r} points outside its folder; nothing is unpacked")
                with archive.open(info) as member:
                    data = member.read(left + 1)
                left -= len(data)
                if left < 0:
                    raise SetupError(f"{where}: unpacks to more than {MAX_UNPACKED_BYTES} bytes; it is not the wheel")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
    except (OSError, zipfile.BadZipFile, RuntimeError, ValueError, EOFError) as error:
        raise SetupError(f"{where} cannot be unpacked: {error}. Fetch the wheel again.") from error
    library = folder / Path(LIBRARY).name
    if not library.is_file():
        raise SetupError(f"{where} holds no {LIBRARY}: it is no wheel of espeakng-loader for Linux on x86-64")
    return library


def speak(wheel: Path, jobs: Sequence[Job]) -> list[Samples]:
    """One clip of 16000 samples a job, without noise: the word in the middle. Deterministic for a list of jobs.

    espeak-ng runs in a process of its own (see espeak.py), which ends with this one. Raises SetupError.
    """
    with tempfile.TemporaryDirectory(prefix="tinyjoule-espeak-") as name:
        folder = Path(name)
        library = _unpack(wheel, folder)
        for voice in sorted({job.voice for job in jobs}):  # an unknown variant is ignored by espeak-ng without a word
            variant = voice.partition("+")[2]
            if variant and not (folder / "espeak-ng-data/voices/!v" / variant).is_file():
                raise SetupError(f"{wheel.name} has no voice variant {variant!r}")
        spoken = [[job.voice, job.words_per_minute, job.pitch, job.text] for job in jobs]
        (folder / "jobs.json").write_text(json.dumps(spoken), encoding="utf-8")
        program = Path(__file__).with_name("espeak.py")
        command = tied([sys.executable, "-I", "-S", str(program), str(library)])
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=SPEAK_DEADLINE_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise SetupError(f"espeak-ng did not speak {len(jobs)} words within {SPEAK_DEADLINE_S:.0f} s") from error
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise SetupError(
                f"espeak-ng out of {wheel.name} failed (exit {done.returncode}); it said: {last}. The wheel's library "
                "is for Linux on x86-64; on another machine use other inputs."
            )
        return _clips(folder, len(jobs))


def _clips(folder: Path, count: int) -> list[Samples]:
    told = json.loads((folder / "clips.json").read_text(encoding="utf-8"))
    lengths = [int(length) for length in told["samples"]]
    pcm = np.fromfile(folder / "clips.pcm", dtype=np.int16)
    if len(lengths) != count or sum(lengths) != pcm.size or max(lengths, default=0) > PCM_LIMIT:
        raise SetupError(f"espeak-ng gave {len(lengths)} clips of {pcm.size} samples, which is not what was asked for")
    parts = np.split(pcm, np.cumsum(lengths)[:-1])
    rate_hz = int(told["rate_hz"])
    return [_centred(resample(part.astype(np.float64), rate_hz, RATE_HZ)) for part in parts]


def resample(samples: NDArray[np.float64], from_hz: int, to_hz: int) -> NDArray[np.float64]:
    """Band-limited resampling: a sinc of about 32 zero crossings a side under a Hann window, one for each phase."""
    ups, downs = to_hz // np.gcd(from_hz, to_hz), from_hz // np.gcd(from_hz, to_hz)
    cutoff = 0.95 * min(1.0, ups / downs)
    reach = int(np.ceil(32 / cutoff))
    offsets = np.arange(-reach + 1, reach + 1)
    distance = (np.arange(ups) * downs % ups / ups)[:, np.newaxis] - offsets
    table = cutoff * np.sinc(cutoff * distance) * (0.5 + 0.5 * np.cos(np.pi * distance / reach))
    at = np.arange(samples.size * ups // downs)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, (reach - 1, reach)), 2 * reach)
    resampled: NDArray[np.float64] = np.einsum("ij,ij->i", frames[at * downs // ups], table[at % ups])
    return resampled


def _centred(word: NDArray[np.float64]) -> Samples:
    """The word in the middle of one second; a longer one loses both ends."""
    heard = np.flatnonzero(word)  # espeak-ng puts digital silence around a word
    word = word[heard[0] : heard[-1] + 1]
    if word.size > CLIP_SAMPLES:
        start = (word.size - CLIP_SAMPLES) // 2
        word = word[start : start + CLIP_SAMPLES]
    before = (CLIP_SAMPLES - word.size) // 2
    return _pcm(np.pad(word, (before, CLIP_SAMPLES - word.size - before)))


# -- Noise, and the three sets -------------------------------------------------------------------------------------


def _coloured(rng: np.random.Generator, exponent: float) -> NDArray[np.float64]:
    """One second of noise whose power falls with frequency to the power of `exponent`; standard deviation 1."""
    spectrum = np.fft.rfft(rng.standard_normal(CLIP_SAMPLES))
    spectrum[0] = 0.0
    spectrum[1:] *= np.arange(1, spectrum.size) ** (-exponent / 2.0)
    noise = np.fft.irfft(spectrum, CLIP_SAMPLES)
    return np.asarray(noise / noise.std(), dtype=np.float64)


def silence(rng: np.random.Generator) -> Samples:
    """One second without speech: coloured noise that may swell, hum, or hold a few clicks."""
    time_s = np.arange(CLIP_SAMPLES) / RATE_HZ
    sound = _coloured(rng, float(rng.uniform(0.0, 2.0)))
    if rng.random() < 0.5:
        sound *= 1.0 + 0.6 * np.sin(2.0 * np.pi * (rng.uniform(0.3, 3.0) * time_s + rng.random()))
    if rng.random() < 0.3:
        mains_hz = float(rng.choice([50.0, 60.0]))
        for harmonic in range(1, 6):
            sound += rng.uniform(0.0, 0.5) * np.sin(2.0 * np.pi * (mains_hz * harmonic * time_s + rng.random()))
    if rng.random() < 0.3:
        for at in rng.integers(0, CLIP_SAMPLES - 400, size=int(rng.integers(1, 5))):
            sound[at : at + 400] += rng.uniform(2.0, 6.0) * rng.standard_normal(400) * np.exp(-np.arange(400) / 60.0)
    level = 10.0 ** rng.uniform(1.0, 3.0)
    return _pcm(level * sound)


def _pcm(sound: NDArray[np.float64]) -> Samples:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def with_noise(clip: Samples, rng: np.random.Generator, sigma: float = NOISE_SIGMA) -> Samples:
    """The clip and white noise of standard deviation `sigma`, in steps of 16 bits."""
    return _pcm(clip.astype(np.float64) + rng.normal(0.0, sigma, clip.size))


def synthetic_clips(wheel: Path, split: str, seed: int) -> Iterator[tuple[Samples, int]]:
    """Clips of 16000 samples at 16 kHz and their labels (0 to 9 the keywords, 10 silence, 11 unknown words).

    `split` is "train", "validation" or "test": no voice is in two of them. Words lie in the middle of their second,
    with a little white noise; whoever trains may shift, scale and add. The same arguments give the same clips.
    Raises SetupError when espeak-ng cannot be run.
    """
    for name in _VOICES:
        if name == split:
            break
    else:
        raise SetupError(f"there is no split {split!r}; there are {', '.join(_VOICES)}")
    rng = np.random.default_rng([seed, sorted(_VOICES).index(name)])
    jobs = keyword_jobs(_VOICES[name], _SPEEDS_WPM[name], _PITCHES[name]) + _unknown_jobs(name, rng)
    for job, clip in zip(jobs, speak(wheel, jobs), strict=True):
        yield with_noise(clip, rng), job.label
    for _ in range(_PER_CLASS[name]):
        yield silence(rng), SILENCE
