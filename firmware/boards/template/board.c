/* SPDX-License-Identifier: Apache-2.0 */
/* A port, function by function: each #error, with the lines that only keep the compiler quiet after it, goes when the
 * function does what boards/board.h says of it. */
#include "boards/board.h"

void board_init(void)
{
#error "board_init: clocks, then UART, microsecond clock, timing pin (high) and a probe of the cycle counter"
}

const char *board_name(void)
{
#error "board_name: return TJ_BOARD_NAME; the build defines it from the folder's name"
    return NULL;
}

uint32_t board_core_hz(void)
{
#error "board_core_hz: return TJ_CORE_HZ once the clocks really make custom_clock_hz"
    return 0;
}

uint64_t board_clock_us(void)
{
#error "board_clock_us: 64 bits, right across every wrap of the timer, and going on while the core sleeps"
    return 0;
}

bool board_cycles(uint32_t *cycles)
{
#error "board_cycles: cortexm_cycles() if cortexm_cycles_start() returned true in board_init, else false"
    (void)cycles;
    return false;
}

int board_uart_read(uint8_t *bytes, size_t capacity)
{
#error "board_uart_read: interrupt-driven and asleep while empty; soc/serial.h does it on a Cortex-M"
    (void)bytes;
    (void)capacity;
    return 0;
}

void board_uart_write(const uint8_t *bytes, size_t count)
{
#error "board_uart_write: interrupt-driven and asleep while full; soc/serial.h does it on a Cortex-M"
    (void)bytes;
    (void)count;
}

void board_uart_flush(void)
{
#error "board_uart_flush: the shift register counts too, and no transmit interrupt may come after it"
}

uint32_t board_uart_capacity(void)
{
#error "board_uart_capacity: TJ_RX_BYTES, with the queue of soc/serial.h"
    return 0;
}

uint32_t board_uart_baud(void)
{
#error "board_uart_baud: TJ_BAUD until another one is set; 0 on a line without rates"
    return 0;
}

uint32_t board_uart_baud_max(void)
{
#error "board_uart_baud_max: what the UART, its clock and the way to the host can do; TJ_BAUD where it cannot change"
    return 0;
}

bool board_uart_baud_possible(uint32_t baud)
{
#error "board_uart_baud_possible: whether the divider comes within 2 % of it"
    (void)baud;
    return false;
}

int board_uart_set_baud(uint32_t baud)
{
#error "board_uart_set_baud: the divider; BOARD_E_BAUD with nothing changed when it is not possible"
    (void)baud;
    return BOARD_E_BAUD;
}

void board_timing_pin_set(bool high)
{
#error "board_timing_pin_set: one register write; a power monitor watches this pin"
    (void)high;
}
