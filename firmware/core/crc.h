/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TJ_CRC_H
#define TJ_CRC_H

#include <stddef.h>
#include <stdint.h>

/* zlib's CRC-32 with `count` more bytes; 0 to begin with. About 12 instructions a byte on a Cortex-M4. */
uint32_t crc_add(uint32_t crc, const uint8_t *bytes, size_t count);

#endif
