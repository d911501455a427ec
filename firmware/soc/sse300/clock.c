/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of SSE-300 images: their 64-bit system counter. It wraps in 18,000 years and needs no interrupt.
 * SSE-300 TRM (101773), "System counter"; registers: Arm ARM (DDI 0487), I5.6. */
#include "soc/sse300/sse300.h"

#include "soc/cortexm/cortexm.h"
#include "soc/mps/mps.h"

enum {
    CONTROL_CNTCR = 0x00,
    CNTCR_ENABLE = 1 << 0,

    STATUS_CNTCVL = 0x00, /* the count, bits 0 to 31 */
    STATUS_CNTCVH = 0x04, /* bits 32 to 63 */
};

static uint64_t start_ticks;

static uint64_t ticks(void)
{
    volatile uint32_t *low = cortexm_register(sse300_clock.status + STATUS_CNTCVL);
    volatile uint32_t *high = cortexm_register(sse300_clock.status + STATUS_CNTCVH);
    uint32_t before;
    uint32_t after = *high;
    uint32_t count;

    do { /* again if the low half wrapped between the two reads */
        before = after;
        count = *low;
        after = *high;
    } while (before != after);
    return (uint64_t)after << 32 | count;
}

void mps_clock_start(void)
{
    *cortexm_register(sse300_clock.control + CONTROL_CNTCR) = CNTCR_ENABLE;
    start_ticks = ticks();
}

uint64_t mps_clock_us(void)
{
    return (ticks() - start_ticks) >> sse300_clock.ticks_per_us_log2;
}
