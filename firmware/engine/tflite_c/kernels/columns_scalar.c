/* SPDX-License-Identifier: Apache-2.0 */
/* columns.h for a Cortex-M3, and in plain C for the machines we test on. A column is widened to int32 with the zero
 * point taken off, so that one LDM loads a value of all lanes: those of one index lie side by side. */
#include "columns.h"

#if !(defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP)

uint32_t columns_bytes(uint32_t depth, uint32_t lanes)
{
    return depth * lanes * (uint32_t)sizeof(int32_t);
}

void columns_put(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 const int8_t *inputs, uint32_t count)
{
    const int32_t zero_point = filters->zero_point;
    int32_t *to = (int32_t *)columns + at * lanes + lane;

    for (; count >= COLUMNS_PIECE; count -= COLUMNS_PIECE) {
        to[0] = inputs[0] - zero_point;
        to += lanes;
        to[0] = inputs[1] - zero_point;
        to[lanes] = inputs[2] - zero_point;
        to += lanes;
        to[lanes] = inputs[3] - zero_point;
        to += 2 * lanes;
        inputs += COLUMNS_PIECE;
    }
    for (uint32_t i = 0; i < count; i++) {
        *to = inputs[i] - zero_point;
        to += lanes;
    }
}

void columns_pad(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 uint32_t count)
{
    int32_t *to = (int32_t *)columns + at * lanes + lane;

    (void)filters;
    for (uint32_t i = 0; i < count; i++) {
        *to = 0;
        to += lanes;
    }
}

/* A column that nobody has filled holds anything: its sum may wrap around. */
struct sums {
    uint32_t of[COLUMNS_AT_ONCE];
};

#if defined(__ARM_ARCH_7M__)

/* One weight with four columns: 6 instructions for 4 products. In assembly because GCC does not use LDM here. */
#define DOT_WEIGHT                                                                                                     \
    "ldrsb %[w], [%[weights]], #1\n\t"                                                                                 \
    "ldmia %[columns]!, {r4, r5, r6, r8}\n\t"                                                                          \
    "mla %[a], %[w], r4, %[a]\n\t"                                                                                     \
    "mla %[b], %[w], r5, %[b]\n\t"                                                                                     \
    "mla %[c], %[w], r6, %[c]\n\t"                                                                                     \
    "mla %[d], %[w], r8, %[d]\n\t"

static inline struct sums multiply_four(const int8_t *weights, const int32_t *columns, uint32_t depth, uint32_t bias)
{
    uint32_t a = bias, b = bias, c = bias, d = bias, w;

    __asm volatile("lsrs %[depth], %[depth], #1\n\t"
                   "bcc 1f\n\t" DOT_WEIGHT "1:\n\t"
                   "lsrs %[depth], %[depth], #1\n\t"
                   "bcc 2f\n\t" DOT_WEIGHT DOT_WEIGHT "2:\n\t"
                   "lsrs %[depth], %[depth], #1\n\t"
                   "bcc 3f\n\t" DOT_WEIGHT DOT_WEIGHT DOT_WEIGHT DOT_WEIGHT "3:\n\t"
                   "beq 5f\n\t"
                   "4:\n\t" DOT_WEIGHT DOT_WEIGHT DOT_WEIGHT DOT_WEIGHT DOT_WEIGHT DOT_WEIGHT DOT_WEIGHT DOT_WEIGHT
                   "subs %[depth], %[depth], #1\n\t"
                   "bne 4b\n\t"
                   "5:\n\t"
                   : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [w] "=&r"(w), [weights] "+r"(weights),
                     [columns] "+r"(columns), [depth] "+r"(depth)
                   :
                   : "r4", "r5", "r6", "r8", "cc", "memory");
    return (struct sums){{a, b, c, d}};
}

#else

