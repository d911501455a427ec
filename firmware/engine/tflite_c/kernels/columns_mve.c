/* SPDX-License-Identifier: Apache-2.0 */
/* columns.h for cores with MVE (Helium): VMLADAVA multiplies sixteen pairs of 8-bit values and adds all products.
 *
 * A column is its inputs as they are, and so are rows of an image under a window of 1x1. The zero point's part of the
 * sum, the zero point times the sum of the weights, comes off at the end; padding is the zero point. The loops are
 * tail-predicated, which GCC 12 cannot do: nothing behind the last value is read.
 */
#include "columns.h"

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)

#include "requantize_mve.h"

#include <string.h>

uint32_t columns_bytes(uint32_t depth, uint32_t lanes)
{
    return depth * lanes;
}

void columns_put(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 const int8_t *inputs, uint32_t count)
{
    int8_t *to = (int8_t *)columns + lane * filters->depth + at;

    (void)lanes;
    for (; count > 0; count -= count < 16 ? count : 16) {
        const mve_pred16_t some = vctp8q(count);

        vstrbq_p_s8(to, vldrbq_z_s8(inputs, some), some);
        to += 16;
        inputs += 16;
    }
}

void columns_pad(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 uint32_t count)
{
    (void)lanes;
    memset((int8_t *)columns + lane * filters->depth + at, filters->zero_point, count);
}

/* The products' sums and, in the last member, the weights' sum. */
struct sums {
    int32_t of[COLUMNS_AT_ONCE], weights;
};

/* One filter with four columns. */
static inline struct sums multiply_four(const int8_t *weights, const int8_t *const *columns, uint32_t depth)
{
    int32_t a = 0, b = 0, c = 0, d = 0, w = 0;
    const int8_t *first = columns[0];
    const int8_t *second = columns[1];
    const int8_t *third = columns[2];
    const int8_t *fourth = columns[3];

    __asm volatile("dlstp.8 lr, %[depth]\n\t"
                   "1:\n\t"
                   "vldrb.8 q0, [%[weights]], #16\n\t"
                   "vldrb.8 q1, [%[first]], #16\n\t"
                   "vmladava.s8 %[a], q0, q1\n\t"
                   "vldrb.8 q2, [%[second]], #16\n\t"
                   "vmladava.s8 %[b], q0, q2\n\t"
                   "vldrb.8 q1, [%[third]], #16\n\t"
                   "vmladava.s8 %[c], q0, q1\n\t"
                   "vldrb.8 q2, [%[fourth]], #16\n\t"
                   "vmladava.s8 %[d], q0, q2\n\t"
                   "vaddva.s8 %[w], q0\n\t"
                   "letp lr, 1b\n\t"
                   : [a] "+Te"(a), [b] "+Te"(b), [c] "+Te"(c), [d] "+Te"(d), [w] "+Te"(w), [weights] "+r"(weights),
                     [first] "+r"(first), [second] "+r"(second), [third] "+r"(third), [fourth] "+r"(fourth)
                   : [depth] "r"(depth)
                   : "lr", "q0", "q1", "q2", "memory");
    return (struct sums){{a, b, c, d}, w};
}

/* Two filters with one column: the sums of products, then the sums of weights. */
static inline void multiply_pair(const int8_t *first, const int8_t *second, const int8_t *column, uint32_t depth,
                                 int32_t *sums, int32_t *weights)
{
    int32_t a = 0, b = 0, v = 0, w = 0;

    __asm volatile("dlstp.8 lr, %[depth]\n\t"
                   "1:\n\t"
                   "vldrb.8 q0, [%[column]], #16\n\t"
                   "vldrb.8 q1, [%[first]], #16\n\t"
                   "vmladava.s8 %[a], q0, q1\n\t"
                   "vaddva.s8 %[v], q1\n\t"
                   "vldrb.8 q2, [%[second]], #16\n\t"
                   "vmladava.s8 %[b], q0, q2\n\t"
                   "vaddva.s8 %[w], q2\n\t"
                   "letp lr, 1b\n\t"
                   : [a] "+Te"(a), [b] "+Te"(b), [v] "+Te"(v), [w] "+Te"(w), [column] "+r"(column), [first] "+r"(first),
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

/* Four filters at a time; beyond the last one, the last one again. */
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

static void multiply_columns(const struct columns_filters *filters, const int8_t *columns, uint32_t count,
                             int8_t *output)
{
    const struct common_output *out = filters->out;
    const uint32_t depth = filters->depth;
    const mve_pred16_t lanes = vctp32q(count);
    const uint32x4_t rows = vmulq_n_u32(vidupq_n_u32(0, 1), filters->filters);
    /* Without a column, the first one again. */
    const int8_t *const each[COLUMNS_AT_ONCE] = {columns, columns + (count > 1 ? depth : 0),
                                                 columns + (count > 2 ? 2 * depth : 0),
                                                 columns + (count > 3 ? 3 * depth : 0)};
    const int8_t *weights = filters->weights;

    for (uint32_t f = 0; f < filters->filters; f++) {
        const struct sums sums = multiply_four(weights, each, depth);
        const uint32_t at = out->per_channel * f;
        const int32_t rest = (out->bias != NULL ? out->bias[f] : 0) - filters->zero_point * sums.weights;
        int32x4_t values = {sums.of[0], sums.of[1], sums.of[2], sums.of[3]};

        values = requantize_alike(out, out->multipliers[at], out->shifts[at], vaddq_n_s32(values, rest));
        vstrbq_scatter_offset_p_s32(output + f, rows, values, lanes);
        weights += depth;
    }
}

void columns_multiply(const struct columns_filters *filters, const void *columns, uint32_t lanes, uint32_t count,
                      int8_t *output)
{
    if (lanes == 1) {
        columns_multiply_row(filters, columns, output);
    } else {
        multiply_columns(filters, columns, count, output);
    }
}

#endif
