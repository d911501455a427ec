# SPDX-License-Identifier: Apache-2.0
"""`host package`: what was measured as a submission to MLPerf Tiny, and whether a package is one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from host.cli._json import add_json_argument, print_json

if TYPE_CHECKING:
    from host.submission.check import Report
    from host.submission.gather import Gathered
    from host.submission.system import Ask
    from host.submission.write import Written

SUMMARY = "make a package for MLPerf Tiny of what was measured, or check one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host package`."""
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="DIR", help="result folders of one board, under the mlperf rules"
    )
    parser.add_argument("--org", metavar="NAME", help="who hands it in; a folder is called so")
    parser.add_argument("--division", choices=("closed", "open"), help="of the submission")
    parser.add_argument(
        "--system",
        type=Path,
        default=Path("system.json"),
        metavar="FILE",
        help="what the system is, as a JSON object; what is asked is kept in it. Default: system.json",
    )
    parser.add_argument("--name", metavar="NAME", help="of the system in paths; default: after its 'Board Name'")
    parser.add_argument("--code", type=Path, metavar="DIR", help="the sources of a firmware that is not tinyjoule's")
    parser.add_argument("-o", "--out", type=Path, metavar="OUT", help="the package: a folder that is made")
    parser.add_argument("--batch", action="store_true", help="ask nothing: what is missing is an error")
    parser.add_argument("--check", type=Path, metavar="OUT", help="make nothing: check the package in OUT")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Make a package and say what is in it; or check one, and return 1 where it breaks a rule."""
    from host.errors import UsageError

    if args.check is not None:
        if args.folders or args.org or args.division or args.out or args.name or args.code:
            raise UsageError("--check OUT looks at a package that is there: leave everything else out but --json.")
        return _check(args.check, args.json)
    options = {"DIR": args.folders, "--org": args.org, "--division": args.division, "-o": args.out}
    if missing := [name for name, value in options.items() if not value]:
        raise UsageError(f"{', '.join(missing)} missing: host package DIR ... --org NAME --division closed -o OUT")
    return _write(args)


def _check(out: Path, as_json: bool) -> int:
    from host.submission.check import NOT_CHECKED, check

    report = check(out)
    if as_json:
        print_json(
            {
                "package": str(out),
                "good": report.good,
                "files": report.files,
                "bytes": report.bytes,
                "results": list(report.results),
                "breaches": [
                    {"path": one.path, "rule": one.rule, "what": one.what, "remedy": one.remedy}
                    for one in report.breaches
                ],
                "left_out": report.left_out,
                "not_checked": list(NOT_CHECKED),
            }
        )
        return 0 if report.good else 1
    _print_report(report, out)
    return 0 if report.good else 1


def _print_report(report: Report, out: Path) -> None:
    from host.report.terminal import say, stdout_console
    from host.submission.check import NOT_CHECKED

    console = stdout_console()
    for breach in report.breaches:
        say(console, str(breach))
    if report.left_out:
        say(console, f"... and {report.left_out} breaches more, mostly of the same kind")
    for result in report.results:
        say(console, f"ok: {result}")
    count = len(report.breaches) + report.left_out
    if count:
        say(console, f"{out}: {count} {'breach' if count == 1 else 'breaches'} of the rules: INVALID")
        return
    say(console, f"{out}: {report.files} files, {report.bytes:,} bytes, no breach of the rules.", "Not checked:")
    for what in NOT_CHECKED:
        say(console, what, indent=2)


def _write(args: argparse.Namespace) -> int:
    from host.submission import code, system, write
    from host.submission.gather import gather

    write.check_organization(args.org)
    write.check_out(args.out)
    gathered = gather(args.folders, args.division)
    code.Sources(gathered, args.code)  # what is wrong with them is told before anybody is asked anything
    given = system.read_system(args.system)
    known = system.known_fields(gathered, args.org, args.division)
    fields, asked = system.complete(given, known, None if args.batch or not sys.stdin.isatty() else _asker(args.system))
    if asked:
        system.save(args.system, given, asked)
    request = write.Request(args.org, args.division, write.system_name(fields, args.name), args.code)
    written = write.write_package(gathered, fields, request, args.out, _confirm)
    if args.json:
        print_json(_document(gathered, written, request.name))
    else:
        _print(gathered, written)
    return 0


def _confirm(folder: Path) -> None:
    """What is written is checked as everybody else's is."""
    from host.submission.check import check
    from host.submission.gather import refuse

    report = check(folder)
    if not report.good:
        raise refuse([str(breach) for breach in report.breaches])


def _asker(path: Path) -> Ask:
    """Asks on the terminal; stdout is for what comes of it."""
    from rich.prompt import Prompt

    from host.errors import UsageError
    from host.report.terminal import say, stderr_console

    console = stderr_console()
    say(console, f"What nobody knows yet of the system is asked once, and kept in {path}.")

    def ask(field: str, choices: tuple[str, ...]) -> str:
        try:
            return Prompt.ask(
                field, console=console, choices=list(choices) or None, case_sensitive=False, show_choices=True
            )
        except EOFError as error:  # Ctrl-D
            raise UsageError(f"no answer for {field!r}: write it into {path}, or answer next time.") from error

    return ask


def _document(gathered: Gathered, written: Written, name: str) -> dict[str, object]:
    return {
        "package": str(written.folder),
        "system": name,
        "files": written.files,
        "bytes": written.bytes,
        "cells": [
            {"benchmark": cell.benchmark.name, "mode": cell.run.mode, "folder": str(cell.session.folder)}
            for cell in gathered.cells
        ],
        "notes": list(gathered.notes),
    }


def _print(gathered: Gathered, written: Written) -> None:
    from host.report.terminal import listing, say, show, stderr_console, stdout_console
    from host.submission.logs import summary

    for note in gathered.notes:
        say(stderr_console(), note)
    console = stdout_console()
    table = listing("benchmark", "mode", "result", "of")
    for cell in gathered.cells:
        table.add_row(cell.benchmark.name, cell.run.mode, summary(cell), str(cell.session.folder))
    show(console, table)
    say(
        console,
        f"{written.files} files, {written.bytes:,} bytes, checked as `host package --check` does it.",
        f"package: {written.folder}",
    )
