"""What the fuzzer has found, on every kind of core: its own kernels, in assembly too, stay within their tensors, and
give this machine's output wherever the tensors lie and whatever was in memory before.

There is no sanitizer there. The fuzz target puts gaps between the tensors and paints all that an operator may not write
to; see tests/fuzz/README.md.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cores import CORES, Core
from engine_host import ENGINE
from flags import FIRMWARE

from host.paths import PROJECT_DIR

FUZZ = PROJECT_DIR / "tests" / "fuzz"
OWN = [FUZZ / name for name in ("replay.c", "fuzz_engine.c", "cost.c", "redzone.c")]
MODELS = sorted([*(FUZZ / "corpus").glob("*.tflite"), *(PROJECT_DIR / "tests" / "regression").rglob("*.tflite")])


def build(folder: Path, core: Core, *options: str) -> Path:
    program = folder / f"replay_{core}.elf"
    sources = [*sorted(ENGINE.rglob("*.c")), *OWN, Path(__file__).with_name("engine_core.c")]
    command = ["arm-none-eabi-gcc", "-std=c99", "-O2", "-g", *core.flags, "--specs=rdimon.specs", "-DREDZONE_PAINTED"]
    command += [f"-Wl,--section-start=.vectors={core.vectors:#x},-Ttext-segment={core.text:#x}"]
    command += ["-Wl,--wrap=plan_place,--wrap=load_in_place", f"-I{FIRMWARE}", *options]
    subprocess.run([*command, "-o", program, *sources], check=True)
    return program


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What this machine says about each model, with the plain C kernels."""
    program = tmp_path_factory.mktemp("here") / "replay"
    sources = [*sorted(ENGINE.rglob("*.c")), *OWN]
    command = ["gcc", "-std=c99", "-O1", "-DREDZONE_PAINTED", "-Wl,--wrap=plan_place,--wrap=load_in_place"]
    subprocess.run([*command, f"-I{FIRMWARE}", "-o", program, *sources], check=True)
    names = [str(path.relative_to(PROJECT_DIR)) for path in MODELS]
    done = subprocess.run([program, *names], check=True, cwd=PROJECT_DIR, capture_output=True, text=True)
    return done.stdout.splitlines()


def replay(core: Core, program: Path, models: list[Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """The output's lines are "STATUS HASH FILE", of all outputs; what goes wrong is on stderr."""
    names, said = folder / "models.txt", folder / "said.txt"
    names.write_text("".join(f"{path.relative_to(PROJECT_DIR)}\n" for path in models), encoding="ascii")
    said.write_text("", encoding="ascii")
    semihosting = f"enable=on,target=native,arg=replay,arg=@{names},arg={said}"
    command = ["qemu-system-arm", "-M", core.machine, "-nographic", "-monitor", "none", "-serial", "none"]
    done = subprocess.run(
        [*command, "-semihosting-config", semihosting, "-kernel", program],
        check=False,
        cwd=PROJECT_DIR,
        timeout=500,
        capture_output=True,
        text=True,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, said.read_text(encoding="ascii"), done.stderr)


@pytest.mark.parametrize("core", CORES.values(), ids=str)
def test_corpus(core: Core, here: list[str], tmp_path: Path) -> None:
    done = replay(core, build(tmp_path, core), MODELS, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert len(lines) == len(MODELS)
    # An arena may be too small on one machine only, whose records are larger.
    pairs = [pair for pair in zip(here, lines, strict=True) if not any(line.startswith("-4 ") for line in pair)]
    assert [line for line, _ in pairs] == [line for _, line in pairs]
    assert len({line.split()[1] for line in lines}) > 100, "so many models give an output, each its own"


def test_a_kernel_that_leaves_its_tensor_is_noticed(tmp_path: Path) -> None:
    core = CORES["m4"]
    sabotage = ['-DSABOTAGE="load_target"', "-Wl,--wrap=load_source,--wrap=load_target", str(FUZZ / "sabotage.c")]
    done = replay(core, build(tmp_path, core, *sabotage), [FUZZ / "corpus" / "relu-1.tflite"], tmp_path)
    assert done.returncode != 0
    assert "redzone: a kernel wrote" in done.stderr
