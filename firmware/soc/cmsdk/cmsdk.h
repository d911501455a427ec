/* SPDX-License-Identifier: Apache-2.0 */
/* Arm's CMSDK peripherals as on the MPS2 boards (AN385, AN386, AN500): UART0, the FPGAIO block and timer 0. */
#ifndef TJ_SOC_CMSDK_H
#define TJ_SOC_CMSDK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CMSDK_UART0_RX_IRQ = 0,
    CMSDK_UART0_TX_IRQ = 1,
    CMSDK_TIMER0_IRQ = 8,
    CMSDK_IRQ_COUNT = 32,
};

/* UART0 at `baud`, from the bus clock of `clock_hz`; 8N1. The rest is board.h's contract. */
void cmsdk_uart_init(uint32_t clock_hz, uint32_t baud);
int cmsdk_uart_read(uint8_t *bytes, size_t capacity);
void cmsdk_uart_write(const uint8_t *bytes, size_t count);
void cmsdk_uart_flush(void);
void cmsdk_uart_rx_isr(void);
void cmsdk_uart_tx_isr(void);

/* The microsecond clock from 0; timer 0 interrupts once in 2^32 bus clocks to keep it whole. */
void cmsdk_clock_init(uint32_t clock_hz);
uint64_t cmsdk_clock_us(void);
void cmsdk_timer_isr(void);

/* User LED 0 of the FPGAIO block. */
void cmsdk_led_set(bool on);

#endif
