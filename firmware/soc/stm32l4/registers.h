/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and bits used by more than one file of this family. */
#ifndef TJ_STM32L4_REGISTERS_H
#define TJ_STM32L4_REGISTERS_H

#include <stdint.h>

#include "soc/cortexm/cortexm.h"

/* RM0432, chapter RCC */
enum {
    RCC_BASE = 0x40021000,
    RCC_CR = RCC_BASE + 0x00,
    RCC_CFGR = RCC_BASE + 0x08,
    RCC_PLLCFGR = RCC_BASE + 0x0C,
    RCC_AHB2ENR = RCC_BASE + 0x4C,
    RCC_APB1ENR1 = RCC_BASE + 0x58,
    RCC_APB1ENR2 = RCC_BASE + 0x5C,
    RCC_CCIPR = RCC_BASE + 0x88,
    RCC_BDCR = RCC_BASE + 0x90,

    RCC_APB1ENR1_TIM2 = 1 << 0,
    RCC_APB1ENR1_PWR = 1 << 28,
    RCC_APB1ENR2_LPUART1 = 1 << 0,
};

/* RM0432, chapter PWR */
enum {
    PWR_BASE = 0x40007000,
    PWR_CR1 = PWR_BASE + 0x00,
    PWR_CR2 = PWR_BASE + 0x04,
    PWR_SR2 = PWR_BASE + 0x14,
    PWR_CR5 = PWR_BASE + 0x80,
};

/* Switch a peripheral's clock on. The read back is the delay that RM0432 asks for ("Peripheral clock enable register")
 * before it is touched. */
static inline void stm32l4_clock_enable(uint32_t enable_register, uint32_t bit)
{
    *cortexm_register(enable_register) |= bit;
    (void)*cortexm_register(enable_register);
}

/* Replace the bits of `field` in a register. */
static inline void stm32l4_modify(uint32_t address, uint32_t field, uint32_t value)
{
    *cortexm_register(address) = (*cortexm_register(address) & ~field) | value;
}

/* Wait until the bits of `field` read as `value`. */
static inline void stm32l4_wait(uint32_t address, uint32_t field, uint32_t value)
{
    while ((*cortexm_register(address) & field) != value) {
    }
}

#endif
