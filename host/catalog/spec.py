"""What models/<id>/model.toml and datasets/<id>/dataset.toml may say, and the lists beside them.

Users edit these files, so they are read as outside input: every error names the file and, in a list, the line.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from host.errors import SetupError

# No separators, no leading dot or dash: such a name is a plain file in a folder and never an option or a path.
_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*\Z"
MAX_LIST_BYTES = 4 << 20

TaskId = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*\Z", max_length=32)]
FileName = Annotated[str, msgspec.Meta(pattern=_NAME, max_length=128)]
Word = Annotated[str, msgspec.Meta(pattern=_NAME, max_length=64)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]+\Z", max_length=1024)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
WireInput = Literal["int8", "uint8", "float32"]
Metric = Literal["top1", "auc"]


class PackageSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wheel that ships the file: `member` of the wheel, then `inner` of that member when it is an archive too.

    `{file}` in `member` stands for the name of the file wanted. The tags are for wheels made for another Python.
    """

    name: Word
    version: Word
    wheel_sha256: Sha256
    member: Text
    inner: Text | None = None
    python: Word | None = None
    implementation: Word | None = None
    abi: Word | None = None
    platform: Word | None = None


class ModelVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One .tflite that can do the task. `file` is its file name, where `name` is none."""

    name: Text
    source: Text
    licence: Text
    sha256: Sha256
    official: bool = False
    file: FileName | None = None
    url: Url | None = None
    package: PackageSpec | None = None


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """model.toml. `input_bytes` is what one input takes on the wire, `outputs` the elements of the output."""

    task: TaskId
    title: Text
    wire_input: WireInput
    input_shape: Annotated[list[Count], msgspec.Meta(min_length=1, max_length=8)]
    input_bytes: Count
    outputs: Count
    variants: Annotated[list[ModelVariant], msgspec.Meta(min_length=1)] = msgspec.field(name="variant")


class LabelsSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The list of labels: a file of the task's own folder, or (with a sha256) one of the data set.

    `folder`: a file of this name elsewhere than in a folder called so is another set's list, not a damaged one.
    """

    file: FileName
    sha256: Sha256 | None = None
    folder: FileName | None = None


class DatasetVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One set of inputs. `sha256` is over the wire bytes of all inputs in label order.

    `official`: this is the set that the target is defined on.
    """

    name: Text
    source: Text
    licence: Text
    count: Count
    sha256: Sha256
    registry: FileName
    labels: LabelsSpec
    official: bool = False
    encoding: Literal["raw", "png"] = "raw"
    base_url: Url | None = None
    package: PackageSpec | None = None


class DatasetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """dataset.toml. `target` is a fraction of 1; a label is an index into `class_names`."""

    task: TaskId
    metric: Metric
    target: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]
    wire_bytes: Count
    class_names: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=4096)]
    variants: Annotated[list[DatasetVariant], msgspec.Meta(min_length=1)] = msgspec.field(name="variant")


_Spec = TypeVar("_Spec", ModelSpec, DatasetSpec)


def _load(path: Path, kind: type[_Spec]) -> _Spec:
    try:
        spec = msgspec.toml.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as error:
        raise SetupError(f"{path} is missing: every task has one.") from error
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise SetupError(f"{path}: {error}. Correct the file.") from error
    if spec.task != path.parent.name:
        raise SetupError(f"{path}: task = {spec.task!r}, but its folder is {path.parent.name!r}: they must agree.")
    return spec


def load_model(path: Path) -> ModelSpec:
    """Read and check a model.toml."""
    spec = _load(path, ModelSpec)
    width = 4 if spec.wire_input == "float32" else 1
    if math.prod(spec.input_shape) * width != spec.input_bytes:
        raise SetupError(
            f"{path}: input_shape {spec.input_shape} of {spec.wire_input} does not take {spec.input_bytes} bytes."
        )
    return spec


def load_dataset(path: Path) -> DatasetSpec:
    """Read and check a dataset.toml."""
    spec = _load(path, DatasetSpec)
    for variant in spec.variants:
        if variant.encoding == "png" and spec.wire_bytes % 3:
            raise SetupError(f"{path}: variant {variant.name}: {spec.wire_bytes} bytes are no RGB picture.")
    return spec


def _lines(data: bytes, where: str) -> list[tuple[str, str]]:
    """Lines that are not empty, each with `file:line` for messages."""
    if len(data) > MAX_LIST_BYTES:
        raise SetupError(f"{where}: {len(data)} bytes are too many for a list (at most {MAX_LIST_BYTES}).")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SetupError(f"{where}: not UTF-8 text ({error}).") from error
    lines = [(f"{where}:{number}", line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    return [(at, line) for at, line in lines if line]


def _checked(value: str, kind: type[str] | object, at: str, what: str) -> str:
    try:
        return str(msgspec.convert(value, type=kind))
    except msgspec.ValidationError as error:
        raise SetupError(f"{at}: {what} {value!r} is not allowed: {error}.") from error


def load_registry(path: Path) -> dict[str, str]:
    """Read a registry in pooch's format, `name sha256` a line and `#` for comments: name -> sha256."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}. The data set names this file as its registry.") from error
    registry: dict[str, str] = {}
    for at, line in _lines(data, str(path)):
        if line.startswith("#"):
            continue
        fields = line.split()
        if len(fields) != 2:
            raise SetupError(f"{at}: {line!r} is not `name sha256`.")
        name = _checked(fields[0], FileName, at, "file name")
        if name in registry:
            raise SetupError(f"{at}: {name} is listed twice.")
        registry[name] = _checked(fields[1], Sha256, at, "sha256")
    return registry


def parse_labels(data: bytes, where: str, classes: int) -> dict[str, int]:
    """Read a y_labels.csv (`file,classes,label`, no header): file name -> label, in the order of the list."""
    labels: dict[str, int] = {}
    for at, line in _lines(data, where):
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 3:
            raise SetupError(f"{at}: {line!r} is not `file,classes,label`.")
        name = _checked(fields[0], FileName, at, "file name")
        if name in labels:
            raise SetupError(f"{at}: {name} is listed twice.")
        if not all(field.isascii() and field.isdigit() and len(field) < 10 for field in fields[1:]):
            raise SetupError(f"{at}: classes and label of {name} must be whole numbers, not {','.join(fields[1:])!r}.")
        if int(fields[1]) != classes:
            raise SetupError(f"{at}: {name} has {fields[1]} classes, but the data set has {classes}.")
        if int(fields[2]) >= classes:
            raise SetupError(f"{at}: label {fields[2]} of {name} is outside 0..{classes - 1}.")
        labels[name] = int(fields[2])
    return labels
