/* SPDX-License-Identifier: Apache-2.0 */
/* quantize_multiply() and quantize_to_int8() on vectors of four accumulators, any shift and any range: MVE rounds as
 * gemmlowp does, but for halves below zero, which its shift takes up. */
#ifndef TJ_TFLITE_REQUANTIZE_MVE_H
#define TJ_TFLITE_REQUANTIZE_MVE_H

#include "common.h"

#include <arm_mve.h>

/* The channels' scales, one in each lane. */
struct requantize_lanes {
    int32x4_t multipliers;
    int32x4_t shifts; /* to the left */
};

/* Channels from `channel` on, as many as `lanes` has. */
static inline struct requantize_lanes requantize_lanes_for(const struct common_output *out, uint32_t channel,
                                                           mve_pred16_t lanes)
{
    if (out->per_channel == 0) {
        return (struct requantize_lanes){vdupq_n_s32(out->multipliers[0]), vdupq_n_s32(out->shifts[0])};
    }
    return (struct requantize_lanes){vldrwq_z_s32(out->multipliers + channel, lanes),
                                     vldrbq_z_s32(out->shifts + channel, lanes)};
}

static inline int32x4_t requantize_to_range(const struct common_output *out, int32x4_t values)
{
    values = vaddq_n_s32(values, out->zero_point);
    values = vmaxq_s32(values, vdupq_n_s32(out->low));
    return vminq_s32(values, vdupq_n_s32(out->high));
}

/* Halves go away from zero: a negative value gets one less before the shift to the right. */
static inline int32x4_t requantize_each(const struct common_output *out, const struct requantize_lanes *scales,
                                        int32x4_t accumulators)
{
    const int32x4_t none = vdupq_n_s32(0);
    const int32x4_t right = vminq_s32(scales->shifts, none); /* below zero, or none */
    int32x4_t values = vshlq_s32(accumulators, vmaxq_s32(scales->shifts, none));

    values = vqrdmulhq_s32(values, scales->multipliers);
    values = vaddq_s32(values, vshrq_n_s32(vandq_s32(values, right), 31));
    return requantize_to_range(out, vrshlq_s32(values, right));
}

/* Four accumulators of one channel. */
static inline int32x4_t requantize_alike(const struct common_output *out, int32_t multiplier, int32_t shift,
                                         int32x4_t accumulators)
{
    int32x4_t values;

    if (shift >= 0) {
        values = vqrdmulhq_n_s32(vshlq_r_s32(accumulators, shift), multiplier);
    } else {
        values = vqrdmulhq_n_s32(accumulators, multiplier);
        values = vaddq_s32(values, vshrq_n_s32(values, 31));
        values = vrshlq_n_s32(values, shift);
    }
    return requantize_to_range(out, values);
}

#endif
