/* SPDX-License-Identifier: Apache-2.0 */
/* SOFTMAX over the last dimension, int8 to int8. Qm.n: m integer bits, n fraction bits, a sign. */
#include "common.h"
#include "exponential.h"
#include "kernels.h"

enum { OPTION_BETA = 0 };
enum { DIFF_INTEGER_BITS = 5, SUM_INTEGER_BITS = 12, MAX_DEPTH = 4095 }; /* that many ones still fit in Q12.19 */

struct softmax {
    struct step step;
    const int8_t *input;
    int8_t *output;
    uint32_t rows, depth;
    int32_t multiplier;
    int32_t smallest_diff; /* below it exp() is 0 */
    int8_t shift;
};

static int make_scale(struct load *load, const struct tensor *input, struct softmax *softmax)
{
    float beta = reader_f32(&load->graph.reader, &load->operation.options, OPTION_BETA, 0.0f);
    double real = (double)beta * (double)input->scale * (1 << (31 - DIFF_INTEGER_BITS));
    struct quantize_scale scale;

    real = real < 2147483647.0 ? real : 2147483647.0;
    if (!(beta > 0.0f) || !(real > 1.0)) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "beta * input scale is too small");
    }
    /* Up to 2^31 - 1, one bit more than quantize_from_real() takes: halve it and count the bit back. */
    (void)quantize_from_real(real / 2, &scale);
    softmax->multiplier = scale.multiplier;
    softmax->shift = (int8_t)(scale.shift + 1);
    softmax->smallest_diff = -(int32_t)(((uint32_t)31 << (31 - DIFF_INTEGER_BITS)) >> softmax->shift);
    return ENGINE_OK;
}

static void softmax_run(const struct step *step);

int softmax_prepare(struct load *load)
{
    struct tensor input, output;
    struct softmax softmax = {.step = {NULL, 0, 0}};
    int status;

    if ((status = load_input(load, 0, "input", &input)) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK ||
        (status = common_check_int8(load, &input, "input")) != ENGINE_OK ||
        (status = common_check_int8(load, &output, "output")) != ENGINE_OK) {
        return status;
    }
    if (output.zero_point != -128 || output.scale != 1.0f / 256) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "output has not scale 1/256 and zero point -128");
    }
    if (input.rank < 1 || input.elements != output.elements || output.rank != input.rank ||
        input.dims[input.rank - 1] != output.dims[input.rank - 1]) {
        return load_refuse(load, ENGINE_E_MODEL, "shapes of input and output differ");
    }
    softmax.depth = (uint32_t)input.dims[input.rank - 1];
    softmax.rows = input.elements / softmax.depth;
    if (softmax.depth > MAX_DEPTH) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "over 4095 classes");
    }
    status = make_scale(load, &input, &softmax);
    if (status != ENGINE_OK) {
        return status;
    }
    softmax.input = load_source(load, &input);
    softmax.output = load_target(load, &output);
    softmax.step.run = softmax_run;
    return load_keep(load, &softmax.step, sizeof softmax);
}

static int32_t leading_zeros(uint32_t x)
{
    int32_t count = 0;

    while ((x & 0x80000000u) == 0 && count < 32) {
        x <<= 1;
        count++;
    }
    return count;
}

/* exp((q - largest) * beta * scale) in Q0.31; 0 where it is too small to matter. */
static int32_t exp_of_diff(const struct softmax *softmax, int32_t diff)
{
    if (diff < softmax->smallest_diff) {
        return 0;
    }
    return exponential_of_negative(quantize_high_mul(quantize_shift_left(diff, softmax->shift), softmax->multiplier),
                                   DIFF_INTEGER_BITS);
}

static void run_row(const struct softmax *softmax, const int8_t *input, int8_t *output)
{
    int32_t largest = INT8_MIN;
    int32_t sum = 0; /* Q12.19 */
    int32_t zeros, reciprocal, exponent;

    for (uint32_t i = 0; i < softmax->depth; i++) {
        largest = input[i] > largest ? input[i] : largest;
    }
    for (uint32_t i = 0; i < softmax->depth; i++) {
        sum += quantize_shift_right(exp_of_diff(softmax, input[i] - largest), SUM_INTEGER_BITS);
    }
    zeros = leading_zeros((uint32_t)sum);
    reciprocal = exponential_one_over_one_plus((int32_t)(((uint32_t)sum << zeros) - 0x80000000u));
    exponent = SUM_INTEGER_BITS - zeros + 31 - 8;
    for (uint32_t i = 0; i < softmax->depth; i++) {
        int32_t value = quantize_high_mul(reciprocal, exp_of_diff(softmax, input[i] - largest));

        /* Over 31 (a sum of 512 or more, where TFLM aborts) every value is below one half. */
        value = exponent > 31 ? 0 : quantize_shift_right(value, exponent);
        output[i] = quantize_to_int8(value, INT8_MIN, INT8_MIN, INT8_MAX);
    }
}

static void softmax_run(const struct step *step)
{
    const struct softmax *softmax = (const struct softmax *)(const void *)step;

    for (uint32_t row = 0; row < softmax->rows; row++) {
        run_row(softmax, softmax->input + row * softmax->depth, softmax->output + row * softmax->depth);
    }
}
