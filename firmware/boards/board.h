/* SPDX-License-Identifier: Apache-2.0 */
/* The port contract: what a board has to provide. A port is one folder with these functions, a linker script, a
 * board.ini and a README; `template/` is the list to work through.
 *
 * Rules
 * 1. Everything is called from main(), never from an interrupt, and from one thread only.
 * 2. While an inference is timed the firmware sends nothing and the host is silent: apart from a clock that needs an
 *    overflow interrupt (as rare as it can be made), a board must cause no interrupts of its own then.
 * 3. A port has no other state than its own statics.
 */
#ifndef TJ_BOARD_H
#define TJ_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum board_status {
    BOARD_OK = 0,
    BOARD_E_OVERRUN = -1, /* received bytes were lost since the last read */
    BOARD_E_BAUD = -2     /* this rate is not possible */
};

/* Clocks, UART (custom_baud of board.ini, 8N1), clock and pin (high). Called once, first; an FPU is on by then, because
 * main() may use it. Does not return on a dead oscillator. */
void board_init(void);

/* Short lower-case name, the folder's name, e.g. "nucleo_l4r5zi". Static storage. */
const char *board_name(void);

/* Frequency of the core, in hertz; 0 when it means nothing (a process on a host). */
uint32_t board_core_hz(void);

/* Microseconds since board_init(), monotonic, 64 bits, never wraps in practice. It goes on while the core sleeps.
 * Resolution 1 us or better. Costs under 100 instructions. */
uint64_t board_clock_us(void);

/* The core's cycle counter, 32 bits, wrapping; may stand still while the core sleeps.
 * Returns false, with *cycles untouched, on a core without one (probed once, in board_init). */
bool board_cycles(uint32_t *cycles);

/* Take up to `capacity` (> 0) received bytes. Blocks, asleep (WFI), until there is at least one.
 * Returns how many, or BOARD_E_OVERRUN once after a loss: the bytes received before it are gone too. */
int board_uart_read(uint8_t *bytes, size_t capacity);

/* Queue `count` bytes to be sent. Blocks, asleep, only while the queue is full. */
void board_uart_write(const uint8_t *bytes, size_t count);

/* Blocks until the last bit of everything written has left the pin: no transmit interrupt comes after it. */
void board_uart_flush(void);

/* Received bytes that may wait unread without loss; more are lost, or (on a line with flow control) not yet sent. */
uint32_t board_uart_capacity(void);

/* The line's rate, in bits a second; 0: this line has none. The one of board_init() until it is set. */
uint32_t board_uart_baud(void);

/* The highest rate that can be set; 0: this line has none. */
uint32_t board_uart_baud_max(void);

/* Whether the UART's clock can be divided to this rate with an error under 2 %. */
bool board_uart_baud_possible(uint32_t baud);

/* Send and receive at this rate from now on. After board_uart_flush(); a byte that arrives meanwhile is lost or
 * damaged. Returns BOARD_OK, or BOARD_E_BAUD with nothing changed. */
int board_uart_set_baud(uint32_t baud);

/* Drive the timing pin that a power monitor watches. High at rest; a window is bounded by two falling edges. */
void board_timing_pin_set(bool high);

#endif
