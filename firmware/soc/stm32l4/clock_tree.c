/* SPDX-License-Identifier: Apache-2.0 */
/* From the reset state (MSI at 4 MHz, voltage range 1, no wait states) to 120 MHz, in the order that RM0432
 * gives in "Dynamic voltage scaling management" and in its chapter RCC. */
#include "soc/stm32l4/clock_tree.h"

#include "soc/stm32l4/registers.h"
#include "soc/stm32l4/stm32l4.h"

enum {
    CR_MSIRDY = 1 << 1,
    CR_MSIPLLEN = 1 << 2,
    CR_MSIRGSEL = 1 << 3, /* the range is the one in CR, not the one kept for standby */
    CR_MSIRANGE = 15 << 4,
    CR_MSIRANGE_48_MHZ = 11 << 4,
    CR_PLLON = 1 << 24,
    CR_PLLRDY = 1 << 25,

    CFGR_SW = 3 << 0,
    CFGR_SW_PLL = 3 << 0,
    CFGR_SWS = 3 << 2,
    CFGR_SWS_PLL = 3 << 2,
    CFGR_HPRE = 15 << 4,
    CFGR_HPRE_BY_1 = 0 << 4,
    CFGR_HPRE_BY_2 = 8 << 4,

    PLLCFGR_SOURCE_MSI = 1 << 0,
    PLLCFGR_M_SHIFT = 4, /* holds M - 1 */
    PLLCFGR_N_SHIFT = 8,
    PLLCFGR_R_ENABLE = 1 << 24,
    PLLCFGR_R_SHIFT = 25, /* holds R / 2 - 1 */

    BDCR_LSEON = 1 << 0,
    BDCR_LSERDY = 1 << 1,
    BDCR_LSEDRV = 3 << 3,
    BDCR_LSEDRV_MEDIUM_HIGH = 2 << 3,

    PWR_CR1_DBP = 1 << 8,
    PWR_CR2_IOSV = 1 << 9,
    PWR_SR2_VOSF = 1 << 10,  /* the regulator is still on its way */
    PWR_CR5_R1MODE = 1 << 8, /* 1: range 1 normal (up to 80 MHz), 0: range 1 boost (up to 120 MHz) */

    FLASH_ACR = 0x40022000,
    ACR_LATENCY = 15 << 0,
    ACR_PREFETCH = 1 << 8,
    ACR_ICACHE = 1 << 9,
    ACR_DCACHE = 1 << 10,
};

/* The build stops here if the numbers of clock_tree.h leave what the chip allows, or what board.ini says. */
extern char check_pll_input[CLOCK_PLL_INPUT_HZ >= 2660000 && CLOCK_PLL_INPUT_HZ <= 8000000 ? 1 : -1];
extern char check_vco[CLOCK_VCO_HZ >= 64000000 && CLOCK_VCO_HZ <= 344000000 ? 1 : -1];
extern char check_core[CLOCK_CORE_HZ / 100000 == CLOCK_NOMINAL_HZ / 100000 ? 1 : -1];
extern char check_board_ini[CLOCK_NOMINAL_HZ == TJ_CORE_HZ ? 1 : -1];

/* At least `cycles` core cycles. */
static void spin(uint32_t cycles)
{
    for (uint32_t i = 0; i < cycles; i += 3U) { /* no iteration takes less than subs, taken branch */
        __asm volatile("nop");
    }
}

static void start_crystal(void)
{
    /* LSE is in the backup domain, which is write-protected, and runs on through a reset. */
    *cortexm_register(PWR_CR1) |= PWR_CR1_DBP;
    stm32l4_wait(PWR_CR1, PWR_CR1_DBP, PWR_CR1_DBP);
    if ((*cortexm_register(RCC_BDCR) & BDCR_LSEON) == 0) {
        stm32l4_modify(RCC_BDCR, BDCR_LSEDRV, BDCR_LSEDRV_MEDIUM_HIGH);
        *cortexm_register(RCC_BDCR) |= BDCR_LSEON;
    }
    stm32l4_wait(RCC_BDCR, BDCR_LSERDY, BDCR_LSERDY); /* up to 2 s after power-up */
}

static void start_msi(void)
{
    /* RM0432, RCC_CR: the range may be changed while MSIRDY is set; locking wants a crystal that is ready. */
    stm32l4_wait(RCC_CR, CR_MSIRDY, CR_MSIRDY);
    stm32l4_modify(RCC_CR, CR_MSIRANGE, CR_MSIRANGE_48_MHZ | CR_MSIRGSEL);
    stm32l4_wait(RCC_CR, CR_MSIRDY, CR_MSIRDY);
    *cortexm_register(RCC_CR) |= CR_MSIPLLEN;
    spin(CLOCK_MSI_HZ / 1000U * 5U); /* DS12023: within 1 % after 2.5 ms at most; twice that */
}

static void switch_to_pll(void)
{
    *cortexm_register(RCC_CR) &= ~(uint32_t)CR_PLLON;
    stm32l4_wait(RCC_CR, CR_PLLRDY, 0);
    *cortexm_register(RCC_PLLCFGR) = PLLCFGR_SOURCE_MSI | (CLOCK_PLL_M - 1U) << PLLCFGR_M_SHIFT |
                                     (uint32_t)CLOCK_PLL_N << PLLCFGR_N_SHIFT | PLLCFGR_R_ENABLE |
                                     (CLOCK_PLL_R / 2U - 1U) << PLLCFGR_R_SHIFT;
    *cortexm_register(RCC_CR) |= CR_PLLON;
    stm32l4_wait(RCC_CR, CR_PLLRDY, CR_PLLRDY);

    /* Going over 80 MHz in one step would pull the regulator down: half the speed for a microsecond at least. */
    stm32l4_modify(RCC_CFGR, CFGR_HPRE, CFGR_HPRE_BY_2);
    stm32l4_modify(RCC_CFGR, CFGR_SW, CFGR_SW_PLL);
    stm32l4_wait(RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL);
    spin(CLOCK_CORE_HZ / 1000000U * 2U);
    stm32l4_modify(RCC_CFGR, CFGR_HPRE, CFGR_HPRE_BY_1);
}

void stm32l4_clock_tree_init(void)
{
    stm32l4_clock_enable(RCC_APB1ENR1, RCC_APB1ENR1_PWR);

    /* Wait states before speed. Both caches and prefetch on: flash alone would give one word in six cycles. */
    *cortexm_register(FLASH_ACR) = CLOCK_FLASH_WAIT_STATES | ACR_PREFETCH | ACR_ICACHE | ACR_DCACHE;
    stm32l4_wait(FLASH_ACR, ACR_LATENCY, CLOCK_FLASH_WAIT_STATES);

    start_crystal();
    start_msi();

    *cortexm_register(PWR_CR5) &= ~(uint32_t)PWR_CR5_R1MODE;
    stm32l4_wait(PWR_SR2, PWR_SR2_VOSF, 0);
    switch_to_pll();
}

void stm32l4_vddio2_enable(void)
{
    *cortexm_register(PWR_CR2) |= PWR_CR2_IOSV;
}
