/* SPDX-License-Identifier: Apache-2.0 */
/* common_requantize() with everything prepared that is the same for several accumulators of one channel. */
#ifndef TJ_TFLITE_REQUANTIZE_H
#define TJ_TFLITE_REQUANTIZE_H

#include "common.h"

struct requantize {
    int32_t multiplier;
    int32_t shift;  /* to the right; 1 to REQUANTIZE_MAX_SHIFT, or 0: the slow way */
    int32_t offset; /* half of 2^shift, and the zero point << shift */
};

enum { REQUANTIZE_MAX_SHIFT = 22 }; /* the zero point << shift then stays below 2^30, like the scaled accumulator */

static inline struct requantize requantize_for(const struct common_output *out, uint32_t channel)
{
    uint32_t at = out->per_channel * channel;
    int32_t shift = -out->shifts[at];
    struct requantize scale = {out->multipliers[at], 0, 0};

    if (shift >= 1 && shift <= REQUANTIZE_MAX_SHIFT) {
        scale.shift = shift;
        scale.offset = (1 << shift >> 1) + out->zero_point * (1 << shift);
    }
    return scale;
}

/* a * 2 * b / 2^32, rounded to nearest, halves up: quantize_high_mul() for |a| < 2^30. */
static inline int32_t requantize_high_mul(int32_t a, int32_t b)
{
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
    int32_t product;

    __asm("smmulr %0, %1, %2" : "=r"(product) : "r"(a * 2), "r"(b));
    return product;
#else
    return quantize_high_mul(a, b);
#endif
}

/* The quick way, for a scale with a shift and the whole range of int8. */
static inline int32_t requantize_quickly(const struct requantize *scale, int32_t accumulator)
{
    int32_t value = requantize_high_mul(accumulator, scale->multiplier);

    /* Halves go away from zero: a negative value gets one less than half. */
    value = (value + (value >> 31) + scale->offset) >> scale->shift;
#if defined(__ARM_FEATURE_SAT) && __ARM_FEATURE_SAT
    __asm("ssat %0, #8, %1" : "=r"(value) : "r"(value));
#else
    value = value < INT8_MIN ? INT8_MIN : value;
    value = value > INT8_MAX ? INT8_MAX : value;
#endif
    return value;
}

static inline bool requantize_is_quick(const struct common_output *out, const struct requantize *scale)
{
    return scale->shift != 0 && out->low == INT8_MIN && out->high == INT8_MAX;
}

/* |accumulator| < 2^30, the bias included. The channel is needed the slow way only. */
static inline int8_t requantize_value(const struct common_output *out, const struct requantize *scale,
                                      int32_t accumulator, uint32_t channel)
{
    int32_t value;

    if (scale->shift == 0) {
        uint32_t at = out->per_channel * channel;

        value = quantize_multiply(accumulator, scale->multiplier, out->shifts[at]);
        return quantize_to_int8(value, out->zero_point, out->low, out->high);
    }
    value = requantize_quickly(scale, accumulator);
    value = value < out->low ? out->low : value;
    return (int8_t)(value > out->high ? out->high : value);
}

#endif
