/* SPDX-License-Identifier: Apache-2.0 */
/* What engine_harness.c needs to start on any of QEMU's Cortex-M machines (cores.py): vectors, the FPU and MVE switched
 * on, newlib's semihosting start-up, which asks QEMU for a stack, and a heap. */
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>

void start(void);
void _mainCRTStartup(void);
int posix_memalign(void **memory, size_t alignment, size_t bytes);

void *_sbrk(ptrdiff_t bytes);

static uint64_t first_stack[32]; /* until newlib has asked QEMU where the real one is */

/* Not from QEMU: on a machine with several memories it offers the first one, however small. */
static uint64_t heap[3u * 1024u * 1024u / sizeof(uint64_t)];

static void fail(void)
{
    __asm volatile("bkpt 0x7f"); /* no semihosting call: QEMU stops with an error */
}

void start(void)
{
    volatile uint32_t *cpacr = (volatile uint32_t *)0xE000ED88u;

    *cpacr |= 0xfu << 20; /* coprocessors 10 and 11; a core without them ignores it */
    __asm volatile("dsb\n isb");
    _mainCRTStartup();
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    *memory = memalign(alignment, bytes);
    return *memory == NULL;
}

/* newlib's allocator asks here for memory. */
void *_sbrk(ptrdiff_t bytes)
{
    static size_t used;
    char *start = (char *)heap + used;

    if (bytes < 0 ? used < (size_t)-bytes : sizeof heap - used < (size_t)bytes) {
        return (void *)-1;
    }
    used += (size_t)bytes;
    return start;
}

__attribute__((section(".vectors"), used)) static const union {
    void *stack;
    void (*handler)(void);
} vectors[] = {
    {.stack = first_stack + sizeof first_stack / sizeof first_stack[0]},
    {.handler = start},
    {.handler = fail},
    {.handler = fail},
    {.handler = fail},
    {.handler = fail},
    {.handler = fail},
    {.handler = fail}, /* SecureFault of Armv8-M */
};
