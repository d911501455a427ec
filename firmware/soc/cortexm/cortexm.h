/* SPDX-License-Identifier: Apache-2.0 */
/* What all Cortex-M boards share: start-up, faults, sleep, interrupt masking and the cycle counter (Armv7-M, and
 * Armv8-M Mainline in its secure state). */
#ifndef TJ_SOC_CORTEXM_H
#define TJ_SOC_CORTEXM_H

#include <stdbool.h>
#include <stdint.h>

typedef void (*cortexm_handler)(void);

/* A board's table of interrupt handlers, from interrupt 0 on: it follows the core's own vectors in the image. An entry
 * left 0 that fires all the same ends in the fault handler (address 0 is no Thumb code). */
#define CORTEXM_IRQ_TABLE __attribute__((section(".vectors.irq"), used))

/* Access a 32-bit register. */
static inline volatile uint32_t *cortexm_register(uint32_t address)
{
    return (volatile uint32_t *)(uintptr_t)address;
}

/* Mask interrupts; the result goes back to cortexm_irq_restore(), so that pairs nest. */
static inline uint32_t cortexm_irq_mask(void)
{
    uint32_t mask;
    __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(mask) : : "memory");
    return mask;
}

static inline void cortexm_irq_restore(uint32_t mask)
{
    /* isb: an interrupt that waited is taken here and not somewhere after the next masking. */
    __asm volatile("msr primask, %0\n\tisb" : : "r"(mask) : "memory");
}

/* Sleep until an interrupt is pending. Call it with interrupts masked, right after looking for what to wait for. */
static inline void cortexm_sleep(void)
{
    __asm volatile("dsb\n\twfi" : : : "memory");
}

/* Let interrupt `irq` (0 to 239; 479 on Armv8-M) through. */
void cortexm_irq_enable(uint32_t irq);

/* Start the cycle counter; false when the core has none or, as in QEMU, one that stands still. */
bool cortexm_cycles_start(void);

/* The cycle counter. Means nothing before cortexm_cycles_start() returned true. */
uint32_t cortexm_cycles(void);

/* From start-up: make an access below `base`, where the stack ends and RAM begins, a fault. */
void cortexm_guard_stack(const uint32_t *base);

/* The port gives this one: send one character, polling, whatever state the UART is in. For the fault handler. */
void cortexm_fault_putc(char character);

#endif
