/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed-point arithmetic, bit for bit as TFLM's reference kernels have it (gemmlowp's double rounding). Right shifts of
 * negative values are arithmetic, as every compiler for our targets has them. */
#ifndef TJ_TFLITE_QUANTIZE_H
#define TJ_TFLITE_QUANTIZE_H

#include <stdbool.h>
#include <stdint.h>

/* real = multiplier * 2^(shift - 31); multiplier 0 or 2^30 to 2^31 - 1, shift -31 to 30. */
struct quantize_scale {
    int32_t multiplier;
    int8_t shift;
};

/* The nearest fixed-point value of a real >= 0. False if it is 2^30 or more, or no number. */
bool quantize_from_real(double real, struct quantize_scale *scale);

/* (double)a * (double)b / (double)c, to the bit, in a tenth of the time that a core without doubles takes for it: a
 * model's load asks for one in every channel. */
double quantize_ratio(float a, float b, float c);

/* a * b / 2^31, rounded to nearest; b >= 0. */
static inline int32_t quantize_high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* x / 2^exponent, rounded to nearest, ties away from zero; exponent 0 to 31. */
static inline int32_t quantize_shift_right(int32_t x, int32_t exponent)
{
    uint32_t mask = ((uint32_t)1 << exponent) - 1;
    uint32_t remainder = (uint32_t)x & mask;
    uint32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);

    return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

/* x * 2^shift; wraps around where TFLM's is undefined. */
static inline int32_t quantize_shift_left(int32_t x, int32_t shift)
{
    return (int32_t)((uint32_t)x << shift);
}

static inline int32_t quantize_multiply(int32_t x, int32_t multiplier, int32_t shift)
{
    if (shift > 0) {
        return quantize_high_mul(quantize_shift_left(x, shift), multiplier);
    }
    return quantize_shift_right(quantize_high_mul(x, multiplier), -shift);
}

/* The int8 nearest to value + zero_point, halves away from zero, without libm; a NaN gives INT8_MIN. */
static inline int8_t quantize_from_float(float value, int32_t zero_point)
{
    int32_t whole;
    float rest;

    if (value >= 512.0f) {
        return INT8_MAX;
    }
    if (!(value > -512.0f)) {
        return INT8_MIN;
    }
    /* Exact: below 2^23 a float's integer part converts without loss, and so does the difference. */
    whole = (int32_t)value;
    rest = value - (float)whole;
    whole += (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0) + zero_point;
    whole = whole < INT8_MIN ? INT8_MIN : whole;
    return (int8_t)(whole > INT8_MAX ? INT8_MAX : whole);
}

/* The int8 that an accumulator becomes: x + zero_point within low to high. Wraps around where TFLM's sum is undefined.
 */
static inline int8_t quantize_to_int8(int32_t x, int32_t zero_point, int32_t low, int32_t high)
{
    int32_t value = (int32_t)((uint32_t)x + (uint32_t)zero_point);

    value = value < low ? low : value;
    return (int8_t)(value > high ? high : value);
}

#endif
