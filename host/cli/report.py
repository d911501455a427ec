# SPDX-License-Identifier: Apache-2.0
"""`host report`: result folders as one page to look at, to send and to print."""

from __future__ import annotations

import argparse
from pathlib import Path

from host.cli._json import add_json_argument, print_json

SUMMARY = "make a page of result folders: verdict, figures, power traces, and how to do it again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host report`."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="a result folder of `host bench`")
    parser.add_argument(
        "-o", dest="out", type=Path, metavar="FILE.html", help="the page; default: report.html in the first folder"
    )
    parser.add_argument(
        "--figures", type=Path, metavar="DIR", help="also write every figure of the page there, as PNG and as SVG"
    )
    add_json_argument(parser, "the path")


def run(args: argparse.Namespace) -> int:
    """Write the page; its path is the last line."""
    from host.report.page.render import default_output, write_all
    from host.report.terminal import point, say, stdout_console

    written = write_all(args.folders, args.out or default_output(args.folders[0]), args.figures)
    if args.json:
        print_json({"report": written.page, "bytes": written.bytes, "figures": written.figures})
        return 0
    console = stdout_console()
    if args.figures is not None:
        say(console, f"{len(written.figures)} files of figures in {args.figures}")
    point(console, "report", written.page)
    return 0
