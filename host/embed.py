"""Writes what an image knows of its models and of itself: build_info.c and models.S (firmware/core/model.h).

The PlatformIO builder (firmware/platform/builder/main.py) calls generate() before it compiles, so that plain `pio run`
embeds every model the catalogue can provide. Files are rewritten only when their content changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from host import __version__, catalog
from host.catalog import ModelFile, Note
from host.errors import HashMismatch, SetupError
from host.variant import Engine, Variant

CODE_RESERVE_BYTES = 128 * 1024
"""Flash kept free of models: the code takes about a third of it, and the linker has the last word."""

FLAGS_CAPACITY = 400
"""Longest flags text; `info` sends it in one line."""

_INPUTS = {"int8": "MODEL_INPUT_AS_IS", "uint8": "MODEL_INPUT_UINT8", "float32": "MODEL_INPUT_FLOAT32"}
_RESULTS = {"outputs": "MODEL_RESULT_OUTPUTS", "mse": "MODEL_RESULT_MSE"}
_SOURCE_SUFFIXES = {".c", ".h", ".S", ".ld", ".cc", ".cpp"}
_IRRELEVANT_PREFIXES = (
    "-W",
    "-g",
    "-pedantic",
    "-ffile-prefix-map",
    "-fstack-usage",
    "-fdiagnostics",
    "-DTJ_BOARD_NAME",
)


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """One model of an image. `id` is the task on the wire."""

    id: str
    name: str
    source: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What generate() put in. `sources` are the files to compile, `models` the .tflite files they include."""

    build_id: str
    version: str
    compiler: str
    flags: str
    models: tuple[EmbeddedModel, ...]
    model_paths: tuple[Path, ...]
    sources: tuple[Path, ...]


def shaping_flags(flags: Iterable[str]) -> str:
    """The flags that shape the code, in one line: no warnings, debug information, paths or names."""
    return " ".join(flag for flag in flags if not flag.startswith(_IRRELEVANT_PREFIXES))[:FLAGS_CAPACITY]


def collect_models(flash_bytes: int, warn: Note) -> list[ModelFile]:
    """Every model the catalogue can provide, in its order, as long as they fit; what is left out is told to `warn`.

    A file with a wrong hash is no reason to go on without it: HashMismatch goes to the caller.
    """
    free_bytes = flash_bytes - CODE_RESERVE_BYTES
    chosen = []
    known = catalog.default_catalog()
    for task in known.tasks():
        try:
            model = known.model_for(task)
            size = model.path.stat().st_size
        except HashMismatch:
            raise
        except (SetupError, OSError) as error:
            warn(f"no model for {task}: {error}")
            continue
        if size > free_bytes:
            warn(f"no room for {task}: {model.name} takes {size} bytes, {max(free_bytes, 0)} are left")
            continue
        free_bytes -= size
        chosen.append(model)
    return chosen


def chosen_models(models: Sequence[ModelFile], flash_bytes: int) -> list[ModelFile]:
    """Exactly these models; SetupError when a file is not the one meant any more, or when they do not fit."""
    free_bytes = flash_bytes - CODE_RESERVE_BYTES
    total_bytes = 0
    for model in models:
        try:
            data = model.path.read_bytes()
        except OSError as error:
            raise SetupError(f"{model.path}: {error.strerror}. Where is the model?") from error
        if hashlib.sha256(data).hexdigest() != model.sha256:
            raise HashMismatch(f"{model.path} has changed since it was looked at: run the command again.")
        total_bytes += len(data)
    if total_bytes > free_bytes:
        what = f"{models[0].name} takes" if len(models) == 1 else f"{len(models)} models take"
        raise SetupError(
            f"{what} {total_bytes:,} bytes, but the board has {max(free_bytes, 0):,} bytes of flash for models: "
            "choose a board with more."
        )
    return list(models)


