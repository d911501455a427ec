/* SPDX-License-Identifier: Apache-2.0 */
#include "boards/board.h"

#include "soc/cmsdk/cmsdk.h"
#include "soc/cortexm/cortexm.h"

/* The bus and all peripherals. The core's own clock is whatever QEMU was told: TJ_CORE_HZ, from board.ini. */
enum { BUS_HZ = 25000000 };

extern const cortexm_handler irq_table[CMSDK_IRQ_COUNT];
CORTEXM_IRQ_TABLE const cortexm_handler irq_table[CMSDK_IRQ_COUNT] = {
    [CMSDK_UART0_RX_IRQ] = cmsdk_uart_rx_isr,
    [CMSDK_UART0_TX_IRQ] = cmsdk_uart_tx_isr,
    [CMSDK_TIMER0_IRQ] = cmsdk_timer_isr,
};

static bool has_cycles;

void board_init(void)
{
    cmsdk_clock_init(BUS_HZ);
    cmsdk_uart_init(BUS_HZ, TJ_BAUD);
    board_timing_pin_set(true);
    has_cycles = cortexm_cycles_start();
}

const char *board_name(void)
{
    return TJ_BOARD_NAME;
}

uint32_t board_core_hz(void)
{
    return TJ_CORE_HZ;
}

uint64_t board_clock_us(void)
{
    return cmsdk_clock_us();
}

bool board_cycles(uint32_t *cycles)
{
    if (has_cycles) {
        *cycles = cortexm_cycles();
    }
    return has_cycles;
}

int board_uart_read(uint8_t *bytes, size_t capacity)
{
    return cmsdk_uart_read(bytes, capacity);
}

void board_uart_write(const uint8_t *bytes, size_t count)
{
    cmsdk_uart_write(bytes, count);
}

void board_uart_flush(void)
{
    cmsdk_uart_flush();
}

void board_timing_pin_set(bool high)
{
    cmsdk_led_set(high);
}
