/* SPDX-License-Identifier: Apache-2.0 */
/* LPUART1, 8N1, its FIFOs off: at 120 MHz a byte comes every 10417 cycles at 115200 baud, every 600 at 2 Mbaud, and its
 * interrupt takes about 70 instructions. RM0432, chapter LPUART. */
#include "boards/board.h"
#include "soc/serial.h"
#include "soc/stm32l4/clock_tree.h"
#include "soc/stm32l4/registers.h"
#include "soc/stm32l4/stm32l4.h"

enum {
    LPUART1 = 0x40008000,
    LPUART_CR1 = LPUART1 + 0x00,
    LPUART_CR2 = LPUART1 + 0x04,
    LPUART_CR3 = LPUART1 + 0x08,
    LPUART_BRR = LPUART1 + 0x0C,
    LPUART_ISR = LPUART1 + 0x1C,
    LPUART_ICR = LPUART1 + 0x20,
    LPUART_RDR = LPUART1 + 0x24,
    LPUART_TDR = LPUART1 + 0x28,

    CR1_ENABLE = 1 << 0,
    CR1_RECEIVE = 1 << 2,
    CR1_TRANSMIT = 1 << 3,
    CR1_RX_IRQ = 1 << 5, /* a byte, or an overrun */
    CR1_TX_IRQ = 1 << 7, /* TDR is free */

    ISR_OVERRUN = 1 << 3,
    ISR_RX_FULL = 1 << 5,
    ISR_TX_COMPLETE = 1 << 6,
    ISR_TX_EMPTY = 1 << 7,
    ICR_ALL_ERRORS = 15 << 0, /* parity, framing, noise, overrun */

    CCIPR_LPUART1 = 3 << 10, /* 0: PCLK1 */

    FAULT_SPIN = 1000000, /* far more than a byte takes */

    /* The LPUART could do 20 times as much; the ST-LINK/V2-1 between it and the host is good for this. */
    BAUD_MAX = 2000000,
    BAUD_MIN = CLOCK_CORE_HZ / 4096 + 1,
};

static struct serial serial;
static uint32_t present_baud;

static void start_tx(void)
{
    if (ring_count(&serial.tx) != 0) {
        *cortexm_register(LPUART_CR1) |= CR1_TX_IRQ;
    }
}

/* It is off: the only time at which the rate may be written. */
static void start(uint32_t baud)
{
    present_baud = baud;
    *cortexm_register(LPUART_BRR) = clock_lpuart_divider(baud);
    *cortexm_register(LPUART_CR1) = CR1_ENABLE | CR1_RECEIVE | CR1_TRANSMIT | CR1_RX_IRQ;
}

void stm32l4_lpuart_init(uint32_t baud)
{
    serial_init(&serial, start_tx);
    stm32l4_modify(RCC_CCIPR, CCIPR_LPUART1, 0);
    stm32l4_clock_enable(RCC_APB1ENR2, RCC_APB1ENR2_LPUART1);
    *cortexm_register(LPUART_CR1) = 0; /* the rest may be written only while it is off */
    *cortexm_register(LPUART_CR2) = 0;
    *cortexm_register(LPUART_CR3) = 0;
    start(baud);
    cortexm_irq_enable(STM32L4_LPUART1_IRQ);
}

void stm32l4_lpuart_isr(void)
{
    uint32_t status = *cortexm_register(LPUART_ISR);
    if ((status & ISR_RX_FULL) != 0) {
        serial_received(&serial, (uint8_t)*cortexm_register(LPUART_RDR)); /* reading it clears the flag */
    }
    if ((status & ISR_OVERRUN) != 0) { /* RDR kept the byte before the loss; those after it are gone */
        serial_lost(&serial);
    }
    *cortexm_register(LPUART_ICR) = status & ICR_ALL_ERRORS;

    uint8_t byte;
    if ((status & ISR_TX_EMPTY) != 0 && (*cortexm_register(LPUART_CR1) & CR1_TX_IRQ) != 0) {
        if (ring_take(&serial.tx, &byte)) {
            *cortexm_register(LPUART_TDR) = byte;
        } else {
            *cortexm_register(LPUART_CR1) &= ~(uint32_t)CR1_TX_IRQ;
        }
    }
}

int stm32l4_lpuart_read(uint8_t *bytes, size_t capacity)
{
    return serial_read(&serial, bytes, capacity);
}

void stm32l4_lpuart_write(const uint8_t *bytes, size_t count)
{
    serial_write(&serial, bytes, count);
}

void stm32l4_lpuart_flush(void)
{
    serial_wait_sent(&serial);
    /* One or two bytes' time: the interrupt that finds the queue empty switches itself off, then the last bit goes. */
    while ((*cortexm_register(LPUART_CR1) & CR1_TX_IRQ) != 0) {
    }
    stm32l4_wait(LPUART_ISR, ISR_TX_COMPLETE, ISR_TX_COMPLETE);
}

uint32_t stm32l4_lpuart_capacity(void)
{
    return SERIAL_RX_BYTES;
}

uint32_t stm32l4_lpuart_baud(void)
{
    return present_baud;
}

uint32_t stm32l4_lpuart_baud_max(void)
{
    return BAUD_MAX;
}

bool stm32l4_lpuart_baud_possible(uint32_t baud)
{
    return baud >= BAUD_MIN && baud <= BAUD_MAX;
}

int stm32l4_lpuart_set_baud(uint32_t baud)
{
    if (!stm32l4_lpuart_baud_possible(baud)) {
        return BOARD_E_BAUD;
    }
    uint32_t mask = cortexm_irq_mask();
    *cortexm_register(LPUART_CR1) = 0;
    start(baud);
    cortexm_irq_restore(mask);
    return BOARD_OK;
}

void cortexm_fault_putc(char character)
{
    for (uint32_t i = 0; i < FAULT_SPIN && (*cortexm_register(LPUART_ISR) & ISR_TX_EMPTY) == 0; i++) {
        /* bounded: the fault may have come before the UART was there */
    }
    *cortexm_register(LPUART_TDR) = (uint8_t)character;
}