def source_hash(firmware: Path, board: str) -> str:
    """sha256 over the sources of one board's image: everything in firmware/ but the other boards and the platform."""
    digest = hashlib.sha256()
    for path in sorted(firmware.rglob("*")):
        parts = path.relative_to(firmware).parts
        foreign = parts[0] == "platform" or (parts[0] == "boards" and len(parts) > 2 and parts[1] != board)
        if path.suffix in _SOURCE_SUFFIXES and not foreign and path.is_file():
            digest.update("/".join(parts).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def identify(
    board: str, sources: str, compiler: str, shaping: str, models: Iterable[ModelFile], *, engine: Engine = "tflite_c"
) -> str:
    """The build id of an image: of what `source_hash` and `shaping_flags` give, the compiler, the models in order."""
    identity = [__version__, board, sources, compiler, shaping]
    if engine != "tflite_c":
        identity.append(engine)
    identity += [f"{model.task}:{model.sha256}:{model.wire_input}:{model.result}" for model in models]
    return hashlib.sha256("\n".join(identity).encode()).hexdigest()[:16]


def _c_string(text: str) -> str:
    printable = "".join(char if " " <= char <= "~" else "?" for char in text)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _build_info_c(build_id: str, compiler: str, flags: str, models: Sequence[ModelFile]) -> str:
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "/* Written by host/embed.py at build time; see firmware/core/model.h. */",
        '#include "core/model.h"',
        "",
        *(f"extern const uint8_t model_data_{index}[]; /* models.S */" for index in range(len(models))),
        "",
        "const struct model model_table[] = {",
    ]
    for index, model in enumerate(models):
        kinds = f"{_INPUTS[model.wire_input]}, {_RESULTS[model.result]}"
        size = model.path.stat().st_size
        lines.append(
            f"    {{{_c_string(model.task)}, {_c_string(model.sha256)}, model_data_{index}, {size}u, {kinds}}},"
        )
    if not models:
        lines.append('    {"", "", 0, 0, MODEL_INPUT_AS_IS, MODEL_RESULT_OUTPUTS}, /* no model could be had */')
    lines += [
        "};",
        f"const uint32_t model_count = {len(models)};",
        "",
        f"const char build_id[] = {_c_string(build_id)};",
        f"const char build_version[] = {_c_string(__version__)};",
        f"const char build_compiler[] = {_c_string(compiler)};",
        f"const char build_flags[] = {_c_string(flags)};",
    ]
    return "\n".join(lines) + "\n"


def _models_s(models: Sequence[ModelFile]) -> str:
    # The hash is there for the builder as well: another model under the same path makes another file.
    lines = ["/* SPDX-License-Identifier: Apache-2.0 */", "/* Written by host/embed.py at build time. */"]
    for index, model in enumerate(models):
        lines += [
            "",
            f"/* {model.task}: sha256 {model.sha256} */",
            f'    .section .rodata.model_{index}, "a"',
            "    .balign 16",
            f"    .global model_data_{index}",
            f"model_data_{index}:",
            f"    .incbin {_c_string(str(model.path.resolve()))}",
        ]
    lines += ["", '    .section .note.GNU-stack, "", %progbits']
    return "\n".join(lines) + "\n"


def _write_if_changed(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def generate(
    *,
    board: str,
    firmware: Path,
    folder: Path,
    flash_bytes: int,
    compiler: str,
    flags: Sequence[str],
    warn: Note,
    variant: Variant | None = None,
) -> BuildInfo:
    """Write build_info.c and models.S into `folder` (made if need be) and return what they say."""
    variant = variant or Variant()
    chosen = variant.models
    models = collect_models(flash_bytes, warn) if chosen is None else chosen_models(chosen, flash_bytes)
    shaping = shaping_flags(flags)
    build_id = identify(board, source_hash(firmware, board), compiler, shaping, models, engine=variant.engine)
    folder.mkdir(parents=True, exist_ok=True)
    info_c, models_s = folder / "build_info.c", folder / "models.S"
    _write_if_changed(info_c, _build_info_c(build_id, compiler, shaping, models))
    _write_if_changed(models_s, _models_s(models))
    return BuildInfo(
        build_id=build_id,
        version=__version__,
        compiler=compiler,
        flags=shaping,
        models=tuple(EmbeddedModel(m.task, m.name, m.source, m.sha256, m.path.stat().st_size) for m in models),
        model_paths=tuple(m.path.resolve() for m in models),
        sources=(info_c, models_s),
    )
