/* SPDX-License-Identifier: Apache-2.0 */
/* channels.h for a Cortex-M3, and in plain C for the machines we test on.
 *
 * 3 by 3 taps have a quicker way. It has a record for each channel in scratch memory, made anew in each run: the scale,
 * the zero point's part of the sum taken off its bias, and the weights, which lie far apart in the model.
 */
#include "channels.h"

#if !(defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP)

enum { SIDE = 3, TAPS = SIDE * SIDE };

struct square { /* assembly counts on this order */
    struct requantize scale;
    int8_t weights[TAPS + 3];
};

static bool is_square(const struct window *conv)
{
    return conv->y.taps == SIDE && conv->x.taps == SIDE;
}

bool channels_fit(const struct window *conv)
{
    (void)conv;
    return true;
}

bool channels_want_padding(const struct window *conv)
{
    return is_square(conv);
}

uint32_t channels_scratch_bytes(const struct window *conv)
{
    return is_square(conv) ? conv->in_channels * (uint32_t)sizeof(struct square) : 0;
}

bool channels_start(const struct window *conv, void *scratch)
{
    struct square *squares = scratch;
    bool quick = true;

    if (!is_square(conv)) {
        return false;
    }
    for (uint32_t c = 0; c < conv->in_channels; c++) {
        const int8_t *weight = conv->weights + c;
        struct square *square = &squares[c];

        square->scale = requantize_for(&conv->out, c);
        quick = quick && square->scale.shift != 0;
        for (uint32_t i = 0; i < TAPS; i++) {
            square->weights[i] = *weight;
            square->scale.bias = requantize_sum(-conv->input_zero_point * *weight, square->scale.bias);
            weight += conv->in_channels;
        }
    }
    return quick;
}

#if defined(__ARM_ARCH_7M__)

/* Three taps of a row: 9 instructions. In assembly because GCC adds where an address can have two parts. */
#define DOT_ROW(row, first, second, third)                                                                             \
    "ldrsb %[x], [%[" row "], %[step]]\n\t"                                                                            \
    "ldrsb %[w], [%[square], #" second "]\n\t"                                                                         \
    "mla %[sum], %[w], %[x], %[sum]\n\t"                                                                               \
    "ldrsb %[x], [%[" row "], %[twice]]\n\t"                                                                           \
    "ldrsb %[w], [%[square], #" third "]\n\t"                                                                          \
    "mla %[sum], %[w], %[x], %[sum]\n\t"                                                                               \
    "ldrsb %[x], [%[" row "]], #1\n\t"                                                                                 \
    "ldrsb %[w], [%[square], #" first "]\n\t"                                                                          \
    "mla %[sum], %[w], %[x], %[sum]\n\t"

/* The sum of one channel; the rows go on to the next. */
static inline int32_t dot(const struct square *square, const int8_t **rows, uint32_t step)
{
    int32_t sum = square->scale.bias, x, w;

    __asm volatile(DOT_ROW("top", "16", "17", "18") DOT_ROW("middle", "19", "20", "21")
                       DOT_ROW("bottom", "22", "23", "24")
                   : [sum] "+r"(sum), [top] "+r"(rows[0]), [middle] "+r"(rows[1]), [bottom] "+r"(rows[2]), [x] "=&r"(x),
                     [w] "=&r"(w)
                   : [square] "r"(square), [step] "r"(step), [twice] "r"(2 * step)
                   : "memory");
    return sum;
}

#else

static inline int32_t dot(const struct square *square, const int8_t **rows, uint32_t step)
{
    const int8_t *weights = square->weights;
    int32_t sum = square->scale.bias;

    for (uint32_t k = 0; k < SIDE; k++) {
        sum += weights[0] * rows[k][0] + weights[1] * rows[k][step] + weights[2] * rows[k][2 * step];
        rows[k]++;
        weights += SIDE;
    }
    return sum;
}

#endif

/* All nine taps are inside the image, and all scales are quick. */
static void compute_square(const struct channels_row *row, uint32_t from, int8_t *output)
{
    const struct window *conv = row->conv;
    const uint32_t channels = conv->in_channels;
    const uint32_t step = (uint32_t)conv->x.dilation * channels;
    const struct square *square = row->scratch;
    const struct square *end = square + channels;
    const int8_t *rows[SIDE];

    for (uint32_t k = 0; k < SIDE; k++) {
        rows[k] = row->rows[k] + from * channels;
    }
    while (square != end) {
        *output++ = (int8_t)requantize_quickly(&square->scale, dot(square, rows, step));
        square++;
    }
}

static void compute_any(const struct channels_row *row, const struct common_taps *x, int8_t *output)
{
    const struct window *conv = row->conv;
    const uint32_t channels = conv->in_channels;
    const uint32_t input_step = (uint32_t)conv->x.dilation * channels;
    const uint32_t columns = (uint32_t)(x->end - x->first);
    const int32_t zero_point = conv->input_zero_point;
    const int8_t *taps = conv->weights + (row->first * conv->x.taps + (uint32_t)x->first) * channels;

    for (uint32_t c = 0; c < channels; c++) {
        const struct requantize scale = requantize_for(&conv->out, c);
        const int8_t *weights = taps + c;
        int32_t sum = 0;

        for (uint32_t k = 0; k < row->count; k++) {
            const int8_t *input = row->rows[k] + (uint32_t)x->from * channels + c;
            const int8_t *weight = weights;

            for (uint32_t i = 0; i < columns; i++) {
                sum += *weight * (*input - zero_point);
                weight += channels;
                input += input_step;
            }
            weights += conv->x.taps * channels;
        }
        output[c] = requantize_value(&conv->out, &scale, requantize_sum(sum, requantize_bias(&conv->out, c)), c);
    }
}

void channels_compute(const struct channels_row *row, const struct common_taps *x, int8_t *output)
{
    if (row->quick && row->count == SIDE && x->end - x->first == SIDE) { /* quick: there are no more taps */
        compute_square(row, (uint32_t)x->from, output);
    } else {
        compute_any(row, x, output);
    }
}

#endif
