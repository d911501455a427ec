"""`host engine-bench`: how many instructions the engine takes, beside upstream TFLM."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from host.cli._json import add_json_argument, print_record

if TYPE_CHECKING:
    from host.variant import Variant

SUMMARY = "count the engine's instructions on every emulated Cortex-M, beside upstream TFLM"
RECORD_FILE = "engine-bench.json"
PLOT_FILE = "engine-bench.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host engine-bench`."""
    parser.add_argument("boards", nargs="*", metavar="BOARD", help="e.g. mps2_an386; default: every emulated Cortex-M")
    parser.add_argument(
        "--engine",
        choices=("tflite_c", "tflm"),
        help="only this engine; default: ours, and upstream TFLM as well when --tflm-dir or TFLM_DIR names one",
    )
    parser.add_argument(
        "--tflm-dir",
        type=Path,
        metavar="DIR",
        help="where upstream's Cortex-M build was run, see firmware/engine/tflm/README.md; default: TFLM_DIR",
    )
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="parent of the result folder")
    add_json_argument(parser, "the tables")
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write the counts to FILE as well: what tests/e2e/test_engine_speed.py holds later builds against",
    )


def _variants(args: argparse.Namespace) -> list[Variant]:
    from host import tflm
    from host.cli._engine import engine_variant
    from host.variant import Variant

    wanted = args.engine
    if wanted is None and (args.tflm_dir is not None or os.environ.get(tflm.VARIABLE)):
        return [Variant(), engine_variant(argparse.Namespace(engine="tflm", tflm_dir=args.tflm_dir))]
    return [engine_variant(argparse.Namespace(engine=wanted or "tflite_c", tflm_dir=args.tflm_dir))]


def run(args: argparse.Namespace) -> int:
    """Count, print the tables and leave record, plot and log behind."""
    from host.device import Transcript
    from host.errors import HostError
    from host.report.engine_bench import plot, print_bench
    from host.report.progress import Reporter
    from host.report.terminal import point, stdout_console
    from host.results import engine_bench as records
    from host.results import record
    from host.runner.engine_bench import emulated_boards, recorded_counts, run_engine_bench

    boards = emulated_boards(args.boards)
    variants = _variants(args)
    folder = record.create_folder(args.out, "engine-bench")
    try:
        with Reporter() as reporter, Transcript(folder / record.LOG_FILE) as transcript:
            bench = run_engine_bench(boards, variants, transcript, reporter)
    except HostError as error:
        error.add_note(f"the log up to here: {folder}")
        raise
    record.write_file(folder / RECORD_FILE, records.encode(bench))
    record.write_file(folder / PLOT_FILE, plot(bench))
    if args.record is not None:
        record.write_file(args.record, recorded_counts(bench))
    if args.json:
        print_record(records.encode(bench))
    else:
        console = stdout_console()
        print_bench(bench, console)
        point(console, "results", folder)
    return 0
