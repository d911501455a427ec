"""`host models`: the model of every task, and where it comes from; add and remove models of your own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from host.cli._arguments import fraction

if TYPE_CHECKING:
    from host.catalog import Catalog, ModelFile

SUMMARY = "list the models in use; add a .tflite file of your own to a task"
COLUMNS = ("task", "model in use", "source", "title", "size, bytes", "sha256", "one input on the wire")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host models`."""
    parser.add_argument("--fetch", action="store_true", help="fetch the models that are not on this machine yet")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    action = actions.add_parser("add", help="check a .tflite file and keep a copy of it for a task")
    action.add_argument("file", metavar="FILE.tflite", type=Path)
    action.add_argument("--task", required=True, metavar="T")
    action.add_argument("--name", help="what it is called from now on; by default as the file")
    action.add_argument(
        "--target", type=fraction, metavar="X", help="its quality target, e.g. 0.9 or 90%%; by default as the task says"
    )
    action = actions.add_parser("remove", help="take away a model that was added")
    action.add_argument("task", metavar="TASK")
    action.add_argument("name", metavar="NAME")


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 when a file is wrong, or cannot be had although --fetch asked for it."""
    from host.cli._listing import print_listing, with_catalog

    action = getattr(args, "action", None)
    if action == "add":
        return with_catalog(lambda catalog: _added(catalog, args.task, args.file, args.name, args.target))
    if action == "remove":
        return with_catalog(lambda catalog: _removed(catalog, args.task, args.name))

    others: list[str] = []

    def row(catalog: Catalog, task: str) -> tuple[str, ...]:
        model = catalog.model_for(task, fetch=args.fetch)
        others.extend([] if model.official else [task])
        return _row(catalog, model)

    def own(catalog: Catalog, task: str) -> list[tuple[str, ...]]:
        return [_row(catalog, catalog.model_for(task, name=name)) for name in catalog.added_models(task)]

    code = print_listing(COLUMNS, lambda catalog: catalog.tasks(), row, fetch=args.fetch, more=own)
    if others:
        print(
            f"Not the official models: {', '.join(others)}. `host models --fetch` and `host bench` get those where the "
            "network allows; results with others are not judged against the official target."
        )
    return code


def _row(catalog: Catalog, model: ModelFile) -> tuple[str, ...]:
    spec = catalog.model_spec(model.task)
    wire = f"{spec.input_bytes:,} x {spec.wire_input} ({' x '.join(map(str, spec.input_shape))})"
    if spec.wire_input == "float32":
        wire = f"{spec.input_bytes // 4:,} x float32 ({' x '.join(map(str, spec.input_shape))})"
    title = f"chosen with --model {model.name}" if model.added else spec.title
    return model.name, model.source, title, f"{model.path.stat().st_size:,}", model.sha256[:12], wire


def _added(catalog: Catalog, task: str, file: Path, name: str | None, target: float | None) -> str:
    model = catalog.add_model(task, file, name=name, target=target)
    judged = f", target {model.quality_target:g}" if model.quality_target is not None else ""
    said = f"{task}: {model.name} ({model.path.stat().st_size:,} bytes, sha256 {model.sha256[:12]}{judged}) was added."
    if task not in catalog.tasks_with_inputs():
        return f"{said} There are no inputs of {task} yet that it could be measured on."
    return f"{said} `host bench {task} --model {model.name}` measures it."


def _removed(catalog: Catalog, task: str, name: str) -> str:
    catalog.model_spec(task)
    catalog.remove_model(task, name)
    return f"{task}: {name} is removed."
