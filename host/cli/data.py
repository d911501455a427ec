"""`host data`: the inputs of every task, and where they come from; fetch, import and forget them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from host.cli._json import add_json_argument

if TYPE_CHECKING:
    from host.catalog import Catalog, Dataset
    from host.cli._listing import Entry

SUMMARY = "list the data sets in use; fetch the official ones, import your own"
COLUMNS = ("task", "data set\nin use", "source", "inputs", "one input,\nbytes", "sha256", "metric\nand target")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host data`."""
    parser.add_argument("--fetch", action="store_true", help="fetch the inputs that are not on this machine yet")
    add_json_argument(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    action = actions.add_parser("fetch", help="download what a task's official inputs are made of, and make them")
    action.add_argument("task", metavar="TASK")
    action.add_argument("--variant", metavar="NAME", help="another data set than the official one, by its name")
    add_json_argument(action, "a sentence")
    action = actions.add_parser("import", help="copy a folder of .bin files and a y_labels.csv, and use it from now on")
    action.add_argument("task", metavar="TASK")
    action.add_argument("folder", metavar="FOLDER", type=Path)
    add_json_argument(action, "a sentence")
    action = actions.add_parser("forget", help="remove the imported data set of a task")
    action.add_argument("task", metavar="TASK")
    add_json_argument(action, "a sentence")


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 when a file is wrong, or cannot be had although that was asked for."""
    from host.cli._listing import with_catalog

    action = getattr(args, "action", None)
    if action is None:
        return _listed(args)
    if action == "fetch":
        return with_catalog(lambda catalog: _fetched(catalog, args.task, args.variant), as_json=args.json)
    if action == "import":
        return with_catalog(lambda catalog: _imported(catalog, args.task, args.folder), as_json=args.json)
    return with_catalog(lambda catalog: _forgotten(catalog, args.task), as_json=args.json)


def _listed(args: argparse.Namespace) -> int:
    from host.cli._listing import print_listing
    from host.report.terminal import say, stdout_console

    others: list[str] = []

    def row(catalog: Catalog, task: str) -> Entry:
        data = catalog.dataset_for(task, fetch=args.fetch)
        others.extend([] if data.official else [task])
        return _row(data), _document(data)

    code = print_listing(
        COLUMNS,
        lambda catalog: catalog.tasks_with_inputs(),
        row,
        name="datasets",
        fetch=args.fetch,
        as_json=args.json,
    )
    if others and not args.json:
        say(
            stdout_console(),
            f"Not the official inputs: {', '.join(others)}. `host data fetch TASK` gets those where the network "
            "allows, `host data import TASK FOLDER` takes a folder of them.",
        )
    return code


def _row(data: Dataset) -> tuple[str, ...]:
    target = f"{data.metric} >= {data.target:g}"
    if not data.official:
        target += " on the official set; not judged on this one"
    windows = len(data.items[0].windows())
    size = f"{data.window_bytes or len(data.items[0].data):,}{f' ({windows} a file)' if windows > 1 else ''}"
    return data.name, data.source, f"{len(data.items):,}", size, data.sha256[:12], target


def _document(data: Dataset) -> dict[str, object]:
    return {
        "name": data.name,
        "source": data.source,
        "official": data.official,
        "inputs": len(data.items),
        "window_bytes": data.window_bytes or len(data.items[0].data),
        "windows_per_input": len(data.items[0].windows()),
        "sha256": data.sha256,
        "labels_sha256": data.labels_sha256,
        "metric": data.metric,
        "target": data.target,
    }


def _fetched(catalog: Catalog, task: str, variant: str | None) -> tuple[str, dict[str, object]]:
    made = catalog.fetch_dataset(task, variant=variant)
    used = catalog.dataset_for(task, fetch=False)
    said = f"{task}: {_told(made)} is on this machine."
    if used.items != made.items:  # labels count as well
        said += f"\nIn use is another one all the same, which comes first: {_told(used)}."
        if used.name == "imported":
            said += f" `host data forget {task}` takes it away."
    return said, {"task": task, "fetched": _document(made), "in_use": _document(used)}


def _imported(catalog: Catalog, task: str, folder: Path) -> tuple[str, dict[str, object]]:
    data, others = catalog.import_dataset(task, folder)
    said = [f"{task}: {_told(data)} is in use from now on; `host data forget {task}` takes it away."]
    if data.official:
        said.append("It is the official set, byte by byte: results are judged against the target.")
    else:
        said.append("It is not known to be the official set, inputs and labels: no result on it is judged as such.")
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        shown = ", ".join(name if name.isprintable() else repr(name) for name in others[:5])
        said.append(f"Not copied, because they are no inputs: {shown}{more}.")
    return "\n".join(said), {"task": task, **_document(data), "not_copied": list(others)}


def _forgotten(catalog: Catalog, task: str) -> tuple[str, dict[str, object]]:
    catalog.forget_dataset(task)
    return f"{task}: the imported data set is removed.", {"task": task, "removed": "imported"}


def _told(data: Dataset) -> str:
    return f"{data.name} ({data.source}), {len(data.items):,} inputs, sha256 {data.sha256[:12]}"
