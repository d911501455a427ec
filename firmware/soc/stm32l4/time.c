/* SPDX-License-Identifier: Apache-2.0 */
/* 64-bit microseconds: TIM2 counts the low 32 bits, its update interrupt the high ones. RM0432, chapter TIM2. */
#include "soc/stm32l4/clock_tree.h"
#include "soc/stm32l4/registers.h"
#include "soc/stm32l4/stm32l4.h"

enum {
    TIM2 = 0x40000000,
    TIM2_CR1 = TIM2 + 0x00,
    TIM2_DIER = TIM2 + 0x0C,
    TIM2_SR = TIM2 + 0x10,
    TIM2_EGR = TIM2 + 0x14,
    TIM2_CNT = TIM2 + 0x24,
    TIM2_PSC = TIM2 + 0x28, /* divider - 1 */
    TIM2_ARR = TIM2 + 0x2C,

    CR1_ENABLE = 1 << 0,
    UPDATE = 1 << 0, /* in DIER, SR and EGR */
};

static volatile uint32_t wraps;

void stm32l4_time_init(void)
{
    stm32l4_clock_enable(RCC_APB1ENR1, RCC_APB1ENR1_TIM2);
    *cortexm_register(TIM2_PSC) = CLOCK_TIMER_DIVIDER - 1;
    *cortexm_register(TIM2_ARR) = UINT32_MAX;
    *cortexm_register(TIM2_EGR) = UPDATE; /* takes the prescaler over now and not at the first wrap ... */
    *cortexm_register(TIM2_SR) = 0;       /* ... and is no wrap */
    *cortexm_register(TIM2_DIER) = UPDATE;
    *cortexm_register(TIM2_CR1) = CR1_ENABLE;
    cortexm_irq_enable(STM32L4_TIM2_IRQ);
}

uint64_t stm32l4_time_us(void)
{
    uint32_t mask = cortexm_irq_mask();
    uint32_t high = wraps;
    uint32_t low = *cortexm_register(TIM2_CNT);
    if ((*cortexm_register(TIM2_SR) & UPDATE) != 0) {
        /* It has wrapped and the interrupt could not count it yet. `low` may be from before or after: read it again. */
        low = *cortexm_register(TIM2_CNT);
        high++;
    }
    cortexm_irq_restore(mask);
    return (uint64_t)high << 32 | low;
}

void stm32l4_time_isr(void)
{
    *cortexm_register(TIM2_SR) = ~(uint32_t)UPDATE; /* writing 0 clears, 1 has no effect */
    wraps++;
    (void)*cortexm_register(TIM2_SR); /* the clear has arrived before the interrupt returns, or it would come twice */
}
