/* SPDX-License-Identifier: Apache-2.0 */
/* 64-bit microseconds from the 32-bit counter of the FPGAIO block, and the LED of the same block.
 * AN386 (DAI 0386), "FPGA system control and I/O"; timer: CMSDK TRM (DDI 0479), 4.1. */
#include "soc/cmsdk/cmsdk.h"

#include "soc/cortexm/cortexm.h"

enum {
    FPGAIO_LED = 0x40028000,
    FPGAIO_COUNTER = 0x40028018,  /* counts up each time the prescaler reaches 0 */
    FPGAIO_PRESCALE = 0x4002801C, /* its reload value */

    TIMER0_CTRL = 0x40000000,
    TIMER0_VALUE = 0x40000004,
    TIMER0_RELOAD = 0x40000008,
    TIMER0_INTCLEAR = 0x4000000C,

    TIMER_ENABLE = 1 << 0,
    TIMER_IRQ = 1 << 3,
};

static uint64_t total_us; /* up to the moment the counter read last_count */
static uint32_t last_count;

/* The counter wraps after 71.6 minutes. Timer 0 looks at it once in 2^32 bus clocks (171.8 s at 25 MHz, the longest it
 * can), so that no wrap is missed even when nobody asks for the time. Interrupts masked: the timer's may not come in
 * between. */
uint64_t cmsdk_clock_us(void)
{
    uint32_t mask = cortexm_irq_mask();
    uint32_t count = *cortexm_register(FPGAIO_COUNTER);
    total_us += count - last_count; /* modulo 2^32, so right across one wrap */
    last_count = count;
    uint64_t now_us = total_us;
    cortexm_irq_restore(mask);
    return now_us;
}

void cmsdk_clock_init(uint32_t clock_hz)
{
    *cortexm_register(FPGAIO_PRESCALE) = clock_hz / 1000000u - 1u;
    last_count = *cortexm_register(FPGAIO_COUNTER);
    *cortexm_register(TIMER0_RELOAD) = UINT32_MAX;
    *cortexm_register(TIMER0_VALUE) = UINT32_MAX;
    *cortexm_register(TIMER0_CTRL) = TIMER_ENABLE | TIMER_IRQ;
    cortexm_irq_enable(CMSDK_TIMER0_IRQ);
}

void cmsdk_timer_isr(void)
{
    *cortexm_register(TIMER0_INTCLEAR) = 1;
    (void)cmsdk_clock_us();
}

void cmsdk_led_set(bool on)
{
    uint32_t others = *cortexm_register(FPGAIO_LED) & ~1u;
    *cortexm_register(FPGAIO_LED) = others | (on ? 1u : 0u);
}
