"""The catalogue: which model and which inputs a task has, and where to get them."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin

from host.catalog import fetch as net
from host.catalog.entries import Dataset, Item, ModelFile
from host.catalog.fetch import Hosts, Progress
from host.catalog.files import Cache, Form, Found, LocalFolders, Note, Unavailable, Wanted, png_to_rgb, sha256
from host.catalog.spec import (
    DatasetSpec,
    DatasetVariant,
    ModelSpec,
    ModelVariant,
    PackageSpec,
    load_dataset,
    load_model,
    load_registry,
    parse_labels,
)
from host.errors import HashMismatch, NotAvailable, SetupError, UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Need:
    """Files that come from the same places; `urls`: of the last form of each, in order, or none."""

    what: str
    wanted: Sequence[Wanted]
    urls: Sequence[str]
    package: PackageSpec | None


def _silent(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def data_folders() -> tuple[Path, ...]:
    """The folders of TINYJOULE_DATA."""
    listed = os.environ.get("TINYJOULE_DATA", "")
    return tuple(Path(entry).expanduser() for entry in listed.split(os.pathsep) if entry)


class Catalog:
    """A catalogue rooted at `root` (with models/ and datasets/ in it)."""

    def __init__(
        self,
        root: Path,
        *,
        data: Sequence[Path] = (),
        cache: Path,
        hosts: Hosts | None = None,
        timeout_s: float = 5.0,
        progress: Progress | None = None,
        note: Note | None = None,
    ) -> None:
        """`data`: the folders to look in first; `timeout_s`: how long a host may take to answer."""
        self.root = root
        self._local = LocalFolders(data)
        self._cache = cache
        self._hosts = hosts if hosts is not None else net.ALL_HOSTS
        self._timeout_s = timeout_s
        self._progress = progress or _silent
        self._note: Note = note or log.warning

    def tasks(self) -> tuple[str, ...]:
        """Ids of the tasks that have a folder, sorted."""
        files = [*self.root.glob("models/*/model.toml"), *self.root.glob("datasets/*/dataset.toml")]
        return tuple(sorted({file.parent.name for file in files}))

    def tasks_with_inputs(self) -> tuple[str, ...]:
        """Those of `tasks` that have a data set: what a bench can measure. A model alone can be loaded and counted."""
        return tuple(task for task in self.tasks() if self._toml(task).is_file())

    def model_spec(self, task: str) -> ModelSpec:
        """What model.toml of `task` says."""
        return load_model(self._known(task, "models") / "model.toml")

    def dataset_spec(self, task: str) -> DatasetSpec:
        """What dataset.toml of `task` says."""
        folder = self._known(task, "datasets")
        if task not in self.tasks_with_inputs():
            raise NotAvailable(
                f"{task} has a model but no inputs yet: there is no {folder / 'dataset.toml'}. "
                "`host engine-bench` counts its instructions on an input that it makes up."
            )
        return load_dataset(folder / "dataset.toml")

    def model_for(self, task: str, *, fetch: bool = True) -> ModelFile:
        """The first variant of the model that can be had. `fetch=False`: of what is on this machine."""
        spec = self.model_spec(task)

        def take(variant: ModelVariant) -> ModelFile:
            found = self._beside(variant, self._known(task, "models"))
            if found is None:
                wanted = Wanted((Form(variant.file or variant.name, variant.sha256),))
                urls = () if variant.url is None else (variant.url,)
                need = _Need(f"{task} model", (wanted,), urls, variant.package)
                found = self._obtain(task, need, fetch=fetch)[0]
            return ModelFile(
                task=task,
                name=variant.name,
                source=variant.source,
                path=found.path,
                sha256=variant.sha256,
                wire_input=spec.wire_input,
                input_bytes=spec.input_bytes,
                outputs=spec.outputs,
                official=variant.official,
                result=spec.result,
                quality_target=spec.quality_target,
            )

        return _first(f"The model of {task}", spec.variants, take)

    def dataset_for(self, task: str, *, fetch: bool = True) -> Dataset:
        """The first variant of the data set that can be had whole. `fetch=False`: of what is on this machine."""
        spec = self.dataset_spec(task)

        def take(variant: DatasetVariant) -> Dataset:
            if variant.prepare is not None:
                raise Unavailable(f"`host data fetch {task}` makes it")
            labels = self._labels(spec, variant, fetch=fetch)
            items = self._items(spec, variant, labels, fetch=fetch)
            digest = hashlib.sha256(b"".join(item.data for item in items)).hexdigest()
            if digest != variant.sha256:
                raise HashMismatch(
                    f"{self._toml(task)}: variant {variant.name}: each input is right, but all of them in label order "
                    f"have sha256 {digest}, not {variant.sha256}. Label list and registry do not belong together."
                )
            return Dataset(
                task=task,
                name=variant.name,
                source=variant.source,
                sha256=digest,
                classes=len(spec.class_names),
                metric=spec.metric,
                target=spec.target,
                items=items,
                official=variant.official,
                window_bytes=spec.wire_bytes,
                stride_bytes=spec.stride_bytes,
            )

        return _first(f"The data set of {task}", spec.variants, take)

    def _beside(self, variant: ModelVariant, folder: Path) -> Found | None:
        """The file of a variant that is part of the project, or None for one that is not."""
        if variant.path is None:
            return None
        path = folder / variant.path
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SetupError(f"{path}: {error.strerror}. model.toml beside it names this file.") from error
        if sha256(data) != variant.sha256:
            raise HashMismatch(
                f"{path} is not the file that model.toml beside it names:\n  expected sha256 {variant.sha256}\n"
                f"  found    sha256 {sha256(data)}\nRestore it, or correct model.toml."
            )
        return Found(path, data)

    def _toml(self, task: str) -> Path:
        return self.root / "datasets" / task / "dataset.toml"

    def _known(self, task: str, kind: str) -> Path:
        if task not in self.tasks():
            raise UsageError(f"there is no task {task!r}; known tasks: {', '.join(self.tasks()) or 'none'}")
        return self.root / kind / task

    def _labels(self, spec: DatasetSpec, variant: DatasetVariant, *, fetch: bool) -> dict[str, int]:
        labels = variant.labels
        if labels is None:
            raise Unavailable("it names no labels")
        if labels.sha256 is None:
            path = self._toml(spec.task).parent / labels.file
            try:
                data = path.read_bytes()
            except OSError as error:
                raise SetupError(f"{path}: {error.strerror}. The data set names this file as its labels.") from error
        else:
            wanted = Wanted((Form(labels.file, labels.sha256),), labels.folder)
            urls = () if variant.base_url is None else (urljoin(variant.base_url, labels.file),)
            found = self._obtain(spec.task, _Need(f"{spec.task} labels", (wanted,), urls, None), fetch=fetch)[0]
            path, data = found.path, found.data
        parsed = parse_labels(data, str(path), spec)
        if len(parsed) != variant.count:
            raise SetupError(f"{path}: {len(parsed)} inputs, but {self._toml(spec.task)} says {variant.count}.")
        return parsed

    def _items(
        self, spec: DatasetSpec, variant: DatasetVariant, labels: dict[str, int], *, fetch: bool
    ) -> tuple[Item, ...]:
        registry_path = self._toml(spec.task).parent / (variant.registry or "registry.txt")
        registry = load_registry(registry_path)

        def form(name: str) -> Form:
            if name not in registry:
                raise SetupError(f"{registry_path}: {name} is missing, although the labels name it.")
            return Form(name, registry[name])

        wanted = []
        for name in labels:
            forms = [form(name)]
            if variant.encoding == "png":
                png = form(f"{Path(name).stem}.png")
                forms.append(Form(png.name, png.sha256, png_to_rgb))
            wanted.append(Wanted(tuple(forms)))
        base = variant.base_url
        urls = () if base is None else tuple(urljoin(base, file.forms[-1].name) for file in wanted)
        need = _Need(f"{spec.task} inputs", wanted, urls, variant.package)
        items = []
        for (name, label), found in zip(labels.items(), self._obtain(spec.task, need, fetch=fetch), strict=True):
            if len(found.data) != spec.file_bytes:
                raise SetupError(f"{found.path}: {len(found.data)} bytes, but an input has {spec.file_bytes}.")
            items.append(Item(name, label, found.data, spec.wire_bytes, spec.stride_bytes))
        return tuple(items)

    def _obtain(self, task: str, need: _Need, *, fetch: bool) -> list[Found]:
        """All files of `need`, in its order, or Unavailable with every place that was tried."""
        cache = Cache(self._cache / task, self._note)
        found = [self._local.find(file) or cache.find(file) for file in need.wanted]
        left = [index for index, one in enumerate(found) if one is None]
        lack = f"{len(left)} of {len(found)} files are" if len(found) > 1 else f"{need.wanted[0].name} is"
        tried = [f"{lack} neither in {self._local.describe()} nor in the cache ({cache.folder})"]
        ways: list[Callable[[_Need, list[int], Cache], None]] = []
        if fetch and need.urls:
            ways.append(self._download)
        if fetch and need.package is not None:
            ways.append(self._unpack)
        for way in ways:
            if left:
                try:
                    way(need, left, cache)
                except Unavailable as error:
                    tried.append(str(error))
                found = [one or cache.find(file) for one, file in zip(found, need.wanted, strict=True)]
                left = [index for index, one in enumerate(found) if one is None]
        if left:
            raise Unavailable("; ".join(tried if fetch else [*tried, "nothing was fetched, as asked"]))
        return [one for one in found if one is not None]

    def _download(self, need: _Need, left: list[int], cache: Cache) -> None:
        items = [(need.urls[index], need.wanted[index].forms[-1]) for index in left]
        what = f"downloading {need.what}"
        net.download_all(items, cache, what=what, hosts=self._hosts, timeout_s=self._timeout_s, progress=self._progress)

    def _unpack(self, need: _Need, left: list[int], cache: Cache) -> None:
        if need.package is not None:
            forms = [need.wanted[index].forms[-1] for index in left]
            net.package_all(need.package, forms, cache, hosts=self._hosts, progress=self._progress)


_Variant = TypeVar("_Variant", ModelVariant, DatasetVariant)
_Result = TypeVar("_Result")


def _first(what: str, variants: Sequence[_Variant], take: Callable[[_Variant], _Result]) -> _Result:
    """The first variant that can be had, or NotAvailable with what was tried for each."""
    tried: list[str] = []
    for variant in variants:
        try:
            return take(variant)
        except Unavailable as error:
            tried.append(f"  {variant.name} ({variant.source}): {error}.")
    raise NotAvailable(
        "\n".join(
            [
                f"{what} cannot be had. Tried:",
                *tried,
                "Set TINYJOULE_DATA to a folder that holds the files of one of these, or let this machine reach the "
                "host it comes from.",
            ]
        )
    )
