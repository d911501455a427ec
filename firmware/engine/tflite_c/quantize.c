/* SPDX-License-Identifier: Apache-2.0 */
#include "quantize.h"

#include <string.h>

bool quantize_from_real(double real, struct quantize_scale *scale)
{
    uint64_t bits;
    uint64_t mantissa;
    int32_t shift;

    /* The double's own bits serve for frexp(): no libm, and the same rounding on every target. */
    memcpy(&bits, &real, sizeof bits);
    scale->multiplier = 0;
    scale->shift = 0;
    if ((bits >> 63) != 0 && real < 0.0) {
        return false;
    }
    shift = (int32_t)(bits >> 52 & 0x7ff) - 1022;
    if (shift > 30) { /* also infinity and NaN */
        return false;
    }
    /* The value is mantissa * 2^(shift - 53); keep 31 bits, halves rounded up. */
    mantissa = (bits & 0xfffffffffffff) | 0x10000000000000;
    mantissa = (mantissa + 0x200000) >> 22;
    if (mantissa == (uint64_t)1 << 31) {
        mantissa >>= 1;
        shift++;
    }
    if (shift > 30) {
        return false;
    }
    if (shift >= -31) { /* smaller ones are 0, as in TFLM */
        scale->multiplier = (int32_t)mantissa;
        scale->shift = (int8_t)shift;
    }
    return true;
}
