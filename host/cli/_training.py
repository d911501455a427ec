# SPDX-License-Identifier: Apache-2.0
"""The command line of models/<id>/train.py; no subcommand of `host`, because TensorFlow is not part of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from host.errors import HostError, UsageError

if TYPE_CHECKING:
    from host.training.data import Recipe
    from host.training.record import TrainingRecord


def _parser(recipe: Recipe, what: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"models/{recipe.task}/train.py", description=what, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, required=True, help="the .tflite to write, FILE.json beside it"
    )
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        type=Path,
        help="where the raw official set is (default: what `host data fetch` keeps)",
    )
    parser.add_argument("--synthetic", action="store_true", help="train on synthetic data, where there is some")
    parser.add_argument("--epochs", metavar="N", type=int, help="how many times every sample is seen")
    parser.add_argument("--seed", metavar="S", type=int, default=1, help="of everything random (default 1)")
    parser.add_argument("--limit", metavar="N", type=int, help="train with N samples only, for a quick look")
    return parser


def main(recipe: Recipe, what: str | None, argv: Sequence[str] | None = None) -> int:
    """Train as asked for on the command line. Returns the exit code: as of `host`."""
    args = _parser(recipe, what).parse_args(argv)
    from host.catalog import default_catalog
    from host.report.progress import Reporter
    from host.training.train import Request, train

    if args.out.suffix != ".tflite":
        print(f"train.py: --out {args.out}: name a .tflite file", file=sys.stderr)
        return 2
    request = Request(
        out=args.out, data=args.data, synthetic=args.synthetic, epochs=args.epochs, seed=args.seed, limit=args.limit
    )
    try:
        with Reporter() as reporter:
            catalog = default_catalog(progress=reporter.update, note=reporter.note)
            record = train(recipe, request, catalog, reporter.update, reporter.note)
    except HostError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("train.py: interrupted; nothing was written", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"train.py: {error}. Is a disk full, or a file or folder not ours to write?", file=sys.stderr)
        return 1
    print(_told(record, args.out))
    return 0


def _told(record: TrainingRecord, out: Path) -> str:
    lines = [f"{out}: {record.bytes:,} bytes, the official operators, trained in {record.training_s:.0f} s"]
    for score in record.scores:
        value = (
            f"{score.right} of {score.count}" if score.right is not None else f"AUC {score.value:.4f}, {score.count}"
        )
        lines.append(f"  {score.model}: {value} ({score.value:.1%}) on {score.set}")
    return "\n".join(lines)
