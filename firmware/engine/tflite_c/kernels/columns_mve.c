/* SPDX-License-Identifier: Apache-2.0 */
/* columns.h for cores with MVE (Helium): VMLADAVA multiplies sixteen pairs of 8-bit values and adds all products.
 *
 * A column keeps its inputs as they are, padding is the zero point. The zero point's part of the sum, the zero point
 * times the sum of the weights, comes off the bias. Sixteen values of each lane follow one another, so that one pointer
 * serves all lanes. The loops are in assembly because GCC 12 has no tail predication: nothing behind the last weight is
 * read, and what is behind the last value of a column does not matter.
 */
#include "columns.h"

#if CORE_MVE

#include "requantize_mve.h"

enum { VECTOR = 16 };

uint32_t columns_bytes(uint32_t depth, uint32_t lanes)
{
    return (depth + VECTOR - 1) / VECTOR * VECTOR * lanes;
}

void columns_put(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 const int8_t *inputs, uint32_t count)
{
    int8_t *to = (int8_t *)columns + at * lanes + lane * VECTOR;

    (void)filters;
    __asm volatile("wlstp.8 lr, %[count], 2f\n\t"
                   "1:\n\t"
                   "vldrb.8 q0, [%[inputs]], #16\n\t"
                   "vstrb.8 q0, [%[to]]\n\t"
                   "add %[to], %[to], %[step]\n\t"
                   "letp lr, 1b\n\t"
                   "2:\n\t"
                   : [inputs] "+r"(inputs), [to] "+r"(to)
                   : [count] "r"(count), [step] "r"(lanes * VECTOR)
                   : "lr", "q0", "memory");
}

void columns_pad(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 uint32_t count)
{
    int8_t *to = (int8_t *)columns + at * lanes + lane * VECTOR;
    const int8x16_t padding = vdupq_n_s8((int8_t)filters->zero_point);

    __asm volatile("wlstp.8 lr, %[count], 2f\n\t"
                   "1:\n\t"
                   "vstrb.8 %q[padding], [%[to]]\n\t"
                   "add %[to], %[to], %[step]\n\t"
                   "letp lr, 1b\n\t"
                   "2:\n\t"
                   : [to] "+r"(to)
                   : [count] "r"(count), [step] "r"(lanes * VECTOR), [padding] "w"(padding)
                   : "lr", "memory");
}

static int32_t sum_weights(const int8_t *weights, uint32_t depth)
{
    int32_t sum = 0;

    __asm volatile("dlstp.8 lr, %[depth]\n\t"
                   "1:\n\t"
                   "vldrb.8 q0, [%[weights]], #16\n\t"
                   "vaddva.s8 %[sum], q0\n\t"
                   "letp lr, 1b\n\t"
                   : [sum] "+Te"(sum), [weights] "+r"(weights)
                   : [depth] "r"(depth)
                   : "lr", "q0", "memory");
    return sum;
}

/* Here a scale's shift is one to the left, quick is one to the right, and the zero point is in the bias. */
void columns_start(struct columns_filters *filters, struct requantize *scales)
{
    const struct common_output *out = filters->out;
    const int8_t *weights = filters->weights;

    filters->scales = scales;
    filters->quick = true;
    for (uint32_t f = 0; f < filters->filters; f++) {
        const int32_t part = filters->zero_point * sum_weights(weights, filters->depth);
        const uint32_t at = out->per_channel * f;

        scales[f] = (struct requantize){out->multipliers[at], out->shifts[at], 0,
                                        requantize_sum(-part, requantize_bias(out, f))};
        filters->quick = filters->quick && out->shifts[at] < 0;
        weights += filters->depth;
    }
}

