/* SPDX-License-Identifier: Apache-2.0 */
/* What Arm's MPS2 and MPS3 FPGA boards share: mps.c is board.h for all of them. A board's own file says where its image
 * has what, and brings the interrupt table; the clock is that of the image's family, soc/mps2 or soc/sse300. */
#ifndef TJ_SOC_MPS_H
#define TJ_SOC_MPS_H

#include <stdint.h>

/* The board's: base of the FPGAIO block. Its UART is cmsdk_uart (soc/cmsdk/cmsdk.h). */
extern const uint32_t mps_fpgaio;

/* The family's: microseconds since mps_clock_start(), as board_clock_us() has them. */
void mps_clock_start(void);
uint64_t mps_clock_us(void);

#endif