static inline struct sums multiply_four(const int8_t *weights, const int32_t *columns, uint32_t depth, uint32_t bias)
{
    struct sums sums = {{bias, bias, bias, bias}};
    const int8_t *end = weights + depth;

    while (weights != end) {
        const uint32_t weight = (uint32_t)*weights++;

        sums.of[0] += weight * (uint32_t)columns[0];
        sums.of[1] += weight * (uint32_t)columns[1];
        sums.of[2] += weight * (uint32_t)columns[2];
        sums.of[3] += weight * (uint32_t)columns[3];
        columns += COLUMNS_AT_ONCE;
    }
    return sums;
}

#endif

/* The columns' sums with one filter become outputs. */
static void store(const struct columns_filters *filters, uint32_t filter, const struct sums *sums, uint32_t count,
                  int8_t *to)
{
    const struct requantize *scale = &filters->scales[filter];

    if (scale->shift != 0 && count == COLUMNS_AT_ONCE) {
        const uint32_t stride = filters->filters;

        to[0] = (int8_t)requantize_quickly(scale, (int32_t)sums->of[0]);
        to += stride;
        to[0] = (int8_t)requantize_quickly(scale, (int32_t)sums->of[1]);
        to[stride] = (int8_t)requantize_quickly(scale, (int32_t)sums->of[2]);
        to += stride;
        to[stride] = (int8_t)requantize_quickly(scale, (int32_t)sums->of[3]);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        *to = requantize_value(filters->out, scale, (int32_t)sums->of[i], filter);
        to += filters->filters;
    }
}

static int32_t multiply_one(const int8_t *weights, const int32_t *column, uint32_t depth)
{
    int32_t sum = 0;

    for (uint32_t i = 0; i < depth; i++) {
        sum += weights[i] * column[i];
    }
    return sum;
}

static void multiply_one_column(const struct columns_filters *filters, const int32_t *column, int8_t *output)
{
    const int8_t *weights = filters->weights;

    for (uint32_t f = 0; f < filters->filters; f++) {
        const struct requantize scale = requantize_for(filters->out, f);
        const int32_t sum = requantize_sum(multiply_one(weights, column, filters->depth), scale.bias);

        output[f] = requantize_value(filters->out, &scale, sum, f);
        weights += filters->depth;
    }
}

void columns_multiply(const struct columns_filters *filters, const void *columns, uint32_t lanes, uint32_t count,
                      int8_t *output)
{
    const int8_t *weights = filters->weights;

    if (lanes == 1) {
        multiply_one_column(filters, columns, output);
        return;
    }
    for (uint32_t f = 0; f < filters->filters; f++) {
        const struct sums sums = multiply_four(weights, columns, filters->depth, (uint32_t)filters->scales[f].bias);

        store(filters, f, &sums, count, output + f);
        weights += filters->depth;
    }
}

bool columns_row_is_direct(uint32_t depth)
{
    (void)depth;
    return true;
}

enum { ROW_FILTERS = 4 };

#if defined(__ARM_ARCH_7M__)

/* One input with four filters: 10 instructions for 4 products. */
#define DOT_INPUT                                                                                                      \
    "ldrsb %[x], [%[inputs]], #1\n\t"                                                                                  \
    "ldrsb %[w], [%[first]], #1\n\t"                                                                                   \
    "sub %[x], %[x], %[zero_point]\n\t"                                                                                \
    "mla %[a], %[w], %[x], %[a]\n\t"                                                                                   \
    "ldrsb %[w], [%[second]], #1\n\t"                                                                                  \
    "mla %[b], %[w], %[x], %[b]\n\t"                                                                                   \
    "ldrsb %[w], [%[third]], #1\n\t"                                                                                   \
    "mla %[c], %[w], %[x], %[c]\n\t"                                                                                   \
    "ldrsb %[w], [%[fourth]], #1\n\t"                                                                                  \
    "mla %[d], %[w], %[x], %[d]\n\t"

