"""Builds one board: models and build info first (host/embed.py), then the image, its map, its sizes and build.json.

Everything about the board comes from its board.ini; see firmware/boards/template/board.ini.template.
"""

import dataclasses
import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
project = Path(env.subst("$PROJECT_DIR"))
firmware = project / "firmware"
build_dir = Path(env.subst("$BUILD_DIR"))
name = env["PIOENV"]
sys.path.insert(0, str(project))

from host import embed, flash, tflm, toolchain  # noqa: E402  (found through the line above, installed or not)
from host.boards import get_board  # noqa: E402
from host.errors import HostError  # noqa: E402
from host.variant import VARIABLE, read_variant  # noqa: E402


def option(key: str) -> str:
    """A custom option of this board, "" when it is not set."""
    return str(env.GetProjectOption(f"custom_{key}", "") or "")


def stop(error: Exception) -> None:
    """End the build with a message instead of a traceback."""
    sys.stderr.write(f"Error: {error}\n")
    env.Exit(1)


board = get_board(name)
prefix = option("toolchain")
machine = shlex.split(option("cpu_flags"))
shared = shlex.split(" ".join(env.GetProjectOption("build_flags")))
defines = [
    f"-DTJ_BOARD_NAME='\"{name}\"'",
    f"-DTJ_CORE_HZ={board.clock_hz or 0}",
    f"-DTJ_ARENA_BYTES={board.arena_bytes}",
    f"-DTJ_INPUT_BYTES={option('input_bytes')}",
    f"-DTJ_RX_BYTES={option('rx_bytes')}",
    f"-DTJ_BAUD={board.baud}",
]
try:
    variant = read_variant(os.environ.get(VARIABLE))
    compiler = toolchain.compiler_version(prefix)
    upstream = None
    if variant.engine == "tflm":
        folder = tflm.require_tree(variant.tflm_dir)
        upstream = tflm.find_tflm(folder, board=name, prefix=prefix, machine=machine)
        tflm.require_cxx(prefix, machine)
    info = embed.generate(
        board=name,
        firmware=firmware,
        folder=build_dir / "generated",
        flash_bytes=board.flash_bytes,
        compiler=compiler,
        flags=[
            *machine,
            *shared,
            *shlex.split(" ".join(defines)),
            *(upstream.defines if upstream else ()),
        ],
        warn=lambda text: sys.stderr.write(f"Warning: {text}\n"),
        variant=variant,
    )
except HostError as error:
    stop(error)

env.Replace(
    AR=prefix + "gcc-ar",
    AS=prefix + "gcc",
    CC=prefix + "gcc",
    CXX=prefix + "g++",
    RANLIB=prefix + "gcc-ranlib",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
)
env.ProcessFlags(defines)
env.Append(
    # Headers are named from firmware/ ("engine/engine.h"); the core names its own and the port contract alone.
    CPPPATH=[str(firmware / folder) for folder in ("", "boards", "core", "engine")],
    ASFLAGS=machine,
    CCFLAGS=[*machine, f"-ffile-prefix-map={project}=.", "-fstack-usage"],
    LINKFLAGS=[*machine, "-g", "-Wl,--gc-sections,--fatal-warnings,-z,noexecstack", "-Wl,-Map,$BUILD_DIR/firmware.map"],
    LIBS=["m"],
)
linker_scripts = []
if prefix:
    # A script stands for a board without an operating system: our own start-up code, newlib's small variant.
    linker_scripts = [board.folder / "board.ld", firmware / "soc" / "cortexm" / "sections.ld"]
    env.Append(LINKFLAGS=["-nostartfiles", "--specs=nano.specs", f"-L{firmware.relative_to(project)}"])
    env.Replace(LDSCRIPT_PATH=str(linker_scripts[0].relative_to(project)))


def adapter_objects(found: tflm.Tflm) -> list:
    """engine/tflm instead of engine/tflite_c, compiled as upstream compiles its own; its library in the image."""
    only_c = ("-std=", "-Wmissing-prototypes")
    cxx = env.Clone()
    cxx.Append(
        CCFLAGS=[
            *(flag for flag in shared if not flag.startswith(only_c)),
            *tflm.CXX_FLAGS,
            *found.defines,
            *(f"-isystem{path}" for path in found.includes),  # our warnings are for our code
        ]
    )
    env.Append(SRC_FILTER=["-<engine/tflite_c/>"])
    # Not g++, which would add the C++ library: whatever wants a heap, exceptions or RTTI does not link.
    env.Replace(LINK="$CC")
    env.Prepend(LIBS=[env.File(str(found.library))])
    folder = firmware / "engine" / "tflm"
    target = build_dir / "src" / "engine" / "tflm"
    return [cxx.Object(str(target / f"{path.stem}.o"), str(path)) for path in sorted(folder.glob("*.cc"))]


generated = [env.Object(str(source)) for source in info.sources]
env.Depends(generated, [str(path) for path in info.model_paths])
env.Append(PIOBUILDFILES=generated)
if upstream:
    env.Append(PIOBUILDFILES=adapter_objects(upstream))
elf = env.BuildProgram()
env.Depends(elf, [str(path) for path in linker_scripts])


def write_build_json(target: list, source: list, env: object) -> int:
    """Measure the image, say its sizes and put build.json beside it."""
    image = Path(str(source[0]))
    # `size -B` prints a header, then text, data and bss in decimal.
    text = subprocess.run([f"{prefix}size", "-B", "-d", str(image)], check=True, capture_output=True, text=True).stdout
    sizes = dict(zip(("text", "data", "bss"), map(int, text.splitlines()[1].split()[:3]), strict=True))
    try:
        engine = toolchain.engine_name(image)
    except HostError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    record = {
        "board": name,
        "build_id": info.build_id,
        "version": info.version,
        "engine": engine,
        "compiler": info.compiler,
        "flags": info.flags,
        "elf": image.name,
        "elf_sha256": hashlib.sha256(image.read_bytes()).hexdigest(),
        "map": image.with_suffix(".map").name,
        "sizes": sizes,
        "models": [dataclasses.asdict(model) for model in info.models],
    }
    Path(str(target[0])).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(
        f"{name}: text {sizes['text']}, data {sizes['data']}, bss {sizes['bss']} bytes; "
        f"models: {', '.join(m.id for m in info.models) or 'none'}\n"
    )
    return 0


record = env.Command(str(build_dir / "build.json"), elf, env.VerboseAction(write_build_json, "Writing $TARGET"))
# What is written beside the image's own bytes has to follow as well: the source a model came from, for instance.
env.Depends(record, env.Value(repr(info)))
Default([elf, record])


def upload(target: list, source: list, env: object) -> int:
    """Load the image into a real board with the flasher that is installed."""
    try:
        command = flash.upload_command(board, Path(str(source[0])))
    except HostError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    sys.stdout.write(shlex.join(command) + "\n")
    return subprocess.run(command, check=False).returncode


AlwaysBuild(env.Alias("upload", elf, env.VerboseAction(upload, "Uploading $SOURCE")))
