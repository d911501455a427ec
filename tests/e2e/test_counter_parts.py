"""Counts of several functions, and of the parts between an observer's calls: exact on a program counted by hand."""

import subprocess
from pathlib import Path

import pytest

from host import emulator
from host.boards import get_board
from host.build import Image
from host.emulator.counter import InstructionCounter, ObservedRun
from host.errors import SetupError
from host.link import open_link

# engine_run_observed calls parts of 1, 2 and 3 turns, and the observer after each, by pointer as C does. The observer
# calls a helper of its own by pointer too, and returns behind the BLX that called itself.
PROGRAM = """
    .syntax unified
    .thumb
    .section .vectors, "a"
    .word 0x20010000
    .word reset + 1
    .text
    .thumb_func
    .global reset
    .type reset, %function
reset:
    bl engine_load
    bl engine_run
    bl engine_run_observed
    bl engine_run_observed
    ldr r1, =0x40004000 @ CMSDK UART
    movs r2, #1
    str r2, [r1, #8]
    movs r2, #65
    str r2, [r1]
sleep:
    wfi
    b sleep
    .ltorg

    .thumb_func
    .global engine_load
    .type engine_load, %function
engine_load:
    nop
    nop
    bx lr

    .thumb_func
    .global engine_run
    .type engine_run, %function
engine_run:
    nop
    bx lr

    .thumb_func
    .global engine_run_observed
    .type engine_run_observed, %function
engine_run_observed:
    push {r4, r5, r6, lr}
    bl engine_run       @ no call of its own
    movs r4, #1
    ldr r5, =part + 1
    ldr r6, =profile_observe + 1
again:
    blx r5
    blx r6
    adds r4, #1
    cmp r4, #4
    bne again
    pop {r4, r5, r6, pc}
    .ltorg

    .thumb_func
part:
    mov r0, r4
turn:
    subs r0, #1
    bne turn
    bx lr

    .thumb_func
    .global profile_observe
    .type profile_observe, %function
profile_observe:
    push {r4, lr}
    ldr r4, =helper + 1
    cmp r4, #0
    beq out
    blx r4
    nop
out:
    pop {r4, pc}
    .ltorg

    .thumb_func
helper:
    nop
    bx lr
"""
PARTS = (4 + 3 + 1 + 4 + 1, 3 + 1 + 6 + 1, 3 + 1 + 8 + 1)  # before it, its BLX, the part, the observer's BLX
REST = 4
OBSERVER = 3 * (5 + 2 + 2)
WHOLE = sum(PARTS) + REST + OBSERVER


@pytest.fixture(scope="module")
def elf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    (folder / "program.S").write_text(PROGRAM)
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-nostdlib"]
    layout = "-Wl,-Ttext=0x100,--section-start=.vectors=0,--entry=reset"
    subprocess.run([*command, layout, "-o", folder / "program.elf", folder / "program.S"], check=True)
    return folder / "program.elf"


def test_functions_and_parts_are_those_counted_by_hand(elf):
    image = Image(
        board=get_board("mps2_an386"), elf=elf, map=Path(elf), build_id="", version="", engine="", compiler="",
        flags="", sha256="", sizes={}, models=(),
    )  # fmt: skip
    with emulator.start(image, timed=True) as board:
        link = open_link(board.url, 115200)
        for _ in range(2):
            assert link.read(20) == b"A"
            assert board.take_load_counts() == [3]
            assert board.take_instruction_counts() == [2]
            assert board.take_observed_runs() == 2 * [ObservedRun(PARTS, REST, OBSERVER)]
            assert board.take_load_counts() == board.take_instruction_counts() == board.take_observed_runs() == []
            board.reset()
        link.close()


def test_counts_are_told_apart_by_function(elf, tmp_path):
    names = ("engine_run_observed", "engine_load")
    counter = InstructionCounter(elf, tmp_path, names)
    command = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "stdio"]
    with subprocess.Popen([*command, *counter.qemu_arguments, "-kernel", elf], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"A"
        process.kill()
    assert counter.take("engine_load") == [3]
    assert counter.take() == [WHOLE, WHOLE]
    assert counter.take("engine_load") == counter.take() == counter.take_observed() == []


def test_a_function_that_is_not_there_is_an_error(elf, tmp_path):
    for functions, observed in ((["nothing"], None), (["engine_run"], ("engine_run", "nothing"))):
        with pytest.raises(SetupError, match="no function 'nothing'"):
            InstructionCounter(elf, tmp_path, functions, observed)
    with pytest.raises(SetupError, match="0 calls of profile_observe"):
        InstructionCounter(elf, tmp_path, ["profile_observe"])
