"""Sets that a recipe makes: datasets/<id>/prepare.py turns files from elsewhere into inputs and labels.

They are made once, in the cache, under the hash of all that shapes them. `prepared.json` beside them says what went in
and what came out; a folder that is no longer what it says is made again.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from host import recipe
from host.catalog.files import Cache, Unavailable, sha256
from host.catalog.folder import LABELS, Set, read_set
from host.catalog.home import now
from host.catalog.sources import InputFile, Sources
from host.catalog.spec import DatasetSpec, DatasetVariant, PrepareSpec, Sha256
from host.errors import HashMismatch, HostError, NotAvailable, SetupError

RECORD = "prepared.json"
PROGRAM = "prepare.py"


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What went into a prepared set (inputs: sha256 by key) and what came out."""

    task: str
    variant: str
    recipe: str
    key: str
    inputs: dict[str, Sha256]
    labels_sha256: Sha256
    sha256: Sha256
    count: int
    made: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """One prepared variant of a task. `home`: the task's folder in the project."""

    spec: DatasetSpec
    variant: DatasetVariant
    prepare: PrepareSpec
    home: Path
    sources: Sources

    @property
    def _key(self) -> str:
        """Hash of the program, of the files beside it, and of what the variant says of its inputs."""
        try:
            beside = [path for path in sorted(self.home.iterdir()) if path.is_file() and path.name != "dataset.toml"]
            files = [(path.name, sha256(path.read_bytes())) for path in beside if not path.name.startswith(".")]
        except OSError as error:
            raise SetupError(f"{self.home}: {error}. The recipe of {self.variant.name} lies there.") from error
        shape = (self.spec.wire_bytes, self.spec.file_bytes, self.spec.stride_bytes, self.spec.class_names)
        return sha256(msgspec.json.encode([files, self.prepare.recipe, self.variant.inputs, shape]))[:12]

    @property
    def _folder(self) -> Path:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.variant.name)
        return self.sources.cache / self.spec.task / "prepared" / f"{name}-{self._key}"

    def find(self) -> Set | None:
        """The set, when it has been made and is what was made; a damaged one is told, and is as good as none."""
        folder = self._folder
        if not folder.is_dir():
            return None
        try:
            record = msgspec.json.decode((folder / RECORD).read_bytes(), type=_Record)
            found = read_set(folder, self.spec)
            as_made = (record.sha256, record.labels_sha256) == (found.sha256, sha256(found.labels))
        except (OSError, SetupError, msgspec.DecodeError, UnicodeDecodeError):
            as_made = False
        if as_made:
            return found
        self.sources.note(f"{folder} is not what was made there any more: {self._command} makes it again.")
        return None

    def obtain(self, *, make: bool) -> Set:
        """The set, made now when it is not there and `make`. Raises Unavailable, or what is wrong with the recipe."""
        found = self.find()
        if found is None and make:
            found = self._make()
        if found is None:
            raise Unavailable(f"{self._command} makes it")
        if self.variant.sha256 not in (None, found.sha256):
            raise HashMismatch(
                f"{self.home / 'dataset.toml'}: variant {self.variant.name}: its inputs have sha256 {found.sha256}, "
                f"not {self.variant.sha256}: the recipe rounds differently on this machine, or has changed."
            )
        return found

    @property
    def _command(self) -> str:
        return f'`host data fetch {self.spec.task} --variant "{self.variant.name}"`'

    def _make(self) -> Set:
        task, sources = self.spec.task, self.sources
        inputs = {one.key: sources.input_file(task, one) for one in self.variant.inputs}
        folder = self._folder
        cache = Cache(folder.parent, sources.note)
        with cache.writing():
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary = tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-")
        with temporary as name:
            out = Path(name) / "set"
            out.mkdir()
            self._run(inputs, out)
            made = self._checked(out)
            record = _Record(
                task=task,
                variant=self.variant.name,
                recipe=self.prepare.recipe,
                key=self._key,
                inputs={key: one.sha256 for key, one in inputs.items()},
                labels_sha256=sha256(made.labels),
                sha256=made.sha256,
                count=len(made.items),
                made=now(),
            )
            with cache.writing():
                (out / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
                if folder.exists():  # damaged, or made by another process at the same time: as good as ours
                    folder.rename(Path(name) / "old")
                os.replace(out, folder)
        return made

    def _run(self, inputs: dict[str, InputFile], out: Path) -> None:
        program = self.home / PROGRAM
        with _failures(program, self.prepare.recipe):
            prepare = recipe.load(program).prepare
            prepare(
                self.prepare.recipe,
                {key: one.path for key, one in inputs.items()},
                out,
                lambda what, done, total: self.sources.progress(f"preparing {self.spec.task}: {what}", done, total),
            )

    def _checked(self, out: Path) -> Set:
        at = f"{self.home / PROGRAM}, recipe {self.prepare.recipe}"
        if not (out / LABELS).is_file():
            raise SetupError(f"{at}: it made no {LABELS}.")
        try:
            made = read_set(out, self.spec)
        except SetupError as error:
            raise SetupError(f"{at}: it made a wrong set. {error}") from error
        if len(made.items) != self.variant.count:
            raise SetupError(
                f"{at}: it made {len(made.items)} inputs, but dataset.toml says {self.variant.count} of "
                f"{self.variant.name}."
            )
        for other in made.others:
            shutil.rmtree(out / other) if (out / other).is_dir() else (out / other).unlink()
        return made


@contextmanager
def _failures(program: Path, name: str) -> Iterator[None]:
    """Context of a recipe: what it says it cannot have is Unavailable, whatever else it raises a SetupError."""
    try:
        yield
    except NotAvailable as error:
        raise Unavailable(str(error)) from error
    except HostError:
        raise
    except OSError as error:
        raise SetupError(
            f"{program}: the recipe {name} failed ({error}). Is there room in the cache? XDG_CACHE_HOME may "
            "name another place."
        ) from error
    except Exception as error:  # the recipe's own, of any kind
        raise SetupError(
            f"{program}: the recipe {name} failed ({type(error).__name__}: {error}). Its inputs may be other files "
            "than it knows; or it needs a package that is not installed."
        ) from error
