/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of MPS2 images: implements soc/mps/mps.h. */
#ifndef TJ_SOC_MPS2_H
#define TJ_SOC_MPS2_H

#include <stdint.h>

/* The board's. */
struct mps2_clock {
    uint32_t clock_hz;  /* of FPGAIO and of the timer */
    uint32_t timer;     /* base of a CMSDK timer */
    uint32_t timer_irq; /* its interrupt */
};
extern const struct mps2_clock mps2_clock;

/* The board's interrupt table leads here from timer_irq. */
void mps2_clock_isr(void);

#endif
