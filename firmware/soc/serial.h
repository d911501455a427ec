/* SPDX-License-Identifier: Apache-2.0 */
/* What every interrupt-driven UART of a Cortex-M needs above its registers: two queues, sleeping while there is
 * nothing to do, and the loss of received bytes made known. A driver owns one of these, calls serial_received() and
 * serial_lost() from its interrupt, takes from `tx` there, and gives the rest to board.h. */
#ifndef TJ_SOC_SERIAL_H
#define TJ_SOC_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "soc/ring.h"

#ifndef TJ_RX_BYTES
#define TJ_RX_BYTES 1024 /* custom_rx_bytes of board.ini: what the host may send while an inference runs */
#endif

enum { SERIAL_RX_BYTES = TJ_RX_BYTES, SERIAL_TX_BYTES = 1024 };

/* The build stops here if a size is no power of two. */
extern char check_serial_rx[(SERIAL_RX_BYTES & (SERIAL_RX_BYTES - 1)) == 0 ? 1 : -1];

struct serial {
    struct ring rx; /* put by the interrupt */
    struct ring tx; /* taken by the interrupt */
    volatile bool overrun;
    volatile uint32_t loss_at; /* rx.put_count when bytes were lost last; holds while `overrun` is set */
    void (*start_tx)(void);    /* make the transmitter take from `tx`; called with interrupts masked */
    volatile uint8_t rx_bytes[SERIAL_RX_BYTES];
    volatile uint8_t tx_bytes[SERIAL_TX_BYTES];
};

/* Empty queues. Before anything else, and before the driver's interrupts are on. */
void serial_init(struct serial *serial, void (*start_tx)(void));

/* From the interrupt: a byte has arrived / bytes that followed the last one have been lost. */
void serial_received(struct serial *serial, uint8_t byte);
void serial_lost(struct serial *serial);

/* board_uart_read() and board_uart_write() as board.h has them. From main only. */
int serial_read(struct serial *serial, uint8_t *bytes, size_t capacity);
void serial_write(struct serial *serial, const uint8_t *bytes, size_t count);

/* Sleeps until `tx` is empty. The last byte may still be on its way through the shift register: that is the driver's.
 */
void serial_wait_sent(struct serial *serial);

#endif
