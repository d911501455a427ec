# SPDX-License-Identifier: Apache-2.0
"""The child process in which espeak-ng runs: `python espeak.py LIBRARY`, in the folder that holds its data.

espeak-ng is a C library under the GPL-3.0. It is neither part of this project nor loaded into the host: this program
loads it, in a process of its own, and hands back nothing but samples. Standard library only.

Reads jobs.json, a list of [voice, words per minute, pitch, text]. Writes clips.pcm, the samples of all jobs one after
the other (16 bit, native byte order, one channel), and clips.json, {"rate_hz": ..., "samples": [count of each job]}.
"""

from __future__ import annotations

import array
import ctypes
import json
import sys
from pathlib import Path

SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: samples go to the callback before espeak_Synth returns
RATE, PITCH = 1, 3  # espeak_PARAMETER
UTF8, END_PAUSE = 0x1, 0x1000  # flags; the pause is what its own program asks for too
BUFFER_MS = 0  # its default
SEED = 2  # any: that it is always the same one counts

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Espeak:
    """One initialised espeak-ng. All errors are RuntimeError: the parent shows the last line of the traceback."""

    def __init__(self, library: Path) -> None:
        self._clip = array.array("h")
        self._lib = ctypes.CDLL(str(library))
        self._libc = ctypes.CDLL(None)
        # By a relative path: espeak-ng keeps it in 160 bytes, and a temporary folder may be deeper than that.
        rate_hz = self._lib.espeak_Initialize(SYNCHRONOUS, BUFFER_MS, b".", 0)
        if rate_hz <= 0:
            raise RuntimeError("espeak-ng does not start: its data folder is not whole")
        self.rate_hz = int(rate_hz)
        self._callback = _CALLBACK(self._take)  # kept: C holds no reference
        self._lib.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: ctypes._Pointer[ctypes.c_short] | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._clip.extend(samples[:count])
        return 0

    def say(self, voice: str, words_per_minute: int, pitch: int, text: str) -> array.array[int]:
        self._clip = array.array("h")
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice}")
        self._lib.espeak_SetParameter(RATE, words_per_minute, 0)
        self._lib.espeak_SetParameter(PITCH, pitch, 0)
        # It draws its noise from both, and seeds its own with the time: seeded here, the same words sound the same.
        self._lib.espeak_ng_SetRandSeed(ctypes.c_long(SEED))
        self._libc.srand(SEED)
        data = text.encode()
        failed = self._lib.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 0, 0, UTF8 | END_PAUSE, None, None)
        if failed or not self._clip:
            raise RuntimeError(f"espeak-ng says nothing for {text!r} with voice {voice}")
        return self._clip


def main() -> None:
    """Speak every job."""
    espeak = _Espeak(Path(sys.argv[1]).resolve())
    counts = []
    with Path("clips.pcm").open("wb") as out:
        for voice, words_per_minute, pitch, text in json.loads(Path("jobs.json").read_text(encoding="utf-8")):
            clip = espeak.say(voice, words_per_minute, pitch, text)
            clip.tofile(out)
            counts.append(len(clip))
    Path("clips.json").write_text(json.dumps({"rate_hz": espeak.rate_hz, "samples": counts}), encoding="utf-8")


if __name__ == "__main__":
    main()
