"""The STM32L4R5 port without the chip: its code runs here against registers that are memory, and the order and the
values of its writes are held against the reference manual (RM0432)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from flags import FIRMWARE

from host.build import Image

HARNESS = Path(__file__).with_name("stm32l4_harness.c")

# Stands in for soc/cortexm/cortexm.h, which is Arm assembly.
CORTEXM_H = """
#define TJ_SOC_CORTEXM_H
#include <stdbool.h>
#include <stdint.h>
typedef void (*cortexm_handler)(void);
#define CORTEXM_IRQ_TABLE
volatile uint32_t *cortexm_register(uint32_t address);
uint32_t cortexm_irq_mask(void);
void cortexm_irq_restore(uint32_t mask);
void cortexm_sleep(void);
void cortexm_irq_enable(uint32_t irq);
bool cortexm_cycles_start(void);
uint32_t cortexm_cycles(void);
void cortexm_fault_putc(char character);
"""

CR, CFGR, PLLCFGR = 0x40021000, 0x40021008, 0x4002100C
AHB2ENR, APB1ENR1, BDCR = 0x4002104C, 0x40021058, 0x40021090
PWR_CR1, PWR_CR2, PWR_CR5, FLASH_ACR = 0x40007000, 0x40007004, 0x40007080, 0x40022000
TIM2_PSC, LPUART_BRR, LPUART_CR1, LPUART_TDR = 0x40000028, 0x4000800C, 0x40008000, 0x40008028
GPIOF, GPIOG = 0x48001400, 0x48001800


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("stm32l4")
    (folder / "cortexm.h").write_text(CORTEXM_H)
    sources = [
        HARNESS,
        FIRMWARE / "soc/serial.c",
        *sorted((FIRMWARE / "soc/stm32l4").glob("*.c")),
        FIRMWARE / "boards/nucleo_l4r5zi/board.c",
    ]
    command = ["gcc", "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    command += ["-fno-sanitize-recover=all", "-include", str(folder / "cortexm.h"), f"-I{FIRMWARE}"]
    command += ['-DTJ_BOARD_NAME="nucleo_l4r5zi"', "-DTJ_CORE_HZ=120000000", "-DTJ_BAUD=115200"]
    subprocess.run([*command, *map(str, sources), "-o", str(folder / "harness")], check=True)
    result = subprocess.run([str(folder / "harness")], check=True, capture_output=True, text=True, timeout=60)
    return result.stdout.splitlines()


@pytest.fixture(scope="module")
def writes(output: list[str]) -> list[tuple[int, int]]:
    """Every write of board_init() that changed a register: address and value, in order."""
    start = output[: next(i for i, line in enumerate(output) if line.startswith("core "))]
    return [(int(a, 16), int(b, 16)) for a, b in (line.split() for line in start) if a != "irq"]


def first(writes: list[tuple[int, int]], address: int, mask: int, value: int) -> int:
    """Where `address` got `value` in the bits of `mask` for the first time."""
    for index, (place, written) in enumerate(writes):
        if place == address and written & mask == value:
            return index
    pytest.fail(f"{address:#x} never got {value:#x} in {mask:#x}")


def last(writes: list[tuple[int, int]], address: int) -> int:
    return [value for place, value in writes if place == address][-1]


def test_the_clock_tree_makes_120_mhz(output: list[str], writes: list[tuple[int, int]]) -> None:
    pll = last(writes, PLLCFGR)
    assert pll & 3 == 1  # source MSI
    assert pll >> 24 & 1 == 1  # output R on
    divide_in, multiply, divide_out = (pll >> 4 & 15) + 1, pll >> 8 & 127, 2 * (pll >> 25 & 3) + 2
    source_hz = 32768 * 1465
    assert last(writes, CR) >> 4 & 15 == 11  # MSI range 11, 48 MHz
    assert last(writes, CR) & 0xC == 0xC  # range from CR, locked to the crystal
    assert 2.66e6 <= source_hz / divide_in <= 8e6
    assert 64e6 <= source_hz / divide_in * multiply <= 344e6
    core_hz = source_hz / divide_in * multiply / divide_out
    assert core_hz == pytest.approx(120e6, rel=2e-4)
    assert f"core {core_hz:.0f} nominal 120000000" in "\n".join(output)
    assert last(writes, CFGR) & 3 == 3  # the PLL is the system clock
    assert last(writes, CFGR) & 0x3FF0 == 0  # no bus is divided in the end
    assert last(writes, TIM2_PSC) + 1 == pytest.approx(core_hz / 1e6, rel=2e-4)
    assert 256 * core_hz / last(writes, LPUART_BRR) == pytest.approx(115200, rel=5e-3)
    assert 256 * 120e6 / last(writes, LPUART_BRR) == pytest.approx(115200, rel=5e-3)


def test_the_order_is_the_reference_manuals(writes: list[tuple[int, int]]) -> None:
    steps = [
        first(writes, APB1ENR1, 1 << 28, 1 << 28),  # clock of PWR
        first(writes, FLASH_ACR, 15, 5),  # 5 wait states before any speed
        first(writes, PWR_CR1, 1 << 8, 1 << 8),  # backup domain open
        first(writes, BDCR, 1, 1),  # crystal
        first(writes, CR, 0xF8, 0xB8),  # MSI to 48 MHz
        first(writes, CR, 4, 4),  # locked
        first(writes, PWR_CR5, 1 << 8, 0),  # boost
        first(writes, PLLCFGR, 3, 1),
        first(writes, CR, 1 << 24, 1 << 24),  # PLL on
        first(writes, CFGR, 0xF3, 0x80),  # half speed
        first(writes, CFGR, 0xF3, 0x83),  # switched
        first(writes, CFGR, 0xF3, 0x03),  # full speed
    ]
    assert steps == sorted(steps)
    assert last(writes, FLASH_ACR) == 5 | 1 << 8 | 1 << 9 | 1 << 10  # prefetch and both caches


def test_port_g_has_its_supply_before_it_is_used(writes: list[tuple[int, int]]) -> None:
    supply = first(writes, PWR_CR2, 1 << 9, 1 << 9)
    touched = [index for index, (address, _) in enumerate(writes) if GPIOG <= address < GPIOG + 0x400]
    assert touched
    assert supply < min(touched)
    assert last(writes, AHB2ENR) & 0x60 == 0x60


def test_the_pins(writes: list[tuple[int, int]]) -> None:
    assert last(writes, GPIOG) == 0xFFFFFFFF & ~(0xF << 14) | 0xA << 14  # PG7 and PG8 alternate, nothing else
    assert last(writes, GPIOG + 0x20) >> 28 == 8
    assert last(writes, GPIOG + 0x24) & 15 == 8
    assert last(writes, GPIOF) == 0xFFFFFFFF & ~(3 << 26) | 1 << 26  # PF13 output
    high = first(writes, GPIOF + 0x18, 0xFFFFFFFF, 1 << 13)
    assert high < first(writes, GPIOF, 3 << 26, 1 << 26)  # high before it is driven: no pulse


def test_the_clock_reads_right_around_a_wrap(output: list[str]) -> None:
    times = [tuple(map(int, line.split()[1:])) for line in output if line.startswith("time ")]
    wrap = 1 << 32
    assert times[0] == (7, 7)
    # The flag is up and the interrupt has not counted yet: the wrap counts all the same, and not twice afterwards.
    assert times[1] == (wrap + 5, wrap + 5)  # wrapped before the counter was read
    assert times[2] == (2 * wrap + 5, 2 * wrap + 5)  # wrapped between the counter and the flag


def test_the_uart(output: list[str]) -> None:
    lines = output[output.index("uart") + 1 :]
    assert lines.count("read 1 a") == 1
    assert lines.count("read -1") == 1  # BOARD_E_OVERRUN
    sent = [int(line.split()[1], 16) for line in lines if line.startswith(f"{LPUART_TDR:08x} ")]
    assert bytes(sent) == b"xyz"
    last_control = [int(line.split()[1], 16) for line in lines if line.startswith(f"{LPUART_CR1:08x} ")][-1]
    assert last_control & 1 << 7 == 0  # no transmit interrupt is left on


def test_rates_up_to_two_megabaud(output: list[str]) -> None:
    """RM0432: the clock is 3 to 4096 times the rate, the divider has 20 bits. An impossible rate changes nothing."""
    core_hz = 32768 * 1465 / 8 * 40 / 2
    before = 115200
    possible = []
    for line in output:
        if not line.startswith("rate "):
            continue
        rate, status, present, divider, control = map(int, line.split()[1:])
        possible += [rate] if status == 0 else []
        assert present == (rate if status == 0 else before)
        before = present
        assert status in (0, -2)
        assert 0x300 <= divider < 1 << 20
        assert 3 * present <= core_hz <= 4096 * present
        assert 256 * core_hz / divider == pytest.approx(present, rel=2e-3)
        assert control == 1 << 0 | 1 << 2 | 1 << 3 | 1 << 5  # on, both ways, receive interrupt
    assert possible == [29301, 115200, 230400, 460800, 921600, 1000000, 1500000, 2000000]


def test_the_rate_is_written_while_the_uart_is_off(output: list[str]) -> None:
    writes = [line.split() for line in output[output.index("uart") + 1 :] if line.startswith("4000800")]
    enabled = True
    changes = 0
    for address, value in writes:
        if address == f"{LPUART_CR1:08x}":
            enabled = int(value, 16) & 1 == 1
        elif address == f"{LPUART_BRR:08x}":
            assert not enabled
            changes += 1
    assert changes >= 6


def test_the_vector_table_of_the_image(firmware_image: object) -> None:
    image: Image = firmware_image("nucleo_l4r5zi")  # type: ignore[operator]
    listing = subprocess.run(["arm-none-eabi-nm", str(image.elf)], check=True, capture_output=True, text=True).stdout
    symbols = {parts[2]: int(parts[0], 16) for line in listing.splitlines() if len(parts := line.split()) == 3}
    raw = image.elf.with_suffix(".vectors")
    try:
        command = ["arm-none-eabi-objcopy", "-O", "binary", "-j", ".vectors", str(image.elf), str(raw)]
        subprocess.run(command, check=True)
        data = raw.read_bytes()
    finally:
        raw.unlink(missing_ok=True)
    vectors = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
    assert len(vectors) == 16 + 95
    assert symbols["__vectors"] == 0x08000000
    assert vectors[0] == symbols["__stack_top"]
    assert vectors[1] == symbols["cortexm_reset"] | 1
    assert vectors[3] == symbols["cortexm_fault"] | 1
    assert vectors[16 + 28] == symbols["stm32l4_time_isr"] | 1  # TIM2
    assert vectors[16 + 70] == symbols["stm32l4_lpuart_isr"] | 1  # LPUART1
    assert symbols["__stack_base"] == 0x20000000
