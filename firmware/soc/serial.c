/* SPDX-License-Identifier: Apache-2.0 */
#include "soc/serial.h"

#include "boards/board.h"
#include "soc/cortexm/cortexm.h"

void serial_init(struct serial *serial, void (*start_transmitter)(void))
{
    serial->rx = (struct ring){.bytes = serial->rx_bytes, .size = SERIAL_RX_BYTES};
    serial->tx = (struct ring){.bytes = serial->tx_bytes, .size = SERIAL_TX_BYTES};
    serial->overrun = false;
    serial->start_tx = start_transmitter;
}

void serial_received(struct serial *serial, uint8_t byte)
{
    if (!ring_put(&serial->rx, byte)) {
        serial_lost(serial);
    }
}

void serial_lost(struct serial *serial)
{
    serial->loss_at = serial->rx.put_count;
    serial->overrun = true;
}

int serial_read(struct serial *serial, uint8_t *bytes, size_t capacity)
{
    /* Masked while looking, or the byte could come between the look and the sleep. A masked interrupt still wakes. */
    uint32_t mask = cortexm_irq_mask();
    while (ring_count(&serial->rx) == 0 && !serial->overrun) {
        cortexm_sleep();
        cortexm_irq_restore(mask);
        mask = cortexm_irq_mask();
    }
    bool overrun = serial->overrun;
    if (overrun) { /* everything received before the loss is dropped, what came after it stays */
        serial->overrun = false;
        serial->rx.taken_count = serial->loss_at;
    }
    /* Counted here: a loss from now on is behind these bytes, and the next call tells it before what follows it. */
    uint32_t available = ring_count(&serial->rx);
    cortexm_irq_restore(mask);

    if (overrun) {
        return BOARD_E_OVERRUN;
    }
    size_t count = 0;
    while (count < capacity && count < available && ring_take(&serial->rx, &bytes[count])) {
        count++;
    }
    return (int)count;
}

static void start_tx(struct serial *serial)
{
    uint32_t mask = cortexm_irq_mask();
    serial->start_tx();
    cortexm_irq_restore(mask);
}

void serial_write(struct serial *serial, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        while (!ring_put(&serial->tx, bytes[i])) {
            uint32_t mask = cortexm_irq_mask();
            serial->start_tx();
            if (ring_count(&serial->tx) == SERIAL_TX_BYTES) {
                cortexm_sleep(); /* the transmitter's next interrupt makes room */
            }
            cortexm_irq_restore(mask);
        }
    }
    start_tx(serial);
}

void serial_wait_sent(struct serial *serial)
{
    uint32_t mask = cortexm_irq_mask();
    while (ring_count(&serial->tx) != 0) {
        cortexm_sleep();
        cortexm_irq_restore(mask);
        mask = cortexm_irq_mask();
    }
    cortexm_irq_restore(mask);
}
