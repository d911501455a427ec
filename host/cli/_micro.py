"""`host bench --micro`: glue between arguments, sweep and table."""

from __future__ import annotations

import argparse
import sys

from host.cli._engine import engine_variant


def run_micro_bench(args: argparse.Namespace) -> int:
    """Run the sweep, print it, return 1 if the engine refused a shape."""
    from host.errors import UsageError
    from host.report.micro import print_micro
    from host.report.progress import Reporter
    from host.report.table import stdout_console
    from host.results import micro as results
    from host.runner.micro import MicroPlan, run_micro

    for flag, given in (("TASK", args.tasks), ("--profile", args.profile), ("--inputs", args.inputs)):
        if given:
            raise UsageError(f"--micro runs single operators, {flag} is for tasks: use one of them.")
    if args.mode != "performance" or args.rules:
        raise UsageError("--micro has no modes and no rules: it counts instructions, or times windows of 50 ms.")
    plan = MicroPlan(
        operators=() if args.micro == "all" else tuple(args.micro.split(",")),
        board=args.board,
        port=args.port,
        flash=args.flash,
        out=args.out,
        variant=engine_variant(args),
    )
    with Reporter() as reporter:
        folder, found = run_micro(plan, reporter)
    if args.json:
        sys.stdout.write(results.encode(found).decode())
    else:
        print_micro(found, stdout_console())
        print(f"results: {folder}")
    return 1 if any(case.refused for case in found.cases) else 0
