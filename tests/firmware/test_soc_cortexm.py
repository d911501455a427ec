"""Start-up, faults, clock and UART of the Cortex-M ports: small programs on the real port code, run in QEMU."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flags import FIRMWARE, cpu_flags, port_sources

from host.boards import find_boards, get_board

DEFINES = ["-DTJ_CORE_HZ=125000000", "-DTJ_BAUD=115200"]
PRELUDE = """
#include "boards/board.h"
#include "soc/cmsdk/cmsdk.h"
#include "soc/cortexm/cortexm.h"
#include "soc/mps/mps.h"
#include <string.h>
int main(void);
static void say(const char *text) { board_uart_write((const uint8_t *)text, strlen(text)); }
static void fail(const char *text) { say(text); say("\\nend\\n"); for (;;) { } }
"""
BOARDS = [board.name for board in find_boards().values() if board.emulator == "qemu"]
FAMILY_OF = {name: "sse300" if "sse300" in str(port_sources(name)) else "mps2" for name in BOARDS}
MPS2 = [name for name in BOARDS if FAMILY_OF[name] == "mps2"]
SSE300 = [name for name in BOARDS if FAMILY_OF[name] == "sse300"]


@dataclass(frozen=True, slots=True)
class Port:
    """A board's port, compiled."""

    name: str
    objects: tuple[Path, ...]

    @property
    def script(self) -> Path:
        """Where its memories are."""
        return FIRMWARE / "boards" / self.name / "board.ld"

    def compiler(self, *words: object) -> list[str]:
        command = ["arm-none-eabi-gcc", *cpu_flags(self.name), *DEFINES, f'-DTJ_BOARD_NAME="{self.name}"', "-std=c99"]
        return [*command, "-O1", "-g", f"-I{FIRMWARE}", f"-L{FIRMWARE}", *map(str, words)]


def compile_port(name: str, folder: Path) -> Port:
    """The board's folder and its SoC's, as they are."""
    sources = port_sources(name)
    port = Port(name, tuple(folder / f"{source.parent.name}_{source.stem}.o" for source in sources))
    for source, made in zip(sources, port.objects, strict=True):
        subprocess.run(port.compiler("-c", source, "-o", made), check=True)
    return port


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Port]:
    """Every port is compiled once."""
    compiled: dict[str, Port] = {}

    def port(name: str) -> Port:
        if name not in compiled:
            compiled[name] = compile_port(name, tmp_path_factory.mktemp(name))
        return compiled[name]

    return port


@pytest.fixture(params=BOARDS)
def port(request: pytest.FixtureRequest, ports: Callable[[str], Port]) -> Port:
    return ports(request.param)


