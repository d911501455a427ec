/* SPDX-License-Identifier: Apache-2.0 */
/* channels.h for cores with MVE (Helium): sixteen channels at a time.
 *
 * Products of two 8-bit vectors come as two vectors of 16 bits, of the even and of the odd channels, and are widened
 * the same way. So sums lie in the lanes of four vectors as ORDER says, and scratch memory holds the scales like that,
 * made anew in each run; the zero point's part of the sum comes off the bias.
 */
#include "channels.h"
#include "core.h"

#if CORE_MVE

#include "requantize_mve.h"

enum { VECTOR = 16, LANES = 4, VECTORS = VECTOR / LANES };

static const uint8_t ORDER[VECTORS] = {0, 2, 1, 3}; /* the first lane's channel; each next lane's is LANES more */

struct scales {
    int32_t bias[VECTORS][LANES];
    int32_t multipliers[VECTORS][LANES];
    int32_t shifts[VECTORS][LANES]; /* to the left */
};

bool channels_fit(const struct window *conv)
{
    (void)conv;
    return true;
}

uint32_t channels_scratch_bytes(const struct window *conv)
{
    return (conv->in_channels + VECTOR - 1u) / VECTOR * (uint32_t)sizeof(struct scales);
}

static int32_t sum_weights(const struct window *conv, uint32_t channel)
{
    const uint32_t taps = (uint32_t)conv->y.taps * conv->x.taps;
    const int8_t *weight = conv->weights + channel;
    int32_t sum = 0;

    for (uint32_t i = 0; i < taps; i++) {
        sum += *weight;
        weight += conv->in_channels;
    }
    return sum;
}

/* Quick are shifts to the right. */
bool channels_start(const struct window *conv, void *scratch)
{
    const struct common_output *out = &conv->out;
    struct scales *scales = scratch;
    bool quick = true;

    for (uint32_t c = 0; c < conv->in_channels; c++) {
        struct scales *block = &scales[c / VECTOR];
        const uint32_t at = out->per_channel * c;
        const uint32_t lane = c % VECTOR / LANES;
        const uint32_t vector = ORDER[c % LANES]; /* ORDER is its own inverse */

        block->bias[vector][lane] =
            requantize_sum(-conv->input_zero_point * sum_weights(conv, c), requantize_bias(out, c));
        block->multipliers[vector][lane] = out->multipliers[at];
        block->shifts[vector][lane] = out->shifts[at];
        quick = quick && out->shifts[at] < 0;
    }
    return quick;
}

struct sums {
    int32x4_t of[VECTORS];
};

/* A tap's products, once inputs and weights are in q0 and q1. */
#define ADD_PRODUCTS                                                                                                   \
    "add %[inputs], %[inputs], %[step]\n\t"                                                                            \
    "add %[weights], %[weights], %[channels]\n\t"                                                                      \
    "vmullb.s8 q2, q0, q1\n\t"                                                                                         \
    "vmullt.s8 q0, q0, q1\n\t"                                                                                         \
    "vmovlb.s16 q1, q2\n\t"                                                                                            \
    "vadd.i32 %q[a], %q[a], q1\n\t"                                                                                    \
    "vmovlt.s16 q1, q2\n\t"                                                                                            \
    "vadd.i32 %q[b], %q[b], q1\n\t"                                                                                    \
    "vmovlb.s16 q2, q0\n\t"                                                                                            \
    "vadd.i32 %q[c], %q[c], q2\n\t"                                                                                    \
    "vmovlt.s16 q2, q0\n\t"                                                                                            \
    "vadd.i32 %q[d], %q[d], q2\n\t"                                                                                    \
    "le lr, 1b\n\t"

#define ADD_OPERANDS                                                                                                   \
    [a] "+w"(sums->of[0]), [b] "+w"(sums->of[1]), [c] "+w"(sums->of[2]), [d] "+w"(sums->of[3]), [inputs] "+r"(inputs), \
        [weights] "+r"(weights)

/* A row of taps with sixteen channels. */
static inline void add_row(struct sums *sums, const int8_t *inputs, const int8_t *weights, uint32_t step,
                           uint32_t channels, uint32_t taps)
{
    __asm volatile("dls lr, %[taps]\n\t"
                   "1:\n\t"
                   "vldrb.8 q0, [%[inputs]]\n\t"
                   "vldrb.8 q1, [%[weights]]\n\t" ADD_PRODUCTS
                   : ADD_OPERANDS
                   : [step] "r"(step), [channels] "r"(channels), [taps] "r"(taps)
                   : "lr", "q0", "q1", "q2", "memory");
}

