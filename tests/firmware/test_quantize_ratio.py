"""The engine's own division of scales gives the doubles that TFLM's arithmetic gives."""

from __future__ import annotations

import subprocess
from pathlib import Path

from flags import FIRMWARE, WARNINGS


def test_ratio_of_scales_is_the_double_to_the_bit(tmp_path: Path) -> None:
    program = tmp_path / "quantize_ratio"
    sources = [FIRMWARE / "engine" / "tflite_c" / "quantize.c", Path(__file__).with_name("quantize_ratio.c")]
    command = ["gcc", "-std=c99", "-O2", "-ffp-contract=off", *WARNINGS, "-fsanitize=undefined", f"-I{FIRMWARE}"]
    subprocess.run([*command, "-o", program, *sources], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n", done.stderr
