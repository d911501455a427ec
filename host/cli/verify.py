"""`host verify`: does a board give bit for bit what tflite-micro gives?"""

from __future__ import annotations

import argparse
from pathlib import Path

from host.cli._arguments import positive
from host.cli._engine import add_engine_arguments, engine_variant
from host.cli._json import add_json_argument, print_record

SUMMARY = "hold a board's outputs against tflite-micro's, bit for bit, for any .tflite model"


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host verify`."""
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.tflite", help="default: those of the catalogue")
    parser.add_argument("--board", metavar="NAME", help="see `host boards`; default: mps2_an386, emulated")
    parser.add_argument("--port", metavar="URL", help="a board that has the models already, or gets them with --flash")
    parser.add_argument("--flash", action="store_true", help="build the models into images and flash the real board")
    add_engine_arguments(parser)
    parser.add_argument(
        "--inputs",
        default="random",
        metavar="DIR|random",
        help="a folder of .bin files, one input each; default: random",
    )
    parser.add_argument("--count", type=positive, metavar="N", help="so many inputs; default: 5 random ones, all files")
    parser.add_argument("--seed", type=_natural, default=0, metavar="S", help="of the random inputs; default: 0")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Verify, print, return 1 unless every model is equal."""
    from host.report.progress import Reporter
    from host.report.terminal import stdout_console
    from host.report.verification import print_verification
    from host.results import verification
    from host.verify import VerifyPlan, verify

    plan = VerifyPlan(
        models=tuple(args.models),
        board=args.board,
        port=args.port,
        inputs=None if args.inputs == "random" else Path(args.inputs),
        count=args.count,
        seed=args.seed,
        flash=args.flash,
        variant=engine_variant(args),
    )
    with Reporter() as reporter:
        found = verify(plan, reporter)
    if args.json:
        print_record(verification.encode(found))
    else:
        print_verification(found, stdout_console())
    return 0 if all(check.outcome == "equal" for check in found.models) else 1
