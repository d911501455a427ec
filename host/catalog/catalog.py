"""The catalogue: which model and which inputs a task has, and where to get them."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin

from host.catalog import added, imported
from host.catalog import fetch as net
from host.catalog.edits import edited
from host.catalog.entries import Dataset, Item, ModelFile
from host.catalog.fetch import Hosts, Progress
from host.catalog.files import Form, Found, LocalFolders, Note, Unavailable, Wanted, png_to_rgb, sha256
from host.catalog.folder import Set
from host.catalog.prepared import Recipe
from host.catalog.sources import Need, Sources
from host.catalog.spec import (
    DatasetSpec,
    DatasetVariant,
    ModelSpec,
    ModelVariant,
    load_dataset,
    load_model,
    load_registry,
    parse_labels,
)
from host.errors import HashMismatch, NotAvailable, SetupError, UsageError

log = logging.getLogger(__name__)


def _silent(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def _folders_of(variable: str) -> tuple[Path, ...]:
    listed = os.environ.get(variable, "")
    return tuple(Path(entry).expanduser() for entry in listed.split(os.pathsep) if entry)


def data_folders() -> tuple[Path, ...]:
    """The folders of TINYJOULE_DATA."""
    return _folders_of("TINYJOULE_DATA")


def more_roots() -> tuple[Path, ...]:
    """The folders of TINYJOULE_TASKS, absolute: each holds models/ and datasets/ with tasks of a person's own."""
    return tuple(folder.absolute() for folder in _folders_of("TINYJOULE_TASKS"))


