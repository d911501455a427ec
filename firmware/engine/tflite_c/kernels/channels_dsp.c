/* SPDX-License-Identifier: Apache-2.0 */
/* channels.h for cores with the DSP extension: four channels at a time.
 *
 * Scratch memory, made anew in each run: the scale of every channel; then, for 3 by 3 taps, the weights of every four
 * channels, widened to int16: for each tap channels 0 and 2, then 1 and 3, as SXTB16 gives them. Other kernels are too
 * rare, or too large, to be worth that memory.
 */
#include "channels.h"
#include "core.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !CORE_MVE

enum { QUAD = 4, SQUARE = 3, SQUARE_WORDS = SQUARE * SQUARE * 2 };

bool channels_fit(const struct window *conv)
{
    return conv->in_channels % QUAD == 0;
}

static bool is_square(const struct window *conv)
{
    return conv->y.taps == SQUARE && conv->x.taps == SQUARE;
}

uint32_t channels_scratch_bytes(const struct window *conv)
{
    const uint32_t words = is_square(conv) ? conv->in_channels / QUAD * SQUARE_WORDS : 0;

    return conv->in_channels * (uint32_t)sizeof(struct requantize) + words * (uint32_t)sizeof(uint32_t);
}

static inline uint32_t load_word(const int8_t *bytes)
{
    uint32_t word;

    __asm("ldr %0, %1" : "=r"(word) : "m"(*(const int8_t (*)[QUAD])bytes));
    return word;
}

static inline uint32_t widen_even(uint32_t offsets, uint32_t bytes)
{
    uint32_t pair;

    __asm("sxtab16 %0, %1, %2" : "=r"(pair) : "r"(offsets), "r"(bytes));
    return pair;
}

static inline uint32_t widen_odd(uint32_t offsets, uint32_t bytes)
{
    uint32_t pair;

    __asm("sxtab16 %0, %1, %2, ror #8" : "=r"(pair) : "r"(offsets), "r"(bytes));
    return pair;
}

bool channels_start(const struct window *conv, void *scratch)
{
    const uint32_t channels = conv->in_channels;
    struct requantize *scales = scratch;
    uint32_t *to = (uint32_t *)(scales + channels);

    const bool quick = requantize_table(&conv->out, channels, scales);

    for (uint32_t c = 0; is_square(conv) && c < channels; c += QUAD) {
        const int8_t *weights = conv->weights + c;

        for (uint32_t i = 0; i < SQUARE * SQUARE; i++) {
            uint32_t bytes = load_word(weights);

            to[0] = widen_even(0, bytes);
            to[1] = widen_odd(0, bytes);
            to += 2;
            weights += channels;
        }
    }
    return quick;
}

struct quad {
    int32_t a, b, c, d;
};

static inline int32_t add_low(int32_t sum, uint32_t a, uint32_t b)
{
    __asm("smlabb %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

static inline int32_t add_high(int32_t sum, uint32_t a, uint32_t b)
{
    __asm("smlatt %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

/* Four channels of one tap: input in x, weights behind the pointer. */
#define ADD_TAP                                                                                                        \
    "ldrd %[v], %[w], [%[weights]], #8\n\t"                                                                            \
    "sxtab16 %[y], %[offsets], %[x]\n\t"                                                                               \
    "sxtab16 %[x], %[offsets], %[x], ror #8\n\t"                                                                       \
    "smlabb %[a], %[y], %[v], %[a]\n\t"                                                                                \
    "smlatt %[c], %[y], %[v], %[c]\n\t"                                                                                \
    "smlabb %[b], %[x], %[w], %[b]\n\t"                                                                                \
    "smlatt %[d], %[x], %[w], %[d]\n\t"

/* Three taps of a row, for four channels. Returns where the weights go on. */
static inline const uint32_t *add_three(struct quad *sums, const int8_t *input, uint32_t step, const uint32_t *weights,
                                        uint32_t offsets)
{
    uint32_t v, w, x, y;

    __asm volatile("ldr %[x], [%[input]]\n\t" ADD_TAP "ldr %[x], [%[input], %[step]]\n\t" ADD_TAP
                   "ldr %[x], [%[input], %[step], lsl #1]\n\t" ADD_TAP
                   : [a] "+r"(sums->a), [b] "+r"(sums->b), [c] "+r"(sums->c), [d] "+r"(sums->d), [v] "=&r"(v),
                     [w] "=&r"(w), [x] "=&r"(x), [y] "=&r"(y), [weights] "+r"(weights)
                   : [input] "r"(input), [step] "r"(step), [offsets] "r"(offsets)
                   : "memory");
    return weights;
}

/* Any number of them. */
static inline void add_some(struct quad *sums, const int8_t *input, uint32_t step, const int8_t *weights,
                            uint32_t channels, uint32_t columns, uint32_t offsets)
{
    for (; columns != 0; columns--) {
        const uint32_t bytes = load_word(input);
        const uint32_t even = widen_even(offsets, bytes);
        const uint32_t odd = widen_odd(offsets, bytes);
        const uint32_t four = load_word(weights);
        const uint32_t even_weights = widen_even(0, four);
        const uint32_t odd_weights = widen_odd(0, four);

        sums->a = add_low(sums->a, even, even_weights);
        sums->b = add_low(sums->b, odd, odd_weights);
        sums->c = add_high(sums->c, even, even_weights);
        sums->d = add_high(sums->d, odd, odd_weights);
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
    const uint32_t offsets = (uint32_t)(-conv->input_zero_point & 0xffff) * 0x10001u;
    const uint32_t weights_row = conv->x.taps * channels;
    const bool square = row->count == SQUARE && columns == SQUARE && is_square(conv); /* nearly always */
    const struct requantize *scale = row->scratch;
    const uint32_t *widened = (const uint32_t *)(scale + channels);
    const int8_t *weights = conv->weights + row->first * weights_row + (uint32_t)x->first * channels;
    uint32_t at = (uint32_t)x->from * channels;

    for (uint32_t c = 0; c < channels; c += QUAD) {
        struct quad sums = {scale[0].bias, scale[1].bias, scale[2].bias, scale[3].bias};

        if (square) {
            widened = add_three(&sums, row->rows[0] + at, step, widened, offsets);
            widened = add_three(&sums, row->rows[1] + at, step, widened, offsets);
            widened = add_three(&sums, row->rows[2] + at, step, widened, offsets);
        } else {
            for (uint32_t k = 0; k < row->count; k++) {
                add_some(&sums, row->rows[k] + at, step, weights + k * weights_row, channels, columns, offsets);
            }
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
