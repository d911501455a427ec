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

static const uint8_t ORDER[VECTORS] = {0, 2, 1, 3}; /* the channel in the first lane; each next lane has LANES more */

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

bool channels_want_padding(const struct window *conv)
{
    (void)conv;
    return true;
}

uint32_t channels_scratch_bytes(const struct window *conv)
{
    return (conv->in_channels + VECTOR - 1u) / VECTOR * (uint32_t)sizeof(struct scales);
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

/* Channels `first`, `first` + LANES and so on of those from `channel` on, where there are such. */
static mve_pred16_t lanes_from(const struct window *conv, uint32_t channel, uint32_t first)
{
    const uint32_t left = conv->in_channels - channel + LANES - 1;

    return vctp32q(left > first ? (left - first) / LANES : 0);
}

static void start_block(const struct window *conv, uint32_t channel, struct scales *scales)
{
    const struct common_output *out = &conv->out;
    const uint32x4_t each = vidupq_n_u32(0, LANES);
    const uint32_t taps = (uint32_t)conv->y.taps * conv->x.taps;
    const int8x16_t zero_points = vdupq_n_s8((int8_t)conv->input_zero_point);
    struct sums sums = {{vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)}};
    int8_t inputs[VECTOR];

    vstrbq_s8(inputs, zero_points);
    add_part_of_row(&sums, inputs, conv->weights + channel, 0, conv->in_channels, taps, conv->in_channels - channel);
    for (uint32_t i = 0; i < VECTORS; i++) {
        const uint32_t at = channel + ORDER[i];
        const mve_pred16_t some = lanes_from(conv, channel, ORDER[i]);
        int32x4_t bias = vdupq_n_s32(0);

        if (out->bias != NULL) {
            bias = vldrwq_gather_shifted_offset_z_s32(out->bias + at, each, some);
        }
        vstrwq_s32(scales->bias[i], vsubq_s32(bias, sums.of[i]));
        if (out->per_channel == 0) {
            vstrwq_s32(scales->multipliers[i], vdupq_n_s32(out->multipliers[0]));
            vstrwq_s32(scales->shifts[i], vdupq_n_s32(out->shifts[0]));
        } else {
            vstrwq_s32(scales->multipliers[i], vldrwq_gather_shifted_offset_z_s32(out->multipliers + at, each, some));
            vstrwq_s32(scales->shifts[i], vldrbq_gather_offset_z_s32(out->shifts + at, each, some));
        }
    }
}

static bool all_shift_right(const struct window *conv)
{
    const uint32_t count = conv->out.per_channel != 0 ? conv->in_channels : 1;

    for (uint32_t i = 0; i < count; i++) {
        if (conv->out.shifts[i] >= 0) {
            return false;
        }
    }
    return true;
}

/* Two products of other weights fit in 16 bits together. */
static bool has_lowest_weight(const struct window *conv)
{
    const uint32_t count = (uint32_t)conv->y.taps * conv->x.taps * conv->in_channels;
    int8x16_t lowest = vdupq_n_s8(0);

    for (uint32_t i = 0; i < count; i += VECTOR) {
        lowest = vminq_s8(lowest, vldrbq_z_s8(conv->weights + i, vctp8q(count - i)));
    }
    return vminvq_s8(0, lowest) == INT8_MIN;
}

bool channels_start(const struct window *conv, void *scratch)
{
    struct scales *scales = scratch;

    for (uint32_t c = 0; c < conv->in_channels; c += VECTOR) {
        start_block(conv, c, scales);
        scales++;
    }
    return all_shift_right(conv) && !has_lowest_weight(conv);
}

/* One vector of sums by its scale, at these places in struct scales; halves go away from zero. */
#define SCALE(sums, multipliers, shifts)                                                                               \
    "vldrw.32 q0, [%[scales], #" multipliers "]\n\t"                                                                   \
    "vqrdmulh.s32 %q[" sums "], %q[" sums "], q0\n\t"                                                                  \
    "vldrw.32 q0, [%[scales], #" shifts "]\n\t"                                                                        \
    "vshr.s32 q1, %q[" sums "], #31\n\t"                                                                               \
    "vadd.i32 %q[" sums "], %q[" sums "], q1\n\t"                                                                      \
    "vrshl.s32 %q[" sums "], %q[" sums "], q0\n\t"

/* The outputs, each in its channel's place. In assembly because GCC copies and spills the vectors. */
static inline int8x16_t finish(const struct common_output *out, const struct scales *scales, const struct sums *sums)
{
    int32x4_t a = sums->of[0], b = sums->of[1], c = sums->of[2], d = sums->of[3];
    int8x16_t values;

    __asm(SCALE("a", "64", "128") SCALE("b", "80", "144") SCALE("c", "96", "160") SCALE("d", "112", "176")
          /* Narrowed, and zipped: even channels in a, odd ones in c. */
          "vqmovnb.s32 %q[a], %q[a]\n\t"
          "vqmovnt.s32 %q[a], %q[b]\n\t"
          "vqmovnb.s32 %q[c], %q[c]\n\t"
          "vqmovnt.s32 %q[c], %q[d]\n\t"
          "vqadd.s16 %q[a], %q[a], %[zero_point]\n\t"
          "vqadd.s16 %q[c], %q[c], %[zero_point]\n\t"
          "vqmovnb.s16 %q[a], %q[a]\n\t"
          "vqmovnt.s16 %q[a], %q[c]\n\t"
          : [a] "+w"(a), [b] "+w"(b), [c] "+w"(c), [d] "+w"(d)
          : [scales] "r"(scales), [zero_point] "r"((int32_t)out->zero_point), "m"(*scales)
          : "q0", "q1");
    values = vreinterpretq_s8_s32(a);
    return vminq_s8(vmaxq_s8(values, vdupq_n_s8(out->low)), vdupq_n_s8(out->high));
}

