/* SPDX-License-Identifier: Apache-2.0 */
/* What engine_harness.c needs to start on QEMU's mps2-an386: vectors, the FPU switched on, and newlib's semihosting
 * start-up, which takes stack and heap from QEMU. */
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>

void start(void);
void _mainCRTStartup(void);
int posix_memalign(void **memory, size_t alignment, size_t bytes);

static void fail(void)
{
    __asm volatile("bkpt 0x7f"); /* no semihosting call: QEMU stops with an error */
}

void start(void)
{
    volatile uint32_t *cpacr = (volatile uint32_t *)0xE000ED88u;

    *cpacr |= 0xfu << 20;
    __asm volatile("dsb\n isb");
    _mainCRTStartup();
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    *memory = memalign(alignment, bytes);
    return *memory == NULL;
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))0x00400000u, start, fail, fail, fail, fail, fail,
};
