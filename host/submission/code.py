# SPDX-License-Identifier: Apache-2.0
"""The code of a submission: what the firmware that was measured is made of, and how to build it again.

Of our own firmware the sources are this checkout's, which have to make the very build that was measured. Of a stock
firmware they are wherever a person says that they are.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from host import catalog, embed
from host.boards import find_boards
from host.catalog import ModelFile
from host.catalog.files import file_digest
from host.errors import HostError, ResultInvalid, SetupError, UsageError
from host.paths import PROJECT_DIR
from host.results.record import write_file
from host.submission.gather import Cell, Gathered
from host.submission.layout import CODE_CACHES, CODE_NAME, MAX_FILE_BYTES, SUMS_FILE

MAX_FILES = 50_000
README = "README.md"
_FOLDERS = ("energy", "firmware", "host")
_FILES = (
    "LICENSE", "Makefile", "platformio.ini", "pyproject.toml", "tools/bootstrap.sh", "tools/constraints.txt",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Code:
    """The files of one implementation by their place in its folder; model: that of the benchmark, null where nobody
    knows it. readme: what goes into README.md, null where the sources have their own."""

    files: dict[PurePosixPath, Path]
    model: PurePosixPath | None
    readme: str | None


class Sources:
    """The code of a submission's firmware, for each of its benchmarks."""

    def __init__(self, gathered: Gathered, given: Path | None) -> None:
        """given: the sources of a stock firmware.

        Raises ResultInvalid where the sources here make another firmware, UsageError for one too many or too few.
        """
        self._first = gathered.first
        device = self._first.header.devices[0]
        self._given = given
        self._models: list[ModelFile] = []
        if device.build_id is None:
            if given is None:
                raise UsageError(
                    "the firmware that was measured is not tinyjoule's: say with --code DIR where its sources are."
                )
            self._files = dict(_tree(given))
            if not self._files:
                raise UsageError(f"{given} holds no file: name the folder with the sources of the firmware.")
            return
        if given is not None:
            raise UsageError("the firmware that was measured is tinyjoule's own: leave --code out.")
        self._models = self._image_models(gathered)
        self._files = dict(_own_sources(self._first.header.base.board.name))

    def _image_models(self, gathered: Gathered) -> list[ModelFile]:
        """The models in the image, in order: those with which the sources here make the build that was measured."""
        base, device = self._first.header.base, self._first.header.devices[0]
        board = find_boards().get(base.board.name)
        if board is None or device.build_id is None:
            raise ResultInvalid(
                f"the sources of the board {base.board.name} are not in {PROJECT_DIR}: run this in the checkout that "
                "its firmware was built in."
            )
        measured = [_model_of(cell) for cell in gathered.cells]
        everything = embed.collect_models(board.flash_bytes, lambda _text: None)
        engine = self._first.header.plan.engine
        sources = embed.source_hash(PROJECT_DIR / "firmware", board.name)
        for models in (everything, *([one] for one in measured)):
            made = embed.identify(
                board.name, sources, base.firmware.compiler or "", base.firmware.flags or "", models, engine=engine
            )
            if made == device.build_id:
                return models
        raise ResultInvalid(
            f"the firmware that was measured, build {device.build_id}, is not what the sources in {PROJECT_DIR} make: "
            "check out what was flashed (models and TINYJOULE_DATA too), or flash and measure what is here."
        )

    def of(self, cell: Cell) -> Code:
        """For one benchmark."""
        files = dict(self._files)
        if not self._models:
            return Code(files, None, None)
        chosen = None
        for model in self._models:
            at = PurePosixPath("models", model.task, _file_of(model))
            files[at] = model.path
            toml = PROJECT_DIR / "models" / model.task / "model.toml"
            if toml.is_file():
                files[at.with_name("model.toml")] = toml
            if model.task == cell.run.task:
                if model.sha256 != cell.run.model.sha256:
                    raise ResultInvalid(f"{cell.run.task}: the image has another model than the one that was measured.")
                chosen = at
        return Code(files, chosen, _readme(cell, self._models))


def copy(code: Code, folder: Path) -> None:
    """Put the files into `folder`, which is made. Raises HostError when it cannot be written."""
    try:
        for at, source in code.files.items():
            target = folder.joinpath(*at.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)
        if code.readme is not None:
            (folder / README).write_text(code.readme, encoding="utf-8")
    except OSError as error:
        raise HostError(f"cannot copy the code to {folder}: {error}. Free some room, or choose another -o.") from error


