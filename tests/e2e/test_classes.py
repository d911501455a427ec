"""Executed instructions by class: those of a program counted by hand, and as many as the instruction counter sees."""

import subprocess
from pathlib import Path

import pytest

from host import emulator
from host.boards import get_board
from host.build import Image
from host.device import Device
from host.emulator.classes import ClassCounter, classify, load_costs
from host.errors import SetupError
from host.link import open_link

# engine_run with 3 in r4: a loop of three turns, a call, a division, FPU instructions and a constant in the code.
PROGRAM = """
    .syntax unified
    .thumb
    .fpu fpv4-sp-d16
    .section .vectors, "a"
    .word 0x20010000
    .word reset + 1
    .text
    .thumb_func
    .global reset
    .type reset, %function
reset:
    ldr r1, =0xE000ED88 @ CPACR
    mov r0, #0xf00000
    str r0, [r1]
    dsb
    isb
    mov r4, #3
    bl engine_run
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
    push {r4-r6, lr}
    ldr r5, =0x20000104
    vmov s0, r4
loop:
    ldr r0, [r5]
    ldr r1, [r5, #4]        @ pipelined
    ldr r2, [r5, r0, lsl #0]
    ldr r2, [r2]            @ needs the result of the one before: not pipelined
    str r1, [r5]
    str r1, [r5, r4]
    smlad r2, r0, r1, r2
    subs r4, #1
    bne loop
    bl helper
    movs r0, #4
    udiv r0, r0, r0
    vdiv.f32 s1, s0, s0
    vmla.f32 s1, s0, s0
    vadd.f32 s1, s0, s0
    vstr s1, [r5]
    vldr d1, [r5]
    ldrd r0, r1, [r5]
    cbz r5, over
    b over
    .ltorg
over:
    pop {r4-r6, pc}
    .org 0x6fc
    .thumb_func
helper:                     @ at 0x7fc: its second instruction lies on both sides of a page's end
    cmp r4, #0
    mov.w r0, r0
    ite eq
    moveq r0, #1
    movne r0, #2
    bx lr
"""
EXPECTED = {
    "multiple": 3,  # push, ldrd, pop
    "register": 4 + 2 + 4 + 1,  # and the second word of d1
    "load": 1 + 3 * 2,
    "load_behind_load": 3 * 2,  # [r5, r0] needs r0, but not the r1 that is loaded in front of it
    "float": 2,
    "store": 3,
    "store_indexed": 3,
    "multiply": 3,
    "branch": 3 + 1 + 1 + 1 + 1,
    "refill": 2 + 1 + 1 + 1 + 1,  # the loop's, bl, bx, b, pop
    "plain": 3 + 1 + 5,
    "divide": 1,
    "float_divide": 1,
    "float_accumulate": 1,
    "float_transfer": 2,
}


