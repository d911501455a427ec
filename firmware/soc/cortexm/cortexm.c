/* SPDX-License-Identifier: Apache-2.0 */
#include "soc/cortexm/cortexm.h"

/* Addresses from the Armv7-M Architecture Reference Manual: NVIC B3.4, debug C1.6, DWT C1.8. */
static const uint32_t NVIC_ISER0 = 0xE000E100;
static const uint32_t DEMCR = 0xE000EDFC;
static const uint32_t DWT_CTRL = 0xE0001000;
static const uint32_t DWT_CYCCNT = 0xE0001004;

static const uint32_t DEMCR_TRCENA = 1u << 24;
static const uint32_t DWT_CTRL_NOCYCCNT = 1u << 25;
static const uint32_t DWT_CTRL_CYCCNTENA = 1u << 0;

void cortexm_irq_enable(uint32_t irq)
{
    *cortexm_register(NVIC_ISER0 + 4u * (irq / 32u)) = 1u << (irq % 32u);
}

bool cortexm_cycles_start(void)
{
    *cortexm_register(DEMCR) |= DEMCR_TRCENA; /* the DWT has no clock without it */
    if ((*cortexm_register(DWT_CTRL) & DWT_CTRL_NOCYCCNT) != 0) {
        return false;
    }
    *cortexm_register(DWT_CYCCNT) = 0;
    *cortexm_register(DWT_CTRL) |= DWT_CTRL_CYCCNTENA;
    uint32_t before = cortexm_cycles();
    __asm volatile("nop\n\tnop\n\tnop\n\tnop");
    return cortexm_cycles() != before;
}

uint32_t cortexm_cycles(void)
{
    return *cortexm_register(DWT_CYCCNT);
}
