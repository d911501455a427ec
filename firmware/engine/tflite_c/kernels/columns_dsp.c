/* SPDX-License-Identifier: Apache-2.0 */
/* columns.h for cores with the DSP extension: SMLAD multiplies two pairs of 16-bit values and adds both products.
 *
 * A column is widened to int16 with the zero point taken off. Four values make two words, as SXTB16 gives them: values
 * 0 and 2, then 1 and 3. Behind the last value zeros fill up the four; the weights there belong to the next filter, and
 * what they are does not matter. With COLUMNS_AT_ONCE lanes, each lane's two words follow one another.
 */
#include "columns.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !(defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1))

#include "dsp.h"

enum { GROUP = 4, GROUP_WORDS = 2 };

static inline uint32_t groups_of(uint32_t depth)
{
    return (depth + GROUP - 1) / GROUP;
}

uint32_t columns_bytes(uint32_t depth, uint32_t lanes)
{
    return groups_of(depth) * lanes * GROUP_WORDS * (uint32_t)sizeof(uint32_t);
}

void columns_put(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 const int8_t *inputs, uint32_t count)
{
    const uint32_t offsets = dsp_offsets(filters->zero_point);
    const uint32_t step = lanes * GROUP_WORDS;
    uint32_t *to = (uint32_t *)columns + (at / GROUP * lanes + lane) * GROUP_WORDS;

    for (; count >= GROUP; count -= GROUP) {
        uint32_t bytes = dsp_load(inputs);

        inputs += GROUP;
        to[0] = dsp_widen_even(offsets, bytes);
        to[1] = dsp_widen_odd(offsets, bytes);
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

/* a to d: the sums; weights_ is moved behind the last group. */
#define MULTIPLY_FOUR(weights_, columns_, groups_)                                                                     \
    do {                                                                                                               \
        const uint32_t *columns__ = (columns_);                                                                        \
        uint32_t groups__ = (groups_), w, v;                                                                           \
                                                                                                                       \
        __asm volatile("lsrs %[groups], %[groups], #1\n\t"                                                             \
                       "bcc 1f\n\t" DOT_GROUP "1:\n\t"                                                                 \
                       "lsrs %[groups], %[groups], #1\n\t"                                                             \
                       "bcc 2f\n\t" DOT_GROUP DOT_GROUP "2:\n\t"                                                       \
                       "beq 4f\n\t"                                                                                    \
                       "3:\n\t" DOT_GROUP DOT_GROUP DOT_GROUP DOT_GROUP "subs %[groups], %[groups], #1\n\t"            \
                       "bne 3b\n\t"                                                                                    \
                       "4:\n\t"                                                                                        \
                       : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [w] "=&r"(w), [v] "=&r"(v),               \
                         [weights] "+r"(weights_), [columns] "+r"(columns__), [groups] "+r"(groups__)                  \
                       :                                                                                               \
                       : "r4", "r5", "r6", "r8", "cc", "memory");                                                      \
    } while (0)

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
                                 bool aligned, int32_t *products)
{
    int32_t a = 0, b = 0;
    uint32_t w, v, u;
    uint32_t singles = aligned ? groups % 2 : groups;
    uint32_t pairs = aligned ? groups / 2 : 0;

    if (singles != 0) {
        __asm volatile("1:\n\t"
                       "ldrd r4, r5, [%[column]], #8\n\t" DOT_FILTER("first", "a")
                           DOT_FILTER("second", "b") "subs %[singles], %[singles], #1\n\t"
                                                     "bne 1b\n\t"
                       : [a] "+&r"(a), [b] "+&r"(b), [w] "=&r"(w), [v] "=&r"(v), [first] "+&r"(first),
                         [second] "+&r"(second), [column] "+&r"(column), [singles] "+&r"(singles)
                       :
                       : "r4", "r5", "cc", "memory");
    }
    __asm volatile("lsrs %[pairs], %[pairs], #1\n\t"
                   "bcc 1f\n\t" DOT_PAIR_TWICE "1:\n\t"
                   "beq 3f\n\t"
                   "2:\n\t" DOT_PAIR_TWICE DOT_PAIR_TWICE "subs %[pairs], %[pairs], #1\n\t"
                   "bne 2b\n\t"
                   "3:\n\t"
                   : [a] "+&r"(a), [b] "+&r"(b), [w] "=&r"(w), [v] "=&r"(v), [u] "=&r"(u), [first] "+&r"(first),
                     [second] "+&r"(second), [column] "+&r"(column), [pairs] "+&r"(pairs)
                   :
                   : "r4", "r5", "r6", "r8", "cc", "memory");
    products[0] = a;
    products[1] = b;
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

__attribute__((noinline)) static void store_one_slowly(const struct common_output *out, uint32_t filter, int32_t sum,
                                                       int8_t *output)
{
    const struct requantize scale = requantize_for(out, filter);

    *output = requantize_value(out, &scale, sum, filter);
}

/* The products of a filter become an output. `shared`: the scale of all filters, with a shift of 0 if they share none.
 */
static inline void store_one(const struct common_output *out, const struct requantize *shared, uint32_t filter,
                             int32_t products, int8_t *output)
{
    const int32_t bias = requantize_bias(out, filter);
    const int32_t sum = requantize_sum(products, bias);

    if (shared->shift != 0 && (uint32_t)bias + REQUANTIZE_MAX_SUM < 2u * REQUANTIZE_MAX_SUM) {
        *output = (int8_t)requantize_quickly(shared, sum);
    } else {
        store_one_slowly(out, filter, sum, output);
    }
}

static inline void store_pair(const struct common_output *out, const struct requantize *shared, const struct pair *pair,
                              const int32_t *products, int8_t *output)
{
    store_one(out, shared, pair->filters[0], products[0], output + pair->filters[0]);
    store_one(out, shared, pair->filters[1], products[1], output + pair->filters[1]);
}

static struct requantize shared_scale(const struct common_output *out)
{
    struct requantize scale = requantize_for(out, 0);

    if (out->per_channel != 0) {
        scale.shift = 0;
    }
    return scale;
}

static void multiply_one_column(const struct columns_filters *filters, const uint32_t *column, int8_t *output)
{
    const struct common_output *out = filters->out;
    const uint32_t depth = filters->depth;
    const bool aligned = ((uintptr_t)filters->weights | depth) % sizeof(uint32_t) == 0;
    const struct requantize shared = shared_scale(out);

    for (uint32_t f = 0; f < filters->filters; f += 2) {
        const struct pair pair = pair_at(filters, f);
        int32_t products[2];

        multiply_pair(pair.weights[0], pair.weights[1], column, groups_of(depth), aligned, products);
        store_pair(out, &shared, &pair, products, output);
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

#define DOT_ROW                                                                                                        \
    "ldr r4, [%[inputs]], #4\n\t"                                                                                      \
    "ldr r6, [%[inputs]], #4\n\t"                                                                                      \
    "sxtab16 r5, %[offsets], r4, ror #8\n\t"                                                                           \
    "sxtab16 r4, %[offsets], r4\n\t"                                                                                   \
    "sxtab16 r8, %[offsets], r6, ror #8\n\t"                                                                           \
    "sxtab16 r6, %[offsets], r6\n\t" DOT_ROW_FILTER("first", "a") DOT_ROW_FILTER("second", "b")

static inline void multiply_pair_row(const struct pair *pair, const int8_t *inputs, uint32_t offsets, uint32_t eights,
                                     int32_t *products)
{
    int32_t a = 0, b = 0;
    const int8_t *first = pair->weights[0];
    const int8_t *second = pair->weights[1];
    uint32_t w, v;

    __asm volatile("lsrs %[eights], %[eights], #1\n\t"
                   "bcc 1f\n\t" DOT_ROW "1:\n\t"
                   "beq 3f\n\t"
                   "2:\n\t" DOT_ROW DOT_ROW "subs %[eights], %[eights], #1\n\t"
                   "bne 2b\n\t"
                   "3:\n\t"
                   : [a] "+&r"(a), [b] "+&r"(b), [w] "=&r"(w), [v] "=&r"(v), [first] "+&r"(first),
                     [second] "+&r"(second), [inputs] "+&r"(inputs), [eights] "+&r"(eights)
                   : [offsets] "r"(offsets)
                   : "r4", "r5", "r6", "r8", "cc", "memory");
    products[0] = a;
    products[1] = b;
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
    const uint32_t offsets = dsp_offsets(filters->zero_point);
    const struct requantize shared = shared_scale(out);

    for (uint32_t f = 0; f < filters->filters; f += 2) {
        const struct pair pair = pair_at(filters, f);
        int32_t products[2];

        multiply_pair_row(&pair, inputs, offsets, whole / 8, products);
        for (uint32_t i = whole; i < filters->depth; i++) {
            products[0] += pair.weights[0][i] * (inputs[i] - filters->zero_point);
            products[1] += pair.weights[1][i] * (inputs[i] - filters->zero_point);
        }
        store_pair(out, &shared, &pair, products, output);
    }
}

/* requantize_quickly() with multiplier, shift and offset in r4, r5 and r6, and a store. */
#define STORE_QUICKLY(sum, where)                                                                                      \
    "lsl %[" sum "], %[" sum "], #1\n\t"                                                                               \
    "smmulr %[" sum "], %[" sum "], r4\n\t"                                                                            \
    "add %[" sum "], %[" sum "], %[" sum "], asr #31\n\t"                                                              \
    "add %[" sum "], %[" sum "], r6\n\t"                                                                               \
    "asr %[" sum "], %[" sum "], r5\n\t"                                                                               \
    "ssat %[" sum "], #8, %[" sum "]\n\t"                                                                              \
    "strb %[" sum "], " where "\n\t"

/* The four sums a to d with one filter become outputs, `stride` apart. */
#define STORE_FOUR(scale_, to_, stride_)                                                                               \
    do {                                                                                                               \
        int8_t *to__ = (to_);                                                                                          \
                                                                                                                       \
        __asm volatile(                                                                                                \
            "ldmia %[scale], {r4, r5, r6}\n\t" STORE_QUICKLY("a", "[%[to]]") STORE_QUICKLY("b", "[%[to], %[stride]]")  \
                STORE_QUICKLY("c", "[%[to], %[stride], lsl #1]") "add %[to], %[to], %[stride]\n\t" STORE_QUICKLY(      \
                    "d", "[%[to], %[stride], lsl #1]")                                                                 \
            : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [to] "+&r"(to__)                                 \
            : [scale] "r"(scale_), [stride] "r"(stride_)                                                               \
            : "r4", "r5", "r6", "cc", "memory");                                                                       \
    } while (0)

/* The same for `count` columns, whatever the scale. */
__attribute__((noinline)) static void store_slowly(int32_t a, int32_t b, int32_t c, int32_t d,
                                                   const struct columns_filters *filters,
                                                   const struct requantize *scale, uint32_t count, int8_t *to)
{
    const struct common_output *out = filters->out;
    const uint32_t filter = (uint32_t)(scale - filters->scales);
    const int32_t sums[COLUMNS_AT_ONCE] = {a, b, c, d};

    if (requantize_shifts_right(out, filter)) { /* a filter that a training left dead has a scale of nearly 0 */
        const int32_t multiplier = scale->multiplier;
        const int32_t shift = -out->shifts[out->per_channel * filter];
        const int32_t zero_point = out->zero_point;
        const uint32_t stride = filters->filters;

        for (uint32_t i = 0; i < count; i++) {
            *to = requantize_far(multiplier, shift, zero_point, sums[i]);
            to += stride;
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        *to = requantize_value(out, scale, sums[i], filter);
        to += filters->filters;
    }
}

static void multiply_four_columns(const struct columns_filters *filters, const uint32_t *columns, uint32_t count,
                                  int8_t *output)
{
    const uint32_t stride = filters->filters;
    const uint32_t beyond = groups_of(filters->depth) * GROUP - filters->depth;
    const struct requantize *const end = filters->scales + stride;
    const int8_t *weights = filters->weights;

    for (const struct requantize *scale = filters->scales; scale != end; scale++) {
        /* Where a call wants them: else they are moved there, called or not. */
        register int32_t a __asm("r0") = scale->bias;
        register int32_t b __asm("r1") = a;
        register int32_t c __asm("r2") = a;
        register int32_t d __asm("r3") = a;

        MULTIPLY_FOUR(weights, columns, groups_of(filters->depth));
        if (count == COLUMNS_AT_ONCE && scale->shift != 0) {
            STORE_FOUR(scale, output, stride);
        } else {
            store_slowly(a, b, c, d, filters, scale, count, output);
        }
        output++;
        weights -= beyond;
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