/* With the first `left` channels. */
static inline void add_part_of_row(struct sums *sums, const int8_t *inputs, const int8_t *weights, uint32_t step,
                                   uint32_t channels, uint32_t taps, uint32_t left)
{
    __asm volatile("dls lr, %[taps]\n\t"
                   "1:\n\t"
                   "vpstt\n\t"
                   "vldrbt.8 q0, [%[inputs]]\n\t"
                   "vldrbt.8 q1, [%[weights]]\n\t" ADD_PRODUCTS
                   : ADD_OPERANDS
                   : [step] "r"(step), [channels] "r"(channels), [taps] "r"(taps), [some] "Up"(vctp8q(left))
                   : "lr", "q0", "q1", "q2", "memory");
}

static inline int32x4_t scale_sums(const struct scales *scales, const struct sums *sums, uint32_t vector)
{
    int32x4_t values = vqrdmulhq_s32(sums->of[vector], vldrwq_s32(scales->multipliers[vector]));

    values = vaddq_s32(values, vshrq_n_s32(values, 31)); /* halves go away from zero */
    return vrshlq_s32(values, vldrwq_s32(scales->shifts[vector]));
}

static inline int8x16_t finish(const struct common_output *out, const struct scales *scales, const struct sums *sums)
{
    int16x8_t even = vqmovnbq_s32(vdupq_n_s16(0), scale_sums(scales, sums, 0));
    int16x8_t odd = vqmovnbq_s32(vdupq_n_s16(0), scale_sums(scales, sums, 2));
    int8x16_t values;

    even = vqaddq_n_s16(vqmovntq_s32(even, scale_sums(scales, sums, 1)), out->zero_point);
    odd = vqaddq_n_s16(vqmovntq_s32(odd, scale_sums(scales, sums, 3)), out->zero_point);
    values = vqmovntq_s16(vqmovnbq_s16(vdupq_n_s8(0), even), odd);
    return vminq_s8(vmaxq_s8(values, vdupq_n_s8(out->low)), vdupq_n_s8(out->high));
}

/* All taps are inside the image. */
static void compute_quickly(const struct channels_row *row, uint32_t from, int8_t *output)
{
    const struct window *conv = row->conv;
    const uint32_t channels = conv->in_channels;
    const uint32_t step = (uint32_t)conv->x.dilation * channels;
    const struct scales *scales = row->scratch;

    for (uint32_t c = 0; c < channels; c += VECTOR) {
        const int8_t *weights = conv->weights + c;
        struct sums sums;

        for (uint32_t i = 0; i < VECTORS; i++) {
            sums.of[i] = vldrwq_s32(scales->bias[i]);
        }
        for (uint32_t k = 0; k < row->count; k++) {
            const int8_t *inputs = row->rows[k] + from * channels + c;

            if (channels - c >= VECTOR) {
                add_row(&sums, inputs, weights, step, channels, conv->x.taps);
            } else {
                add_part_of_row(&sums, inputs, weights, step, channels, conv->x.taps, channels - c);
            }
            weights += conv->x.taps * channels;
        }
        vstrbq_p_s8(output + c, finish(&conv->out, scales, &sums), vctp8q(channels - c));
        scales++;
    }
}

/* Any scales and any of the taps, four channels at a time. */
static void compute_slowly(const struct channels_row *row, const struct common_taps *x, int8_t *output)
{
    const struct window *conv = row->conv;
    const uint32_t channels = conv->in_channels;
    const uint32_t step = (uint32_t)conv->x.dilation * channels;

    for (uint32_t c = 0; c < channels; c += LANES) {
        const mve_pred16_t lanes = vctp32q(channels - c);
        const struct requantize_lanes scales = requantize_lanes_for(&conv->out, c, lanes);
        int32x4_t sums = conv->out.bias != NULL ? vldrwq_z_s32(conv->out.bias + c, lanes) : vdupq_n_s32(0);

        for (uint32_t k = 0; k < row->count; k++) {
            const uint32_t first = (row->first + k) * conv->x.taps + (uint32_t)x->first;
            const int8_t *weights = conv->weights + first * channels + c;
            const int8_t *inputs = row->rows[k] + (uint32_t)x->from * channels + c;

            for (int32_t i = x->first; i < x->end; i++) {
                const int32x4_t values = vsubq_n_s32(vldrbq_z_s32(inputs, lanes), conv->input_zero_point);

                sums = vaddq_s32(sums, vmulq_s32(values, vldrbq_z_s32(weights, lanes)));
                inputs += step;
                weights += channels;
            }
        }
        vstrbq_p_s32(output + c, requantize_each(&conv->out, &scales, sums), lanes);
    }
}

void channels_compute(const struct channels_row *row, const struct common_taps *x, int8_t *output)
{
    const struct window *conv = row->conv;

    if (row->quick && row->count == conv->y.taps && x->end - x->first == conv->x.taps) {
        compute_quickly(row, (uint32_t)x->from, output);
    } else {
        compute_slowly(row, x, output);
    }
}

#endif
