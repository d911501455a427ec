/* SPDX-License-Identifier: Apache-2.0 */
/* From reset to main(), and what happens when the core faults. Shared by all boards with Armv7-M or Armv8-M (Mainline).
 */
#include <stddef.h>
#include <stdint.h>

#include "soc/cortexm/cortexm.h"

/* Armv7-M Architecture Reference Manual B3.2; Armv8-M has them at the same place (DDI 0553, D1.2). */
static const uint32_t CPACR = 0xE000ED88;
static const uint32_t CFSR = 0xE000ED28;
static const uint32_t VTOR = 0xE000ED08;

enum { CFSR_STKOF = 1 << 20 }; /* UsageFault: the stack pointer below its limit; only Armv8-M has it */

/* From sections.ld. */
extern uint32_t __data_start[], __data_end[], __bss_start[], __bss_end[], __stack_base[], __stack_top[];
extern const uint32_t __data_load[], __vectors[];

int main(void);
void cortexm_reset(void);
void cortexm_fault(void);
void cortexm_fault_report(const uint32_t *frame);

/* The core's own vectors. Faults other than HardFault are not enabled and escalate to it; no board uses SVC, PendSV
 * or SysTick. The first entry is the stack pointer at reset. */
__attribute__((section(".vectors"), used)) static const union {
    const void *stack;
    cortexm_handler handler;
} core_vectors[16] = {
    {.stack = __stack_top},
    {.handler = cortexm_reset},
    {.handler = cortexm_fault},
    {.handler = cortexm_fault},
    {.handler = cortexm_fault},
    {.handler = cortexm_fault},
    {.handler = cortexm_fault},
    {.stack = NULL},
    {.stack = NULL},
    {.stack = NULL},
    {.stack = NULL},
    {.handler = cortexm_fault},
    {.handler = cortexm_fault},
    {.stack = NULL},
    {.handler = cortexm_fault},
    {.handler = cortexm_fault},
};

/* no-tree-loop-distribute-patterns: or gcc would make calls of memcpy and memset of the two loops; they would work,
 * but nothing outside this function should run before memory is set up. */
__attribute__((optimize("no-tree-loop-distribute-patterns"))) void cortexm_reset(void)
{
    /* Full access to the FPU (coprocessors 10 and 11) before the compiler may use it: main() and all below it. */
    *cortexm_register(CPACR) |= 0xFu << 20;
    __asm volatile("dsb\n\tisb" : : : "memory");
    *cortexm_register(VTOR) = (uint32_t)(uintptr_t)__vectors; /* a boot loader may have pointed it elsewhere */

    const uint32_t *load = __data_load;
    for (uint32_t *word = __data_start; word < __data_end; word++) {
        *word = *load++;
    }
    for (uint32_t *word = __bss_start; word < __bss_end; word++) {
        *word = 0;
    }
    cortexm_guard_stack(__stack_base);
    (void)main(); /* does not return in this firmware; if it ever does, stop there */
    for (;;) {
        (void)cortexm_irq_mask();
        cortexm_sleep();
    }
}

/* The stack may be what broke: with little of it left, go on from its top. Otherwise stay below the frame, so that the
 * report does not overwrite what it reads. */
__attribute__((naked)) void cortexm_fault(void)
{
    __asm volatile("cpsid i\n\t"
                   "mrs r0, msp\n\t"
                   "ldr r1, =__stack_base\n\t"
                   "add r1, r1, #512\n\t"
                   "cmp r0, r1\n\t"
                   "bhs 1f\n\t"
                   "ldr r1, =__stack_top\n\t"
                   "mov sp, r1\n\t"
                   "1: b cortexm_fault_report\n\t");
}

static void put_text(const char *text)
{
    while (*text != '\0') {
        cortexm_fault_putc(*text++);
    }
}

static void put_hex(uint32_t value)
{
    for (uint32_t digit = 8; digit > 0; digit--) {
        cortexm_fault_putc("0123456789abcdef"[(value >> (4u * (digit - 1u))) & 0xFu]);
    }
}

/* The only `e-` line that core/reply does not write: after a fault nothing of the core can be trusted any more. */
void cortexm_fault_report(const uint32_t *frame)
{
    put_text("\r\ne-[Fault: cfsr ");
    uint32_t cfsr = *cortexm_register(CFSR);
    put_hex(cfsr);
    /* The frame the core pushed: r0 to r3, r12, lr, pc, psr. Read it only if it is all inside the stack; a limit that
     * was hit may have kept it from being pushed. */
    if ((cfsr & CFSR_STKOF) == 0 && frame >= __stack_base && frame + 8 <= __stack_top) {
        put_text(" pc ");
        put_hex(frame[6]);
        put_text(" lr ");
        put_hex(frame[5]);
    } else {
        put_text(" stack overflow");
    }
    put_text("; reset the board]\r\n");
    for (;;) {
        cortexm_sleep();
    }
}