/* One filter with four columns: 10 instructions for 64 products. */
#define DOT_FOUR                                                                                                       \
    "dlstp.8 lr, %[depth]\n\t"                                                                                         \
    "2:\n\t"                                                                                                           \
    "vldrb.8 q0, [%[weights]], #16\n\t"                                                                                \
    "vldrb.8 q1, [%[column]], #16\n\t"                                                                                 \
    "vmladava.s8 %[a], q0, q1\n\t"                                                                                     \
    "vldrb.8 q2, [%[column]], #16\n\t"                                                                                 \
    "vmladava.s8 %[b], q0, q2\n\t"                                                                                     \
    "vldrb.8 q1, [%[column]], #16\n\t"                                                                                 \
    "vmladava.s8 %[c], q0, q1\n\t"                                                                                     \
    "vldrb.8 q2, [%[column]], #16\n\t"                                                                                 \
    "vmladava.s8 %[d], q0, q2\n\t"                                                                                     \
    "letp lr, 2b\n\t"

/* Every filter with four columns, all shifts to the right: 22 instructions around the products of four outputs. Halves
 * go away from zero: a negative value gets one less before the shift. */
static void multiply_quickly(const struct columns_filters *filters, const int8_t *columns, int8_t *output)
{
    const struct common_output *out = filters->out;
    const int32x4_t zero_point = vdupq_n_s32(out->zero_point);
    const int32x4_t low = vdupq_n_s32(out->low);
    const int32x4_t high = vdupq_n_s32(out->high);
    const uint32x4_t rows = vmulq_n_u32(vidupq_n_u32(0, 1), filters->filters);
    const int8_t *weights = filters->weights;
    const struct requantize *scale = filters->scales;
    uint32_t count = filters->filters;
    const int8_t *column;
    int32_t a, b, c, d;

    __asm volatile("1:\n\t"
                   "ldr %[a], [%[scale], #12]\n\t"
                   "mov %[column], %[columns]\n\t"
                   "mov %[b], %[a]\n\t"
                   "mov %[c], %[a]\n\t"
                   "mov %[d], %[a]\n\t" DOT_FOUR "vmov q0[2], q0[0], %[a], %[c]\n\t"
                   "vmov q0[3], q0[1], %[b], %[d]\n\t"
                   "ldrd %[a], %[b], [%[scale]], #16\n\t"
                   "vqrdmulh.s32 q0, q0, %[a]\n\t"
                   "sub %[weights], %[weights], %[behind]\n\t"
                   "vshr.s32 q1, q0, #31\n\t"
                   "vadd.i32 q0, q0, q1\n\t"
                   "vrshl.s32 q0, %[b]\n\t"
                   "vadd.i32 q0, q0, %q[zero_point]\n\t"
                   "vmax.s32 q0, q0, %q[low]\n\t"
                   "vmin.s32 q0, q0, %q[high]\n\t"
                   "vstrb.32 q0, [%[output], %q[rows]]\n\t"
                   "add %[output], %[output], #1\n\t"
                   "subs %[count], %[count], #1\n\t"
                   "bne 1b\n\t"
                   : [a] "=&Te"(a), [b] "=&Te"(b), [c] "=&Te"(c), [d] "=&Te"(d), [weights] "+r"(weights),
                     [column] "=&r"(column), [scale] "+r"(scale), [output] "+r"(output), [count] "+r"(count)
                   : [columns] "r"(columns), [depth] "r"(filters->depth), [behind] "r"(-filters->depth % VECTOR),
                     [zero_point] "w"(zero_point), [low] "w"(low), [high] "w"(high), [rows] "w"(rows)
                   : "lr", "q0", "q1", "q2", "cc", "memory");
}

