/* SPDX-License-Identifier: Apache-2.0 */
/* common_requantize() with everything prepared that is the same for all accumulators of a channel. */
#ifndef TJ_TFLITE_REQUANTIZE_H
#define TJ_TFLITE_REQUANTIZE_H

#include "common.h"

struct requantize { /* assembly counts on this order */
    int32_t multiplier;
    int32_t shift;  /* to the right; 1 to REQUANTIZE_MAX_SHIFT, or 0: the slow way */
    int32_t offset; /* half of 2^shift, and the zero point << shift */
    int32_t bias;
};

enum {
    REQUANTIZE_MAX_SHIFT = 22,    /* the zero point << shift then stays below 2^30, like the scaled accumulator */
    REQUANTIZE_MAX_SUM = 1 << 29, /* of the products, and the bias of a channel that goes the quick way */
    REQUANTIZE_MAX_PRODUCTS = REQUANTIZE_MAX_SUM / (128 * 255)
};

static inline int32_t requantize_bias(const struct common_output *out, uint32_t channel)
{
    return out->bias != NULL ? out->bias[channel] : 0;
}

/* The accumulator: wraps around where TFLM's is undefined. */
static inline int32_t requantize_sum(int32_t products, int32_t bias)
{
    return (int32_t)((uint32_t)products + (uint32_t)bias);
}

/* The quick way is for common scales, biases that are not huge, and outputs that use the whole range of int8. */
static inline struct requantize requantize_for(const struct common_output *out, uint32_t channel)
{
    const uint32_t at = out->per_channel * channel;
    const int32_t shift = -out->shifts[at];
    const int32_t bias = requantize_bias(out, channel);
    struct requantize scale = {out->multipliers[at], 0, 0, bias};

    if (shift >= 1 && shift <= REQUANTIZE_MAX_SHIFT && bias < REQUANTIZE_MAX_SUM && bias > -REQUANTIZE_MAX_SUM &&
        out->low == INT8_MIN && out->high == INT8_MAX) {
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

static inline int32_t requantize_saturate(int32_t value)
{
#if defined(__ARM_FEATURE_SAT) && __ARM_FEATURE_SAT
    __asm("ssat %0, #8, %1" : "=r"(value) : "r"(value));
    return value;
#else
    value = value < INT8_MIN ? INT8_MIN : value;
    return value > INT8_MAX ? INT8_MAX : value;
#endif
}

/* The quick way: shift is not 0. */
static inline int32_t requantize_quickly(const struct requantize *scale, int32_t accumulator)
{
    int32_t value = requantize_high_mul(accumulator, scale->multiplier);

    /* Halves go away from zero: a negative value gets one less than half. */
    value = (value + (value >> 31) + scale->offset) >> scale->shift;
    return requantize_saturate(value);
}

/* Whether requantize_far() may be used: a shift to the right by 1 to 31, and the whole range of int8. */
static inline bool requantize_shifts_right(const struct common_output *out, uint32_t channel)
{
    return out->shifts[out->per_channel * channel] < 0 && out->low == INT8_MIN && out->high == INT8_MAX;
}

/* Any accumulator, any such shift: rounding to one more bit first keeps everything within 32 bits. */
static inline int8_t requantize_far(int32_t multiplier, int32_t shift, int32_t zero_point, int32_t accumulator)
{
    int32_t value = quantize_high_mul(accumulator, multiplier);

    value = (value + (value >> 31)) >> (shift - 1);
    value = ((value + 1) >> 1) + zero_point;
    return (int8_t)requantize_saturate(value);
}

/* The scales of all channels. Returns whether all of them go the quick way. */
bool requantize_table(const struct common_output *out, uint32_t channels, struct requantize *table);

/* Either way. The accumulator holds the bias. */
static inline int8_t requantize_value(const struct common_output *out, const struct requantize *scale,
                                      int32_t accumulator, uint32_t channel)
{
    int32_t value;

    if (scale->shift != 0) {
        return (int8_t)requantize_quickly(scale, accumulator);
    }
    value = quantize_multiply(accumulator, scale->multiplier, out->shifts[out->per_channel * channel]);
    return quantize_to_int8(value, out->zero_point, out->low, out->high);
}

#endif
