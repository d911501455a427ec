/* SPDX-License-Identifier: Apache-2.0 */
/* LOGISTIC, int8: 1 / (1 + exp(-x)) in fixed point. With more elements than there are int8 values, a table of all 256
 * results is made while loading: that costs less than one run without it. */
#include "common.h"
#include "exponential.h"
#include "kernels.h"
#include "operands.h"

enum { INTEGER_BITS = 4, OUTPUT_SHIFT = 31 - 8, TABLE_SIZE = 256 };

struct logistic {
    struct step step;
    const int8_t *input;
    int8_t *output;
    const int8_t *table; /* of the input + 128; NULL: none */
    uint32_t count;
    int32_t multiplier;
    int32_t radius; /* from here on the result is 1, below minus this it is 0 */
    int16_t zero_point;
    int8_t shift;
};

static int8_t logistic_of(const struct logistic *logistic, int32_t q)
{
    int32_t x = q - logistic->zero_point;
    int32_t value;

    if (x <= -logistic->radius) {
        return INT8_MIN;
    }
    if (x >= logistic->radius) {
        return INT8_MAX;
    }
    x = quantize_multiply(x, logistic->multiplier, logistic->shift);
    if (x == 0) {
        value = 1 << 30;
    } else {
        value = exponential_one_over_one_plus(exponential_of_negative(x < 0 ? x : -x, INTEGER_BITS));
        value = x < 0 ? INT32_MAX - value : value;
    }
    return quantize_to_int8(quantize_shift_right(value, OUTPUT_SHIFT), INT8_MIN, INT8_MIN, INT8_MAX);
}

static void logistic_run(const struct step *step)
{
    const struct logistic *logistic = (const struct logistic *)(const void *)step;

    for (uint32_t i = 0; i < logistic->count; i++) {
        logistic->output[i] = logistic_of(logistic, logistic->input[i]);
    }
}

static void logistic_run_by_table(const struct step *step)
{
    const struct logistic *logistic = (const struct logistic *)(const void *)step;

    for (uint32_t i = 0; i < logistic->count; i++) {
        logistic->output[i] = logistic->table[logistic->input[i] + TABLE_SIZE / 2];
    }
}

/* The input in Q4.27 is x * multiplier; x beyond the radius would not fit. */
static void make_scale(const struct tensor *input, struct logistic *logistic)
{
    struct quantize_scale scale;
    double real = (double)input->scale * (1 << (31 - INTEGER_BITS));

    logistic->zero_point = (int16_t)input->zero_point;
    if (!quantize_from_real(real, &scale)) {
        /* A scale of 8 or more: as in TFLM even the zero point is beyond the radius, and gives 0. */
        scale.multiplier = 0;
        scale.shift = 31;
    }
    logistic->multiplier = scale.multiplier;
    logistic->shift = scale.shift;
    logistic->radius =
        (int32_t)((((uint32_t)1 << INTEGER_BITS) - 1) << (31 - INTEGER_BITS) >> (scale.shift > 0 ? scale.shift : 0));
}

int logistic_prepare(struct load *load)
{
    struct tensor input, output;
    struct logistic logistic = {.step = {logistic_run, 0, 0}};
    int status = operands_read_unary(load, &input, &output);

    if (status != ENGINE_OK) {
        return status;
    }
    if (output.zero_point != INT8_MIN || output.scale != 1.0f / 256) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "output has not scale 1/256 and zero point -128");
    }
    make_scale(&input, &logistic);
    (void)load_in_place(load);
    logistic.input = load_source(load, &input);
    logistic.output = load_target(load, &output);
    logistic.count = output.elements;
    if (logistic.count > TABLE_SIZE) {
        int8_t *table = load_reserve(load, TABLE_SIZE);

        for (int32_t q = INT8_MIN; table != NULL && q <= INT8_MAX; q++) {
            table[q - INT8_MIN] = logistic_of(&logistic, q);
        }
        logistic.table = table;
        logistic.step.run = logistic_run_by_table;
    }
    return load_keep(load, &logistic.step, sizeof logistic);
}
