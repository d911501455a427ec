/* SPDX-License-Identifier: Apache-2.0 */
/* A stack that overflows faults at once, also on a board, or in an emulator, that ignores writes below its RAM. */
#include "soc/cortexm/cortexm.h"

#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)

/* Armv8-M has a limit for the main stack's pointer (DDI 0553, B3.21): no instruction takes it lower, no exception
 * pushes below it. */
void cortexm_guard_stack(const uint32_t *base)
{
    __asm volatile("msr msplim, %0\n\tisb" : : "r"(base));
}

#else

/* Armv7-M Architecture Reference Manual, B3.5: the memory protection unit, where there is one. */
static const uint32_t MPU_TYPE = 0xE000ED90;
static const uint32_t MPU_CTRL = 0xE000ED94;
static const uint32_t MPU_RNR = 0xE000ED98;
static const uint32_t MPU_RBAR = 0xE000ED9C;
static const uint32_t MPU_RASR = 0xE000EDA0;

enum {
    MPU_TYPE_REGIONS = 0xFF << 8,
    MPU_CTRL_ENABLE = 1 << 0,
    MPU_CTRL_DEFAULT_MAP = 1 << 2, /* what no region covers stays as it is without an MPU */
    MPU_RASR_ENABLE = 1 << 0,
    MPU_RASR_SIZE_SHIFT = 1, /* holds log2(bytes) - 1 */
    MPU_RASR_NO_EXECUTE = 1 << 28,

    GUARD_LOG2_BYTES = 16, /* no frame of ours is 64 KB, so none steps over it; sections.ld checks the alignment */
};

/* No access to what lies below the stack, the start of RAM. */
void cortexm_guard_stack(const uint32_t *base)
{
    if ((*cortexm_register(MPU_TYPE) & MPU_TYPE_REGIONS) == 0) {
        return;
    }
    *cortexm_register(MPU_RNR) = 0;
    *cortexm_register(MPU_RBAR) = (uint32_t)(uintptr_t)base - (1u << GUARD_LOG2_BYTES);
    *cortexm_register(MPU_RASR) =
        MPU_RASR_NO_EXECUTE | (GUARD_LOG2_BYTES - 1) << MPU_RASR_SIZE_SHIFT | MPU_RASR_ENABLE; /* access: none */
    *cortexm_register(MPU_CTRL) = MPU_CTRL_ENABLE | MPU_CTRL_DEFAULT_MAP;
    __asm volatile("dsb\n\tisb" : : : "memory");
}

#endif
