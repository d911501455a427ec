"""Upstream TFLM in TFLM_DIR: are its headers there, which library fits the board, and what has to be defined for it.

TFLM_DIR is a checkout of tensorflow/tflite-micro in which upstream's own Cortex-M build has been run, or a tree with
include/ and lib/. A folder gen/<target>/ of a checkout is taken as well: it names one of several libraries.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from host.errors import SetupError, UsageError

VARIABLE = "TFLM_DIR"
LIBRARY = "libtensorflow-microlite.a"
DOCS = "tensorflow/lite/micro/cortex_m_generic/README.md of tensorflow/tflite-micro documents the build"
CXX_PACKAGE = "libstdc++-arm-none-eabi-newlib"
CXX_FLAGS = (
    *("-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"),
    *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables"),
)
"""How upstream compiles its C++, as far as it matters for what is compiled against its headers."""

_HEADER = Path("tensorflow/lite/micro/micro_interpreter.h")
_DOWNLOADS = Path("tensorflow/lite/micro/tools/make/downloads")
_THIRD_PARTY = ("flatbuffers/include", "gemmlowp", "ruy")
_NEEDED = (Path("flatbuffers/flatbuffers.h"), Path("fixedpoint/fixedpoint.h"))
# What must be the same in the library and in the firmware: the instructions and how floats are passed. The linker looks
# after the rest.
_TAGS = ("CPU_arch", "CPU_arch_profile", "FP_arch", "MVE_arch", "DSP_extension", "ABI_VFP_args")
_SYMBOL = re.compile(r"^[0-9a-f]* ([A-Za-z]) (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Tflm:
    """What the firmware is compiled and linked with. `version` is as engine_name() has it, after "tflm "."""

    version: str
    includes: tuple[Path, ...]
    defines: tuple[str, ...]
    library: Path


@dataclass(frozen=True, slots=True)
class _Tree:
    """Where headers and libraries are; no `checkout` in an installed tree."""

    checkout: Path | None
    includes: tuple[Path, ...]
    libraries: tuple[Path, ...]


def require_tree(folder: Path | None) -> Path:
    """`folder`, absolute, if it has headers and a library; SetupError with what is missing, UsageError without one."""
    if folder is None:
        raise UsageError(
            f"the engine tflm is not part of this checkout: name a build of upstream with --tflm-dir or {VARIABLE}; "
            f"{DOCS}."
        )
    _read_tree(folder.absolute())
    return folder.absolute()


def find_tflm(folder: Path, *, board: str, prefix: str, machine: Sequence[str]) -> Tflm:
    """Headers and the one library in `folder` that is made for `board`, whose code is compiled with `machine`.

    Raises SetupError when there is none, and when there are several.
    """
    tree = _read_tree(folder.absolute())
    if not prefix:
        raise SetupError(f"{board} is no Cortex-M board: the engine tflm runs on those only")
    wanted = _board_tags(prefix, machine)
    found: list[Path] = []
    unfit: list[str] = []
    for library in tree.libraries:
        difference = _difference(library, prefix, wanted)
        if difference is None:
            found.append(library)
        else:
            unfit.append(f"{library}: {difference}")
    if not found:
        raise SetupError(f"no library for {board} ({_say(wanted)}): {'; '.join(unfit)}. Build upstream for it: {DOCS}.")
    if len(found) > 1:
        raise SetupError(
            f"{len(found)} libraries fit {board}: {', '.join(map(str, found))}. "
            f"Name the folder of one as --tflm-dir or {VARIABLE}: {found[0].parent.parent}"
        )
    return _describe(tree, found[0], prefix)


def require_cxx(prefix: str, machine: Sequence[str]) -> None:
    """Raises SetupError without the headers of the C++ library, which upstream wants: Debian packs them apart."""
    result = _run(f"{prefix}g++", *machine, "-E", "-x", "c++", "-", text="#include <cstddef>\n#include <type_traits>\n")
    if result.returncode:
        raise SetupError(
            f"{prefix}g++ finds no C++ headers: install them with `apt-get install {CXX_PACKAGE}` (1.6 GB)"
        )


def _read_tree(folder: Path) -> _Tree:
    if not folder.is_dir():
        raise SetupError(f"{folder} is no folder: {VARIABLE} or --tflm-dir names a build of upstream; {DOCS}.")
    checkout = folder.parent.parent if folder.parent.name == "gen" else folder
    if (checkout / _HEADER).is_file():
        libraries = [folder / "lib" / LIBRARY] if folder != checkout else sorted(folder.glob(f"gen/*/lib/{LIBRARY}"))
        tree = _tree(checkout, checkout, checkout / _DOWNLOADS, libraries)
    elif (folder / "include" / _HEADER).is_file():
        include = folder / "include"
        tree = _tree(None, include, include / "third_party", [folder / "lib" / LIBRARY])
    else:
        raise SetupError(
            f"{folder} is no checkout of tensorflow/tflite-micro (no {_HEADER}) and no tree with include/{_HEADER} "
            f"and lib/{LIBRARY}; {DOCS}."
        )
    for header in _NEEDED:
        if not any((path / header).is_file() for path in tree.includes):
            raise SetupError(f"{folder} has no {header}: upstream's build brings it, but it was not run; {DOCS}.")
    if not tree.libraries:
        raise SetupError(f"{folder} has no {LIBRARY}: upstream's build makes it, but it was not run; {DOCS}.")
    return tree


def _tree(checkout: Path | None, include: Path, third_party: Path, libraries: Sequence[Path]) -> _Tree:
    includes = (include, *(third_party / name for name in _THIRD_PARTY))
    return _Tree(
        checkout, tuple(path for path in includes if path.is_dir()), tuple(path for path in libraries if path.is_file())
    )


def _run(*command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"{command[0]} does not run: {error}") from error


def _tags(text: str) -> dict[str, str]:
    found = re.findall(r"^  Tag_(\w+): (.*)$", text, re.MULTILINE)
    return {name: value.strip() for name, value in found if name in _TAGS}


def _objects(library: Path, prefix: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each object's name and build attributes."""
    text = _run(f"{prefix}readelf", "-A", str(library)).stdout
    for part in re.split(r"^File: ", text, flags=re.MULTILINE)[1:]:
        name, _, attributes = part.partition("\n")
        yield name.rpartition("(")[2].rstrip(")"), _tags(attributes)


