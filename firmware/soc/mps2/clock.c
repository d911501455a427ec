/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of MPS2 images: 64-bit microseconds from the 32-bit counter of the FPGAIO block, kept whole by a timer.
 * AN386 (DAI 0386) and AN505 (DAI 0505), "FPGA system control and I/O"; timer: CMSDK TRM (DDI 0479), 4.1. */
#include "soc/mps2/mps2.h"

#include "soc/cortexm/cortexm.h"
#include "soc/mps/mps.h"

enum {
    FPGAIO_COUNTER = 0x18,  /* counts up each time the prescaler reaches 0 */
    FPGAIO_PRESCALE = 0x1C, /* its reload value */

    TIMER_CTRL = 0x00,
    TIMER_VALUE = 0x04,
    TIMER_RELOAD = 0x08,
    TIMER_INTCLEAR = 0x0C,

    CTRL_ENABLE = 1 << 0,
    CTRL_IRQ = 1 << 3,
};

static uint64_t total_us; /* up to the moment the counter read last_count */
static uint32_t last_count;

/* The counter wraps after 71.6 minutes. The timer looks at it once in 2^32 of its own clocks (171.8 s at 25 MHz, the
 * longest it can), so that no wrap is missed even when nobody asks for the time. Interrupts masked: the timer's may not
 * come in between. */
uint64_t mps_clock_us(void)
{
    uint32_t mask = cortexm_irq_mask();
    uint32_t count = *cortexm_register(mps_fpgaio + FPGAIO_COUNTER);
    total_us += count - last_count; /* modulo 2^32, so right across one wrap */
    last_count = count;
    uint64_t now_us = total_us;
    cortexm_irq_restore(mask);
    return now_us;
}

void mps_clock_start(void)
{
    *cortexm_register(mps_fpgaio + FPGAIO_PRESCALE) = mps2_clock.clock_hz / 1000000u - 1u;
    last_count = *cortexm_register(mps_fpgaio + FPGAIO_COUNTER);
    *cortexm_register(mps2_clock.timer + TIMER_RELOAD) = UINT32_MAX;
    *cortexm_register(mps2_clock.timer + TIMER_VALUE) = UINT32_MAX;
    *cortexm_register(mps2_clock.timer + TIMER_CTRL) = CTRL_ENABLE | CTRL_IRQ;
    cortexm_irq_enable(mps2_clock.timer_irq);
}

void mps2_clock_isr(void)
{
    *cortexm_register(mps2_clock.timer + TIMER_INTCLEAR) = 1;
    (void)mps_clock_us();
}
