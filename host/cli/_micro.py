"""`host bench --micro`: glue between arguments, sweep and table."""

from __future__ import annotations

import argparse
from pathlib import Path

from host.cli._engine import engine_variant
from host.cli._json import print_record


def run_micro_bench(args: argparse.Namespace) -> int:
    """Run the sweep, print it, return 1 if the engine refused a shape."""
    from host.errors import UsageError
    from host.report.micro import print_micro
    from host.report.progress import Reporter
    from host.report.terminal import point, stdout_console
    from host.results import micro as results
    from host.runner.micro import MicroPlan, run_micro

    for flag in ("tasks", "profile", "inputs", "emulators", "target", "model", "link", "resume"):
        if getattr(args, flag):
            named = "TASK" if flag == "tasks" else f"--{flag}"
            raise UsageError(f"--micro runs single operators, {named} is for tasks: use one of them.")
    if args.mode not in (None, "performance") or args.rules:
        raise UsageError("--micro has no modes and no rules: it counts instructions, or times windows of 50 ms.")
    if len(args.board) > 1 or len(args.port) > 1:
        raise UsageError("--micro runs on one board: name one --board and one --port at most.")
    plan = MicroPlan(
        operators=() if args.micro == "all" else tuple(args.micro.split(",")),
        board=args.board[0] if args.board else None,
        port=args.port[0] if args.port else None,
        flash=args.flash,
        out=args.out or Path("results"),
        variant=engine_variant(args),
    )
    with Reporter() as reporter:
        folder, found = run_micro(plan, reporter)
    if args.json:
        print_record(results.encode(found))
    else:
        console = stdout_console()
        print_micro(found, console)
        point(console, "results", folder)
    return 1 if any(case.refused for case in found.cases) else 0