def _board_tags(prefix: str, machine: Sequence[str]) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        built = str(Path(folder) / "empty.o")
        result = _run(f"{prefix}gcc", *machine, "-x", "c", "-c", "-", "-o", built, text="int empty;\n")
        if result.returncode:
            raise SetupError(f"{prefix}gcc refuses the board's flags {' '.join(machine)}: {result.stderr.strip()}")
        return _tags(_run(f"{prefix}readelf", "-A", built).stdout)


def _say(tags: dict[str, str]) -> str:
    floats = "hard" if "ABI_VFP_args" in tags else "soft"
    dsp = ("DSP",) if "DSP_extension" in tags else ()
    return (
        ", ".join(
            (tags.get("CPU_arch", "?"), tags.get("FP_arch", "no FPU"), *dsp, *filter(None, [tags.get("MVE_arch")]))
        )
        + f", floats passed the {floats} way"
    )


def _difference(library: Path, prefix: str, wanted: dict[str, str]) -> str | None:
    """What speaks against linking it; None: nothing."""
    objects = list(_objects(library, prefix))
    for name, tags in objects:
        if not tags:
            return f"{name} is not for Arm"
        if tags != wanted:
            return f"{name} is made for {_say(tags)}"
    return None if objects else "holds no object"


def _describe(tree: _Tree, library: Path, prefix: str) -> Tflm:
    listing = _SYMBOL.findall(_run(f"{prefix}nm", "-g", str(library)).stdout)
    defined = {name for kind, name in listing if kind != "U"}
    if "TfLiteTensorFree" in defined and "TfLiteIntArrayCreate" in defined:
        raise SetupError(
            f"{library} was built without TF_LITE_STATIC_MEMORY and wants a heap: "
            f"build upstream without BUILD_TYPE=no_tf_lite_static_memory; {DOCS}."
        )
    version = _commit(tree.checkout) + ("+cmsis_nn" if "arm_convolve_s8" in defined else "")
    defines = ["-DTF_LITE_STATIC_MEMORY", "-DTF_LITE_MCU_DEBUG_LOG"]
    if "_Z11MicroPrintfPKcz" not in defined:  # BUILD_TYPE=release: the headers have to leave messages out as well
        defines.append("-DTF_LITE_STRIP_ERROR_STRINGS")
    # Part of the image's identity: the same checkout may hold another library tomorrow.
    digest = hashlib.sha256(library.read_bytes()).hexdigest()[:12]
    defines += [f"-DTJ_TFLM_LIBRARY={digest}", f"-DTJ_TFLM_VERSION={version}"]
    return Tflm(version, tree.includes, tuple(defines), library)


def _commit(checkout: Path | None) -> str:
    """Twelve digits of the checkout's commit, with "-dirty" if its files are others; "unknown" where nothing tells."""
    if checkout is None:
        return "unknown"
    top = _run("git", "-C", str(checkout), "rev-parse", "--show-toplevel")
    if top.returncode or Path(top.stdout.strip()).resolve() != checkout.resolve():
        return "unknown"  # no repository, or one that only happens to be around it
    said = _run("git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    return said.stdout.strip() if said.returncode == 0 else "unknown"
