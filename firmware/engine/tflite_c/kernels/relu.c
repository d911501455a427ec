/* SPDX-License-Identifier: Apache-2.0 */
/* RELU and RELU6 as operators of their own, int8. */
#include "common.h"
#include "kernels.h"
#include "operands.h"

struct relu {
    struct step step;
    const int8_t *input;
    int8_t *output;
    uint32_t count;
    int32_t multiplier;
    int16_t input_zero_point, zero_point;
    int8_t shift, low, high;
};

static void relu_run(const struct step *step)
{
    const struct relu *relu = (const struct relu *)(const void *)step;

    for (uint32_t i = 0; i < relu->count; i++) {
        int32_t value = relu->input[i] - relu->input_zero_point;

        value = quantize_multiply(value, relu->multiplier, relu->shift);
        relu->output[i] = quantize_to_int8(value, relu->zero_point, relu->low, relu->high);
    }
}

static void relu6_run(const struct step *step)
{
    const struct relu *relu = (const struct relu *)(const void *)step;

    for (uint32_t i = 0; i < relu->count; i++) {
        relu->output[i] = quantize_to_int8(relu->input[i], 0, relu->low, relu->high);
    }
}

static int read_tensors(struct load *load, struct tensor *input, struct tensor *output, struct relu *relu)
{
    int status = operands_read_unary(load, input, output);

    if (status != ENGINE_OK) {
        return status;
    }
    (void)load_in_place(load);
    relu->input = load_source(load, input);
    relu->output = load_target(load, output);
    relu->count = output->elements;
    return ENGINE_OK;
}

int relu_prepare(struct load *load)
{
    struct tensor input, output;
    struct relu relu = {.step = {relu_run, 0, 0}};
    struct quantize_scale scale;
    int status;

    if ((status = read_tensors(load, &input, &output, &relu)) != ENGINE_OK ||
        (status = common_make_range(load, &output, ACTIVATION_RELU, &relu.low, &relu.high)) != ENGINE_OK) {
        return status;
    }
    /* TFLM divides in float here. */
    if (!quantize_from_real((double)(input.scale / output.scale), &scale)) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "scales of input and output are too far apart");
    }
    relu.multiplier = scale.multiplier;
    relu.shift = scale.shift;
    relu.input_zero_point = (int16_t)input.zero_point;
    relu.zero_point = (int16_t)output.zero_point;
    return load_keep(load, &relu.step, sizeof relu);
}

/* TFLM clamps the input in its own quantization and never looks at the output's: so do we. */
int relu6_prepare(struct load *load)
{
    struct tensor input, output;
    struct relu relu = {.step = {relu6_run, 0, 0}};
    int status;

    if ((status = read_tensors(load, &input, &output, &relu)) != ENGINE_OK ||
        (status = common_make_range(load, &input, ACTIVATION_RELU6, &relu.low, &relu.high)) != ENGINE_OK) {
        return status;
    }
    return load_keep(load, &relu.step, sizeof relu);
}
