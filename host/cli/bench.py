"""`host bench`: measure tasks on a board."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from host.cli._engine import add_engine_arguments, engine_variant

SUMMARY = "measure latency or accuracy of the models on a board, real or emulated"


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1, not {text!r}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host bench`."""
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="e.g. kws01; default: every task that can run here")
    parser.add_argument("--board", metavar="NAME", help="see `host boards`; default: mps2_an386, emulated")
    parser.add_argument(
        "--port", metavar="URL", help="any pyserial URL: /dev/ttyACM0, socket://HOST:PORT, rfc2217://..."
    )
    parser.add_argument(
        "--mode",
        choices=("performance", "accuracy", "energy"),
        default="performance",
        help="what to measure; default: performance; energy arrives later",
    )
    parser.add_argument(
        "--rules",
        choices=("quick", "mlperf"),
        help="windows of 0.2 s, or the MLPerf Tiny run rules; default: quick on emulated boards, mlperf on real ones",
    )
    parser.add_argument(
        "--profile", action="store_true", help="also tell what each operator of the model costs (performance mode)"
    )
    add_engine_arguments(parser)
    parser.add_argument(
        "--micro",
        nargs="?",
        const="all",
        metavar="OPERATOR",
        help="single operators over a sweep of shapes instead of tasks: one, e.g. conv_2d, or all",
    )
    parser.add_argument(
        "--flash", action="store_true", help="with --micro: load the operators into the board at --port"
    )
    parser.add_argument("--inputs", type=_positive, metavar="N", help="use only the first N inputs")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="parent of the result folder")
    parser.add_argument("--json", action="store_true", help="print result.json on stdout instead of the table")


def run(args: argparse.Namespace) -> int:
    """Run the session, print the table, return 1 if a run is not valid."""
    from host.cli._micro import run_micro_bench
    from host.errors import UsageError
    from host.report.profile import print_profile
    from host.report.progress import Reporter
    from host.report.table import print_result, stdout_console
    from host.results import schema
    from host.runner.session import Plan, run_session

    if args.micro is not None:
        return run_micro_bench(args)
    if args.flash:
        raise UsageError("--flash is for --micro; `host flash BOARD` loads the tasks.")
    if args.mode == "energy":
        raise UsageError("energy arrives later, with the power monitors: use --mode performance or accuracy.")
    if args.profile and args.mode != "performance":
        raise UsageError(f"--profile tells where the time goes: use it without --mode {args.mode}.")
    plan = Plan(
        tasks=tuple(args.tasks),
        mode=args.mode,
        board=args.board,
        port=args.port,
        rules=args.rules,
        inputs=args.inputs,
        out=args.out,
        profile=args.profile,
        variant=engine_variant(args),
    )
    with Reporter() as reporter:
        outcome = run_session(plan, reporter)
    if args.json:
        sys.stdout.write(schema.encode(outcome.result).decode())
    else:
        console = stdout_console()
        print_result(outcome.result, console)
        for run in outcome.result.runs:
            print_profile(outcome.result, run, console)
        print(f"results: {outcome.folder}")
    return 0 if all(run.valid for run in outcome.result.runs) else 1
