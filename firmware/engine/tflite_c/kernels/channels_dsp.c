/* SPDX-License-Identifier: Apache-2.0 */
/* channels.h for cores with the DSP extension: four channels at a time.
 *
 * Scratch memory, made anew in each run: the scale of every channel. 3 by 3 taps have a quicker way, in
 * depthwise_conv_2d_square.c.
 */
#include "channels.h"
#include "core.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !CORE_MVE

#include "dsp.h"

enum { QUAD = 4 };

bool channels_fit(const struct window *conv)
{
    return conv->in_channels % QUAD == 0;
}

bool channels_want_padding(const struct window *conv)
{
    (void)conv;
    return false;
}

uint32_t channels_scratch_bytes(const struct window *conv)
{
    return conv->in_channels * (uint32_t)sizeof(struct requantize);
}

bool channels_start(const struct window *conv, void *scratch)
{
    return requantize_table(&conv->out, conv->in_channels, scratch);
}

struct quad {
    int32_t a, b, c, d;
};

/* The taps of one row, for four channels. */
static inline void add_row(struct quad *sums, const int8_t *input, uint32_t step, const int8_t *weights,
                           uint32_t channels, uint32_t columns, uint32_t offsets)
{
    for (; columns != 0; columns--) {
        const uint32_t bytes = dsp_load(input);
        const uint32_t even = dsp_widen_even(offsets, bytes);
        const uint32_t odd = dsp_widen_odd(offsets, bytes);
        const uint32_t four = dsp_load(weights);
        const uint32_t even_weights = dsp_widen_even(0, four);
        const uint32_t odd_weights = dsp_widen_odd(0, four);

        sums->a = dsp_add_low(sums->a, even, even_weights);
        sums->b = dsp_add_low(sums->b, odd, odd_weights);
        sums->c = dsp_add_high(sums->c, even, even_weights);
        sums->d = dsp_add_high(sums->d, odd, odd_weights);
        input += step;
        weights += channels;
    }
}

/* requantize_quickly() and a store; the next channel's scale follows. */
#define STORE_QUICKLY(sum, at)                                                                                         \
    "ldmia %[scale]!, {r4, r5, r6, r8}\n\t"                                                                            \
    "lsl %[" sum "], %[" sum "], #1\n\t"                                                                               \
    "smmulr %[" sum "], %[" sum "], r4\n\t"                                                                            \
    "add %[" sum "], %[" sum "], %[" sum "], asr #31\n\t"                                                              \
    "add %[" sum "], %[" sum "], r6\n\t"                                                                               \
    "asr %[" sum "], %[" sum "], r5\n\t"                                                                               \
    "ssat %[" sum "], #8, %[" sum "]\n\t"                                                                              \
    "strb %[" sum "], [%[output], #" at "]\n\t"

static inline void store_quickly(struct quad sums, const struct requantize *scale, int8_t *output)
{
    __asm volatile(STORE_QUICKLY("a", "0") STORE_QUICKLY("b", "1") STORE_QUICKLY("c", "2") STORE_QUICKLY("d", "3")
                   : [a] "+r"(sums.a), [b] "+r"(sums.b), [c] "+r"(sums.c), [d] "+r"(sums.d), [scale] "+r"(scale)
                   : [output] "r"(output)
                   : "r4", "r5", "r6", "r8", "cc", "memory");
}

__attribute__((noinline)) static void store_slowly(int32_t a, int32_t b, int32_t c, int32_t d,
                                                   const struct channels_row *row, uint32_t channel, int8_t *output)
{
    const struct requantize *scales = (const struct requantize *)row->scratch + channel;
    const int32_t sums[QUAD] = {a, b, c, d};

    for (uint32_t i = 0; i < QUAD; i++) {
        output[i] = requantize_value(&row->conv->out, &scales[i], sums[i], channel + i);
    }
}

void channels_compute(const struct channels_row *row, const struct common_taps *x, int8_t *output)
{
    const struct window *conv = row->conv;
    const uint32_t channels = conv->in_channels;
    const uint32_t step = (uint32_t)conv->x.dilation * channels;
    const uint32_t columns = (uint32_t)(x->end - x->first);
    const uint32_t offsets = dsp_offsets(conv->input_zero_point);
    const uint32_t weights_row = conv->x.taps * channels;
    const struct requantize *scale = row->scratch;
    const int8_t *weights = conv->weights + row->first * weights_row + (uint32_t)x->first * channels;
    uint32_t at = (uint32_t)x->from * channels;

    for (uint32_t c = 0; c < channels; c += QUAD) {
        struct quad sums = {scale[0].bias, scale[1].bias, scale[2].bias, scale[3].bias};

        for (uint32_t k = 0; k < row->count; k++) {
            add_row(&sums, row->rows[k] + at, step, weights + k * weights_row, channels, columns, offsets);
        }
        if (row->quick) {
            store_quickly(sums, scale, output);
        } else {
            store_slowly(sums.a, sums.b, sums.c, sums.d, row, c, output);
        }
        weights += QUAD;
        scale += QUAD;
        output += QUAD;
        at += QUAD;
    }
}

#endif
