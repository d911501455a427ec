"""`host models`: the model of every task, and where it comes from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from host.catalog import Catalog

SUMMARY = "list the models: the file in use, its source and its hash"
COLUMNS = ("task", "model in use", "source", "title", "size, bytes", "sha256", "one input on the wire")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host models`."""
    parser.add_argument("--fetch", action="store_true", help="fetch the models that are not on this machine yet")


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 when a file is wrong, or cannot be had although --fetch asked for it."""
    from host.cli._listing import print_listing

    def row(catalog: Catalog, task: str) -> tuple[str, ...]:
        spec = catalog.model_spec(task)
        model = catalog.model_for(task, fetch=args.fetch)
        wire = f"{spec.input_bytes:,} x {spec.wire_input} ({' x '.join(map(str, spec.input_shape))})"
        size = f"{model.path.stat().st_size:,}"
        return model.name, model.source, spec.title, size, model.sha256[:12], wire

    return print_listing(COLUMNS, lambda catalog: catalog.tasks(), row, fetch=args.fetch)
