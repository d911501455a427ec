"""`host data`: the inputs of every task, and where they come from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from host.catalog import Catalog

SUMMARY = "list the data sets: the inputs in use, their source and the target"
COLUMNS = ("task", "data set in use", "source", "inputs", "one input, bytes", "sha256", "metric and target")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host data`."""
    parser.add_argument("--fetch", action="store_true", help="fetch the inputs that are not on this machine yet")


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 when a file is wrong, or cannot be had although --fetch asked for it."""
    from host.cli._listing import print_listing

    def row(catalog: Catalog, task: str) -> tuple[str, ...]:
        data = catalog.dataset_for(task, fetch=args.fetch)
        target = f"{data.metric} >= {data.target:g}"
        if not data.official:
            target += " on the official set; not judged on this one"
        size = f"{len(data.items[0].data):,}"
        return data.name, data.source, f"{len(data.items):,}", size, data.sha256[:12], target

    return print_listing(COLUMNS, lambda catalog: catalog.tasks_with_inputs(), row, fetch=args.fetch)
