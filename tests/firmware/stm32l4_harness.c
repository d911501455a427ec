/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the STM32L4 port's code on this machine against registers that are memory, and prints every write in order as
 * `address value`. What the chip would answer by itself (ready flags) is in react(). Compiled with -include of
 * stm32l4_registers.h in the place of soc/cortexm/cortexm.h. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/board.h"
#include "soc/cortexm/cortexm.h"
#include "soc/stm32l4/clock_tree.h"
#include "soc/stm32l4/stm32l4.h"

enum { TIM2_SR = 0x40000010, TIM2_CNT = 0x40000024 };

static struct {
    uint32_t address, value, shown;
} registers[64];
static size_t register_count;
static uint32_t wrap_before; /* TIM2 wraps just before this register is looked at; 0: it does not */

static void set(uint32_t address, uint32_t value);

static uint32_t *slot(uint32_t address)
{
    for (size_t i = 0; i < register_count; i++) {
        if (registers[i].address == address) {
            return &registers[i].value;
        }
    }
    registers[register_count].address = address;
    return &registers[register_count++].value;
}

/* What was written since the last look, shown, and what the hardware makes of it. */
static void react(void)
{
    for (size_t i = 0; i < register_count; i++) {
        if (registers[i].value != registers[i].shown) {
            registers[i].shown = registers[i].value;
            printf("%08x %08x\n", (unsigned)registers[i].address, (unsigned)registers[i].value);
        }
    }
    uint32_t cr = *slot(0x40021000);
    set(0x40021000, (cr & ~(1u << 25)) | 1u << 1 | (cr & 1u << 24) << 1); /* MSIRDY; PLLRDY follows PLLON */
    uint32_t cfgr = *slot(0x40021008);
    set(0x40021008, (cfgr & ~0xCu) | (cfgr & 3u) << 2); /* SWS follows SW */
    uint32_t bdcr = *slot(0x40021090);
    set(0x40021090, (bdcr & ~2u) | (bdcr & 1u) << 1); /* LSERDY follows LSEON */
}

static void set(uint32_t address, uint32_t value)
{
    *slot(address) = value;
    for (size_t i = 0; i < register_count; i++) {
        if (registers[i].address == address) {
            registers[i].shown = value;
        }
    }
}

volatile uint32_t *cortexm_register(uint32_t address)
{
    react();
    if (address == wrap_before) {
        wrap_before = 0;
        set(TIM2_CNT, 5);
        set(TIM2_SR, 1);
    }
    return slot(address);
}

uint32_t cortexm_irq_mask(void)
{
    return 0;
}

void cortexm_irq_restore(uint32_t mask)
{
    (void)mask;
}

void cortexm_sleep(void)
{
    stm32l4_lpuart_isr();
}

void cortexm_irq_enable(uint32_t irq)
{
    react();
    printf("irq %u\n", (unsigned)irq);
}

bool cortexm_cycles_start(void)
{
    return true;
}

uint32_t cortexm_cycles(void)
{
    return 0;
}

/* A read of the clock at `count` with a wrap before the look at one of the timer's registers, one more once the
 * interrupt has come. */
static void show_time(uint32_t count, uint32_t wrap)
{
    set(TIM2_CNT, count);
    wrap_before = wrap;
    unsigned long long first = stm32l4_time_us();
    if ((*slot(TIM2_SR) & 1u) != 0) {
        stm32l4_time_isr();
        set(TIM2_SR, 0); /* it wrote 0 to the flag; the other bits of that write have no effect */
    }
    printf("time %llu %llu\n", first, (unsigned long long)stm32l4_time_us());
}

static void show_uart(void)
{
    uint8_t bytes[8];
    set(0x4000801C, 1u << 5 | 1u << 6 | 1u << 7); /* a byte has come, nothing is being sent */
    set(0x40008024, 'a');
    int count = board_uart_read(bytes, sizeof bytes);
    printf("read %d %c\n", count, bytes[0]);
    set(0x4000801C, 1u << 3 | 1u << 5 | 1u << 6 | 1u << 7); /* and one more, others were lost after it */
    printf("read %d\n", board_uart_read(bytes, sizeof bytes));
    set(0x4000801C, 1u << 6 | 1u << 7);
    board_uart_write((const uint8_t *)"xyz", 3);
    for (int i = 0; i < 4; i++) {
        stm32l4_lpuart_isr();
    }
    board_uart_flush();
    react();
}

/* Each rate that a host may ask for: whether it is possible, and what the registers hold then. */
static void show_rates(void)
{
    static const uint32_t rates[] = {0,      9600,    29295,   29301,   115200,  230400,     460800,
                                     921600, 1000000, 1500000, 2000000, 2000001, 4294967295U};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        int status = board_uart_set_baud(rates[i]);
        printf("rate %u %d %u %u %u\n", (unsigned)rates[i], status, (unsigned)board_uart_baud(),
               (unsigned)*slot(0x4000800C), (unsigned)*slot(0x40008000));
    }
}

int main(void)
{
    set(0x40021000, 0x63);       /* RCC_CR at reset: MSI on, ready, 4 MHz */
    set(0x40007000, 0x200);      /* PWR_CR1: range 1 */
    set(0x40007080, 0x100);      /* PWR_CR5: normal mode */
    set(0x40022000, 0x600);      /* FLASH_ACR: caches on */
    set(0x48001400, 0xFFFFFFFF); /* ports F and G: analog */
    set(0x48001800, 0xFFFFFFFF);
    board_init();
    react();
    printf("core %d nominal %d baud %u\n", (int)CLOCK_CORE_HZ, (int)CLOCK_NOMINAL_HZ,
           (unsigned)clock_lpuart_divider(115200));
    show_time(7, 0);
    show_time(0xFFFFFFFF, TIM2_CNT);
    show_time(0xFFFFFFFE, TIM2_SR);
    printf("uart\n");
    show_uart();
    show_rates();
    return 0;
}
