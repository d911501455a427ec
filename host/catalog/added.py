"""Models that a person has added: copied into the data folder, known by task and name, and never official."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec

from host.catalog.entries import ModelFile
from host.catalog.files import MAX_FILE_BYTES, sha256
from host.catalog.folder import read_file
from host.catalog.home import now, shown_path, write_whole
from host.catalog.spec import FileName, Fraction, ModelSpec, Sha256, Text
from host.errors import HashMismatch, SetupError, UsageError
from host.modelinfo import TensorInfo, read_ends, read_operators

_BYTES = {"int8": 1, "float32": 4}
_TENSORS = {"int8": ("int8",), "uint8": ("int8",), "float32": ("int8", "float32")}  # of what the host may send


class Added(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """NAME.toml beside NAME.tflite. quality_target: a fraction; left out: the task's."""

    source: Text
    sha256: Sha256
    added: Text
    quality_target: Fraction | None = None


def _folder(home: Path, task: str) -> Path:
    return home / "models" / task


def names(home: Path, task: str) -> tuple[str, ...]:
    """Names of the models added to `task`, sorted."""
    return tuple(sorted(path.stem for path in _folder(home, task).glob("*.toml")))


def require_fit(data: bytes, name: str, spec: ModelSpec) -> None:
    """Raise SetupError unless `data` is a .tflite file that can do the task. `name` is for the errors."""
    read_operators(data, name)
    source, result = read_ends(data, name)
    elements = math.prod(spec.input_shape)
    if source.dtype not in _TENSORS[spec.wire_input] or source.elements != elements:
        wanted = " or ".join(_TENSORS[spec.wire_input])
        raise SetupError(
            f"{name}: its input is {_described(source)}, but {spec.task} sends {spec.input_bytes:,} bytes, which take "
            f"{elements:,} x {wanted}. Convert the model to that, or choose another task."
        )
    if result.dtype not in _BYTES or result.elements != spec.outputs:
        raise SetupError(
            f"{name}: its output is {_described(result)}, but {spec.task} has {spec.outputs:,} outputs, "
            "int8 or float32."
        )


def _described(tensor: TensorInfo) -> str:
    shape = " x ".join(map(str, tensor.shape)) or "one number"
    return f"{shape} ({tensor.elements:,} x {tensor.dtype})"


def add_model(home: Path, spec: ModelSpec, file: Path, name: str, target: float | None) -> ModelFile:
    """Check `file` and keep a copy of it. Raises SetupError for a file that cannot do the task, UsageError for a name
    that is none or is taken."""
    try:
        msgspec.convert(name, type=FileName)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{name!r} cannot be the name of a model: letters, digits, '_', '.', '+' and '-' can."
        ) from error
    taken = {word for variant in spec.variants for word in (variant.name, variant.file, variant.path) if word}
    if name in taken or f"{name}.tflite" in taken or name in names(home, spec.task):
        raise UsageError(
            f"{spec.task} has a model {name} already: choose another --name, or, if you added it, "
            f"`host models remove {spec.task} {name}`."
        )
    if target is not None and not 0 < target <= 1:
        raise UsageError(f"a target of {target:g} is no fraction: say 0.9 for 90 %.")
    try:
        path = file.resolve()  # a link to a model is as good as the model
        data = read_file(path, MAX_FILE_BYTES)
    except (SetupError, OSError, RuntimeError) as error:  # RuntimeError: links that go round in a circle
        raise SetupError(f"{str(error).rstrip('.')}. Name a .tflite file.") from error
    require_fit(data, str(file), spec)
    source = f"added from {shown_path(path)}"[:256]
    values = {"source": source, "sha256": sha256(data), "added": now()}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()]
    if target is not None:
        lines.append(f"quality_target = {target!r}\n")
    folder = _folder(home, spec.task)
    write_whole(folder / f"{name}.tflite", data)
    write_whole(folder / f"{name}.toml", "".join(lines).encode())  # last: with it, the model is there
    return find_model(home, spec, name)


def find_model(home: Path, spec: ModelSpec, name: str) -> ModelFile:
    """The added model called `name`, verified; the caller knows that there is one. SetupError when it is damaged."""
    folder = _folder(home, spec.task)
    advice = f"`host models remove {spec.task} {name}` takes it away; then add it again."
    try:
        about = msgspec.toml.decode((folder / f"{name}.toml").read_bytes(), type=Added)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise SetupError(f"{folder / f'{name}.toml'}: {error}. {advice}") from error
    path = folder / f"{name}.tflite"
    data = read_file(path, MAX_FILE_BYTES)
    if sha256(data) != about.sha256:
        raise HashMismatch(
            f"{path} is not the file that was added:\n  expected sha256 {about.sha256}\n  found    sha256 "
            f"{sha256(data)}\n{advice}"
        )
    require_fit(data, str(path), spec)  # the task may have changed since
    return ModelFile(
        task=spec.task,
        name=name,
        source=about.source,
        path=path,
        sha256=about.sha256,
        wire_input=spec.wire_input,
        input_bytes=spec.input_bytes,
        outputs=spec.outputs,
        result=spec.result,
        quality_target=spec.quality_target if about.quality_target is None else about.quality_target,
        added=True,
    )


def remove_model(home: Path, task: str, name: str) -> None:
    """Take an added model away. Raises UsageError when there is none of that name."""
    if name not in names(home, task):
        known = ", ".join(names(home, task)) or "none"
        raise UsageError(
            f"no model {name!r} was added to {task} (added: {known}); those of the project cannot be removed."
        )
    folder = _folder(home, task)
    try:
        (folder / f"{name}.toml").unlink()  # first: without it, the model is gone
        (folder / f"{name}.tflite").unlink(missing_ok=True)
    except OSError as error:
        raise SetupError(f"{folder / name}: {error}. It could not be removed.") from error