def write_sums(folder: Path) -> None:
    """The hash of every file in `folder`, so that one that was damaged can be told. Raises HostError."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    lines = [f"{file_digest(files[name], 'sha256')}  {name}\n" for name in sorted(files)]
    write_file(folder / SUMS_FILE, "".join(lines).encode())


def _own_sources(board: str) -> Iterator[tuple[PurePosixPath, Path]]:
    """What `host build` needs of the checkout: the firmware with one board, the builder, and what sets it up."""
    for name in _FOLDERS:
        for at, path in _tree(PROJECT_DIR / name):
            place = PurePosixPath(name, at)
            other_board = place.parts[:2] == ("firmware", "boards") and len(place.parts) > 3 and place.parts[2] != board
            if not other_board:
                yield place, path
    for name in _FILES:
        yield PurePosixPath(name), PROJECT_DIR / name


def _tree(top: Path) -> Iterator[tuple[PurePosixPath, Path]]:
    """Every file below a folder; caches and hidden files are left out.

    Raises UsageError for what no package may hold, and where `top` is no folder.
    """
    if not top.is_dir():
        raise UsageError(f"{top} is no folder: name the one with the sources of the firmware.")
    waiting, count = [top], 0
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if path.name.startswith(".") or path.name.endswith((".pyc", ".egg-info")):
                continue
            if path.is_dir() and not path.is_symlink():
                if path.name not in CODE_CACHES:
                    waiting.append(path)
                continue
            at = PurePosixPath(path.relative_to(top).as_posix())
            if problem := _unfit(path, at):
                raise UsageError(f"{path} {problem}")
            if (count := count + 1) > MAX_FILES:
                raise UsageError(f"{top} holds more than {MAX_FILES} files: name the sources of the firmware alone.")
            yield at, path


def _unfit(path: Path, at: PurePosixPath) -> str | None:
    """Why no package may hold this file, and what to do."""
    if path.is_symlink():
        return "is a symbolic link, which no submission may hold: put the file in its place."
    if not path.is_file():
        return "is no file: take it away."
    if not all(CODE_NAME.fullmatch(part) for part in at.parts):
        return "has a name of more than letters, digits and _ . + -, or too long a one: rename it."
    if path.stat().st_size > MAX_FILE_BYTES:
        return f"is larger than the {MAX_FILE_BYTES >> 20} MB that a file may have: leave it out."
    return None


def _file_of(model: ModelFile) -> str:
    return model.path.name if CODE_NAME.fullmatch(model.path.name) else f"{model.task}.tflite"


def _model_of(cell: Cell) -> ModelFile:
    """The file of the model that was measured. Raises SetupError when it is not here any more."""
    known, task, wanted = catalog.default_catalog(), cell.run.task, cell.run.model
    for name in (None, *known.added_models(task), wanted.name):
        try:
            model = known.model_for(task, name=name, fetch=False)
        except HostError:
            continue
        if model.sha256 == wanted.sha256:
            return model
    raise SetupError(
        f"{task}: the model that was measured ({wanted.name}, sha256 {wanted.sha256}) is not here: `host models` tells "
        "where each comes from."
    )


def _readme(cell: Cell, models: list[ModelFile]) -> str:
    base, device = cell.session.header.base, cell.session.header.devices[0]
    firmware, board = base.firmware, base.board
    tflm = cell.session.header.plan.engine == "tflm"
    build = f"TINYJOULE_DATA=models .venv/bin/host build {shlex.quote(board.name)}"
    if tflm:
        build += " --engine tflm --tflm-dir DIR"
    lines = [
        f"# {cell.benchmark.name} on {board.name}",
        "",
        "The firmware that was measured, made by tinyjoule out of these sources:",
        "",
        "```",
        "make setup      # on Debian 12: compilers, PlatformIO, Python packages",
        build,
        "```",
        "",
        f"It is build `{device.build_id}` when all of it is the same: engine {firmware.engine}, compiler "
        f"{firmware.compiler}, flags `{firmware.flags}`"
        + (f", ELF file sha256 `{firmware.sha256}`." if firmware.sha256 else "."),
        "`.venv/bin/host flash` with the name of the board loads it.",
        *(("", "DIR holds tflite-micro as firmware/engine/tflm/README.md names it.") if tflm else ()),
        "",
        "| model | file | sha256 | source |",
        "|---|---|---|---|",
        *(f"| {model.task} | {_file_of(model)} | {model.sha256} | {_cell(model.source)} |" for model in models),
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return "".join(char if char.isprintable() and char not in "|<>&`[]\\" else " " for char in text)