/* Two taps, whose products are added before they are widened. The next weights are loaded twice: a register is missing.
 * `if`: "vpst" and the like, before loads that end in `then`. */
#define ADD_PAIR(if_two, if_one, then, first, second)                                                                  \
    if_two "vldrb" then ".8 q0, [%[" first "]]\n\t"                                                                    \
           "vldrb" then ".8 q1, [%[weights]]\n\t"                                                                      \
           "add %[weights], %[weights], %[channels]\n\t"                                                               \
           "add %[" first "], %[" first "], %[step]\n\t"                                                               \
           "vmullb.s8 q2, q0, q1\n\t"                                                                                  \
           "vmullt.s8 q3, q0, q1\n\t" if_two "vldrb" then ".8 q0, [%[" second "]]\n\t"                                 \
           "vldrb" then ".8 q1, [%[weights]]\n\t"                                                                      \
           "add %[" second "], %[" second "], %[step]\n\t"                                                             \
           "vmullb.s8 q1, q0, q1\n\t"                                                                                  \
           "vadd.i16 q2, q2, q1\n\t" if_one "vldrb" then ".8 q1, [%[weights]]\n\t"                                     \
           "add %[weights], %[weights], %[channels]\n\t"                                                               \
           "vmullt.s8 q1, q0, q1\n\t"                                                                                  \
           "vadd.i16 q3, q3, q1\n\t" WIDEN

#define WIDEN                                                                                                          \
    "vmovlb.s16 q0, q2\n\t"                                                                                            \
    "vadd.i32 %q[a], %q[a], q0\n\t"                                                                                    \
    "vmovlt.s16 q1, q2\n\t"                                                                                            \
    "vadd.i32 %q[b], %q[b], q1\n\t"                                                                                    \
    "vmovlb.s16 q0, q3\n\t"                                                                                            \
    "vadd.i32 %q[c], %q[c], q0\n\t"                                                                                    \
    "vmovlt.s16 q1, q3\n\t"                                                                                            \
    "vadd.i32 %q[d], %q[d], q1\n\t"

#define ADD_SQUARE(if_two, if_one, then)                                                                               \
    ADD_PAIR(if_two, if_one, then, "top", "top")                                                                       \
    ADD_PAIR(if_two, if_one, then, "top", "middle")                                                                    \
    ADD_PAIR(if_two, if_one, then, "middle", "middle")                                                                 \
    ADD_PAIR(if_two, if_one, then, "bottom", "bottom")                                                                 \
    if_two "vldrb" then ".8 q0, [%[bottom]]\n\t"                                                                       \
           "vldrb" then ".8 q1, [%[weights]]\n\t"                                                                      \
           "vmullb.s8 q2, q0, q1\n\t"                                                                                  \
           "vmullt.s8 q3, q0, q1\n\t" WIDEN

#define SQUARE_OPERANDS                                                                                                \
    [a] "+w"(sums->of[0]), [b] "+w"(sums->of[1]), [c] "+w"(sums->of[2]), [d] "+w"(sums->of[3]), [top] "+r"(top),       \
        [middle] "+r"(middle), [bottom] "+r"(bottom), [weights] "+r"(weights)

/* 3 by 3 taps. `at`: of the first input in each row. */
static inline void add_square(struct sums *sums, const int8_t *const *rows, uint32_t at, const int8_t *weights,
                              uint32_t step, uint32_t channels, uint32_t left)
{
    const int8_t *top = rows[0] + at;
    const int8_t *middle = rows[1] + at;
    const int8_t *bottom = rows[2] + at;

    if (left >= VECTOR) {
        __asm volatile(ADD_SQUARE("", "", "")
                       : SQUARE_OPERANDS
                       : [step] "r"(step), [channels] "r"(channels)
                       : "q0", "q1", "q2", "q3", "memory");
    } else {
        __asm volatile(ADD_SQUARE("vpstt\n\t", "vpst\n\t", "t")
                       : SQUARE_OPERANDS
                       : [step] "r"(step), [channels] "r"(channels), [some] "Up"(vctp8q(left))
                       : "q0", "q1", "q2", "q3", "memory");
    }
}

/* All taps are inside the image. */
static void compute_quickly(const struct channels_row *row, uint32_t from, int8_t *output)
{
    const struct window *conv = row->conv;
    const uint32_t channels = conv->in_channels;
    const uint32_t step = (uint32_t)conv->x.dilation * channels;
    const bool square = conv->x.taps == 3 && conv->y.taps == 3;
    const struct scales *scales = row->scratch;

    for (uint32_t c = 0; c < channels; c += VECTOR) {
        const int8_t *weights = conv->weights + c;
        struct sums sums;

        for (uint32_t i = 0; i < VECTORS; i++) {
            sums.of[i] = vldrwq_s32(scales->bias[i]);
        }
        if (square) {
            add_square(&sums, row->rows, from * channels + c, weights, step, channels, channels - c);
        } else {
            for (uint32_t k = 0; k < row->count; k++) {
                const int8_t *inputs = row->rows[k] + from * channels + c;

                if (channels - c >= VECTOR) {
                    add_row(&sums, inputs, weights, step, channels, conv->x.taps);
                } else {
                    add_part_of_row(&sums, inputs, weights, step, channels, conv->x.taps, channels - c);
                }
                weights += conv->x.taps * channels;
            }
        }
        if (channels - c >= VECTOR) {
            vstrbq_s8(output + c, finish(&conv->out, scales, &sums));
        } else {
            vstrbq_p_s8(output + c, finish(&conv->out, scales, &sums), vctp8q(channels - c));
        }
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
