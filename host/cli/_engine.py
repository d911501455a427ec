"""--engine and --tflm-dir, as every command has them that builds or runs an image."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from host.variant import Variant


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Which engine runs the models."""
    parser.add_argument(
        "--engine",
        choices=("tflite_c", "tflm"),
        help="what runs the models: our engine, or upstream TFLM linked in its place; default: tflite_c",
    )
    parser.add_argument(
        "--tflm-dir",
        type=Path,
        metavar="DIR",
        help="for --engine tflm: where upstream's Cortex-M build was run, see firmware/engine/tflm/README.md; "
        "default: the environment variable TFLM_DIR",
    )


def engine_variant(args: argparse.Namespace) -> Variant:
    """The engine that was asked for; UsageError or SetupError when TFLM is wanted and not there."""
    from host import tflm
    from host.errors import UsageError
    from host.variant import Variant

    if args.engine != "tflm":
        if args.tflm_dir is not None:
            raise UsageError("--tflm-dir is for --engine tflm: give both, or neither.")
        return Variant()
    folder = args.tflm_dir or (Path(named) if (named := os.environ.get(tflm.VARIABLE)) else None)
    return Variant(engine="tflm", tflm_dir=tflm.require_tree(folder))
