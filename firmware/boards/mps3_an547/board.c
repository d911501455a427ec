/* SPDX-License-Identifier: Apache-2.0 */
/* What the AN547 image has where, by the addresses of the secure state: DAI 0547 and the SSE-300 TRM (101773). */
#include "soc/cmsdk/cmsdk.h"
#include "soc/cortexm/cortexm.h"
#include "soc/mps/mps.h"
#include "soc/sse300/sse300.h"

enum {
    UART_HZ = 25000000,

    UART0_RX_IRQ = 33,
    UART0_TX_IRQ = 34,
    IRQ_COUNT = 128,
};

const uint32_t mps_fpgaio = 0x59302000;

const struct cmsdk_uart cmsdk_uart = {
    .base = 0x59303000, .clock_hz = UART_HZ, .rx_irq = UART0_RX_IRQ, .tx_irq = UART0_TX_IRQ};

const struct sse300_clock sse300_clock = {
    .ticks_per_us_log2 = 5 /* 32 MHz */, .control = 0x58100000, .status = 0x58101000};

extern const cortexm_handler irq_table[IRQ_COUNT];
CORTEXM_IRQ_TABLE const cortexm_handler irq_table[IRQ_COUNT] = {
    [UART0_RX_IRQ] = cmsdk_uart_rx_isr,
    [UART0_TX_IRQ] = cmsdk_uart_tx_isr,
};
