/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D with 3 by 3 taps, for cores with the DSP extension: four channels at a time, along an output row.
 *
 * Scratch memory: the scale of every channel; the weights; three input rows and one of padding. Weights and rows are
 * widened to int16 as SXTB16 gives them, channels 0 and 2 in one word and 1 and 3 in the next, the zero point taken off
 * the inputs; and the columns of four channels lie together, so that three taps are six words in a row. So each input
 * is widened once, no position is at an edge, and the output may overwrite the image.
 */
#include "depthwise_conv_2d.h"
#include "requantize.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !(defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1))

#include "dsp.h"

#include <string.h>

enum { QUAD = 4, TAPS = 3, WEIGHT_WORDS = TAPS * TAPS * 2 };

/* The parts of the scratch memory. */
struct layout {
    struct requantize *scales;
    uint32_t *weights; /* WEIGHT_WORDS for each quad */
    uint32_t *rows;    /* TAPS rows and the padding */
    uint32_t row_words, quad_words;
};

static uint32_t quads_of(const struct window *conv)
{
    return conv->in_channels / QUAD;
}

static struct layout lay_out(const struct window *conv, void *scratch)
{
    struct layout layout = {.scales = scratch, .quad_words = window_padded_width(conv) * 2};

    layout.row_words = layout.quad_words * quads_of(conv);
    layout.weights = (uint32_t *)(layout.scales + conv->in_channels);
    layout.rows = layout.weights + quads_of(conv) * WEIGHT_WORDS;
    return layout;
}

bool depthwise_conv_2d_square_choose(struct load *load, struct depthwise_conv_2d *conv)
{
    struct window *window = &conv->window;
    const uint32_t words =
        quads_of(window) * WEIGHT_WORDS + (TAPS + 1) * quads_of(window) * 2 * window_padded_width(window);

    if (window->y.taps != TAPS || window->x.taps != TAPS || window->y.dilation != 1 || window->x.dilation != 1 ||
        window->y.stride > TAPS || conv->depth_multiplier != 1 || window->in_channels % QUAD != 0 ||
        window_padded_width(window) > WINDOW_MAX_ROW_BYTES / window->in_channels) {
        return false;
    }
    (void)(window_is_in_place(window) && load_in_place(load));
    conv->scratch = load_scratch(load, window->in_channels * (uint32_t)sizeof(struct requantize) +
                                           words * (uint32_t)sizeof(uint32_t));
    window->step.run = depthwise_conv_2d_square_run;
    return true;
}

static void widen_weights(const struct window *conv, const struct layout *layout)
{
    uint32_t *to = layout->weights;

    for (uint32_t c = 0; c < conv->in_channels; c += QUAD) {
        const int8_t *weights = conv->weights + c;

        for (uint32_t i = 0; i < TAPS * TAPS; i++) {
            const uint32_t bytes = dsp_load(weights);

            to[0] = dsp_widen_even(0, bytes);
            to[1] = dsp_widen_odd(0, bytes);
            to += 2;
            weights += conv->in_channels;
        }
    }
}

/* What lies before and behind the rows, and the row of padding. */
static void clear_padding(const struct window *conv, const struct layout *layout)
{
    const uint32_t before = conv->x.pad * 2u;
    const uint32_t inside = conv->x.in * 2u;
    const uint32_t behind = layout->quad_words - before - inside;

    for (uint32_t q = 0; q < TAPS * quads_of(conv); q++) {
        uint32_t *row = layout->rows + q * layout->quad_words;

        for (uint32_t i = 0; i < before; i++) {
            row[i] = 0;
        }
        for (uint32_t i = 0; i < behind; i++) {
            row[before + inside + i] = 0;
        }
    }
    memset(layout->rows + TAPS * layout->row_words, 0, layout->row_words * sizeof(uint32_t));
}

/* Input row `iy` to the place that its number leads to. */
static void widen_row(const struct window *conv, const struct layout *layout, int32_t iy)
{
    const uint32_t channels = conv->in_channels;
    const uint32_t offsets = dsp_offsets(conv->input_zero_point);
    const int8_t *inputs = conv->input + (uint32_t)(iy * conv->x.in) * channels;
    uint32_t *row = layout->rows + (uint32_t)(iy % TAPS) * layout->row_words + conv->x.pad * 2u;

    for (uint32_t c = 0; c < channels; c += QUAD) {
        const int8_t *input = inputs + c;
        uint32_t *to = row;

        for (uint32_t x = conv->x.in; x != 0; x--) {
            const uint32_t bytes = dsp_load(input);

            input += channels;
            to[0] = dsp_widen_even(offsets, bytes);
            to[1] = dsp_widen_odd(offsets, bytes);
            to += 2;
        }
        row += layout->quad_words;
    }
}

/* Three taps of four channels: 16 instructions for 12 products. */
#define ADD_TAP(x, y, u, v)                                                                                            \
    "smlabb %[a], " x ", " u ", %[a]\n\t"                                                                              \
    "smlatt %[c], " x ", " u ", %[c]\n\t"                                                                              \
    "smlabb %[b], " y ", " v ", %[b]\n\t"                                                                              \
    "smlatt %[d], " y ", " v ", %[d]\n\t"

