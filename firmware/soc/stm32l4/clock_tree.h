/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of the clock tree in one place, so that the registers, the baud rate and the timer cannot disagree.
 *
 * Source: MSI at 48 MHz, locked to the 32.768 kHz crystal (LSE). The Nucleo-144 boards with an STM32L4 have no HSE
 * crystal, and the 8 MHz of their ST-LINK do not reach the chip as delivered; of what is left, HSI16 is good for 1 %,
 * which would be 1 % on every latency, while the locked MSI is as good as the crystal. The ratio is fixed by hardware:
 * 1465 periods per period of the crystal, hence 48.005 MHz (datasheet DS12023, "MSI oscillator characteristics"), and
 * the core runs 0.011 % above its nominal 120 MHz. The microsecond clock, divided from the same source, is off by as
 * much, so that cycles / microseconds is 120 exactly. */
#ifndef TJ_STM32L4_CLOCK_TREE_H
#define TJ_STM32L4_CLOCK_TREE_H

#include <stdint.h>

enum {
    CLOCK_LSE_HZ = 32768,
    CLOCK_MSI_PER_LSE = 1465,
    CLOCK_MSI_HZ = CLOCK_LSE_HZ * CLOCK_MSI_PER_LSE, /* 48 005 120 */

    /* RM0432, RCC_PLLCFGR: the PLL's input from 2.66 to 8 MHz, its VCO from 64 to 344 MHz. */
    CLOCK_PLL_M = 8,
    CLOCK_PLL_N = 40,
    CLOCK_PLL_R = 2,
    CLOCK_PLL_INPUT_HZ = CLOCK_MSI_HZ / CLOCK_PLL_M,
    CLOCK_VCO_HZ = CLOCK_PLL_INPUT_HZ * CLOCK_PLL_N,
    CLOCK_CORE_HZ = CLOCK_VCO_HZ / CLOCK_PLL_R, /* HCLK, PCLK1 and the timers: no bus is divided */

    CLOCK_NOMINAL_HZ = 120000000,
    CLOCK_TIMER_DIVIDER = CLOCK_NOMINAL_HZ / 1000000,

    CLOCK_FLASH_WAIT_STATES = 5, /* RM0432, "Read access latency": range 1 boost, above 100 and up to 120 MHz */
};

/* LPUART1's baud register: 256 * clock / baud, rounded (RM0432, LPUART_BRR). For 115200 it is 266695, 0.00005 % off the
 * clock it is given; what counts is the 0.011 % above, where a receiver takes 3 %. The register has 20 bits, and the
 * clock must be 3 to 4096 times the baud rate (RM0432, LPUART baud rate generation): 29 301 baud and up, where rounding
 * costs at most half of 1 / 768. */
static inline uint32_t clock_lpuart_divider(uint32_t baud)
{
    return (uint32_t)((256ULL * CLOCK_CORE_HZ + baud / 2U) / baud);
}

#endif