/* The same for any shifts and `count` columns. */
static void multiply_slowly(const struct columns_filters *filters, const int8_t *columns, uint32_t count,
                            int8_t *output)
{
    const mve_pred16_t lanes = vctp32q(count);
    const uint32x4_t rows = vmulq_n_u32(vidupq_n_u32(0, 1), filters->filters);

    for (uint32_t f = 0; f < filters->filters; f++) {
        const struct requantize *scale = &filters->scales[f];
        const int8_t *weights = filters->weights + f * filters->depth;
        const int8_t *column = columns;
        int32_t a = scale->bias, b = a, c = a, d = a;
        int32x4_t values;

        __asm volatile(
            DOT_FOUR
            : [a] "+Te"(a), [b] "+Te"(b), [c] "+Te"(c), [d] "+Te"(d), [weights] "+r"(weights), [column] "+r"(column)
            : [depth] "r"(filters->depth)
            : "lr", "q0", "q1", "q2", "memory");
        values = (int32x4_t){a, b, c, d};
        values = requantize_alike(filters->out, scale->multiplier, scale->shift, values);
        vstrbq_scatter_offset_p_s32(output + f, rows, values, lanes);
    }
}

void columns_multiply(const struct columns_filters *filters, const void *columns, uint32_t lanes, uint32_t count,
                      int8_t *output)
{
    if (lanes == 1) {
        columns_multiply_row(filters, columns, output);
    } else if (filters->quick && count == COLUMNS_AT_ONCE) {
        multiply_quickly(filters, columns, output);
    } else {
        multiply_slowly(filters, columns, count, output);
    }
}

/* Two filters with a row: the sums of products, then the sums of weights. */
static inline void multiply_pair(const int8_t *first, const int8_t *second, const int8_t *inputs, uint32_t depth,
                                 int32_t *sums, int32_t *weights)
{
    int32_t a = 0, b = 0, v = 0, w = 0;

    __asm volatile("dlstp.8 lr, %[depth]\n\t"
                   "1:\n\t"
                   "vldrb.8 q0, [%[inputs]], #16\n\t"
                   "vldrb.8 q1, [%[first]], #16\n\t"
                   "vmladava.s8 %[a], q0, q1\n\t"
                   "vaddva.s8 %[v], q1\n\t"
                   "vldrb.8 q2, [%[second]], #16\n\t"
                   "vmladava.s8 %[b], q0, q2\n\t"
                   "vaddva.s8 %[w], q2\n\t"
                   "letp lr, 1b\n\t"
                   : [a] "+Te"(a), [b] "+Te"(b), [v] "+Te"(v), [w] "+Te"(w), [inputs] "+r"(inputs), [first] "+r"(first),
                     [second] "+r"(second)
                   : [depth] "r"(depth)
                   : "lr", "q0", "q1", "q2", "memory");
    sums[0] = a;
    sums[1] = b;
    weights[0] = v;
    weights[1] = w;
}

bool columns_row_is_direct(uint32_t depth)
{
    (void)depth;
    return true;
}

/* Four filters at a time; beyond the last one, the first of the four again. */
void columns_multiply_row(const struct columns_filters *filters, const int8_t *inputs, int8_t *output)
{
    const struct common_output *out = filters->out;
    const uint32_t depth = filters->depth;
    const int8_t *weights = filters->weights;

    for (uint32_t f = 0; f < filters->filters; f += 4) {
        const uint32_t left = filters->filters - f;
        const mve_pred16_t lanes = vctp32q(left);
        const struct requantize_lanes scales = requantize_lanes_for(out, f, lanes);
        int32_t sums[4], sums_of_weights[4];
        int32x4_t values;

        multiply_pair(weights, weights + (left > 1 ? depth : 0), inputs, depth, sums, sums_of_weights);
        multiply_pair(weights + (left > 2 ? 2 * depth : 0), weights + (left > 3 ? 3 * depth : 0), inputs, depth,
                      sums + 2, sums_of_weights + 2);
        values = vmlaq_n_s32(vldrwq_s32(sums), vldrwq_s32(sums_of_weights), -filters->zero_point);
        if (out->bias != NULL) {
            values = vaddq_s32(values, vldrwq_z_s32(out->bias + f, lanes));
        }
        vstrbq_p_s32(output + f, requantize_each(out, &scales, values), lanes);
        weights += 4 * depth;
    }
}

#endif
