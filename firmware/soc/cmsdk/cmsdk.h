/* SPDX-License-Identifier: Apache-2.0 */
/* Arm's CMSDK APB UART, as FPGA images of Arm's have it: the one that talks to the host. */
#ifndef TJ_SOC_CMSDK_H
#define TJ_SOC_CMSDK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where it is and which interrupts it raises: the board's, constant, so that a fault before board_init() can use it. */
struct cmsdk_uart {
    uint32_t base;
    uint32_t clock_hz; /* what the baud rate is divided from */
    uint32_t rx_irq;
    uint32_t tx_irq;
};
extern const struct cmsdk_uart cmsdk_uart;

/* `baud`, 8N1. The rest is board.h's contract. */
void cmsdk_uart_init(uint32_t baud);
int cmsdk_uart_read(uint8_t *bytes, size_t capacity);
void cmsdk_uart_write(const uint8_t *bytes, size_t count);
void cmsdk_uart_flush(void);
uint32_t cmsdk_uart_capacity(void);
uint32_t cmsdk_uart_baud(void);
uint32_t cmsdk_uart_baud_max(void);
bool cmsdk_uart_baud_possible(uint32_t baud);
int cmsdk_uart_set_baud(uint32_t baud);

/* The board's interrupt table leads here. */
void cmsdk_uart_rx_isr(void);
void cmsdk_uart_tx_isr(void);

#endif
