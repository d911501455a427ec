# SPDX-License-Identifier: Apache-2.0
"""`host monitors`: the power monitors that are supported and connected; `check` looks at one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from host.cli._arguments import current_range, quantity
from host.cli._json import add_json_argument, print_json, print_record

if TYPE_CHECKING:
    from energy.connected import Connected

SUMMARY = "list the power monitors, supported and connected; check one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host monitors`."""
    add_json_argument(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    action = actions.add_parser("check", help="open one, and see whether zero, power, voltage, rate and pin are sane")
    action.add_argument(
        "monitor",
        metavar="NAME@ADDRESS",
        help="e.g. lpm01a@/dev/ttyACM1; NAME@simulated is the virtual analyser at an emulated board",
    )
    action.add_argument("--port", metavar="URL", help="of the board it measures: moves the timing pin")
    action.add_argument("--board", metavar="NAME", help="what is at the port, or which one is emulated")
    action.add_argument("--rate", type=quantity, metavar="HZ", help="samples a second, e.g. 100k")
    action.add_argument("--range", type=current_range, metavar="A", help="of the current, e.g. 50m, or auto")
    action.add_argument("--voltage", type=quantity, metavar="V", help="what it supplies, or what is expected")
    add_json_argument(action)


def run(args: argparse.Namespace) -> int:
    """Print the table, or look at one: 1 when something about it is not sane."""
    return _checked(args) if args.action == "check" else _listed(args)


def _listed(args: argparse.Namespace) -> int:
    from energy.connected import find_connected
    from energy.instruments import NAMES, module_of
    from host.report.terminal import listing, say, show, stdout_console

    found = find_connected()
    if args.json:
        print_json({"monitors": [_document(name, found) for name in NAMES]})
        return 0
    table = listing("monitor", "what it is", "address", "connected")
    for name in NAMES:
        module = module_of(name)
        here = [f"{one.where}{'' if one.sure else ' (perhaps)'}" for one in found if one.name == name]
        table.add_row(name, module.SUMMARY, module.ADDRESS, ", ".join(here) or "-")
    console = stdout_console()
    show(console, table)
    say(
        console,
        "Connected: by USB, as this machine lists it; instruments on a network are not looked for. "
        "`host monitors check NAME@ADDRESS` looks at one.",
    )
    return 0


def _document(name: str, found: Sequence[Connected]) -> dict[str, object]:
    from energy.instruments import module_of

    module = module_of(name)
    return {
        "name": name,
        "summary": module.SUMMARY,
        "address": module.ADDRESS,
        "connected": [
            {"address": one.address or None, "where": one.where, "sure": one.sure} for one in found if one.name == name
        ],
    }


def _checked(args: argparse.Namespace) -> int:
    from host.report.monitor_check import print_check
    from host.report.progress import Reporter
    from host.report.terminal import stdout_console
    from host.results import monitor_check
    from host.results.journal import MonitorPlan
    from host.runner.monitor_check import CheckPlan, check_monitor

    wanted = MonitorPlan(monitor=args.monitor, rate_hz=args.rate, range_a=args.range, voltage_v=args.voltage)
    with Reporter() as reporter:
        check = check_monitor(CheckPlan(wanted, board=args.board, port=args.port), reporter)
    if args.json:
        print_record(monitor_check.encode(check))
    else:
        print_check(check, stdout_console())
    return 0 if check.sane else 1
