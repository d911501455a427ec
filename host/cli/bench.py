"""`host bench`: measure tasks on a board, or on several."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from host.cli._arguments import current_range, fraction, positive, quantity
from host.cli._engine import add_engine_arguments, engine_variant
from host.cli._json import add_json_argument, print_record

if TYPE_CHECKING:
    from rich.console import Console

    from host.report.progress import Reporter
    from host.results.journal import MonitorPlan, PlanRecord
    from host.runner.session import Outcome

REPORT_FILE = "report.html"
SUMMARY = "measure latency, energy or accuracy of the models on a board, real or emulated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host bench`."""
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="e.g. kws01; default: every task that can run here")
    _add_boards(parser)
    parser.add_argument(
        "--mode",
        choices=("performance", "accuracy", "energy"),
        help="what to measure; default: performance; energy: with the latency of the same windows",
    )
    _add_monitor(parser)
    parser.add_argument(
        "--rules",
        choices=("quick", "mlperf"),
        help="windows of 0.2 s, or the MLPerf Tiny run rules; default: quick on emulated boards, mlperf on real ones",
    )
    parser.add_argument("--target", type=fraction, metavar="X", help="hold the accuracy against this, e.g. 0.9 or 90%%")
    parser.add_argument("--model", metavar="NAME", help="an added model (`host models add`) instead of the catalogue's")
    parser.add_argument(
        "--profile",
        action="store_true",
        help="also tell what each operator of the model costs (performance and energy mode)",
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
    parser.add_argument("--inputs", type=positive, metavar="N", help="use only the first N inputs")
    parser.add_argument("--out", type=Path, metavar="DIR", help="parent of the result folder; default: results")
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="go on with the session of this result folder; --port may say where its boards are now",
    )
    parser.add_argument(
        "--no-report",
        action="store_true",
        help="leave out report.html: `host report DIR` makes it from the result folder at any time",
    )
    add_json_argument(parser)


def _add_boards(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--board",
        action="append",
        default=[],
        metavar="NAME",
        help="see `host boards`; default: mps2_an386, emulated; again for every further board",
    )
    parser.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="URL",
        help="any pyserial URL: /dev/ttyACM0, socket://HOST:PORT, rfc2217://...; again for every further board",
    )
    parser.add_argument("--emulators", type=positive, metavar="N", help="emulate the board N times, side by side")
    parser.add_argument(
        "--link",
        choices=("auto", "stock"),
        help="auto: binary frames and a higher baud rate with our own firmware; stock: the MLPerf Tiny protocol alone; "
        "default: auto",
    )


def _add_monitor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--monitor",
        metavar="NAME@ADDRESS",
        help="the power monitor of --mode energy: see `host monitors`; default on an emulated board: simulated. "
        "NAME@simulated[?seed=N&faults=...] has its adapter measure an emulated board",
    )
    parser.add_argument("--net", action="store_true", help="energy: report it less what the board takes when it waits")
    parser.add_argument(
        "--range",
        type=current_range,
        metavar="A",
        help="energy: the monitor's current range in amperes, e.g. 50m, or auto; default: its own",
    )
    parser.add_argument(
        "--rate", type=quantity, metavar="HZ", help="energy: samples per second, e.g. 100k; default: the monitor's own"
    )
    parser.add_argument(
        "--voltage",
        type=quantity,
        metavar="V",
        help="energy: what the monitor supplies (default: 1.8), or what is assumed where it does not even "
        "measure it (default: 3.3)",
    )


def _new_session(args: argparse.Namespace, reporter: Reporter) -> Outcome:
    from host.runner.session import Plan, run_session

    plan = Plan(
        tasks=tuple(args.tasks),
        mode=args.mode or "performance",
        boards=tuple(args.board),
        ports=tuple(args.port),
        emulators=args.emulators,
        rules=args.rules,
        inputs=args.inputs,
        out=args.out or Path("results"),
        profile=args.profile,
        variant=engine_variant(args),
        model=args.model,
        target=args.target,
        link=args.link or "auto",
        energy=_monitor_plan(args) if args.mode == "energy" else None,
    )
    return run_session(plan, reporter)


def _monitor_plan(args: argparse.Namespace) -> MonitorPlan:
    from host.results.journal import MonitorPlan
    from host.runner.monitor import wanted_monitor

    return MonitorPlan(
        monitor=wanted_monitor(args.monitor, bool(args.port)),
        net=args.net,
        range_a=args.range,
        rate_hz=args.rate,
        voltage_v=args.voltage,
    )


def _resumed_session(args: argparse.Namespace, reporter: Reporter) -> Outcome:
    from host.runner.session import resume_session

    return resume_session(
        args.resume, args.port, reporter, check=lambda plan: _check_asked(args, plan), monitor=args.monitor
    )


