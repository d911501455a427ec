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

/* A positive normal float: 24 bits and an exponent. */
static bool take_apart(float value, uint32_t *mantissa, int32_t *exponent)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    *mantissa = (bits & 0x7fffff) | 0x800000;
    *exponent = (int32_t)(bits >> 23) - 127;
    return *exponent >= -126 && *exponent <= 127; /* a sign bit is far beyond */
}

/* product / divisor with 32 more bits, the last one set if there is a remainder. divisor: 24 bits, the highest one set;
 * product < divisor * 2^25. */
static uint64_t divide(uint64_t product, uint32_t divisor)
{
    uint32_t remainder = (uint32_t)(product >> 24);
    uint32_t low = (uint32_t)product & 0xffffff;
    uint64_t quotient = remainder / divisor;

    remainder %= divisor;
    for (int i = 0; i < 7; i++) { /* 8 bits at a time: a remainder of 24 bits and 8 more fit in a word */
        const uint32_t dividend = remainder << 8 | low >> 16;

        low = (low << 8) & 0xffffff;
        quotient = quotient << 8 | dividend / divisor;
        remainder = dividend % divisor;
    }
    return remainder != 0 ? quotient | 1 : quotient;
}

double quantize_ratio(float a, float b, float c)
{
    uint32_t am, bm, cm;
    int32_t ae, be, ce, exponent;
    uint64_t quotient, rest;
    double value;

    if (!take_apart(a, &am, &ae) || !take_apart(b, &bm, &be) || !take_apart(c, &cm, &ce)) {
        return (double)a * (double)b / (double)c;
    }
    /* 46 to 48 bits / 24 bits: 23 to 25 bits, and 32 behind the point. */
    quotient = divide((uint64_t)am * bm, cm);
    exponent = ae + be - ce + 1;
    while (quotient >> 56 == 0) {
        quotient <<= 1;
        exponent--;
    }
    /* 57 bits become the 53 of a double, halves to even. */
    rest = quotient & 0xf;
    quotient >>= 4;
    quotient += rest > 8 || (rest == 8 && (quotient & 1) != 0) ? 1 : 0;
    /* The highest bit is added to the exponent; a carry out of rounding adds one more, as it should. */
    quotient += (uint64_t)(exponent + 1022) << 52;
    memcpy(&value, &quotient, sizeof value);
    return value;
}
