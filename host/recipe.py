# SPDX-License-Identifier: Apache-2.0
"""Recipes: the programs datasets/<id>/prepare.py, which make inputs out of files. They lie in no package.

`load` gives such a program as a module, `beside` a module that lies in the same folder, `script` is its command line.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from host.errors import HostError, SetupError, UsageError

Progress = Callable[[str, int, int], None]
Prepare = Callable[[str, Mapping[str, Path], Path, Progress], None]


def load(path: Path) -> ModuleType:
    """The module in the file `path`, loaded once in a process. Raises SetupError when there is none.

    What the program itself raises while it is loaded goes through: it is ours, not a user's.
    """
    path = path.resolve()
    name = "tinyjoule_recipe_" + "_".join(part for part in path.with_suffix("").parts[-3:] if part.isidentifier())
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SetupError(f"{path} is missing: the data set names a recipe, which is in that file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def beside(file: str, name: str) -> ModuleType:
    """The module `name`.py in the folder of `file` (give it `__file__`)."""
    return load(Path(file).with_name(f"{name}.py"))


def script(prepare: Prepare, argv: Sequence[str]) -> int:
    """`RECIPE OUT key=path ...`: run a recipe by hand. Returns the exit code: 0, 1 (failed) or 2 (not understood).

    OUT is made, and must be empty. Progress and errors go to stderr.
    """
    shown = ""

    def progress(what: str, done: int, total: int) -> None:
        nonlocal shown
        if what != shown or done == total:
            sys.stderr.write(f"{what}: {done} of {total}\n")
        shown = what

    try:
        recipe, out, inputs = _arguments(argv)
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise UsageError(f"{out} is not empty: name a folder that is, or none yet")
        prepare(recipe, inputs, out, progress)
    except (HostError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, UsageError) else 1
    return 0


def _arguments(argv: Sequence[str]) -> tuple[str, Path, dict[str, Path]]:
    words = [word.partition("=") for word in argv[2:]]
    if len(argv) < 2 or not all(key and mark and path for key, mark, path in words):
        raise UsageError("say: RECIPE OUT key=path ... (the keys are those of [[variant.input]] in dataset.toml)")
    return argv[0], Path(argv[1]), {key: Path(path) for key, _, path in words}
