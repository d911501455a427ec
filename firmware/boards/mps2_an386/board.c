/* SPDX-License-Identifier: Apache-2.0 */
/* What the AN386 image has where: DAI 0386, memory map and interrupts. */
#include "soc/cmsdk/cmsdk.h"
#include "soc/cortexm/cortexm.h"
#include "soc/mps/mps.h"
#include "soc/mps2/mps2.h"

enum {
    BUS_HZ = 25000000,

    UART0_RX_IRQ = 0,
    UART0_TX_IRQ = 1,
    TIMER0_IRQ = 8,
    IRQ_COUNT = 32,
};

const uint32_t mps_fpgaio = 0x40028000;

const struct cmsdk_uart cmsdk_uart = {
    .base = 0x40004000, .clock_hz = BUS_HZ, .rx_irq = UART0_RX_IRQ, .tx_irq = UART0_TX_IRQ};

const struct mps2_clock mps2_clock = {.clock_hz = BUS_HZ, .timer = 0x40000000, .timer_irq = TIMER0_IRQ};

extern const cortexm_handler irq_table[IRQ_COUNT];
CORTEXM_IRQ_TABLE const cortexm_handler irq_table[IRQ_COUNT] = {
    [UART0_RX_IRQ] = cmsdk_uart_rx_isr,
    [UART0_TX_IRQ] = cmsdk_uart_tx_isr,
    [TIMER0_IRQ] = mps2_clock_isr,
};