class Catalog:
    """A catalogue rooted at `root` (with models/ and datasets/ in it), and at `more` folders like it."""

    def __init__(
        self,
        root: Path,
        *,
        more: Sequence[Path] = (),
        data: Sequence[Path] = (),
        cache: Path,
        home: Path | None = None,
        hosts: Hosts | None = None,
        timeout_s: float = 5.0,
        progress: Progress | None = None,
        note: Note | None = None,
    ) -> None:
        """`data`: the folders to look in first; `timeout_s`: how long a host may take to answer.

        `home`: the user's data folder (added models, imported sets); None: one inside the cache.
        """
        self.roots = (root, *more)
        self.home = cache / "_home" if home is None else home
        self._sources = Sources(
            local=LocalFolders(data),
            cache=cache,
            home=self.home,
            hosts=hosts if hosts is not None else net.ALL_HOSTS,
            timeout_s=timeout_s,
            progress=progress or _silent,
            note=note or log.warning,
        )

    def tasks(self) -> tuple[str, ...]:
        """Ids of the tasks that have a folder, sorted."""
        patterns = ("models/*/model.toml", "datasets/*/dataset.toml")
        return tuple(sorted({file.parent.name for root in self.roots for at in patterns for file in root.glob(at)}))

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

    def model_for(self, task: str, *, name: str | None = None, fetch: bool = True) -> ModelFile:
        """The model called `name`, a user's own or one of the project; None: the first of the project that can be had.

        `fetch=False`: of what is on this machine. Raises UsageError for a name that nothing has.
        """
        spec = self.model_spec(task)
        if name is None:
            return _first(
                f"The model of {task}", spec.variants, lambda variant: self._model(spec, variant, fetch=fetch)
            )
        if name in self.added_models(task):
            return added.find_model(self.home, spec, name)
        chosen = [one for one in spec.variants if name in (one.name, one.file, one.path)]
        if not chosen:
            known = ", ".join([*self.added_models(task), *(one.name for one in spec.variants)])
            raise UsageError(
                f"{task} has no model {name!r}; it has: {known}. `host models add FILE.tflite --task {task}` adds one."
            )
        return _first(f"The model {name} of {task}", chosen, lambda variant: self._model(spec, variant, fetch=fetch))

    def _model(self, spec: ModelSpec, variant: ModelVariant, *, fetch: bool) -> ModelFile:
        found = self._beside(variant, self._known(spec.task, "models"))
        if found is None:
            wanted = Wanted(_model_forms(variant))
            urls = () if variant.url is None else (variant.url,)
            need = Need(f"{spec.task} model", (wanted,), urls, variant.package)
            found = self._sources.obtain(spec.task, need, fetch=fetch)[0]
            if variant.edits:
                found = self._sources.kept(spec.task, wanted.forms[0], found)
        return ModelFile(
            task=spec.task,
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

    def added_models(self, task: str) -> tuple[str, ...]:
        """Names of the models that a person has added to `task`."""
        return added.names(self.home, task)

    def add_model(self, task: str, file: Path, *, name: str | None = None, target: float | None = None) -> ModelFile:
        """Check a .tflite file and keep a copy of it for `task`; the name is the file's unless one is given."""
        return added.add_model(self.home, self.model_spec(task), file, name or file.stem, target)

    def remove_model(self, task: str, name: str) -> None:
        """Take a model away that was added."""
        added.remove_model(self.home, task, name)

    def dataset_for(self, task: str, *, fetch: bool = True) -> Dataset:
        """The imported set, else the first variant that can be had whole. `fetch=False`: of what is on this machine.

        A large set is made by `fetch_dataset` only.
        """
        spec = self.dataset_spec(task)
        brought = imported.find_imported(self.home, spec)
        if brought is not None:
            about, found = brought
            source = f"imported from {about.source}"
            official = self._is_official(spec, found)
            return replace(_dataset(spec, "imported", source, found.items, found.sha256, official), task=task)
        dataset = _first(
            f"The data set of {task}",
            spec.variants,
            lambda variant: self._variant(
                spec, variant, fetch=fetch, make=fetch and variant.prepare is not None and variant.prepare.automatic
            ),
            advice=f"`host data import {task} FOLDER` takes a folder of your own.",
        )
        return replace(dataset, task=task)  # the spec may be that of the task it borrows from

    def fetch_dataset(self, task: str, *, variant: str | None = None) -> Dataset:
        """Get or make one variant, however large: the one called so, or the official one.

        Raises UsageError for an unknown one, NotAvailable when it cannot be had.
        """
        spec = self.dataset_spec(task)
        official = [one for one in spec.variants if one.official] or spec.variants
        chosen = official[:1] if variant is None else [one for one in spec.variants if one.name == variant]
        if not chosen:
            known = ", ".join(repr(one.name) for one in spec.variants)
            raise UsageError(f"{task} has no data set variant {variant!r}; it has {known}.")
        dataset = _first(
            f"The data set {chosen[0].name} of {task}",
            chosen,
            lambda one: self._variant(spec, one, fetch=True, make=True),
        )
        return replace(dataset, task=task)

    def recipe_inputs(self, task: str, recipe: str) -> dict[str, Path]:
        """The files that a recipe of the task reads, by key: fetched and verified, for another program that uses them.

        Raises UsageError for a recipe that no variant names, NotAvailable when a file cannot be had.
        """
        spec = self.dataset_spec(task)
        chosen = [one for one in spec.variants if one.prepare is not None and one.prepare.recipe == recipe][:1]
        if not chosen:
            raise UsageError(f"{self._toml(task)}: no variant names the recipe {recipe!r}.")
        return _first(
            f"What the recipe {recipe} of {task} reads",
            chosen,
            lambda one: {of.key: self._sources.input_file(task, of).path for of in one.inputs},
        )

    def import_dataset(self, task: str, folder: Path) -> tuple[Dataset, tuple[str, ...]]:
        """Check and copy a folder of inputs; it is used from now on. Also returns the names that were not copied."""
        spec = self.dataset_spec(task)
        found = imported.import_set(self.home, spec, folder)
        return self.dataset_for(task, fetch=False), found.others

    def forget_dataset(self, task: str) -> None:
        """Remove the imported set of `task`."""
        imported.forget_set(self.home, self.dataset_spec(task).task)

    def _recipe(self, spec: DatasetSpec, variant: DatasetVariant) -> Recipe | None:
        if variant.prepare is None:
            return None
        return Recipe(spec, variant, variant.prepare, self._known(spec.task, "datasets"), self._sources)

    def _is_official(self, spec: DatasetSpec, found: Set) -> bool:
        """Whether a set is the official one, byte by byte and label by label.

        Where the catalogue knows the hash of the official one, nothing else is; else it is the one that was made here.
        """
        official = [variant for variant in spec.variants if variant.official]
        known = [variant for variant in official if variant.sha256 is not None]
        return any(self._is_same(spec, variant, found) for variant in known or official)

    def _is_same(self, spec: DatasetSpec, variant: DatasetVariant, found: Set) -> bool:
        recipe = self._recipe(spec, variant)
        if recipe is not None:
            made = recipe.find()
            return made is not None and made.items == found.items
        if variant.labels is None or found.sha256 != variant.sha256:
            return False
        if variant.labels.sha256 is not None:
            unix = found.labels.replace(b"\r\n", b"\n")
            return variant.labels.sha256 in (sha256(found.labels), sha256(unix))
        labels = self._labels(spec, variant, fetch=False)
        return list(labels.items()) == [(item.name, item.label) for item in found.items]

    def _variant(self, spec: DatasetSpec, variant: DatasetVariant, *, fetch: bool, make: bool) -> Dataset:
        recipe = self._recipe(spec, variant)
        if recipe is not None:
            made = recipe.obtain(make=make)
            # A recipe that rounds otherwise than the official files makes another set: it may score otherwise, too.
            pinned = any(one.official and one.sha256 is not None and one is not variant for one in spec.variants)
            official = variant.official and (not pinned or self._is_official(spec, made))
            return _dataset(spec, variant.name, variant.source, made.items, made.sha256, official)
        labels = self._labels(spec, variant, fetch=fetch)
        items = self._items(spec, variant, labels, fetch=fetch)
        digest = hashlib.sha256(b"".join(item.data for item in items)).hexdigest()
        if digest != variant.sha256:
            raise HashMismatch(
                f"{self._toml(spec.task)}: variant {variant.name}: each input is right, but all of them in label order "
                f"have sha256 {digest}, not {variant.sha256}. Label list and registry do not belong together."
            )
        return _dataset(spec, variant.name, variant.source, items, digest, variant.official)

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
        return self._folder(task, "datasets") / "dataset.toml"

    def _folder(self, task: str, kind: str) -> Path:
        """The task's folder, in the first root that has one."""
        folders = [root / kind / task for root in self.roots]
        there = [folder for folder in folders if folder.is_dir()]
        if len({folder.resolve() for folder in there}) > 1:
            raise SetupError(f"two folders describe {task}: {' and '.join(map(str, there))}. Rename one of the two.")
        return (there or folders)[0]

    def _known(self, task: str, kind: str) -> Path:
        if task not in self.tasks():
            raise UsageError(f"there is no task {task!r}; known tasks: {', '.join(self.tasks()) or 'none'}")
        return self._folder(task, kind)

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
            found = self._sources.obtain(spec.task, Need(f"{spec.task} labels", (wanted,), urls, None), fetch=fetch)[0]
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
        need = Need(f"{spec.task} inputs", wanted, urls, variant.package)
        items = []
        for (name, label), found in zip(
            labels.items(), self._sources.obtain(spec.task, need, fetch=fetch), strict=True
        ):
            if len(found.data) != spec.file_bytes:
                raise SetupError(f"{found.path}: {len(found.data)} bytes, but an input has {spec.file_bytes}.")
            items.append(Item(name, label, found.data, spec.wire_bytes, spec.stride_bytes))
        return tuple(items)


def _dataset(
    spec: DatasetSpec, name: str, source: str, items: tuple[Item, ...], digest: str, official: bool
) -> Dataset:
    return Dataset(
        task=spec.task,
        name=name,
        source=source,
        sha256=digest,
        classes=len(spec.class_names),
        metric=spec.metric,
        target=spec.target,
        items=items,
        official=official,
        window_bytes=spec.wire_bytes,
        stride_bytes=spec.stride_bytes,
    )


def _model_forms(variant: ModelVariant) -> tuple[Form, ...]:
    """The file that is wanted, and the one it is made of where it is an edited one."""
    forms = [Form(variant.file or variant.name, variant.sha256)]
    if variant.original_sha256 is not None:
        package = variant.package
        member = "" if package is None else (package.inner or package.member or "")
        name = member.rpartition("/")[2] or forms[0].name
        forms.append(Form(name, variant.original_sha256, partial(edited, edits=variant.edits)))
    return tuple(forms)


_Variant = TypeVar("_Variant", ModelVariant, DatasetVariant)
_Result = TypeVar("_Result")


def _first(
    what: str, variants: Sequence[_Variant], take: Callable[[_Variant], _Result], *, advice: str = ""
) -> _Result:
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
                f"host it comes from. {advice}".rstrip(),
            ]
        )
    )