def link(port: Port, folder: Path, body: str, script: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Compile `body` with the port into folder/test.elf."""
    (folder / "test.c").write_text(PRELUDE + body)
    command = port.compiler(
        "-nostartfiles", "--specs=nano.specs", f"-T{script}", *flags, folder / "test.c", *port.objects
    )
    return subprocess.run([*command, "-o", str(folder / "test.elf")], check=False, capture_output=True, text=True)


@pytest.fixture
def run(port: Port, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Run a program in QEMU and return what it says up to the line `end`.

    Once it says `ready`, it is sent `sent`, and nothing more is read of it for `pause_s`.
    """
    children = []

    def run(body: str, *flags: str, sent: bytes = b"", pause_s: float = 0.0) -> str:
        result = link(port, tmp_path, body, port.script, *flags)
        assert result.returncode == 0, result.stderr
        machine = get_board(port.name).qemu_machine
        assert machine is not None
        ours, theirs = socket.socketpair()
        with ours, theirs:
            qemu = ["qemu-system-arm", "-M", machine, "-display", "none", "-nodefaults"]
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


@pytest.mark.parametrize("port", ["mps3_an547"], indirect=True)
def test_vectors_and_their_loops_are_ready_before_main(run: Callable[..., str]) -> None:
    body = """
    #include <arm_mve.h>
    static volatile uint32_t count = 19;
    static int8_t bytes[32];
    int main(void)
    {
        board_init();
        for (int32_t i = 0; i < 32; i++) { bytes[i] = (int8_t)(i - 20); }
        const int8_t *from = bytes;
        int32_t sum = 0;
        for (int32_t left = (int32_t)count; left > 0; left -= 16, from += 16) {
            mve_pred16_t some = vctp8q((uint32_t)left);
            sum = vaddvaq_p_s8(sum, vldrbq_z_s8(from, some), some);
        }
        uint32_t loops;
        __asm volatile("movs %0, #0; dlstp.8 lr, %1; 1: adds %0, %0, #1; letp lr, 1b"
                       : "=&r"(loops) : "r"(count) : "lr", "cc");
        fail(sum == -209 && loops == 2 ? "good" : "wrong");
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
    # The guard itself: the MPU on Armv7-M, the stack pointer's limit on Armv8-M. Not a bus that has nothing there.
    assert re.search(r"cfsr (00000092|00100000) ", text), text


# Stands at the counter that the clock is made from: its low half, and how often it counts.
COUNTER = {
    "mps2": """
    static uint32_t get(void) { return *cortexm_register(mps_fpgaio + 0x18); }
    static void set(uint32_t count) { *cortexm_register(mps_fpgaio + 0x18) = count; }
    enum { COUNTS_PER_US = 1 };
    """,
    "sse300": """
    #include "soc/sse300/sse300.h"
    static uint32_t get(void) { return *cortexm_register(sse300_clock.status); }
    static void set(uint32_t count) { *cortexm_register(sse300_clock.control + 8) = count; }
    enum { COUNTS_PER_US = 32 };
    """,
}


def test_the_clock_is_right_across_the_wrap_of_its_counter(run: Callable[..., str], port: Port) -> None:
    text = run(
        COUNTER[FAMILY_OF[port.name]]
        + """
    int main(void)
    {
        board_init();
        set(0u - 4000u * COUNTS_PER_US); /* 4 ms before the counter wraps */
        uint64_t before = board_clock_us();
        uint64_t last = before;
        while (last - before < 200000) {
            uint64_t now = board_clock_us();
            if (now < last || now - last > 10000000) { fail("jumped"); }
            last = now;
        }
        if (get() >= 0x80000000) { fail("not across"); }
        fail("good");
    }
    """
    )
    assert text.strip() == "good"


@pytest.mark.parametrize("port", MPS2, indirect=True)
def test_the_refresh_interrupt_keeps_the_clock_when_nobody_asks(run: Callable[..., str]) -> None:
    # Two wraps with nobody reading but the timer's interrupt, which is made to come at once instead of after 171.8 s.
    text = run(
        COUNTER["mps2"]
        + """
    #include "soc/mps2/mps2.h"
    static void refresh(void)
    {
        uint32_t mask = cortexm_irq_mask();
        *cortexm_register(mps2_clock.timer + 4) = 100; /* VALUE */
        cortexm_sleep();                               /* wakes when its interrupt is pending ... */
        cortexm_irq_restore(mask);                     /* ... which is taken here */
    }
    int main(void)
    {
        board_init();
        for (uint32_t wrap = 0; wrap < 2; wrap++) {
            set(0x80000000); refresh();
            set(0); refresh();
        }
        /* The counter did not start from 0, so this is two wraps less that. */
        fail((board_clock_us() + 0x80000000u) >> 32 == 2 ? "good" : "lost a wrap");
    }
    """
    )
    assert text.strip() == "good"


@pytest.mark.parametrize("port", SSE300, indirect=True)
def test_the_system_counter_is_read_whole(run: Callable[..., str]) -> None:
    text = run(
        COUNTER["sse300"]
        + """
    int main(void)
    {
        board_init();
        *cortexm_register(sse300_clock.control + 12) = 64; /* the high half */
        uint64_t seconds = board_clock_us() / 1000000u;
        fail(seconds == (64ull << 32) / 32000000u ? "good" : "another time");
    }
    """
    )
    assert text.strip() == "good"


def test_the_timing_pin_is_the_first_led(run: Callable[..., str]) -> None:
    text = run("""
    int main(void)
    {
        board_init();
        volatile uint32_t *led = cortexm_register(mps_fpgaio);
        if ((*led & 1) != 1) { fail("low at rest"); }
        *led = 3;
        board_timing_pin_set(false);
        if (*led != 2) { fail("low"); }
        board_timing_pin_set(true);
        fail(*led == 3 ? "good" : "high");
    }
    """)
    assert text.strip() == "good"


def test_received_bytes_come_in_order_and_a_loss_is_told_once(run: Callable[..., str]) -> None:
    # The program lets 3000 bytes go by with a queue of 1024, then the sender goes on.
    text = run(
        """
    #include "soc/serial.h"
    void __real_serial_received(struct serial *serial, uint8_t byte);
    void __wrap_serial_received(struct serial *serial, uint8_t byte);
    static volatile uint32_t arrived;
    void __wrap_serial_received(struct serial *serial, uint8_t byte)
    {
        __real_serial_received(serial, byte);
        arrived++;
    }
    static uint8_t bytes[64];
    int main(void)
    {
        board_init();
        say("ready\\n");
        while (arrived < 3000) { }
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
        "-Wl,--wrap=serial_received",
        sent=b"abc" * 1000,
    )
    assert text.split() == ["ready", "overrun", "ready", "good"]


def test_as_many_bytes_wait_as_the_board_says(run: Callable[..., str]) -> None:
    """All of a queue as large as TJ_RX_BYTES, none of them lost; one more would be."""
    text = run(
        """
    #include "soc/serial.h"
    void __real_serial_received(struct serial *serial, uint8_t byte);
    void __wrap_serial_received(struct serial *serial, uint8_t byte);
    static volatile uint32_t arrived;
    void __wrap_serial_received(struct serial *serial, uint8_t byte)
    {
        __real_serial_received(serial, byte);
        arrived++;
    }
    static uint8_t bytes[64];
    static int take(uint32_t count)
    {
        while (count > 0) {
            int got = board_uart_read(bytes, count < sizeof bytes ? count : sizeof bytes);
            if (got < 0) { return got; }
            count -= (uint32_t)got;
        }
        return 0;
    }
    int main(void)
    {
        board_init();
        uint32_t capacity = board_uart_capacity();
        if (capacity != SERIAL_RX_BYTES || capacity != 1024) { fail("another size"); }
        say("ready\\n");
        while (arrived < capacity) { }
        if (take(capacity) != 0) { fail("lost one"); }
        say("ready\\n");
        while (arrived < 2 * capacity) { }
        if (take(capacity) != 0) { fail("lost one after a wrap"); }
        fail("good");
    }
    """,
        "-Wl,--wrap=serial_received",
        sent=b"x" * 1024,
    )
    assert text.split() == ["ready", "ready", "good"]


@pytest.mark.parametrize("size", [1000, 0])
def test_a_queue_that_is_no_power_of_two_does_not_compile(size: int, tmp_path: Path) -> None:
    command = ["arm-none-eabi-gcc", "-std=c99", f"-DTJ_RX_BYTES={size}", f"-I{FIRMWARE}", "-c"]
    source = FIRMWARE / "soc" / "serial.c"
    done = subprocess.run([*command, str(source), "-o", str(tmp_path / "x.o")], capture_output=True, check=False)
    assert done.returncode != 0


def test_rates_are_divided_from_the_uarts_clock(run: Callable[..., str]) -> None:
    text = run("""
    static int error_permille(uint32_t baud)
    {
        uint32_t made = cmsdk_uart.clock_hz / *cortexm_register(cmsdk_uart.base + 0x10);
        uint32_t error = made > baud ? made - baud : baud - made;
        return (int)((uint64_t)error * 1000u / baud);
    }
    int main(void)
    {
        static const uint32_t standard[] = {9600, 115200, 230400, 460800, 921600, 1000000};
        board_init();
        if (board_uart_baud() != TJ_BAUD || board_uart_baud_max() != cmsdk_uart.clock_hz / 16) { fail("start"); }
        for (uint32_t i = 0; i < sizeof standard / sizeof standard[0]; i++) {
            board_uart_flush();
            if (!board_uart_baud_possible(standard[i])) { continue; }
            if (board_uart_set_baud(standard[i]) != BOARD_OK) { fail("refused"); }
            if (board_uart_baud() != standard[i] || error_permille(standard[i]) >= 20) { fail("wrong"); }
        }
        if (!board_uart_baud_possible(9600) || !board_uart_baud_possible(230400)) { fail("impossible"); }
        uint32_t present = board_uart_baud();
        uint32_t divider = *cortexm_register(cmsdk_uart.base + 0x10);
        static const uint32_t wrong[] = {0, 1, 10, 4294967295u};
        for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
            if (board_uart_set_baud(wrong[i]) != BOARD_E_BAUD) { fail("taken"); }
        }
        if (board_uart_set_baud(board_uart_baud_max() + 1) != BOARD_E_BAUD) { fail("over the top"); }
        /* between the last two dividers: 3 % off either way */
        if (board_uart_set_baud(cmsdk_uart.clock_hz / 33 * 2) != BOARD_E_BAUD) { fail("3 % off"); }
        if (board_uart_baud() != present || *cortexm_register(cmsdk_uart.base + 0x10) != divider) { fail("changed"); }
        fail("good");
    }
    """)
    assert text.strip() == "good"


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
    static int stuck(void) { return (*cortexm_register(cmsdk_uart.base + 4) & 1) != 0; } /* STATE: TX full */
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
        uint32_t pending = 0;
        for (uint32_t at = 0; at < 16; at += 4) { /* NVIC ISPR and ISER: pending, and let through */
            pending |= *cortexm_register(0xE000E200 + at) & *cortexm_register(0xE000E100 + at);
        }
        cortexm_irq_restore(0);
        fail(pending == 0 ? "\\ngood" : "\\ninterrupt");
    }
    """,
        pause_s=0.3,
    )
    assert text.split()[-1] == "good"


@pytest.mark.parametrize("port", ["mps2_an386"], indirect=True)
def test_what_does_not_fit_is_a_linker_error(port: Port, tmp_path: Path) -> None:
    result = link(port, tmp_path, "int main(void) { fail(0); return 0; }", FIRMWARE / "boards/template/board.ld")
    assert result.returncode != 0
    assert "region `FLASH' overflowed" in result.stderr
    assert "region `RAM' overflowed" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("__stack_bytes = 16K", "__stack_bytes = 4K", "the stack must be 8 KB at least"),
        ("ORIGIN = 0x00000000", "ORIGIN = 0x00000080", "VTOR wants the table aligned"),
        ("ORIGIN = 0x20000000", "ORIGIN = 0x20000400", "start-up guards the 64 KB below the stack"),
    ],
)
@pytest.mark.parametrize("port", ["mps2_an386"], indirect=True)
def test_a_bad_layout_is_a_linker_error(port: Port, old: str, new: str, words: str, tmp_path: Path) -> None:
    script = tmp_path / "bad.ld"
    text = port.script.read_text()
    assert old in text
    script.write_text(text.replace(old, new))
    result = link(port, tmp_path, "int main(void) { fail(0); return 0; }", script)
    assert result.returncode != 0
    assert words in result.stderr
