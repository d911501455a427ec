/* SPDX-License-Identifier: Apache-2.0 */
/* boards/board.h on Arm's MPS2 and MPS3 FPGA boards. */
#include "soc/mps/mps.h"

#include "boards/board.h"
#include "soc/cmsdk/cmsdk.h"
#include "soc/cortexm/cortexm.h"

enum { FPGAIO_LED = 0x00 }; /* user LEDs; number 0 is the timing pin */

static bool has_cycles;

void board_init(void)
{
    mps_clock_start();
    cmsdk_uart_init(TJ_BAUD);
    board_timing_pin_set(true);
    has_cycles = cortexm_cycles_start();
}

const char *board_name(void)
{
    return TJ_BOARD_NAME;
}

uint32_t board_core_hz(void)
{
    return TJ_CORE_HZ;
}

uint64_t board_clock_us(void)
{
    return mps_clock_us();
}

bool board_cycles(uint32_t *cycles)
{
    if (has_cycles) {
        *cycles = cortexm_cycles();
    }
    return has_cycles;
}

int board_uart_read(uint8_t *bytes, size_t capacity)
{
    return cmsdk_uart_read(bytes, capacity);
}

void board_uart_write(const uint8_t *bytes, size_t count)
{
    cmsdk_uart_write(bytes, count);
}

void board_uart_flush(void)
{
    cmsdk_uart_flush();
}

uint32_t board_uart_capacity(void)
{
    return cmsdk_uart_capacity();
}

uint32_t board_uart_baud(void)
{
    return cmsdk_uart_baud();
}

uint32_t board_uart_baud_max(void)
{
    return cmsdk_uart_baud_max();
}

bool board_uart_baud_possible(uint32_t baud)
{
    return cmsdk_uart_baud_possible(baud);
}

int board_uart_set_baud(uint32_t baud)
{
    return cmsdk_uart_set_baud(baud);
}

/* noinline: the emulated power monitor (host/emulator/plugin/activity.c) watches this function's stores. */
__attribute__((noinline)) void board_timing_pin_set(bool high)
{
    volatile uint32_t *led = cortexm_register(mps_fpgaio + FPGAIO_LED);
    uint32_t others = *led & ~1u;
    *led = others | (high ? 1u : 0u);
}
