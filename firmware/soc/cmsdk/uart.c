/* SPDX-License-Identifier: Apache-2.0 */
/* CMSDK APB UART: one byte of buffer each way. Cortex-M System Design Kit TRM (DDI 0479), 4.3. */
#include "soc/cmsdk/cmsdk.h"

#include "boards/board.h"
#include "soc/cortexm/cortexm.h"
#include "soc/serial.h"

enum {
    DATA = 0x00,
    STATE = 0x04,
    CTRL = 0x08,
    INTSTATUS = 0x0C, /* read: pending; write 1: clear */
    BAUDDIV = 0x10,   /* 20 bits, at least 16 */

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
    DIVIDER_MIN = 16,
    DIVIDER_MAX = (1 << 20) - 1,
};

static struct serial serial;
static uint32_t present_baud;
static uint64_t byte_time_us;

static volatile uint32_t *uart(uint32_t offset)
{
    return cortexm_register(cmsdk_uart.base + offset);
}

/* Give the transmitter the next byte if it has room; its interrupt then asks for the one after it. */
static void start_tx(void)
{
    uint8_t byte;
    if ((*uart(STATE) & STATE_TX_FULL) == 0 && ring_take(&serial.tx, &byte)) {
        *uart(DATA) = byte;
    }
}

static uint32_t divider(uint32_t baud)
{
    return (cmsdk_uart.clock_hz + baud / 2u) / baud;
}

static void use_baud(uint32_t baud)
{
    present_baud = baud;
    byte_time_us = (1000000u * (uint32_t)BITS_PER_BYTE + baud - 1u) / baud;
    *uart(BAUDDIV) = divider(baud);
}

void cmsdk_uart_init(uint32_t baud)
{
    serial_init(&serial, start_tx);
    use_baud(baud);
    *uart(CTRL) = CTRL_TX_ENABLE | CTRL_RX_ENABLE | CTRL_TX_IRQ | CTRL_RX_IRQ;
    /* Throw away what may be in the buffer from before. QEMU needs this read as well: it looks again whether the UART
     * can receive only after one, not when the receiver is switched on, and would leave the first bytes unread. */
    (void)*uart(DATA);
    cortexm_irq_enable(cmsdk_uart.rx_irq);
    cortexm_irq_enable(cmsdk_uart.tx_irq);
}

void cmsdk_uart_rx_isr(void)
{
    /* Acknowledged before draining: a byte that comes after the last look then raises the interrupt again. The other
     * way round its request would be wiped out and the byte left there for ever. */
    *uart(INTSTATUS) = INT_RX;
    uint32_t state = *uart(STATE);
    while ((state & (STATE_RX_FULL | STATE_RX_OVERRUN)) != 0) {
        if ((state & STATE_RX_FULL) != 0) {
            serial_received(&serial, (uint8_t)*uart(DATA));
        }
        if ((state & STATE_RX_OVERRUN) != 0) {
            *uart(STATE) = STATE_RX_OVERRUN;
            serial_lost(&serial);
        }
        state = *uart(STATE);
    }
}

void cmsdk_uart_tx_isr(void)
{
    *uart(INTSTATUS) = INT_TX;
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
    while ((*uart(STATE) & STATE_TX_FULL) != 0) {
        /* under one byte's time; its interrupt comes as this ends */
    }
    /* The buffer is free once the byte is in the shift register, which has no flag: give it the time it needs. */
    uint64_t end_us = board_clock_us() + byte_time_us + 1u;
    while (board_clock_us() < end_us) {
    }
}

uint32_t cmsdk_uart_capacity(void)
{
    return SERIAL_RX_BYTES;
}

uint32_t cmsdk_uart_baud(void)
{
    return present_baud;
}

uint32_t cmsdk_uart_baud_max(void)
{
    return cmsdk_uart.clock_hz / DIVIDER_MIN;
}

bool cmsdk_uart_baud_possible(uint32_t baud)
{
    if (baud == 0 || baud > cmsdk_uart_baud_max() || divider(baud) > DIVIDER_MAX) {
        return false;
    }
    uint32_t made = divider(baud) * baud; /* what the clock would have to be: below 1.5 times of what it is */
    uint32_t error = made > cmsdk_uart.clock_hz ? made - cmsdk_uart.clock_hz : cmsdk_uart.clock_hz - made;
    return error < cmsdk_uart.clock_hz / 50u; /* 2 % */
}

int cmsdk_uart_set_baud(uint32_t baud)
{
    if (!cmsdk_uart_baud_possible(baud)) {
        return BOARD_E_BAUD;
    }
    use_baud(baud);
    return BOARD_OK;
}

void cortexm_fault_putc(char character)
{
    while ((*uart(STATE) & STATE_TX_FULL) != 0) {
    }
    *uart(DATA) = (uint8_t)character;
}
