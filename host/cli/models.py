"""`host models`: the model of every task, and where it comes from; add and remove models of your own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from host.cli._arguments import fraction
from host.cli._json import add_json_argument

if TYPE_CHECKING:
    from host.catalog import Catalog, ModelFile
    from host.cli._listing import Entry

SUMMARY = "list the models in use; add a .tflite file of your own to a task"
COLUMNS = ("task", "model\nin use", "source", "title", "size,\nbytes", "sha256", "one input\non the wire")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `host models`."""
    parser.add_argument("--fetch", action="store_true", help="fetch the models that are not on this machine yet")
    add_json_argument(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    action = actions.add_parser("add", help="check a .tflite file and keep a copy of it for a task")
    action.add_argument("file", metavar="FILE.tflite", type=Path)
    action.add_argument("--task", required=True, metavar="T")
    action.add_argument("--name", help="what it is called from now on; by default as the file")
    action.add_argument(
        "--target", type=fraction, metavar="X", help="its quality target, e.g. 0.9 or 90%%; by default as the task says"
    )
    add_json_argument(action, "a sentence")
    action = actions.add_parser("remove", help="take away a model that was added")
    action.add_argument("task", metavar="TASK")
    action.add_argument("name", metavar="NAME")
    add_json_argument(action, "a sentence")


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 when a file is wrong, or cannot be had although --fetch asked for it."""
    from host.cli._listing import print_listing, with_catalog
    from host.report.terminal import say, stdout_console

    action = getattr(args, "action", None)
    if action == "add":
        add = (args.task, args.file, args.name, args.target)
        return with_catalog(lambda catalog: _added(catalog, *add), as_json=args.json)
    if action == "remove":
        return with_catalog(lambda catalog: _removed(catalog, args.task, args.name), as_json=args.json)

    others: list[str] = []

    def row(catalog: Catalog, task: str) -> Entry:
        model = catalog.model_for(task, fetch=args.fetch)
        others.extend([] if model.official else [task])
        return _row(catalog, model), _document(catalog, model)

    def own(catalog: Catalog, task: str) -> list[Entry]:
        models = [catalog.model_for(task, name=name) for name in catalog.added_models(task)]
        return [(_row(catalog, model), _document(catalog, model)) for model in models]

    code = print_listing(
        COLUMNS, lambda catalog: catalog.tasks(), row, name="models", fetch=args.fetch, as_json=args.json, more=own
    )
    if others and not args.json:
        say(
            stdout_console(),
            f"Not the official models: {', '.join(others)}. `host models --fetch` and `host bench` get those where the "
            "network allows; results with others are not judged against the official target.",
        )
    return code


def _row(catalog: Catalog, model: ModelFile) -> tuple[str, ...]:
    spec = catalog.model_spec(model.task)
    wire = f"{spec.input_bytes:,} x {spec.wire_input} ({' x '.join(map(str, spec.input_shape))})"
    if spec.wire_input == "float32":
        wire = f"{spec.input_bytes // 4:,} x float32 ({' x '.join(map(str, spec.input_shape))})"
    title = f"chosen with --model {model.name}" if model.added else spec.title
    return model.name, model.source, title, f"{model.path.stat().st_size:,}", model.sha256[:12], wire


def _document(catalog: Catalog, model: ModelFile) -> dict[str, object]:
    spec = catalog.model_spec(model.task)
    return {
        "name": model.name,
        "source": model.source,
        "title": None if model.added else spec.title,
        "official": model.official,
        "added": model.added,
        "quality_target": model.quality_target,
        "path": model.path,
        "bytes": model.path.stat().st_size,
        "sha256": model.sha256,
        "input": {"type": spec.wire_input, "shape": list(spec.input_shape), "bytes": spec.input_bytes},
    }


def _added(
    catalog: Catalog, task: str, file: Path, name: str | None, target: float | None
) -> tuple[str, dict[str, object]]:
    model = catalog.add_model(task, file, name=name, target=target)
    judged = f", target {model.quality_target:g}" if model.quality_target is not None else ""
    document = {"task": task, **_document(catalog, model)}
    said = f"{task}: {model.name} ({model.path.stat().st_size:,} bytes, sha256 {model.sha256[:12]}{judged}) was added."
    if task not in catalog.tasks_with_inputs():
        return f"{said} There are no inputs of {task} yet that it could be measured on.", document
    return f"{said} `host bench {task} --model {model.name}` measures it.", document


def _removed(catalog: Catalog, task: str, name: str) -> tuple[str, dict[str, object]]:
    catalog.model_spec(task)
    catalog.remove_model(task, name)
    return f"{task}: {name} is removed.", {"task": task, "removed": name}