/* `eights` times eight inputs, at least once. */
static inline void multiply_eights(const int8_t *inputs, int32_t zero_point, const int8_t *weights, uint32_t depth,
                                   uint32_t eights, int32_t *sums)
{
    int32_t a = 0, b = 0, c = 0, d = 0, w, x;
    const int8_t *second = weights + depth;
    const int8_t *third = second + depth;
    const int8_t *fourth = third + depth;

    __asm volatile("1:\n\t" DOT_INPUT DOT_INPUT DOT_INPUT DOT_INPUT DOT_INPUT DOT_INPUT DOT_INPUT DOT_INPUT
                   "subs %[eights], %[eights], #1\n\t"
                   "bne 1b\n\t"
                   : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [w] "=&r"(w), [x] "=&r"(x),
                     [first] "+r"(weights), [second] "+r"(second), [third] "+r"(third), [fourth] "+r"(fourth),
                     [inputs] "+r"(inputs), [eights] "+r"(eights)
                   : [zero_point] "r"(zero_point)
                   : "cc", "memory");
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

#endif

/* Four filters with one row of inputs, from index `i` on. */
static void multiply_rest(const int8_t *inputs, int32_t zero_point, const int8_t *weights, uint32_t depth, uint32_t i,
                          int32_t *sums)
{
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    const int8_t *second = weights + depth;
    const int8_t *third = second + depth;
    const int8_t *fourth = third + depth;

    for (; i < depth; i++) {
        const int32_t input = inputs[i] - zero_point;

        a += weights[i] * input;
        b += second[i] * input;
        c += third[i] * input;
        d += fourth[i] * input;
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

static void multiply_row_by_four(const int8_t *inputs, int32_t zero_point, const int8_t *weights, uint32_t depth,
                                 int32_t *sums)
{
    uint32_t done = 0;

#if defined(__ARM_ARCH_7M__)
    if (depth >= 8) {
        multiply_eights(inputs, zero_point, weights, depth, depth / 8, sums);
        done = depth & ~7u;
    }
#endif
    multiply_rest(inputs, zero_point, weights, depth, done, sums);
}

static int32_t multiply_row_by_one(const int8_t *inputs, int32_t zero_point, const int8_t *weights, uint32_t depth)
{
    int32_t sum = 0;

    for (uint32_t i = 0; i < depth; i++) {
        sum += weights[i] * (inputs[i] - zero_point);
    }
    return sum;
}

/* The scale that all filters have in common, or one to be used only slowly. */
static struct requantize shared_scale(const struct common_output *out)
{
    struct requantize scale = requantize_for(out, 0);

    scale.shift = out->per_channel == 0 ? scale.shift : 0;
    return scale;
}

__attribute__((noinline)) static int8_t finish_slowly(const struct common_output *out, uint32_t filter, int32_t sum)
{
    return common_requantize(out, sum, filter);
}

static inline int8_t finish(const struct common_output *out, const struct requantize *shared, uint32_t filter,
                            int32_t sum)
{
    const int32_t bias = requantize_bias(out, filter);

    if (shared->shift != 0 && bias < REQUANTIZE_MAX_SUM && bias > -REQUANTIZE_MAX_SUM) {
        return (int8_t)requantize_quickly(shared, sum + bias);
    }
    return finish_slowly(out, filter, sum);
}

void columns_multiply_row(const struct columns_filters *filters, const int8_t *inputs, int8_t *output)
{
    const struct common_output *out = filters->out;
    const struct requantize shared = shared_scale(out);
    const int32_t zero_point = filters->zero_point;
    const uint32_t depth = filters->depth;
    const int8_t *weights = filters->weights;
    uint32_t f = 0;

    for (; filters->filters - f >= ROW_FILTERS; f += ROW_FILTERS) {
        int32_t sums[ROW_FILTERS] = {0, 0, 0, 0};

        multiply_row_by_four(inputs, zero_point, weights, depth, sums);
        for (uint32_t i = 0; i < ROW_FILTERS; i++) {
            output[f + i] = finish(out, &shared, f + i, sums[i]);
        }
        weights += ROW_FILTERS * depth;
    }
    for (; f < filters->filters; f++) {
        output[f] = finish(out, &shared, f, multiply_row_by_one(inputs, zero_point, weights, depth));
        weights += depth;
    }
}

#endif
