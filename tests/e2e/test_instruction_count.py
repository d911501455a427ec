"""Instruction counts: exact on a program whose instructions can be counted by hand, and the same in every run."""

import subprocess
from pathlib import Path

import pytest

from host import emulator
from host.boards import find_boards, get_board
from host.build import Image
from host.device import Device
from host.link import open_link

# Calls engine_run RUNS times, with 1, 2, ... in r4, then sends an A.
RUNS = 4
PROGRAM = f"""
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
    movs r4, #0
    b test              @ the instruction behind the BL is translated before the BL
again:
    bl engine_run
test:
    adds r4, #1
    cmp r4, #{RUNS + 1}
    bne again
    movs r0, #0
    cmp r0, #1
    it eq
    bleq engine_run     @ not taken: no run
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
    .global engine_run
    .type engine_run, %function
engine_run:
    push {{r4, lr}}
    bl helper
    b check
loop:
    nop
    subs r4, #1
    b check
check:
    cmp r4, #1
    bne loop
    pop {{r4, pc}}
helper:
    nop
    bx lr
"""


def count_of(run):
    """Instructions of engine_run with `run` in r4."""
    turns = run - 1
    prologue, helper, test, turn, end = 3, 2, 2, 3, 1
    return prologue + helper + test + turns * (turn + test) + end


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("count")
    (folder / "program.S").write_text(PROGRAM)
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-nostdlib"]
    layout = "-Wl,-Ttext=0x100,--section-start=.vectors=0,--entry=reset"
    elf = folder / "program.elf"
    subprocess.run([*command, layout, "-o", elf, folder / "program.S"], check=True)
    return Image(
        board=get_board("mps2_an386"), elf=elf, map=Path(elf), build_id="", version="", engine="", compiler="",
        flags="", sha256="", sizes={}, models=(),
    )  # fmt: skip


def wait_for_a(link):
    assert link.read(20) == b"A"


def test_the_counts_are_those_counted_by_hand(program):
    expected = [count_of(run) for run in range(1, RUNS + 1)]
    for _ in range(2):
        with emulator.start(program, timed=True) as board:
            link = open_link(board.url, 115200)
            wait_for_a(link)
            assert board.take_instruction_counts() == expected
            assert board.take_instruction_counts() == []
            board.reset()
            wait_for_a(link)
            assert board.take_instruction_counts() == expected
            link.close()


def test_nothing_is_counted_when_not_timed(program):
    with emulator.start(program, timed=False) as board:
        link = open_link(board.url, 115200)
        wait_for_a(link)
        assert board.take_instruction_counts() == []
        link.close()


@pytest.mark.parametrize("name", [board.name for board in find_boards().values() if board.emulator == "qemu"])
def test_an_inference_takes_the_same_instructions_in_every_run(name, firmware_image):
    image = firmware_image(name)
    if not image.models:
        pytest.skip("no model could be had on this machine: the image is empty")
    seen = []
    for _ in range(2):
        with emulator.start(image, timed=True) as board, Device(open_link(board.url, 115200)) as device:
            device.wait_boot()
            device.select_model(image.models[0].id)
            info = device.info()
            assert info is not None
            device.load(bytes(info.input_bytes))
            assert board.take_instruction_counts() == []
            duration_us = device.infer(2, 1).duration_us
            counts = board.take_instruction_counts()
            assert len(counts) == 3
            assert len(set(counts)) == 1
            # 8 ns per instruction, and the clock reads and the loop besides
            assert duration_us == pytest.approx(2 * counts[0] * 0.008, abs=20)
            seen.append(counts)
    assert seen[0] == seen[1]
