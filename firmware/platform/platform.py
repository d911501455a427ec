"""A PlatformIO platform that takes everything from this machine: PATH has the compilers, pip has SCons."""

import importlib.util
from pathlib import Path
from typing import Any

from platformio.platform.base import PlatformBase


class TinyjoulePlatform(PlatformBase):
    """Named after platform.json, as PlatformIO wants it."""

    def configure_default_packages(self, options: dict[str, Any], targets: list[str]) -> Any:
        """Use pip's SCons. Without it PlatformIO falls back to downloading its own from its registry."""
        if importlib.util.find_spec("SCons"):
            folder = Path(self.get_dir()) / "tool-scons"
            self.packages["tool-scons"] = {"owner": "platformio", "version": f"symlink://{folder}"}
        return super().configure_default_packages(options, targets)
