/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of images with an SSE-300: implements soc/mps/mps.h. */
#ifndef TJ_SOC_SSE300_H
#define TJ_SOC_SSE300_H

#include <stdint.h>

/* The board's: base addresses of the system counter's two frames, and how fast it counts. */
struct sse300_clock {
    uint32_t ticks_per_us_log2; /* a power of two, or a microsecond would cost a 64-bit division */
    uint32_t control;
    uint32_t status;
};
extern const struct sse300_clock sse300_clock;

#endif
