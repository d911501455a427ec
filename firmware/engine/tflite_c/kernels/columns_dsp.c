/* SPDX-License-Identifier: Apache-2.0 */
/* columns.h for cores with the DSP extension: SMLAD multiplies two pairs of 16-bit values and adds both products.
 *
 * A column is widened to int16 with the zero point taken off. Four values make two words, as SXTB16 gives them: values
 * 0 and 2, then 1 and 3. Behind the last value zeros fill up the four; the weights there belong to the next filter, and
 * what they are does not matter. With COLUMNS_AT_ONCE lanes, each lane's two words follow one another.
 */
#include "columns.h"
#include "requantize.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !(defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1))

enum { GROUP = 4, GROUP_WORDS = 2 };

static uint32_t groups_of(uint32_t depth)
{
    return (depth + GROUP - 1) / GROUP;
}

uint32_t columns_bytes(uint32_t depth, uint32_t lanes)
{
    return groups_of(depth) * lanes * GROUP_WORDS * (uint32_t)sizeof(uint32_t);
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

static inline uint32_t load_word(const int8_t *bytes)
{
    uint32_t word;

    __asm("ldr %0, %1" : "=r"(word) : "m"(*(const int8_t (*)[4])bytes));
    return word;
}

void columns_put(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 const int8_t *inputs, uint32_t count)
{
    const uint32_t offsets = (uint32_t)(-filters->zero_point & 0xffff) * 0x10001u;
    const uint32_t step = lanes * GROUP_WORDS;
    uint32_t *to = (uint32_t *)columns + (at / GROUP * lanes + lane) * GROUP_WORDS;

    for (; count >= GROUP; count -= GROUP) {
        uint32_t bytes = load_word(inputs);

        inputs += GROUP;
        to[0] = widen_even(offsets, bytes);
        to[1] = widen_odd(offsets, bytes);
        to += step;
    }
    if (count != 0) {
        int16_t *halves = (int16_t *)to;
        const int16_t zero_point = (int16_t)filters->zero_point;

        halves[0] = (int16_t)(inputs[0] - zero_point);
        halves[2] = (int16_t)(count > 1 ? inputs[1] - zero_point : 0);
        halves[1] = (int16_t)(count > 2 ? inputs[2] - zero_point : 0);
        halves[3] = 0;
    }
}

void columns_pad(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 uint32_t count)
{
    uint32_t *to = (uint32_t *)columns + (at / GROUP * lanes + lane) * GROUP_WORDS;

    (void)filters;
    for (uint32_t i = 0; i < groups_of(count); i++) {
        to[0] = 0;
        to[1] = 0;
        to += lanes * GROUP_WORDS;
    }
}

struct sums {
    int32_t of[COLUMNS_AT_ONCE];
};

/* One filter with four columns: 13 instructions for 16 products. In assembly because GCC spills such a loop. */
#define DOT_GROUP                                                                                                      \
    "ldr %[w], [%[weights]], #4\n\t"                                                                                   \
    "ldmia %[columns]!, {r4, r5, r6, r8}\n\t"                                                                          \
    "sxtb16 %[v], %[w]\n\t"                                                                                            \
    "sxtb16 %[w], %[w], ror #8\n\t"                                                                                    \
    "smlad %[a], %[v], r4, %[a]\n\t"                                                                                   \
    "smlad %[a], %[w], r5, %[a]\n\t"                                                                                   \
    "smlad %[b], %[v], r6, %[b]\n\t"                                                                                   \
    "smlad %[b], %[w], r8, %[b]\n\t"                                                                                   \
    "ldmia %[columns]!, {r4, r5, r6, r8}\n\t"                                                                          \
    "smlad %[c], %[v], r4, %[c]\n\t"                                                                                   \
    "smlad %[c], %[w], r5, %[c]\n\t"                                                                                   \
    "smlad %[d], %[v], r6, %[d]\n\t"                                                                                   \
    "smlad %[d], %[w], r8, %[d]\n\t"

static inline struct sums multiply_four(const int8_t *weights, const uint32_t *columns, uint32_t groups, int32_t bias)
{
    int32_t a = bias, b = bias, c = bias, d = bias;
    uint32_t w, v;

    __asm volatile("lsrs %[groups], %[groups], #1\n\t"
                   "bcc 1f\n\t" DOT_GROUP "1:\n\t"
                   "lsrs %[groups], %[groups], #1\n\t"
                   "bcc 2f\n\t" DOT_GROUP DOT_GROUP "2:\n\t"
                   "beq 4f\n\t"
                   "3:\n\t" DOT_GROUP DOT_GROUP DOT_GROUP DOT_GROUP "subs %[groups], %[groups], #1\n\t"
                   "bne 3b\n\t"
                   "4:\n\t"
                   : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [w] "=&r"(w), [v] "=&r"(v),
                     [weights] "+r"(weights), [columns] "+r"(columns), [groups] "+r"(groups)
                   :
                   : "r4", "r5", "r6", "r8", "cc", "memory");
    return (struct sums){{a, b, c, d}};
}

/* Two filters with one column: 21 instructions for 16 products. */
#define DOT_FILTER(weights, sum)                                                                                       \
    "ldr %[w], [%[" weights "]], #4\n\t"                                                                               \
    "sxtb16 %[v], %[w]\n\t"                                                                                            \
    "sxtb16 %[w], %[w], ror #8\n\t"                                                                                    \
    "smlad %[" sum "], %[v], r4, %[" sum "]\n\t"                                                                       \
    "smlad %[" sum "], %[w], r5, %[" sum "]\n\t"

#define DOT_FILTER_TWICE(weights, sum)                                                                                 \
    "ldrd %[w], %[u], [%[" weights "]], #8\n\t"                                                                        \
    "sxtb16 %[v], %[w]\n\t"                                                                                            \
    "smlad %[" sum "], %[v], r4, %[" sum "]\n\t"                                                                       \
    "sxtb16 %[w], %[w], ror #8\n\t"                                                                                    \
    "smlad %[" sum "], %[w], r5, %[" sum "]\n\t"                                                                       \
    "sxtb16 %[v], %[u]\n\t"                                                                                            \
    "smlad %[" sum "], %[v], r6, %[" sum "]\n\t"                                                                       \
    "sxtb16 %[u], %[u], ror #8\n\t"                                                                                    \
    "smlad %[" sum "], %[u], r8, %[" sum "]\n\t"

#define DOT_PAIR_TWICE                                                                                                 \
    "ldmia %[column]!, {r4, r5, r6, r8}\n\t" DOT_FILTER_TWICE("first", "a") DOT_FILTER_TWICE("second", "b")

/* The weights are aligned to 4 bytes when `aligned`: LDRD needs that. */
static inline void multiply_pair(const int8_t *first, const int8_t *second, const uint32_t *column, uint32_t groups,
                                 bool aligned, int32_t *sums)
{
    int32_t a = sums[0], b = sums[1];
    uint32_t w, v, u;
    uint32_t singles = aligned ? groups % 2 : groups;
    uint32_t pairs = aligned ? groups / 2 : 0;

    if (singles != 0) {
        __asm volatile("1:\n\t"
                       "ldrd r4, r5, [%[column]], #8\n\t" DOT_FILTER("first", "a")
                           DOT_FILTER("second", "b") "subs %[singles], %[singles], #1\n\t"
                                                     "bne 1b\n\t"
                       : [a] "+r"(a), [b] "+r"(b), [w] "=&r"(w), [v] "=&r"(v), [first] "+r"(first),
                         [second] "+r"(second), [column] "+r"(column), [singles] "+r"(singles)
                       :
                       : "r4", "r5", "cc", "memory");
    }
    __asm volatile("lsrs %[pairs], %[pairs], #1\n\t"
                   "bcc 1f\n\t" DOT_PAIR_TWICE "1:\n\t"
                   "beq 3f\n\t"
                   "2:\n\t" DOT_PAIR_TWICE DOT_PAIR_TWICE "subs %[pairs], %[pairs], #1\n\t"
                   "bne 2b\n\t"
                   "3:\n\t"
                   : [a] "+r"(a), [b] "+r"(b), [w] "=&r"(w), [v] "=&r"(v), [u] "=&r"(u), [first] "+r"(first),
                     [second] "+r"(second), [column] "+r"(column), [pairs] "+r"(pairs)
                   :
                   : "r4", "r5", "r6", "r8", "cc", "memory");
    sums[0] = a;
    sums[1] = b;
}

static inline int32_t bias_of(const struct common_output *out, uint32_t filter)
{
    return out->bias != NULL ? out->bias[filter] : 0;
}

/* Two filters at once; an odd last one goes with itself. */
struct pair {
    const int8_t *weights[2];
    uint32_t filters[2];
};

static inline struct pair pair_at(const struct columns_filters *filters, uint32_t filter)
{
    const uint32_t other = filter + 1 < filters->filters ? filter + 1 : filter;
    const int8_t *weights = filters->weights + filter * filters->depth;

    return (struct pair){{weights, weights + (other - filter) * filters->depth}, {filter, other}};
}

static void store_pair(const struct columns_filters *filters, const struct pair *pair, const int32_t *sums,
                       int8_t *output)
{
    const struct common_output *out = filters->out;
    struct requantize scale = requantize_for(out, pair->filters[0]);

    output[pair->filters[0]] = requantize_value(out, &scale, sums[0], pair->filters[0]);
    if (out->per_channel != 0) {
        scale = requantize_for(out, pair->filters[1]);
    }
    output[pair->filters[1]] = requantize_value(out, &scale, sums[1], pair->filters[1]);
}

static void multiply_one_column(const struct columns_filters *filters, const uint32_t *column, int8_t *output)
{
    const struct common_output *out = filters->out;
    const uint32_t depth = filters->depth;
    const bool aligned = ((uintptr_t)filters->weights | depth) % sizeof(uint32_t) == 0;

    for (uint32_t f = 0; f < filters->filters; f += 2) {
        const struct pair pair = pair_at(filters, f);
        int32_t sums[2] = {bias_of(out, f), bias_of(out, pair.filters[1])};

        multiply_pair(pair.weights[0], pair.weights[1], column, groups_of(depth), aligned, sums);
        store_pair(filters, &pair, sums, output);
    }
}

/* Two filters with a row of inputs that are widened on the way: 25 instructions for 16 products. */
#define DOT_ROW_FILTER(weights, sum)                                                                                   \
    "ldr %[w], [%[" weights "]], #4\n\t"                                                                               \
    "sxtb16 %[v], %[w]\n\t"                                                                                            \
    "sxtb16 %[w], %[w], ror #8\n\t"                                                                                    \
    "smlad %[" sum "], %[v], r4, %[" sum "]\n\t"                                                                       \
    "smlad %[" sum "], %[w], r5, %[" sum "]\n\t"                                                                       \
    "ldr %[w], [%[" weights "]], #4\n\t"                                                                               \
    "sxtb16 %[v], %[w]\n\t"                                                                                            \
    "sxtb16 %[w], %[w], ror #8\n\t"                                                                                    \
    "smlad %[" sum "], %[v], r6, %[" sum "]\n\t"                                                                       \
    "smlad %[" sum "], %[w], r8, %[" sum "]\n\t"

static inline void multiply_pair_row(const struct pair *pair, const int8_t *inputs, uint32_t offsets, uint32_t eights,
                                     int32_t *sums)
{
    int32_t a = sums[0], b = sums[1];
    const int8_t *first = pair->weights[0];
    const int8_t *second = pair->weights[1];
    uint32_t w, v;

    __asm volatile("1:\n\t"
                   "ldr r4, [%[inputs]], #4\n\t"
                   "ldr r6, [%[inputs]], #4\n\t"
                   "sxtab16 r5, %[offsets], r4, ror #8\n\t"
                   "sxtab16 r4, %[offsets], r4\n\t"
                   "sxtab16 r8, %[offsets], r6, ror #8\n\t"
                   "sxtab16 r6, %[offsets], r6\n\t" DOT_ROW_FILTER("first", "a")
                       DOT_ROW_FILTER("second", "b") "subs %[eights], %[eights], #1\n\t"
                                                     "bne 1b\n\t"
                   : [a] "+r"(a), [b] "+r"(b), [w] "=&r"(w), [v] "=&r"(v), [first] "+r"(first), [second] "+r"(second),
                     [inputs] "+r"(inputs), [eights] "+r"(eights)
                   : [offsets] "r"(offsets)
                   : "r4", "r5", "r6", "r8", "cc", "memory");
    sums[0] = a;
    sums[1] = b;
}

enum { LONGEST_COLUMN = 256 }; /* 512 bytes; a longer one would be the largest thing in the arena of a small model */

bool columns_row_is_direct(uint32_t depth)
{
    return depth > LONGEST_COLUMN;
}

void columns_multiply_row(const struct columns_filters *filters, const int8_t *inputs, int8_t *output)
{
    const struct common_output *out = filters->out;
    const uint32_t whole = filters->depth & ~7u;
    const uint32_t offsets = (uint32_t)(-filters->zero_point & 0xffff) * 0x10001u;

    for (uint32_t f = 0; f < filters->filters; f += 2) {
        const struct pair pair = pair_at(filters, f);
        int32_t sums[2] = {bias_of(out, f), bias_of(out, pair.filters[1])};

        multiply_pair_row(&pair, inputs, offsets, whole / 8, sums); /* at least once: the row is long */
        for (uint32_t i = whole; i < filters->depth; i++) {
            sums[0] += pair.weights[0][i] * (inputs[i] - filters->zero_point);
            sums[1] += pair.weights[1][i] * (inputs[i] - filters->zero_point);
        }
        store_pair(filters, &pair, sums, output);
    }
}

/* The columns' sums with one filter become outputs, whatever the scale and the range. */
__attribute__((noinline)) static void store_slowly(const struct columns_filters *filters, uint32_t filter,
                                                   struct sums sums, uint32_t count, int8_t *to)
{
    const struct common_output *out = filters->out;
    const struct requantize scale = requantize_for(out, filter);

    for (uint32_t i = 0; i < count; i++) {
        *to = requantize_value(out, &scale, sums.of[i], filter);
        to += filters->filters;
    }
}

static void multiply_four_columns(const struct columns_filters *filters, const uint32_t *columns, uint32_t count,
                                  int8_t *output)
{
    const struct common_output *out = filters->out;
    const uint32_t stride = filters->filters;
    const uint32_t groups = groups_of(filters->depth);
    const bool whole = count == COLUMNS_AT_ONCE && out->low == INT8_MIN && out->high == INT8_MAX;
    const int8_t *weights = filters->weights;

    for (uint32_t f = 0; f < stride; f++) {
        const struct sums sums = multiply_four(weights, columns, groups, bias_of(out, f));
        const struct requantize scale = requantize_for(out, f);

        if (whole && scale.shift != 0) {
            int8_t *to = output + f;

            to[0] = (int8_t)requantize_quickly(&scale, sums.of[0]);
            to += stride;
            to[0] = (int8_t)requantize_quickly(&scale, sums.of[1]);
            to[stride] = (int8_t)requantize_quickly(&scale, sums.of[2]);
            to += stride;
            to[stride] = (int8_t)requantize_quickly(&scale, sums.of[3]);
        } else {
            store_slowly(filters, f, sums, count, output + f);
        }
        weights += filters->depth;
    }
}

void columns_multiply(const struct columns_filters *filters, const void *columns, uint32_t lanes, uint32_t count,
                      int8_t *output)
{
    if (lanes == 1) {
        multiply_one_column(filters, columns, output);
    } else {
        multiply_four_columns(filters, columns, count, output);
    }
}

#endif