#define ADD_ROW(input)                                                                                                 \
    "ldmia %[weights]!, {r4, r5, r6, r8}\n\t"                                                                          \
    "ldrd %[x], %[y], [%[" input                                                                                       \
    "]]\n\t" ADD_TAP("%[x]", "%[y]", "r4", "r5") "ldrd %[x], %[y], [%[" input "], #8]\n\t" ADD_TAP(                    \
        "%[x]", "%[y]", "r6", "r8") "ldmia %[weights]!, {r4, r5}\n\t"                                                  \
                                    "ldrd %[x], %[y], "                                                                \
                                    "[%[" input "], #16]\n\t" ADD_TAP("%[x]", "%[y]", "r4", "r5")

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

__attribute__((noinline)) static void store_slowly(int32_t a, int32_t b, int32_t c, int32_t d,
                                                   const struct window *conv, const struct requantize *scales,
                                                   uint32_t channel, int8_t *output)
{
    const int32_t sums[QUAD] = {a, b, c, d};

    for (uint32_t i = 0; i < QUAD; i++) {
        output[i] = requantize_value(&conv->out, &scales[i], sums[i], channel + i);
    }
}

/* The input rows under an output row, of one quad. */
struct rows {
    const uint32_t *first, *second, *third;
};

/* An output row, four channels of it. */
static void compute_quad(const struct window *conv, struct rows rows, const uint32_t *weights,
                         const struct requantize *scale, bool quick, uint32_t channel, int8_t *output)
{
    const uint32_t step = conv->x.stride * 2u;

    for (uint32_t left = conv->x.out; left != 0; left--) {
        int32_t a = scale[0].bias, b = scale[1].bias, c = scale[2].bias, d = scale[3].bias;
        const uint32_t *w = weights;
        uint32_t x, y;

        __asm volatile(
            ADD_ROW("first")
            : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [weights] "+&r"(w), [x] "=&r"(x), [y] "=&r"(y)
            : [first] "r"(rows.first)
            : "r4", "r5", "r6", "r8", "memory");
        __asm volatile(
            ADD_ROW("second")
            : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [weights] "+&r"(w), [x] "=&r"(x), [y] "=&r"(y)
            : [second] "r"(rows.second)
            : "r4", "r5", "r6", "r8", "memory");
        __asm volatile(
            ADD_ROW("third")
            : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [weights] "+&r"(w), [x] "=&r"(x), [y] "=&r"(y)
            : [third] "r"(rows.third)
            : "r4", "r5", "r6", "r8", "memory");
        if (quick) {
            const struct requantize *at = scale;

            __asm volatile(STORE_QUICKLY("a", "0") STORE_QUICKLY("b", "1") STORE_QUICKLY("c", "2")
                               STORE_QUICKLY("d", "3")
                           : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [scale] "+&r"(at)
                           : [output] "r"(output)
                           : "r4", "r5", "r6", "r8", "cc", "memory");
        } else {
            store_slowly(a, b, c, d, conv, scale, channel, output);
        }
        rows.first += step;
        rows.second += step;
        rows.third += step;
        output += conv->out_channels;
    }
}

static void compute_row(const struct window *conv, const struct layout *layout, int32_t oy, bool quick)
{
    const int32_t top = oy * conv->y.stride - conv->y.pad;
    const uint32_t *rows[TAPS];
    int8_t *output = conv->output + (uint32_t)(oy * conv->x.out) * conv->out_channels;

    for (int32_t k = 0; k < TAPS; k++) {
        const bool inside = top + k >= 0 && top + k < conv->y.in;

        rows[k] = layout->rows + (inside ? (uint32_t)((top + k) % TAPS) : TAPS) * layout->row_words;
    }
    for (uint32_t q = 0; q < quads_of(conv); q++) {
        const uint32_t at = q * layout->quad_words;
        const struct rows under = {rows[0] + at, rows[1] + at, rows[2] + at};

        compute_quad(conv, under, layout->weights + q * WEIGHT_WORDS, layout->scales + q * QUAD, quick, q * QUAD,
                     output + q * QUAD);
    }
}

void depthwise_conv_2d_square_run(const struct step *step)
{
    const struct depthwise_conv_2d *record = (const struct depthwise_conv_2d *)(const void *)step;
    const struct window *conv = &record->window;
    const struct layout layout = lay_out(conv, record->scratch);
    const bool quick = requantize_table(&conv->out, conv->in_channels, layout.scales);
    int32_t next = 0; /* the first input row not widened yet */

    widen_weights(conv, &layout);
    clear_padding(conv, &layout);
    for (int32_t oy = 0; oy < conv->y.out; oy++) {
        const int32_t end = oy * conv->y.stride - conv->y.pad + TAPS;

        for (; next < end && next < conv->y.in; next++) {
            widen_row(conv, &layout, next);
        }
        compute_row(conv, &layout, oy, quick);
    }
}

#else

bool depthwise_conv_2d_square_choose(struct load *load, struct depthwise_conv_2d *conv)
{
    (void)load;
    (void)conv;
    return false;
}

#endif
