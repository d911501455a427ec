"""Start-up, faults, clock and UART of the Cortex-M ports: small programs on the real port code, run in QEMU."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flags import CORTEX_M4, FIRMWARE

DEFINES = ['-DTJ_BOARD_NAME="mps2_an386"', "-DTJ_CORE_HZ=125000000", "-DTJ_BAUD=115200"]
PRELUDE = """
#include "boards/board.h"
#include "soc/cortexm/cortexm.h"
#include <string.h>
int main(void);
static void say(const char *text) { board_uart_write((const uint8_t *)text, strlen(text)); }
static void fail(const char *text) { say(text); say("\\nend\\n"); for (;;) { } }
"""


def link(folder: Path, body: str, script: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Compile `body` with the mps2 port into folder/test.elf."""
    (folder / "test.c").write_text(PRELUDE + body)
    sources = [
        folder / "test.c",
        FIRMWARE / "soc/serial.c",
        *sorted((FIRMWARE / "soc/cortexm").glob("*.c")),
        *sorted((FIRMWARE / "soc/cmsdk").glob("*.c")),
        FIRMWARE / "boards/mps2_an386/board.c",
    ]
    command = ["arm-none-eabi-gcc", *CORTEX_M4, *DEFINES, "-std=c99", "-O1", "-g", f"-I{FIRMWARE}", f"-L{FIRMWARE}"]
    command += ["-nostartfiles", "--specs=nano.specs", f"-T{script}", *flags, *map(str, sources)]
    return subprocess.run([*command, "-o", str(folder / "test.elf")], check=False, capture_output=True, text=True)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Run a program in QEMU and return what it says up to the line `end`.

    Once it says `ready`, it is sent `sent`, and nothing more is read of it for `pause_s`.
    """
    children = []

    def run(body: str, *flags: str, sent: bytes = b"", pause_s: float = 0.0) -> str:
        result = link(tmp_path, body, FIRMWARE / "boards/mps2_an386/board.ld", *flags)
        assert result.returncode == 0, result.stderr
        ours, theirs = socket.socketpair()
        with ours, theirs:
            qemu = ["qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-nodefaults"]
            qemu += ["-chardev", f"socket,id=uart0,fd={theirs.fileno()}", "-serial", "chardev:uart0"]
            child = subprocess.Popen(
                [*qemu, "-kernel", str(tmp_path / "test.elf")],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
            children.append(child)
            theirs.close()
            text = ""
            with ours.makefile("rb", buffering=0) as stream:
                while (line := stream.readline().decode()) and line.strip() != "end":
                    text += line
                    if line.strip() == "ready":
                        ours.sendall(sent)
                        time.sleep(pause_s)
                    if line.startswith("e-[Fault"):
                        break
        return text

    yield run
    for child in children:
        child.kill()
        child.communicate()


def test_memory_and_fpu_are_ready_before_main(run: Callable[..., str]) -> None:
    body = """
    static volatile uint32_t initialised[3] = {1, 0xDEADBEEF, 3};
    static volatile uint8_t zeroed[4097];
    static volatile float factor = 1.5F;
    int main(void)
    {
        if (initialised[0] != 1 || initialised[1] != 0xDEADBEEF || initialised[2] != 3) { fail(".data"); }
        for (uint32_t i = 0; i < sizeof zeroed; i++) { if (zeroed[i] != 0) { fail(".bss"); } }
        if (factor * factor != 2.25F) { fail("FPU"); }
        board_init();
        uint32_t cycles = 7;
        say(board_cycles(&cycles) || cycles != 7 ? "cycles" : "good");
        fail("");
    }
    """
    assert run(body).strip() == "good"


def test_a_fault_says_where(run: Callable[..., str], tmp_path: Path) -> None:
    text = run("""
    int main(void) { board_init(); *(volatile uint32_t *)0xF0000000 = 1; fail("went on"); return 0; }
    """)
    match = re.search(r"e-\[Fault: cfsr ([0-9a-f]{8}) pc ([0-9a-f]{8}) lr [0-9a-f]{8}; reset the board\]", text)
    assert match, text
    assert int(match[1], 16) & 0x8200 == 0x8200  # precise data bus error, address known
    where = subprocess.run(
        ["arm-none-eabi-addr2line", "-f", "-e", str(tmp_path / "test.elf"), match[2]],
        check=True,
        capture_output=True,
        text=True,
    )
    assert where.stdout.startswith("main\n")


def test_an_unexpected_interrupt_is_a_fault(run: Callable[..., str]) -> None:
    text = run("""
    int main(void)
    {
        board_init();
        cortexm_irq_enable(30);
        *cortexm_register(0xE000E200) = 1u << 30; /* pend it */
        fail("went on");
    }
    """)
    assert "e-[Fault: cfsr 00020000" in text  # INVSTATE: address 0 is no Thumb code


def test_a_stack_overflow_faults(run: Callable[..., str]) -> None:
    text = run(
        """
    static volatile uint8_t arena[64];
    static uint32_t deeper(uint32_t depth)
    {
        volatile uint8_t frame[512];
        frame[0] = (uint8_t)depth;
        return deeper(depth + 1) + frame[0];
    }
    int main(void) { board_init(); arena[0] = 1; fail(deeper(0) != 0 ? "went on" : ""); }
    """,
        "-fno-optimize-sibling-calls",
    )
    assert "stack overflow; reset the board]" in text


def test_the_clock_is_right_across_the_wrap_of_its_counter(run: Callable[..., str]) -> None:
    text = run("""
    int main(void)
    {
        board_init();
        *cortexm_register(0x40028018) = 0xFFFFF000; /* 4 ms before the counter wraps */
        uint64_t before = board_clock_us();
        uint64_t last = before;
        while (last - before < 200000) {
            uint64_t now = board_clock_us();
            if (now < last || now - last > 10000000) { fail("jumped"); }
            last = now;
        }
        if (*cortexm_register(0x40028018) >= 0x80000000) { fail("not across"); }
        fail("good");
    }
    """)
    assert text.strip() == "good"


def test_the_refresh_interrupt_keeps_the_clock_when_nobody_asks(run: Callable[..., str]) -> None:
    # Two wraps with nobody reading but the timer's interrupt, which is made to come at once instead of after 171.8 s.
    text = run("""
    static void refresh(void)
    {
        uint32_t mask = cortexm_irq_mask();
        *cortexm_register(0x40000004) = 100; /* TIMER0 VALUE */
        cortexm_sleep();                     /* wakes when its interrupt is pending ... */
        cortexm_irq_restore(mask);           /* ... which is taken here */
    }
    int main(void)
    {
        board_init();
        for (uint32_t wrap = 0; wrap < 2; wrap++) {
            *cortexm_register(0x40028018) = 0x80000000; refresh();
            *cortexm_register(0x40028018) = 0; refresh();
        }
        /* The counter did not start from 0, so this is two wraps less that. */
        fail((board_clock_us() + 0x80000000u) >> 32 == 2 ? "good" : "lost a wrap");
    }
    """)
    assert text.strip() == "good"


def test_received_bytes_come_in_order_and_a_loss_is_told_once(run: Callable[..., str]) -> None:
    # The program sleeps through 3000 bytes with a queue of 1024, then the sender goes on.
    text = run(
        """
    static uint8_t bytes[64];
    int main(void)
    {
        board_init();
        say("ready\\n");
        uint64_t start = board_clock_us();
        while (board_clock_us() - start < 500000) { }
        if (board_uart_read(bytes, sizeof bytes) != BOARD_E_OVERRUN) { fail("no overrun"); }
        say("overrun\\nready\\n");
        uint32_t count = 0;
        for (;;) {
            int got = board_uart_read(bytes, 7);
            if (got < 1 || got > 7) { fail("bad count"); }
            for (int i = 0; i < got; i++, count++) {
                if (bytes[i] != "abc"[count % 3]) { fail("order"); }
                if (count == 2999) { fail("good"); }
            }
        }
    }
    """,
        sent=b"abc" * 1000,
    )
    assert text.split() == ["ready", "overrun", "ready", "good"]


def test_a_long_reply_arrives_whole(run: Callable[..., str]) -> None:
    text = run("""
    int main(void)
    {
        board_init();
        for (uint32_t i = 0; i < 5000; i++) { say("0123456789"); } /* far more than the queue holds */
        say("\\n");
        board_uart_flush();
        fail("flushed");
    }
    """)
    assert text == "0123456789" * 5000 + "\nflushed\n"


def test_nothing_interrupts_after_a_flush(run: Callable[..., str]) -> None:
    """The promise a timed window rests on. Masked, so that an interrupt that comes stays pending and is seen."""
    # Nobody reads for 0.3 s: the program fills the line until its UART is stuck, then flushes and looks for 0.6 s.
    text = run(
        """
    static void wait(uint64_t us) { uint64_t start = board_clock_us(); while (board_clock_us() - start < us) { } }
    static int stuck(void) { return (*cortexm_register(0x40004004) & 1) != 0; } /* UART0 STATE: TX full */
    int main(void)
    {
        board_init();
        say("ready\\n");
        do {
            say("x");
            if (stuck()) { wait(20000); }
        } while (!stuck());
        board_uart_flush();
        (void)cortexm_irq_mask();
        wait(600000);
        uint32_t pending = *cortexm_register(0xE000E200); /* NVIC ISPR0 */
        cortexm_irq_restore(0);
        fail(pending == 0 ? "\\ngood" : "\\ninterrupt");
    }
    """,
        pause_s=0.3,
    )
    assert text.split()[-1] == "good"


def test_what_does_not_fit_is_a_linker_error(tmp_path: Path) -> None:
    result = link(tmp_path, "int main(void) { fail(0); return 0; }", FIRMWARE / "boards/template/board.ld")
    assert result.returncode != 0
    assert "region `FLASH' overflowed" in result.stderr
    assert "region `RAM' overflowed" in result.stderr


def test_a_small_stack_is_a_linker_error(tmp_path: Path) -> None:
    script = tmp_path / "small.ld"
    text = (FIRMWARE / "boards/mps2_an386/board.ld").read_text()
    assert "__stack_bytes = 16K" in text
    script.write_text(text.replace("__stack_bytes = 16K", "__stack_bytes = 4K"))
    result = link(tmp_path, "int main(void) { fail(0); return 0; }", script)
    assert result.returncode != 0
    assert "the stack must be 8 KB at least" in result.stderr