def image_of(elf):
    return Image(
        board=get_board("mps2_an386"), elf=elf, map=Path(elf), build_id="", version="", engine="", compiler="",
        flags="", sha256="", sizes={}, models=(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def elf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    (folder / "program.S").write_text(PROGRAM)
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-nostdlib"]
    layout = "-Wl,-Ttext=0x100,--section-start=.vectors=0,--entry=reset"
    subprocess.run([*command, layout, "-o", folder / "program.elf", folder / "program.S"], check=True)
    return folder / "program.elf"


def test_the_classes_are_those_counted_by_hand(elf, tmp_path):
    counter = ClassCounter(elf, tmp_path)
    with emulator.start(image_of(elf), timed=True, qemu_arguments=counter.qemu_arguments) as board:
        link = open_link(board.url, 115200)
        for _ in range(2):
            assert link.read(20) == b"A"
            (counts,) = counter.take()
            assert counts == EXPECTED
            total = sum(counts.values()) - counts["register"] - counts["refill"]
            assert board.take_instruction_counts() == [total]
            assert counter.take() == []
            board.reset()
        link.close()


def test_the_estimate_is_the_sum_of_the_table(elf):
    costs = load_costs()
    assert "TRM" in costs.source
    assert set(EXPECTED) <= set(costs.cycles) | set(costs.extra)
    assert costs.estimate({"plain": 10, "load": 3, "refill": 4}) == 10 + 2 * 3 + 2 * 4
    with pytest.raises(KeyError):
        costs.estimate({"nothing": 1})


@pytest.mark.parametrize(
    ("line", "kind", "registers"),
    [
        ("smull\tr0, r1, r2, r3", "multiply", 0),
        ("smlald\tr0, r1, r2, r3", "multiply", 0),
        ("smusd\tr0, r1, r2", "multiply", 0),
        ("smmlar\tr0, r1, r2, r3", "multiply", 0),
        ("muls\tr0, r1", "multiply", 0),
        ("sxtb16\tr0, r1, ror #8", "plain", 0),
        ("bics\tr0, r1", "plain", 0),
        ("bfi\tr0, r1, #0, #1", "plain", 0),
        ("bls.n\t10c <f+0xc>", "branch", 0),
        ("blt.w\t10c <f+0xc>", "branch", 0),
        ("cbnz\tr0, 10c <f+0xc>", "branch", 0),
        ("tbb\t[pc, r3]", "table_branch", 0),
        ("ldrsh.w\tr0, [r1, #2]!", "load", 0),
        ("ldrlt\tr0, [r1]", "load", 0),
        ("ldrd\tr0, r1, [sp, #8]", "multiple", 2),
        ("strdne\tr0, r1, [sp, #8]", "multiple", 2),
        ("ldmia.w\tr0!, {r1, r2, r8}", "multiple", 3),
        ("stmdb\tsp!, {r4-r11, lr}", "multiple", 9),
        ("vpush\t{d8-d9}", "multiple", 4),
        ("vldmia\tr0!, {s0-s3}", "multiple", 4),
        ("strb.w\tr0, [r1, r2]", "store_indexed", 0),
        ("strb.w\tr0, [r1], #1", "store", 0),
        ("str.w\tr0, [r1, #-4]!", "store", 0),
        ("vfma.f32\ts0, s1, s2", "float_accumulate", 0),
        ("vsqrt.f32\ts0, s1", "float_divide", 0),
        ("vldr\td0, [pc, #4]\t@ 10c <f+0xc>", "float_transfer", 1),
        ("vcvt.s32.f32\ts0, s0", "float", 0),
        ("vmrs\tAPSR_nzcv, fpscr", "float", 0),
    ],
)
def test_what_binutils_print_is_classified(line, kind, registers):
    (instruction,) = classify([f"     10c:\t{line}"]).values()
    assert (instruction.kind, instruction.registers) == (kind, registers)


def test_a_program_that_does_not_call_the_engine_is_refused(tmp_path):
    (tmp_path / "empty.S").write_text(".thumb\n.global engine_run\n.type engine_run, %function\nengine_run: bx lr\n")
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-nostdlib", "-Wl,--entry=engine_run"]
    subprocess.run([*command, "-o", tmp_path / "empty.elf", tmp_path / "empty.S"], check=True)
    with pytest.raises(SetupError, match="no call of engine_run"):
        ClassCounter(tmp_path / "empty.elf", tmp_path)


def test_the_firmwares_classes_add_up_to_its_count(firmware_image, tmp_path):
    image = firmware_image("mps2_an386")
    if not image.models:
        pytest.skip("no model could be had on this machine: the image is empty")
    counter = ClassCounter(image.elf, tmp_path)
    with (
        emulator.start(image, timed=True, qemu_arguments=counter.qemu_arguments) as board,
        Device(open_link(board.url, 115200)) as device,
    ):
        device.wait_boot()
        info = device.info()
        assert info is not None
        device.load(bytes(info.input_bytes))
        device.infer(2, 0)
        first, second = counter.take()
        assert first == second
        counts = board.take_instruction_counts()
        assert [sum(first.values()) - first["register"] - first["refill"]] * 2 == counts
        assert load_costs().estimate(first) > counts[0]
