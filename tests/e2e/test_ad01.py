"""The official anomaly model in an emulated board, over frames: every window's output tensor, and the file's score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from vectors.replay import TYPES, Lines, frame, read_facts, send_input

from host.build import Image
from host.emulator import start
from host.link import Link, open_link
from host.wire import codec

BOARD = "mps2_an386"
SHA256 = "87cf24194ef93d1d9b11a591d805526b98008e351655d29883c825c9c106ba24"
SCORE = 10.264  # of that file, as the official runner gets it
WINDOW_BYTES = 2560
STRIDE_BYTES = 512


def boot(link: Link) -> None:
    said = b""
    while not said.endswith(b"m-ready\r\n"):
        more = link.read(30.0)
        assert more, f"no boot banner, only {said!r}"
        said += more


def test_a_whole_file_scores_as_with_the_official_runner(
    data_dir: Path, firmware_image: Callable[[str], Image]
) -> None:
    golden = data_dir / "golden" / "ad01_196windows_tflm.npy"
    recording = data_dir / "ad01" / "normal_id_01_00000000_hist_librosa.bin"
    if not golden.is_file() or not recording.is_file():
        pytest.skip(f"{golden.name} or {recording.name} is not in the data folder")
    image = firmware_image(BOARD)
    wanted = np.load(golden)
    data = recording.read_bytes()
    with start(image, timed=True) as emulator:
        link = open_link(emulator.url, image.board.baud)
        boot(link)
        lines = Lines(link, 30.0)
        link.write(codec.encode("model", "ad01"))
        lines.reply()
        facts = read_facts(link)
        if facts["model_sha256"] != SHA256:
            pytest.skip("the official model is not in the image")
        assert facts["input_bytes"] == str(WINDOW_BYTES)
        assert facts["output_elements"] == "1"
        link.write(codec.encode("frames", 1))
        lines.reply()
        number = 0
        errors = []
        for window in range(len(wanted)):
            piece = data[window * STRIDE_BYTES : window * STRIDE_BYTES + WINDOW_BYTES]
            assert len(piece) == WINDOW_BYTES
            number, output = send_input(link, lines, "run", piece, number)
            assert output == wanted[window].tobytes(), f"window {window}"
            link.write(codec.encode("results"))
            (line,) = lines.reply()
            result = codec.decode(line)
            assert isinstance(result, codec.Results)
            errors.append(result.values[0])
        link.write(frame(TYPES["ping"], number))
        assert lines.frame() == (TYPES["accepted"], (number + 1) % 256, b"")
        link.close()
    assert np.mean(errors) == pytest.approx(SCORE, abs=0.001)
