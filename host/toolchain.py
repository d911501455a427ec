"""The compilers of this machine: are they there, which version, and what is to be installed if not."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from host.errors import SetupError

PACKAGES = {
    "arm-none-eabi-": ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi"),
    "": ("gcc", "libc6-dev"),
}
"""Debian's packages for each toolchain prefix."""


def require_compiler(prefix: str) -> str:
    """The path of `<prefix>gcc`; SetupError, naming the packages to install, when it is not on PATH."""
    path = shutil.which(f"{prefix}gcc")
    if path is None:
        packages = PACKAGES.get(prefix)
        hint = f"install it with `apt-get install {' '.join(packages)}`" if packages else "put it on PATH"
        raise SetupError(f"{prefix}gcc was not found: {hint}")
    return path


def compiler_version(prefix: str) -> str:
    """Name and version, e.g. "arm-none-eabi-gcc 12.2.1"."""
    path = require_compiler(prefix)
    try:
        result = subprocess.run([path, "-dumpfullversion"], check=True, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"{path} does not run: {error}") from error
    return f"{prefix}gcc {result.stdout.strip()}"


def engine_name(elf: Path) -> str:
    """What engine_name() answers in this image, e.g. "tflite_c 0.1.0", read from its constants."""
    match = re.search(rb"(?<![ -~])((?:tflite_c [0-9]|tflm [0-9a-z])[0-9A-Za-z.+_-]*)\0", elf.read_bytes())
    if match is None:
        raise SetupError(f"{elf} holds no engine name: the image was built without an engine")
    return match[1].decode("ascii")
