/* SPDX-License-Identifier: Apache-2.0 */
/* columns.h in plain C, for a Cortex-M3 and the machines we test on. A column is widened to int16 with the zero point
 * taken off; the lanes' values of one index lie side by side. */
#include "columns.h"

#if !(defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP)

uint32_t columns_bytes(uint32_t depth, uint32_t lanes)
{
    return depth * lanes * (uint32_t)sizeof(int16_t);
}

void columns_put(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 const int8_t *inputs, uint32_t count)
{
    const int32_t zero_point = filters->zero_point;
    int16_t *to = (int16_t *)columns + at * lanes + lane;

    for (uint32_t i = 0; i < count; i++) {
        *to = (int16_t)(inputs[i] - zero_point);
        to += lanes;
    }
}

void columns_pad(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 uint32_t count)
{
    int16_t *to = (int16_t *)columns + at * lanes + lane;

    (void)filters;
    for (uint32_t i = 0; i < count; i++) {
        *to = 0;
        to += lanes;
    }
}

/* COLUMNS_AT_ONCE columns with one filter. A column that nobody has filled holds anything: its sum may wrap around. */
static void multiply_four(const int8_t *weights, const int16_t *columns, uint32_t depth, int32_t *sums)
{
    uint32_t a = (uint32_t)sums[0], b = (uint32_t)sums[1], c = (uint32_t)sums[2], d = (uint32_t)sums[3];
    const int8_t *end = weights + depth;

    while (weights != end) {
        int32_t weight = *weights++;

        a += (uint32_t)(weight * columns[0]);
        b += (uint32_t)(weight * columns[1]);
        c += (uint32_t)(weight * columns[2]);
        d += (uint32_t)(weight * columns[3]);
        columns += COLUMNS_AT_ONCE;
    }
    sums[0] = (int32_t)a;
    sums[1] = (int32_t)b;
    sums[2] = (int32_t)c;
    sums[3] = (int32_t)d;
}

static int32_t multiply_one(const int8_t *weights, const int16_t *column, uint32_t depth, int32_t sum)
{
    for (uint32_t i = 0; i < depth; i++) {
        sum += weights[i] * column[i];
    }
    return sum;
}

void columns_multiply(const struct columns_filters *filters, const void *columns, uint32_t lanes, uint32_t count,
                      int8_t *output)
{
    const struct common_output *out = filters->out;
    const int8_t *weights = filters->weights;

    for (uint32_t f = 0; f < filters->filters; f++) {
        struct requantize scale = requantize_for(out, f);
        const int32_t bias = requantize_bias(out, f);
        int32_t sums[COLUMNS_AT_ONCE] = {0, 0, 0, 0};
        int8_t *to = output + f;

        if (lanes == 1) {
            sums[0] = multiply_one(weights, columns, filters->depth, 0);
        } else {
            multiply_four(weights, columns, filters->depth, sums);
        }
        for (uint32_t i = 0; i < count; i++) {
            *to = requantize_value(out, &scale, requantize_sum(sums[i], bias), f);
            to += filters->filters;
        }
        weights += filters->depth;
    }
}

bool columns_row_is_direct(uint32_t depth)
{
    (void)depth;
    return true;
}

/* Four filters with one row of inputs. */
static void multiply_row_by_four(const int8_t *inputs, int32_t zero_point, const int8_t *weights, uint32_t depth,
                                 int32_t *sums)
{
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    const int8_t *end = inputs + depth;
    const int8_t *second = weights + depth;
    const int8_t *third = second + depth;
    const int8_t *fourth = third + depth;

    while (inputs != end) {
        int32_t input = *inputs++ - zero_point;

        a += *weights++ * input;
        b += *second++ * input;
        c += *third++ * input;
        d += *fourth++ * input;
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

static int32_t multiply_row_by_one(const int8_t *inputs, int32_t zero_point, const int8_t *weights, uint32_t depth)
{
    int32_t sum = 0;

    for (uint32_t i = 0; i < depth; i++) {
        sum += weights[i] * (inputs[i] - zero_point);
    }
    return sum;
}

void columns_multiply_row(const struct columns_filters *filters, const int8_t *inputs, int8_t *output)
{
    const struct common_output *out = filters->out;
    const int8_t *weights = filters->weights;
    const uint32_t depth = filters->depth;
    uint32_t f = 0;

    while (f < filters->filters) {
        int32_t sums[COLUMNS_AT_ONCE] = {0, 0, 0, 0};
        uint32_t count = filters->filters - f < COLUMNS_AT_ONCE ? 1 : COLUMNS_AT_ONCE;

        if (count == 1) {
            sums[0] = multiply_row_by_one(inputs, filters->zero_point, weights, depth);
        } else {
            multiply_row_by_four(inputs, filters->zero_point, weights, depth, sums);
        }
        for (uint32_t i = 0; i < count; i++) {
            struct requantize scale = requantize_for(out, f);

            output[f] = requantize_value(out, &scale, requantize_sum(sums[i], requantize_bias(out, f)), f);
            f++;
        }
        weights += count * depth;
    }
}

#endif