def _check_asked(args: argparse.Namespace, plan: PlanRecord) -> None:
    """A session goes on as it was begun: what was typed again has to be what it was."""
    from host.errors import UsageError

    asked = {
        "TASK": (list(dict.fromkeys(args.tasks)), plan.tasks),
        "--board": (args.board * (args.emulators or 1), plan.boards),
        "--emulators": (args.emulators, None if any(plan.ports) else len(plan.boards)),
        "--mode": (args.mode, plan.mode),
        "--rules": (args.rules, plan.rules),
        "--target": (args.target, plan.target),
        "--model": (args.model, plan.model),
        "--profile": (args.profile, plan.profile),
        "--inputs": (args.inputs, plan.inputs),
        "--link": (args.link, plan.link),
        "--engine": (args.engine, plan.engine),
        "--tflm-dir": (args.tflm_dir and str(args.tflm_dir.absolute()), plan.tflm_dir),
        "--out": (args.out and args.out.absolute(), args.resume.absolute().parent),
        **{option: (given, getattr(plan.energy, field, None)) for option, field, given in _asked_of_monitor(args)},
    }
    for option, (given, was) in asked.items():
        if given and given != was:
            raise UsageError(
                f"{option} {given} contradicts the session in {args.resume}, which has {was}: --resume goes on as it "
                "was begun. Leave the option out, or start a new session without --resume."
            )


def _asked_of_monitor(args: argparse.Namespace) -> list[tuple[str, str, float | str | None]]:
    """Options that only an energy session has: as typed, their names in a MonitorPlan, what they are given. Not
    --monitor: in a session that goes on it may be at another address."""
    return [
        ("--net", "net", args.net),
        ("--range", "range_a", args.range),
        ("--rate", "rate_hz", args.rate),
        ("--voltage", "voltage_v", args.voltage),
    ]


def _check(args: argparse.Namespace) -> None:
    """Options that do not go together, whatever the session."""
    from host.errors import UsageError

    if args.flash:
        raise UsageError("--flash is for --micro; `host flash BOARD` loads the tasks.")
    if args.mode != "energy" and args.resume is None:
        for option, _, given in (("--monitor", "", args.monitor), *_asked_of_monitor(args)):
            if given:
                raise UsageError(f"{option} is about measuring energy: use it with --mode energy.")
    if args.profile and args.mode == "accuracy":
        raise UsageError(f"--profile tells where the time goes: use it without --mode {args.mode}.")
    if args.target is not None and args.mode != "accuracy" and args.resume is None:
        raise UsageError("--target is what an accuracy is held against: use it with --mode accuracy.")


def run(args: argparse.Namespace) -> int:
    """Run the session, print the table, return 1 if a run is not valid or not finished."""
    from host.cli._micro import run_micro_bench
    from host.report.progress import Reporter

    if args.micro is not None:
        return run_micro_bench(args)
    _check(args)
    with Reporter() as reporter:
        try:
            outcome = (_resumed_session if args.resume else _new_session)(args, reporter)
        except (KeyboardInterrupt, SystemExit) as error:
            for note in getattr(error, "__notes__", ()):
                reporter.note(note)
            raise
    return _show(args, outcome)


def _show(args: argparse.Namespace, outcome: Outcome) -> int:
    """Print the records, and where they are; returns the exit code."""
    from host.report.terminal import point, stderr_console, stdout_console
    from host.results import schema

    if args.json:
        print_record(schema.encode(outcome.result))
    else:
        _print_tables(outcome, stdout_console())
    # The document is alone on stdout; who reads it may want to know where its folder is all the same.
    console = stderr_console() if args.json else stdout_console()
    point(console, "results", outcome.folder)
    report = None if args.no_report else _report(outcome.folder)
    if not outcome.complete:
        folder = shlex.quote(str(outcome.folder))
        point(stderr_console(), "host: not everything is finished; to go on", f"host bench --resume {folder}")
    if report is not None:
        point(console, "report", report)
    return 0 if outcome.complete and all(run.valid for run in outcome.result.runs) else 1


def _print_tables(outcome: Outcome, console: Console) -> None:
    from host.report.energy import print_energy
    from host.report.profile import print_profiles
    from host.report.table import print_result

    print_result(outcome.result, console)
    for run in outcome.result.runs:
        print_energy(outcome.result, run, console)
    print_profiles(outcome.result, console)


def _report(folder: Path) -> Path | None:
    """The page that shows the result. None where it cannot be made: what was measured is in the folder already, and
    no defect of a page takes that away."""
    from host.report.progress import Reporter
    from host.report.terminal import say, stderr_console

    sys.stdout.flush()  # the figures need not wait for it
    with Reporter() as reporter, reporter.step("making the report"):
        try:
            from host.report.page.render import write_report

            return write_report([folder], folder / REPORT_FILE)
        except Exception as error:
            failed = f"{type(error).__name__}: {error}"
    say(
        stderr_console(),
        *f"host: warning: there is no report, {failed}".splitlines(),
        f"host: the result is whole; to try again: host report {shlex.quote(str(folder))}",
    )
    return None
