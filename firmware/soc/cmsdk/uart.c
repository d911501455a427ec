/* SPDX-License-Identifier: Apache-2.0 */
/* CMSDK APB UART: one byte of buffer each way. Cortex-M System Design Kit TRM (DDI 0479), 4.3. */
#include "soc/cmsdk/cmsdk.h"

#include "soc/cortexm/cortexm.h"
#include "soc/serial.h"

enum {
    UART0 = 0x40004000,
    DATA = UART0 + 0x00,
    STATE = UART0 + 0x04,
    CTRL = UART0 + 0x08,
    INTSTATUS = UART0 + 0x0C, /* read: pending; write 1: clear */
    BAUDDIV = UART0 + 0x10,   /* at least 16 */

    STATE_TX_FULL = 1 << 0,
    STATE_RX_FULL = 1 << 1,
    STATE_RX_OVERRUN = 1 << 3, /* write 1: clear */

    CTRL_TX_ENABLE = 1 << 0,
    CTRL_RX_ENABLE = 1 << 1,
    CTRL_TX_IRQ = 1 << 2,
    CTRL_RX_IRQ = 1 << 3,

    INT_TX = 1 << 0,
    INT_RX = 1 << 1,

    BITS_PER_BYTE = 10, /* 8N1 */
};

static struct serial serial;
static uint64_t byte_time_us;

/* Give the transmitter the next byte if it has room; its interrupt then asks for the one after it. */
static void start_tx(void)
{
    uint8_t byte;
    if ((*cortexm_register(STATE) & STATE_TX_FULL) == 0 && ring_take(&serial.tx, &byte)) {
        *cortexm_register(DATA) = byte;
    }
}

void cmsdk_uart_init(uint32_t clock_hz, uint32_t baud)
{
    serial.start_tx = start_tx;
    byte_time_us = (1000000u * (uint32_t)BITS_PER_BYTE + baud - 1u) / baud;
    *cortexm_register(BAUDDIV) = (clock_hz + baud / 2u) / baud;
    *cortexm_register(CTRL) = CTRL_TX_ENABLE | CTRL_RX_ENABLE | CTRL_TX_IRQ | CTRL_RX_IRQ;
    /* Throw away what may be in the buffer from before. QEMU needs this read as well: it looks again whether the UART
     * can receive only after one, not when the receiver is switched on, and would leave the first bytes unread. */
    (void)*cortexm_register(DATA);
    cortexm_irq_enable(CMSDK_UART0_RX_IRQ);
    cortexm_irq_enable(CMSDK_UART0_TX_IRQ);
}

void cmsdk_uart_rx_isr(void)
{
    /* Acknowledged before draining: a byte that comes after the last look then raises the interrupt again. The other
     * way round its request would be wiped out and the byte left there for ever. */
    *cortexm_register(INTSTATUS) = INT_RX;
    uint32_t state = *cortexm_register(STATE);
    while ((state & (STATE_RX_FULL | STATE_RX_OVERRUN)) != 0) {
        if ((state & STATE_RX_FULL) != 0) {
            serial_received(&serial, (uint8_t)*cortexm_register(DATA));
        }
        if ((state & STATE_RX_OVERRUN) != 0) {
            *cortexm_register(STATE) = STATE_RX_OVERRUN;
            serial_lost(&serial);
        }
        state = *cortexm_register(STATE);
    }
}

void cmsdk_uart_tx_isr(void)
{
    *cortexm_register(INTSTATUS) = INT_TX;
    start_tx();
}

int cmsdk_uart_read(uint8_t *bytes, size_t capacity)
{
    return serial_read(&serial, bytes, capacity);
}

void cmsdk_uart_write(const uint8_t *bytes, size_t count)
{
    serial_write(&serial, bytes, count);
}

void cmsdk_uart_flush(void)
{
    serial_wait_sent(&serial);
    while ((*cortexm_register(STATE) & STATE_TX_FULL) != 0) {
        /* under one byte's time; its interrupt comes as this ends */
    }
    /* The buffer is free once the byte is in the shift register, which has no flag: give it the time it needs. */
    uint64_t end_us = cmsdk_clock_us() + byte_time_us + 1u;
    while (cmsdk_clock_us() < end_us) {
    }
}

void cortexm_fault_putc(char character)
{
    while ((*cortexm_register(STATE) & STATE_TX_FULL) != 0) {
    }
    *cortexm_register(DATA) = (uint8_t)character;
}
