/* SPDX-License-Identifier: Apache-2.0 */
#include "boards/board.h"

#include "soc/cortexm/cortexm.h"
#include "soc/stm32l4/stm32l4.h"

/* UM2179: the ST-LINK's virtual COM port is on LPUART1, Arduino D7 is PF13. DS12023: LPUART1 on PG7/PG8 is AF8. */
enum {
    UART_TX_PIN = 7,
    UART_RX_PIN = 8,
    UART_FUNCTION = 8,
    TIMING_PIN = 13,
};

extern const cortexm_handler irq_table[STM32L4_IRQ_COUNT];
CORTEXM_IRQ_TABLE const cortexm_handler irq_table[STM32L4_IRQ_COUNT] = {
    [STM32L4_TIM2_IRQ] = stm32l4_time_isr,
    [STM32L4_LPUART1_IRQ] = stm32l4_lpuart_isr,
};

static bool has_cycles;

void board_init(void)
{
    stm32l4_clock_tree_init();
    stm32l4_time_init();
    stm32l4_pin_output(STM32L4_PORT_F, TIMING_PIN);
    stm32l4_vddio2_enable(); /* before port G */
    stm32l4_pin_alternate(STM32L4_PORT_G, UART_TX_PIN, UART_FUNCTION);
    stm32l4_pin_alternate(STM32L4_PORT_G, UART_RX_PIN, UART_FUNCTION);
    stm32l4_lpuart_init(TJ_BAUD);
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
    return stm32l4_time_us();
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
    return stm32l4_lpuart_read(bytes, capacity);
}

void board_uart_write(const uint8_t *bytes, size_t count)
{
    stm32l4_lpuart_write(bytes, count);
}

void board_uart_flush(void)
{
    stm32l4_lpuart_flush();
}

uint32_t board_uart_capacity(void)
{
    return stm32l4_lpuart_capacity();
}

uint32_t board_uart_baud(void)
{
    return stm32l4_lpuart_baud();
}

uint32_t board_uart_baud_max(void)
{
    return stm32l4_lpuart_baud_max();
}

bool board_uart_baud_possible(uint32_t baud)
{
    return stm32l4_lpuart_baud_possible(baud);
}

int board_uart_set_baud(uint32_t baud)
{
    return stm32l4_lpuart_set_baud(baud);
}

void board_timing_pin_set(bool high)
{
    stm32l4_pin_set(STM32L4_PORT_F, TIMING_PIN, high);
}
